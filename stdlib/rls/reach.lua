--- Ways around row-level security that need no policy: roles, rights, and code that runs with somebody else's rights.
--
-- What a probe of tables cannot see, since no statement on a table goes that way: PostgreSQL manual, sections 5.8 (TRUNCATE and
-- owners are not bound), 41.5 (views have their owner's rights), CREATE FUNCTION (SECURITY DEFINER), 22.3 (SET ROLE).
local reach = {}

--- How a view says that it reads with its reader's rights.
local INVOKER = "array['security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes']"

--- Relations that a view or materialised view reads, through other views too; owner_bound: no view on the way lends its reader the
--- rights of a superuser, of a role with BYPASSRLS, or of the owner of a table whose policies do not bind its owner.
local DEPENDENCIES = [[
  with recursive edge as (
    select distinct w.ev_class as view, d.refobjid as rel
      from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
       and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
      join pg_class v on v.oid = w.ev_class and v.relkind in ('v', 'm')
  ), walk(view, rel, reader) as (
    select e.view, e.rel, case when invoker.yes then $1 else v.relowner end
      from edge e join pg_class v on v.oid = e.view,
           lateral (select coalesce(v.reloptions::text[] && $2, false)
                      as yes) invoker
    union
    select w.view, e.rel, case when invoker.yes then w.reader else v.relowner end
      from walk w join edge e on e.view = w.rel join pg_class v on v.oid = e.view,
           lateral (select coalesce(v.reloptions::text[] && $2, false)
                      as yes) invoker
  )
  select w.view::text as view, w.rel::text as rel, pg_get_userbyid(w.reader)::text as reader,
         not (r.rolsuper or r.rolbypassrls or (pg_has_role(w.reader, c.relowner, 'USAGE') and not c.relforcerowsecurity)) as bound
    from walk w join pg_class c on c.oid = w.rel join pg_roles r on r.oid = w.reader
   where c.relkind in ('r', 'p', 'm', 'f')]]

--- What each view reads: {[view oid] = {[relation oid] = {reader = role, bound = boolean}}}; bound is false where one way is not.
---@param conn table
---@param role string
---@return table<string, table<string, {reader: string, bound: boolean}>>
function reach.views(conn, role)
  local out = {}
  local oid = conn:value("select oid from pg_roles where rolname = $1", role)
  for _, row in ipairs(conn:query((DEPENDENCIES:gsub("%$1", ("%d::oid"):format(oid)):gsub("%$2", INVOKER)))) do
    local view = out[row.view] or {}
    out[row.view] = view
    if not view[row.rel] or view[row.rel].bound then view[row.rel] = { reader = row.reader, bound = row.bound } end
  end
  return out
end

return reach
