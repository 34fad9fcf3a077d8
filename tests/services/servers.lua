--- Real servers for the service specs: a PostgreSQL of its own and pgbouncer before it, on the loopback.
--
-- Each server runs in a directory of its own under /tmp, as the user postgres where the specs run as root (neither server runs as
-- root), and ends with stop_all().
local servers = {}

local quote = function(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function capture(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local out = pipe:read "a"
  local ok = pipe:close()
  return ok, out
end

local function must(command)
  local ok, out = capture(command)
  assert(ok, command .. "\n" .. out)
  return (out:gsub("%s+$", ""))
end

local IS_ROOT = must "id -u" == "0"
local AS = IS_ROOT and "setpriv --reuid=postgres --regid=postgres --init-groups --reset-env " or ""

local function bin_dir()
  return must "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1"
end

--- A port nobody listens on. The kernel does not hand it out again at once, so the server that is started next can have it.
local function free_port()
  return must [[/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])']]
end

local function own_dir()
  local dir = must "mktemp -d /tmp/gate-engine-services.XXXXXX"
  if IS_ROOT then must("chown postgres: " .. dir) end
  return dir
end

local stops = {}

--- A fresh cluster, ready for connections over TCP with passwords (SCRAM) for all but the superuser's socket.
---@return {port: string, dir: string, sql: fun(text: string): string, url: fun(user: string, password: string): string}
function servers.postgres()
  local dir, bin, port = own_dir(), bin_dir(), free_port()
  must(("%s%s/initdb -D %s/data -U postgres --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8 -N"):format(AS, bin, dir))
  must(("%s%s/pg_ctl -D %s/data -w -t 60 -l %s/log -o %s start >/dev/null"):format(
    AS, bin, dir, dir, quote(("-p %s -k %s -c listen_addresses=127.0.0.1 -c fsync=off"):format(port, dir))))
  stops[#stops + 1] = function()
    capture(("%s%s/pg_ctl -D %s/data -m immediate -w stop"):format(AS, bin, dir))
    must("rm -rf -- " .. dir)
  end
  return {
    port = port, dir = dir,
    --- A shell command that restarts the server; clients that are connected are cut off.
    restart = ("%s%s/pg_ctl -D %s/data -w -t 60 -m immediate -l %s/log restart >/dev/null"):format(AS, bin, dir, dir),
    sql = function(text)
      return must(("psql -XqAt -v ON_ERROR_STOP=1 -h %s -p %s -U postgres -d postgres -c %s"):format(dir, port, quote(text)))
    end,
    url = function(user, password)
      return ("postgresql://%s:%s@127.0.0.1:%s/postgres"):format(user, password, port)
    end,
    --- From now on it speaks TLS with a certificate of certificates.sh; nil: it speaks none.
    tls = function(from, name)
      if name then
        must(("install -m 600 %s %s/%s.crt %s/server.crt && install -m 600 %s %s/%s.key %s/server.key"):format(
          IS_ROOT and "-o postgres" or "", from, name, dir, IS_ROOT and "-o postgres" or "", from, name, dir))
      end
      local set = ("psql -XqAt -v ON_ERROR_STOP=1 -h %s -p %s -U postgres -d postgres"):format(dir, port)
      for _, text in ipairs { "ssl_cert_file = '" .. dir .. "/server.crt'", "ssl_key_file = '" .. dir .. "/server.key'",
        "ssl = " .. (name and "on" or "off") } do
        set = set .. " -c " .. quote("alter system set " .. text)
      end
      must(set .. " -c 'select pg_reload_conf()'")
      -- The reload is a signal: a new connection has it once the server says so.
      must(("timeout 30 sh -c 'until test \"$(psql -XqAt -h %s -p %s -U postgres -d postgres -c \"show ssl\")\" = %s; do :; done'"):format(
        dir, port, name and "on" or "off"))
    end,
  }
end

--- A standby of a server, caught up with it: it can be read, and not written to.
---@param primary table of servers.postgres
---@return {port: string, url: fun(user: string, password: string): string}
function servers.standby(primary)
  local dir, bin, port = own_dir(), bin_dir(), free_port()
  must(("%s%s/pg_basebackup -h %s -p %s -U postgres -D %s/data -R -X stream -c fast"):format(AS, bin, primary.dir, primary.port, dir))
  must(("%s%s/pg_ctl -D %s/data -w -t 60 -l %s/log -o %s start >/dev/null"):format(
    AS, bin, dir, dir, quote(("-p %s -k %s -c listen_addresses=127.0.0.1 -c fsync=off"):format(port, dir))))
  stops[#stops + 1] = function()
    capture(("%s%s/pg_ctl -D %s/data -m immediate -w stop"):format(AS, bin, dir))
    must("rm -rf -- " .. dir)
  end
  return { port = port, url = function(user, password)
    return ("postgresql://%s:%s@127.0.0.1:%s/postgres"):format(user, password, port)
  end }
end

--- pgbouncer before a PostgreSQL, in transaction mode, with one server connection for all clients.
---@param postgres table of servers.postgres
---@param users table<string, string> passwords
---@param settings? string more lines for its [pgbouncer] section
function servers.pgbouncer(postgres, users, settings)
  local dir, port = own_dir(), free_port()
  local list = assert(io.open(dir .. "/users", "w"))
  for user, password in pairs(users) do
    list:write(('"%s" "%s"\n'):format(user, password))
  end
  list:close()
  local ini = assert(io.open(dir .. "/pgbouncer.ini", "w"))
  ini:write(([[
[databases]
postgres = host=127.0.0.1 port=%s dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s/users
pool_mode = transaction
default_pool_size = 1
max_client_conn = 100
logfile = %s/log
pidfile = %s/pid
%s
]]):format(postgres.port, port, dir, dir, dir, settings or ""))
  ini:close()
  if IS_ROOT then must(("chown -R postgres: %s"):format(dir)) end
  -- It goes into the background before it listens.
  must(AS .. "/usr/sbin/pgbouncer -d -q " .. dir .. "/pgbouncer.ini")
  must(("timeout 30 bash -c 'until exec 3<>/dev/tcp/127.0.0.1/%s; do :; done' 2>/dev/null"):format(port))
  stops[#stops + 1] = function()
    capture(("kill -QUIT $(cat %s/pid)"):format(dir))
    must("rm -rf -- " .. dir)
  end
  return {
    port = port,
    url = function(user, password)
      return ("postgresql://%s:%s@127.0.0.1:%s/postgres"):format(user, password, port)
    end,
  }
end

--- A mail server (tests/services/mail/server.py) in a directory that it may write.
---@param dir string
---@return {ports: table<string, integer>, fault: fun(name: string?), messages: fun(): string[]}
function servers.mail(dir)
  must(("sh tests/lua/support/certificates.sh %s"):format(quote(dir)))
  local pid = must(("/usr/bin/python3 tests/services/mail/server.py %s >%s/log 2>&1 </dev/null & echo $!"):format(quote(dir), quote(dir)))
  stops[#stops + 1] = function() capture("kill " .. pid) end
  must(("timeout 30 sh -c 'until test -e %s/ports; do kill -0 %s || exit 1; sleep 0.02; done'"):format(dir, pid))
  local ports = {}
  for name, port in io.open(dir .. "/ports"):read("a"):gmatch '"(%w+)": (%d+)' do ports[name] = math.tointeger(tonumber(port)) end
  return {
    ports = ports,
    --- What goes wrong from now on; nil: nothing.
    fault = function(name)
      local f = assert(io.open(dir .. "/fault", "w"))
      f:write(name or "")
      f:close()
    end,
    --- The files of the messages that it took, in order.
    messages = function()
      local list = {}
      for path in io.popen("ls " .. quote(dir) .. "/mail/*.eml 2>/dev/null"):lines() do list[#list + 1] = path end
      return list
    end,
  }
end

--- An issuer of tokens and a platform that verifies them (entra_server.mjs), from npm as fetch.sh put it into `dir`.
---@param dir string
---@param secret string  the client's
---@return {issuer: integer, platform: integer} ports
function servers.entra(dir, secret)
  local kit = require "testkit"
  must(("cp tests/services/entra_server.mjs %s/"):format(quote(dir)))
  local r, w = kit.pipe()
  local pid = kit.spawn({ "/usr/bin/env", "ISSUER_SECRET=" .. secret, "node", "--no-warnings", dir .. "/entra_server.mjs" }, w)
  kit.close(w)
  local line = assert(kit.read_line(r), "the issuer did not start")
  kit.close(r)
  stops[#stops + 1] = function()
    kit.kill(pid)
    kit.wait(pid)
  end
  local ports = {}
  for name, port in line:gmatch '"(%w+)": (%d+)' do ports[name] = math.tointeger(tonumber(port)) end
  return ports
end

--- Starts a program that prints its port on the first line, and ends it with the others.
local function with_port(argv, what)
  local kit = require "testkit"
  local r, w = kit.pipe()
  local pid = kit.spawn({ "/bin/sh", "-c", 'exec "$@" >&3 3>&-', "sh", table.unpack(argv) }, w)
  kit.close(w)
  stops[#stops + 1] = function()
    kit.kill(pid, 15)
    kit.wait(pid)
  end
  local line = kit.read_line(r, 120000)
  kit.close(r)
  assert(line, what .. " did not start")
  return assert(line:match "^%d+", line)
end

--- OpenStack Swift with its S3 API (swift.sh).
---@return string port
function servers.swift()
  local dir = must "mktemp -d /tmp/gate-engine-services.XXXXXX"
  stops[#stops + 1] = function() must("rm -rf -- " .. dir) end
  return with_port({ "/bin/sh", "tests/services/swift.sh", dir }, "swift")
end

--- A store that speaks S3 and verifies nothing (open_store.py).
---@param dir string
---@return {port: string, fault: fun(name: string?)}
function servers.open_store(dir)
  return { port = with_port({ "/usr/bin/python3", "tests/services/open_store.py", dir }, "the open store"),
    fault = function(name)
      local f = assert(io.open(dir .. "/fault", "w"))
      f:write(name or "")
      f:close()
    end }
end

--- A proxy that takes every host for the loopback (forward_proxy.py).
---@return string port
function servers.forward_proxy()
  return with_port({ "/usr/bin/python3", "tests/services/forward_proxy.py" }, "the proxy")
end

--- Azure's Blob Storage as npm's azurite has it, from where fetch.sh put it.
---@param fetched string
---@param accounts table<string, string>  keys in base64
---@return string port
function servers.azurite(fetched, accounts)
  local kit = require "testkit"
  local dir, port, list = must "mktemp -d /tmp/gate-engine-services.XXXXXX", free_port(), {}
  for name, key in pairs(accounts) do list[#list + 1] = name .. ":" .. key end
  local pid = kit.spawn({ "/usr/bin/env", "AZURITE_ACCOUNTS=" .. table.concat(list, ";"), "node", "--no-warnings",
    fetched .. "/node_modules/azurite/dist/src/blob/main.js", "--location", dir, "--blobHost", "127.0.0.1", "--blobPort", port, "--silent",
    "--disableTelemetry" })
  stops[#stops + 1] = function()
    kit.kill(pid)
    kit.wait(pid)
    must("rm -rf -- " .. dir)
  end
  must(("timeout 60 bash -c 'until exec 3<>/dev/tcp/127.0.0.1/%s; do sleep 0.1; done' 2>/dev/null"):format(port))
  return port
end

--- Stops all servers, the last one first.
function servers.stop_all()
  for i = #stops, 1, -1 do
    stops[i]()
    stops[i] = nil
  end
end

return servers
