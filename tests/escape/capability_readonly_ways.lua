-- What: two dozen ways to make a read-only connection write, by the server's superuser
-- Gate: PASS
-- Audit: -
-- Needs: db = { "admin" }
local w = ctx.db.admin
local c = ctx.db:open("admin", { readonly = true })
local INSERT = "insert into core.tenants (code, name) values ('evil', 'Evil')"
local function after(...)
  local list = { ... }
  return function() for _, sql in ipairs(list) do pcall(c.exec, c, sql) end c:exec(INSERT) end
end
local evil = {
  after(), after "set transaction read write", after "begin read write", after "start transaction read write", after "rollback and chain",
  after "commit and chain", after "set session characteristics as transaction read write", after "set default_transaction_read_only = off",
  after "discard all", after("begin", "select 1/0"), after "rollback to savepoint x", after("prepare p as " .. INSERT, "execute p"),
  after("do $$ begin rollback; set transaction read write; " .. INSERT .. "; commit; end $$"),
  after("do $$ begin perform set_config('transaction_read_only', 'off', false); " .. INSERT .. "; end $$"),
  after("create procedure pg_temp.q() language plpgsql as $x$ begin commit; " .. INSERT .. "; end $x$", "call pg_temp.q()"),
  function() c:pipeline { { "/* */ commit" }, { INSERT } } end,
  function() c:pipeline({ { "set transaction read write" }, { INSERT } }, { atomic = true }) end,
  function() c:pipeline { { "select set_config('transaction_read_only', 'off', false)" }, { INSERT } } end,
  function() c:copy_out("copy (with x as (" .. INSERT .. " returning code) select * from x) to stdout") end,
  function() c:copy_out "copy (select set_config('transaction_read_only', 'off', false)) to stdout" c:exec(INSERT) end,
  function() c:copy_in("copy core.tenants (code, name) from stdin", "evil\tEvil\n") end,
  function()
    c:transaction(function(tx)
      pcall(tx.copy_out, tx, "copy (select set_config('transaction_read_only', 'off', false)) to stdout")
      tx:exec(INSERT)
    end)
  end,
  function() c:transaction(function(tx) pcall(tx.exec, tx, "set transaction read write") tx:exec(INSERT) end) end,
  function() c:transaction(function(tx) pcall(tx.exec, tx, "end") tx:exec(INSERT) end) end,
  function() c:script(INSERT) end,
  function() c:reset_session() c:exec(INSERT) end,
  function() c:try "commit" c:try(INSERT) end,
}
for i, attempt in ipairs(evil) do
  pcall(attempt)
  if w:value "select count(*) from core.tenants where code = 'evil'" ~= 0 then escaped("way " .. i) end
  if not c:is_open() then c = ctx.db:open("admin", { readonly = true }) end
end
c:close()
