--- What the application's role may become or do that no policy is asked for.
--
-- PostgreSQL manual: 22.2 (role attributes), 22.3 (membership), 22.5 (predefined roles), 5.8 (who bypasses row-level security).
local arrays = require "rls.arrays"
local dialect = require "rls.dialect"
local names = require "rls.names"

local roles = {}

local ATTRIBUTES = [[
  select r.rolsuper as super, r.rolbypassrls as bypass, r.rolreplication as replication, r.rolcreaterole as creates_roles,
         current_setting('server_version_num')::int as version
    from pg_roles r where r.rolname = $1]]

--- Roles that it is a member of, inherited or by SET ROLE, with what makes them dangerous.
local MEMBERSHIPS = [[
  select m.rolname::text as name, m.rolsuper as super, m.rolbypassrls as bypass, m.rolreplication as replication,
         m.rolcreaterole as creates_roles,
         exists (select from pg_auth_members a join pg_roles me on me.oid = a.member
                  where a.roleid = m.oid and me.rolname = $1) as direct,
         pg_has_role($1, m.oid, {act}) as acts, pg_has_role($1, m.oid, {set}) as may_set
    from pg_roles m where m.rolname <> $1 and pg_has_role($1, m.oid, {become}) order by 1]]

local WATCHES = "sees the statements of all roles' sessions"
local SESSIONS = { pg_monitor = WATCHES, pg_read_all_stats = WATCHES, pg_signal_backend = "ends the sessions of other roles" }

--- Parameters whose SET takes away what keeps tenants apart: foreign keys and triggers, owners of large objects, what code is loaded. Of
--- all others ALTER SYSTEM alone matters, which changes every session. Rights on parameters are PostgreSQL 15's.
local PARAMETERS = [[
  select p.parname as name, r as role, has_parameter_privilege(r, p.parname, 'ALTER SYSTEM') as of_system
    from pg_parameter_acl p cross join unnest($1::text[]) r
   where has_parameter_privilege(r, p.parname, 'ALTER SYSTEM')
      or (p.parname = any(array['session_replication_role', 'lo_compat_privileges', 'session_preload_libraries', 'dynamic_library_path',
            'allow_system_table_mods', 'ignore_system_indexes']) and has_parameter_privilege(r, p.parname, 'SET'))
   order by 1, 2]]

local PROGRAMS = { pg_read_server_files = true, pg_write_server_files = true, pg_execute_server_program = true }
local ALL_DATA = { pg_read_all_data = "role_reads_all_data", pg_write_all_data = "role_writes_all_data" }

--- Schemas of tenants' tables whose owner the application's role is, or may become.
local SCHEMAS = [[
  select distinct n.nspname::text as name, pg_get_userbyid(n.nspowner)::text as owner
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid::text = any($2) and pg_has_role($1, n.nspowner, {become})
     and not pg_has_role($1, c.relowner, {become}) order by 1]]

--- Functions that policies, triggers, views, defaults, checks or indexes of tenants' tables call, of which the application's role is the
--- owner or may become it.
local GUARDS = [[
  with used(oid, what) as (
    select d.refobjid, 'a policy of ' || p.polrelid::regclass::text from pg_policy p join pg_depend d
        on d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass where p.polrelid::text = any($2)
    union all
    select t.tgfoid, 'a trigger of ' || t.tgrelid::regclass::text from pg_trigger t where not t.tgisinternal and t.tgrelid::text = any($2)
    union all
    select d.refobjid, 'the view ' || w.ev_class::regclass::text from pg_rewrite w join pg_depend d
        on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_proc'::regclass where exists (
          select from pg_depend r where r.classid = 'pg_rewrite'::regclass and r.objid = w.oid and r.refclassid = 'pg_class'::regclass
             and r.refobjid::text = any($2))
    union all
    select d.refobjid, 'a default or check of ' || x.rel::regclass::text from (
        select 'pg_attrdef'::regclass as class, oid, adrelid as rel from pg_attrdef
        union all select 'pg_constraint'::regclass, oid, conrelid from pg_constraint) x join pg_depend d
        on d.classid = x.class and d.objid = x.oid and d.refclassid = 'pg_proc'::regclass where x.rel::text = any($2))
  select format('%I.%I(%s)', n.nspname, f.proname, oidvectortypes(f.proargtypes)) as name, min(u.what) as what,
         pg_get_userbyid(f.proowner)::text as owner
    from used u join pg_proc f on f.oid = u.oid join pg_namespace n on n.oid = f.pronamespace
   where pg_has_role($1, f.proowner, {become}) and n.nspname !~ '^pg_' group by 1, 3 order by 1]]

--- Functions that only superusers may call until somebody grants them, by which files, other sessions' rights or programs are reached.
local FILES = [[
  select format('%I.%I(%s)', n.nspname, f.proname, oidvectortypes(f.proargtypes)) as name, r as role
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace cross join unnest($1::text[]) r
   where f.proname = any(array['pg_read_file', 'pg_read_binary_file', 'lo_import', 'lo_export', 'pg_file_write', 'pg_file_read',
           'dblink_connect_u'])
     and has_function_privilege(r, f.oid, 'EXECUTE') order by 1, 2]]

local function attributes_sql(role)
  return ("select rolsuper, rolbypassrls, rolreplication, rolcreaterole from pg_roles where rolname = %s;"):format(names.literal(role))
end

--- Findings of one role: of the application's own (via nil), or of one that it may become.
local function judge(out, app, r, version, via)
  local function add(class, what, without)
    local repair = ("ALTER ROLE %s %s;"):format(names.ident(app), without)
    if via then repair = r.direct and ("REVOKE %s FROM %s;"):format(names.ident(via), names.ident(app)) or nil end
    local first = via and not r.may_set and ("GRANT %s TO %s WITH SET TRUE;\n"):format(names.ident(via), names.ident(app)) or ""
    out[#out + 1] = { class = class, object = app,
      detail = via and ("it may %sSET ROLE %s, which %s"):format(r.may_set and "" or "grant itself the right to ", via, what)
        or "it " .. what,
      reproduce = via and ("BEGIN;\nSET LOCAL SESSION AUTHORIZATION %s;\n%sSET LOCAL ROLE %s;\n%s\nROLLBACK;"):format(names.ident(app),
        first, names.ident(via), attributes_sql(via)) or attributes_sql(app), repair = repair }
  end
  if r.super then add("role_bypasses_rls", "is a superuser", "NOSUPERUSER NOBYPASSRLS") end
  if r.bypass and not r.super then add("role_bypasses_rls", "has BYPASSRLS", "NOBYPASSRLS") end
  if r.replication and not r.super then add("role_replication", "has REPLICATION", "NOREPLICATION") end
  -- From 16 on CREATEROLE grants only roles that the role has ADMIN OPTION on.
  if r.creates_roles and not r.super and version < 160000 then add("role_creates_roles", "has CREATEROLE", "NOCREATEROLE") end
end

--- Has every tenants' table row-level security? Then rights on all tables are no way around it.
local function is_guarded(base)
  for _, t in ipairs(base) do
    if not t.rls then return false end
  end
  return true
end

local function schemas(out, conn, app, base)
  local oids = {}
  for i, t in ipairs(base) do oids[i] = t.oid end
  for _, s in ipairs(conn:query(dialect.of(conn, SCHEMAS), app, arrays.text(oids))) do
    out[#out + 1] = { class = "role_owns_schema", object = s.name,
      detail = ("%s owns the schema%s, and may drop every table in it"):format(s.owner,
        s.owner ~= app and (", which %s may become,"):format(app) or ""),
      reproduce = ("select nspowner::regrole from pg_namespace where nspname = %s;"):format(names.literal(s.name)) }
  end
end

local function guards(out, conn, app, base)
  local oids = {}
  for i, t in ipairs(base) do oids[i] = t.oid end
  for _, f in ipairs(conn:query(dialect.of(conn, GUARDS), app, arrays.text(oids))) do
    out[#out + 1] = { class = "role_owns_function", object = f.name,
      detail = ("%s owns it%s, and %s calls it"):format(f.owner, f.owner ~= app and (", which %s may become,"):format(app) or "", f.what),
      reproduce = ("select proowner::regrole, pg_has_role(%s, proowner, 'MEMBER') from pg_proc where oid = %s::regprocedure;"):format(
        names.literal(app), names.literal(f.name)) }
  end
end

local function files(out, conn, app, acts)
  for _, f in ipairs(conn:query(FILES, arrays.text(acts))) do
    out[#out + 1] = { class = "role_runs_programs", object = app,
      detail = ("%s may call %s"):format(f.role == app and "it" or "after SET ROLE it, as " .. f.role .. ",", f.name),
      reproduce = ("select has_function_privilege(%s, %s, 'EXECUTE');"):format(names.literal(f.role), names.literal(f.name)),
      repair = ("REVOKE EXECUTE ON FUNCTION %s FROM %s;"):format(f.name, names.ident(f.role)) }
  end
end

local function parameters(out, conn, app, acts)
  for _, p in ipairs(conn:query(PARAMETERS, arrays.text(acts))) do
    local right = p.of_system and "ALTER SYSTEM" or "SET"
    out[#out + 1] = { class = "role_sets_parameters", object = app,
      detail = ("%s has %s ON PARAMETER %s"):format(p.role == app and "it" or ("after SET ROLE it, as %s,"):format(p.role), right, p.name),
      reproduce = ("select has_parameter_privilege(%s, %s, %s);"):format(names.literal(p.role), names.literal(p.name),
        names.literal(right)),
      repair = ("REVOKE %s ON PARAMETER %s FROM %s;"):format(right, p.name, names.ident(p.role)) }
  end
end

--- Everything that goes around the policies by who the application's role is.
---@param conn table   the admin's
---@param app string   the application's role
---@param base rls.Table[]  tenants' base tables
---@param acts string[]  the role, and those that it may become
---@return {class: string, object: string, detail: string, reproduce: string, repair: string?}[]
function roles.findings(conn, app, base, acts)
  local out = {}
  local own, watches = conn:row(ATTRIBUTES, app), false
  judge(out, app, own, own.version)
  for _, m in ipairs(conn:query(dialect.of(conn, MEMBERSHIPS), app)) do
    if m.acts then judge(out, app, m, own.version, m.name) end
    local held = ("select pg_has_role(%s, %s, 'MEMBER');"):format(names.literal(app), names.literal(m.name))
    local repair = m.direct and ("REVOKE %s FROM %s;"):format(names.ident(m.name), names.ident(app)) or nil
    if PROGRAMS[m.name] and not own.super then
      out[#out + 1] = { class = "role_runs_programs", object = app, detail = "it is a member of " .. m.name, reproduce = held,
        repair = repair }
    elseif ALL_DATA[m.name] and not own.super then
      out[#out + 1] = { class = ALL_DATA[m.name], object = app, detail = "it is a member of " .. m.name, reproduce = held, repair = repair,
        advisory = is_guarded(base) or nil }
    elseif SESSIONS[m.name] and not own.super and not (watches and SESSIONS[m.name] == WATCHES) then
      watches = watches or SESSIONS[m.name] == WATCHES -- pg_monitor is a member of the other
      out[#out + 1] = { class = "role_watches_sessions", object = app, detail = ("it is a member of %s, which %s"):format(m.name,
        SESSIONS[m.name]), reproduce = held, repair = repair, advisory = true }
    end
  end
  if not own.super then
    schemas(out, conn, app, base)
    guards(out, conn, app, base)
    files(out, conn, app, acts)
    if own.version >= 150000 then parameters(out, conn, app, acts) end
  end
  return out
end

return roles
