--- Gate 2: the same forecast and the same seed give the same plan, whatever else is different.
--
--   gate-engine run gates/determinism_proof.lua --tenant acme --forecast-id gurkerl_small --seed 94 --runs 3
--   gate-engine run gates/determinism_proof.lua --pack routing --forecast-id wien_small
--   gate-engine recover gates/determinism_proof.lua --tenant acme --artifacts out/
--
-- The solver runs in a fresh process each time. Run 1 is the reference; the others run under another time zone, locale, clock,
-- working directory, environment, processor and address layout (determinism.perturb). What could not be applied is a fact of the
-- report; a solver that is reached through the platform (solver.kind = "http" or "adapter") is only asked again. That identical answers
-- answer the question at all is checked too: a constant is deterministic and worth nothing.
--
-- Where this gate alone is run and breaks off, the same command goes on: answers that were there are kept for a day, and taken over where
-- nothing they depend on has changed. Run 1 is made again all the same, and must be as it was. Such a run approves nothing.

local api_solver = require "determinism.api_solver"
local causes = require "determinism.cause"
local diff = require "determinism.diff"
local errors = require "errors"
local gate = require "gate"
local hash = require "hash"
local json = require "json"
local matrix = require "determinism.matrix"
local outside = require "packs.outside"
local perturb = require "determinism.perturb"
local task = require "task"

--- What each pack is asked, and how its solver's answer is looked at.
local PACKS = {
  roster = { pack = require "packs.roster.golden", answer = require "determinism.answer" },
  routing = { pack = require "packs.routing.golden", answer = require "determinism.answer_routing" },
}

local MAX_PROBLEMS = 50
local DIFF_LINES = 40
-- How long the repeats of one condition may take, in the search for a cause.
local CAUSE_MS = 60000
local MAX_ERRORS = 5

--- The command that makes this run again, to paste; with `verb` "recover" the way out of it.
local function command(ctx, verb)
  local function word(text) return text:find("^[%w_./-]+$") and text or "'" .. text:gsub("'", "'\\''") .. "'" end
  local path = ctx.options.forecast_id.path
  return ("gate-engine %s gates/determinism_proof.lua --tenant %s --pack %s --forecast-id %s"):format(verb, word(ctx.tenant.code),
    ctx.options.pack, word(path:match("/stdlib/datasets/[%w_]+/([%w_]+)$") or path))
end

--- Parse and expand: the request, and the hash of every stage before the solver.
local function prepare(ctx)
  local name = ctx.options.pack
  local pack, answer = PACKS[name].pack, PACKS[name].answer
  local data = pack.load(ctx.files.forecast_id, outside.of(ctx))
  for _, issue in ipairs(data.forecast.issues) do
    if issue.status == "FAIL" then
      errors.raise { code = "forecast_invalid",
        message = ("%s, %s: %s: %s"):format(data.input, pack.where(issue), issue.code, issue.message),
        fix = "Correct the forecast: a proof on a part of it would prove nothing" }
    end
  end
  local work = pack.prepare(data)
  local limits = pack.limits(ctx.config.packs and ctx.config.packs[name])
  local request = pack.request(work.instances, ctx.options.seed, limits)
  return { name = name, pack = pack, answer = answer, instances = work.instances, source = work.source, limits = limits,
    request = request, question = { data = data, work = work },
    stages = { { "parse", work.input_hash }, { "expand", answer.expanded(request) }, { "request", hash.of(request) } } }
end

local function debug_log(ctx, ...)
  if ctx.config.debug_determinism or ctx.verbose then ctx:log(...) end
end

--- Who is asked: a fresh process each time, under conditions of its own, or the platform's API.
--- Runs with a number are kept, should this run break off.
local function ask(ctx, s, question, how, number)
  if not s.api then return ctx.solver:solve(s.name, question.request, { perturb = how, keep = number, again = number == 1 }) end
  return s.api:solve(question.forecast, question.request)
end

--- Opens the platform's API, or its adapter, where plans are made by it, and uploads the forecast.
local function open_api(ctx, s)
  s.asked = { request = s.request }
  if not api_solver.configured(ctx) then return end
  s.question.text = (ctx.files.forecast_id:get(s.question.data.input))
  s.api = api_solver.open(ctx, s.name, s.pack)
  s.asked.forecast = s.api:upload(s.question)
end

local function condition(s, run)
  return (s.api and api_solver.condition(run.number, s.api.way) or perturb.describe(run.parts))
    .. (run.taken_over and ", in the run that broke off" or "")
end

--- What run 1 was in a run that broke off: its hash, or nil where it gave no plan.
local function hash_before(s, earlier)
  local ok, output = pcall(json.decode, earlier.stdout)
  local list = earlier.exit == 0 and ok and s.answer.hashed(output)
  return list and { list = list, hash = hash.of(list) } or { list = json.array {}, hash = nil }
end

--- One run in a fresh process. Errors are returned in .error, with the run and its conditions, so that the others still count.
local function solve_once(ctx, s, question, number, parts, keep)
  local run = { number = number, parts = parts }
  local ok, reply = pcall(ask, ctx, s, question, perturb.merge(parts), keep and number or nil)
  if not ok then
    if not errors.is(reply) then error(reply, 0) end
    local where = ("run %d, %s"):format(number, condition(s, run))
    run.error = errors.new { code = reply.code, message = ("run %d: %s"):format(number, reply.message),
      detail = reply.detail and ("%s; %s"):format(reply.detail, where) or where, fix = reply.fix }
    return run
  end
  local list, why = s.answer.hashed(reply.output)
  if not list then
    run.error = errors.new { code = "solver_output", message = ("run %d: the solver's answer is no plan: %s"):format(number, why),
      fix = "Compare the solver's output with the protocol: " .. s.answer.PROTOCOL }
    return run
  end
  run.output, run.list, run.hash, run.duration_ms = reply.output, list, hash.of(list), reply.duration_ms
  run.taken_over, run.before = reply.taken_over, reply.earlier and hash_before(s, reply.earlier) or nil
  run.not_applied = type(reply.perturb) == "table" and reply.perturb.not_applied or nil
  return run
end

--- All runs: the reference first, then the others, as many at a time as --jobs says.
local function solve_all(ctx, s)
  local function once(number)
    local run = solve_once(ctx, s, s.asked, number, s.api and {} or perturb.parts(number), true)
    local stages = {}
    for i, stage in ipairs(s.stages) do stages[i] = ("%s %s"):format(stage[1], stage[2]) end
    debug_log(ctx, "run %d: %s, solve %s (%s)", number, table.concat(stages, ", "), run.hash or run.error.code,
      condition(s, run))
    if run.output and ctx.options.artifacts then
      ctx:artifact("artifacts", ("run%d.json"):format(number), s.answer.text(run.output, run.list))
    end
    return run
  end
  local runs = { once(1) }
  local numbers = {}
  for number = 2, ctx.options.runs do numbers[#numbers + 1] = number end
  for _, run in ipairs(task.map(numbers, s.api and s.api.jobs or ctx.jobs, once)) do
    -- A hundred answers need not be held: what equals the reference is the reference.
    if run.hash and run.hash == runs[1].hash then
      local rest = s.answer.rest(run.output)
      if hash.of(rest) ~= hash.of(s.answer.rest(runs[1].output)) then run.rest = rest end
      run.output, run.list = nil, nil
    end
    runs[run.number] = run
  end
  return runs
end

--- How many assignments of two sorted lists are not in both.
local function count_different(a, b)
  local known, n = {}, 0
  for _, item in ipairs(a) do known[hash.canonical(item)] = true end
  for _, item in ipairs(b) do
    if not known[hash.canonical(item)] then n = n + 1 end
  end
  return n
end

--- Why a run differs from the reference: more runs are made and looked at with `view`, which gives the text to compare. How many is
--- decided by how many of the runs just made differ, and by what time they take.
local function find_cause(ctx, s, reference, run, view)
  local different = 0
  for _, r in ipairs(s.runs) do
    if r.hash ~= reference.hash or r.rest then different = different + 1 end
  end
  if s.api then return api_solver.cause(different, #s.runs - 1, s.api.way) end
  local most = math.max(3, math.min(60, CAUSE_MS // math.max(1, math.ceil(reference.duration_ms))))
  local errors_seen = 0
  local ok, found = pcall(causes.find, function(how)
    local solved, reply = pcall(ctx.solver.solve, ctx.solver, s.name, s.request, { perturb = how })
    if solved then return view(reply.output) end
    errors_seen = errors_seen + 1
    if not errors.is(reply) or errors_seen > MAX_ERRORS then error(reply, 0) end
    return ("error %d"):format(errors_seen) -- like no other answer: what does not run under a condition is not held still by it
  end, view(reference.output), run.parts, causes.tries(different, #s.runs - 1, most), most)
  if ok then return found end
  return { name = "unknown", text = "not found", fix = "Check for randomness sources", smallest = {},
    evidence = errors.is(found) and found.message or tostring(found) }
end

--- Looks at the hashed part of an answer.
local function hashed_part(s)
  return function(output)
    local list = s.answer.hashed(output)
    return list and hash.of(list) or "no plan"
  end
end

--- What was found out about a difference, in words; and as facts. A difference of rounding is one of floating point, whatever brings
--- it about.
local function tell_cause(ctx, cause, ulps)
  ctx:fact("cause", ulps and "floating point" or cause.name)
  if ulps then ctx:fact("floating_point_by", cause.name) end
  ctx:fact("smallest_set", json.array(cause.smallest))
  return ("; likely cause: %s%s (%s)"):format(ulps and "floating-point numbers are added in an order that varies: " or "", cause.text,
    cause.evidence)
end

local function report_mismatch(ctx, s, reference, run, cause)
  local first = diff.first(reference.list, run.list, "$." .. s.answer.LIST)
  local ulps = diff.rounding(first.left, first.right)
  local detail = ("stage solve, %s: run 1 has %s, run %d has %s%s; %d of %d %s differ; run %d under: %s"):format(
    first.path, diff.show(first.left), run.number, diff.show(first.right), ulps and (" (%d ulp apart)"):format(ulps) or "",
    count_different(reference.list, run.list), #run.list, s.answer.LIST, run.number, condition(s, run))
  if cause then detail = detail .. tell_cause(ctx, cause, ulps) end
  ctx:fail(ulps and "float_variance" or "hash_mismatch", {
    object = ("run %d"):format(run.number), args = { tostring(run.number) }, detail = detail,
    fix = not ulps and cause and ("Check for randomness sources: " .. cause.fix) or nil,
    reproduce = ("%s --seed %d --runs %d --artifacts DIR"):format(command(ctx, "recover"), ctx.options.seed, ctx.options.runs),
  })
  s.cause = s.cause or cause
end

--- What differs outside of the hashed part: rounding is a failure all the same, the rest is for the reader to judge.
local function compare_rest(ctx, s, reference, run)
  if not run.rest then return end
  local first = diff.first(s.answer.rest(reference.output), run.rest)
  if not first then return end
  local ulps = diff.rounding(first.left, first.right)
  local detail = ("stage solve, %s: run 1 has %s, run %d has %s%s; run %d under: %s"):format(first.path, diff.show(first.left), run.number,
    diff.show(first.right), ulps and (" (%d ulp apart)"):format(ulps) or "", run.number, condition(s, run))
  if ulps then
    if not s.cause then
      s.cause = find_cause(ctx, s, reference, run, function(output) return diff.show(diff.at(output, first.keys)) end)
      detail = detail .. tell_cause(ctx, s.cause, ulps)
    end
    ctx:fail("float_variance", { object = first.path, args = { tostring(run.number) }, detail = detail })
    return true
  end
  ctx:advise("unhashed_variance", { object = first.path, args = { first.path }, detail = detail })
end

--- Run 1 as it is now against what it was when the run broke off.
local function compare_before(ctx, reference)
  local before = reference.before
  if not before or before.hash == reference.hash then return end
  local first = diff.first(reference.list, before.list, "$") or { path = "$" }
  ctx:fail("hash_mismatch", { object = "run 1 of the run that broke off", args = { "1" },
    detail = ("stage solve, %s: run 1 has %s, and had %s under the same conditions before the run broke off"):format(first.path,
      diff.show(first.left), before.hash and diff.show(first.right) or "no plan") })
end

--- The heart: every run's hash against the reference's.
local function compare_runs(ctx, s)
  local reference, failure = s.runs[1], nil
  local identical, taken_over = 0, 0
  compare_before(ctx, reference)
  for _, run in ipairs(s.runs) do
    failure = failure or run.error
    taken_over = taken_over + (run.taken_over and 1 or 0)
    if run.error or reference.error then
      identical = identical + 0
    elseif run.hash ~= reference.hash then
      local cause = not s.cause and find_cause(ctx, s, reference, run, hashed_part(s)) or nil
      report_mismatch(ctx, s, reference, run, cause)
    elseif not compare_rest(ctx, s, reference, run) then
      identical = identical + 1
    end
  end
  ctx:fact("identical_runs", identical)
  ctx:fact("taken_over", taken_over)
  if taken_over > 0 then
    ctx:log("%d of the %d answers are those of the run that broke off; run 1 was made again", taken_over, #s.runs)
  end
  if failure then error(failure, 0) end
  if identical == #s.runs and identical >= 2 then
    ctx:fact("output_hash", reference.hash)
    ctx:summary(("%d/%d runs produced identical hash%s"):format(identical, #s.runs,
      taken_over > 0 and (", %d of them in an earlier run that broke off"):format(taken_over) or ""))
  end
end

local function facts(ctx, s)
  ctx:fact("seed", ctx.options.seed)
  ctx:fact("runs", ctx.options.runs)
  ctx:fact("instances", s.pack.count(s.instances))
  ctx:fact("input_hash", s.stages[1][2])
  local conditions, missing, notes = {}, {}, {}
  for i, run in ipairs(s.runs) do
    conditions[i] = condition(s, run)
    for what, why in pairs(run.not_applied or {}) do missing[what] = tostring(why) end
    for _, part in ipairs(run.parts) do
      if part.note then notes[part.name] = part.note end
    end
  end
  if s.api then
    missing = api_solver.not_applied(s.api.way)
    ctx:fact("left_behind", s.api:left_behind())
  end
  ctx:fact("conditions", conditions)
  ctx:fact("not_applied", missing)
  ctx:fact("limits_of_conditions", notes)
  ctx:fact("not_tried", perturb.NOT_TRIED)
end

local function solver_facts(ctx, s)
  local output = s.runs[1].output
  local solver = type(output.solver) == "table" and output.solver or {}
  if type(solver.name) == "string" and type(solver.version) == "string" then
    ctx:fact("solver", ("%s %s"):format(solver.name, solver.version))
    ctx:fact("solver_config_hash", s.pack.solver_config_hash(ctx.options.seed, s.limits, solver, s.instances))
  end
  for _, name in ipairs { "drivers", "lower_bound", "distance_m", "feasible" } do
    if output[name] ~= nil then ctx:fact(name, output[name]) end
  end
end

local function report_problems(ctx, problems, prefix)
  for i, problem in ipairs(problems) do
    if i > MAX_PROBLEMS then
      ctx:fail("answer_incomplete", { object = "answer", args = { ("%d more"):format(#problems - MAX_PROBLEMS) } })
      return
    end
    ctx:fail("answer_incomplete", { object = problem.object, args = { prefix .. problem.text } })
  end
end

local function check_complete(ctx, s)
  local first = s.runs[1]
  if first.error then
    errors.raise { code = "not_evaluated", message = "there is no answer to look at: " .. first.error.message }
  end
  solver_facts(ctx, s)
  report_problems(ctx, s.answer.problems(first.output, s.instances, ctx.options.seed), "")
end

--- A question changed a little needs an answer changed with it.
local function check_control(ctx, s)
  local instances, seed = s.answer.changed(s.instances, ctx.options.seed)
  local asked = {}
  if s.api then
    local question = api_solver.changed(s.name, s.pack, s.question, ctx.files.forecast_id, outside.of(ctx))
    instances, asked.forecast = question.work.instances, s.api:upload(question)
  end
  asked.request = s.pack.request(instances, seed, s.limits)
  local run = solve_once(ctx, s, asked, ctx.options.runs + 1, {})
  if run.error then
    errors.raise { code = run.error.code, message = "control run with another seed and forecast: " .. run.error.message,
      detail = run.error.detail, fix = run.error.fix }
  end
  report_problems(ctx, s.answer.problems(run.output, instances, seed), "with another seed and forecast, ")
  ctx:fact("control", ("seed %d, %s"):format(seed, s.pack.size(instances)))
  if s.api then ctx:fact("left_behind", s.api:left_behind()) end
end

local function run(ctx)
  local s = {}
  ctx:check("forecast", function()
    for key, value in pairs(prepare(ctx)) do s[key] = value end
    local again = prepare(ctx)
    for i, stage in ipairs(s.stages) do
      if again.stages[i][2] ~= stage[2] then
        ctx:fail("hash_mismatch", { object = "stage " .. stage[1], args = { "2" },
          detail = "reading the forecast twice gives two results" })
      end
    end
  end)
  if s.request then
    ctx:check("runs identical", function()
      open_api(ctx, s)
      s.runs = solve_all(ctx, s)
      facts(ctx, s)
      compare_runs(ctx, s)
    end)
    if s.runs then
      ctx:check("answer complete", function() check_complete(ctx, s) end)
      if not s.runs[1].error then ctx:check("answer follows the input", function() check_control(ctx, s) end) end
    end
  end
  ctx:check("matrix locked", function()
    if ctx.options.pack == "routing" then matrix.check_problem(ctx, s) else matrix.check(ctx) end
  end)
  ctx:check("matrix beside OSRM", function() matrix.check_live(ctx, s.question and s.question.data.source) end)
end

--- Travel times that are not locked are recorded from the live OSRM. Returns whether that is what is wrong.
local function recover_matrix(ctx, findings)
  local unlocked = false
  for _, f in ipairs(findings) do unlocked = unlocked or f.class == "osrm_drift" end
  local routing = ctx.options.pack == "routing"
  local data
  if routing then
    local ok, why = pcall(function()
      data = PACKS.routing.pack.load(ctx.files.forecast_id, outside.of(ctx))
      if data.forecast.status ~= "FAIL" then PACKS.routing.pack.prepare(data) end
    end)
    unlocked = unlocked or not ok and errors.is(why) and why.code:find "^matrix_" ~= nil
  end
  if not unlocked then return false end
  local scenario = data and data.forecast.scenario
  local points = scenario and table.move(scenario.stops, 1, #scenario.stops, #scenario.depots + 1,
    table.move(scenario.depots, 1, #scenario.depots, 1, {})) or nil
  matrix.recover(ctx, points or matrix.known_points(ctx), routing)
  return true
end

--- The same where a recovery cannot make runs: through the platform's API each leaves a plan there.
local function recover_by_hand(ctx)
  local again = command(ctx, "run") .. (" --seed %d --runs %d"):format(ctx.options.seed, ctx.options.runs)
  ctx:apply("Run with verbose output", { note = again .. " --verbose --artifacts DIR\nDIR then holds run1.json … runN.json" })
  ctx:apply("Compare outputs line by line", { note = "diff run1.json runN.json, of a run that the gate says differs" })
  ctx:apply("Fix source of randomness", { note = api_solver.cause(1, ctx.options.runs, api_solver.configured(ctx)).fix })
  ctx:apply("Rerun gate", { note = command(ctx, "run") })
end

--- The document's recovery path: run again with everything written down, compare line by line, name the cause and the fix.
local function recover(ctx, findings)
  local unlocked = recover_matrix(ctx, findings)
  if api_solver.configured(ctx) then
    recover_by_hand(ctx)
    return
  end
  local prepared, s = pcall(prepare, ctx)
  if not prepared then
    if not unlocked then error(s, 0) end
    ctx:apply("Rerun gate", { note = command(ctx, "run") })
    return
  end
  open_api(ctx, s)
  s.runs = solve_all(ctx, s)
  local reference, other = s.runs[1], nil
  for _, r in ipairs(s.runs) do
    if not r.error and not reference.error and r.hash ~= reference.hash then other = other or r end
  end
  ctx:apply("Enable debug logging", { note = "export DEBUG_DETERMINISM=1 logs the hash of every stage of every run" })
  ctx:apply("Run with verbose output", { note = command(ctx, "run")
    .. (" --seed %d --runs %d --verbose"):format(ctx.options.seed, ctx.options.runs) })
  if other then
    local pair = ("run1.json run%d.json"):format(other.number)
    local lines = diff.lines(s.answer.text(reference.output, reference.list), s.answer.text(other.output, other.list), DIFF_LINES)
    ctx:artifact("artifacts", ("diff-1-%d.txt"):format(other.number), table.concat(
      diff.lines(s.answer.text(reference.output, reference.list), s.answer.text(other.output, other.list)), "\n") .. "\n")
    ctx:apply("Compare outputs line by line", { note = ("diff %s%s\n%s"):format(pair,
      ctx.options.artifacts and "" or " (--artifacts DIR writes them)", table.concat(lines, "\n")) })
    local cause = find_cause(ctx, s, reference, other, hashed_part(s))
    ctx:apply("Fix source of randomness", { note = ("likely cause: %s (%s). %s"):format(cause.text, cause.evidence, cause.fix) })
  else
    ctx:apply("Compare outputs line by line", { note = ("the %d runs just made are identical; "
      .. "if an earlier one was not, use more runs: --runs 100"):format(#s.runs) })
  end
  ctx:apply("Rerun gate", { note = command(ctx, "run") })
end

return gate.define {
  api = 1, id = "determinism_proof", name = "Determinism Proof", number = 2,
  purpose = "Verify reproducibility: the same forecast and seed give the same plan",
  pass = "All runs produced identical hash",
  needs = { solver = true, db = { "app" }, stores = { "matrix" }, endpoints = { "platform", "osrm" } },
  options = {
    pack = { type = "enum", choices = { "roster", "routing" }, default = "roster", help = "the pack whose solver is run" },
    forecast_id = { type = "path", access = "read", default = "gurkerl_small",
      default_by = { pack = { routing = "wien_small" } },
      search = { "stdlib/datasets/roster", "stdlib/datasets/routing" },
      help = "forecast by name, or a directory with input.txt, input.csv or (routing) input.json" },
    seed = { type = "integer", default = 94, min = -9007199254740991, max = 9007199254740991, help = "seed of every run" },
    runs = { type = "integer", default = 3, min = 2, max = 100, help = "runs, each in a fresh process" },
    artifacts = { type = "path", access = "write", help = "directory for run1.json … runN.json, created if missing" },
  },
  failures = {
    hash_mismatch = { text = "Hash mismatch on run %s", fix = "Check for randomness sources" },
    float_variance = { text = "Floating point variance", fix = "Use Decimal or round consistently" },
    osrm_drift = { text = "OSRM drift detected", fix = "Use StaticMatrix instead" },
    answer_incomplete = { text = "Solver answer is not a complete plan: %s", fix = "Check that the solver reads the whole request" },
    unhashed_variance = { text = "Runs differ outside the hashed part at %s",
      fix = "Nothing has to be done if it is a duration or a time stamp" },
  },
  run = run,
  recover = recover,
}
