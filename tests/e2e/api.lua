--- The embedded platform behind a real HTTP server (tests/support/platform_api.py), which cuts connections, loses answers and lies on
-- demand: what the specs of gates that go through a platform's API share.
local assert = require "luassert"
local json = require "engine.json"
local kit = require "testkit"
local support = require "support"

local api = { KEY = "gate-validation-key-0815", TENANT = "gate-http", psql = support.psql }

local MATRIX = support.root .. "/stdlib/datasets/routing/wien_small/matrix.csv"
local running, socket = {}, nil

--- Starts the embedded platform, with the tenants of the specs.
function api.setup()
  support.platform_start "acme"
  local status = support.run { "platform", "status" }
  socket = assert(status.stdout:match "socket: ([^,%s]+)", status.stdout)
  api.psql(("insert into core.tenants (code, name, status) values ('%s', 'v', 'onboarding'), ('acme', 'a', 'onboarding') "):format(
    api.TENANT) .. "on conflict do nothing")
end

api.teardown = support.platform_stop

--- Ends the servers that api.start started.
function api.stop()
  for _, pid in ipairs(running) do
    kit.kill(pid)
    kit.wait(pid)
  end
  running = {}
end

--- How many forecasts the validation tenant has.
---@return integer
function api.stored()
  return math.tointeger(tonumber(api.psql(("select count(*) from forecast_versions f join core.tenants t on t.id = f.tenant_id "
    .. "where t.code = '%s'"):format(api.TENANT))))
end

--- Starts the API with these faults.
---@param faults table<string, string[]>
---@return string port
---@return string log  its path
function api.start(faults)
  local dir = support.tmpdir()
  local file = support.write(dir .. "/faults.json", next(faults) and json.encode(faults) or "{}")
  local r, w = kit.pipe()
  running[#running + 1] = kit.spawn({ "/usr/bin/python3", support.root .. "/tests/support/platform_api.py", socket, api.TENANT, api.KEY,
    support.build, file, dir .. "/log", MATRIX }, w)
  kit.close(w)
  local port = assert(kit.read_line(r), "the API did not start")
  kit.close(r)
  return port:match "%d+", dir .. "/log"
end

--- Runs a gate through the API; a server is started unless there is a port.
---@param gate string
---@param options {faults: table?, port: string?, key: string?, wall_s: number?, more: string?, verb: string?, argv: string[]?}
---@return table r  of support.run, with gate (of the report), log, checks (status by name) and first (the first that is not PASS)
function api.run(gate, options)
  local port, log = options.port, nil
  if not port then port, log = api.start(options.faults or {}) end
  local dir = support.tmpdir()
  local url = "postgres:///platform?host=" .. socket .. "&user="
  local config = support.write(dir .. "/conf.lua", ([[
    return { platform = "external", adapter = "http", validation_tenant = %q, %s
      endpoints = { platform = { url = "http://127.0.0.1:%s", auth = "api_key" } },
      auth = { api_key = { value = %q, header = "X-API-Key" } },
      solver = { kind = "http", endpoint = "platform", wall_s = %s },
      database = { app = { url = %q }, admin = { url = %q },
        tenant = { column = "tenant_id", setting = "app.current_tenant_id", table = "core.tenants", key = "id", code = "code" } } }
    ]]):format(api.TENANT, options.more or "", port, options.key or api.KEY, options.wall_s or 30, url .. "app_user", url .. "postgres"))
  local argv = { options.verb or "run", gate, "--tenant", "acme", "--config", config, "--report", "json=" .. dir .. "/report.json" }
  for _, word in ipairs(options.argv or {}) do argv[#argv + 1] = word end
  local r = support.run { argv = argv }
  local report = support.read(dir .. "/report.json")
  r.gate = report and json.decode(report).gates[1]
  r.log = log and support.must_read(log) or ""
  r.checks = {}
  for _, c in ipairs(r.gate and r.gate.checks or {}) do
    r.checks[c.name] = c.status
    r.first = r.first or c.status ~= "PASS" and c or nil
  end
  return r
end

return api
