--- What the database's catalogue says of its tables: which belong to tenants, and what guards them.
local arrays = require "rls.arrays"
local axes = require "rls.axes"
local dialect = require "rls.dialect"
local errors = require "errors"
local mentions = require "rls.mentions"
local names = require "rls.names"
local reach = require "rls.reach"
local task = require "task"

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
---@field deterministic boolean  false for a collation under which different texts may be equal
---@field may_update boolean  may the application's role set it?

---@class rls.ForeignKey
---@field name string
---@field columns string[]
---@field ref string          oid of the referenced table
---@field ref_columns string[]
---@field validated boolean
---@field deferrable boolean

---@class rls.Policy
---@field name string
---@field permissive boolean
---@field roles string[]
---@field command string      "ALL", "SELECT", "INSERT", "UPDATE", "DELETE"
---@field using string?       as pg_get_expr prints it with search_path = pg_catalog
---@field check string?
---@field foreign_operators string[]  operators from outside pg_catalog that it depends on

---@class rls.Table
---@field oid string
---@field label string        schema.table
---@field sql string          quoted
---@field kind string         pg_class.relkind
---@field owner string
---@field rls boolean
---@field forced boolean
---@field tenant string?      the column that says whose a row is
---@field axis rls.Axis?      the axis of that column, the first the table belongs to
---@field axes table<integer, string>  the columns of all its axes, by their index
---@field scope "tenant"|"child"|"shared"|"unclassified"|"unreachable"
---@field registry string?    the key of a table of the tenants themselves: the tenant columns of others refer to it
---@field derived boolean?    it is a table of the tenants themselves, which nobody but the foreign keys and its policies says
---@field reads rls.Table[]?  of a view: the tenants' tables beneath it
---@field ways table<string, {reader: string, bound: boolean}>?  of a view: how it reads each of them, by oid
---@field reader string?      of a view: whom it reads them as
---@field bound boolean?      of a view: row-level security binds whoever it reads them as
---@field columns rls.Column[]
---@field foreign_keys rls.ForeignKey[]
---@field uniques {name: string, columns: string[], deferrable: boolean}[]  constraints, and indexes of whole columns over all rows
---@field checks {name: string, columns: string[], definition: string}[]
---@field policies rls.Policy[]
---@field may table<string, boolean>  select, insert, update, delete, truncate: what the application's role may do, its schema's USAGE
---  included
---@field columns_of {select: table<string, boolean>?, insert: table<string, boolean>?}  where it may so with some columns alone: these
---@field acts table<string, boolean>  select, insert, update, delete, truncate: what a role may do that the application is or may become
---@field indexes integer     of all kinds
---@field sequences integer   that its columns own
---@field heaps integer       partitions and inheritance children, at all levels
---@field plain boolean       no children, rules or triggers: a statement does to it what it says, and no more
---@field granted boolean     is anything granted to it, or to a role that it may become?
---@field opened table<string, boolean>?  does the prover say that the command reaches other tenants' rows in any session?
---@field named table<string, boolean>?   does a policy's finding tell of the command?
---@field decided table<string, string>?  what the prover decided for the application's role, by command: "proven", …
---@field reasons table<string, string>?  why it could not decide, by command

local TABLES = [[
  select c.oid::text as oid, n.nspname as schema, c.relname as name, c.relkind::text as kind, c.relrowsecurity as rls,
         c.relforcerowsecurity as forced, pg_get_userbyid(c.relowner) as owner, c.relispartition as is_partition,
         pg_has_role($1, c.relowner, {become}) as app_owns,
         has_table_privilege($1, c.oid, 'SELECT') or has_any_column_privilege($1, c.oid, 'SELECT') as may_select,
         has_table_privilege($1, c.oid, 'INSERT') or has_any_column_privilege($1, c.oid, 'INSERT') as may_insert,
         has_table_privilege($1, c.oid, 'UPDATE') or has_any_column_privilege($1, c.oid, 'UPDATE') as may_update,
         has_table_privilege($1, c.oid, 'SELECT') as whole_select, has_table_privilege($1, c.oid, 'INSERT') as whole_insert,
         has_table_privilege($1, c.oid, 'DELETE') as may_delete, has_table_privilege($1, c.oid, 'TRUNCATE') as may_truncate,
         (exists (select from aclexplode(c.relacl) a where a.grantee = 0 or pg_has_role($1, a.grantee, {become}))
           or exists (select from pg_attribute x cross join aclexplode(x.attacl) a where x.attrelid = c.oid
                        and (a.grantee = 0 or pg_has_role($1, a.grantee, {become}))))
           and (pg_has_role($1, n.nspowner, {become}) or exists (select from aclexplode(n.nspacl) a where a.privilege_type = 'USAGE'
                        and (a.grantee = 0 or pg_has_role($1, a.grantee, {become})))) as granted,
         has_schema_privilege($1, n.oid, 'USAGE') as may_use,
         c.relkind = 'r' and not c.relhassubclass and not c.relhasrules
           and not exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal) as plain,
         greatest(c.reltuples, 0)::bigint as estimate,
         (select count(*) from pg_index i where i.indrelid = c.oid) as indexes,
         (select count(*) from pg_depend d where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
             and d.refobjid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0) as sequences,
         case when c.relhassubclass then (with recursive under(oid) as (select inhrelid from pg_inherits where inhparent = c.oid
             union select i.inhrelid from under u join pg_inherits i on i.inhparent = u.oid)
           select count(*) from under) else 0 end as heaps,
         array(select a.attname::text from pg_partitioned_table k cross join unnest(k.partattrs::int2[]) with ordinality u(num, i)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = u.num where k.partrelid = c.oid order by u.i) as partition_key,
         array(select pg_get_expr(x.relpartbound, x.oid) from pg_inherits i join pg_class x on x.oid = i.inhrelid
                where i.inhparent = c.oid and x.relispartition order by x.relname limit 20) as partition_bounds
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by n.nspname, c.relname]]

local COLUMNS = [[
  with recursive step(oid, base) as (
    select oid, typbasetype from pg_type where typtype = 'd'
    union all select s.oid, t.typbasetype from step s join pg_type t on t.oid = s.base where t.typtype = 'd'
  ), domain as (select s.oid, s.base from step s join pg_type t on t.oid = s.base where t.typtype <> 'd')
  select a.attrelid::text as oid, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, b.typname as base,
         b.typcategory::text as category, a.attnotnull or t.typnotnull as notnull, a.atthasdef or t.typdefault is not null as has_default,
         a.attgenerated <> '' as generated, a.attidentity::text as identity,
         has_column_privilege($1, c.oid, a.attnum, 'UPDATE') as may_update,
         a.attacl is not null and has_column_privilege($1, c.oid, a.attnum, 'SELECT') as column_select,
         a.attacl is not null and has_column_privilege($1, c.oid, a.attnum, 'INSERT') as column_insert,
         coalesce((select l.collisdeterministic from pg_collation l where l.oid = a.attcollation), true) as deterministic,
         case when a.atttypmod > 4 and b.typname in ('varchar', 'bpchar') then a.atttypmod - 4 end as length,
         (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = b.oid) as labels
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid left join domain on domain.oid = t.oid
    join pg_type b on b.oid = coalesce(domain.base, t.oid)
   where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   order by a.attrelid, a.attnum]]

local ACTS = [[
  select c.oid::text as oid, bool_or(has_table_privilege(r, c.oid, 'SELECT') or has_any_column_privilege(r, c.oid, 'SELECT')) as select,
         bool_or(has_table_privilege(r, c.oid, 'INSERT') or has_any_column_privilege(r, c.oid, 'INSERT')) as insert,
         bool_or(has_table_privilege(r, c.oid, 'UPDATE') or has_any_column_privilege(r, c.oid, 'UPDATE')) as update,
         bool_or(has_table_privilege(r, c.oid, 'DELETE')) as delete, bool_or(has_table_privilege(r, c.oid, 'TRUNCATE')) as truncate
    from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join unnest($1::text[]) r
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and has_schema_privilege(r, n.oid, 'USAGE') group by 1]]

local CONSTRAINTS = [[
  select c.conrelid::text as oid, c.conname as name, c.contype::text as type, c.confrelid::text as ref, c.condeferrable as deferrable,
         c.convalidated as validated, case c.contype when 'c' then pg_get_constraintdef(c.oid) end as definition,
         array(select (select a.attname::text from pg_attribute a where a.attrelid = c.conrelid and a.attnum = k.num)
                 from unnest(c.conkey) with ordinality k(num, i) order by k.i) as columns,
         array(select (select a.attname::text from pg_attribute a where a.attrelid = c.confrelid and a.attnum = k.num)
                 from unnest(c.confkey) with ordinality k(num, i) order by k.i) as ref_columns
    from pg_constraint c join pg_class r on r.oid = c.conrelid join pg_namespace n on n.oid = r.relnamespace
   where c.contype in ('f', 'c', 'p', 'u') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  select a.attrelid::text, c.conname, 'c', '0', false, c.convalidated, pg_get_constraintdef(c.oid), array[a.attname::text], '{}'
    from pg_constraint c join pg_attribute a on a.atttypid = c.contypid join pg_class r on r.oid = a.attrelid
   where c.contypid <> 0 and c.contype = 'c' and r.relkind in ('r', 'p') and not a.attisdropped
  union all
  select i.indrelid::text, x.relname, 'u', '0', false, true, null,
         array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(num, pos) join pg_attribute a
                 on a.attrelid = i.indrelid and a.attnum = k.num where k.pos <= i.indnkeyatts order by k.pos), '{}'
    from pg_index i join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace
   where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
     and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
   order by 1, 3, 2]]

--- What of a row of COLUMNS is of the column itself.
local OF_COLUMN = { "name", "type", "base", "category", "notnull", "has_default", "generated", "identity", "may_update", "deterministic",
  "length" }

local POLICIES = [[
  select p.polrelid::text as oid, p.polname as name, p.polpermissive as permissive,
         case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE'
           else 'ALL' end as command,
         case when p.polroles = '{0}' then array['public']
           else array(select rolname::text from pg_roles where oid = any(p.polroles)) end as roles,
         p.polroles = '{0}' or exists (select from unnest(p.polroles) r where pg_has_role($1, r, {become})) as applies,
         pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check,
         array(select distinct o.oprname::text from pg_depend d join pg_operator o on o.oid = d.refobjid
                where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_operator'::regclass
                  and o.oprnamespace <> 'pg_catalog'::regnamespace) as foreign_operators
    from pg_policy p order by p.polrelid, p.polname]]

local function set_of(list)
  local set = {}
  for _, name in ipairs(list or {}) do set[names.label(name)] = true end
  return set
end

local function new_table(row)
  local t = {
    oid = row.oid, schema = row.schema, name = row.name, label = row.schema .. "." .. row.name,
    sql = names.qualified(row.schema, row.name), kind = row.kind, owner = row.owner, rls = row.rls, forced = row.forced,
    app_owns = row.app_owns, granted = row.granted, plain = row.plain, is_partition = row.is_partition,
    indexes = row.indexes, sequences = row.sequences, heaps = row.heaps,
    estimate = row.estimate, partition_key = row.partition_key, partition_bounds = row.partition_bounds,
    columns = {}, by_column = {}, foreign_keys = {}, uniques = {}, checks = {}, policies = {},
    may = { select = row.may_use and row.may_select, insert = row.may_use and row.may_insert, update = row.may_use and row.may_update,
      delete = row.may_use and row.may_delete, truncate = row.may_use and row.may_truncate },
  }
  t.acts = t.may
  t.columns_of = { select = t.may.select and not row.whole_select and {} or nil,
    insert = t.may.insert and not row.whole_insert and {} or nil }
  return t
end

--- Runs fn with a search path under which a bare name is pg_catalog's, so that what is printed says where each name comes from. Without
--- jit: the estimates of a catalogue that nobody has analysed make the server compile what it runs once, for a few rows. Names in
--- quotes where they need none would be other texts.
---@param conn table
---@param fn fun(...)
---@param ... any  what fn is given
function catalogue.qualified(conn, fn, ...)
  local given = table.pack(...)
  conn:transaction(function()
    conn:script "set local search_path = pg_catalog; set local jit = off; set local quote_all_identifiers = off"
    fn(table.unpack(given, 1, given.n))
  end, { rollback = true })
end

--- What is read, by name, with the application's role as $1 where it is asked for.
local QUERIES = { tables = TABLES, columns = COLUMNS, constraints = CONSTRAINTS, policies = POLICIES }

local function read_some(conn, role, rows, ...)
  for _, name in ipairs { ... } do
    local sql = dialect.of(conn, QUERIES[name])
    if sql:find("$1", 1, true) then rows[name] = conn:query(sql, role) else rows[name] = conn:query(sql) end
  end
end

--- Reads all of it, half on each connection where there are two.
---@return table<string, table[]> rows
local function read_rows(conn, role, beside)
  local rows, spare, asked = {}, beside and beside.conn, 0
  local function read(other, ...)
    asked = asked + 1
    read_some(other, role, rows, ...)
  end
  local function first() catalogue.qualified(conn, read, conn, "tables", "constraints") end
  local function second() catalogue.qualified(spare or conn, read, spare or conn, "columns", "policies") end
  local function meanwhile()
    while asked < 2 do task.sleep(0.001) end -- what runs before the server was asked, it is not busy with
    beside.meanwhile()
  end
  if spare then
    task.map({ first, second, beside.meanwhile and meanwhile }, 3, function(fn) fn() end)
  else
    first()
    second()
  end
  return rows
end

--- A column like one that is there already is the same: most tables of a schema have the same few.
local function same_column(known, row)
  if row.labels then return row end
  local parts = {}
  for i, field in ipairs(OF_COLUMN) do parts[i] = tostring(row[field]) end
  local key = table.concat(parts, "\0")
  known[key] = known[key] or row
  return known[key]
end

local function read_tables(conn, role, acts, beside)
  local list, by_oid = {}, {}
  local rows = read_rows(conn, role, beside)
  for _, row in ipairs(rows.tables) do
    local t = new_table(row)
    list[#list + 1] = t
    by_oid[t.oid] = t
  end
  local known = {}
  for i, row in ipairs(rows.columns) do
    local t = by_oid[row.oid]
    rows.columns[i] = false
    for _, command in ipairs { "select", "insert" } do
      local mine = t and t.columns_of[command]
      if mine and row["column_" .. command] then mine[row.name] = true end
    end
    if t then
      local c = same_column(known, row)
      t.columns[#t.columns + 1] = c
      t.by_column[c.name] = c
    end
  end
  for _, row in ipairs(rows.constraints) do
    local t = by_oid[row.oid]
    if t and row.type == "f" then
      t.foreign_keys[#t.foreign_keys + 1] = { name = row.name, columns = row.columns, ref = row.ref, ref_columns = row.ref_columns,
        validated = row.validated, deferrable = row.deferrable }
    elseif t and row.type == "c" then
      t.checks[#t.checks + 1] = { name = row.name, columns = row.columns, definition = row.definition }
    elseif t then
      t.uniques[#t.uniques + 1] = { name = row.name, columns = row.columns, deferrable = row.deferrable }
    end
  end
  for _, row in ipairs(rows.policies) do
    local t = by_oid[row.oid]
    if t then t.policies[#t.policies + 1] = row end
  end
  if acts and #acts > 1 then
    catalogue.qualified(conn, function()
      for _, row in ipairs(conn:query(ACTS, arrays.text(acts))) do
        if by_oid[row.oid] then by_oid[row.oid].acts = row end
      end
    end)
  end
  return list, by_oid
end

--- Decides whose a table is. Views and children of tenant tables are found through what they are made of.
local function classify(t, list, sets)
  if sets.exclude[t.label] then return "excluded" end
  if sets.shared[t.label] then return "shared" end
  t.axes = axes.of_table(t, list)
  for _, axis in ipairs(list) do
    if t.axes[axis.index] then
      t.tenant, t.axis = t.axes[axis.index], axis
      return "tenant"
    end
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
        if not t.scope and isolated and parent ~= t and not of_tenants[parent.label] then
          t.scope = "child"
          t.parent_key = fk
          changed = true
        end
      end
    end
  end
end

--- Calls fn(parent, axis, column) for each foreign key that leads from a tenant column to a table without one of that axis.
local function each_registry(list, by_oid, fn)
  for _, t in ipairs(list) do
    for _, fk in ipairs(t.foreign_keys) do
      local parent = by_oid[fk.ref]
      for index, column in pairs(parent and #fk.columns == 1 and t.axes or {}) do
        if fk.columns[1] == column and not parent.axes[index] then fn(parent, index, fk.ref_columns[1]) end
      end
    end
  end
end

--- A table without the tenant column to which the tenant columns of others refer is the registry of the tenants: the invented
--- tenants need a row there. Whether it is isolated itself is for its policies (mark_isolated) or database.tenant.table to say.
local function mark_registries(list, by_oid)
  each_registry(list, by_oid, function(parent, index, column)
    parent.registries = parent.registries or {}
    parent.registries[index] = column
    if not parent.tenant then parent.registry = parent.registry or column end
  end)
end

--- Does a policy look at the key and at whose session it is: the tenant setting itself, or a function of the user's, which is printed with
--- its schema?
local function binds_key(t, key, setting)
  for _, p in ipairs(t.policies) do
    local text = ((p.using or "") .. " " .. (p.check or "")):lower()
    local asks = text:find("'" .. setting:lower() .. "'", 1, true) or text:find '[%w_"]%.[%w_"]+%('
    if p.applies and asks and mentions.name(text, key) then return true end
  end
  return false
end

--- The tenants' own table, where no database.tenant.table names it: the tenant columns of others refer to one key of it, and a policy
--- binds that. Its rows are the tenants', each its own.
local function mark_isolated(list, by_oid, of_axes, named)
  local keys = {}
  each_registry(list, by_oid, function(parent, index, column)
    local mine = keys[parent] or {}
    keys[parent] = mine
    mine[index] = (mine[index] == nil or mine[index] == column) and column
  end)
  for _, t in ipairs(list) do
    local base = t.kind == "r" or t.kind == "p"
    for index, axis in ipairs(base and (not t.scope or t.scope == "tenant") and keys[t] and of_axes or {}) do
      local key = not axis.table and keys[t][index]
      -- Row-level security without any policy is meant to keep its rows apart, too; and so are policies without it.
      if key and (binds_key(t, key, axis.setting) or (t.rls and #t.policies == 0)) then
        t.axes[index], t.scope, t.derived, named[t.label] = key, "tenant", true, true
        if not t.axis or axis.index < t.axis.index then t.tenant, t.axis = key, axis end
      end
    end
  end
end

--- The column of a table that refers to the tenants' own key; of several the one that has to have a value. nil: none, or no single one.
local function to_root(t, by_oid, index, named)
  local columns, firm = {}, {}
  for _, fk in ipairs(t.foreign_keys) do
    local parent = #fk.columns == 1 and by_oid[fk.ref]
    if parent and parent ~= t and named[parent.label] and parent.axes[index] == fk.ref_columns[1] then
      local c = t.by_column[fk.columns[1]]
      table.insert(columns, c.name)
      if c.notnull then table.insert(firm, c.name) end
    end
  end
  if #columns == 1 then return columns[1] end
  return #firm == 1 and firm[1] or nil
end

--- A table that refers to the tenants' own table belongs to the tenant that it names, whatever the column is called.
local function spread_from_roots(list, by_oid, of_axes, named)
  for _, t in ipairs(list) do
    for index, axis in ipairs(not t.scope and of_axes or {}) do
      local column = to_root(t, by_oid, index, named)
      if column then
        t.axes[index], t.referring = column, true
        if not t.axis then t.tenant, t.axis = column, axis end
      end
    end
    if t.referring then t.scope = "tenant" end
  end
end

--- A view over tenants' tables shows tenants' rows, whatever its columns are called.
local function spread_to_views(list, by_oid, views)
  for _, t in ipairs(list) do
    for oid, way in pairs(views[t.oid] or {}) do
      local read = by_oid[oid]
      if read and (read.scope == "tenant" or read.scope == "child") and not t.scope then t.scope = "child" end
      if read and (read.scope == "tenant" or read.scope == "child") then
        t.reads, t.ways = t.reads or {}, t.ways or {}
        t.reads[#t.reads + 1] = read
        t.ways[oid] = way
        t.reader = (not way.bound or not t.reader) and way.reader or t.reader
        t.bound = t.bound ~= false and way.bound and read.kind ~= "m"
      end
    end
  end
end

--- Names in the configuration that lead to nothing make a gate look away: they are mistakes, never ignored.
local function check_names(all, settings, by_label)
  local by_schema = {}
  for _, t in ipairs(all) do by_schema[t.schema] = true end
  for _, schema in ipairs(settings.schemas or {}) do
    if not by_schema[names.label(schema)] then
      errors.raise { code = "config_unknown_name", message = ("database.schemas: no table or view is in a schema %q"):format(schema),
        fix = "correct or remove it" }
    end
  end
  local function known(key, label)
    if not by_label[names.label(label)] then
      errors.raise { code = "config_unknown_name", message = ("%s: there is no table %q"):format(key, label), fix = "correct or remove it" }
    end
  end
  for _, label in ipairs(settings.tenant_scoped or {}) do known("database.tenant_scoped", label) end
  for label in pairs(settings.fixtures or {}) do known("database.fixtures", label) end
  for _, axis in ipairs(axes.list(settings)) do
    if axis.table then known("database.tenant.table", axis.table) end
  end
end

local function reachable(t)
  return t.may.select or t.may.insert or t.may.update or t.may.delete or t.may.truncate
end

--- Reads the catalogue as the admin and classifies every table that is neither excluded nor the system's.
---@param conn table     connection of the admin role
---@param settings table config.database
---@param role string    the application's role
---@param shared table?  labels that are shared on this platform
---@param acts string[]?  the role, and those that it may become; nil: the role alone
---@param beside {conn: table, meanwhile: fun()?}?  one more connection of the admin's, and what to do while both wait
---@return rls.Table[] tables, table<string, rls.Table> by_oid
function catalogue.read(conn, settings, role, shared, acts, beside)
  local all, by_oid = read_tables(conn, role, acts, beside)
  local schemas = settings.schemas and set_of(settings.schemas)
  local sets = { exclude = set_of(settings.exclude), shared = set_of(settings.shared), scoped = set_of(settings.tenant_scoped) }
  for label in pairs(shared or {}) do sets.shared[label] = true end
  local tables, by_label, list, registries = {}, {}, axes.list(settings), {}
  for _, t in ipairs(all) do by_label[t.label] = t end
  for _, axis in ipairs(list) do registries[axis.table or ""] = true end
  check_names(all, settings, by_label)
  for _, t in ipairs(all) do
    t.axes = {}
    if not schemas or schemas[t.schema] then
      t.scope = classify(t, list, sets)
      if t.scope ~= "excluded" then tables[#tables + 1] = t end
    end
  end
  mark_isolated(tables, by_oid, list, registries)
  spread_from_roots(tables, by_oid, list, registries)
  spread_to_children(tables, by_oid, registries)
  spread_to_views(tables, by_oid, reach.views(conn, role))
  mark_registries(tables, by_oid)
  for _, t in ipairs(tables) do
    t.scope = t.scope or ((reachable(t) or t.granted) and "unclassified" or "unreachable")
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
    local counts = p.permissive and p.applies and (p.command == "ALL" or p.command == command)
    -- One with a WITH CHECK alone shows no row.
    if counts and (p.using or command == "INSERT") then out[#out + 1] = p end
  end
  return out
end

--- What a policy must say, as PostgreSQL prints it: the tenant column equals the setting, as text or as the column's type. Where the
--- setting is absent or empty each of these is NULL, false or an error: never true.
---@param t rls.Table
---@param settings table
---@return table<string, boolean> accepted forms
function catalogue.canonical(t, settings)
  local forms = {}
  if not t.tenant then return forms end
  local column = t.by_column[t.tenant]
  local setting = names.literal((t.axis or axes.list(settings)[1]).setting) .. "::text"
  for _, name in ipairs { t.tenant, names.ident(t.tenant) } do
    for _, call in ipairs { ("current_setting(%s, true)"):format(setting), ("current_setting(%s)"):format(setting) } do
      for _, value in ipairs { call, ("NULLIF(%s, ''::text)"):format(call) } do
        forms[("((%s)::text = %s)"):format(name, value)] = true
        forms[("(%s = %s)"):format(name, value)] = true
        if column then forms[("(%s = (%s)::%s)"):format(name, value, column.type)] = true end
      end
    end
  end
  return forms
end

--- Is everything that lets the application's role do this bound to the tenant setting, as the prover decided, else by the form of the
--- policies alone?
---@param t rls.Table
---@param settings table
---@param command string  "SELECT", "UPDATE", "DELETE"
---@return boolean
function catalogue.proven(t, settings, command)
  if t.decided then return t.decided[command] == "proven" or t.decided[command] == "trusted" end
  local forms = catalogue.canonical(t, settings)
  for _, p in ipairs(catalogue.permissive(t, command)) do
    if not forms[p.using or ""] then return false end
  end
  return t.rls and (t.forced or not t.app_owns)
end

--- Has the application any right on it: granted, by ownership, or as a role that it may become?
---@param t rls.Table
---@return boolean
function catalogue.has_right(t)
  return t.granted or t.app_owns or reachable(t)
end

--- May nobody in the application's role do it? Without a grant, or under RLS without a permissive policy, the denial is proven.
---@param t rls.Table
---@param op string  "select", "insert", "update", "delete"
---@return boolean
function catalogue.nobody_may(t, op)
  if not t.may[op] then return true end
  return t.rls and not t.app_owns and #catalogue.permissive(t, op:upper()) == 0
end

--- May nobody in the application's role do anything with it?
---@param t rls.Table
---@return boolean
function catalogue.closed(t)
  for _, op in ipairs { "select", "insert", "update", "delete" } do
    if not catalogue.nobody_may(t, op) then return false end
  end
  return true
end

return catalogue
