-- What gate 1 decides from the catalogue of a real server: the matrix of roles, tables and commands, functions and views with an owner's
-- rights, trust, and texts to reproduce that show what they say.
local db = require "engine.db"
local pg = require "pg"
local catalogue = require "rls.catalogue"
local decide = require "rls.decide"
local owners = require "rls.owners"
local definers = require "rls.rules.definers"
local matrix = require "rls.matrix"
local functions = require "rls.rules.functions"
local policies = require "rls.rules.policies"
local releases = require "rls.releases"
local trusted = require "rls.trust"
local views = require "rls.rules.views"

local OWN = "tenant_id::text = current_setting('app.t', true)"
local SETTINGS = { tenant = { column = "tenant_id", setting = "app.t" } }

local SCHEMA = [[
  drop schema if exists gt cascade; drop role if exists dec_app, dec_support;
  create schema gt;
  create role dec_support; create role dec_app login noinherit in role dec_support;
  grant usage on schema gt to dec_app, dec_support;
  create type gt.kind as enum ('a', 'b');
]]

describe("what gate 1 decides", function()
  local server, admin

  setup(function()
    server = pg.shared()
    admin = db.connect(server:options())
  end)
  before_each(function() admin:script(SCHEMA) end)
  teardown(function()
    admin:script "drop schema gt cascade; drop owned by dec_app, dec_support; drop role dec_app, dec_support"
    admin:close()
  end)

  --- A table with policies: {name, "for … using …"}.
  local function tbl(name, ...)
    local lines = { ("create table gt.%s (id int primary key, tenant_id uuid not null, body text not null default 'x', k gt.kind);")
      :format(name), ("alter table gt.%s enable row level security; alter table gt.%s force row level security;"):format(name, name),
      ("grant select, insert, update, delete on gt.%s to dec_app;"):format(name) }
    for i, policy in ipairs { ... } do lines[#lines + 1] = ("create policy p%d on gt.%s %s;"):format(i, name, policy) end
    admin:script(table.concat(lines, "\n"))
  end

  local function look(trust, settings)
    settings = settings or SETTINGS
    local tables, by_oid = catalogue.read(admin, { tenant = settings.tenant, schemas = { "gt" } }, "dec_app")
    local base, list = {}, {}
    for _, t in ipairs(tables) do
      if t.scope == "tenant" or t.scope == "child" then table.insert(t.kind == "v" and list or base, t) end
    end
    local seen = { settings = settings, app = { role = "dec_app", login = "dec_app" }, by_oid = by_oid, trust = trust }
    seen.owners = owners.new(admin, seen, base)
    seen.decisions, seen.model = decide.run(admin, seen, base, "2026-01-01")
    return seen, base, list
  end

  local function found(seen, object)
    local out = {}
    for _, f in ipairs(policies.findings(seen.decisions, seen)) do
      if f.object == object then out[f.class] = f end
    end
    return out
  end

  --- How many rows does the text reach, run statement by statement as psql does?
  local function shows(text)
    local conn, reached = db.connect(server:options()), nil
    for statement in (text:gsub("%-%-[^\n]*", "") .. "\n"):gmatch "(.-);%s*\n" do
      local ok, affected = conn:try(statement)
      assert.is_true(ok, not ok and (statement .. ": " .. tostring(affected.message)) or nil)
      if statement:find "^%s*SELECT %*" then reached = affected end
    end
    conn:close()
    return reached
  end

  it("keeps once what tables that are alike have in common", function()
    local policy = ("using (%s)"):format(OWN)
    tbl("alike1", policy)
    tbl("alike2", policy)
    tbl("alike3", policy)
    admin:script "alter table gt.alike3 alter body drop not null"
    local seen, base = look()
    local t, verdicts = {}, {}
    for _, one in ipairs(base) do t[one.name] = one end
    for _, d in ipairs(seen.decisions) do
      if not d.role.via then verdicts[d.table.name] = d.verdicts end
    end
    assert.equal(t.alike1.by_column.body, t.alike2.by_column.body)
    assert.not_equal(t.alike1.by_column.body, t.alike3.by_column.body)
    assert.equal(t.alike1.by_column.tenant_id, t.alike3.by_column.tenant_id)
    for _, command in ipairs(decide.COMMANDS) do
      assert.equal("proven", verdicts.alike1[command].status)
      assert.is_true(rawequal(verdicts.alike1[command], verdicts.alike2[command]), command)
      assert.is_false(rawequal(verdicts.alike1[command], verdicts.alike3[command]), command)
    end
    admin:script "drop table gt.alike1, gt.alike2, gt.alike3"
  end)

  it("is proven, refuted or denied for each role, table and command", function()
    tbl("closed", "using (" .. OWN .. ")")
    tbl("open", "for select using (" .. OWN .. ")", "for delete using (true)")
    admin:script "revoke insert on gt.closed from dec_app; grant select on gt.open to dec_support"
    admin:script "create policy s on gt.open to dec_support using (true)"
    local rows = matrix.rows((look()).decisions)
    local by = {}
    for _, row in ipairs(rows) do by[row.role .. " " .. row.table] = row end
    assert.equal("proven: policies", by["dec_app gt.closed"].select)
    assert.equal("denied: no grant", by["dec_app gt.closed"].insert)
    assert.equal("proven: no policy lets it", by["dec_app gt.open"].insert)
    assert.equal("counterexample: policy_always_true", by["dec_app gt.open"].delete)
    assert.truthy(by["dec_support gt.open"].select:find("^counterexample: "))
    assert.equal("denied: no grant", by["dec_support gt.closed"].select)
  end)

  it("proves what compares a tenant column of any type whose equality is that of its values", function()
    admin:script [[create extension if not exists citext with schema gt; create extension if not exists ltree with schema gt;
      create domain gt.code as gt.citext check (length(value::text) > 0); set search_path = gt]]
    local types = { "bytea", "inet", "numeric(12,2)", "date", "character(9)", "gt.ltree", "gt.citext", "gt.code", "double precision" }
    for i, name in ipairs(types) do
      admin:script((([[create table gt.t{i} (id int, tenant_id {t} not null); alter table gt.t{i} enable row level security;
        grant select, insert on gt.t{i} to dec_app; create policy p on gt.t{i} using (tenant_id = current_setting('app.t', true)::{cast});
        create table gt.cut{i} (id int, tenant_id {t} not null); alter table gt.cut{i} enable row level security;
        grant select on gt.cut{i} to dec_app; create policy p on gt.cut{i} using (tenant_id::text = current_setting('app.t', true))]])
        :gsub("{(%a+)}", { i = i, t = name, cast = name:gsub("%b()", ""):gsub("character", "bpchar") })))
    end
    admin:script "reset search_path"
    for _, d in ipairs((look()).decisions) do
      local i = tonumber(d.table.name:match "%d+")
      if d.role.name == "dec_app" then
        assert.equal(d.table.name:find "^t" and "proven" or "unknown", d.verdicts.SELECT.status, d.table.name .. " " .. types[i])
      end
    end
  end)

  it("names the column that says whose a row is which a trigger keeps as a JSON document", function()
    tbl("items", "using (" .. OWN .. ")")
    admin:script [[create table gt.log (id int, data jsonb); grant select on gt.log to dec_app;
      create function gt.keep() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
      begin insert into gt.log (data) values (to_jsonb(new)); return null; end $$;
      create trigger keep after insert on gt.items for each row execute function gt.keep()]]
    local seen, base = look()
    local all = {}
    for _, t in pairs(seen.by_oid) do all[#all + 1] = t end
    local list = functions.findings(admin, seen.app, base, all, seen.by_oid, function() return false end, seen.model.all_functions)
    assert.equal("trigger_copies", list[1].class)
    admin:script "insert into gt.items values (1, '11111111-1111-4111-8111-111111111111')"
    admin:script(list[1].fix:match "ALTER TABLE .-; UPDATE .-;")
    assert.equal("11111111-1111-4111-8111-111111111111", admin:value "select tenant_id::text from gt.log")
  end)

  it("prefers what the probe went through to what was proven", function()
    tbl("closed", "using (" .. OWN .. ")")
    local seen = look()
    local oid = seen.decisions[1].table.oid
    local rows = matrix.rows(seen.decisions, { [oid] = { leaks = { { op = "select" } }, errors = {}, proven = {}, controls = 1 } })
    assert.equal("counterexample: found by the probe", rows[1].select)
    assert.equal("proven: policies", rows[1].update)
  end)

  it("gives each reason once, with SQL that shows it on an empty table", function()
    tbl("open", "for select using (" .. OWN .. " or current_setting('app.admin', true) = 'on')", "for update using (true)")
    local by = found(look(), "gt.open")
    assert.same({ "SELECT" }, by.policy_escape_setting.commands)
    assert.equal(1, shows(by.policy_escape_setting.reproduce))
  end)

  it("takes nobody's rows that can only be read for shared", function()
    tbl("std", "for select using (tenant_id is null or " .. OWN .. ")")
    admin:script "alter table gt.std alter tenant_id drop not null"
    assert.is_true(found(look(), "gt.std").policy_null_tenant.advisory)
    admin:script("create policy w on gt.std for delete using (tenant_id is null or " .. OWN .. ")")
    assert.is_nil(found(look(), "gt.std").policy_null_tenant.advisory)
  end)

  it("knows by the rows whether the id that stands for none is a tenant's", function()
    local none = "00000000-0000-0000-0000-000000000000"
    tbl("items", ("using (tenant_id = coalesce(nullif(current_setting('app.t', true), ''), '%s')::uuid)"):format(none))
    assert.equal("proven", look().decisions[1].verdicts.SELECT.status)
    admin:exec(("insert into gt.items values (1, '%s')"):format(none))
    assert.equal("policy_default_tenant", look().decisions[1].verdicts.SELECT.class)
  end)

  it("tries tables that a function names without a schema as the caller's own", function()
    tbl("members", "using (" .. OWN .. ")")
    tbl("files")
    admin:script [[create function gt.mine() returns setof uuid language sql stable set search_path = gt as
      $$ select m.tenant_id from members m $$; create policy p1 on gt.files using (tenant_id in (select gt.mine()))]]
    local f = found(look(), "gt.files").function_search_path
    assert.truthy(f.detail:find("temporary table members", 1, true), f.detail)
    admin:script "alter function gt.mine() set search_path = gt, pg_temp"
    assert.is_nil(next(found(look(), "gt.files")))
  end)

  it("covers by trust, and fails an entry that nothing rests on or that is over", function()
    tbl("open", "using (" .. OWN .. " or current_setting('app.admin', true) = 'on')")
    local trust = { { setting = "app.admin", reason = "workers", expires = "2027-01-01" }, { setting = "app.x", reason = "?",
      expires = "2027-01-01" }, { setting = "app.y", reason = "?", expires = "2020-01-01" } }
    local seen = look(trust)
    assert.equal("trusted: workers", matrix.rows(seen.decisions)[1].select)
    local stale, entries = decide.trust(seen.decisions, trust, "2026-01-01")
    assert.same({ "trust_unused", "trust_expired" }, { stale[1].class, stale[2].class })
    assert.same({ 1, 0, 0 }, { entries[1].tables, entries[2].tables, entries[3].tables })
  end)

  it("covers by trust what functions and views with their owner's rights show, and counts the entry as used", function()
    tbl("items", "using (" .. OWN .. ")")
    local trusts = OWN .. " or current_setting('app.admin', true) = 'on'"
    admin:script(([[
      create function gt.rows() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
        as $$ select body from gt.items where %s $$;
      create function gt.mixed(p int) returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
        as $$ select body from gt.items where %s or id = p $$;
      create view gt.shown with (security_barrier) as select id, body from gt.items where %s;
      grant select on gt.shown to dec_app]]):format(trusts, trusts, trusts))
    local trust = { { setting = "app.admin", reason = "workers" } }
    local function classes(seen, base, list)
      local by = {}
      for _, f in ipairs(views.findings(admin, seen, list, base)) do by[f.object] = f.class end
      for _, f in ipairs((definers.findings(seen, base))) do by[f.object] = f.class .. (f.advisory and ", advisory" or "") end
      return by
    end
    local seen, base, list = look(trust)
    assert.same({ ["gt.rows()"] = "policy_trusted, advisory", ["gt.mixed(integer)"] = "function_definer", ["gt.shown"] = "policy_trusted" },
      classes(seen, base, list))
    local stale, entries = decide.trust(seen.decisions, trust, "2026-01-01", seen.covers)
    assert.same({ 0, 3 }, { #stale, entries[1].tables })
    assert.same({ ["gt.rows()"] = "function_definer", ["gt.mixed(integer)"] = "function_definer", ["gt.shown"] = "view_owner_rights" },
      classes(look()))
    assert.equal("trust_unused", decide.trust(seen.decisions, trust, "2026-01-01")[1].class)
  end)

  describe("with trust in a function", function()
    local ENTRY = "{ routine = .-, definition = \"(%x+)\", reason = .-, approver = .-, expires = \"2026%-04%-01\" }"

    --- What is said of the functions: classes by object, and the findings themselves.
    local function judged(entries)
      local seen, base = look(entries)
      seen.today = "2026-01-01"
      local said, undecided = definers.findings(seen, base)
      undecided = trusted.cover(seen, said, undecided, "Fix it")
      local by, all = {}, {}
      for _, f in ipairs(said) do by[f.object], all[f.object] = f.class .. (f.advisory and ", advisory" or ""), f end
      for _, f in ipairs(undecided) do by[f.object], all[f.object] = "undecided", f end
      local stale = {}
      for _, f in ipairs((decide.trust(seen.decisions, entries, seen.today, seen.covers, seen.changed))) do
        stale[#stale + 1] = f.class .. " " .. f.object
      end
      return by, all, stale
    end

    before_each(function()
      tbl("items", "using (" .. OWN .. ")")
      admin:script [[
        create function gt.part() returns text language sql stable as $$ select 'a' $$;
        create function gt.report(since int, until int) returns setof text language sql stable security definer
          set search_path = pg_catalog, pg_temp as $$ select gt.part() || body from gt.items where id > since $$;
        create function gt.odd(t text) returns setof text language plpgsql stable security definer set search_path = pg_catalog, pg_temp
          as $$ begin return query execute 'select body from gt.items where body = $1' using t; end $$]]
    end)

    it("covers a leak and an undecided text by the entry that their fix has, each counted as used", function()
      local by, all = judged {}
      assert.same({ ["gt.report(integer, integer)"] = "function_definer", ["gt.odd(text)"] = "undecided" }, by)
      local leak = all["gt.report(integer, integer)"].fix
      assert.truthy(leak:find("^Fix it; .*trust = { " .. ENTRY), leak)
      local function entry(name, text) return { routine = name, definition = text:match(ENTRY), reason = "ops", expires = "2026-04-01" } end
      local entries = { entry("gt.report(integer,integer)", leak), entry("gt.odd(text)", all["gt.odd(text)"].proposed) }
      local covered, shown, stale = judged(entries)
      assert.same({ ["gt.report(integer, integer)"] = "policy_trusted, advisory", ["gt.odd(text)"] = "policy_trusted, advisory" }, covered)
      assert.same({}, stale)
      assert.truthy(shown["gt.odd(text)"].detail:find("trusted: ops", 1, true), shown["gt.odd(text)"].detail)
    end)

    it("does not cover another text, of it or of what it calls, nor another owner", function()
      local _, all = judged {}
      local was = all["gt.report(integer, integer)"].fix:match(ENTRY)
      local entries = { { routine = "gt.report(integer, integer)", definition = was, reason = "ops", expires = "2026-04-01" } }
      assert.equal("policy_trusted, advisory", judged(entries)["gt.report(integer, integer)"])
      for _, change in ipairs {
        "create or replace function gt.part() returns text language sql stable as $$ select 'b' $$",
        "alter function gt.report(int, int) owner to dec_support; alter table gt.items no force row level security;"
          .. "alter table gt.items owner to dec_support; revoke dec_support from dec_app",
        "alter function gt.report(int, int) set work_mem = '64kB'",
      } do
        admin:script(change)
        local by, now, stale = judged(entries)
        assert.equal("function_definer", by["gt.report(integer, integer)"], change)
        assert.same({ "trust_changed gt.report(integer, integer)" }, stale)
        assert.truthy(now["gt.report(integer, integer)"].detail:find("what was trusted is another text", 1, true))
        local again = now["gt.report(integer, integer)"].fix:match(ENTRY)
        assert.not_equal(entries[1].definition, again)
        entries[1].definition = again
        assert.equal("policy_trusted, advisory", judged(entries)["gt.report(integer, integer)"])
      end
    end)

    it("does not cover names that the caller may put others in place of, and fails an entry that is over or of nothing", function()
      admin:script "alter function gt.report(int, int) set search_path = gt"
      local _, all = judged {}
      local definition = all["gt.report(integer, integer)"].fix:match(ENTRY)
      local entries = { { routine = "gt.report(integer, integer)", definition = definition, reason = "ops", expires = "2026-04-01" } }
      local by, now, stale = judged(entries)
      assert.equal("function_definer", by["gt.report(integer, integer)"])
      assert.truthy(now["gt.report(integer, integer)"].detail:find("SET search_path = …, pg_temp", 1, true))
      assert.same({}, stale)
      admin:script "alter function gt.report(int, int) set search_path = pg_catalog, pg_temp"
      _, all = judged {}
      entries[1].definition, entries[1].expires = all["gt.report(integer, integer)"].fix:match(ENTRY), "2025-12-31"
      entries[2] = { routine = "gt.none()", definition = definition, reason = "ops", expires = "2026-04-01" }
      by, _, stale = judged(entries)
      assert.equal("function_definer", by["gt.report(integer, integer)"])
      assert.same({ "trust_expired gt.report(integer, integer)", "trust_unused gt.none()" }, stale)
    end)
  end)

  it("reads what functions with their owner's rights reach", function()
    tbl("items", "using (" .. OWN .. ")")
    admin:script(([[
      create function gt.open_by(p int) returns setof text language sql security definer set search_path = pg_catalog, pg_temp
        as $$ select body from gt.items where id = p $$;
      create function gt.own() returns setof text language plpgsql security definer set search_path = pg_catalog, pg_temp
        as $$ begin return query select body from gt.items where %s; end $$;
      create function gt.guarded(t uuid) returns setof text language plpgsql security definer set search_path = pg_catalog, pg_temp
        as $$ begin if t::text is distinct from current_setting('app.t', true) then raise exception 'no'; end if;
          return query select body from gt.items where tenant_id = t; end $$;
      create function gt.dynamic(f text) returns setof text language plpgsql security definer set search_path = pg_catalog, pg_temp
        as $$ begin return query execute 'select body from gt.items where %s and ' || f; end $$;
      create function gt.exists_at(p int) returns boolean language sql security definer set search_path = pg_catalog, pg_temp
        as $$ select exists (select from gt.items where id = p) $$;
      create function gt.writes(p int) returns void language sql security definer set search_path = pg_catalog, pg_temp
        as $$ update gt.items set body = 'y' where id = p $$;
      create function gt.puzzle(k gt.kind) returns setof text language plpgsql security definer set search_path = pg_catalog, pg_temp
        as $$ declare r record; begin for r in select * from gt.items loop return next r.body; end loop; end $$;]])
      :format(OWN, (OWN:gsub("'", "''"))))
    local seen, base = look()
    local list, undecided = definers.findings(seen, base)
    local by, open = {}, {}
    for _, f in ipairs(list) do by[f.object] = f end
    for _, u in ipairs(undecided) do open[u.object] = u.reason end
    assert.truthy(by["gt.open_by(integer)"].detail:find("argument p", 1, true))
    assert.equal(1, shows(by["gt.open_by(integer)"].reproduce))
    assert.is_nil(by["gt.own()"] or open["gt.own()"])
    assert.is_nil(by["gt.guarded(uuid)"] or open["gt.guarded(uuid)"])
    assert.truthy(by["gt.dynamic(text)"].detail:find("puts an argument", 1, true))
    assert.is_true(by["gt.exists_at(integer)"].advisory)
    assert.is_nil(by["gt.writes(integer)"].advisory)
    assert.truthy(by["gt.puzzle(gt.kind)"] or open["gt.puzzle(gt.kind)"])
  end)

  it("reads WITH, INSERT of several rows and INSERT … SELECT in functions with their owner's rights", function()
    tbl("items", "using (" .. OWN .. ")")
    local function fn(name, args, body)
      return ("create function gt.%s(%s) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$ %s $$;")
        :format(name, args, body)
    end
    local me = "nullif(current_setting('app.t', true), '')::uuid"
    admin:script(fn("with_own", "", "with own as (select * from gt.items where " .. OWN .. ") select o.body from own o")
      .. fn("with_late", "", "with every as (select * from gt.items) select e.body from every e where e." .. OWN)
      .. fn("with_open", "p int", "with one as (select * from gt.items where id = p) select body from one")
      .. fn("with_write", "p int", "with gone as (delete from gt.items where id = p returning id) select 1")
      .. fn("rows_own", "", ("insert into gt.items (id, tenant_id) values (1, %s), (2, %s)"):format(me, me))
      .. fn("rows_open", "t uuid", ("insert into gt.items (id, tenant_id) values (1, %s), (2, t)"):format(me))
      .. fn("copy_own", "", "insert into gt.items (id, tenant_id) select id + 1, tenant_id from gt.items where " .. OWN)
      .. fn("copy_open", "t uuid", "insert into gt.items (id, tenant_id) select id + 1, t from gt.items where " .. OWN)
      .. fn("copy_star", "", "insert into gt.items (id, tenant_id) select * from (select 1, " .. me .. ") x(a, b)")
      .. fn("moved", "", "with moved as (delete from gt.items where " .. OWN .. " returning *) insert into gt.items select * from moved")
      .. fn("tree", "", "with recursive r as (select id from gt.items union select id from r) select id from r"))
    local seen, base = look()
    local list, undecided = definers.findings(seen, base)
    local by, open = {}, {}
    for _, f in ipairs(list) do by[f.object:match "%.(.-)%("] = f.class end
    for _, u in ipairs(undecided) do open[u.object:match "%.(.-)%("] = u.reason end
    assert.same({ with_open = "function_definer", with_write = "function_definer", rows_open = "function_definer",
      copy_open = "function_definer" }, by)
    assert.truthy((open.tree or ""):find('in the statement "with recursive r as', 1, true), open.tree)
    assert.truthy(open.copy_star, "INSERT … SELECT *")
    assert.truthy((open.moved or ""):find("written rows are read again", 1, true), open.moved)
    open.tree, open.copy_star, open.moved = nil, nil, nil
    assert.same({}, open)
  end)

  it("follows a function whose owner is bound to one whose owner is not", function()
    tbl("items", "using (" .. OWN .. ")")
    admin:script [[
      create function gt.inner_rows() returns setof text language sql security definer set search_path = pg_catalog, pg_temp
        as $$ select body from gt.items $$;
      revoke execute on function gt.inner_rows() from public; grant execute on function gt.inner_rows() to dec_support;
      create function gt.outer_rows() returns setof text language sql security definer set search_path = pg_catalog, pg_temp
        as $$ select * from gt.inner_rows() $$;
      alter function gt.outer_rows() owner to dec_support]]
    local seen, base = look()
    local list = definers.findings(seen, base)
    assert.equal("gt.outer_rows()", list[1] and list[1].object)
    assert.equal("function_definer", list[1].class)
  end)

  it("reads what views with their owner's rights show, and how they may be gone around", function()
    tbl("items", "using (" .. OWN .. ")")
    admin:script(([[
      create view gt.all_items as select id, body from gt.items;
      create view gt.own_items with (security_barrier) as select id, body from gt.items where %s;
      create view gt.bare with (security_barrier = false) as select id from gt.items where %s;
      grant select on gt.all_items, gt.own_items, gt.bare to dec_app]]):format(OWN, OWN))
    local seen, base, list = look()
    local by = {}
    for _, f in ipairs(views.findings(admin, seen, list, base)) do by[f.object] = f.class end
    assert.same({ ["gt.all_items"] = "view_owner_rights", ["gt.bare"] = "view_not_barrier" }, by)
  end)

  it("calls a view's INSERT … ON CONFLICT a leak on the releases that do not ask the view's condition, and on no others", function()
    tbl("items", "using (" .. OWN .. ")")
    admin:script(([[
      create view gt.own_items with (security_barrier) as select id, body from gt.items where %s;
      grant select, insert, update on gt.own_items to dec_app]]):format(OWN))
    local seen, base, list = look()
    local is_closed = releases.is_closed
    finally(function() releases.is_closed = is_closed end)
    for closed, class in pairs { [false] = "view_owner_rights", [true] = "none" } do
      releases.is_closed = function(hole) return hole ~= releases.VIEW_CONFLICT or closed end
      local told = views.findings(admin, seen, list, base)
      assert.equal(class, told[1] and told[1].class or "none", "closed: " .. tostring(closed))
    end
  end)

  it("knows from which minor release on a hole is closed", function()
    local hole = { what = "a hole", fixed = { [15] = 20, [17] = 12 } }
    for number, closed in pairs { [150019] = false, [150020] = true, [150021] = true, [140099] = false, [160000] = false,
      [170011] = false, [170012] = true, [180000] = true } do
      assert.equal(closed, releases.is_closed(hole, number), tostring(number))
    end
  end)

  it("names the holes of a server's release, and the release that closes them", function()
    local holes = releases.HOLES
    finally(function() releases.HOLES = holes end)
    releases.HOLES = { { cve = "CVE-1", what = "a hole", fixed = { [15] = 20, [17] = 12 } },
      { cve = "CVE-2", what = "another", fixed = { [13] = 9, [15] = 14 } } }
    local f = releases.finding(150013)
    assert.same({ "PostgreSQL 15", "15.13: a hole (CVE-1), closed in 15.20; another (CVE-2), closed in 15.14",
      "Upgrade the server to 15.20 or later" }, { f.object, f.detail, f.fix })
    assert.is_nil(releases.finding(150014).detail:find("another", 1, true))
    assert.truthy(releases.finding(130009).fix:find("newer major version", 1, true))
    assert.is_nil(releases.finding(150020))
    assert.is_nil(releases.finding(180000))
  end)

  it("keeps a policy that binds by itself", function()
    tbl("items", "using (" .. OWN .. ")", "for delete using (true)")
    local seen, base = look()
    assert.is_true(decide.binds(seen, base[1], base[1].policies[1]))
    assert.is_false(decide.binds(seen, base[1], base[1].policies[2]))
  end)

  it("reads the axes of the configuration", function()
    local one = decide.axes { tenant = { column = "c", setting = "s", value = '{"sub": "{id}", "role": "x"}' } }
    assert.equal("sub", one[1].json_key)
    local two = decide.axes { tenant = { { column = "a", setting = "s" }, { column = "b", setting = "t", value = "{{id}}" } } }
    assert.same({ "a", "b", "{{id}}" }, { two[1].column, two[2].column, two[2].template })
  end)
end)
