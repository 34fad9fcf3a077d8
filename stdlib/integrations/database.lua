--- The database pool: parallel clients, each with a tenant of its own, and no context that passes from one client to the next.
local errors = require "errors"
local hash = require "hash"
local task = require "task"

local database = {}

local function says(raised)
  local texts = { db_connect = "connection refused", db_auth = "login refused", db_timeout = "timeout", db_lost = "connection lost",
    resolve_failed = "name not resolved" }
  return errors.is(raised) and texts[raised.code]
end

local function open_all(ctx, n)
  local numbers = {}
  for i = 1, n do numbers[i] = i end
  return task.map(numbers, n, function() return ctx.db:open("app") end)
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

--- A session-level set_config of one client must not be seen by another: behind a transaction pooler it is.
local function session_context(ctx, clients, setting)
  local mark = "gate-canary-" .. hash.hex(hash.random(8))
  clients[1]:value("select set_config($1, $2, false)", setting, mark)
  for i = 2, #clients do
    if clients[i]:value("select current_setting($1, true)", setting) == mark then
      ctx:fail("context_leaks", { object = setting, detail = "a tenant that one client set at session level was seen by the next client",
        fix = "Set the tenant with set_config(…, true) inside each transaction, or give the pooler server_reset_query_always = 1" })
      break
    end
  end
  clients[1]:value("select set_config($1, '', false)", setting)
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
    task.map(clients, #clients, function(conn) one_client(ctx, conn, setting) end)
    session_context(ctx, clients, setting)
    ctx:fact("clients", #clients)
  end)
  close_all(clients)
  if ok then return end
  local text = says(raised)
  if not text then error(raised, 0) end
  ctx:fail("database_failed", { object = "app", args = { text }, detail = raised.message })
end

return database
