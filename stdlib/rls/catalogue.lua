--- What the database's catalogue says of its tables: which belong to tenants, and what guards them.
local names = require "rls.names"
local reach = require "rls.reach"

local catalogue = {}

---@class rls.Column
---@field name string
---@field type string        format_type, e.g. "character varying(20)"
---@field base string        pg_type.typname of the domain's base type, e.g. "varchar"
---@field category string    pg_type.typcategory
---@field notnull boolean
---@field has_default boolean
---@field generated boolean  a stored generated column
---@field identity string    "a" always, "d" by default, "" none
---@field labels string[]    of an enum
---@field length integer?    most characters

---@class rls.ForeignKey
---@field name string
---@field columns string[]
---@field ref string          oid of the referenced table
---@field ref_columns string[]

---@class rls.Policy
---@field name string
---@field permissive boolean
---@field roles string[]
---@field command string      "ALL", "SELECT", "INSERT", "UPDATE", "DELETE"
---@field using string?
---@field check string?

---@class rls.Table
---@field oid string
---@field label string        schema.table
---@field sql string          quoted
---@field kind string         pg_class.relkind
---@field owner string
---@field rls boolean
---@field forced boolean
---@field tenant string?      the column that says whose a row is
---@field scope "tenant"|"child"|"shared"|"unclassified"|"unreachable"
---@field columns rls.Column[]
---@field foreign_keys rls.ForeignKey[]
---@field uniques {name: string, columns: string[]}[]
---@field checks {name: string, columns: string[], definition: string}[]
---@field policies rls.Policy[]
---@field may table<string, boolean>  select, insert, update, delete, truncate: what the application's role is granted
---@field reads rls.Table[]?  of a view: the tenants' tables beneath it
---@field bound boolean?      of a view: row-level security binds whoever it reads them as

local TABLES = [[
  select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind::text as kind, c.relrowsecurity as rls,
         c.relforcerowsecurity as forced, pg_get_userbyid(c.relowner) as owner, c.relispartition as is_partition,
         pg_has_role($1, c.relowner, 'MEMBER') as app_owns,
         has_table_privilege($1, c.oid, 'SELECT') or has_any_column_privilege($1, c.oid, 'SELECT') as may_select,
         has_table_privilege($1, c.oid, 'INSERT') or has_any_column_privilege($1, c.oid, 'INSERT') as may_insert,
         has_table_privilege($1, c.oid, 'UPDATE') or has_any_column_privilege($1, c.oid, 'UPDATE') as may_update,
         has_table_privilege($1, c.oid, 'DELETE') as may_delete, has_table_privilege($1, c.oid, 'TRUNCATE') as may_truncate
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by n.nspname, c.relname]]

local COLUMNS = [[
  select a.attrelid::text as oid, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, b.typname as base,
         b.typcategory::text as category, a.attnotnull or t.typnotnull as notnull, a.atthasdef or t.typdefault is not null as has_default,
         a.attgenerated = 's' as generated, a.attidentity::text as identity,
         case when a.atttypmod > 4 and b.typname in ('varchar', 'bpchar') then a.atttypmod - 4 end as length,
         (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = b.oid) as labels
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
   where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by a.attrelid, a.attnum]]

local CONSTRAINTS = [[
  select c.conrelid::text as oid, c.conname as name, c.contype::text as type, c.confrelid::text as ref,
         pg_get_constraintdef(c.oid) as definition,
         array(select a.attname::text from unnest(c.conkey) with ordinality k(num, i) join pg_attribute a
                 on a.attrelid = c.conrelid and a.attnum = k.num order by k.i) as columns,
         array(select a.attname::text from unnest(c.confkey) with ordinality k(num, i) join pg_attribute a
                 on a.attrelid = c.confrelid and a.attnum = k.num order by k.i) as ref_columns
    from pg_constraint c join pg_class r on r.oid = c.conrelid join pg_namespace n on n.oid = r.relnamespace
   where c.contype in ('f', 'c', 'p', 'u') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by c.conrelid, c.conname]]

local POLICIES = [[
  select p.polrelid::text as oid, p.polname as name, p.polpermissive as permissive,
         case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE'
           else 'ALL' end as command,
         case when p.polroles = '{0}' then array['public']
           else array(select rolname::text from pg_roles where oid = any(p.polroles)) end as roles,
         p.polroles = '{0}' or exists (select from unnest(p.polroles) r where pg_has_role($1, r, 'MEMBER')) as applies,
         pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check
    from pg_policy p order by p.polrelid, p.polname]]

local function set_of(list)
  local set = {}
  for _, name in ipairs(list or {}) do set[names.label(name)] = true end
  return set
end

local function new_table(row)
  return {
    oid = row.oid, schema = row.schema, name = row.name, label = row.schema .. "." .. row.name,
    sql = names.qualified(row.schema, row.name), kind = row.kind, owner = row.owner, rls = row.rls, forced = row.forced,
    app_owns = row.app_owns, is_partition = row.is_partition,
    columns = {}, by_column = {}, foreign_keys = {}, uniques = {}, checks = {}, policies = {},
    may = { select = row.may_select, insert = row.may_insert, update = row.may_update, delete = row.may_delete,
      truncate = row.may_truncate },
  }
end

local function read_tables(conn, role)
  local list, by_oid = {}, {}
  for _, row in ipairs(conn:query(TABLES, role)) do
    local t = new_table(row)
    list[#list + 1] = t
    by_oid[t.oid] = t
  end
  for _, row in ipairs(conn:query(COLUMNS)) do
    local t = by_oid[row.oid]
    if t then
      t.columns[#t.columns + 1] = row
      t.by_column[row.name] = row
    end
  end
  for _, row in ipairs(conn:query(CONSTRAINTS)) do
    local t = by_oid[row.oid]
    if t and row.type == "f" then
      t.foreign_keys[#t.foreign_keys + 1] = { name = row.name, columns = row.columns, ref = row.ref, ref_columns = row.ref_columns }
    elseif t and row.type == "c" then
      t.checks[#t.checks + 1] = { name = row.name, columns = row.columns, definition = row.definition }
    elseif t then
      t.uniques[#t.uniques + 1] = { name = row.name, columns = row.columns }
    end
  end
  for _, row in ipairs(conn:query(POLICIES, role)) do
    local t = by_oid[row.oid]
    if t then t.policies[#t.policies + 1] = row end
  end
  return list, by_oid
end

--- The label of database.tenant.table, or nil.
local function tenant_table(settings)
  return settings.tenant.table and names.label(settings.tenant.table)
end

--- Decides whose a table is. Views and children of tenant tables are found through what they are made of.
local function classify(t, settings, sets)
  local column = settings.tenant.column
  if sets.exclude[t.label] then return "excluded" end
  if sets.shared[t.label] then return "shared" end
  if column and t.by_column[column] then
    t.tenant = column
    return "tenant"
  end
  if t.label == tenant_table(settings) and t.by_column[settings.tenant.key] then
    t.tenant = settings.tenant.key
    return "tenant"
  end
  if sets.scoped[t.label] then return "child" end
  return nil
end

--- A table without the column whose foreign key leads to a tenant's table belongs to that tenant too.
local function spread_to_children(list, by_oid, of_tenants)
  local changed = true
  while changed do
    changed = false
    for _, t in ipairs(list) do
      for _, fk in ipairs(t.foreign_keys) do
        local parent = by_oid[fk.ref]
        local isolated = parent and (parent.scope == "tenant" or parent.scope == "child")
        if not t.scope and isolated and parent ~= t and parent.label ~= of_tenants then
          t.scope = "child"
          t.parent_key = fk
          changed = true
        end
      end
    end
  end
end

--- A view over tenants' tables shows tenants' rows, whatever its columns are called.
local function spread_to_views(list, by_oid, views)
  for _, t in ipairs(list) do
    for oid, way in pairs(views[t.oid] or {}) do
      local read = by_oid[oid]
      if read and (read.scope == "tenant" or read.scope == "child") and not t.scope then t.scope = "child" end
      if read and (read.scope == "tenant" or read.scope == "child") then
        t.reads = t.reads or {}
        t.reads[#t.reads + 1] = read
        t.reader = (not way.bound or not t.reader) and way.reader or t.reader
        t.bound = t.bound ~= false and way.bound and read.kind ~= "m"
      end
    end
  end
end

local function reachable(t)
  return t.may.select or t.may.insert or t.may.update or t.may.delete
end

--- Reads the catalogue as the admin and classifies every table that is neither excluded nor the system's.
---@param conn table     connection of the admin role
---@param settings table config.database
---@param role string    the application's role
---@param shared table?  labels that are shared on this platform
---@return rls.Table[] tables, table<string, rls.Table> by_oid
function catalogue.read(conn, settings, role, shared)
  local all, by_oid = read_tables(conn, role)
  local schemas = settings.schemas and set_of(settings.schemas)
  local sets = { exclude = set_of(settings.exclude), shared = set_of(settings.shared), scoped = set_of(settings.tenant_scoped) }
  for label in pairs(shared or {}) do sets.shared[label] = true end
  local tables = {}
  for _, t in ipairs(all) do
    if not schemas or schemas[t.schema] then
      t.scope = classify(t, settings, sets)
      if t.scope ~= "excluded" then tables[#tables + 1] = t end
    end
  end
  spread_to_children(tables, by_oid, tenant_table(settings))
  spread_to_views(tables, by_oid, reach.views(conn, role))
  for _, t in ipairs(tables) do
    t.scope = t.scope or (reachable(t) and "unclassified" or "unreachable")
  end
  return tables, by_oid
end

--- The policies that let the application's role do something: none means that all is denied.
---@param t rls.Table
---@param command string  "SELECT", "INSERT", "UPDATE", "DELETE"
---@return rls.Policy[]
function catalogue.permissive(t, command)
  local out = {}
  for _, p in ipairs(t.policies) do
    if p.permissive and p.applies and (p.command == "ALL" or p.command == command) then out[#out + 1] = p end
  end
  return out
end

--- What a policy must say, as PostgreSQL prints it: the tenant column as text equals the setting.
---@param t rls.Table
---@param settings table
---@return table<string, boolean> accepted forms
function catalogue.canonical(t, settings)
  local setting = names.literal(settings.tenant.setting) .. "::text"
  local forms = {}
  for _, column in ipairs { t.tenant, t.tenant and names.ident(t.tenant) } do
    forms[("((%s)::text = current_setting(%s, true))"):format(column, setting)] = true
    forms[("(%s = current_setting(%s, true))"):format(column, setting)] = true
  end
  return forms
end

return catalogue
