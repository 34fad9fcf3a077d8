-- Gate 3 through a platform's API: the embedded platform stands behind a real HTTP server (tests/support/platform_api.py), which cuts
-- connections, loses answers and lies on demand.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local kit = require "testkit"
local support = require "support"

local KEY = "gate-validation-key-0815"
local FORECAST = "# a week\nMo 06:00-14:00\nMo 14:00-22:00 2 Fahrer Depot Nord\nDi 06:00-10:00 + 15:00-19:00\nDo 22:00-06:00\n"
local TENANT = "gate-http"

describe("the golden path through the platform's API", function()
  local socket, psql
  local running = {}

  setup(function()
    assert.equal(0, support.run({ "platform", "start" }).code)
    local status = support.run { "platform", "status" }
    socket = assert(status.stdout:match "socket: ([^,%s]+)", status.stdout)
    function psql(sql)
      local r = support.run { "platform", "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql }
      assert.equal(0, r.code, r.stderr)
      return (r.stdout:gsub("\n$", ""))
    end
    psql(("insert into core.tenants (code, name, status) values ('%s', 'v', 'onboarding'), ('acme', 'a', 'onboarding') "):format(TENANT)
      .. "on conflict do nothing")
  end)
  after_each(function()
    for _, pid in ipairs(running) do
      kit.kill(pid)
      kit.wait(pid)
    end
    running = {}
  end)
  teardown(function() support.run { "platform", "stop" } end)

  --- Starts the API with these faults; returns its port and its log's path.
  local function api(faults)
    local dir = support.tmpdir()
    local file = support.write(dir .. "/faults.json", next(faults) and json.encode(faults) or "{}")
    local r, w = kit.pipe()
    running[#running + 1] = kit.spawn({ "/usr/bin/python3", support.root .. "/tests/support/platform_api.py", socket, TENANT, KEY,
      support.build, file, dir .. "/log" }, w)
    kit.close(w)
    local port = assert(kit.read_line(r), "the API did not start")
    kit.close(r)
    return port:match "%d+", dir .. "/log"
  end

  ---@param options {faults: table?, key: string?, more: string?, argv: string[]?, port: string?}?
  local function run(options)
    options = options or {}
    local port, log = options.port, nil
    if not port then port, log = api(options.faults or {}) end
    local dir = support.tmpdir()
    local url = "postgres:///platform?host=" .. socket .. "&user="
    local config = support.write(dir .. "/conf.lua", ([[
      return { platform = "external", adapter = "http", validation_tenant = %q,
        endpoints = { platform = { url = "http://127.0.0.1:%s", auth = "api_key" } },
        auth = { api_key = { value = %q, header = "X-API-Key" } },
        solver = { kind = "http", endpoint = "platform", wall_s = %s },
        database = { app = { url = %q }, admin = { url = %q },
          tenant = { column = "tenant_id", setting = "app.current_tenant_id", table = "core.tenants", key = "id", code = "code" } } }
      ]]):format(TENANT, port, options.key or KEY, options.wall_s or 30, url .. "app_user", url .. "postgres"))
    local argv = { "run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--config", config, "--report", "json=" .. dir .. "/report.json",
      "--dataset", options.dataset or support.write(support.tmpdir() .. "/input.txt", FORECAST) }
    for _, word in ipairs(options.argv or {}) do argv[#argv + 1] = word end
    local r = support.run { argv = argv }
    r.gate = json.decode(support.must_read(dir .. "/report.json")).gates[1]
    r.log = log and support.must_read(log) or ""
    r.checks = {}
    for _, c in ipairs(r.gate.checks) do
      r.checks[c.name] = c.status
      r.first = r.first or c.status ~= "PASS" and c or nil
    end
    return r
  end

  local function count(text, wanted) return select(2, text:gsub(wanted, "")) end
  local function stored() return tonumber(psql(("select count(*) from forecast_versions f join core.tenants t on t.id = f.tenant_id "
    .. "where t.code = '%s'"):format(TENANT))) end

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
      local port = api {}
      kit.kill(running[1])
      kit.wait(running[1])
      running = {}
      is_error(run { port = port }, "http_connect")
    end)
    it("where it stays busy", function()
      is_error(run { faults = { ["POST /forecasts"] = { "503", "503", "503", "503" } } }, "platform_unavailable")
    end)
    it("where the key is another tenant's", function()
      is_error(run { faults = { ["POST /forecasts"] = { "lie" } } }, "adapter_tenant")
    end)
    it("for the routing pack, which this adapter does not drive", function()
      is_error(run { argv = { "--pack", "routing" }, dataset = "wien_small" }, "adapter_pack")
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
end)
