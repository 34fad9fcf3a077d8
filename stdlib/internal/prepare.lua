--- Before the gates: who is the tenant, and what is the target? On an embedded platform of the run's own an unknown tenant is created;
--- where something stays, it must be there: but for the demonstration's tenant, create_tenant alone makes one.
local errors = require "internal.raise"

--- "schema.table" as written in the configuration (parts may be double-quoted) to a quoted SQL name.
local function sql_name(name)
  local parts = {}
  for part in name:gmatch('[^.]+') do
    part = part:match('^"(.*)"$') or part
    parts[#parts + 1] = '"' .. part:gsub('"', '""') .. '"'
  end
  return table.concat(parts, ".")
end

local function quoted(name) return '"' .. name:gsub('"', '""') .. '"' end

local function find_tenant(conn, tenant, code)
  return conn:row(("select %s::text as id, %s::text as code from %s where %s = $1"):format(
    quoted(tenant.key), quoted(tenant.code), sql_name(tenant.table), quoted(tenant.code)), code)
end

--- The catalogue as text, without names that a search path decides. It changes when tables, columns, policies, views, functions, triggers
--- or rules do, when anybody gets another right or another owner, and when one of the roles that have rights here gets other attributes,
--- members or settings: all of that decides who sees which rows.
local SCHEMA_TEXT = [[
  with recursive spaces as (select * from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
  rels as (select c.*, n.nspname from pg_class c join spaces n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')),
  -- Who has rights on something here, and whose members they are or who is theirs.
  named as (
    select refobjid as role from pg_shdepend where refclassid = 'pg_authid'::regclass
       and dbid = (select oid from pg_database where datname = current_database())
    union
    select case when m.member = r.role then m.roleid else m.member end from named r
      join pg_auth_members m on r.role in (m.member, m.roleid))
  select string_agg(line, E'\n' order by line collate "C") from (
    select format('n %s %s %s', nspname, pg_get_userbyid(nspowner), nspacl) as line from spaces
    union all
    select format('t %s.%s %s %s %s %s %s %s', nspname, relname, relkind, relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner),
      relacl, reloptions) from rels
    union all
    select format('c %s.%s.%s %s %s %s %s %s', c.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attacl, a.attgenerated, md5(d.adbin::text))
      from pg_attribute a join rels c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attnum > 0 and not a.attisdropped and c.relkind <> 'S' -- those of sequences are the server's
    union all
    select format('p %s.%s %s', c.nspname, c.relname, md5(p::text)) from pg_policy p join rels c on c.oid = p.polrelid
    union all
    select format('f %s.%s(%s) %s', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), md5(p::text))
      from pg_proc p join spaces n on n.oid = p.pronamespace
    union all
    select format('g %s.%s %s', c.nspname, c.relname, md5(g::text)) from pg_trigger g join rels c on c.oid = g.tgrelid
    union all
    select format('r %s.%s %s %s %s', c.nspname, c.relname, w.rulename, w.ev_enabled, md5(w.ev_qual::text || w.ev_action::text))
      from pg_rewrite w join rels c on c.oid = w.ev_class
    union all
    select format('k %s.%s %s', c.nspname, c.relname, md5(k::text)) from pg_constraint k join rels c on c.oid = k.conrelid
    union all
    select format('d %s', to_jsonb(d)) from pg_default_acl d
    union all
    select format('o %s %s', datdba, datacl) from pg_database where datname = current_database()
    union all
    select format('a %s', to_jsonb(r) - 'rolpassword' - 'rolvaliduntil' - 'rolconnlimit') from pg_roles r
     where r.oid in (select role from named)
    union all
    select format('m %s %s %s', pg_get_userbyid(roleid), pg_get_userbyid(member), admin_option) from pg_auth_members
     where roleid in (select role from named) or member in (select role from named)
    union all
    select format('s %s %s %s', setdatabase <> 0, setrole, setconfig) from pg_db_role_setting
     where setdatabase in (0, (select oid from pg_database where datname = current_database()))
       and (setrole = 0 or setrole in (select role from named))) lines]]

--- No such tenant: on a platform of this engine's schema, with those that there are.
local function refuse_unknown(reader, job)
  local code, known = job.tenant.code, nil
  if job.own_schema then
    known = reader:value("select string_agg(code, ', ') from (select code from core.tenants order by code limit 5) t")
  end
  errors.raise { code = "tenant_unknown", message = ("the tenant %s is not in %s"):format(code, job.config.database.tenant.table),
    detail = job.own_schema and (known and "there are: " .. known or "there is none yet") or nil,
    fix = job.own_schema and ('check --tenant, or create it: gate-engine run create_tenant --tenant %s --name "NAME"'):format(code)
      or "create the tenant first, or check --tenant and database.tenant in the configuration" }
end

return function(ctx, job)
  local conn = job.db.operator and not job.db.operator.missing and ctx.db.operator or ctx.db.admin
  local reader = job.db.admin and ctx.db.admin or ctx.db.operator -- of an operation that has no other
  local tenant = job.config.database.tenant
  local result = { tenant = { code = job.tenant.code } }
  if tenant.table and not job.no_tenants then
    local row = find_tenant(reader, tenant, job.tenant.code)
    if not row and job.create_tenant then
      result.created = true
      conn:exec("insert into core.tenants (code, name, status, settings) "
        .. "values ($1, $1, 'onboarding', '{\"packs\": [\"roster\"]}') on conflict (code) do nothing",
        job.tenant.code)
      row = find_tenant(reader, tenant, job.tenant.code)
    end
    if not row and not job.any_tenant then refuse_unknown(reader, job) end
    result.tenant.id = row and row.id or nil
    local validation = job.config.validation_tenant
    if type(validation) == "string" then
      local own = find_tenant(reader, tenant, validation)
      if not own then
        errors.raise { code = "tenant_unknown", message = ("the validation tenant %s is not in %s"):format(validation, tenant.table),
          fix = "create it, or check validation_tenant in the configuration" }
      end
      result.tenant.validation = { code = own.code, id = own.id }
    end
  end
  local schema = reader:value(SCHEMA_TEXT) or ""
  result.schema_hash = require("engine.hash").sha256(schema)
  result.database = reader:value("select current_database()")
  result.server = reader:value("select current_setting('server_version')")
  -- Everybody may call it unless that right was taken away: then only a recording is impossible.
  local known, _, rows = reader:try("select system_identifier::text as id from pg_control_system()")
  result.system_identifier = known and rows[1].id or nil
  return result
end
