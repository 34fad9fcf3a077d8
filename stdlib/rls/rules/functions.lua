--- Functions whose declaration or text goes around the policies: cached contexts, false LEAKPROOF, triggers that copy.
--
-- PostgreSQL manual: 38.7 (volatility), CREATE FUNCTION (LEAKPROOF), 5.8, 39 (triggers).
local arrays = require "rls.arrays"
local copies = require "rls.rules.copies"
local dialect = require "rls.dialect"
local names = require "rls.names"
local notices = require "rls.rules.notices"

local functions = {}

--- Functions of the user's schemas that policies or views of tenants' tables depend on, and whether they read settings.
local CONTEXT = [[
  with uses as (
    select distinct d.refobjid as oid, p.polrelid as rel from pg_policy p join pg_depend d
      on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
     where p.polrelid::text = any($1))
  select format('%I.%I(%s)', n.nspname, f.proname, oidvectortypes(f.proargtypes)) as name,
         u.rel::text as rel, f.provolatile::text as volatility,
         {body f} as source
    from uses u join pg_proc f on f.oid = u.oid join pg_namespace n on n.oid = f.pronamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2]]

local LEAKPROOF = [[
  select format('%I.%I(%s)', n.nspname, f.proname, oidvectortypes(f.proargtypes)) as name,
         l.lanname::text as language, f.prosrc as source
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace join pg_language l on l.oid = f.prolang
   where f.proleakproof and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and has_function_privilege($1, f.oid, 'EXECUTE')
     and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
   order by 1]]

local TRIGGERS = [[
  select t.tgrelid::text as rel, t.tgname::text as name, f.prosrc as source,
         coalesce(t.tgnewtable, 'new')::text as new_table, coalesce(t.tgoldtable, 'old')::text as old_table,
         format('%I.%I(%s)', n.nspname, f.proname, oidvectortypes(f.proargtypes)) as func
    from pg_trigger t join pg_proc f on f.oid = t.tgfoid join pg_namespace n on n.oid = f.pronamespace
    join pg_language l on l.oid = f.prolang
   where not t.tgisinternal and t.tgenabled <> 'D' and t.tgrelid::text = any($1) and l.lanname = 'plpgsql'
   order by 1, 2]]

local function source_sql(name)
  return ("select pg_get_functiondef(%s::regprocedure);"):format(names.literal(name))
end

local function cached(out, conn, oids, by_oid)
  for _, f in ipairs(conn:query(dialect.of(conn, CONTEXT), oids)) do
    local kept = f.source:lower():find "%f[%w_]set_config%s*%("
    if kept then
      out[#out + 1] = { class = "context_function_cached", object = by_oid[f.rel].label,
        detail = ("its policy calls %s, which keeps what it found in a setting: the next transaction, or whoever sets it, has its tenant")
          :format(f.name), reproduce = source_sql(f.name) }
    elseif f.volatility == "i" and f.source:lower():find("current_setting", 1, true) then
      out[#out + 1] = { class = "context_function_cached", object = by_oid[f.rel].label,
        detail = ("its policy calls %s, which reads a setting and is declared IMMUTABLE"):format(f.name), reproduce = source_sql(f.name),
        repair = ("ALTER FUNCTION %s STABLE;"):format(f.name) }
    end
  end
end

local function claims(out, conn, app)
  for _, f in ipairs(conn:query(LEAKPROOF, app)) do
    -- Another language's code cannot be read here; what raises or writes tells its arguments.
    local text = f.source:lower()
    local tells = f.language ~= "sql" or text:find "%f[%w]insert%f[%W]" or text:find "%f[%w]update%f[%W]"
    if tells then
      out[#out + 1] = { class = "leakproof_claim", object = f.name, detail = ("it is LEAKPROOF, in %s"):format(f.language),
        reproduce = source_sql(f.name), repair = ("ALTER FUNCTION %s NOT LEAKPROOF;"):format(f.name) }
    end
  end
end

--- The trigger, and who may read what it writes.
local function copying_sql(app, from, trigger, to)
  return ("select tgname, tgenabled, pg_get_functiondef(tgfoid), c.relrowsecurity, has_table_privilege(%s, c.oid, 'SELECT') as readable\n"
    .. "  from pg_trigger, pg_class c where tgrelid = %s::regclass and tgname = %s and c.oid = %s::regclass;"):format(names.literal(app),
    names.literal(from.sql), names.literal(trigger.name), names.literal(to.sql))
end

--- What closes it where the rows are kept as JSON documents, which have no column of the tenant's; nil where they are kept otherwise.
local function way_out(from, to)
  local tenant = from.tenant and from.by_column[from.tenant]
  for _, c in ipairs(tenant and to.columns or {}) do
    if c.base == "json" or c.base == "jsonb" then
      local column = names.ident(tenant.name)
      return ("Keep beside the document whose it is: ALTER TABLE %s ADD COLUMN %s %s; UPDATE %s SET %s = (%s ->> %s)::%s; (with its path, "
        .. "where the row lies deeper in it), let the trigger's function fill it with NEW.%s, and put row-level security with a policy on "
        .. "that column; or revoke it"):format(to.sql, column, tenant.type, to.sql, column, names.ident(c.name), names.literal(tenant.name),
        tenant.type, column)
    end
  end
  return nil
end

local function copying(out, conn, app, oids, by_oid, tables, shown, all)
  -- Many triggers run one function.
  local known = {}
  local function once(key, ask)
    if known[key] == nil then known[key] = ask() end
    return known[key]
  end
  local function reads(t)
    return t.acts.select or ((t.kind == "r" or t.kind == "p") and once(t.oid, function() return shown(t) end))
  end
  local function writes(trigger, t)
    local given = { "new", "old", trigger.new_table, trigger.old_table }
    return once(table.concat({ trigger.func, t.oid, table.unpack(given) }, "\0"),
      function() return copies.into(trigger.source, given, t, all) end)
  end
  for _, trigger in ipairs(conn:query(TRIGGERS, oids)) do
    for _, t in ipairs(tables) do
      local nobodys = t.scope ~= "tenant" and t.scope ~= "child"
      if nobodys and reads(t) and writes(trigger, t) then
        out[#out + 1] = { class = "trigger_copies", object = t.label,
          detail = ("the trigger %s on %s inserts rows into it"):format(trigger.name, by_oid[trigger.rel].label),
          fix = way_out(by_oid[trigger.rel], t), rests_on = trigger.source,
          reproduce = copying_sql(app, by_oid[trigger.rel], trigger, t) }
      end
    end
  end
end

--- Do the columns say no more than which row it is, and whose?
local function are_keys(columns, t)
  local keys = { [(t.tenant or ""):lower()] = true }
  for _, unique in ipairs(t.uniques) do
    for _, name in ipairs(#unique.columns == 1 and t.by_column[unique.columns[1]].category ~= "S" and unique.columns or {}) do
      keys[name:lower()] = true
    end
  end
  for _, name in ipairs(t.parent_key and t.parent_key.columns or {}) do keys[name:lower()] = true end
  for name in pairs(columns) do
    if not keys[name] then return false end
  end
  return true
end

--- Triggers that send what their row holds to whoever listens.
local function notifying(out, conn, oids, by_oid, all)
  for _, trigger in ipairs(conn:query(TRIGGERS, oids)) do
    local t = by_oid[trigger.rel]
    local sent = notices.sent(trigger.source, { "new", "old", trigger.new_table, trigger.old_table }, all)
    if sent then
      local list = {}
      for name in pairs(sent) do list[#list + 1] = name == "*" and "the whole row" or name end
      table.sort(list)
      local keys = are_keys(sent, t)
      out[#out + 1] = { class = "trigger_notifies", object = t.label, rests_on = trigger.source, advisory = keys or nil,
        detail = ("the trigger %s sends %s to every session that listens"):format(trigger.name, table.concat(list, ", ")),
        reproduce = source_sql(trigger.func) }
    end
  end
end

--- Findings about functions.
---@param conn table          the admin's
---@param app {role: string, super: boolean}
---@param base rls.Table[]    tenants' base tables
---@param tables rls.Table[]  all tables that were read
---@param by_oid table<string, rls.Table>
---@param shown fun(t: rls.Table): boolean  does a function show it that the application may call, and that has its owner's rights?
---@param all table[]  of rls.Model.all_functions: what triggers may call
---@return {class: string, object: string, detail: string, reproduce: string, repair: string?, advisory: boolean?}[]
function functions.findings(conn, app, base, tables, by_oid, shown, all)
  local out, list = {}, {}
  for _, t in ipairs(base) do list[#list + 1] = t.oid end
  local oids = arrays.text(list)
  cached(out, conn, oids, by_oid)
  claims(out, conn, app.role)
  copying(out, conn, app.role, oids, by_oid, tables, shown, all)
  notifying(out, conn, oids, by_oid, all)
  return out
end

return functions
