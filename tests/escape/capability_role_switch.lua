-- What: the application's role becomes another by SQL
-- Gate: PASS
-- Audit: -
-- Needs: db = { "app" }
for _, sql in ipairs { "set role platform_owner", "set role postgres", "set session authorization postgres", "alter role app_user superuser",
  "grant platform_owner to app_user", "create role other superuser", "alter system set log_statement = 'all'" } do
  if pcall(ctx.db.app.exec, ctx.db.app, sql) then escaped(sql) end
end
