--- Grants and objects that row-level security does not bind, read from the catalogue in sets.
--
-- PostgreSQL manual: 5.8 (row security: TRUNCATE, REFERENCES and owners are not bound; covert channels), 41 (rules), CREATE
-- PUBLICATION, 35 (large objects), 14.2 (statistics).
local arrays = require "rls.arrays"
local catalogue = require "rls.catalogue"
local dialect = require "rls.dialect"
local names = require "rls.names"

local objects = {}

local GRANTS = [[
  select c.oid::text as oid, has.trigger, has.refs,
         pg_has_role($1, c.relowner, {become}) as owns,
         (select json_object_agg(privilege_type, who) from (
            select a.privilege_type, json_agg(distinct case a.grantee when 0 then 'PUBLIC' else quote_ident(pg_get_userbyid(a.grantee)) end)
                   as who
              from aclexplode(c.relacl) a where a.privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES')
               and (a.grantee = 0 or pg_has_role($1, a.grantee, {become})) group by 1) g) as grantees
    from pg_class c cross join lateral (
         select bool_or(has_table_privilege(r, c.oid, 'TRIGGER')) as trigger,
                bool_or(has_table_privilege(r, c.oid, 'REFERENCES') or has_any_column_privilege(r, c.oid, 'REFERENCES')) as refs
           from unnest($3::text[]) r) has
   where c.oid::text = any($2)]]

local PUBLISHED = [[
  select c.oid::text as oid, string_agg(p.pubname::text, ', ' order by p.pubname) as pubs
    from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename join pg_publication of_all on of_all.pubname = p.pubname
   where c.oid::text = any($1) and not of_all.puballtables group by 1
  union all
  select null, string_agg(pubname::text, ', ' order by pubname) from pg_publication where puballtables having count(*) > 0]]

local SEQUENCES = [[
  select d.refobjid::text as oid, n.nspname as schema, s.relname as name
    from pg_class s join pg_namespace n on n.oid = s.relnamespace
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.refclassid = 'pg_class'::regclass
     and d.deptype in ('a', 'i')
   where s.relkind = 'S' and d.refobjid::text = any($2)
     and (exists (select from unnest($1::text[]) r where has_sequence_privilege(r, s.oid, 'SELECT, USAGE')))
  union
  select f.adrelid::text, n.nspname, s.relname
    from pg_attrdef f join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
    join pg_class s on s.oid = d.refobjid and s.relkind = 'S' join pg_namespace n on n.oid = s.relnamespace
   where f.adrelid::text = any($2)
     and (exists (select from unnest($1::text[]) r where has_sequence_privilege(r, s.oid, 'SELECT, USAGE')))
   order by 2, 3]]

--- Unique keys whose values people choose: columns that are made (identity, default, generated) tell nothing to whoever asks.
local UNIQUES = [[
  select i.indrelid::text as oid, x.relname as name,
         array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(num, pos) join pg_attribute a
                 on a.attrelid = i.indrelid and a.attnum = k.num where k.pos <= i.indnkeyatts order by k.pos) as columns,
         i.indexprs is not null as expression, i.indexrelid::text as index
    from pg_index i join pg_class x on x.oid = i.indexrelid
   where (i.indisunique or i.indisexclusion) and i.indrelid::text = any($1) order by 1, 2]]

local RULES = [[
  select c.oid::text as oid, w.rulename::text as name, o.rolname::text as owner, o.rolsuper or o.rolbypassrls as unbound,
         pg_get_ruledef(w.oid) as definition,
         array(select distinct d.refobjid::text from pg_depend d where d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
                 and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid and d.refobjid::text = any($2)) as touched
    from pg_rewrite w join pg_class c on c.oid = w.ev_class join pg_namespace n on n.oid = c.relnamespace
    join pg_roles o on o.oid = c.relowner
   where w.rulename <> '_RETURN' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and exists (select from unnest($1::text[]) r
           where case w.ev_type when '3' then has_table_privilege(r, c.oid, 'INSERT') or has_any_column_privilege(r, c.oid, 'INSERT')
             when '2' then has_table_privilege(r, c.oid, 'UPDATE') or has_any_column_privilege(r, c.oid, 'UPDATE')
             when '4' then has_table_privilege(r, c.oid, 'DELETE') else has_table_privilege(r, c.oid, 'SELECT') end)
   order by 1, 2]]

--- What rules on tenants' tables write into, of what is not a tenants' table and the application may read.
local COPIES = [[
  select c.oid::text as oid, w.rulename::text as name, t.oid::text as target, pg_get_ruledef(w.oid) as definition
    from pg_rewrite w join pg_class c on c.oid = w.ev_class
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
    join pg_class t on t.oid = d.refobjid and t.relkind in ('r', 'p') and t.oid <> c.oid
   where w.rulename <> '_RETURN' and c.oid::text = any($2) and not t.oid::text = any($2)
     and exists (select from unnest($1::text[]) r
           where has_table_privilege(r, t.oid, 'SELECT') or has_any_column_privilege(r, t.oid, 'SELECT'))
   group by 1, 2, 3, 4 order by 1, 2]]

--- Foreign keys of tenants' tables whose actions change rows of them.
local CASCADES = [[
  select c.conrelid::text as oid, c.confrelid::text as ref, c.conname::text as name, c.confdeltype::text as on_delete,
         c.confupdtype::text as on_update
    from pg_constraint c where c.contype = 'f' and c.conrelid::text = any($1) and c.conparentid = 0
     and (c.confdeltype in ('c', 'n', 'd') or c.confupdtype in ('c', 'n', 'd')) order by 3]]

local LARGE_OBJECTS = [[
  select current_setting('lo_compat_privileges') = 'on' as compat,
         (select count(*) from pg_largeobject_metadata m
           where pg_has_role($1, m.lomowner, 'USAGE')
              or exists (select from aclexplode(m.lomacl) a where a.grantee = 0 or pg_has_role($1, a.grantee, 'USAGE'))) as reachable]]

--- What tables that are made later will grant the application beyond what policies bind.
local DEFAULTS = [[
  select pg_get_userbyid(d.defaclrole)::text as maker, n.nspname::text as schema,
         string_agg(a.privilege_type::text, ', ' order by a.privilege_type) as privileges,
         case when a.grantee = 0 then 'PUBLIC' else pg_get_userbyid(a.grantee)::text end as grantee
    from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
   where d.defaclobjtype = 'r' and a.privilege_type in ('TRUNCATE', 'TRIGGER')
     and (a.grantee = 0 or pg_get_userbyid(a.grantee)::text = any($1::text[])) and a.grantee <> d.defaclrole
   group by 1, 2, 4 order by 1, 2 nulls first, 4]]

local STATISTICS = [[
  select c.relname as name from pg_class c
   where c.oid in ('pg_catalog.pg_statistic'::regclass, 'pg_catalog.pg_statistic_ext_data'::regclass)
     and exists (select from unnest($1::text[]) r
           where has_table_privilege(r, c.oid, 'SELECT') or has_any_column_privilege(r, c.oid, 'SELECT')) order by 1]]

local function add(out, class, t, detail, reproduce, repair)
  out[#out + 1] = { class = class, object = t.label, detail = detail, reproduce = reproduce, repair = repair }
end

local function privilege_sql(app, t, privilege)
  return ("select rolname from pg_roles where pg_has_role(%s, oid, 'MEMBER') and has_table_privilege(oid, %s, '%s');"):format(
    names.literal(app), names.literal(t.sql), privilege)
end

--- REVOKE from whomever the application has it of; nil where it is a column's.
local function revoke(t, g, privilege)
  local who = g.grantees and g.grantees[privilege]
  return who and ("REVOKE %s ON %s FROM %s;"):format(privilege, t.sql, table.concat(who, ", ")) or nil
end

local function grants(out, conn, app, by_oid, oids, acts)
  for _, g in ipairs(conn:query(dialect.of(conn, GRANTS), app, oids, acts)) do
    local t = by_oid[g.oid]
    if g.owns then
      add(out, "role_owns_table", t, ("as its owner %s may turn row-level security off"):format(app),
        ("select pg_has_role(%s, relowner, 'MEMBER') from pg_class where oid = %s::regclass;"):format(names.literal(app),
          names.literal(t.sql)))
    else
      -- An owner has all of these by owning.
      if g.trigger then
        add(out, "grant_trigger", t, app .. " has the TRIGGER privilege", privilege_sql(app, t, "TRIGGER"), revoke(t, g, "TRIGGER"))
      end
      if g.refs then
        add(out, "grant_references", t, app .. " has the REFERENCES privilege", privilege_sql(app, t, "REFERENCES"),
          revoke(t, g, "REFERENCES"))
      end
      if t.acts.truncate then
        add(out, "grant_truncate", t, "the application may TRUNCATE it, which no policy binds", privilege_sql(app, t, "TRUNCATE"),
          revoke(t, g, "TRUNCATE"))
      end
    end
  end
end

local function published(out, conn, base, by_oid, oids)
  for _, p in ipairs(conn:query(PUBLISHED, oids)) do
    for _, t in ipairs(p.oid and { by_oid[p.oid] } or base) do
      add(out, "publication_exposes", t, "it is in the publication " .. p.pubs,
        ("select pubname from pg_publication_tables where schemaname = %s and tablename = %s;"):format(names.literal(t.schema),
          names.literal(t.name)))
    end
  end
end

--- Does a value of this column come from the server, not from whoever inserts?
local function is_made(t, column)
  local c = t.by_column[column]
  return c and (c.generated or c.identity ~= "" or (c.has_default and (c.base == "uuid" or c.base:find "^int"))) or false
end

--- Says of each of the unique keys what it tells.
local function say_unique(out, list)
  for _, u in ipairs(list) do
    local shown = ("select pg_get_indexdef(%s::regclass);"):format(names.literal(names.ident(u.table.schema) .. "." .. names.ident(u.name)))
    add(out, "unique_oracle", u.table, ("%s (%s)"):format(u.name, table.concat(u.columns, ", ")), shown)
  end
end

--- The keys that a foreign key of tenants' tables leads through: A's row may refer to B's unless the tenant is part of the key.
local function oracles(out, conn, base, by_oid, oids, registry)
  local tell = {}
  for _, u in ipairs(conn:query(UNIQUES, oids)) do
    local t = by_oid[u.oid]
    local spans = not u.expression and t.tenant ~= nil
    local made = #u.columns > 0
    for _, column in ipairs(u.columns) do
      spans = spans and column ~= t.tenant
      made = made and is_made(t, column)
    end
    -- Keys through a parent are unique per parent, which is a tenant's already.
    for _, fk in ipairs(t.foreign_keys) do
      for _, column in ipairs(fk.columns) do
        for _, mine in ipairs(u.columns) do
          local parent = by_oid[fk.ref]
          if mine == column and parent and (parent.scope == "tenant" or parent.scope == "child") then spans = false end
        end
      end
    end
    -- The registry of the tenants names each of them once: that is what it is for.
    if spans and not made and t.label ~= registry and not t.derived then
      u.table = t
      tell[#tell + 1] = u
    end
  end
  say_unique(out, tell)
  for _, t in ipairs(base) do
    for _, fk in ipairs(t.foreign_keys) do
      local parent, own = by_oid[fk.ref], false
      for _, column in ipairs(fk.ref_columns) do own = own or (parent and column == parent.tenant) end
      -- A child without the column has only its parent to say whose it is; its policy is what the prover and the probe look at.
      if parent and parent ~= t and parent.tenant and t.tenant and not own and (t.may.insert or t.may.update) then
        add(out, "foreign_key_oracle", t, ("%s (%s) refers to %s without the tenant"):format(fk.name, table.concat(fk.columns, ", "),
          parent.label), ("select pg_get_constraintdef(oid) from pg_constraint where conname = %s and conrelid = %s::regclass;"):format(
          names.literal(fk.name), names.literal(t.sql)))
      end
    end
  end
end

local function rule_sql(t, name)
  return ("select pg_get_ruledef(oid) from pg_rewrite where rulename = %s and ev_class = %s::regclass;"):format(names.literal(name),
    names.literal(t.sql))
end

--- A rule that mentions the tenant setting may bind what it does by its own text, which nothing here proves or refutes.
local function rules(out, conn, app, all, oids, setting, is_bound, owners)
  local list
  catalogue.qualified(conn, function() list = conn:query(RULES, app, oids) end)
  for _, w in ipairs(list) do
    local t = all[w.oid]
    w.open = {}
    for _, oid in ipairs(w.touched) do
      if not owners or owners:sees(w.owner, all[oid]) then w.open[#w.open + 1] = oid end
    end
    if t and #w.open > 0 and is_bound(w, t) then
      t = nil
    end
    if t and #w.open > 0 and w.definition:find(setting, 1, true) then
      out[#out + 1] = { unproven = ("the rule %s on %s acts as %s, whom row-level security does not bind, and tests %s itself")
        :format(w.name, t.label, w.owner, setting) }
    elseif t and #w.open > 0 then
      add(out, "rule_rewrites", t, ("the rule %s writes or reads %s as %s, whom row-level security does not bind"):format(w.name,
        all[w.open[1]] and all[w.open[1]].label or "a tenants' table", w.owner), rule_sql(t, w.name))
    end
  end
end

local function copies(out, conn, app, all, oids, role)
  for _, w in ipairs(conn:query(COPIES, app, oids)) do
    local t, target = all[w.oid], all[w.target]
    local text = w.definition:lower()
    local copied = text:find "%f[%w]insert%s+into" and (text:find "%f[%w]new%." or text:find "%f[%w]old%.")
    if t and target and copied and not target.rls then
      add(out, "rule_rewrites", t, ("the rule %s copies its rows into %s, which is everybody's to read"):format(w.name, target.label),
        ("select pg_get_ruledef(oid), has_table_privilege(%s, %s, 'SELECT') as readable from pg_rewrite\n"
          .. "  where rulename = %s and ev_class = %s::regclass;"):format(names.literal(role), names.literal(target.sql),
          names.literal(w.name), names.literal(t.sql)))
    end
  end
end

--- What happens to tenants' rows when a row that is everybody's goes: no policy is asked.
local function cascades(out, conn, app, all, oids)
  local DOES = { c = "CASCADE", n = "SET NULL", d = "SET DEFAULT" }
  for _, k in ipairs(conn:query(CASCADES, oids)) do
    local t, parent = all[k.oid], all[k.ref]
    local tenants = parent and (parent.scope == "tenant" or parent.scope == "child")
    if t and parent and not tenants then
      for command, action in pairs { delete = k.on_delete, update = k.on_update } do
        if DOES[action] and not catalogue.nobody_may(parent, command) then
          add(out, "foreign_key_cascade", parent, ("the application may %s its rows, and with them go every tenant's of %s (%s, ON %s %s)")
            :format(command:upper(), t.label, k.name, command:upper(), DOES[action]),
            ("select pg_get_constraintdef(oid), has_table_privilege(%s, confrelid, '%s') as granted from pg_constraint\n"
              .. "  where conname = %s and conrelid = %s::regclass;"):format(names.literal(app), command:upper(), names.literal(k.name),
              names.literal(t.sql)))
        end
      end
    end
  end
end

--- The tables that refer to large objects; written: those into which the application writes which it made.
local function with_large_objects(base, written)
  local out = {}
  for _, t in ipairs(base) do
    for _, c in ipairs(t.columns) do
      if (c.base == "oid" or c.base == "lo") and (not written or t.acts.insert or t.acts.update) then
        out[#out + 1] = t.label
        break
      end
    end
  end
  return out
end

local function large_objects(out, conn, app, base)
  local lo = conn:row(LARGE_OBJECTS, app)
  local reachable = lo.compat or lo.reachable > 0
  local holders = with_large_objects(base, not reachable)
  if #holders == 0 and reachable then holders[1] = app end
  for _, holder in ipairs(holders) do
    out[#out + 1] = { class = "large_object", object = holder,
      detail = lo.compat and "lo_compat_privileges is on: every large object is everybody's"
        or reachable and ("%s may read %d large object(s), whoever's they are"):format(app, lo.reachable)
        or ("what %s makes and refers to there belongs to %s: every tenant's session may read it with lo_get"):format(app, app),
      reproduce = "select oid, lomowner::regrole, lomacl from pg_largeobject_metadata limit 20; show lo_compat_privileges;" }
  end
end

--- Tables that are not there yet: what a migration makes next comes with these grants.
local function defaults(out, conn, acts)
  for _, d in ipairs(conn:query(DEFAULTS, acts)) do
    local within = d.schema and ("IN SCHEMA %s "):format(names.ident(d.schema)) or ""
    local grantee = d.grantee == "PUBLIC" and d.grantee or names.ident(d.grantee)
    out[#out + 1] = { class = "default_privileges", object = d.schema or "every schema",
      detail = ("tables that %s makes grant %s to %s"):format(d.maker, d.privileges, d.grantee),
      reproduce = "select defaclrole::regrole, defaclnamespace::regnamespace, defaclacl from pg_default_acl where defaclobjtype = 'r';",
      repair = ("ALTER DEFAULT PRIVILEGES FOR ROLE %s %sREVOKE %s ON TABLES FROM %s;"):format(names.ident(d.maker), within, d.privileges,
        grantee) }
  end
end

local function server_wide(out, conn, app, base, acts)
  large_objects(out, conn, app, base)
  defaults(out, conn, acts)
  for _, s in ipairs(conn:query(STATISTICS, acts)) do
    out[#out + 1] = { class = "statistics_exposed", object = "pg_catalog." .. s.name, detail = app .. " may SELECT it",
      reproduce = ("select has_table_privilege(%s, 'pg_catalog.%s', 'SELECT');"):format(names.literal(app), s.name) }
  end
end

--- Findings about grants on and objects around the tenants' tables.
---@param conn table        the admin's
---@param app {role: string, super: boolean, acts: string[]?}
---@param base rls.Table[]  tenants' base tables
---@param by_oid table<string, rls.Table>
---@param tenant table     config.database.tenant: setting, and table, the registry of the tenants themselves
---@param is_bound fun(rule: table, t: rls.Table): boolean  do the actions of a rule on t reach the tenant's own rows only?
---@param owners rls.Owners?  nil where the policies could not be decided: whoever owns a rule may see all
---@return {class: string, object: string, detail: string, reproduce: string, repair: string?, unproven: string?}[]
---  unproven: no finding, but what nobody could decide
function objects.findings(conn, app, base, by_oid, tenant, is_bound, owners)
  local registry = tenant.table and names.label(tenant.table)
  local out, list = {}, {}
  for _, t in ipairs(base) do list[#list + 1] = t.oid end
  local oids = arrays.text(list)
  if not app.super then
    -- A superuser has every one of these by being one, which is a finding already.
    local acts = arrays.text(app.acts or { app.role })
    grants(out, conn, app.role, by_oid, oids, acts)
    rules(out, conn, acts, by_oid, oids, tenant.setting, is_bound, owners)
    for _, s in ipairs(conn:query(SEQUENCES, acts, oids)) do
      local t = by_oid[s.oid]
      add(out, "sequence_shared", t, ("the application may read %s.%s"):format(s.schema, s.name),
        ("select last_value from %s;"):format(names.qualified(s.schema, s.name)))
    end
    server_wide(out, conn, app.role, base, acts)
    copies(out, conn, acts, by_oid, oids, app.role)
    cascades(out, conn, app.role, by_oid, oids)
  end
  published(out, conn, base, by_oid, oids)
  oracles(out, conn, base, by_oid, oids, registry)
  return out
end

return objects
