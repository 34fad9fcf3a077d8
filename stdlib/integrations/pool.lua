--- The pool between the application and its database, when it is short of connections, when a client is too slow, and when a backend
--- dies: each must end in time, and the next client must be served as if nothing had been.
local errors = require "errors"
local hash = require "hash"
local task = require "task"

local pool = {}

-- Milliseconds. A pool that serves nobody more for QUIET is full; one that has serves whoever waits within PATIENCE after others let go.
local QUIET, PATIENCE = 500, 5000
local LOOK_AT_POOLER = "Look at the pooler's log, and whether it reaches the server"
local LOOK_AT_CONFIG = "Look whether database.app and database.admin reach the same server"

local function refuse(text, detail, fix)
  errors.raise { code = "pool_failed", message = text, detail = detail, fix = fix }
end

--- Begins a transaction of each client at once and holds it until all have one, or the pool is full; then all let go.
---@param clients table[] connections
---@param work fun(conn: table)  done in each transaction
---@return integer at_once  how many had one at the same time
---Errors: pool_failed where one is not served after the others have let go.
function pool.together(clients, work)
  local state = { served = 0, ended = 0, last = task.now() }
  local function watch()
    while state.ended < #clients do
      local quiet = task.now() - state.last
      if not state.at_once and (state.served == #clients or quiet > QUIET) then
        state.at_once, state.last = state.served, task.now()
      elseif state.at_once and quiet > PATIENCE then
        refuse("no recovery", ("%d of %d clients were not served within %d s after the others had let go"):format(
          #clients - state.served, #clients, PATIENCE // 1000), LOOK_AT_POOLER)
      end
      task.sleep(0.005)
    end
  end
  local jobs = { watch }
  for i, conn in ipairs(clients) do
    jobs[i + 1] = function()
      conn:transaction(function()
        work(conn)
        state.served, state.last = state.served + 1, task.now()
        while not state.at_once do task.sleep(0.005) end
      end)
      state.ended, state.last = state.ended + 1, task.now()
    end
  end
  task.map(jobs, #jobs, function(job) job() end)
  return state.at_once
end

local function is_ended(raised)
  return errors.is(raised) and (raised.code == "db_lost" or raised.sqlstate == "57P01" or raised.sqlstate == "25P03")
end

--- Does the connection end within the time, with nobody doing anything on it but to look now and then, less and less often?
local function ends(conn, first_wait)
  local wait, started = first_wait, task.now()
  while task.now() - started < PATIENCE do
    task.sleep(wait)
    local ok, raised = pcall(conn.value, conn, "select 1")
    if not ok and is_ended(raised) then return true end
    if not ok then error(raised, 0) end
    wait = wait * 2
  end
  return false
end

--- A new client is served, and sees nothing of the tenant whose client has gone.
local function serves_again(ctx, setting, mark, after)
  local ok, raised = pcall(function()
    local conn <close> = ctx.db:open "app"
    return conn:value("select coalesce(current_setting($1, true), '')", setting)
  end)
  if not ok then
    if not errors.is(raised) then error(raised, 0) end
    refuse("no recovery", ("%s: the next client got: %s"):format(after, raised.message), LOOK_AT_POOLER)
  end
  if raised == mark then
    ctx:fail("context_leaks", { object = setting, detail = ("%s: its tenant was seen by the next client"):format(after),
      fix = "Let the pooler throw a connection away whose client has gone: server_reset_query_always = 1, or a release that does" })
  end
end

--- A statement that takes too long is cancelled by the server, and the connection serves on.
local function slow_statement(ctx)
  local conn <close> = ctx.db:open "app"
  local ok, raised = pcall(conn.transaction, conn, function()
    conn:exec "set local statement_timeout = '50ms'"
    conn:value "select pg_sleep(2)"
  end)
  if ok then
    refuse("timeout", "a statement of 2 s went on for all of its statement_timeout of 50 ms", "Look for what resets statement_timeout")
  end
  if not (errors.is(raised) and raised.sqlstate == "57014") then error(raised, 0) end
  conn:value "select 1"
end

--- A client that holds a transaction and does nothing is cut off by the server.
local function idle_client(ctx, setting)
  local conn <close> = ctx.db:open "app"
  local mark, cut = "gate-canary-" .. hash.hex(hash.random(8)), false
  local ok, raised = pcall(conn.transaction, conn, function()
    conn:value("select set_config($1, $2, true)", setting, mark)
    conn:exec "set local idle_in_transaction_session_timeout = '50ms'"
    cut = ends(conn, 0.1)
  end)
  if not cut then
    if not ok then error(raised, 0) end
    refuse("timeout", "a client that did nothing in a transaction kept its connection beyond idle_in_transaction_session_timeout",
      "Look for what resets idle_in_transaction_session_timeout")
  end
  serves_again(ctx, setting, mark, "a client was cut off for doing nothing in a transaction")
end

--- Ends a backend as the application, which may end its own; where its pool has no second connection, as the admin.
local function terminate(ctx, pid, at_once)
  if at_once > 1 then
    local own <close> = ctx.db:open "app"
    return own:value("select pg_terminate_backend($1)", pid)
  end
  local ok, raised = pcall(function() return ctx.db.admin:value("select pg_terminate_backend($1)", pid) end)
  if ok then return raised end
  if errors.is(raised) and raised.code == "db_permission" then
    errors.raise { code = "kill_not_tried", detail = raised.message,
      message = "a killed backend was not tried: the pool has one connection, and database.admin may not end it",
      fix = "grant pg_signal_backend to the role of database.admin, or give the pool a second connection" }
  end
  error(raised, 0)
end

--- A backend that dies in the middle of a transaction ends that, and nothing else.
local function killed_backend(ctx, setting, at_once)
  local conn <close> = ctx.db:open "app"
  local mark, noticed = "gate-canary-" .. hash.hex(hash.random(8)), false
  local ok, raised = pcall(conn.transaction, conn, function()
    conn:value("select set_config($1, $2, true)", setting, mark)
    if not terminate(ctx, conn:value "select pg_backend_pid()", at_once) then
      refuse("no recovery", "the backend of a client could not be ended", LOOK_AT_CONFIG)
    end
    noticed = ends(conn, 0.005)
  end)
  if not noticed then
    if not ok then error(raised, 0) end
    refuse("no recovery", "a backend was ended, and its client went on as if it had not been", LOOK_AT_CONFIG)
  end
  serves_again(ctx, setting, mark, "a backend was killed in a transaction")
end

--- Is it a server that can be written to? An application on a replica reads, and loses what it writes.
local function writable(ctx)
  local conn <close> = ctx.db:open "app"
  local seen = conn:row "select pg_is_in_recovery() as standby, current_setting('default_transaction_read_only') = 'on' as readonly"
  if seen.standby then
    refuse("read-only replica", "the server is a standby (pg_is_in_recovery)",
      "Give database.app the address of the primary: target_session_attrs=read-write")
  end
  if seen.readonly then
    refuse("read-only", "default_transaction_read_only is on for the application's sessions",
      "ALTER ROLE … RESET default_transaction_read_only")
  end
end

--- What the application's sessions begin with, of what keeps a pool from being used up; "0" is no limit.
local function limits(ctx)
  local conn <close> = ctx.db:open "app"
  local seen = conn:row [[select current_setting('statement_timeout') as statement_timeout,
    current_setting('lock_timeout') as lock_timeout,
    current_setting('idle_in_transaction_session_timeout') as idle_in_transaction_session_timeout]]
  for name, value in pairs(seen) do ctx:fact("pool_" .. name, value) end
end

--- All of it. Raises pool_failed for what fails; a tenant that is seen is a finding of its own (context_leaks).
---@param ctx gate.Context
---@param setting string   the tenant setting
---@param at_once integer  how many clients the pool serves at the same time
function pool.check(ctx, setting, at_once)
  writable(ctx)
  limits(ctx)
  slow_statement(ctx)
  idle_client(ctx, setting)
  killed_backend(ctx, setting, at_once)
  ctx:fact("pool_tried", { "slow statement", "idle client", "killed backend" })
end

return pool
