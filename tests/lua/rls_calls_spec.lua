-- Functions that nobody could decide, called with canaries of two tenants: what is found, and that a call costs what it does itself and not
-- what the schema is large.
local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)") .. "support/"
package.path = SUPPORT .. "?.lua;" .. package.path

local db = require "engine.db"
local pg = require "pg"
local calls = require "rls.calls"
local canary = require "rls.canary"
local catalogue = require "rls.catalogue"
local probe_state = require "rls.probe_state"
local session = require "rls.session"

local SETTINGS = { tenant = { column = "tenant_id", setting = "app.t" }, schemas = { "gc" }, fixtures = {} }
local AXIS = { column = "tenant_id", setting = "app.t", value = "{id}", context = {} }
local A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"

describe("calls of undecided functions", function()
  local server, admin

  setup(function()
    server = pg.shared()
    admin = db.connect(server:options())
  end)
  before_each(function()
    admin:script [[drop schema if exists gc cascade; drop role if exists calls_app; create schema gc; create role calls_app login;
      grant usage on schema gc to calls_app]]
  end)
  teardown(function()
    admin:script "drop schema gc cascade; drop owned by calls_app; drop role calls_app"
    admin:close()
  end)

  --- A connection that counts what goes over it.
  local function counting(conn)
    local count = { n = 0 }
    local proxy = setmetatable({}, { __index = function(_, name)
      local method = conn[name]
      return type(method) == "function" and function(_, ...)
        count.n = count.n + 1
        return method(conn, ...)
      end or method
    end })
    return proxy, count
  end

  local function tables(n)
    local lines = {}
    for i = 1, n do
      lines[i] = ("create table gc.t%d (id int generated always as identity primary key, tenant_id uuid not null, body text not null)")
        :format(i)
    end
    admin:script(table.concat(lines, ";"))
  end

  --- Calls functions of one argument. {name = body in PL/pgSQL}
  local function run(bodies)
    local list = {}
    for name, body in pairs(bodies) do
      admin:script(("create function gc.%s(p text) returns setof text language plpgsql security definer as $f$ begin %s end $f$"):format(
        name, body))
      list[#list + 1] = { signature = ("gc.%s(text)"):format(name), kind = "f", language = "plpgsql", body = body,
        args = { { name = "p", type = "text" } } }
    end
    table.sort(list, function(x, y) return x.signature < y.signature end)
    local all, by_oid = catalogue.read(admin, SETTINGS, "calls_app")
    local conn, count = counting(admin)
    admin:transaction(function()
      local who = session.new(conn, AXIS, { role = "calls_app", superuser = true })
      local s = probe_state.new { conn = conn, axis = AXIS, session = who, maker = canary.maker(conn, by_oid, SETTINGS), a = { key = A },
        b = { key = B }, results = {}, nobodys = {}, settings = SETTINGS }
      calls.plant(s, all)
      count.n = 0
      calls.run(s, all, list)
    end, { rollback = true })
    local tried = {}
    for _, f in ipairs(list) do tried[f.signature] = f.tried end
    return tried, count.n
  end

  it("tell what they show and change of another tenant's rows, and what they leave alone", function()
    tables(3)
    admin:script [[create table gc.parts (id int, tenant_id uuid not null, body text) partition by range (id);
      create table gc.parts_1 partition of gc.parts for values from (minvalue) to (maxvalue)]]
    local tried = run {
      shows = "return query execute 'select body from gc.t2';",
      changes = "execute 'update gc.t3 set body = body || $1' using p;",
      in_partition = "execute 'delete from gc.parts_1';",
      takes_back = "begin execute 'delete from gc.t1'; raise exception 'x'; exception when others then null; end;",
      own = "return query execute 'select body from gc.t1 where tenant_id = current_setting(''app.t'')::uuid';",
      own_changed = "execute 'update gc.t1 set body = $1 where tenant_id::text = current_setting(''app.t'')' using p;",
      emptied = "execute 'truncate gc.t2';",
      dropped = "execute 'drop table gc.t3';",
    }
    local said = {}
    for name, t in pairs(tried) do said[name:match "gc%.([%w_]+)"] = t.leak or "none" end
    local changes, gives = "it changes another tenant's row", "what it gives depends on another tenant's row"
    assert.same({ shows = gives, changes = changes, in_partition = changes, takes_back = "none", own = "none", own_changed = "none",
      emptied = changes, dropped = changes }, said)
    assert.is_true(tried["gc.own(text)"].calls > 3)
    assert.truthy(tried["gc.changes(text)"].reproduce:find("IS DISTINCT FROM", 1, true))
  end)

  it("cost as many statements in a large schema as in a small one", function()
    local quiet = "return query execute 'select body from gc.t1 where tenant_id = current_setting(''app.t'')::uuid';"
    local function of_one_more(n)
      tables(n)
      local _, one = run { f1 = quiet }
      local _, two = run { f2 = quiet, f3 = quiet }
      admin:script "drop schema gc cascade; create schema gc; grant usage on schema gc to calls_app"
      return two - one
    end
    assert.equal(of_one_more(4), of_one_more(40))
  end)
end)
