--- What the application's role may become or do that no policy is asked for.
--
-- PostgreSQL manual: 22.2 (role attributes), 22.3 (membership), 22.5 (predefined roles), 5.8 (who bypasses row-level security).
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
                  where a.roleid = m.oid and me.rolname = $1) as direct
    from pg_roles m where m.rolname <> $1 and pg_has_role($1, m.oid, 'MEMBER') order by 1]]

local PROGRAMS = { pg_read_server_files = true, pg_write_server_files = true, pg_execute_server_program = true }
local ALL_DATA = { pg_read_all_data = true, pg_write_all_data = true }

local function attributes_sql(role)
  return ("select rolsuper, rolbypassrls, rolreplication, rolcreaterole from pg_roles where rolname = %s;"):format(names.literal(role))
end

--- Findings of one role: of the application's own (via nil), or of one that it may become.
local function judge(out, app, r, version, via)
  local function add(class, what, without)
    local repair = ("ALTER ROLE %s %s;"):format(names.ident(app), without)
    if via then repair = r.direct and ("REVOKE %s FROM %s;"):format(names.ident(via), names.ident(app)) or nil end
    out[#out + 1] = { class = class, object = app, detail = via and ("it may SET ROLE %s, which %s"):format(via, what) or "it " .. what,
      reproduce = via and ("set role %s;"):format(names.ident(via)) or attributes_sql(app), repair = repair }
  end
  if r.super then add("role_bypasses_rls", "is a superuser", "NOSUPERUSER NOBYPASSRLS") end
  if r.bypass and not r.super then add("role_bypasses_rls", "has BYPASSRLS", "NOBYPASSRLS") end
  if r.replication and not r.super then add("role_replication", "has REPLICATION", "NOREPLICATION") end
  -- From 16 on CREATEROLE grants only roles that the role has ADMIN OPTION on.
  if r.creates_roles and not r.super and version < 160000 then add("role_creates_roles", "has CREATEROLE", "NOCREATEROLE") end
end

--- Everything that goes around the policies by who the application's role is.
---@param conn table   the admin's
---@param app string   the application's role
---@return {class: string, object: string, detail: string, reproduce: string, repair: string?}[]
function roles.findings(conn, app)
  local out = {}
  local own = conn:row(ATTRIBUTES, app)
  judge(out, app, own, own.version)
  for _, m in ipairs(conn:query(MEMBERSHIPS, app)) do
    judge(out, app, m, own.version, m.name)
    local held = ("select pg_has_role(%s, %s, 'MEMBER');"):format(names.literal(app), names.literal(m.name))
    local repair = m.direct and ("REVOKE %s FROM %s;"):format(names.ident(m.name), names.ident(app)) or nil
    if PROGRAMS[m.name] and not own.super then
      out[#out + 1] = { class = "role_runs_programs", object = app, detail = "it is a member of " .. m.name, reproduce = held,
        repair = repair }
    elseif ALL_DATA[m.name] and not own.super then
      out[#out + 1] = { class = "role_reads_all_data", object = app, detail = "it is a member of " .. m.name, reproduce = held }
    end
  end
  return out
end

return roles
