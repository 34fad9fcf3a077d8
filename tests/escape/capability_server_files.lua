-- What: the application's role reads and writes files of the server
-- Gate: PASS
-- Audit: -
-- Needs: db = { "app" }
for _, sql in ipairs { "select pg_read_file('/etc/passwd')", "copy (select 1) to '/tmp/gate-engine-escape'", "copy (select 1) to program 'id'",
  "select lo_import('/etc/passwd')", "select pg_ls_dir('/')", "create extension dblink", "load '/tmp/x.so'" } do
  if pcall(ctx.db.app.script, ctx.db.app, sql) then escaped(sql) end
end
