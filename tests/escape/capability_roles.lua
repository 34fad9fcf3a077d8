-- What: a role that is not declared, and a declared one as somebody or somewhere else
-- Gate: ERROR not_declared!
-- Audit: -
-- Needs: db = { "app" }
for name, f in pairs {
  admin = function() return ctx.db.admin:value("select 1") end, operator = function() return ctx.db.operator:value("select 1") end,
  open_admin = function() return ctx.db:open("admin") end, user = function() return ctx.db:open("app", { user = "postgres" }) end,
  host = function() return ctx.db:open("app", { host = "127.0.0.1" }) end, hostaddr = function() return ctx.db:open("app", { hostaddr = "127.0.0.1" }) end,
  port = function() return ctx.db:open("app", { port = 1 }) end, url = function() return ctx.db:open("app", { url = "postgres://postgres@/platform" }) end,
  role = function() return ctx.db:open("app", { role = "platform_owner" }) end, password = function() return ctx.db:open("app", { password = "x" }) end,
  options = function() return ctx.db:open("app", { options = { role = "postgres" } }) end, positional = function() return ctx.db:open("app", { "x" }) end,
  wrong = function() return ctx.db:open("app", { readonly = "no" }) end } do
  if pcall(f) then escaped(name) end
end
if ctx.db:open("app", { readonly = true }):value("select current_user") ~= "app_user" then escaped("another user") end
