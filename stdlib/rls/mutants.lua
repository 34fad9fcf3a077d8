--- Ways of breaking a schema's tenant isolation, each as SQL: what the mutation score is made of.
---
--- A mutant opens a way to another tenant's row by what it is, whatever the schema. Left away are those that only take rights away, such as
--- dropping one of several permissive policies, and those that change nothing (rls.equivalents).
local catalogue = require "rls.catalogue"
local equivalents = require "rls.equivalents"
local names = require "rls.names"

local mutants = {}

---@class rls.Mutant
---@field kind string     stable name, e.g. "policy_or_true"
---@field object string   what is broken
---@field sql string
---@field tables rls.Table[]?  whose checks have to see it; nil: any check

local SETTING = "current_setting('gate_engine.mutant', true) = 'on'"

--- Does the application have the right that a policy is about?
local function concerns(t, p)
  if not p.applies then return false end
  if p.command == "ALL" then return t.may.select or t.may.insert or t.may.update or t.may.delete end
  return t.may[p.command:lower()]
end

--- Do the permissive policies alone isolate the tenant, so that a restrictive one changes nothing?
local function isolates_without(t, settings)
  local forms = catalogue.canonical(t, settings)
  for _, p in ipairs(t.policies) do
    if p.permissive and p.applies and not (forms[p.using or p.check or ""] and forms[p.check or p.using or ""]) then return false end
  end
  return true
end

local function alter(t, p, using, check)
  return ("ALTER POLICY %s ON %s%s%s"):format(names.ident(p.name), t.sql, using and (" USING (" .. using .. ")") or "",
    check and (" WITH CHECK (" .. check .. ")") or "")
end

--- Is there a command that the policy is about, and the application may, which no restrictive policy isolates?
local function opens(t, p, restricted, commands)
  if not p.permissive then return true end
  for _, command in ipairs(commands) do
    local concerned = p.command == "ALL" or p.command == command
    if concerned and t.may[command:lower()] and not restricted[command] then return true end
  end
  return false
end

local ALL, WRITES = { "SELECT", "INSERT", "UPDATE", "DELETE" }, { "INSERT", "UPDATE" }

local function of_policy(t, p, at, add)
  local what = ("policy %s of %s"):format(p.name, t.label)
  -- Without any policy nothing is let through either, but it was forgotten; beside others a permissive one only gives.
  if not p.permissive or #t.policies == 1 then
    add("policy_dropped", what, ("DROP POLICY %s ON %s"):format(names.ident(p.name), t.sql))
  end
  if not opens(t, p, at.restricted, ALL) then return end
  local wider = { { "policy_or_true", "true" }, { "policy_or_setting", SETTING } }
  local tenant = t.tenant and t.by_column[t.tenant]
  if tenant and not tenant.notnull and not equivalents.gives_null(t, p) then
    wider[#wider + 1] = { "policy_or_null_tenant", names.ident(t.tenant) .. " IS NULL" }
  end
  for _, w in ipairs(wider) do
    local function with(expr) return expr and ("(%s) OR %s"):format(expr, w[2]) end
    add(w[1], what, alter(t, p, with(p.using), with(p.check)))
  end
  local writes = (p.command == "ALL" or p.command == "UPDATE" or p.command == "INSERT") and (t.may.insert or t.may.update)
  if writes and opens(t, p, at.restricted, WRITES) and not equivalents.check_is_idle(t, p, at.around) then
    add("with_check_true", what, alter(t, p, nil, "true"))
  end
end

--- FORCE binds the owner: it matters where the application is the owner, or reads through something that has the owner's rights.
local function force_matters(seen, t)
  if t.app_owns or seen.embedded then return true end
  for _, v in ipairs(seen.tables) do
    for _, r in ipairs(v.reads or {}) do
      if r.oid == t.oid and v.reader == t.owner then return true end
    end
  end
  return false
end

local function of_table(seen, t, app, at, add)
  local around, schema = at.around, names.ident(t.schema)
  local felt = seen.embedded or not around.inert
  if t.rls and felt then add("rls_disabled", t.label, ("ALTER TABLE %s DISABLE ROW LEVEL SECURITY"):format(t.sql)) end
  if t.rls and t.forced and felt and (seen.embedded or around.owner_bound) and force_matters(seen, t) then
    add("force_removed", t.label, ("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY"):format(t.sql))
  end
  if not t.may.truncate then
    add("truncate_granted", t.label, ("GRANT USAGE ON SCHEMA %s TO %s; GRANT TRUNCATE ON %s TO %s"):format(schema, app, t.sql, app))
  end
  if t.rls and t.may.select and not at.restricted.SELECT then
    add("policy_added", t.label, ("CREATE POLICY gate_mutant ON %s FOR SELECT USING (true)"):format(t.sql))
  end
  if t.rls and t.may.insert and not at.restricted.INSERT then
    add("insert_policy_added", t.label, ("CREATE POLICY gate_mutant ON %s FOR INSERT WITH CHECK (true)"):format(t.sql))
  end
  add("definer_function", t.label, ([[
    CREATE FUNCTION %s.gate_mutant() RETURNS SETOF %s LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT * FROM %s';
    GRANT USAGE ON SCHEMA %s TO %s; GRANT EXECUTE ON FUNCTION %s.gate_mutant() TO %s]]):format(schema, t.sql,
    t.sql:gsub("'", "''"), schema, app, schema, app))
  add("owner_view", t.label, ([[
    CREATE VIEW %s.gate_mutant AS SELECT * FROM %s; GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s.gate_mutant TO %s]])
    :format(schema, t.sql, schema, app, schema, app))
end

local function of_roles(seen, owners, add)
  local app = names.ident(seen.app.role)
  add("bypassrls", seen.app.role, ("ALTER ROLE %s BYPASSRLS"):format(app))
  add("superuser", seen.app.role, ("ALTER ROLE %s SUPERUSER"):format(app))
  -- pg_read_all_data and pg_write_all_data are no way around tables that all have row-level security.
  add("member_of_pg_execute_server_program", seen.app.role, ("GRANT pg_execute_server_program TO %s"):format(app))
  for owner in pairs(owners) do
    if owner ~= seen.app.role then
      add("member_of_owner", ("%s of %s"):format(seen.app.role, owner), ("GRANT %s TO %s"):format(names.ident(owner), app))
    end
  end
end

--- All mutants of a schema.
---@param seen table  what harness.look gave
---@param base rls.Table[]  tenants' tables
---@param around table<string, rls.Around>
---@param invoker_views table<string, boolean>  oids of views with security_invoker over a table that row-level security guards
---@return rls.Mutant[]
function mutants.of(seen, base, around, invoker_views)
  local out, owners = {}, {}
  for _, t in ipairs(base) do
    local function add(kind, object, sql) out[#out + 1] = { kind = kind, object = object, sql = sql, tables = { t } } end
    local at = { around = around[t.oid], restricted = equivalents.restricted(seen, t) }
    owners[t.owner] = true
    for _, p in ipairs(t.policies) do
      if concerns(t, p) and (p.permissive or not isolates_without(t, seen.settings)) then of_policy(t, p, at, add) end
    end
    of_table(seen, t, names.ident(seen.app.role), at, add)
  end
  local function add(kind, object, sql) out[#out + 1] = { kind = kind, object = object, sql = sql } end
  for _, v in ipairs(seen.tables) do
    if invoker_views[v.oid] and v.may.select and (v.scope == "tenant" or v.scope == "child") then
      add("view_of_owner", v.label, ("ALTER VIEW %s SET (security_invoker = false); ALTER VIEW %s OWNER TO CURRENT_USER")
        :format(v.sql, v.sql))
    end
  end
  of_roles(seen, owners, add)
  return out
end

return mutants
