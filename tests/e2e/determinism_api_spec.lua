-- Gate 2 where plans are made by the platform's API: it asks again and again, and says that this is all it can do. The embedded platform
-- stands behind a real HTTP server (tests/support/platform_api.py).
package.path = "tests/e2e/?.lua;" .. package.path
local api = require "api"
local support = require "support"

local FORECAST = "# a week\nMo 06:00-14:00\nMo 14:00-22:00 2 Fahrer Depot Nord\nDi 06:00-10:00 + 15:00-19:00\nDo 22:00-06:00\n"

describe("the determinism proof through the platform's API", function()
  setup(api.setup)
  after_each(api.stop)
  teardown(api.teardown)

  ---@param options {faults: table?, key: string?, argv: string[]?, forecast: string?, verb: string?, more: string?}?
  local function run(options)
    options = options or {}
    local argv = { "--forecast-id", options.forecast or support.write(support.tmpdir() .. "/input.txt", FORECAST) }
    options.argv = table.move(options.argv or {}, 1, #(options.argv or {}), #argv + 1, argv)
    return api.run("gates/determinism_proof.lua", options)
  end

  local function finding(r, class)
    for _, check in ipairs(r.gate.checks) do
      if check.class == class then return check end
    end
  end

  it("passes where every plan of a forecast and seed is the same, and says that nothing could be varied", function()
    local r = run { argv = { "--runs", "4" } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "✅ PASS - 4/4 runs produced identical hash")
    local facts = r.gate.facts
    for _, part in ipairs { "time zone", "locale", "clock", "working directory", "environment", "hash seeds", "malloc fill",
      "processor features", "processor", "file order", "address layout" } do
      support.has(tostring(facts.not_applied[part]), "it is only asked again")
    end
    assert.same({ "as the platform has it", facts.conditions[2], facts.conditions[2], facts.conditions[2] }, facts.conditions)
    -- Two forecasts and five plans: four of the forecast, one of the control, which has another seed.
    local seeds = api.psql(([[select string_agg(p.seed || ' ' || p.n, ', ' order by p.seed) from (
      select seed, count(*) as n from plan_versions p where p.forecast_version_id::text in ('%s') group by seed) p]]):format(
      facts.left_behind:match("^forecasts ([%x-, ]+) of"):gsub(", ", "','")))
    assert.equal("94 4, 95 1", seeds)
    assert.equal("seed 95, 5 tours", facts.control)
    assert.equal(2, select(2, facts.left_behind:match("^forecasts ([%x-, ]+) of"):gsub("[%x-]+", "")))
    assert.equal(facts.output_hash, api.psql(([[select distinct output_hash from plan_versions where seed = 94
      and forecast_version_id = '%s']]):format(facts.left_behind:match "^forecasts ([%x-]+)")))
    assert.is_nil((r.stdout .. r.stderr):find(api.KEY, 1, true))
  end)

  it("passes on the routing pack, with the matrix that the platform holds", function()
    local r = run { forecast = "wien_small", argv = { "--pack", "routing" } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("aef483f890d719415389f02f78aa83b22cda94e9ba09e49b208768dd5b7a06e1", r.gate.facts.output_hash)
    support.has(r.gate.facts.control, "9 stops")
  end)

  it("finds one plan of three that is another, names where, and does not invent a cause", function()
    local dir = support.tmpdir() .. "/out"
    local r = run { faults = { ["POST /plans/solve"] = { "none", "wander" } }, argv = { "--artifacts", dir } }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "❌ FAIL - Hash mismatch on run ", "Fix: Check for randomness sources")
    local found = finding(r, "hash_mismatch")
    support.has(found.detail, "stage solve, $.assignments[", "1 of 2 repetitions differ", "not to be told through an API")
    support.has(found.fix, 'solver = { kind = "command"')
    assert.equal("unknown", r.gate.facts.cause)
    local number = found.object:match "%d+"
    assert.are_not.equal(support.must_read(dir .. "/run1.json"), support.must_read(dir .. "/run" .. number .. ".json"))
  end)

  it("is an error where the platform gives the plan that it made before", function()
    local r = run { faults = { ["POST /plans/solve"] = { "none", "again" } } }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "a second time: nothing was solved anew")
    assert.is_nil(r.stdout:find("PASS -", 1, true))
  end)

  it("fails where the platform makes every plan for the first question", function()
    local r = run { faults = { ["POST /plans/solve"] = { "none", "forget", "forget", "forget" } } }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "with another seed and forecast, ")
  end)

  it("is an error where the platform understands another forecast", function()
    local r = run { faults = { ["GET /forecasts"] = { "lie" } } }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "the platform has 5 of the forecast's 6 instances")
  end)

  it("makes no plan twice where an answer is lost", function()
    local r = run { faults = { ["POST /plans/solve"] = { "drop_after" } } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(5, select(2, r.log:gsub("POST /plans/solve ", "")))
    assert.equal("3", api.psql(("select count(*) from plan_versions where seed = 94 and forecast_version_id = '%s'"):format(
      r.gate.facts.left_behind:match "^forecasts ([%x-]+)")))
  end)

  it("is an error, never a pass, where the platform is down, refuses the key or breaks in one run", function()
    local port = api.start {}
    api.stop()
    for _, case in ipairs { { port = port }, { key = "another-key-4711" }, { faults = { ["POST /plans/solve"] = { "none", "500" } } } } do
      local r = run(case)
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_nil(r.stdout:find("PASS -", 1, true))
    end
  end)

  it("proposes what to do, and makes no plan in a recovery", function()
    local before = api.stored()
    local r = run { verb = "recover", faults = { ["POST /plans/solve"] = { "none", "wander", "none", "none" } } }
    support.has(r.stdout, "Run with verbose output", "diff run1.json runN.json", 'solver = { kind = "command"', "Rerun gate")
    -- The run before the recovery left its two.
    assert.equal(before + 2, api.stored())
  end)

  it("needs the tenant for validations, and an endpoint of the platform's own", function()
    local dir = support.tmpdir()
    local config = support.write(dir .. "/conf.lua", 'return { platform = "external", solver = { kind = "http", endpoint = "platform" },'
      .. ' endpoints = { platform = { url = "http://127.0.0.1:1" } } }\n')
    local r = support.run { "run", "gates/determinism_proof.lua", "--config", config, "--tenant", "acme" }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "names no tenant to validate in")
    config = support.write(dir .. "/conf.lua", 'return { solver = { kind = "http", endpoint = "planner" },'
      .. ' endpoints = { planner = { url = "http://127.0.0.1:1" } } }\n')
    r = support.run { "run", "gates/determinism_proof.lua", "--config", config }
    assert.equal(2, r.code)
    support.has(r.stderr, 'solver.endpoint: expected "platform", found "planner"')
  end)

  it("does not take the platform's API for a program that gate 3 could start", function()
    local config = support.write(support.tmpdir() .. "/conf.lua", 'return { platform = "embedded", solver = { kind = "http", '
      .. 'endpoint = "platform" }, endpoints = { platform = { url = "http://127.0.0.1:1" } } }\n')
    local r = support.run { "run", "gates/golden_path_e2e.lua", "--config", config, "--tenant", "acme" }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "there is no program to start")
  end)
end)
