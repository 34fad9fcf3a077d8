-- Gate 3 through a platform's API: the embedded platform stands behind a real HTTP server (tests/support/platform_api.py), which cuts
-- connections, loses answers and lies on demand.
package.path = "tests/e2e/?.lua;" .. package.path
local api = require "api"
local support = require "support"

local FORECAST = "# a week\nMo 06:00-14:00\nMo 14:00-22:00 2 Fahrer Depot Nord\nDi 06:00-10:00 + 15:00-19:00\nDo 22:00-06:00\n"
local KEY, TENANT, psql, stored = api.KEY, api.TENANT, api.psql, api.stored

describe("the golden path through the platform's API", function()
  setup(api.setup)
  after_each(api.stop)
  teardown(api.teardown)

  ---@param options {faults: table?, key: string?, wall_s: number?, argv: string[]?, port: string?, dataset: string?}?
  local function run(options)
    options = options or {}
    local argv = { "--dataset", options.dataset or support.write(support.tmpdir() .. "/input.txt", FORECAST) }
    options.argv = table.move(options.argv or {}, 1, #(options.argv or {}), #argv + 1, argv)
    return api.run("gates/golden_path_e2e.lua", options)
  end

  local function count(text, wanted) return select(2, text:gsub(wanted, "")) end

  it("passes with all six stages, and what it left is a locked plan in the validation tenant", function()
    local r = run()
    assert.equal(0, r.code, r.stdout .. r.stderr)
    for _, stage in ipairs { "Parse", "Expand", "Solve", "Audit", "Lock", "Verify" } do assert.equal("PASS", r.checks[stage], stage) end
    assert.equal(3, r.gate.facts.attacks_refused)
    assert.matches("^forecasts [%x-]+, [%x-, ]+ of tenant gate%-http", r.gate.facts.left_behind)
    local forecast = r.gate.facts.left_behind:match "^forecasts ([%x-]+)"
    assert.equal(TENANT .. " LOCKED " .. r.gate.facts.output_hash, psql(([[select t.code || ' ' || p.status || ' ' || p.output_hash
      from plan_versions p join core.tenants t on t.id = p.tenant_id where p.forecast_version_id = '%s']]):format(forecast)))
    assert.is_nil((r.stdout .. r.stderr):find(KEY, 1, true))
  end)

  it("uploads the CSV form with its header", function()
    local r = run { dataset = support.write(support.tmpdir() .. "/input.csv",
      "day,start_time,end_time,location,qualifications\nMon,04:45,09:15,Vienna,\nTue,05:00,09:00,Vienna,\n") }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(2, r.gate.facts.instances)
  end)

  it("makes nothing twice where answers are lost or the platform is busy for a moment", function()
    local before = stored()
    local r = run { faults = { ["POST /forecasts"] = { "drop_after", "503" }, ["POST /plans/solve"] = { "drop_after" },
      ["POST /plans/lock"] = { "none", "drop_after" }, ["GET /forecasts"] = { "drop", "502" }, ["GET /plans/export"] = { "drop" } } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    -- One forecast for the plan, and one for each control; the last control deletes its own.
    assert.equal(before + 3, stored())
    assert.equal(1, count(r.log, "POST /forecasts drop_after"))
    assert.equal(6, count(r.log, "POST /forecasts "))
  end)

  it("never repeats a request that is to break the lock", function()
    local r = run { faults = { ["DELETE /plans"] = { "none", "503" } } }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.equal(2, count(r.log, "DELETE /plans "))
    assert.equal("ERROR", r.checks.Verify)
  end)

  for name, case in pairs {
    ["loses a tour"] = { { ["GET /forecasts"] = { "lie", "lie" } }, "Stage Expand failed: " },
    ["swaps drivers after it stored the plan"] = { { ["GET /plans/export"] = { "none", "lie" } }, "Stage Audit failed: " },
    ["says that it did not lock"] = { { ["POST /plans/lock"] = { "lie", "lie" } }, "Stage Lock failed: answer to lock " },
    ["answers no JSON"] = { { ["GET /forecasts"] = { "garbage" } }, "Stage Expand failed: GET /forecasts/" },
    ["has another verdict of an audit"] = { { ["GET /plans/export"] = { "none", "none", "none", "none", "other_audit" } },
      "Stage Audit failed: audit " },
    ["gives an id that leads elsewhere"] = { { ["POST /plans/solve"] = { "lie" } }, "Stage Solve failed: POST /plans/solve: id: " },
    ["answers about another forecast"] = { { ["GET /forecasts"] = { "other_id" } }, "Stage Expand failed: GET /forecasts/" },
    ["answers with another tenant's forecast"] = { { ["GET /forecasts"] = { "other_tenant" } }, "Stage Expand failed: GET /forecasts/" },
    ["understood another forecast"] = { { ["GET /forecasts"] = { "other_hash" } }, "Stage Expand failed: GET /forecasts/" },
    ["polls another plan"] = { { ["GET /plans"] = { "other_id" } }, "Stage Solve failed: GET /plans/" },
    ["exports another plan"] = { { ["GET /plans/export"] = { "other_id" } }, "Stage Solve failed: GET /plans/" },
    ["exports another tenant's plan"] = { { ["GET /plans/export"] = { "none", "other_tenant" } }, "Stage Audit failed: GET /plans/" },
    ["exports the plan of another forecast"] = { { ["GET /plans/export"] = { "other_forecast" } }, "Stage Solve failed: GET /plans/" },
    ["has two results of an audit"] = { { ["GET /plans/export"] = { "none", "none", "none", "none", "two_audits" } },
      "Stage Audit failed: GET /plans/" },
    ["says 409 to the first lock"] = { { ["POST /plans/lock"] = { "409", "409" } },
      "Stage Lock failed: lock 1 of two at once: POST /plans/" },
    ["only says that it locked"] = { { ["POST /plans/lock"] = { "pretend", "pretend" } },
      "Stage Lock failed: status of the plan: expected LOCKED, found DRAFT" },
    ["refuses the forecast"] = { { ["POST /forecasts"] = { "400" } }, "Stage Parse failed: POST /forecasts: the platform answers 400" },
    ["breaks inside"] = { { ["POST /plans/solve"] = { "500" } }, "Stage Solve failed: POST /plans/solve: the platform answers 500" },
  } do
    it("fails where the platform " .. name, function()
      local r = run { faults = case[1] }
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - " .. case[2], 1, true), r.stdout)
    end)
  end

  it("fails where a locked plan can be deleted: the answer is enough, whatever is deleted", function()
    local r = run { faults = { ["DELETE /plans"] = { "none", "204" } } }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("Stage Verify failed: LOCKED plan: DELETE of the plan was not refused", 1, true), r.stdout)
  end)

  it("is an error where none of the attacks exists in the API, and passes on those that do", function()
    local one = run { faults = { ["PATCH /plans"] = { "405", "405" } } }
    assert.equal(0, one.code, one.stdout .. one.stderr)
    assert.equal(2, one.gate.facts.attacks_refused)
    local none = run { faults = { ["PATCH /plans"] = { "405", "405" }, ["DELETE /plans"] = { "404", "404" },
      ["DELETE /forecasts"] = { "501", "501" } } }
    assert.equal(3, none.code, none.stdout .. none.stderr)
    assert.equal("lock_no_attacks", none.first.class)
  end)

  it("waits for a plan that takes a while", function()
    local r = run { faults = { ["GET /plans"] = { "lie", "lie", "lie", "503", "lie" } } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("says Timeout on solve where the plan is never through", function()
    local lies = {}
    for i = 1, 500 do lies[i] = "lie" end
    local r = run { faults = { ["GET /plans"] = lies }, wall_s = 1 }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("❌ FAIL - Timeout on solve", 1, true), r.stdout)
    assert.is_truthy(r.stdout:find("not through after 1 s", 1, true), r.stdout)
  end)

  it("says what the platform's solver cannot plan", function()
    local r = run { dataset = support.write(support.tmpdir() .. "/input.txt", "Mo 05:00-21:30\n") }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("Stage Solve failed: ", 1, true), r.stdout)
    assert.is_truthy(r.stdout:find("Mo-0500-2130", 1, true), r.stdout)
  end)

  describe("is an error, never a pass,", function()
    local function is_error(r, class)
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.equal(class, r.first.class)
    end
    it("where the platform is down", function()
      local port = api.start {}
      api.stop()
      is_error(run { port = port }, "http_connect")
    end)
    it("where it stays busy", function()
      is_error(run { faults = { ["POST /forecasts"] = { "503", "503", "503", "503" } } }, "platform_unavailable")
    end)
    it("where the key is another tenant's", function()
      is_error(run { faults = { ["POST /forecasts"] = { "lie" } } }, "adapter_tenant")
    end)
  end)

  it("fails where the key is refused, and does not show it", function()
    local r = run { key = "another-key-4711" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("the platform answers 401", 1, true), r.stdout)
    assert.is_nil((r.stdout .. r.stderr):find("another-key-4711", 1, true))
  end)

  it("cannot be given a plan that was made elsewhere, and says so", function()
    local r = run { dataset = "3er_violation" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("the platform makes its plans itself", 1, true), r.stdout)
  end)

  describe("with the routing pack", function()
    local function route(options)
      options = options or {}
      options.dataset, options.argv = options.dataset or "wien_small", { "--pack", "routing" }
      return run(options)
    end

    it("passes with all six stages, on the matrix that the platform holds", function()
      local r = route()
      assert.equal(0, r.code, r.stdout .. r.stderr)
      for _, stage in ipairs { "Parse", "Expand", "Solve", "Audit", "Lock", "Verify" } do assert.equal("PASS", r.checks[stage], stage) end
      assert.equal(3, r.gate.facts.attacks_refused)
      assert.equal("aef483f890d719415389f02f78aa83b22cda94e9ba09e49b208768dd5b7a06e1", r.gate.facts.output_hash)
      local forecast = r.gate.facts.left_behind:match "^forecasts ([%x-]+)"
      assert.equal("routing LOCKED", psql(("select pack_id || ' ' || status from plan_versions where forecast_version_id = '%s'"):format(
        forecast)))
    end)

    for name, case in pairs {
      ["loses a stop"] = { { ["GET /forecasts"] = { "lie", "lie" } }, "Stage Expand failed: " },
      ["swaps vehicles after it stored the plan"] = { { ["GET /plans/export"] = { "none", "lie" } }, "Stage Audit failed: " },
    } do
      it("fails where the platform " .. name, function()
        local r = route { faults = case[1] }
        assert.equal(1, r.code, r.stdout .. r.stderr)
        support.has(r.stdout, "❌ FAIL - " .. case[2])
      end)
    end

    it("fails where the platform holds another matrix", function()
      local dir = support.tmpdir()
      support.shell(("cp %s/stdlib/datasets/routing/wien_small/input.json %s"):format(support.root, dir))
      local matrix = support.must_read(support.root .. "/stdlib/datasets/routing/wien_small/matrix.csv")
      support.write(dir .. "/matrix.csv", (matrix:gsub(",141,540", ",142,540", 1)))
      local r = route { dataset = dir }
      assert.equal(1, r.code, r.stdout .. r.stderr)
      support.has(r.stdout, "Stage Parse failed: POST /forecasts: the platform answers 422: the platform does not hold the matrix wien-")
    end)
  end)

  describe("with an audit of three weeks", function()
    local function week(iso, port, more)
      local dir = support.tmpdir()
      support.write(dir .. "/input.txt", FORECAST)
      support.write(dir .. "/manifest.json", ('{"name": "a", "pack": "roster", "version": "1.0.0", "week": "%s"}'):format(iso))
      local audit = support.root .. "/examples/audits/three_sundays.lua"
      local r = run { dataset = dir, port = port, argv = more and { "--audit", audit } }
      return r, r.checks["Audit three_sundays"] or r.checks["Audit Three Sundays"]
    end

    it("has the platform's locked weeks before this one, and is an error without enough of them", function()
      local port = api.start {}
      local short = week("2019-W20", port, true)
      assert.equal(3, short.code, short.stdout)
      support.has(short.stdout, "locked week(s) before 2019-W20")
      assert.equal(0, week("2019-W21", port).code)
      assert.equal(0, week("2019-W22", port).code)
      local r = week("2019-W23", port, true)
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("is an error where the platform answers with other weeks", function()
      local port = api.start { ["GET /plans?"] = { "lie" } }
      local r = week("2019-W23", port, true)
      assert.equal(3, r.code, r.stdout)
      support.has(r.stdout, "GET /plans: plans[0]: expected a plan of a week before 2019-W23")
    end)
  end)
end)
