-- Gate 1 on so many tables that two batches of them are probed side by side.
package.path = "tests/lua/support/?.lua;tests/e2e/?.lua;" .. package.path
local db = require "engine.db"
local json = require "engine.json"
local pg = require "pg"
local support = require "support"

local MANY = 101

local TABLE = [[
  create table NAME (id bigint generated always as identity primary key, tenant_id uuid not null, name text not null);
  alter table NAME enable row level security; alter table NAME force row level security;
  create policy own on NAME using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
  grant select, insert, update, delete on NAME to shop;]]

--- Every canary wants the same row until its transaction ends, and does not wait for it.
local TOTALS = [[
  create schema stats; create table stats.totals (n bigint); insert into stats.totals values (0);
  create function stats.add() returns trigger language plpgsql security definer set search_path = pg_catalog as
    $$ begin perform from stats.totals for update nowait; return null; end $$;]]

describe("gate 1 on many tables", function()
  local server
  setup(function()
    server = pg.start()
    local conn = db.connect(server:options())
    conn:script "create role shop login; create role keeper login bypassrls connection limit 5; grant shop to keeper"
    conn:close()
  end)
  teardown(function() server:stop() end)

  --- Makes a database with many tables, the seventh of which is open to all, and runs the gate.
  local function run(name, first, each, many, admin)
    local conn = db.connect(server:options())
    conn:exec("create database " .. name)
    conn:close()
    conn = db.connect(server:options { dbname = name })
    conn:script(first or "select 1")
    for i = 1, many or MANY do conn:script(((TABLE .. (each or "")):gsub("NAME", "t" .. i))) end
    conn:script "create policy everybody on t7 for select using (true)"
    local dir = support.tmpdir()
    local config = support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
      admin = { url = "postgresql://%s@/%s?host=%s&port=%d" }, app = { role = "shop" },
      tenant = { column = "tenant_id", setting = "app.tenant_id" } } }]]):format(admin or "postgres", name, server.host, server.port))
    local r = support.run { argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--config", config,
      "--only", "coverage,isolation", "--report", "json=" .. dir .. "/r.json" } }
    r.gate = json.decode(support.must_read(dir .. "/r.json")).gates[1]
    local counts = {}
    for i = 1, many or MANY do counts[i] = "select id from t" .. i end
    r.rows = conn:value("select count(*) from (" .. table.concat(counts, " union all ") .. ") x")
    conn:close()
    return r
  end

  local function log()
    return support.must_read(server.data .. "/server.log")
  end

  --- Each table was probed, and only what is wrong with t7 was found.
  local function assert_t7(r)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    local probed = 0
    for _, c in ipairs(r.gate.checks) do
      if c.name:find "^isolation of " then
        probed = probed + 1
        assert.equal(c.name == "isolation of public.t7" and "FAIL" or "PASS", c.status, c.name)
      else
        assert.equal("PASS", c.status, c.name)
      end
    end
    assert.equal(MANY, probed)
    assert.equal(0, r.rows)
  end

  --- A policy on a list-valued setting, which any session may set, and on words that open nothing.
  local WORDS = [[create policy words on NAME for select
    using (tenant_id = any (string_to_array(nullif(current_setting('app.list', true), ''), ',')::uuid[])
      and coalesce(current_setting('app.mode', true), '') not in ('one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'));]]

  it("takes the same statements in each run", function()
    local first = run("words1", nil, WORDS, 7)
    assert.is_true(first.gate.facts.probes > 0)
    for i = 2, 4 do assert.equal(first.gate.facts.probes, run("words" .. i, nil, WORDS, 7).gate.facts.probes) end
  end)

  it("asks little of each table, and that of many in one round trip", function()
    local conn = db.connect(server:options())
    conn:exec "alter role postgres set log_statement = 'all'"
    local from = #log()
    local r = run "little"
    conn:exec "alter role postgres reset log_statement"
    conn:close()
    assert_t7(r)
    local said = log():sub(from)
    local _, blocks = said:gsub("do language plpgsql %$gate", "")
    -- Without a tenant, with an empty one; a SELECT, an UPDATE and a DELETE without WHERE, a row moved, one inserted and one for B.
    assert.is_true(r.gate.facts.probes <= 8 * MANY + 9, r.gate.facts.probes .. " statements")
    assert.is_true(blocks > 0 and blocks <= 2 * 8, blocks .. " blocks")
    -- A check begins and ends; what --only selects is told once.
    local events = r.gate.limits.events.current
    assert.is_true(events <= 2 * #r.gate.checks + 20, events .. " events")
    -- The planner takes several times as long for a UNION ALL of many tables as for each of them.
    assert.is_nil(said:find " union all select %d+ as i, count")
  end)

  it("reads the catalogue on two connections, and what goes around the policies while it probes", function()
    local conn = db.connect(server:options())
    conn:exec "alter role postgres set log_statement = 'all'"
    local from = #log()
    -- Of 202 indexes there is something to say of one.
    local r = run("meanwhile", "create table shelf (tenant_id uuid, name text unique); grant select, insert on shelf to shop")
    conn:exec "alter role postgres reset log_statement"
    conn:close()
    local said = log():sub(from)
    assert.is_nil(said:find("i.indexprs is not null as expression,%s+pg_get_indexdef"))
    local shown
    for _, c in ipairs(r.gate.checks) do
      if c.class == "unique_oracle" then shown = c.reproduce end
    end
    assert.equal([[select pg_get_indexdef('"public"."shelf_name_key"'::regclass);]], shown)
    local tables, columns = said:match "%[(%d+)%] LOG:  execute[^\n]*\n?%s*select c.oid::text as oid, n.nspname as schema",
      said:match "%[(%d+)%] LOG:  execute[^\n]*\n?%s*with recursive step%("
    assert.is_truthy(tables and columns)
    assert.not_equal(tables, columns)
    local roles, blocks = said:find("r.rolreplication as replication", 1, true), 0
    for at in said:gmatch "()do language plpgsql" do blocks = at end
    assert.is_true(roles < blocks, "the roles were read when all was probed")
  end)

  it("probes two batches side by side", function()
    assert_t7(run "apart")
    assert.is_nil(log():find("could not obtain lock", 1, true))
  end)

  it("does without a second connection that is refused", function()
    assert_t7(run("few", nil, "alter table NAME owner to keeper;", nil, "keeper"))
    assert.is_truthy(log():find('too many connections for role "keeper"', 1, true), "no connection was refused")
  end)

  it("asks again, alone, where two batches want the same row", function()
    assert_t7(run("met", TOTALS, "create trigger add after insert on NAME for each row execute function stats.add();"))
    assert.is_truthy(log():find("could not obtain lock", 1, true), "the batches did not meet")
  end)
end)
