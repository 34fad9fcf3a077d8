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
    local everything, by_oid = catalogue.read(admin, SETTINGS, "calls_app")
    local all = {}
    for _, t in ipairs(everything) do all[#all + 1] = t.tenant and t or nil end
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

  --- Is it called, and if not, why not?
  local function refusals(bodies)
    local out = {}
    for name, t in pairs((run(bodies))) do out[name:match "gc%.([%w_]+)"] = t.refused or (t.calls > 0 and "called" or "silent") end
    return out
  end

  it("are not made where what they lead to is not undone with the transaction", function()
    tables(1)
    local FILE = os.tmpname()
    os.remove(FILE)
    admin:script(([[
      create function gc.inner_copy() returns int language plpgsql as $f$ begin copy (select 1) to '%s'; return 1; end $f$;
      create function gc.outer_copy() returns int language sql as 'select gc.inner_copy()';
      create function gc.on_queue() returns trigger language plpgsql as $f$ begin perform gc.inner_copy(); return new; end $f$;
      create table gc.queue (x text);
      create trigger q before insert on gc.queue for each row execute function gc.on_queue();
      create table gc.jobs (x text check (gc.inner_copy() is null));
      create view gc.shown as select pg_read_file('/etc/hostname') as h;
      create view gc.shown_again as select h from gc.shown;
      create table gc.noted (x text);
      create rule r as on insert to gc.noted do also notify heard;
      create function gc.told(int, int) returns int language sql as 'select gc.inner_copy()';
      create operator gc.@#@ (leftarg = int, rightarg = int, function = gc.told);
      create aggregate gc.summed(int) (sfunc = gc.told, stype = int, initcond = '0');
      create table gc.parent (id int primary key);
      create table gc.child (id int references gc.parent on delete cascade);
      create trigger q before delete on gc.child for each row execute function gc.on_queue();
      create function gc.harmless() returns int language sql as 'select count(*)::int from gc.t1']]):format(FILE))
    local rest = " return query select body from gc.t1;"
    admin:script([[create function gc.on_ddl() returns event_trigger language plpgsql as $f$ begin perform gc.inner_copy(); end $f$]])
    admin:script "create event trigger gc_on_ddl on ddl_command_end when tag in ('CREATE TABLE') execute function gc.on_ddl()"
    finally(function() admin:script "drop event trigger gc_on_ddl" end)
    local said = refusals {
      callee = "perform gc.outer_copy();" .. rest,
      joined = ("execute 'co' || 'py (select 1) to ''%s''';"):format(FILE) .. rest,
      made = "execute p;" .. rest,
      queued = "insert into gc.queue values ('x');" .. rest,
      checked = "insert into gc.jobs values ('x');" .. rest,
      noted = "insert into gc.noted values ('x');" .. rest,
      viewed = "perform h from gc.shown_again;" .. rest,
      operated = "perform 1 operator(gc.@#@) 1;" .. rest,
      aggregated = "perform gc.summed(1);" .. rest,
      cascaded = "delete from gc.parent;" .. rest,
      xml = "perform query_to_xml(p, true, true, '');" .. rest,
      defines = "create table gc.fresh (x int);" .. rest,
      block = "execute 'do ''begin perform 1; end''';" .. rest,
      quoted = [[execute u&'\0063opy (select 1) to stdout'; ]] .. rest,
      named = "execute format('select %I(1, 1)', 'told');" .. rest,
      chosen = "execute format('select %I(1, 1)', p);" .. rest,
      glued = "execute format('co%I (select 1) to stdout', 'py');" .. rest,
      spliced = "execute format('select %s', p);" .. rest,
      formatted = "execute format('select from gc.%I where body = %L', 't1', p);" .. rest,
      constant = "execute 'select ''it''''s'' where true' using p; perform gc.harmless(), nextval('gc.t1_id_seq');" .. rest,
    }
    local function leads(name, why) return ("it may lead to %s, %s"):format(name, why) end
    local copy, made = leads("gc.inner_copy", "whose text reaches beyond its transaction: it has the word copy"),
      "its text EXECUTEs what is made at run time"
    local function unknown(name) return leads("pg_catalog." .. name, "which is not known to stay within its transaction") end
    assert.same({ callee = copy, joined = made, made = made, queued = copy, checked = copy,
      noted = "it may lead to gc.noted, a rule of which notifies", viewed = unknown "pg_read_file", operated = copy, aggregated = copy,
      cascaded = copy, xml = unknown "query_to_xml", block = "its text has a DO block",
      quoted = "its text has names or strings in Unicode escapes", named = copy, defines = copy,
      chosen = made, glued = made, spliced = made,
      formatted = "called", constant = "called" }, said)
    assert.is_nil(io.open(FILE))
  end)

  it("are made of what nobody can tell where the configuration says so, and of nothing that says it reaches further", function()
    tables(1)
    SETTINGS.probe = { calls = "any" }
    finally(function() SETTINGS.probe = nil end)
    local said = refusals { made = "return query execute 'select body from gc.t' || '1';", copies = "copy gc.t1 to '/tmp/x';" }
    assert.same({ made = "called", copies = "its text reaches beyond its transaction: it has the word copy" }, said)
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
