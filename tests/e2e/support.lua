--- What every end-to-end spec needs: the built binary, run as a user would, with nothing of this machine leaking in.
--
-- Specs are run from the repository's root by tests/runner.lua: `local support = require "e2e.support"`.
local support = {}

local function first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "l"
  pipe:close()
  return line
end

--- The repository, and what was built (BUILD as in the Makefile).
support.root = assert(first_line "pwd")
local build = os.getenv "BUILD" or "build"
support.build = build:sub(1, 1) == "/" and build or support.root .. "/" .. build
support.engine = support.build .. "/gate-engine"

--- Seconds after which a run counts as hanging; its code is then 124.
support.patience = 120

--- A word for the shell, whatever is in it.
---@param s string
---@return string
function support.quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local quote = support.quote

--- Runs a shell command; raises when it fails.
---@param command string
function support.shell(command)
  assert(os.execute(command), "failed: " .. command)
end

---@param path string
---@return string|nil content nil where there is no such file
function support.read(path)
  local f = io.open(path, "rb")
  if not f then
    return nil
  end
  local content = f:read "a"
  f:close()
  return content
end

---@param path string
---@param content string
---@return string path
function support.write(path, content)
  support.shell("mkdir -p -- " .. quote((path:match "^(.*)/[^/]*$")))
  local f = assert(io.open(path, "wb"))
  assert(f:write(content))
  assert(f:close())
  return path
end

-- Everything made here goes when the test program ends. The directory is open to others, since as root the embedded server runs as
-- the user postgres.
local scratch = assert(first_line "mktemp -d /tmp/gate-engine-e2e.XXXXXX")
support.shell("chmod 755 " .. quote(scratch))
support.keep = setmetatable({}, {
  __gc = function()
    os.execute("rm -rf -- " .. quote(scratch))
  end,
})

local count = 0

--- A fresh directory.
---@return string path
function support.tmpdir()
  count = count + 1
  local dir = ("%s/d%d"):format(scratch, count)
  support.shell("mkdir -m 755 -- " .. quote(dir))
  return dir
end

--- The directory in which the engine keeps its state in all runs of this test program (so that one template serves them all).
support.state = os.getenv "GATE_ENGINE_STATE" or scratch .. "/state"

-- Variables that would point the engine at something of this machine, or colour its output.
local UNSET = {
  "DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE",
  "PGSERVICEFILE", "PGOPTIONS", "OSRM_URL", "SMTP_URL", "ENTRA_TENANT_ID", "ENTRA_CLIENT_ID", "ENTRA_CLIENT_SECRET",
  "ENTRA_AUDIENCE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
  "AWS_ENDPOINT_URL", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "GATE_ENGINE_CONFIG", "NO_COLOR", "CI",
  "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
  "LUA_PATH", "LUA_CPATH", "LUA_PATH_5_4", "LUA_CPATH_5_4", "LUA_INIT", "LD_PRELOAD",
}

---@class support.run
---@field argv? string[] arguments after the program; positional entries do as well
---@field env? table<string, string|false> set, or with false unset; on top of a clean environment
---@field cwd? string default: a fresh empty directory
---@field stdin? string default: empty
---@field stdout? string a file that takes standard output instead ("/dev/full"), or "closed"
---@field program? string default: the built gate-engine
---@field prefix? string a shell command before the program, such as "ulimit -v 1000;"

---@class support.result
---@field code integer exit code; 128 + n for signal n
---@field stdout string
---@field stderr string
---@field command string what was run, for messages

--- Runs gate-engine and waits for it.
---@param t support.run
---@return support.result
function support.run(t)
  local dir = support.tmpdir()
  local argv = t.argv or t
  local words = {}
  for i = 1, #argv do
    words[i] = quote(argv[i])
  end
  local env = { "env", "-u", table.concat(UNSET, " -u ") }
  local set = { HOME = dir, XDG_CONFIG_HOME = dir .. "/xdg", GATE_ENGINE_STATE = support.state }
  for name, value in pairs(t.env or {}) do
    set[name] = value
  end
  for name, value in pairs(set) do
    if value then
      env[#env + 1] = name .. "=" .. quote(value)
    else
      table.insert(env, 2, "-u " .. name)
    end
  end
  support.shell("mkdir -- " .. quote(dir .. "/work"))
  local stdin = support.write(dir .. "/stdin", t.stdin or "")
  local out = t.stdout or dir .. "/stdout"
  local program = ("timeout --foreground -k 10 %d %s %s"):format(
    support.patience, quote(t.program or support.engine), table.concat(words, " "))
  local command = ("cd %s && %s %s %s <%s >%s 2>%s"):format(
    quote(t.cwd or dir .. "/work"), t.prefix or "", table.concat(env, " "), program, quote(stdin), out == "closed" and "&-" or quote(out),
    quote(dir .. "/stderr"))
  local _, how, code = os.execute(command)
  return {
    code = how == "signal" and 128 + code or code,
    stdout = t.stdout and "" or support.read(out) or "",
    stderr = support.read(dir .. "/stderr") or "",
    command = command,
  }
end

--- The file of a report as text; raises where there is none.
---@param path string
---@return string
function support.must_read(path)
  return assert(support.read(path), "there is no " .. path)
end

--- A directory with these files, such as a dataset.
---@param files table<string, string>  content by name
---@return string dir
function support.dataset(files)
  local dir = support.tmpdir()
  for name, content in pairs(files) do support.write(dir .. "/" .. name, content) end
  return dir
end

--- What the kept server answers to a statement of its superuser, without the last line end; raises what it refuses.
---@param sql string
---@return string
function support.psql(sql)
  local r = support.run { "platform", "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql }
  assert(r.code == 0, r.stderr)
  return (r.stdout:gsub("\n$", ""))
end

--- Puts tenants on a server that is kept, as somebody does who knows nothing of create_tenant.
---@param env table?  where it is not the one of support.platform_start
---@param ... string  codes
function support.make_tenants(env, ...)
  for _, code in ipairs { ... } do
    local r = support.run { env = env, "platform", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c",
      ("insert into core.tenants (code, name, status, settings) values ('%s', '%s', 'onboarding', '{\"packs\": [\"roster\"]}') "
        .. "on conflict (code) do nothing"):format(code, code) }
    assert(r.code == 0, r.stderr)
  end
end

--- Keeps a server for the specs of a file: call it in setup, and support.platform_stop in teardown.
---@param ... string  codes of tenants that are to be there
function support.platform_start(...)
  local r = support.run { "platform", "start" }
  assert(r.code == 0, r.stdout .. r.stderr)
  support.make_tenants(nil, ...)
end

function support.platform_stop() support.run { "platform", "stop" } end

--- Runs a gate with a JSON report, and sorts what it says.
---@param argv string[]
---@param more table?  of support.run
---@return support.result r  with report, gate (its part of it), checks (status by name) and its checks that are FAIL (failed), ERROR
---  (errors) and advisories (advice)
function support.gate(argv, more)
  local report = support.tmpdir() .. "/report.json"
  local t = { argv = table.move(argv, 1, #argv, 1, {}) }
  for k, v in pairs(more or {}) do t[k] = v end
  t.argv[#t.argv + 1], t.argv[#t.argv + 2] = "--report", "json=" .. report
  local r = support.run(t)
  r.report = require("engine.json").decode(support.must_read(report))
  r.gate = r.report.gates[1]
  r.failed, r.errors, r.checks, r.advice = {}, {}, {}, {}
  for _, c in ipairs(r.gate and r.gate.checks or {}) do
    r.checks[c.name] = c.status
    if c.status == "FAIL" then r.failed[#r.failed + 1] = c end
    if c.status == "ERROR" then r.errors[#r.errors + 1] = c end
    if c.severity == "advisory" then r.advice[#r.advice + 1] = c end
  end
  return r
end

--- The texts of a gate's failures, each once.
---@param r table  of support.gate()
---@return string
function support.failures(r)
  local seen, out = {}, {}
  for _, c in ipairs(r.failed) do
    if not seen[c.failure] then
      seen[c.failure] = true
      out[#out + 1] = c.failure
    end
  end
  return table.concat(out, "; ")
end

--- Asserts that each of the parts stands in a text.
---@param text string
---@param ... string
function support.has(text, ...)
  for _, part in ipairs { ... } do
    assert(text:find(part, 1, true), ("expected %q in:\n%s"):format(part, text))
  end
end

--- Noon of an ISO week's Monday, as os.time has it.
local function monday_of(iso)
  local year, number = iso:match "(%d+)-W(%d+)"
  local fourth = os.time { year = math.tointeger(year), month = 1, day = 4, hour = 12 } -- lies in the first week
  return fourth - (os.date("*t", fourth).wday + 5) % 7 * 86400 + (math.tointeger(number) - 1) * 7 * 86400
end

--- A saved plan of the roster pack as one of another week: all its dates are moved.
---@param text string  audit-plan.json
---@param iso string   "2026-W10"
---@return string
function support.moved_week(text, iso)
  local was = text:match '"iso"%s*:%s*"([^"]*)"'
  local moved = monday_of(iso) - monday_of(was)
  text = text:gsub("(%d%d%d%d)%-(%d%d)%-(%d%d)", function(y, m, d)
    return os.date("%Y-%m-%d", os.time { year = y, month = m, day = d, hour = 12 } + moved)
  end)
  return (text:gsub(was:gsub("%-", "%%-"), iso, 1))
end

--- The processes whose command line or environment names the directory: the embedded server, workers, solvers.
function support.processes_of(dir)
  local out = {}
  local pipe = assert(io.popen(("grep -lsa -F %s /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null"):format(quote(dir))))
  for line in pipe:lines() do
    local pid = line:match "/proc/(%d+)/"
    local command = support.read("/proc/" .. pid .. "/cmdline")
    if command and command ~= "" and not command:find("grep", 1, true) and not command:find("^sh%z") then
      out[#out + 1] = pid .. " " .. command:gsub("%z", " ")
    end
  end
  pipe:close()
  return out
end

--- Waits until none is left, for at most five seconds of polling; raises where one is.
function support.assert_gone(dir)
  local left
  local deadline = os.time() + 6
  repeat
    left = support.processes_of(dir)
  until #left == 0 or os.time() >= deadline
  if #left > 0 then error("processes are left: " .. table.concat(left, "; "), 2) end
end

return support
