--- Gate 1 on large schemas, beside what a person would write by hand: one DO block, and a pgTAP suite.
package.path = "tests/bench/?.lua;tests/lua/support/?.lua;" .. package.path
local db = require "engine.db"
local pg = require "pg"
local recorded = require "rls_recorded"
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

--- Runs the gate once, and writes what it sent while it probed as one DO block. Returns of how many statements.
local function record(bench, server, name, command)
  local admin, from = db.connect(server:options()), #server:log()
  admin:exec(("alter database %s set log_statement = 'all'"):format(name))
  assert(os.execute(("cd %s && env -u DATABASE_URL GATE_ENGINE_STATE=%s/state %s"):format(bench.scratch, bench.scratch, command)),
    "the gate did not run")
  admin:exec(("alter database %s reset log_statement"):format(name))
  admin:close()
  local statements = recorded.statements(server:log():sub(from + 1))
  assert(#statements > 0, "the gate sent nothing")
  bench.write(name .. ".list.sql", recorded.block(statements))
  return #statements
end

---@param bench {engine: string, scratch: string, write: function, read_json: function, section: function, wants: function}
function rls.run(bench)
  local server = pg.start { max_locks_per_transaction = "64", shared_buffers = "128MB" }
  for _, n in ipairs { 500, 2000 } do
    local name = "plain" .. n
    database(server, name, schema.plain(n))
    bench.write(name .. ".block.sql", schema.block(n))
    local run = gate(bench, server, name, AXES.plain)
    local commands = {
      { name = "one `DO` block, in subtransactions", command = psql(server, name, name .. ".block.sql") },
      { name = "one `DO` block of the gate's own statements", command = psql(server, name, name .. ".list.sql") },
      { name = "`run gates/rls_harness.lua`", command = run },
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
    local title = ("Gate 1: %d tenants' tables, half of them defective"):format(n)
    local count = bench.wants(title) and record(bench, server, name, run) or 0
    local ran = bench.section(title,
      "Each table × select, insert, update, delete as tenant A on rows of B, canaries included. The peer is the server's own limit: "
      .. ("the plain statements in one block. The second block runs the %d statements that the gate itself sent while it probed, "):format(
        count) .. "canaries included, each in a subtransaction, as the server's log has them.", commands, 3)
    if ran then
      print(("\nThe gate: %s; × %.2f of the block of its own statements."):format(peak(bench, name), ran[3].mean / ran[2].mean))
    end
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
