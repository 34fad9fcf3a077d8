-- What stands in examples/ works as its comments say, through the binary.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"

local PLANS = support.root .. "/examples/plans/"
local AUDITS = support.root .. "/examples/audits/"

describe("the example audits", function()
  local function backtest(audit, plan)
    return support.run { "run", AUDITS .. audit .. ".lua", "--plan", PLANS .. plan }
  end

  for _, audit in ipairs { "max_two_nights", "fair_weekends" } do
    it(audit .. " passes check", function()
      local r = support.run { "check", AUDITS .. audit .. ".lua" }
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

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

  it("an audit that asks for earlier weeks is an ERROR while none can be given to it, and never a pass", function()
    local audit = support.write(support.tmpdir() .. "/sundays.lua", [[return { name = "sundays", pack = "roster", needs = { history = 2 },
      audit = function(plan, report) for _ in ipairs(plan.history or {}) do report:violation "worked" end end }]])
    local r = support.run { "run", audit, "--plan", PLANS .. "calm_week" }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("earlier week", 1, true), r.stdout)
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

  it("join the golden path with an audit: the week of nights is not locked", function()
    local r = support.run { "run", support.root .. "/gates/golden_path_e2e.lua", "--dataset", PLANS .. "night_week",
      "--audit", AUDITS .. "max_two_nights.lua" }
    assert.is_true(r.code ~= 0)
    assert.is_truthy(r.stdout:find("Audit max two night shifts: FAIL", 1, true), r.stdout)
  end)
end)
