-- What: the module that refusals are raised with is replaced by one that raises nothing
-- Gate: ERROR not_declared!
-- Audit: -
-- Needs: db = { "app" }, commands = { "echo" }
local errors = require "errors"
local raise, new = errors.raise, errors.new
errors.raise, errors.new, errors.is = function() end, function() return nil end, function() return false end
local stolen_error, stolen_select = error, select
error = function() end
local gained = {}
for name, f in pairs {
  user = function() return ctx.db:open("app", { user = "postgres" }):value("select current_user::text") end,
  host = function() return ctx.db:open("app", { host = "/tmp" }) end,
  role = function() return ctx.db:open("admin"):value("select 1") end,
  field = function() return ctx.db.admin:value("select 1") end,
  endpoint = function() return ctx.http:request { endpoint = "svc", path = "/" } end,
  store = function() return ctx.store.artifacts:get("x") end,
} do
  local ok, got = pcall(f)
  if ok and got ~= nil then gained[#gained + 1] = name end
end
error, errors.raise, errors.new = stolen_error, raise, new
if stolen_select ~= select then escaped("select") end
for _, name in ipairs(gained) do escaped(name) end
