--- The database pool: parallel clients, each with a tenant of its own, and no context that passes from one client to the next.
local database_tls = require "integrations.database_tls"
local errors = require "errors"
local hash = require "hash"
local pool = require "integrations.pool"
local probe = require "integrations.probe"
local task = require "task"

local database = {}

local LOOK_AT_POOLS = "Look whether the pooler reaches the server, and who uses its connections: SHOW POOLS in pgbouncer's console"

--- What stands in the words of a connection that was not made, or was ended before it served, of libpq, a server or a pooler; what it is,
--- and the fix where it is not that of the error. A pattern each; the first counts.
local WORDS = {
  { "query_wait_timeout", "no server connection in time", LOOK_AT_POOLS },
  { "^no connection to database .* within", "timeout" },
  { "invalid response to SSL negotiation", "the answer is not PostgreSQL's" },
  { "expected authentication request from server", "the answer is not PostgreSQL's" },
  { "cannot connect to server", "the pooler reaches no server", LOOK_AT_POOLS },
  { "server login has been failing", "the pooler reaches no server", LOOK_AT_POOLS },
  { 'database "[^"]*" does not exist', "database missing" },
  { "no such database", "database missing" }, -- pgbouncer
  { "is starting up", "the server is not ready" },
  { "is shutting down", "the server is not ready" },
  { "in recovery mode", "the server is not ready" },
}

--- What is wrong, in a few words, and a fix where there is a better one than the error's; nil where it is nothing of the pool's. A
--- server says that it is full by SQLSTATE 53300, pgbouncer in words of its own.
local function says(raised, certificate)
  if not errors.is(raised) then return nil end
  if raised.code == "pool_failed" then return raised.message end
  local words = raised.message .. " " .. tostring(raised.detail)
  for _, one in ipairs((raised.code == "db_connect" or raised.code == "db_lost") and WORDS or {}) do
    if words:find(one[1]) then return one[2], one[3] end
  end
  if raised.sqlstate == "53300" or words:find("too many clients", 1, true) or words:find("no more connections allowed", 1, true)
    or words:find("too many connections", 1, true) or words:find("query_wait_timeout", 1, true) then
    return "exhausted"
  end
  if database_tls.is_tls(raised) then return database_tls.says(raised, certificate) end
  local texts = { db_connect = "connection refused", db_auth = "login refused", db_timeout = "timeout", db_lost = "connection lost",
    resolve_failed = "name not resolved" }
  return texts[raised.code]
end

local function open_all(ctx, n)
  local numbers = {}
  for i = 1, n do numbers[i] = i end
  local longest = 0
  local clients = task.map(numbers, n, function()
    local started = task.now()
    local conn = ctx.db:open("app")
    longest = math.max(longest, task.now() - started)
    return conn
  end)
  ctx:fact("database_connect_ms", math.floor(longest * 10 + 0.5) / 10)
  return clients
end

--- What the application's connections have of TLS. Over the network none is a fact worth to be read.
local function tell_tls(ctx, tls)
  ctx:fact("database_tls", tls.used and ("%s %s, sslmode %s"):format(tls.protocol, tls.cipher, tls.mode)
    or ("none, sslmode %s"):format(tls.mode))
  probe.connection(ctx, "database", { address = tls.address, certificate = tls.certificate })
end

local function close_all(clients)
  for _, conn in ipairs(clients) do pcall(conn.close, conn) end
end

--- One client: its context holds inside its transaction and is gone after it.
local function one_client(ctx, conn, setting)
  local mine = "gate-canary-" .. hash.hex(hash.random(8))
  conn:transaction(function()
    conn:value("select set_config($1, $2, true)", setting, mine)
    for _ = 1, 3 do
      local seen = conn:value("select current_setting($1, true)", setting)
      if seen ~= mine then
        ctx:fail("context_leaks", { object = setting, detail = ("a client that set its own tenant read %q"):format(tostring(seen)) })
      end
    end
  end)
  local after = conn:value("select current_setting($1, true)", setting)
  if after and after ~= "" then
    ctx:fail("context_leaks", { object = setting, detail = "the tenant of a transaction was still set after it" })
  end
end

--- Does a client see the mark, in one of so many transactions? A pooler gives it the connection that was used last, or each in turn.
local function sees(conn, setting, mark, times)
  for _ = 1, times do
    if conn:value("select current_setting($1, true)", setting) == mark then return true end
  end
  return false
end

--- A session-level set_config of one client must not be seen by another: behind a transaction pooler it is. All clients set one at the same
--- time, so that the connections a pool has carry it, whichever it gives to a client that has set nothing.
---@return integer at_once  how many were served at the same time
local function session_context(ctx, clients, setting)
  local mark = "gate-canary-" .. hash.hex(hash.random(8))
  local function set(value)
    return function(conn) conn:value("select set_config($1, $2, false)", setting, value) end
  end
  local at_once = pool.together(clients, set(mark))
  local fresh = ctx.db:open "app"
  local seen = sees(fresh, setting, mark, 4 * #clients)
  clients[#clients + 1] = fresh -- one more than there were, so that no connection is left out
  pool.together(clients, set "")
  if sees(fresh, setting, mark, 4 * #clients) then
    errors.raise { code = "canary_left", message = ("the canary %s is still the tenant of a session of the pool"):format(mark),
      detail = "the check set it to prove that no other client sees it, and could not take it back",
      fix = "let the pooler close its server connections: RECONNECT in pgbouncer's console" }
  end
  if seen then
    ctx:fail("context_leaks", { object = setting, detail = "a tenant that one client set at session level was seen by the next client",
      fix = "Set the tenant with set_config(…, true) inside each transaction, or give the pooler server_reset_query_always = 1" })
  end
  return at_once
end

--- The check "database".
---@param ctx gate.Context
function database.check(ctx)
  local setting = ctx.config.database.tenant.setting
  if not setting then
    errors.raise { code = "config_missing_key", message = "the pool check needs database.tenant.setting",
      fix = "add it to gate-engine.conf.lua" }
  end
  local clients = {}
  local ok, raised = pcall(function()
    clients = open_all(ctx, ctx.options.clients)
    tell_tls(ctx, clients[1]:tls())
    task.map(clients, #clients, function(conn) one_client(ctx, conn, setting) end)
    local at_once = session_context(ctx, clients, setting)
    ctx:fact("clients", ctx.options.clients)
    ctx:fact("clients_at_once", at_once)
    close_all(clients)
    pool.check(ctx, setting, at_once)
  end)
  close_all(clients)
  if ok then return end
  local certificate = database_tls.is_tls(raised) and database_tls.shown(ctx, "app") or nil
  probe.connection(ctx, "database", certificate and { certificate = certificate })
  local text, fix = says(raised, certificate)
  if not text then error(raised, 0) end
  local words = raised.code ~= "pool_failed" and raised.detail and ("%s: %s"):format(raised.message, raised.detail) or raised.message
  ctx:fail("database_failed", { object = "app", args = { text }, detail = raised.code == "pool_failed" and raised.detail or words,
    fix = fix or raised.fix })
end

return database
