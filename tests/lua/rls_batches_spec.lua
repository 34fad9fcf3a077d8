-- How many entries of the server's lock table a batch of tables takes: what the server says it took is never more than what was reckoned.
local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)") .. "support/"
package.path = SUPPORT .. "?.lua;" .. package.path

local db = require "engine.db"
local pg = require "pg"
local batches = require "rls.batches"
local catalogue = require "rls.catalogue"

local SETTINGS = { tenant = { column = "tenant_id", setting = "app.t" }, schemas = { "gb" } }

--- What the probe does to a table, and what its transaction has locked then.
local PROBED = [[insert into %s (tenant_id) values (1); select * from %s where tenant_id = 1; select * from %s for update;
  update %s set tenant_id = 2; delete from %s]]
local LOCKED = [[select count(distinct relation) from pg_locks where pid = pg_backend_pid() and locktype = 'relation'
  and relation::regclass::text like 'gb.%']]

describe("the locks of a table", function()
  local server, admin

  setup(function()
    server = pg.shared()
    admin = db.connect(server:options())
    admin:script [[drop schema if exists gb cascade; drop role if exists batches_app; create schema gb; create role batches_app;
      create table gb.parents (id serial primary key, tenant_id int, a int unique);
      create table gb.plain (tenant_id int);
      create table gb.indexed (id serial primary key, other bigserial, tenant_id int, parent int references gb.parents, a int,
        b int unique);
      create index on gb.indexed (a); create index on gb.indexed (lower(a::text)) where b is null; create index on gb.indexed (parent, a);
      create table gb.parts (tenant_id int, at int default 0) partition by list (at);
      create table gb.parts_0 partition of gb.parts for values in (0) partition by range (tenant_id);
      create table gb.parts_0_0 partition of gb.parts_0 default;
      create index on gb.parts (tenant_id); create index on gb.parts (at, tenant_id);
      create table gb.mother (tenant_id int, name text); create table gb.child (extra int) inherits (gb.mother);
      create index on gb.mother (name); create index on gb.child (name)]]
    for i = 1, 30 do admin:exec(("create table gb.parts_%d partition of gb.parts for values in (%d)"):format(i, i)) end
  end)
  teardown(function()
    admin:script "drop schema gb cascade; drop role batches_app"
    admin:close()
  end)

  it("are at least those that its probe takes, and not many times as many", function()
    local list = catalogue.read(admin, SETTINGS, "batches_app")
    local tried = 0
    for _, t in ipairs(list) do
      -- Partitions take no row of the statements' here.
      if t.is_partition then goto continue end
      -- What refers to a table is reckoned for itself.
      local is_parent = t.label == "gb.parents"
      local taken
      admin:transaction(function()
        admin:script((PROBED:gsub("%%s", t.sql)))
        taken = admin:value(LOCKED)
      end, { rollback = true })
      local reckoned = batches.locks_of(t)
      assert.is_true(is_parent or reckoned >= taken, ("%s: %d reckoned, %d taken"):format(t.label, reckoned, taken))
      tried = tried + 1
      assert.is_true(reckoned <= 2 * taken + 2, ("%s: %d reckoned, %d taken"):format(t.label, reckoned, taken))
      ::continue::
    end
    assert.equal(6, tried)
  end)
end)

describe("batches of tables", function()
  local function tables(n, indexes)
    local out = {}
    for i = 1, n do out[i] = { oid = tostring(i), heaps = 0, indexes = indexes, sequences = 0, foreign_keys = {} } end
    return out
  end

  --- A server whose lock table has so many entries for a quarter.
  local function conn(quarter) return { value = function() return quarter end } end

  local function sizes(list)
    local out = {}
    for i, batch in ipairs(list) do out[i] = #batch end
    return out
  end

  it("give each of two lanes as many tables, below what the lock table takes", function()
    -- 3 locks a table: 90 tables a batch would fit, which were 6 batches, the last of them with 50.
    local cut = batches.cut(conn(540), tables(500, 2), 500, 2)
    assert.same({ 84, 84, 84, 84, 84, 80 }, sizes(cut))
    assert.same({ 251, 250 }, sizes(batches.cut(conn(100000), tables(501, 2), 500, 2)))
    for _, batch in ipairs(cut) do assert.is_true(#batch * 3 <= 270) end
  end)

  it("are as large as may be on one lane", function()
    assert.same({ 180, 180, 140 }, sizes(batches.cut(conn(540), tables(500, 2), 500, 1)))
  end)
end)
