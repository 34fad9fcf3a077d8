--- Gate 3: drives a forecast through the whole workflow of the platform, as the application does.
--
--   gate-engine run gates/golden_path_e2e.lua --tenant acme --pack roster --dataset gurkerl_small
--   gate-engine run gates/golden_path_e2e.lua --pack routing --dataset wien_small
--   gate-engine run gates/golden_path_e2e.lua --dataset ./my-week --audit audits/max_nights.lua --artifacts out/
--
-- Each stage is a check and works on what the stage before it left on the platform, not only on what was sent there. When a
-- stage fails, the ones after it are reported as errors: they were not evaluated.

local adapters = require "platform.adapter"
local errors = require "errors"
local gantt = require "packs.gantt"
local gate = require "gate"
local hash = require "hash"
local json = require "json"
local lock_probe = require "platform.lock_probe"
local outside = require "packs.outside"

local PACKS = { roster = require "packs.roster.golden", routing = require "packs.routing.golden" }
local MAX_FINDINGS = 200
local FIX_STAGE, FIX_AUDIT = "Check specific stage logs", "Review audit violation details"
local FIX_TIMEOUT = "Check input size, increase limit"

--- Who locks the plan; stands in its locked_by.
local APPROVER = adapters.VALIDATION

-- Failures of the thing under test. What is not named here (a lost connection, a solver that is not installed, a bug) is no verdict on
-- the platform: it goes on as an error.
local STAGE_FAILURES = {
  db_query = true, db_permission = true, db_timeout = true, plan_invalid = true, plan_week = true, audit_input = true, exec_limit = true,
  platform_refused = true, platform_answer = true,
  expand_too_many = true, expand_clash = true, dataset_input = true, dataset_json = true, dataset_manifest = true, stage = true,
}

local function stop(message, detail, fix)
  errors.raise { code = "stage", message = message, detail = detail, fix = fix }
end

--- The command that makes this run again, to paste.
local function command(ctx)
  local function word(text) return text:find("^[%w_./-]+$") and text or "'" .. text:gsub("'", "'\\''") .. "'" end
  local dataset = ctx.options.dataset.path
  local words = { "gate-engine run gates/golden_path_e2e.lua --tenant", word(ctx.tenant.code), "--pack", ctx.options.pack, "--dataset",
    word(dataset:match("/stdlib/datasets/[%w_]+/([%w_]+)$") or dataset) }
  for _, audit in ipairs(ctx.options.audit or {}) do words[#words + 1] = "--audit " .. word(audit.path) end
  return table.concat(words, " ")
end

--- A fix with the place where this run's products are kept, where there is one.
local function kept(ctx, fix, names)
  local place = ctx.options.artifacts
  return place and ("%s. Kept in %s: %s"):format(fix, place.path, names) or fix
end

local function fail_stage(ctx, stage, message, more)
  more = more or {}
  local fix = more.fix and (FIX_STAGE .. ": " .. more.fix) or FIX_STAGE
  ctx:fail("stage_failed", { object = more.object or stage, args = { stage, message }, detail = more.detail,
    fix = kept(ctx, fix, "each stage's product"), reproduce = more.reproduce or command(ctx) })
end

--- Canonical JSON of a product, its long lists in pieces, because one encoded value is bounded in size. What stands in a short list may
--- be large itself, as the earlier weeks of a plan are.
local function canonical(value, depth)
  if type(value) ~= "table" or depth > 1 then return hash.canonical(value) end
  local parts = {}
  if json.is_array(value) and #value <= 64 then
    for i, element in ipairs(value) do parts[i] = hash.canonical(element) end
    return "[" .. table.concat(parts, ",") .. "]"
  elseif json.is_array(value) then
    for from = 1, #value, 5000 do
      parts[#parts + 1] = hash.canonical(json.array(table.move(value, from, math.min(from + 4999, #value), 1, {}))):sub(2, -2)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = hash.canonical(key) .. ":" .. canonical(value[key], depth + 1) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Keep a stage's product.
local function put(ctx, name, value)
  if ctx.options.artifacts then ctx:artifact("artifacts", name, canonical(value, 0) .. "\n") end
end

local function same(what, expected, found)
  if expected ~= found then stop(("%s: expected %s, found %s"):format(what, tostring(expected), tostring(found))) end
end

--- Facts and advisories that a pack has.
local function tell(ctx, facts, advice)
  for _, fact in ipairs(facts) do
    if fact[2] ~= nil then ctx:fact(fact[1], fact[2]) end
  end
  for i, a in ipairs(advice) do
    if i <= MAX_FINDINGS then ctx:advise(a[1], a[2]) end
  end
end

local stages = {}

--- Parse: the dataset is understood line by line, and the platform takes it.
function stages.Parse(ctx, s)
  s.pack = PACKS[ctx.options.pack]
  s.data = s.pack.load(ctx.files.dataset, outside.of(ctx))
  local forecast = s.data.forecast
  local failed = 0
  for _, issue in ipairs(forecast.issues) do
    local where = s.pack.where(issue)
    local more = { object = s.pack.object(s.data, issue) }
    if issue.status == "FAIL" then
      failed = failed + 1
      if failed <= MAX_FINDINGS then
        fail_stage(ctx, "Parse", ("%s: %s: %s"):format(where, issue.code, issue.message), more)
      end
    else
      more.args, more.detail = { where, issue.code }, issue.message
      if failed < MAX_FINDINGS then ctx:advise("forecast_warning", more) end
    end
  end
  if failed > MAX_FINDINGS then fail_stage(ctx, "Parse", ("%d more issues"):format(failed - MAX_FINDINGS)) end
  if failed > 0 then
    put(ctx, "forecast.json", s.pack.forecast_document(s.data, nil))
    s.failed = true
    return
  end
  s.work = s.pack.prepare(s.data)
  put(ctx, "forecast.json", s.pack.forecast_document(s.data, s.work))
  for _, c in ipairs(s.pack.counts(s.data, s.work)) do same(c[1], c[2], c[3]) end
  if s.data.input_hash then same("input_hash of manifest.json and of the input", s.data.input_hash, s.work.input_hash) end
  s.week = s.data.week
  if s.week then s.pack.check_week(s.week) end
  s.platform, s.tenant = adapters.open(ctx, ctx.options.pack)
  s.forecast_id = s.platform.create_forecast { source = s.data.input, week = s.week,
    text = function() return ctx.files.dataset:get(s.data.input) end, lines = s.pack.lines(s.data),
    templates = s.work.templates or {}, matrix = s.work.instances.matrix, input_hash = s.work.input_hash,
    parser_config_hash = s.work.parser_config_hash }
  s.data.forecast = nil
  if ctx.platform.kind == "external" and not s.platform.left_behind then
    ctx:fact("left_behind", ("forecast %s of tenant %s, with its plan"):format(s.forecast_id, s.tenant.code))
  end
  ctx:fact("input_hash", s.work.input_hash)
  tell(ctx, s.pack.facts(s.data, s.work), s.pack.advice(s.work))
end

--- Expand: the platform holds exactly the tours the templates ask for.
function stages.Expand(ctx, s)
  local instances = s.work.instances
  put(ctx, "instances.json", s.pack.export_instances(instances))
  same("instances of the templates and of the platform", s.pack.count(instances), s.platform.expand_forecast(s.forecast_id, instances))
  local stored = s.platform.read_instances(s.forecast_id)
  same("instances sent and read back", s.pack.count(instances), s.pack.count(stored))
  local what, detail = s.pack.difference(instances, stored)
  if what then stop(("%s reads back differently from the platform"):format(what), detail) end
  s.instances = s.pack.adopt(stored, s.work)
  ctx:fact("instances", s.pack.count(stored))
end

--- The answer of the solver, or of a platform that makes its plans itself; nil when it ran out of time. What else goes wrong there is
--- raised as solver_…
local function solve(ctx, s)
  local request = s.pack.request(s.instances, s.seed, s.limits)
  local ok, reply = pcall(function()
    if not s.platform.solve_plan then return ctx.solver:solve(ctx.options.pack, request).output end
    local plan, output = s.platform.solve_plan(s.forecast_id, { seed = s.seed, config = request.config })
    s.plan_id = plan
    return output
  end)
  if ok then return reply end
  if not errors.is(reply, "exec_timeout") then error(reply, 0) end
  ctx:fail("solve_timeout", { object = s.pack.size(s.instances),
    detail = reply.message .. (reply.detail and "; " .. reply.detail or ""), reproduce = command(ctx),
    fix = kept(ctx, FIX_TIMEOUT, "each stage's product") })
  s.failed = true
  return nil
end

--- Solve: a plan for exactly these tours, stored as a draft which reads back as it was made.
function stages.Solve(ctx, s)
  local packs = ctx.config.packs
  local config = type(packs) == "table" and packs[ctx.options.pack]
  s.seed, s.limits = s.data.seed or s.pack.DEFAULT_SEED, s.pack.limits(type(config) == "table" and config or nil)
  if s.data.plan then
    s.plan = s.pack.injected_plan(s.data.plan, s.instances, s.seed)
  else
    local output = solve(ctx, s)
    if not output then return end
    s.plan = s.pack.solver_plan(output, s.instances, s.seed)
  end
  ctx:fact("injected", s.data.plan ~= nil)
  put(ctx, "plan.json", s.pack.export_plan(s.plan))
  s.config_hash = s.pack.solver_config_hash(s.seed, s.limits, s.plan.solver, s.instances)
  s.plan_id = s.plan_id or s.platform.store_plan(s.forecast_id, { seed = s.seed, solver_config_hash = s.config_hash,
    output_hash = s.plan.output_hash, assignments = s.plan.assignments })
  ctx:fact("plan_version", s.plan_id)
  tell(ctx, s.pack.plan_facts(s.plan), s.pack.plan_advice(s.plan))
  ctx:fact("output_hash", s.plan.output_hash)
  if s.data.output_hash and not s.data.plan and s.data.output_hash ~= s.plan.output_hash then
    ctx:advise("golden_drift", { object = "output_hash",
      detail = ("expected %s, found %s"):format(s.data.output_hash, s.plan.output_hash) })
  end
end

--- The plan as the platform holds it, checked against the one that was sent: never the copy in memory.
local function read_back(s, status)
  local plan = s.platform.read_plan(s.plan_id)
  if type(plan) ~= "table" then stop("the platform does not give the plan back") end
  same("status of the plan", status, plan.status)
  same("seed of the plan", s.seed, plan.seed)
  same("solver_config_hash of the plan", s.config_hash, plan.solver_config_hash)
  same("output_hash of the plan", s.plan.output_hash, plan.output_hash)
  same("output hash worked out from the assignments read back", s.plan.output_hash, s.pack.output_hash(plan.assignments))
  return plan
end

--- Findings of one audit that is FAIL, one a violation.
local function report_violations(ctx, name, violations)
  local function fail(object, detail)
    ctx:fail("audit_failed", { object = object or "plan", args = { name }, detail = detail, reproduce = command(ctx),
      fix = kept(ctx, FIX_AUDIT, "audits.json, plan.html") })
  end
  for i, v in ipairs(violations) do
    if i > MAX_FINDINGS then
      fail("plan", ("%d more violations"):format(#violations - MAX_FINDINGS))
      return
    end
    fail(v.object, v.detail)
  end
  if #violations == 0 then fail("plan") end
end

--- Audit: the pack's own audits on the plan read back, their results stored. A lock before that must be refused.
function stages.Audit(ctx, s)
  local plan = read_back(s, "DRAFT")
  s.controls = lock_probe.controls(s.platform, s.plan_id, s.forecast_id)
  if s.platform.audits_itself then
    ctx:fact("early_lock", "not tried: the platform audits a plan when it makes it")
  else
    s.early = lock_probe.try_lock(s.platform, s.plan_id, APPROVER)
  end
  s.read = plan
  s.results = s.pack.audits(plan.assignments, s.instances, s.limits)
  s.audit_plan = s.pack.audit_plan(plan, s.instances, { week = s.week })
  put(ctx, "audit-plan.json", s.audit_plan)
  local passed = 0
  for _, r in ipairs(s.results) do
    s.audits[#s.audits + 1] = { id = r.id, kind = "pack", status = r.status, rule = r.rule, checked = r.checked,
      violations = json.array(r.violations) }
    s.platform.record_audit(s.plan_id, r.id, r.status, { rule = r.rule, checked = r.checked, violations = #r.violations,
      first = r.violations[1] and r.violations[1].detail or nil })
    if r.status == "PASS" then
      passed = passed + 1
    else
      s.failed_audits[#s.failed_audits + 1] = r.id
      report_violations(ctx, r.id, r.violations)
    end
  end
  ctx:fact("audits", ("%d of %d PASS"):format(passed, #s.results))
  local kpis = s.pack.kpis(plan.assignments, s.instances, s.results, s.data.expected_kpis)
  put(ctx, "kpis.json", kpis)
  for _, k in ipairs(kpis.thresholds) do
    if not s.data.plan and (k.level == "WARNING" or k.level == "CRITICAL") then
      ctx:advise("kpi_threshold", { object = k.kpi, args = { k.kpi, k.level }, detail = k.detail })
    end
  end
end

--- The tenant's locked plans of the weeks before this one, newest first, as many as are asked for and as there are. Each is the plan
--- that was locked: its hash is worked out again.
local function load_history(ctx, s, most)
  local weeks = {}
  for i, w in ipairs(s.platform.locked_weeks(s.week, most)) do
    local plan = s.platform.read_plan(w.plan)
    same(("status of the plan of %s"):format(w.week), "LOCKED", plan.status)
    same(("output hash worked out from the assignments of %s"):format(w.week), plan.output_hash, s.pack.output_hash(plan.assignments))
    weeks[i] = s.pack.audit_plan(plan, s.platform.read_instances(w.forecast), { week = w.week })
  end
  s.audit_plan.history = json.array(weeks)
  put(ctx, "audit-plan.json", s.audit_plan)
  s.audit_plan.history = nil
  return weeks
end

--- The plan as this audit asked for it. Without the weeks it needs it would find nothing, and pass.
local function with_history(s, audit, name)
  local wanted = audit.history or 0
  if wanted == 0 then return s.audit_plan end
  if not s.week then
    errors.raise { code = "history_short",
      message = ("audit %s needs %d locked week(s), and the dataset names no week"):format(name, wanted),
      fix = 'Name the ISO week in manifest.json: "week": "2026-W10"' }
  end
  if s.no_history then error(s.no_history, 0) end
  if #s.history < wanted then
    errors.raise { code = "history_short",
      message = ("audit %s needs %d locked week(s) before %s, and the tenant has %d"):format(name, wanted, s.week, #s.history),
      fix = "Lock the earlier weeks first, or run the audit on saved plans: gate-engine run AUDIT --plan DIR" }
  end
  local plan = {}
  for key, value in pairs(s.audit_plan) do plan[key] = value end
  plan.history = json.array { table.unpack(s.history, 1, wanted) }
  return plan
end

--- A tenant's own audit, after the pack's: it can add a failure and take none away. True only when it passes; an audit that gives
--- no verdict raises.
local function tenant_audit(ctx, s, audit, name)
  local result = ctx.audits:run(audit.id, with_history(s, audit, name))
  local entry = { id = name, kind = "tenant", status = result.status,
    violations = json.array(result.violations or {}) }
  s.audits[#s.audits + 1] = entry
  if result.status == "PASS" then return true end
  if result.status == "FAIL" then
    report_violations(ctx, name, result.violations or {})
    return false
  else
    entry.error = result.error and tostring(errors.is(result.error) and result.error.message or result.error) or "no result"
    error(errors.is(result.error) and result.error
      or errors.new { code = "audit_error", message = ("audit %s could not be evaluated: %s"):format(name, entry.error) }, 0)
  end
end

--- Two sessions lock the plan at once: both are told LOCKED, one of them did it.
local function lock(s)
  local names = { APPROVER .. ", session 1", APPROVER .. ", session 2" }
  for i, reply in ipairs(s.platform.race_lock(s.plan_id, names)) do
    if not reply.ok then
      if not errors.is(reply.answer) then error(reply.answer, 0) end
      stop(("lock %d of two at once: %s"):format(i, reply.answer.message), reply.answer.sqlstate, reply.answer.fix)
    end
    same(("answer to lock %d of two at once"):format(i), "LOCKED", reply.answer)
  end
  local plan = read_back(s, "LOCKED")
  if plan.locked_by ~= names[1] and plan.locked_by ~= names[2] then
    stop(("locked_by: expected %q or %q, found %q"):format(names[1], names[2], tostring(plan.locked_by)))
  end
  return plan
end

--- Lock: only a plan all audits of which pass, by one session alone, and twice is the same as once.
function stages.Lock(ctx, s)
  if not s.platform.audits_itself then lock_probe.need_refused(s.early, "before any audit was recorded", stop) end
  s.locked = lock(s)
  same("answer to one more lock", "LOCKED", s.platform.lock_plan(s.plan_id, APPROVER .. ", again"))
  local again = read_back(s, "LOCKED")
  same("locked_by after one more lock", s.locked.locked_by, again.locked_by)
  same("locked_at after one more lock", s.locked.locked_at, again.locked_at)
  s.lock = { plan = s.plan_id, status = again.status, locked_at = again.locked_at, locked_by = again.locked_by,
    output_hash = again.output_hash, seed = again.seed, solver_config_hash = again.solver_config_hash, input_hash = s.work.input_hash }
  put(ctx, "lock.json", s.lock)
end

--- Verify: the locked plan is attacked, and is afterwards what it was before.
function stages.Verify(ctx, s)
  local refused = 0
  local attacks, roles = lock_probe.attack(s.platform, s.plan_id, s.forecast_id, s.controls)
  for _, a in ipairs(attacks) do
    if a.verdict == "not_refused" then
      fail_stage(ctx, "Verify", ("LOCKED plan: %s was not refused"):format(a.title), { object = a.id, detail = a.detail,
        reproduce = a.reproduce, fix = "restore the lock's trigger, see stdlib/platform/migrations/006_lock.sql; a role that may go past "
          .. "it must be none that the application may become" })
    elseif a.verdict == "other_refusal" then
      fail_stage(ctx, "Verify", ("LOCKED plan: %s was refused, but not by the lock"):format(a.title), { object = a.id, detail = a.detail,
        reproduce = a.reproduce })
    end
    s.failed = s.failed or a.verdict ~= "refused" and a.verdict ~= "not_offered"
    refused = refused + (a.verdict == "refused" and 1 or 0)
  end
  local after = read_back(s, "LOCKED")
  same("the locked plan before and after the attacks", hash.of(s.locked), hash.of(after))
  s.lock.attacks = json.array(attacks)
  put(ctx, "lock.json", s.lock)
  ctx:fact("attacks_refused", refused)
  ctx:fact("lock_roles", roles and json.array(roles) or "not tried: the adapter names no other role that the application may become")
end

--- Run one stage: a failure of the thing under test is a finding, anything else goes on as an error. A stage whose predecessor
--- did not pass is an error of its own: what was not looked at is never passed over in silence.
local function run_stage(ctx, s, name, previous)
  if previous and not s.done[previous] then
    errors.raise { code = "not_evaluated", message = "not evaluated: " .. (s.stopped or ("stage %s was not run"):format(previous)),
      detail = "stage " .. name, fix = "Mend what failed first, then rerun the gate" }
  end
  s.stopped = ("stage %s did not pass"):format(name)
  local ok, err = pcall(stages[name], ctx, s)
  if not ok then
    local known = errors.is(err) and (STAGE_FAILURES[err.code] or err.code:find("^solver_") or err.code:find("^matrix_"))
    if not known then error(err, 0) end
    local detail = err.detail or err.sqlstate and ("SQLSTATE " .. tostring(err.sqlstate)) or nil
    fail_stage(ctx, name, err.message, { detail = detail, fix = err.fix })
  elseif not s.failed then
    s.stopped, s.done[name] = nil, true
  end
end

--- With an audit failed the plan may not lock: the platform must say so itself, and the last two stages are not reached.
local function after_failed_audit(ctx, s)
  local pack_failed = false
  for _, a in ipairs(s.audits) do pack_failed = pack_failed or a.kind == "pack" and a.status ~= "PASS" end
  s.stopped = ("the plan is not locked, because of audit %s"):format(table.concat(s.failed_audits, ", "))
  if not pack_failed then return end
  ctx:check("Lock is refused", function()
    local attempt = lock_probe.try_lock(s.platform, s.plan_id, APPROVER)
    put(ctx, "lock.json", { plan = s.plan_id, status = attempt.locked and "LOCKED" or "DRAFT", answer = attempt.message,
      failed_audits = json.array(s.failed_audits) })
    if attempt.locked then
      fail_stage(ctx, "Lock", ("the platform locked a plan whose audit %s failed"):format(table.concat(s.failed_audits, ", ")))
    else
      lock_probe.need_refused(attempt, "with a failed audit", stop)
    end
  end)
end

--- A name for each audit which nothing else in the report has: two audits may call themselves the same, like one of the pack's, or as
--- another one would be told apart. All that share a name are told by their files.
local function audit_names(list, results)
  local own, count, with_file, names, taken = {}, {}, {}, {}, {}
  for _, r in ipairs(results) do count[r.id] = 1 end
  for i, audit in ipairs(list) do
    own[i] = type(audit.name) == "string" and audit.name or tostring(audit.path or audit.id)
    with_file[i] = ("%s (%s)"):format(own[i], audit.path or audit.id)
    count[own[i]] = (count[own[i]] or 0) + 1
  end
  for i in ipairs(list) do count[with_file[i]] = (count[with_file[i]] or 0) + 1 end
  for i in ipairs(list) do
    local name = count[own[i]] > 1 and with_file[i] or own[i]
    if taken[name] then name = ("%s #%d"):format(name, i) end
    taken[name], names[i] = true, name
  end
  return names
end

--- The tenant's audits, each a check of its own, so that one which breaks hides no other. Earlier weeks that cannot be read are an error
--- of those audits alone which ask for them.
local function tenant_audits(ctx, s)
  local list, most = ctx.audits:list(), 0
  for _, audit in ipairs(list) do most = math.max(most, audit.history or 0) end
  if most > 0 and s.week then
    local ok, result = pcall(load_history, ctx, s, most)
    s.history, s.no_history = ok and result or {}, not ok and result or nil
  end
  for i, name in ipairs(audit_names(list, s.results)) do
    local passed = false
    ctx:check("Audit " .. name, function() passed = tenant_audit(ctx, s, list[i], name) end)
    if not passed then s.failed_audits[#s.failed_audits + 1] = name end
  end
end

local function run(ctx)
  local s = { audits = {}, failed_audits = {}, done = {} }
  if ctx.options.artifacts then ctx:fact("artifacts", ctx.options.artifacts.path) end
  local previous
  for _, name in ipairs { "Parse", "Expand", "Solve", "Audit" } do
    local before = previous
    ctx:check(name, function() run_stage(ctx, s, name, before) end)
    previous = name
  end
  if s.audit_plan then
    tenant_audits(ctx, s)
    put(ctx, "audits.json", { audits = json.array(s.audits), failed = json.array(s.failed_audits) })
    if ctx.options.artifacts then
      ctx:artifact("artifacts", "plan.html", gantt.page(s.audit_plan, s.audits, ("Plan %s of tenant %s"):format(s.plan_id, s.tenant.code)))
    end
  end
  if s.done.Audit and #s.failed_audits > 0 then
    s.done.Audit = nil
    after_failed_audit(ctx, s)
  end
  ctx:check("Lock", function() run_stage(ctx, s, "Lock", "Audit") end)
  ctx:check("Verify", function() run_stage(ctx, s, "Verify", "Lock") end)
  if s.platform and s.platform.left_behind then ctx:fact("left_behind", s.platform.left_behind()) end
end

--- The document's recovery path, with the failing stages named: verbose run, what failed and its fix, rerun.
local function recover(ctx, findings)
  local again = command(ctx)
  ctx:apply("Run with verbose output", { note = again .. " --verbose --artifacts DIR\nDIR then holds each stage's product." })
  local function text(value) return type(value) == "string" and value or nil end
  local seen = {}
  for _, f in ipairs(findings) do
    local what = text(f.failure) or text(f.check) or "a check"
    seen[what] = (seen[what] or 0) + 1
    if seen[what] == 1 then
      local lines = { ("%s: %s"):format(text(f.object) or "plan", text(f.detail) or what), "Fix: " .. (text(f.fix) or FIX_STAGE) }
      ctx:apply(("Stage %s: %s"):format(text(f.check) or "?", what), { note = table.concat(lines, "\n") })
    end
  end
  ctx:apply("Rerun the gate", { note = again })
end

return gate.define {
  api = 1, id = "golden_path_e2e", name = "Golden Path E2E", number = 3,
  purpose = "Full workflow test: Parse, Expand, Solve, Audit, Lock, Verify",
  pass = "All stages completed successfully",
  needs = { db = { "app" }, solver = true, audits = true, stores = { "matrix" }, endpoints = { "platform" } },
  options = {
    pack = { type = "enum", choices = { "roster", "routing" }, default = "roster", help = "the pack whose workflow is run" },
    dataset = { type = "path", access = "read", default = "gurkerl_small",
      default_by = { pack = { routing = "wien_small" } },
      search = { "stdlib/datasets/roster", "stdlib/datasets/routing", "stdlib/datasets/known_failures" },
      help = "golden dataset by name, or a directory with input.txt, input.csv or (routing) input.json" },
    audit = { type = "audit", multiple = true, help = "a tenant's own audit, run beside the pack's" },
    artifacts = { type = "path", access = "write", help = "directory for each stage's product, created if missing" },
  },
  failures = {
    stage_failed = { text = "Stage %s failed: %s", fix = FIX_STAGE },
    audit_failed = { text = "Audit %s: FAIL", fix = FIX_AUDIT },
    solve_timeout = { text = "Timeout on solve", fix = FIX_TIMEOUT },
    forecast_warning = { text = "Forecast %s: %s", fix = "Check whether the line says what is meant" },
    travel_estimated = { text = "Travel times are estimated", fix = "Record the missing ways and pin the new matrix" },
    matrix_unpinned = { text = "Travel times are not pinned", fix = "Set matrix_sha256 in manifest.json, or in packs.routing" },
    stop_unassigned = { text = "Stop %s is not served: %s", fix = "Give the scenario a vehicle that can serve the stop" },
    golden_drift = { text = "Solver result differs from the golden dataset's %s",
      fix = "Compare the plans; update the dataset when the new result is right" },
    kpi_threshold = { text = "KPI %s: %s", fix = "Compare kpis.json with the tenant's expectations" },
  },
  run = run,
  recover = recover,
}
