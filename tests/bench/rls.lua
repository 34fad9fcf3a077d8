--- Gate 1 on large schemas, beside what a person would write by hand: one DO block, and a pgTAP suite.
package.path = "tests/bench/?.lua;tests/lua/support/?.lua;" .. package.path
local db = require "engine.db"
local pg = require "pg"
local schema = require "rls_schema"

local rls = {}

local AXES = { plain = '{ column = "tenant_id", setting = "app.tenant_id" }',
  team = '{ { column = "org_id", setting = "app.org_id", context = { ["app.org_ids"] = "{id}" } }, '
    .. '{ column = "partner_id", setting = "app.partner_id" } }' }

--- Gate 1's part that needs no recording. It finds leaks, so that it ends with 1; anything else is a broken measurement.
local function gate(bench, server, name, axes)
  local url = function(user) return ("postgresql://%s@/%s?host=%s&port=%d"):format(user, name, server.host, server.port) end
  local config = "return { platform = 'external', database = { admin = { url = %q }, app = { url = %q }, tenant = %s } }"
  bench.write(name .. ".conf.lua", config:format(url "postgres", url "app_user", axes))
  return ("sh -c '%s run gates/rls_harness.lua --tenant acme --only coverage,isolation --config %s.conf.lua --report json=%s.json "
    .. ">%s.out 2>&1; [ $? = 1 ]'"):format(bench.engine, name, name, name)
end

local function database(server, name, sql)
  local admin = db.connect(server:options())
  admin:exec("create database " .. name)
  admin:exec "drop role if exists app_user"
  admin:close()
  local conn = db.connect(server:options { dbname = name })
  for _, one in ipairs(sql) do conn:script(one) end
  conn:close()
end

local function psql(server, name, file)
  return ("psql -X -q -h %s -U postgres -d %s -f %s -o /dev/null"):format(server.host, name, file)
end

local function drop(server, name)
  local admin = db.connect(server:options())
  admin:exec(("drop database %s"):format(name))
  admin:exec "drop role if exists app_user"
  admin:close()
end

--- What the gate needed at most, of its report.
local function peak(bench, name)
  local gates = bench.read_json(name .. ".json").gates
  return ("%.0f MB of memory at most, %d findings"):format((gates[1].limits.memory_bytes or {}).peak / 1e6, #gates[1].checks)
end

---@param bench {engine: string, write: function, read_json: function, section: function}
function rls.run(bench)
  local server = pg.start { max_locks_per_transaction = "64", shared_buffers = "128MB" }
  for _, n in ipairs { 500, 2000 } do
    local name = "plain" .. n
    database(server, name, schema.plain(n))
    bench.write(name .. ".block.sql", schema.block(n))
    local commands = {
      { name = "one `DO` block, in subtransactions", command = psql(server, name, name .. ".block.sql") },
      { name = "`run gates/rls_harness.lua`", command = gate(bench, server, name, AXES.plain) },
    }
    if n == 500 then
      local conn = db.connect(server:options { dbname = name })
      conn:script "create schema tap; create extension pgtap schema tap"
      conn:exec(("alter database %s set search_path = public, tap"):format(name))
      conn:exec "grant usage on schema tap to app_user"
      conn:close()
      bench.write(name .. ".tap.sql", schema.pgtap(n))
      commands[#commands + 1] = { name = "pgTAP, 2,000 assertions", command = psql(server, name, name .. ".tap.sql") }
    else
      -- one transaction takes a lock for each table and each index
      server:stop { keep = true }
      os.execute(("echo \"max_locks_per_transaction = '512'\" >>%s/postgresql.auto.conf"):format(server.data))
      server:launch()
    end
    local ran = bench.section(("Gate 1: %d tenants' tables, half of them defective"):format(n),
      "Each table × select, insert, update, delete as tenant A on rows of B, canaries included. The peer is the server's own limit: "
      .. "the plain statements in one block.", commands, 3)
    if ran then print("\nThe gate: " .. peak(bench, name) .. ".") end
    drop(server, name)
  end
  local sql, policies = schema.team()
  database(server, "team", sql)
  local ran = bench.section(("Gate 1: a team's schema, 400 tables and %d policies"):format(policies),
    "Policies on helper functions, a setting with a list, two axes. The peer reads the policies as text.", {
    { name = "`select pg_get_expr(polqual, …) from pg_policy`", command = ("psql -X -q -h %s -U postgres -d team -o /dev/null -c "
      .. "'select pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) from pg_policy'"):format(server.host) },
    { name = "`run gates/rls_harness.lua`", command = gate(bench, server, "team", AXES.team) },
  }, 3)
  if ran then print("\nThe gate: " .. peak(bench, "team") .. ".") end
  server:stop()
end

return rls
