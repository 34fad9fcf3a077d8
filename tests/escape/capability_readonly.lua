-- What: a read-only connection changes something: nothing that it began so
-- Gate: PASS
-- Audit: -
-- Needs: db = { "app" }
local conn = ctx.db:open("app", { readonly = true })
for _, sql in ipairs { "create temp table x (a int)", "delete from core.tenants", "update core.tenants set code = 'x'",
  "create table public.forged (a int)" } do
  if pcall(conn.exec, conn, sql) then escaped(sql) end
end
if conn:value("show transaction_read_only") ~= "on" then escaped("it is not read-only") end
conn:close()
