-- What: two dozen ways to keep what was done through the admin's connection, which is rolled back
-- Gate: PASS
-- Audit: -
-- Needs: db = { "admin", "app" }
local INSERT = "insert into core.tenants (code, name) values ('evil', 'Evil')"
local c = ctx.db.admin
local function after(...)
  local list = { ... }
  return function() for _, sql in ipairs(list) do pcall(c.exec, c, sql) end c:exec(INSERT) end
end
local function inside(...)
  local list = { ... }
  return function()
    c:transaction(function(tx)
      tx:exec(INSERT)
      for _, sql in ipairs(list) do pcall(tx.exec, tx, sql) end
    end, { rollback = false })
  end
end
local function script(text)
  return function() c:transaction(function(tx) tx:script(text) end) end
end
local evil = {
  after(), after "begin", after "start transaction read write", after "set transaction read write", after "commit and chain",
  after "set session characteristics as transaction read write", after "set default_transaction_read_only = off",
  after("prepare p as " .. INSERT, "execute p"), after("do $$ begin " .. INSERT .. "; commit; end $$"), after "; ; commit",
  after("create procedure pg_temp.q() language plpgsql as $x$ begin " .. INSERT .. "; commit; end $x$", "call pg_temp.q()"),
  inside(), inside "commit", inside "/* x */ end", inside "prepare transaction 'evil'", inside("; -- x\n;commit and chain"),
  inside("do $$ begin commit; end $$"), inside "release savepoint gate_1", inside("savepoint gate_2", "release savepoint gate_2"),
  script(INSERT .. "; commit"), script("select 1;" .. INSERT .. ";/* ; */ COMMIT AND CHAIN"), script("select ';'; end"),
  function() c:script("begin; " .. INSERT .. "; commit") end,
  function() c:pipeline { { INSERT }, { "commit" } } end,
  function() c:pipeline({ { "set work_mem = '1MB'" }, { INSERT } }, { atomic = true }) end,
  function() c:transaction(function(tx) tx:pipeline({ { INSERT }, { "; end" } }, { atomic = true }) end) end,
  function() c:copy_in("copy core.tenants (code, name) from stdin", "evil\tEvil\n") end,
  function() c:transaction(function(tx) tx:copy_in("copy core.tenants (code, name) from stdin", "evil\tEvil\n") end) end,
  function() c:copy_out("copy (with x as (" .. INSERT .. " returning code) select * from x) to stdout") end,
  function() c:reset_session() c:exec(INSERT) end,
  function()
    local own <close> = ctx.db:open("admin", { readonly = false })
    own:transaction(function(tx) tx:exec(INSERT) end)
  end,
  function() c:exec "select lo_create(4711)" end,
  function() c:transaction(function(tx) tx:exec "select lo_create(4711)" end) end,
  function() c:copy_out "copy (select lo_create(4711)) to stdout" end,
}
for i, attempt in ipairs(evil) do
  pcall(attempt)
  if not c:is_open() then c = ctx.db:open("admin") end
  if c:value "select count(*) from core.tenants where code = 'evil'" ~= 0
    or c:value "select count(*) from pg_largeobject_metadata where oid = 4711" ~= 0
    or c:value "select count(*) from pg_prepared_xacts" ~= 0 then
    escaped("way " .. i)
  end
end
