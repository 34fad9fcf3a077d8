--- Mutants that change nothing which anybody can see, each shown to be so by what the schema says without it.
--
-- A mutant that no check notices is a blind spot of the gate, unless it breaks nothing. What is decided here about a mutant looks at
-- neither the mutant nor what the gate says of it: who has a right on the table, what the policies that stay say, which columns can change.
-- (PostgreSQL manual, section 5.8: superusers, BYPASSRLS and, without FORCE, the owner are not bound; restrictive policies hold
-- besides the permissive ones. Section 41.5: a view's own relations alone are read with its owner's rights.)
local arrays = require "rls.arrays"
local compile = require "rls.prover.compile"
local decide = require "rls.decide"
local dialect = require "rls.dialect"
local mentions = require "rls.mentions"

local equivalents = {}

---@class rls.Around
---@field inert boolean        whoever the application acts as and has a right on the table is not bound by row-level security
---@field owner_bound boolean  FORCE binds one of those whom the application acts as
---@field rewrites boolean     a trigger may change a row on its way into the table

--- Whom the application's statements act as: what it is or may become, the owners of functions with their owner's rights, of views and of
--- relations with rules.
local AROUND = [[
  with acts as materialized (
    select r.oid from pg_roles r where not r.rolsuper and not r.rolbypassrls and (pg_has_role($1, r.oid, {become})
      or exists (select from pg_proc p where p.prosecdef and p.proowner = r.oid)
      or exists (select from pg_rewrite w join pg_class v on v.oid = w.ev_class where v.relowner = r.oid and v.oid >= 16384)))
  select c.oid::text as oid,
         not exists (select from acts where has_table_privilege(acts.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
           or has_any_column_privilege(acts.oid, c.oid, 'SELECT, INSERT, UPDATE')) as inert,
         exists (select from acts where pg_has_role(acts.oid, c.relowner, 'USAGE')) as owner_bound,
         exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgtype & 2 <> 0 and not g.tgisinternal) as rewrites
    from pg_class c where c.oid::text = any($2)]]

--- Who may do what around each table, for mutants of its row-level security.
---@param conn table       the admin's
---@param role string      the application's
---@param base rls.Table[]
---@return table<string, rls.Around> by oid
function equivalents.around(conn, role, base)
  local oids, out = {}, {}
  for i, t in ipairs(base) do oids[i] = t.oid end
  for _, row in ipairs(conn:query(dialect.of(conn, AROUND), role, arrays.text(oids))) do out[row.oid] = row end
  return out
end

--- Is a policy for everybody whom the application's sessions may be?
local function holds_always(seen, p)
  for _, role in ipairs(p.roles) do
    if role == "public" or (role == seen.app.role and #seen.model.roles == 1) then return true end
  end
  return false
end

--- Commands for which a restrictive policy by itself isolates the tenant: no permissive policy opens anything there.
---@param seen table  of rls.harness.look, with `model`
---@param t rls.Table
---@return table<string, boolean>
function equivalents.restricted(seen, t)
  local out = {}
  for _, p in ipairs(t.policies) do
    if not p.permissive and p.applies and holds_always(seen, p) then
      -- Asked as if it were the only one that gives: then it decides alone.
      local alone = setmetatable({ permissive = true }, { __index = p })
      if decide.binds(seen, t, alone) then
        for _, command in ipairs(p.command == "ALL" and decide.COMMANDS or { p.command }) do out[command] = true end
      end
    end
  end
  return out
end

local function target(text)
  local select = compile.parse("SELECT " .. text)
  return select and select.targetList and select.targetList[1].ResTarget.val or nil
end

local function is_null_test(node, column)
  local test = node.NullTest
  local fields = test and test.nulltesttype == "IS_NULL" and test.arg.ColumnRef and test.arg.ColumnRef.fields
  return fields and #fields == 1 and fields[1].String and fields[1].String.sval == column
end

--- Is a condition true wherever the column is NULL, since it says so?
local function admits_null(text, column)
  local node = text and target(text)
  if not node then return false end
  if is_null_test(node, column) then return true end
  local either = node.BoolExpr and node.BoolExpr.boolop == "OR_EXPR" and node.BoolExpr.args or {}
  for _, arm in ipairs(either) do
    if is_null_test(arm, column) then return true end
  end
  return false
end

--- Are rows of no tenant there for everybody already, wherever the policy counts?
---@param t rls.Table
---@param p rls.Policy  permissive or not
---@return boolean
function equivalents.gives_null(t, p)
  return (not p.using or admits_null(p.using, t.tenant)) and (not p.check or admits_null(p.check, t.tenant))
end

--- Does a policy's check say nothing that its USING did not say of the same row? Where rows only change in columns that neither names.
---@param t rls.Table
---@param p rls.Policy
---@param around rls.Around
---@return boolean
function equivalents.check_is_idle(t, p, around)
  if p.check == "true" then return true end
  if (p.command ~= "UPDATE" and t.may.insert) or not p.using or around.rewrites then return false end
  local text = (p.using .. " " .. (p.check or "")):lower()
  local function named(name) return mentions.name(text, name) end
  for _, c in ipairs(t.columns) do
    if (c.may_update or c.generated) and named(c.name) then return false end
  end
  return not named(t.name)
end

return equivalents
