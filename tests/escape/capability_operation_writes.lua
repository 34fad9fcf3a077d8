-- What: an operation writes through a connection that is not the operator's
-- Gate: -
-- Operation: PASS
-- Audit: -
-- Needs: db = { "admin", "app" }
for _, role in ipairs { "admin", "app" } do
  for _, conn in ipairs { ctx.db[role], ctx.db:open(role, { readonly = false }) } do
    for _, sql in ipairs { "update core.tenants set name = 'x'", "set session characteristics as transaction read write; create table public.x ()",
      "create table public.x ()", "commit; begin read write; update core.tenants set name = 'x'" } do
      if pcall(conn.exec, conn, sql) or pcall(conn.script, conn, sql) then escaped(role .. ": " .. sql) end
    end
    pcall(conn.exec, conn, "set default_transaction_read_only = off")
    pcall(conn.exec, conn, "set transaction_read_only = off")
    if pcall(conn.exec, conn, "update core.tenants set name = 'x'") then escaped(role .. " after set") end
  end
end
