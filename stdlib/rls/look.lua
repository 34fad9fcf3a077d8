--- Who the application is, and every table with whose rows it holds: what gate 1 begins with.
local axes = require "rls.axes"
local catalogue = require "rls.catalogue"
local dialect = require "rls.dialect"
local task = require "task"

local look = {}

--- Tables of the reference platform that are the same for every tenant.
local SHARED = { ["platform.required_audits"] = true }

local ACTS = [[
  select array(select r.rolname::text from pg_roles r where r.rolname = $1 or (pg_has_role($1, r.oid, {become})
                 and not (r.rolsuper or r.rolbypassrls or r.rolname ~ '^pg_')) order by r.rolname <> $1, 1) as acts]]

--- Who the application is, as the server sees it. acts: its role, and those that it may become and that are no finding by themselves.
local function application(ctx)
  local app = ctx.db.app:row [[
    select current_user::text as role, rolsuper as super, rolbypassrls as bypass,
           case when session_user = current_user then session_user::text end as login
      from pg_roles where rolname = current_user]]
  return app
end

--- Connects as everybody who is needed, side by side, and asks who the application is. The admin's second connection is the probe's
--- first; where there may be only one, the catalogue is read by that alone.
---@return table app, table? spare
local function meet(ctx)
  if rawget(ctx, "one_connection") then return application(ctx), nil end
  local spare
  -- What stands for the application's connection may be the admin's.
  local connects = rawget(ctx.db, "app") == nil
  local said = task.map({
    function() return connects and application(ctx) end,
    function() return ctx.db.admin end,
    function() spare = ctx.db:open "admin" end,
  }, 3, function(fn) return { pcall(fn) } end)
  for i = 1, 2 do
    if not said[i][1] then error(said[i][2], 0) end
  end
  return connects and said[1][2] or application(ctx), spare
end

--- Who the application is, and every table with whose rows it holds.
---@param ctx table
---@param meanwhile fun()?  what else there is to do while the server reads its catalogue; it may be left out
---@return {settings: table, app: table, tables: rls.Table[], by_oid: table, admin: table, spare: table?}
function look.at(ctx, meanwhile)
  local list = axes.list(ctx.config.database)
  -- What looks at one axis alone looks at the first.
  local settings = setmetatable({ tenant = list[1], axes = list }, { __index = ctx.config.database })
  local app, spare = meet(ctx)
  app.acts = ctx.db.admin:row(dialect.of(ctx.db.admin, ACTS), app.role).acts
  local tables, by_oid = catalogue.read(ctx.db.admin, settings, app.role, ctx.platform.kind == "embedded" and SHARED or nil,
    app.acts, spare and { conn = spare, meanwhile = meanwhile })
  return { settings = settings, app = app, tables = tables, by_oid = by_oid, trust = ctx.config.trust, spare = spare,
    embedded = ctx.platform.kind == "embedded",
    admin = ctx.db.admin:row [[select rolsuper as super, rolsuper or rolbypassrls as bypass,
      current_setting('server_version_num')::integer as version from pg_roles where rolname = current_user]] }
end

return look
