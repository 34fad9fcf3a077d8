-- What: every capability that the head does not declare
-- Gate: ERROR not_declared!
-- Audit: -
for name, f in pairs {
  admin = function() return ctx.db.admin:value("select 1") end, open = function() return ctx.db:open("admin") end,
  http = function() return ctx.http:request { endpoint = "svc", path = "/" } end,
  store = function() return ctx.store.artifacts:get("x") end, files = function() return ctx.files.x:get("x") end,
  exec = function() return ctx.exec:run("echo", {}) end, solver = function() return ctx.solver:solve("roster", {}) end,
  audits = function() return ctx.audits:list() end, key = function() return ctx.auth.api_key .. "" end } do
  if pcall(f) then escaped(name) end
end
