--- Before the gates: who is the tenant, and what is the target? On the embedded platform an unknown tenant is created;
--- elsewhere it must be there.
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

--- A digest of the catalogue: tables, columns, policies, functions. It changes when the schema does.
local SCHEMA_TEXT = [[
  select string_agg(line, E'\n' order by line) from (
    select format('t %s.%s %s %s %s', n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity) as line
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select format('c %s.%s.%s %s %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and a.attnum > 0 and not a.attisdropped
       and c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select format('p %s.%s %s %s %s %s %s %s', schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check) from pg_policies
    union all
    select format('f %s.%s(%s) %s', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), md5(p.prosrc))
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema') lines]]

return function(ctx, job)
  local conn = job.db.operator and not job.db.operator.missing and ctx.db.operator or ctx.db.admin
  local reader = job.db.admin and ctx.db.admin or ctx.db.operator -- of an operation that has no other
  local tenant = job.config.database.tenant
  local result = { tenant = { code = job.tenant.code } }
  if tenant.table and not job.no_tenants then
    local row = find_tenant(reader, tenant, job.tenant.code)
    if not row and job.create_tenant then
      result.others = reader:value("select coalesce(string_agg(code, ', '), '')"
        .. " from (select code from core.tenants order by code limit 5) t")
      conn:exec("insert into core.tenants (code, name, status, settings) "
        .. "values ($1, $1, 'onboarding', '{\"packs\": [\"roster\"]}') on conflict (code) do nothing",
        job.tenant.code)
      row = find_tenant(reader, tenant, job.tenant.code)
    end
    if not row and not job.any_tenant then
      errors.raise { code = "tenant_unknown", message = ("the tenant %s is not in %s"):format(job.tenant.code, tenant.table),
        fix = job.kept_dry_run and "a dry run makes no tenant on a platform that is kept: run a gate for it first, or check --tenant"
          or "create the tenant first, or check --tenant and database.tenant in the configuration" }
    end
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
