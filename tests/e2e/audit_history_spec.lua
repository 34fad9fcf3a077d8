-- What an audit sees of the weeks before its plan's: on saved plans (run AUDIT --plan) and through the golden path.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

--- An audit that says which weeks it was given, or the body's own words.
local function audit(weeks, body)
  return support.write(support.tmpdir() .. "/audit.lua", ([[return { name = "weeks", pack = "roster", %s audit = function(plan, report)
    %s end }]]):format(weeks and ("needs = { history = %s },"):format(weeks) or "", body or [[
    local seen = {}
    for i, p in ipairs(plan.history or {}) do seen[i] = p.week.iso .. (p.history and " with a history" or "") end
    report:violation { object = plan.week.iso, detail = plan.history and table.concat(seen, ", ") or "no history" }
  ]]))
end

--- A saved plan in which one driver works one tour, moved to another week where there is such a week.
local function week(iso, more)
  local text = support.must_read "examples/plans/night_week/audit-plan.json"
  local plan = json.decode(type(iso) == "string" and iso:find "^%d%d%d%d%-W[0-5]%d$" and support.moved_week(text, iso) or text)
  plan.week.iso, plan.week.reference, plan.history = iso, nil, nil
  for k, v in pairs(more or {}) do plan[k] = v end
  return plan
end

--- So many weeks from 2026-W11 backwards.
local function weeks_before_eleven(n)
  local out = {}
  for i = 1, n do out[i] = week(("2026-W%02d"):format(12 - i)) end
  return out
end

--- A directory of files; a table is written as JSON.
local function dir(files)
  local path = support.tmpdir()
  for name, content in pairs(files) do
    support.write(path .. "/" .. name, type(content) == "table" and json.encode(content) or content)
  end
  return path
end

--- Runs an audit on plans; `seen` has what it said by check, `checks` the statuses.
local function run(script, plans)
  local report = support.tmpdir() .. "/report.json"
  local r = support.run { "run", script, "--plan", plans, "--report", "json=" .. report }
  r.report = json.decode(support.must_read(report))
  r.seen, r.checks, r.class = {}, {}, {}
  for _, c in ipairs(r.report.gates[1] and r.report.gates[1].checks or {}) do
    r.checks[c.name], r.class[c.name], r.seen[c.name] = c.status, c.class, c.status == "FAIL" and c.detail or c.failure
    if c.status == "SKIP" then r.seen[c.name] = c.detail end
  end
  return r
end

describe("run AUDIT --plan", function()
  it("gives an audit as many of a plan's own earlier weeks as it asks for, and one that asks for none none", function()
    local plans = dir { ["w.json"] = week("2026-W12", { history = { week "2026-W11", week "2026-W09", week "2025-W52" } }) } .. "/w.json"
    assert.equal("2026-W11, 2026-W09", run(audit(2), plans).seen.weeks)
    assert.equal("2026-W11, 2026-W09, 2025-W52", run(audit(3), plans).seen.weeks)
    assert.equal("no history", run(audit(nil), plans).seen.weeks)
  end)

  it("is an ERROR that says how many weeks there are where they are too few", function()
    local plans = dir { ["w.json"] = week("2026-W12", { history = { week "2026-W11" } }) } .. "/w.json"
    local r = run(audit(2), plans)
    assert.same({ 3, "history_short", "the audit needs 2 earlier weeks, and there is 1 before 2026-W12" },
      { r.code, r.class.weeks, r.seen.weeks })
    r = run(audit(2), dir { ["audit-plan.json"] = week "2026-W12" })
    assert.same({ 3, "history_short", "the audit needs 2 earlier weeks, and there are 0 before 2026-W12" },
      { r.code, r.class.weeks, r.seen.weeks })
  end)

  it("takes the earlier weeks of the directory, and skips those which have too few before them", function()
    -- named so that the order of the names is not that of the weeks
    local plans = dir { ["d.json"] = week "2026-W02", ["a.json"] = week "2026-W01", ["c.json"] = week "2025-W52",
      ["b/audit-plan.json"] = week "2026-W04", ["notes.txt"] = "no plan" }
    local r = run(audit(2), plans)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.same({ ["c.json"] = "SKIP", ["a.json"] = "SKIP", ["d.json"] = "FAIL", ["b/audit-plan.json"] = "FAIL" }, r.checks)
    assert.equal("the audit needs 2 earlier weeks, and there are 0 before 2025-W52", r.seen["c.json"])
    assert.equal("2026-W01, 2025-W52", r.seen["d.json"])
    assert.equal("2026-W02, 2026-W01", r.seen["b/audit-plan.json"])

    r = run(audit(2, ""), plans)
    assert.same({ 0, "PASS", "2 of 4 plans judged, the others are history alone" },
      { r.code, r.report.status, r.report.gates[1].summary })
    r = run(audit(4, ""), plans)
    assert.equal(3, r.code, "none of them was judged")
    assert.same({ "ERROR", "history_short" }, { r.checks["b/audit-plan.json"], r.class["b/audit-plan.json"] })
    assert.equal("the audit needs 4 earlier weeks, and there are 3 before 2026-W04", r.seen["b/audit-plan.json"])
  end)

  it("takes a plan's own history rather than the directory's, which is stripped of histories", function()
    local r = run(audit(1), dir { ["a.json"] = week "2026-W10",
      ["b.json"] = week("2026-W11", { history = { week "2026-W03" } }), ["c.json"] = week "2026-W12" })
    assert.same({ "SKIP", "2026-W03", "2026-W11" }, { r.checks["a.json"], r.seen["b.json"], r.seen["c.json"] })
  end)

  it("does not guess which of two plans of one week was locked", function()
    local r = run(audit(1), dir { ["a.json"] = week "2026-W10", ["b.json"] = week "2026-W10", ["c.json"] = week "2026-W11" })
    assert.same({ 3, "plan_history", "two plans are of 2026-W10: a.json and b.json" }, { r.code, r.class["c.json"], r.seen["c.json"] })
    r = run(audit(1), dir { ["a.json"] = week "2026-W10", ["c.json"] = week "2026-W11", ["d.json"] = week "2026-W11" })
    local both = "two plans are of 2026-W11: c.json and d.json"
    assert.same({ 3, both, both }, { r.code, r.seen["c.json"], r.seen["d.json"] })
  end)

  it("refuses a history out of order, of another pack, or of the plan's own week", function()
    for expected, history in pairs {
      ["history[2]: expected a week before 2026-W10, found 2026-W11"] = { week "2026-W10", week "2026-W11" },
      ["history[1]: expected a week before 2026-W12, found 2026-W12"] = { week "2026-W12", week "2026-W11" },
      ["history[2]: pack: expected \"roster\" or \"routing\", found \"rooster\""] =
        { week "2026-W11", week("2026-W10", { pack = "rooster" }) },
      ["history[1]: the plan: expected an object, found 7"] = { 7, 7 },
      ["history[2]: expected a week without a history of its own"] =
        { week "2026-W11", week("2026-W10", { history = { week "2026-W09" } }) },
      ["history[3]: week.iso: expected an ISO week such as \"2026-W10\", found \"2025-W53\""] =
        { week "2026-W11", week "2026-W10", week "2025-W53" },
      ["history[1]: week.iso: expected an ISO week such as \"2026-W10\", found \"\\u001B[31m\\u{202e}\""] =
        { week "\27[31m\u{202e}", week "2026-W10" },
      ["history: expected a list of plans, newest first, found an object"] = { a = 1 },
      ["history: expected a list of plans, newest first, found \"2026-W11\""] = "2026-W11",
      ["history: expected at most 8 weeks, found 9"] = weeks_before_eleven(9),
    } do
      local r = run(audit(2), dir { ["audit-plan.json"] = week("2026-W12", { history = history }) })
      assert.same({ 3, expected }, { r.code, r.seen.weeks })
      assert.is_nil((r.stdout .. r.stderr):find "\27")
      assert.is_nil((r.stdout .. r.stderr):find("\u{202e}", 1, true))
    end
  end)

  it("refuses a plan of another pack, naming both", function()
    local routing = json.decode(support.must_read "examples/plans/vienna_day/audit-plan.json")
    local r = run(audit(nil), dir { ["audit-plan.json"] = routing })
    assert.same({ 3, "audit_pack", "the audit is for plans of the pack roster, and this one is of routing" },
      { r.code, r.class.weeks, r.seen.weeks })
  end)

  it("sees as many weeks as a history may have", function()
    local r = run(audit(8), dir { ["audit-plan.json"] = week("2026-W12", { history = weeks_before_eleven(8) }) })
    assert.same({ 1, "2026-W11, 2026-W10, 2026-W09, 2026-W08, 2026-W07, 2026-W06, 2026-W05, 2026-W04" }, { r.code, r.seen.weeks })
  end)

  it("judges the other plans of a directory where one is broken, and does not pass", function()
    local r = run(audit(1, ""), dir { ["a.json"] = week "2026-W10", ["b.json"] = "{", ["c.json"] = week "2026-W11" })
    assert.same({ 3, "SKIP", "ERROR", "PASS" }, { r.code, r.checks["a.json"], r.checks["b.json"], r.checks["c.json"] })
  end)

  local deep = ("["):rep(100000) .. ("]"):rep(100000)
  local plain = json.encode(week "2026-W12")
  for title, case in pairs {
    ["is empty"] = { "", "audit_plan" },
    ["is no JSON"] = { "plan", "audit_plan" },
    ["is a list"] = { "[]", "plan_shape" },
    ["is nested deeply"] = { deep, "audit_plan" },
    ["hides deep nesting in a field"] = { plain:gsub("}$", ',"x":' .. deep .. "}"), "audit_plan" },
    ["says a key twice"] = { plain:gsub("}$", ',"pack":"roster"}'), "audit_plan" },
    ["holds a number that is too large"] = { plain:gsub("}$", ',"x":1' .. ("0"):rep(400) .. "}"), "audit_plan" },
    ["holds a real that is too large"] = { plain:gsub("}$", ',"x":1e999}'), "audit_plan" },
    ["is not UTF-8"] = { plain:gsub("}$", ',"x":"\xff"}'), "audit_plan" },
    ["ends in the middle"] = { plain:sub(1, -2), "audit_plan" },
    ["has no week"] = { json.encode(week("2026-W12", { week = json.null })), "plan_week" },
    ["has a week that does not exist"] = { json.encode(week "2025-W53"), "plan_week" },
    ["has a number for a week"] = { json.encode(week(202612)), "plan_week" },
    ["has a week with more in it"] = { json.encode(week "2026-W12\n"), "plan_week" },
    ["has no schema"] = { json.encode(week("2026-W12", { schema = json.null })), "plan_shape" },
    ["has no drivers"] = { json.encode(week("2026-W12", { drivers = json.null })), "plan_shape" },
    ["has an object for its assignments"] = { json.encode(week("2026-W12", { assignments = { a = 1 } })), "plan_shape" },
    ["has nobody at work"] = { json.encode(week("2026-W12", { drivers = json.array {}, assignments = json.array {} })), "plan_empty" },
    ["says a sum that is not the sum"] = { (json.encode(week "2026-W12"):gsub('"tours":1', '"tours":2')), "plan_contradiction" },
  } do
    it("is an ERROR on a plan that " .. title, function()
      local r = run(audit(nil), dir { ["audit-plan.json"] = case[1] })
      assert.same({ 3, "ERROR", case[2] }, { r.code, r.checks.weeks, r.class.weeks }, r.stdout .. r.stderr)
    end)
  end

  it("looks into no plan among several that has more values than a week has, and leaves what is alone to the contained process", function()
    local many = "[" .. ("{},"):rep(2000000) .. "{}]"
    local r = run(audit(1), dir { ["a.json"] = week "2026-W10", ["b.json"] = week "2026-W11", ["c.json"] = many })
    assert.same({ 1, "FAIL", "ERROR", "plan_too_large" }, { r.code, r.checks["b.json"], r.checks["c.json"], r.class["c.json"] })
    assert.equal("a plan among several has more than 8 MB, or 500000 values", r.seen["c.json"])
    r = run(audit(1), dir { ["audit-plan.json"] = many })
    assert.same({ 3, "ERROR" }, { r.code, r.checks.weeks })
    assert.is_true(r.class.weeks == "audit_memory" or r.class.weeks == "plan_shape", r.class.weeks)
  end)

  it("lists the weeks that served as history alone with their reason, in the text and in each report", function()
    local plans = dir { ["a.json"] = week "2026-W10", ["b.json"] = week "2026-W11" }
    local junit = support.tmpdir() .. "/r.xml"
    local r = support.run { "run", audit(1, ""), "--plan", plans, "--report", "junit=" .. junit }
    assert.equal(0, r.code)
    local reason = "the audit needs 1 earlier week, and there are 0 before 2026-W10"
    local said = "PASS - 1 of 2 plans judged, the others are history alone\n     SKIP - a.json: " .. reason .. "\n"
    assert.is_truthy(r.stdout:find(said, 1, true), r.stdout)
    local xml = support.must_read(junit)
    assert.is_truthy(xml:find('<skipped message="' .. reason .. '" />', 1, true), xml)
    assert.is_truthy(xml:find('tests="2" failures="0" errors="0" skipped="1"', 1, true), xml)
    local seen = run(audit(1, ""), plans)
    assert.same({ "SKIP", reason }, { seen.checks["a.json"], seen.seen["a.json"] })
  end)

  it("is an ERROR where a directory holds no plan", function()
    local r = run(audit(nil), dir { ["notes.txt"] = "" })
    assert.same({ 3, "plan_missing" }, { r.code, r.report.error.code })
  end)

  it("is an ERROR where a directory of artifacts holds another plan besides", function()
    for _, other in ipairs { "b.json", "b/audit-plan.json" } do
      local r = run(audit(nil), dir { ["audit-plan.json"] = week "2026-W10", [other] = week "2026-W11", ["plan.json"] = "{}" })
      assert.same({ 3, "plan_ambiguous" }, { r.code, r.report.error.code })
      assert.is_truthy(r.report.error.message:find("and another plan, b", 1, true), r.report.error.message)
    end
    assert.same(1, run(audit(nil), dir { ["audit-plan.json"] = week "2026-W10", ["plan.json"] = "{}" }).code)
  end)
end)

describe("the golden path", function()
  setup(function()
    support.platform_start("weekly", "another", "exact", "changed", "mixed", "noweek", "rolling", "short", "unnamed")
  end)
  teardown(function() support.run { "platform", "stop" } end)

  local function psql(sql)
    local r = support.run { "platform", "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql }
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end

  local MONDAYS = "Mo 08:00-16:00\nMi 08:00-16:00\n"

  --- Validates a week of a tenant. `seen` has what the audit "weeks" said.
  local function validate(tenant, iso, more)
    more = more or {}
    local report = support.tmpdir() .. "/report.json"
    local data = dir { ["input.txt"] = more.input or MONDAYS, ["manifest.json"] = iso and { week = iso } or { seed = 94 } }
    local argv = { "run", support.root .. "/gates/golden_path_e2e.lua", "--tenant", tenant, "--dataset", data,
      "--report", "json=" .. report }
    for _, word in ipairs(more.argv or {}) do argv[#argv + 1] = word end
    local r = support.run { argv = argv }
    r.gate = json.decode(support.must_read(report)).gates[1]
    for _, c in ipairs(r.gate.checks) do
      if c.name == "Audit weeks" then r.status, r.class, r.seen = c.status, c.class, c.status == "FAIL" and c.detail or c.failure end
    end
    return r
  end

  local function lock(tenant, iso, input)
    local r = validate(tenant, iso, { input = input })
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end

  it("gives an audit the tenant's last locked weeks, and what it writes gets the same verdict again", function()
    for _, iso in ipairs { "2026-W08", "2026-W10", "2026-W11", "2026-W11", "2026-W12" } do lock("weekly", iso) end
    for _, iso in ipairs { "2026-W09", "2026-W11" } do lock("another", iso) end
    assert.equal(1, validate("weekly", "2026-W09", { argv = { "--audit", audit(nil) } }).code) -- stays a draft
    lock("weekly", nil)                                                                       -- of no week
    local out, three = support.tmpdir(), audit(3)
    local r = validate("weekly", "2026-W12", { argv = { "--audit", three, "--artifacts", out } })
    assert.same({ 1, "FAIL", "2026-W11, 2026-W10, 2026-W08" }, { r.code, r.status, r.seen }, r.stdout)
    local again = run(three, out)
    assert.same({ 1, "2026-W11, 2026-W10, 2026-W08" }, { again.code, again.seen.weeks })
    support.shell("/usr/bin/python3 tests/support/validate_report.py stdlib/schema/audit-plan-1.json "
      .. support.quote(out .. "/audit-plan.json"))
    assert.equal("2026-W11", run(audit(1), out).seen.weeks)
    assert.equal("no history", run(audit(nil), out).seen.weeks)
  end)

  it("locks a plan whose audit of its history passes, which then is history itself", function()
    for n, iso in ipairs { "2026-W10", "2026-W11", "2026-W12" } do
      local r = validate("rolling", iso, { argv = n > 1 and { "--audit", audit(n - 1, "") } or nil })
      assert.same({ 0, "PASS" }, { r.code, n > 1 and r.status or "PASS" }, r.stdout .. r.stderr)
    end
  end)

  it("shows the plans that were locked, and not what their tables hold since", function()
    lock("exact", "2026-W10", "Mo 08:00-16:00\n")
    lock("exact", "2026-W10", "Di 08:00-16:00\nDi 09:00-17:00\n")
    local days = audit(1, [[local a = plan.history[1].assignments
      report:violation { detail = #a .. " " .. a[1].weekday .. " " .. a[1].date .. " " .. a[2].start }]])
    local r = validate("exact", "2026-W11", { argv = { "--audit", days } })
    assert.same({ "FAIL", "2 tuesday 2026-03-03 2026-03-03T09:00" }, { r.status, r.seen }, r.stdout)
  end)

  it("is of the same pack", function()
    lock("mixed", "2026-W10")
    psql [[alter table public.plan_versions disable trigger user;
      update public.plan_versions p set pack_id = 'routing' from core.tenants t where t.id = p.tenant_id and t.code = 'mixed';
      alter table public.plan_versions enable trigger user]]
    local r = validate("mixed", "2026-W11", { argv = { "--audit", audit(1) } })
    assert.same({ 3, "audit weeks needs 1 locked week(s) before 2026-W11, and the tenant has 0" }, { r.code, r.seen }, r.stdout)
  end)

  it("is an ERROR that says how many weeks there are where they are too few, for that audit alone", function()
    lock("short", "2026-W10")
    local out = support.tmpdir()
    local other = support.write(support.tmpdir() .. "/other.lua", [[return { name = "other", pack = "roster", audit = function() end }]])
    local r = validate("short", "2026-W11", { argv = { "--audit", audit(2), "--audit", other, "--artifacts", out } })
    assert.same({ 3, "ERROR", "history_short", "audit weeks needs 2 locked week(s) before 2026-W11, and the tenant has 1" },
      { r.code, r.status, r.class, r.seen }, r.stdout)
    for _, c in ipairs(r.gate.checks) do
      if c.name == "Audit other" then assert.equal("PASS", c.status) end
      if c.name == "Lock" then assert.equal("ERROR", c.status) end
    end
    local again = run(audit(2), out)
    assert.same({ 3, r.class, "the audit needs 2 earlier weeks, and there is 1 before 2026-W11" },
      { again.code, again.class.weeks, again.seen.weeks })
  end)

  it("is an ERROR where the dataset names no week, and the plan it writes says that its week stands in", function()
    local out = support.tmpdir()
    local r = validate("unnamed", nil, { argv = { "--audit", audit(1), "--artifacts", out } })
    assert.same({ 3, "ERROR", "history_short", "audit weeks needs 1 locked week(s), and the dataset names no week" },
      { r.code, r.status, r.class, r.seen }, r.stdout)
    assert.equal("none: the dataset names no week, and the dates are those of 2024-W01", r.gate.facts.week)
    local plan = json.decode(support.must_read(out .. "/audit-plan.json"))
    assert.same({ "2024-W01", true }, { plan.week.iso, plan.week.reference })
    support.shell("/usr/bin/python3 tests/support/validate_report.py stdlib/schema/audit-plan-1.json "
      .. support.quote(out .. "/audit-plan.json"))
    local why = "its dataset names no week, so that nobody knows which weeks came before it"
    for _, plans in ipairs { out, dir { ["a.json"] = week "2023-W52", ["b.json"] = plan, ["c.json"] = week "2024-W02" } } do
      local again = run(audit(1), plans)
      local name = plans == out and "weeks" or "b.json"
      assert.same({ plans == out and 3 or 1, "plan_week", why }, { again.code, again.class[name], again.seen[name] })
      -- nor is it the week before another one
      assert.equal(plans ~= out and "2023-W52" or nil, again.seen["c.json"])
    end
    assert.same({ 1, "no history" }, { run(audit(nil), out).code, run(audit(nil), out).seen.weeks })
  end)

  it("fails at Parse on a week that does not exist", function()
    local r = validate("noweek", "2025-W53")
    assert.equal(1, r.code)
    assert.is_truthy(r.stdout:find("Stage Parse failed: 2025-W53 is not an ISO week", 1, true), r.stdout)
  end)

  it("is an ERROR of those audits alone which ask for it where an earlier plan is not the one that was locked", function()
    lock("changed", "2026-W10")
    psql [[alter table public.assignments disable trigger user;
      update public.assignments set driver_id = 'D999' where plan_version_id in (select p.id from public.plan_versions p
        join core.tenants t on t.id = p.tenant_id where t.code = 'changed');
      alter table public.assignments enable trigger user]]
    local other = support.write(support.tmpdir() .. "/other.lua", [[return { name = "other", pack = "roster", audit = function() end }]])
    local r = validate("changed", "2026-W11", { argv = { "--audit", audit(1), "--audit", other } })
    assert.same({ 3, "ERROR" }, { r.code, r.status }, r.stdout)
    assert.is_truthy(r.seen:find("output hash worked out from the assignments of 2026-W10: expected", 1, true), r.seen)
    for _, c in ipairs(r.gate.checks) do
      if c.name == "Audit other" then assert.equal("PASS", c.status) end
    end
  end)
end)
