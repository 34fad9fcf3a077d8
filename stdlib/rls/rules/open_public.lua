--- CREATE on the schema public for everybody, which servers before PostgreSQL 15 grant by default (PostgreSQL manual, 5.9.2): the one cause
--- of all that is said of functions which look up names where a session may put its own.
local arrays = require "rls.arrays"

local open_public = {}

--- Is that the only place in which the roles may make objects?
local ONLY = [[
  select exists (select from pg_namespace n cross join aclexplode(n.nspacl) a
                  where n.nspname = 'public' and a.grantee = 0 and a.privilege_type = 'CREATE')
         and not exists (select from unnest($1::text[]) r where has_database_privilege(r, current_database(), 'CREATE')
           or exists (select from pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('public', 'information_schema')
                         and has_schema_privilege(r, n.oid, 'CREATE'))
           or exists (select from pg_namespace n where n.nspname = 'public' and pg_has_role(r, n.nspowner, 'USAGE'))
           or exists (select from pg_namespace n cross join aclexplode(n.nspacl) a where n.nspname = 'public' and a.grantee <> 0
                         and a.privilege_type = 'CREATE' and pg_has_role(r, a.grantee, 'USAGE')))]]

---@param conn table    the admin's
---@param app {role: string, acts: string[]?}
---@return boolean
function open_public.is_cause(conn, app) return conn:value(ONLY, arrays.text(app.acts or { app.role })) end

--- The one finding in place of many.
---@param list {object: string}[]  findings whose names are looked up there
---@return {class: string, object: string, detail: string, fix: string, reproduce: string, repair: string}
function open_public.finding(list)
  local seen, objects = {}, {}
  for _, f in ipairs(list) do
    if not seen[f.object] then objects[#objects + 1] = f.object end
    seen[f.object] = true
  end
  table.sort(objects)
  local repair = "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
  return { class = "function_search_path", object = "public",
    detail = ("everybody may make functions and operators in it, where %d function(s) that guard tenants' rows look up names: %s"):format(
      #objects, table.concat(objects, ", ")),
    fix = repair:gsub(";$", "") .. ", as PostgreSQL 15 does by default; or ALTER FUNCTION … SET search_path = pg_catalog, pg_temp for each",
    reproduce = "select has_schema_privilege('public', oid, 'CREATE') as everybody_may, nspacl from pg_namespace\n"
      .. "  where nspname = 'public';",
    repair = repair }
end

return open_public
