--- What the prover needs of a database, read once and set-based: tables with their policies, functions, types, roles, settings.
--
-- Everything is printed under search_path = pg_catalog (rls.catalogue.qualified), so that a name says where it comes from. PostgreSQL
-- manual: 22.3 (membership; INHERIT counts for policies, SET ROLE for what a session may become), 20.1.3 (settings by role and
-- database), CREATE FUNCTION.
local arrays = require "rls.arrays"
local catalogue = require "rls.catalogue"
local dialect = require "rls.dialect"
local leads = require "rls.leads"
local sorts = require "rls.prover.sorts"

local model = {}

---@class rls.Role: prover.Role
---@field creates string[]     schemas in which it may make objects
---@field via boolean          it is one that the application's role may SET ROLE to
---@field may table<string, table<string, boolean>>  by oid of a table: select, insert, update, delete

---@class rls.Model
---@field tables table<string, prover.Table>  by label
---@field functions table<string, prover.Function[]>
---@field types table<string, {name: string, kind: string, base: string?, labels: string[]?, equality: string?}>
---@field leads rls.Leads
---@field roles rls.Role[]     the application's first
---@field presets table<string, string>
---@field set_by table<string, string>  the statement by which a preset came, without its SET

--- The functions of the user's schemas that are no extension's, and all that a policy calls.
local FUNCTIONS = [[
  select p.oid::text as oid, n.nspname || '.' || p.proname as name, l.lanname::text as language,
         {body p} as body, {parsed p} as parsed,
         pg_get_function_result(p.oid) as returns, format_type(p.prorettype, null) as returns_type, p.proretset as returns_set,
         p.proisstrict as strict, p.provolatile::text as volatility, p.procost::float8 as cost, p.prosecdef as security_definer,
         pg_get_userbyid(p.proowner)::text as owner, o.rolsuper or o.rolbypassrls as owner_bypasses, p.proconfig as config,
         exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') as of_extension,
         format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) as signature, p.prokind::text as kind,
         exists (select from unnest($1::text[]) r
                  where (has_function_privilege(r, p.oid, 'EXECUTE') and has_schema_privilege(r, n.oid, 'USAGE'))
                     or exists (select from pg_aggregate a where has_function_privilege(r, a.aggfnoid, 'EXECUTE') and a.aggfnoid >= 16384
                       and p.oid in (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)))
           as callable,
         array(select r from unnest($1::text[]) with ordinality a(r, i) where has_function_privilege(r, p.oid, 'EXECUTE')
                  and has_schema_privilege(r, n.oid, 'USAGE') order by i) as callers,
         -- who may call an aggregate of which it is the step, and the aggregate
         (select array[r, format('%I.%I', m.nspname, g.proname)] from unnest($1::text[]) with ordinality c(r, i), pg_aggregate a
            join pg_proc g on g.oid = a.aggfnoid join pg_namespace m on m.oid = g.pronamespace
           where a.aggtransfn = p.oid and a.aggkind = 'n' and a.aggfnoid >= 16384 and has_function_privilege(r, a.aggfnoid, 'EXECUTE')
             and has_schema_privilege(r, m.oid, 'USAGE') order by i limit 1) as step_of,
         exists (select from pg_proc s where s.proname = p.proname and s.pronamespace = 'pg_catalog'::regnamespace) as shadowed,
         pg_get_expr(p.proargdefaults, 0) as defaults,
         array(select format_type(t, null) from unnest(p.proargtypes) with ordinality a(t, i) order by i) as arg_types,
         (select array_agg(coalesce(p.proargnames[i], '') order by i)
            from generate_series(1, coalesce(array_length(p.proallargtypes, 1), p.pronargs)) i
           where p.proargmodes is null or p.proargmodes[i] in ('i', 'b', 'v')) as arg_names
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
    join pg_roles o on o.oid = p.proowner
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind in ('f', 'p')
     and (exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
                     and d.refobjid = p.oid)
          or not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
          or p.prosecdef)
   order by 1]]

local TYPES = [[
  select n.nspname || '.' || t.typname as name, format_type(t.oid, null) as printed,
         case t.typtype when 'e' then 'enum' else 'domain' end as kind,
         case when t.typtype = 'd' then format_type(t.typbasetype, null) end as base,
         (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as labels,
         null as equality
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where t.typtype in ('e', 'd') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  -- Types of extensions whose input is a function of the text alone, with the = of their default btree operator class (strategy 3).
  select n.nspname || '.' || t.typname, format_type(t.oid, null), 'class', null, null, s.nspname || '.' || o.oprname
    from pg_extension x join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = x.oid and d.deptype = 'e'
     and d.classid = 'pg_type'::regclass
    join pg_type t on t.oid = d.objid join pg_namespace n on n.oid = t.typnamespace
    join pg_opclass c on c.opcintype = t.oid and c.opcdefault and c.opcmethod = (select oid from pg_am where amname = 'btree')
    join pg_amop a on a.amopfamily = c.opcfamily and a.amoplefttype = t.oid and a.amoprighttype = t.oid and a.amopstrategy = 3
    join pg_operator o on o.oid = a.amopopr join pg_namespace s on s.oid = o.oprnamespace
   where x.extname in ('citext', 'hstore', 'ltree')]]

--- The application's role and every role that it may become.
local ROLES = [[
  select r.rolname::text as name, r.rolsuper as superuser, r.rolbypassrls as bypassrls,
         array(select m.rolname::text from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'MEMBER')) as member_of,
         array(select m.rolname::text from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'USAGE')) as inherits,
         has_database_privilege(r.oid, current_database(), 'CREATE') or exists (select from pg_namespace n
           where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and has_schema_privilege(r.oid, n.oid, 'CREATE')) as may_create,
         array(select n.nspname::text from pg_namespace n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and has_schema_privilege(r.oid, n.oid, 'CREATE')) as creates,
         has_database_privilege(r.oid, current_database(), 'TEMP') as may_temp
    from pg_roles r where pg_has_role($1, r.oid, {become}) order by r.rolname <> $1, 1]]

local GRANTS = [[
  select r.rolname::text as role, c.oid::text as oid,
         has_table_privilege(r.oid, c.oid, 'SELECT') or has_any_column_privilege(r.oid, c.oid, 'SELECT') as select,
         has_table_privilege(r.oid, c.oid, 'INSERT') or has_any_column_privilege(r.oid, c.oid, 'INSERT') as insert,
         has_table_privilege(r.oid, c.oid, 'UPDATE') or has_any_column_privilege(r.oid, c.oid, 'UPDATE') as update,
         has_table_privilege(r.oid, c.oid, 'DELETE') as delete
    from pg_roles r cross join pg_class c where r.rolname = any($1) and c.oid::text = any($2)]]

--- What a new session of the role starts with: the database's settings, the role's, and those of both (section 20.1.3: the last wins).
local PRESETS = [[
  select lower(split_part(c, '=', 1)) as name, substr(c, strpos(c, '=') + 1) as value, case
           when s.setrole = 0 then format('ALTER DATABASE %I', current_database())
           when s.setdatabase = 0 then format('ALTER ROLE %I', $1::name)
           else format('ALTER ROLE %I IN DATABASE %I', $1::name, current_database()) end as set_by
    from pg_db_role_setting s cross join unnest(s.setconfig) c
   where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
     and s.setrole in (0, (select oid from pg_roles where rolname = $1::name)) and strpos(split_part(c, '=', 1), '.') > 0
   order by (s.setrole <> 0)::int, (s.setdatabase <> 0)::int]]

local function set_of(list)
  local out = {}
  for _, name in ipairs(list) do out[name] = true end
  return out
end

local function functions_of(rows)
  local by_name, all = {}, {}
  for _, f in ipairs(rows) do
    f.args = {}
    for i, type_name in ipairs(f.arg_types) do f.args[i] = { name = (f.arg_names or {})[i], type = type_name } end
    f.returns = f.returns_type
    if f.language == "sql" and f.body then f.parsed = f.parsed == true end
    by_name[f.name] = by_name[f.name] or {}
    table.insert(by_name[f.name], f)
    all[#all + 1] = f
  end
  return by_name, all
end

---@param made table<rls.Column, table>  what was made of a column: tables share theirs
local function columns_of(t, made)
  local out = {}
  for _, c in ipairs(t.columns) do
    made[c] = made[c] or { type = c.type, base = c.category == "E" and c.type or c.base, notnull = c.notnull,
      deterministic = c.deterministic, may_update = c.may_update and not c.generated }
    out[c.name] = made[c]
  end
  return out
end

--- The foreign keys from a child to the table that has the tenant's column; nil where none lead there.
---@param t rls.Table
---@param by_oid table<string, rls.Table>
---@return table[]? path, rls.Table? owner
function model.path(t, by_oid)
  local path, at, seen = {}, t, {}
  while not at.tenant do
    local fk = at.parent_key
    local parent = fk and by_oid[fk.ref]
    if not parent or seen[at] then return nil end
    seen[at] = true
    path[#path + 1] = { columns = fk.columns, table = parent.label, ref = fk.ref_columns }
    at = parent
  end
  return path, at
end

--- Can the application not change whose a row is? The columns that say it are not among those it may update.
local function keeps_tenant(t)
  local columns = t.tenant and { t.tenant } or (t.parent_key and t.parent_key.columns) or {}
  for _, name in ipairs(columns) do
    -- One that is generated is as the columns are that it is made of.
    if t.by_column[name].may_update or t.by_column[name].generated then return false end
  end
  return #columns > 0
end

local function table_of(t, by_oid, made)
  local keys, references = {}, {}
  for _, u in ipairs(t.uniques) do
    if not u.deferrable then keys[#keys + 1] = u.columns end
  end
  for _, fk in ipairs(t.foreign_keys) do
    local parent = by_oid[fk.ref]
    if parent and fk.validated then references[#references + 1] = { columns = fk.columns, table = parent.label, ref = fk.ref_columns } end
  end
  local order = {}
  for i, c in ipairs(t.columns) do order[i] = c.name end
  return { name = t.name, columns = columns_of(t, made), order = order, rls = t.rls, forced = t.forced, owner = t.owner, kind = t.kind,
    policies = t.policies, keys = keys, foreign_keys = references, path = model.path(t, by_oid), may = t.may,
    keeps_tenant = keeps_tenant(t), axes = t.axes }
end

local function roles_of(conn, app, oids)
  local out, by_name, others = {}, {}, {}
  for _, r in ipairs(conn:query(dialect.of(conn, ROLES), app.role)) do
    local role = { name = r.name, login = app.login, superuser = r.superuser, bypassrls = r.bypassrls, member_of = set_of(r.member_of),
      inherits = set_of(r.inherits), may_create = r.may_create, creates = r.creates,
      may_temp = r.may_temp, via = r.name ~= app.role, may = {} }
    -- One that bypasses every policy is a finding of its own; predefined roles have no rights that a policy names.
    if not role.via or not (r.superuser or r.bypassrls or r.name:find "^pg_") then
      out[#out + 1] = role
      by_name[r.name] = role
      if role.via then others[#others + 1] = r.name end
    end
  end
  if #others > 0 then
    for _, g in ipairs(conn:query(GRANTS, arrays.text(others), arrays.text(oids))) do
      local may = by_name[g.role].may
      may[g.oid] = { select = g.select, insert = g.insert, update = g.update, delete = g.delete }
    end
  end
  return out
end

--- Reads the model. Tables: all that were read, tenants' or not, since policies look at any.
---@param conn table       the admin's
---@param app {role: string, login: string?, acts: string[]?}
---@param base rls.Table[] tenants' base tables
---@param by_oid table<string, rls.Table>
---@return rls.Model
function model.read(conn, app, base, by_oid)
  local out, made = { tables = {}, presets = {}, set_by = {}, types = {} }, {}
  for _, t in pairs(by_oid) do out.tables[t.label] = table_of(t, by_oid, made) end
  local oids = {}
  for i, t in ipairs(base) do oids[i] = t.oid end
  catalogue.qualified(conn, function()
    out.functions, out.all_functions = functions_of(conn:query(dialect.of(conn, FUNCTIONS), arrays.text(app.acts or { app.role })))
    out.leads = leads.read(conn, out.all_functions)
    for _, row in ipairs(conn:query(TYPES)) do
      -- As the grammar gives the name, and as the server prints it, which quotes what needs it.
      out.types[row.name] = { name = row.name, kind = row.kind, base = row.base, labels = row.labels, equality = row.equality }
      out.types[row.printed] = out.types[row.name]
    end
    -- pg_type.typname does not say whose type it is.
    for c, column in pairs(made) do
      if sorts.is_class(sorts.of(c.type, out.types)) then column.base = c.type end
    end
    out.roles = roles_of(conn, app, oids)
    for _, row in ipairs(conn:query(PRESETS, app.login or app.role)) do
      out.presets[row.name], out.set_by[row.name] = row.value, row.set_by
    end
  end)
  return out
end

return model
