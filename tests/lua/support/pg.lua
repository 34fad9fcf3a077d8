--- A private PostgreSQL for specs: a real server of Debian's on a unix socket in a temporary directory.
--
--     local server = require("pg").start()
--     local conn = db.connect(server:options { user = "postgres" })
--     server:stop()
--
-- It is stopped and its directory removed by stop(), by garbage collection, and by a watchdog should the spec die.
local pg = {}

local Server = {}
Server.__index = Server

-- What is started here is not under test: a sanitizer's library that is preloaded into this process stays out of it.
local function clean(command)
  return "exec env -u LD_PRELOAD sh -c '" .. command:gsub("'", "'\\''") .. "'"
end

local function read_all(command)
  local pipe = assert(io.popen(clean(command)))
  local out = pipe:read "a"
  pipe:close()
  return (out:gsub("%s+$", ""))
end

local function run(command, what)
  local ok, _, status = os.execute(clean(command))
  if not ok then error(("%s failed (%s): %s"):format(what, tostring(status), command), 2) end
end

--- Debian's newest, unless GATE_ENGINE_PG_BIN names another release's programs, as it does for the engine.
local default_bin = os.getenv "GATE_ENGINE_PG_BIN" or read_all "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1"

-- The server refuses to run as root; then it runs as the user Debian's package made.
local as = read_all "id -u" == "0" and "setpriv --reuid=postgres --regid=postgres --clear-groups -- " or ""

--- Starts a server. `settings` are extra server settings, `hba` lines put before the default "local all all trust", `bin` the directory
--- of another release's programs.
---@param settings table<string, string>?
---@param hba string[]?
---@param bin string?
function pg.start(settings, hba, bin)
  local bindir = bin or default_bin
  assert(bindir ~= "", "no PostgreSQL server: install Debian's package postgresql")
  local dir = read_all "mktemp -d /tmp/gate-pg.XXXXXX"
  local self = setmetatable({ dir = dir, data = dir .. "/data", host = dir, port = 5432, bin = bindir }, Server)
  run(("%s true && chmod 755 %s && mkdir %s/data && chmod 700 %s/data && { [ -z '%s' ] || chown -R postgres: %s; }"):format(
    as, dir, dir, dir, as, dir), "making the directory")
  run(("cd %s && %s%s/initdb -D data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >initdb.log 2>&1"):format(
    dir, as, bindir), "initdb")
  local conf = assert(io.open(dir .. "/data/postgresql.auto.conf", "a"))
  local base = { listen_addresses = "", unix_socket_directories = dir, fsync = "off", max_connections = "30",
    shared_buffers = "16MB", timezone = "UTC", max_prepared_transactions = "4" }
  for k, v in pairs(settings or {}) do base[k] = v end
  for k, v in pairs(base) do conf:write(("%s = '%s'\n"):format(k, v)) end
  conf:close()
  if hba then
    local file = assert(io.open(dir .. "/data/pg_hba.conf", "w"))
    file:write(table.concat(hba, "\n"), "\nlocal all all trust\n")
    file:close()
  end
  -- The watchdog waits for this process; what the shell's parent is, is the interpreter.
  run(("owner=$PPID; setsid sh -c 'while kill -0 '$owner' 2>/dev/null && [ -d %s ]; do sleep 1; done; "
    .. "[ -d %s ] && { %s%s/pg_ctl -D %s/data -m immediate stop; rm -rf %s; }' >/dev/null 2>&1 </dev/null &"):format(
    dir, dir, as, bindir, dir, dir), "starting the watchdog")
  self:launch()
  return self
end

local shared

--- One server for all specs of a process that do not harm it.
function pg.shared()
  shared = shared or pg.start()
  return shared
end

--- Sends the postmaster a signal, by name.
function Server:signal(name)
  run(("kill -%s $(head -n 1 %s/postmaster.pid)"):format(name, self.data), "signalling the server")
end

--- Starts the server process again, after stop{keep = true}.
function Server:launch()
  run(("cd %s && %s%s/pg_ctl -D data -l %s/data/server.log -w start >/dev/null 2>&1"):format(self.dir, as, self.bin, self.dir),
    "starting the server")
end

--- Stops the server at once, as a crash does, and removes it unless keep.
---@param options {keep: boolean?}?
function Server:stop(options)
  if not self.dir then return end
  os.execute(clean(("%s%s/pg_ctl -D %s/data -m immediate stop >/dev/null 2>&1"):format(as, self.bin, self.dir)))
  if not (options and options.keep) then
    os.execute(clean("rm -rf " .. self.dir))
    self.dir = nil
  end
end

Server.__gc = Server.stop

--- Options for db.connect; `more` is merged in.
---@param more table?
function Server:options(more)
  local o = { host = self.host, port = self.port, dbname = "postgres", user = "postgres" }
  for k, v in pairs(more or {}) do o[k] = v end
  return o
end

--- The server's log so far.
function Server:log()
  local file = assert(io.open(self.data .. "/server.log"))
  local text = file:read "a"
  file:close()
  return text
end

return pg
