-- What stands in examples/ works as its comments say, through the binary.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"

local PLANS = support.root .. "/examples/plans/"
local AUDITS = support.root .. "/examples/audits/"

describe("the example audits", function()
  local function backtest(audit, plan)
    return support.run { "run", AUDITS .. audit .. ".lua", "--plan", PLANS .. plan }
  end

  for _, audit in ipairs { "max_two_nights", "fair_weekends", "three_sundays", "home_by_six" } do
    it(audit .. " passes check", function()
      local r = support.run { "check", AUDITS .. audit .. ".lua" }
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)
  end

  for _, audit in ipairs { "max_two_nights", "fair_weekends" } do

    it(audit .. " passes the calm week", function()
      local r = backtest(audit, "calm_week")
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)
  end

  it("max_two_nights fails the week of nights, naming the driver and the nights", function()
    local r = backtest("max_two_nights", "night_week")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("     - D002: 3 night shifts: monday, tuesday, wednesday\n", 1, true), r.stdout)
  end)

  it("three_sundays fails the third week of Sunday work, and takes the first two for its history", function()
    local r = backtest("three_sundays", "sunday_weeks")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("     - D002: works the Sunday of 2026-W12 and the two before it\n", 1, true), r.stdout)
    assert.is_truthy(r.stdout:find("SKIP - 2026-W11.json: the audit needs 2 earlier weeks, and there is 1 before 2026-W11", 1, true))
  end)

  it("three_sundays passes four weeks with a Sunday off between them", function()
    local r = backtest("three_sundays", "four_weeks")
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("three_sundays gives one week alone no pass, nor weeks of which none has enough before it", function()
    local two = support.tmpdir()
    support.shell(("cp %ssunday_weeks/2026-W1[01].json %s"):format(PLANS, two))
    for _, plan in ipairs { PLANS .. "calm_week", PLANS .. "sunday_weeks/2026-W12.json", two } do
      local r = support.run { "run", AUDITS .. "three_sundays.lua", "--plan", plan }
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("the audit needs 2 earlier weeks, and there", 1, true), r.stdout)
    end
  end)

  it("three_sundays is an error that names the week which is missing between others, and never a pass", function()
    local dir = support.tmpdir()
    for _, week in ipairs { "2026-W08", "2026-W09", "2026-W12" } do
      local plan = support.must_read(PLANS .. "sunday_weeks/2026-W12.json")
      if week ~= "2026-W12" then
        -- The same week earlier: its name, and the dates of its days.
        local shift = (12 - tonumber(week:sub(-2))) * 7
        plan = plan:gsub("2026%-W12", week):gsub("2026%-03%-(%d%d)", function(day)
          local d = tonumber(day) - shift
          return d > 0 and ("2026-03-%02d"):format(d) or ("2026-02-%02d"):format(28 + d)
        end)
      end
      support.write(dir .. "/" .. week .. ".json", plan)
    end
    local r = support.run { "run", AUDITS .. "three_sundays.lua", "--plan", dir }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    local why = "three_sundays.lua:25: there is no locked plan of 2026-W11, 1 week before 2026-W12, to look at\n"
    assert.is_truthy(r.stdout:find(why, 1, true), r.stdout)
  end)

  it("three_sundays passes four weeks of which the first or the last is missing, and none where one is missing between them", function()
    for missing, code in pairs { ["2026-W10"] = 0, ["2026-W11"] = 3, ["2026-W12"] = 3, ["2026-W13"] = 0 } do
      local dir = support.tmpdir()
      support.shell(("cp %sfour_weeks/*.json %s && rm %s/%s.json"):format(PLANS, dir, dir, missing))
      local r = support.run { "run", AUDITS .. "three_sundays.lua", "--plan", dir }
      assert.equal(code, r.code, missing .. ": " .. r.stdout .. r.stderr)
    end
  end)

  it("home_by_six passes the short day, and names the vehicle that is late and when it is back", function()
    assert.equal(0, backtest("home_by_six", "vienna_day").code)
    local r = backtest("home_by_six", "vienna_late")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("     - V2: back at 18:10, at the latest 18:00\n", 1, true), r.stdout)
  end)

  it("an audit of one pack gives a plan of another no pass", function()
    for audit, plan in pairs { home_by_six = "calm_week", max_two_nights = "vienna_day" } do
      local r = backtest(audit, plan)
      assert.equal(3, r.code, r.stdout)
      assert.is_truthy(r.stdout:find("and this one is of", 1, true), r.stdout)
    end
  end)

  it("hostile plan files are errors", function()
    local week = support.must_read(PLANS .. "sunday_weeks/2026-W12.json")
    local cases = { ("["):rep(100000), "", "7", "null", "[]", "{}", '{"week":7}', '{"week":{"iso":"2026-W12"},"week":{"iso":"x"}}',
      '{"pack":"roster","week":{"iso":1e999},"history":[]}', '{"pack":"roster","history":7,"week":{"iso":"2026-W12"}}', week:sub(1, -20),
      "\xff\xfe" .. week }
    for i, text in ipairs(cases) do
      local file = support.write(support.tmpdir() .. "/audit-plan.json", text)
      local r = support.run { "run", AUDITS .. "three_sundays.lua", "--plan", file }
      assert.equal(3, r.code, i .. ": " .. r.stdout .. r.stderr)
    end
  end)

  it("fair_weekends fails the week whose weekend one driver works alone", function()
    local r = backtest("fair_weekends", "night_week")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("     - D001: 2 weekend days, another driver has 0\n", 1, true), r.stdout)
  end)
end)

describe("the saved plans of the examples", function()
  for _, week in ipairs { "calm_week", "night_week" } do
    it(week .. " is what the golden path makes of its forecast", function()
      local dir = support.tmpdir()
      local r = support.run { "run", support.root .. "/gates/golden_path_e2e.lua", "--dataset", PLANS .. week, "--artifacts", dir }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.equal(support.must_read(PLANS .. week .. "/audit-plan.json"), support.must_read(dir .. "/audit-plan.json"))
    end)
  end

  for _, dir in ipairs { "four_weeks", "sunday_weeks" } do
    it(dir .. " are what the golden path makes of their forecasts, week by week", function()
      for line in io.popen(("ls %s%s/*.txt"):format(PLANS, dir)):lines() do
        local week, data, out = line:match "([^/]+)%.txt$", support.tmpdir(), support.tmpdir()
        support.write(data .. "/input.txt", support.must_read(line))
        support.write(data .. "/manifest.json", ('{ "pack": "roster", "week": "%s", "seed": 94 }'):format(week))
        local r = support.run { "run", support.root .. "/gates/golden_path_e2e.lua", "--dataset", data, "--artifacts", out }
        assert.equal(0, r.code, r.stdout .. r.stderr)
        assert.equal(support.must_read(line:gsub("%.txt$", ".json")), support.must_read(out .. "/audit-plan.json"))
      end
    end)
  end

  it("are of the published schemas", function()
    for _, case in ipairs { { "audit-plan-1", "calm_week/audit-plan.json" }, { "audit-plan-1", "sunday_weeks/2026-W12.json" },
      { "audit-plan-routing-1", "vienna_day/audit-plan.json" }, { "audit-plan-routing-1", "vienna_late/audit-plan.json" } } do
      support.shell(("/usr/bin/python3 tests/support/validate_report.py stdlib/schema/%s.json %s%s"):format(case[1], PLANS, case[2]))
    end
  end)

  it("join the golden path with an audit: the week of nights is not locked", function()
    local r = support.run { "run", support.root .. "/gates/golden_path_e2e.lua", "--dataset", PLANS .. "night_week",
      "--audit", AUDITS .. "max_two_nights.lua" }
    assert.is_true(r.code ~= 0)
    assert.is_truthy(r.stdout:find("Audit max two night shifts: FAIL", 1, true), r.stdout)
  end)
end)

describe("the history of an audit in the golden path", function()
  local env = { GATE_ENGINE_STATE = support.tmpdir() .. "/state" }
  local GATE = support.root .. "/gates/golden_path_e2e.lua"

  --- A dataset of one week, whose forecast is a saved plan's.
  local function week(name, source)
    local dir = support.tmpdir()
    support.write(dir .. "/input.txt", support.must_read(PLANS .. source))
    support.write(dir .. "/manifest.json", ('{ "pack": "roster", "week": "%s", "seed": 94 }'):format(name))
    return dir
  end

  local function golden(tenant, name, ...)
    return support.run { argv = { "run", GATE, "--tenant", tenant, "--dataset", week(name, "sunday_weeks/2026-W10.txt"), ... }, env = env }
  end

  local SUNDAYS = AUDITS .. "three_sundays.lua"

  setup(function()
    local r = support.run { argv = { "platform", "start" }, env = env }
    assert.equal(0, r.code, r.stderr)
    support.make_tenants(env, "acme", "other")
  end)
  teardown(function() support.run { argv = { "platform", "stop" }, env = env } end)

  it("is the tenant's last locked weeks: too few are an ERROR, enough of them a verdict", function()
    assert.equal(0, golden("acme", "2026-W10").code)
    local short = golden("acme", "2026-W11", "--audit", SUNDAYS)
    assert.equal(3, short.code, short.stdout .. short.stderr)
    assert.is_truthy(short.stdout:find("needs 2 locked week(s) before 2026-W11, and the tenant has 1", 1, true), short.stdout)
    assert.equal(0, golden("acme", "2026-W11").code)
    local out = support.tmpdir()
    local third = golden("acme", "2026-W12", "--audit", SUNDAYS, "--artifacts", out)
    assert.equal(1, third.code, third.stdout .. third.stderr)
    assert.is_truthy(third.stdout:find("Audit no three Sundays in a row: FAIL", 1, true), third.stdout)
    -- The saved plan holds its history: the audit says the same of it.
    local again = support.run { "run", SUNDAYS, "--plan", out }
    assert.equal(1, again.code, again.stdout .. again.stderr)
    assert.is_truthy(again.stdout:find("D002: works the Sunday of 2026-W12", 1, true), again.stdout)
    support.shell("/usr/bin/python3 tests/support/validate_report.py stdlib/schema/audit-plan-1.json " .. out .. "/audit-plan.json")
  end)

  it("is never another tenant's, nor a later week's, nor the plan's own", function()
    local other = golden("other", "2026-W12", "--audit", SUNDAYS)
    assert.equal(3, other.code, other.stdout)
    assert.is_truthy(other.stdout:find("and the tenant has 0", 1, true), other.stdout)
    local first = golden("acme", "2026-W10", "--audit", SUNDAYS)
    assert.equal(3, first.code, first.stdout)
    assert.is_truthy(first.stdout:find("before 2026-W10, and the tenant has 0", 1, true), first.stdout)
  end)
end)
