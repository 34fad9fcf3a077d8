-- The probe beside a prover that is wrong: what is proven closed saves statements, and still no other tenant's row may pass for an own
-- one. Run on a real server.
local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)") .. "support/"
package.path = SUPPORT .. "?.lua;" .. package.path

local db = require "engine.db"
local pg = require "pg"
local catalogue = require "rls.catalogue"
local probe = require "rls.probe"

local OWN, OTHER = "tenant_id::text = current_setting('app.t', true)", "tenant_id::text <> current_setting('app.t', true)"
local COMMANDS = { "SELECT", "INSERT", "UPDATE", "DELETE" }

describe("the probe of a table that the prover calls closed", function()
  local server, admin

  setup(function()
    server = pg.shared()
    admin = db.connect(server:options())
    admin:script "drop schema if exists gp cascade; drop role if exists probe_app; create schema gp; create role probe_app login"
    admin:script "grant usage on schema gp to probe_app"
  end)
  teardown(function()
    admin:script "drop schema gp cascade; drop owned by probe_app; drop role probe_app"
    admin:close()
  end)

  --- Probes a table with these policies, by command, all of which are proven. Returns its result.
  local function result(using)
    admin:script [[
      drop table if exists gp.t;
      create table gp.t (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
      alter table gp.t enable row level security; alter table gp.t force row level security;
      grant select, insert, update, delete on gp.t to probe_app]]
    for _, command in ipairs(COMMANDS) do
      local test = using[command] or OWN
      admin:script(("create policy %s on gp.t for %s %s (%s)%s"):format(command:lower() .. "_rows", command,
        command == "INSERT" and "with check" or "using", test, command == "UPDATE" and " with check (" .. OWN .. ")" or ""))
    end
    local settings = { tenant = { column = "tenant_id", setting = "app.t" } }
    local tables, by_oid = catalogue.read(admin, { tenant = settings.tenant, schemas = { "gp" } }, "probe_app")
    tables[1].decided = { SELECT = "proven", INSERT = "proven", UPDATE = "proven", DELETE = "proven" }
    local results = probe.run(function() return db.connect(server:options()) end, tables, {}, by_oid, { settings = settings,
      role = "probe_app", superuser = true, bypass = true, max_rows = 1000, batch = 10 })
    return results[tables[1].oid]
  end

  it("finds nothing where it is closed", function()
    local r = result {}
    assert.same({}, r.leaks)
    assert.same({}, r.errors)
  end)

  for _, command in ipairs { "SELECT", "UPDATE", "DELETE" } do
    it("does not take as many rows of another tenant for the own ones: " .. command, function()
      local r = result { [command] = OTHER }
      local ops = {}
      for _, l in ipairs(r.leaks) do ops[l.op] = true end
      local failed = ops[command:lower()] or table.concat(r.errors, "; "):find(command:lower() .. ": the positive control failed", 1, true)
      assert.is_truthy(failed, "neither a leak nor a failed control")
    end)
  end
end)

describe("the probe of tables whose tenant columns have no keys in common", function()
  local server, admin

  setup(function()
    server = pg.shared()
    admin = db.connect(server:options())
    admin:script "drop schema if exists gk cascade; drop role if exists probe_app; create schema gk; create role probe_app login"
    admin:script "grant usage on schema gk to probe_app"
  end)
  teardown(function()
    admin:script "drop schema gk cascade; drop owned by probe_app; drop role probe_app"
    admin:close()
  end)

  --- The results by the table's name. types: by the table's name.
  local function results_of(types, views)
    admin:script "drop schema gk cascade; create schema gk; grant usage on schema gk to probe_app"
    admin:script "create type gk.pair as (a integer, b integer); create type gk.code as enum ('north', 'south', 'west')"
    for name, type_name in pairs(types) do
      admin:script((([[
        create table gk.{t} (id bigint generated always as identity primary key, tenant_id {type} not null, body text not null);
        alter table gk.{t} enable row level security; alter table gk.{t} force row level security;
        create policy p on gk.{t} using (tenant_id::text = current_setting('app.t', true));
        grant select, insert, update, delete on gk.{t} to probe_app]]):gsub("{(%a+)}", { t = name, type = type_name })))
    end
    admin:script(views or "")
    local settings = { tenant = { column = "tenant_id", setting = "app.t" } }
    local tables, by_oid = catalogue.read(admin, { tenant = settings.tenant, schemas = { "gk" } }, "probe_app")
    local base, list, out = {}, {}, {}
    for _, t in ipairs(tables) do table.insert(t.kind == "v" and list or base, t) end
    local results = probe.run(function() return db.connect(server:options()) end, base, list, by_oid, { settings = settings,
      role = "probe_app", superuser = true, bypass = true, max_rows = 1000, batch = 10 })
    for _, t in ipairs(tables) do out[t.name] = results[t.oid] end
    return out
  end

  it("is that of each with tenants of its own", function()
    local r = results_of { orders = "uuid", lines = "uuid", sites = "gk.code", notes = "text" }
    for _, name in ipairs { "orders", "lines", "sites", "notes" } do
      assert.same({}, r[name].errors)
      assert.same({}, r[name].leaks)
      assert.is_true(r[name].controls >= 3, name)
    end
  end)

  for _, type_name in ipairs { "json", "gk.pair", "point" } do
    it("ends in an error of the one table whose column takes no key: " .. type_name, function()
      local r = results_of({ orders = "uuid", odd = type_name },
        "create view gk.seen with (security_barrier) as select * from gk.orders; grant select on gk.seen to probe_app")
      assert.same({}, r.orders.errors)
      assert.is_true(r.orders.controls >= 3)
      assert.equal("the view shows another tenant's rows", (r.seen.leaks[1] or {}).detail)
      assert.equal(1, #r.odd.errors)
      assert.is_truthy(r.odd.errors[1]:find("no keys of two invented tenants were found for columns of type " .. type_name, 1, true))
      assert.is_truthy(r.odd.errors[1]:find("database.shared", 1, true))
    end)
  end

  it("gives rows to INSTEAD OF triggers by COPY, where a rule takes INSERT away", function()
    local r = results_of({ orders = "uuid" }, [[
      create view gk.load with (security_barrier) as select id, body from gk.orders where tenant_id::text = current_setting('app.t', true);
      grant select, insert on gk.load to probe_app;
      create function gk.load() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
      begin execute format('update gk.orders set body = %L where id = %L', new.body, new.id); return new; end $$;
      create trigger load instead of insert on gk.load for each row execute function gk.load();
      create rule no_insert as on insert to gk.load do instead nothing]])
    local leak = r.load.leaks[1] or {}
    assert.equal("COPY gives the view's INSTEAD OF trigger a row with which it reaches another tenant's rows", leak.detail)
    assert.equal("function_definer", leak.class)
    assert.is_truthy(leak.reproduce:find('copy "gk"."load" ("id", "body") from stdin;', 1, true), leak.reproduce)
  end)

  it("names the tables whose fixtures a view with a filter of its own needs", function()
    local r = results_of({ orders = "uuid" }, [[
      create view gk.open as select * from gk.orders where body = 'open' and tenant_id::text = current_setting('app.t', true);
      grant select on gk.open to probe_app]])
    assert.equal(1, #r.open.errors)
    assert.is_truthy(r.open.errors[1]:find("give gk.orders a statement in database.fixtures", 1, true), r.open.errors[1])
  end)
end)
