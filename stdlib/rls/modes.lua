--- How far gate 1 goes on a live database: static (the catalogue), read (also as the application, nothing written) or full (canaries).
---
--- The less is tried, the less passes: what neither a proof nor a probe decides is an ERROR. `gate-engine doc rights` says what each needs.
local catalogue = require "rls.catalogue"
local errors = require "errors"
local names = require "rls.names"
local pooler = require "rls.pooler"

local modes = {}

--- The application's role as the catalogue has it, where nobody may assume it.
local function from_catalogue(ctx, role)
  return { row = function()
    return ctx.db.admin:row("select rolname::text as role, rolsuper as super, rolbypassrls as bypass from pg_roles where rolname = $1",
      role)
      or errors.raise { code = "app_unknown", message = ("the application's role %s is not there"):format(role),
        fix = "check database.app.role" }
  end }
end

--- Settles the mode before anything is looked at. Where the admin may not become the application the catalogue still tells what it can.
---@param ctx table
---@return string mode, table? missing  an error to raise: the right without which the wanted mode is not possible
function modes.settle(ctx)
  local settings = ctx.config.database
  local wanted = ctx.options.probe or (settings.probe or {}).mode or "full"
  local mode, missing = wanted, nil
  if ctx.platform.kind == "external" and settings.app_role then
    local ok, raised = pcall(function() return ctx.db.app:row "select 1 as one" end)
    if not ok and errors.is(raised) and raised.code == "db_permission" then
      rawset(ctx.db, "app", from_catalogue(ctx, settings.app_role))
      mode = "static"
      missing = wanted ~= "static" and { code = "admin_right_missing",
        message = ("database.admin may not assume the application's role %s: only the catalogue was looked at"):format(settings.app_role),
        fix = ("GRANT %s TO the role of database.admin, or ask for no more with --probe static"):format(names.ident(settings.app_role)) }
        or nil
    end
  end
  if mode == "full" and ctx.platform.kind == "external" and ctx.db.admin:value "select pg_is_in_recovery()" then
    mode = "read"
    missing = { code = "admin_right_missing",
      message = "the server is a standby, where no canary can be written: nothing but reading was tried",
      fix = "give database.admin the primary's address, or ask for no more with --probe read" }
  end
  settings.probe = settings.probe or {}
  settings.probe.mode = mode
  return mode, missing
end

--- Two runs on one database would see each other's locks, and each other's canaries where they are committed.
---@param ctx table
---@return table? conn  holds the lock until it is closed; behind a pooler that lends its sessions it would hold it for ever
function modes.lock(ctx)
  if ctx.platform.kind ~= "external" then return nil end
  local conn = ctx.db:open "admin"
  local pooled = pooler.mode(conn, function() return ctx.db:open "admin" end)
  if pooled and pooled ~= "session" then
    conn:close()
    local text, fix = pooler.refusal("admin", pooled)
    errors.raise { code = "admin_pooled", message = "database." .. text, fix = fix }
  end
  conn:exec "set lock_timeout = '60s'"
  local ok, raised = pcall(conn.value, conn, "select pg_advisory_lock(hashtext('gate-engine'), hashtext('rls_harness'))")
  if ok then return conn end
  conn:close()
  if errors.is(raised) and raised.sqlstate == "55P03" then
    errors.raise { code = "another_run", message = "another run of gate 1 is under way on this database",
      fix = "wait for its end: select pid from pg_locks where locktype = 'advisory' shows its session" }
  end
  error(raised, 0)
end

local COMMANDS = { "select", "insert", "update", "delete" }

--- What grants and policies prove of a table. A counterexample is a finding of its own, made from the decision.
---@param verdicts table<string, prover.Verdict>?  of the application's role, by command
local function prove(t, verdicts, result, mode)
  local open = {}
  for _, op in ipairs(COMMANDS) do
    local v = verdicts and verdicts[op:upper()]
    local status = catalogue.nobody_may(t, op) and "proven" or v and v.status
    if status == "proven" or status == "trusted" then
      result.proven[#result.proven + 1] = op
    elseif status == "counterexample" then
      result.refuted = true
    else
      open[#open + 1] = op .. (v and v.reason and (" (%s)"):format(v.reason) or "")
    end
  end
  if #open > 0 then
    result.errors[#result.errors + 1] = ("%s: not probed (--probe %s), and not proven by the policies"):format(table.concat(open, ", "),
      mode)
  end
end

--- As the application, without canaries: whatever is seen without a tenant is a leak.
local function read_as_application(open, tables, options, results)
  local conn = open()
  local setting = names.literal(options.settings.tenant.setting)
  conn:transaction(function()
    conn:script "set local lock_timeout = '5s'; set local statement_timeout = '60s'; set transaction read only"
    conn:exec(("set local %s %s"):format(options.superuser and "session authorization" or "role", names.ident(options.role)))
    for _, case in ipairs { { nil, "absent" }, { "", "empty" }, { "not a tenant", "malformed" } } do
      if case[1] then conn:value(("select set_config(%s, $1, true)"):format(setting), case[1]) end
      for _, t in ipairs(tables) do
        if not catalogue.nobody_may(t, "select") then
          local r = results[t.oid]
          r.statements = r.statements + 1
          local sql = ("select 1 from %s limit 1"):format(t.sql)
          local ok, _, rows = conn:try(sql)
          if ok and rows.n > 0 then
            r.leaks[#r.leaks + 1] = { op = "select", detail = "rows are visible with the tenant setting " .. case[2],
              reproduce = ("begin;\nset local role %s;\n%s%s;\nrollback;"):format(names.ident(options.role),
                case[1] and ("select set_config(%s, %s, true);\n"):format(setting, names.literal(case[1])) or "", sql) }
          end
        end
      end
    end
  end, { rollback = true })
  conn:close()
end

--- Do the same policies of a table bind everybody whom any binds? A view's owner is not who asks in them: current_user stays the
--- session's (PostgreSQL manual, section 41.5).
local function bind_all_alike(t)
  for _, p in ipairs(t.policies) do
    if #p.roles ~= 1 or p.roles[1] ~= "public" then return false end
  end
  return t.rls
end

--- Does a view show what its tables show the application? To read as the application is one way; the other is to read as a role that
--- the very policies bind by which the application is proven to see its tenant's rows alone.
local function shows_the_proven(v, verdicts, role)
  if not v.bound then return false end
  if v.reader == role then return true end
  for _, t in ipairs(v.reads or {}) do
    local verdict = (verdicts[t.oid] or {}).SELECT
    local proven = verdict and verdict.status == "proven" and verdict.decided_by ~= "no grant"
    if not (proven and bind_all_alike(t)) then return false end
  end
  return #(v.reads or {}) > 0
end

--- In place of the probe's results, where it does not go all the way.
---@param mode "static"|"read"
---@return table results by oid
function modes.results(open, tables, view_list, options, mode)
  local results = {}
  local function result(t)
    results[t.oid] = { table = t, leaks = {}, errors = {}, proven = {}, controls = 0, statements = 0 }
    return results[t.oid]
  end
  local verdicts = {}
  for _, d in ipairs(options.decisions or {}) do
    if not d.role.via then verdicts[d.table.oid] = d.verdicts end
  end
  for _, t in ipairs(tables) do prove(t, verdicts[t.oid], result(t), mode) end
  for _, v in ipairs(view_list) do
    local r = result(v)
    if shows_the_proven(v, verdicts, options.role) then
      r.proven[1] = "select"
    else
      r.errors[1] = ("not probed (--probe %s)"):format(mode)
    end
  end
  if mode == "read" then
    read_as_application(open, tables, options, results)
  end
  return results
end

return modes
