-- Gate 1 on a database that is not the embedded platform, by configuration alone: what it must find, and what it must not call a pass.
package.path = "tests/lua/support/?.lua;tests/e2e/?.lua;" .. package.path
local db = require "engine.db"
local json = require "engine.json"
local pg = require "pg"
local support = require "support"

local POLICY = [[
  alter table %s enable row level security;
  alter table %s force row level security;
  create policy tenant_isolation on %s using (%s = current_setting('app.tenant', true))
    with check (%s = current_setting('app.tenant', true));
]]

local function protect(name, column)
  column = column or "org_id"
  return (POLICY:gsub("%%s = ", column .. "::text = "):gsub("%%s", name))
end

describe("gate 1 on an external database", function()
  local server, count = nil, 0

  setup(function()
    server = pg.start()
    local conn = db.connect(server:options())
    conn:script [[create role shop login; create role shop_owner login; create role reader login; create role mighty bypassrls;
      grant shop to shop_owner; revoke create on schema public from public]]
    conn:close()
  end)
  teardown(function() server:stop() end)

  --- A database of its own for each case.
  local function database(sql)
    count = count + 1
    local name = "case" .. count
    local conn = db.connect(server:options())
    conn:script("create database " .. name)
    conn:close()
    conn = db.connect(server:options { dbname = name })
    conn:script(sql)
    finally(function() conn:close() end)
    return name, conn
  end

  local function gate(name, options)
    options = options or {}
    local function url(user) return ("postgresql://%s@/%s?host=%s&port=%d"):format(user, name, server.host, server.port) end
    local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
      admin = { url = %q }, app = %s, tenant = { column = %q, setting = "app.tenant" }, %s } }]]):format(
      url(options.admin or "postgres"), options.app or ("{ url = %q }"):format(url "shop"), options.column or "org_id", options.more or ""))
    return support.run { argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--config", config,
      "--only", options.only or "coverage,isolation" } }
  end

  local function says(result, code, text)
    assert.equal(code, result.code, result.stdout .. result.stderr)
    assert.truthy(result.stdout:find(text, 1, true), result.stdout)
  end

  local PASS = "✅ PASS - The selected checks passed"
  local LEAK = "❌ FAIL - Cross-tenant leak detected"
  local TABLE = "create table items (id bigserial primary key, org_id int not null, name text not null default 'x');"
    .. "grant select, insert, update, delete on items to shop; grant usage on all sequences in schema public to shop;" .. protect "items"

  it("invents its tenants, with rows in the table that the tenant column refers to, and leaves nothing behind", function()
    local name, conn = database([[
      create table orgs (id serial primary key, "Display Name" text not null unique);
      create type state as enum ('new', 'old');
      create domain quantity as int check (value > 7);
      create table "Sales Orders" (id bigint generated always as identity primary key, org_id int not null references orgs,
        state state not null, amount quantity not null, twice int generated always as (amount * 2) stored,
        code varchar(12) not null check (length(code) > 3), unique (org_id, id));
      create table lines (id uuid primary key default gen_random_uuid(), org_id int not null, order_id bigint not null,
        kind text not null check (kind in ('a', 'b')), foreign key (org_id, order_id) references "Sales Orders" (org_id, id));
      create table events (org_id int not null, at date not null) partition by range (at);
      create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
      grant select, insert, update, delete on "Sales Orders", lines, events to shop;
    ]] .. protect '"Sales Orders"' .. protect "lines" .. protect "events")
    says(gate(name), 0, PASS)
    says(gate(name, { app = '{ role = "shop" }' }), 0, PASS)
    for _, t in ipairs { "orgs", '"Sales Orders"', "lines", "events" } do
      assert.equal(0, conn:value("select count(*) from " .. t), t)
    end
  end)

  for _, kind in ipairs { "bigint", "text", "uuid", "varchar(16)", "smallint" } do
    it("probes a tenant column of type " .. kind, function()
      local name = database(TABLE:gsub("org_id int", "org_id " .. kind))
      says(gate(name), 0, PASS)
    end)
  end

  it("finds a blind DELETE of a parent, whose own children's foreign key hides it", function()
    local name = database(TABLE .. [[
      create table notes (id bigserial primary key, org_id int not null, item_id bigint not null references items);
      grant select on notes to shop;]] .. protect "notes" .. [[
      drop policy tenant_isolation on items;
      create policy r on items for select using (org_id::text = current_setting('app.tenant', true));
      create policy d on items for delete using (true);]])
    says(gate(name), 1, LEAK)
  end)

  it("says once what everybody's right to make functions in the schema public opens, and each function otherwise", function()
    local name, conn = database(TABLE .. [[
      create function mine(p text) returns setof text language sql stable security definer set search_path = public, pg_temp
        as $$ select name from public.items where org_id::text = current_setting('app.tenant', true) and name = p $$;
      create function ours(p text) returns setof text language sql stable security definer set search_path = public, pg_temp
        as $$ select name from public.items where org_id::text = current_setting('app.tenant', true) and name <> p $$;
      grant create on schema public to public]])
    local function objects()
      local result, out = gate(name), {}
      assert.equal(1, result.code, result.stdout .. result.stderr)
      for object in result.stdout:gmatch "\n     %- (public[^:\n]*):" do out[#out + 1] = object end
      return out, result
    end
    local found, result = objects()
    assert.same({ "public" }, found)
    says(result, 1, "Fix: REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    says(result, 1, "2 function(s) that guard tenants' rows look up names: public.mine(text), public.ours(text)")
    conn:script "revoke create on schema public from public; grant create on schema public to shop"
    found = objects()
    table.sort(found)
    assert.same({ "public.mine(text)", "public.ours(text)" }, found)
  end)

  it("finds a blind UPDATE that takes other tenants' rows", function()
    local name = database(TABLE .. [[
      drop policy tenant_isolation on items;
      create policy r on items for select using (org_id::text = current_setting('app.tenant', true));
      create policy u on items for update using (true) with check (org_id::text = current_setting('app.tenant', true));]])
    says(gate(name), 1, LEAK)
  end)

  it("finds a child without the tenant column that takes rows under another tenant's parent", function()
    local name = database(TABLE .. [[
      create table parts (id bigserial primary key, item_id bigint not null references items);
      grant select, insert on parts to shop; grant usage on all sequences in schema public to shop;
      alter table parts enable row level security; alter table parts force row level security;
      create policy r on parts for select using (exists (select from items i where i.id = item_id));
      create policy w on parts for insert with check (true);]])
    says(gate(name), 1, LEAK)
  end)

  it("finds a view without the tenant column that its owner's rights open", function()
    local name = database(TABLE .. "create view names as select name, id from items; grant select on names to shop;")
    local r = gate(name)
    says(r, 1, LEAK)
    assert.truthy(r.stdout:find("public.names", 1, true), r.stdout)
  end)

  it("passes a view with the reader's rights", function()
    local name = database(TABLE .. [[create view names with (security_invoker = true) as select name, id from items;
      grant select on names to shop;]])
    says(gate(name), 0, PASS)
  end)

  it("is an error, not a pass, where a view shows no canary and nothing proves it", function()
    local name = database(TABLE .. [[create view names with (security_barrier) as
        select name, id, org_id from items where name ~ '^never a canary';
      grant select on names to shop;]])
    says(gate(name), 3, "the positive control failed")
  end)

  it("finds a materialised view, and TRUNCATE", function()
    local name = database(TABLE .. "create materialized view counted as select count(*) from items; grant select on counted to shop;")
    says(gate(name), 1, "public.counted")
    name = database(TABLE .. "grant truncate on items to shop;")
    says(gate(name), 1, LEAK)
  end)

  it("finds an application that may become a role which row-level security does not bind, or that owns the tables", function()
    local name, conn = database(TABLE .. "grant mighty to shop")
    local r = gate(name)
    conn:script "revoke mighty from shop"
    says(r, 1, "The application's role shop is not bound by RLS")
    name = database(TABLE .. "alter table items owner to shop")
    says(gate(name), 1, LEAK .. ": the application's role may switch row-level security off")
  end)

  it("works for an owner without superuser whom FORCE binds", function()
    local name = database(TABLE .. "alter table items owner to shop_owner")
    says(gate(name, { admin = "shop_owner" }), 0, PASS)
  end)

  it("runs the coverage for a reader of the catalogue, and names the right that the probe needs", function()
    local name = database(TABLE)
    says(gate(name, { admin = "reader", only = "coverage" }), 0, "PASS")
    says(gate(name, { admin = "reader" }), 3, "could not be probed")
    local r = gate(name, { admin = "reader", only = "isolation" })
    says(r, 3, "GRANT SELECT, INSERT ON")
  end)

  it("takes no misspelt schema or table for nothing to do", function()
    local name = database(TABLE)
    says(gate(name, { more = 'schemas = { "public", "pubic" }' }), 3, "database.schemas")
    says(gate(name, { more = 'tenant_scoped = { "public.itmes" }' }), 3, "database.tenant_scoped")
  end)

  it("says of the code paths that nobody watched them, and how to go on", function()
    local name = database(TABLE)
    says(gate(name, { only = "coverage,isolation,code_paths" }), 3, "--only coverage,isolation")
  end)

  --- A gate that locks the table and sleeps, and one that waits for the lock; a configuration in which the first ends sooner.
  local function holder_and_waiter(name)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external",
      limits = { wall_s = 60, scripts = { holds = { wall_s = 1 } } },
      database = { app = { url = %q }, tenant = { column = "org_id", setting = "app.tenant" } } }]]):format(
      ("postgresql://postgres@/%s?host=%s&port=%d"):format(name, server.host, server.port)))
    for id, run in pairs {
      holds = [[ctx.db.app:transaction(function(conn)
        conn:exec "lock table items in access exclusive mode"
        conn:exec "select pg_sleep(1000)"
      end)]],
      waits = [[local LOCKED = "select count(*) from pg_locks where relation = 'items'::regclass and granted and mode ~ '^AccessEx'"
        repeat until ctx.db.app:value(LOCKED) > 0
        ctx.db.app:value "select count(*) from items"]],
    } do
      support.write(("%s/%s.lua"):format(dir, id), ([[return require("gate").define {
        api = 1, id = %q, name = %q, purpose = "a test", pass = "It came through", needs = { db = { "app" } },
        failures = { odd = { text = "odd", fix = "none" } },
        run = function(ctx) ctx:check("lock", function() %s end) end }]]):format(id, id, run))
    end
    return dir
  end

  -- A server that looks after its clients by itself would hide whether the engine asked it to.
  it("leaves no statement of a killed gate behind, nor the locks it held", function()
    local name, conn = database(TABLE)
    assert.equal("0", conn:value "select reset_val from pg_settings where name = 'client_connection_check_interval'")
    local r = support.run { argv = { "run", "./holds.lua", "--tenant", "acme" }, cwd = holder_and_waiter(name) }
    says(r, 3, "the gate did not end within 1 s")
    conn:exec "set lock_timeout = '30s'"
    assert.equal(0, conn:value "select count(*) from items") -- waits for the lock
    local left
    for _ = 1, 10000 do
      left = conn:value [[select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
        and backend_type = 'client backend']]
      if left == 0 then break end
    end
    assert.equal(0, left)
  end)

  it("prepares for no longer than a gate may take", function()
    local name, conn = database(TABLE .. "create table orgs (id int primary key, code text unique)")
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", database = { admin = { url = %q },
      tenant = { table = "public.orgs", key = "id", code = "code", column = "org_id", setting = "app.tenant" } } }]]):format(
      ("postgresql://postgres@/%s?host=%s&port=%d"):format(name, server.host, server.port)))
    conn:script "begin; lock table orgs in access exclusive mode"
    local r = support.run { argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--timeout", "0.5", "--report", "json=r.json" },
      cwd = dir }
    says(r, 3, "ERROR - tenant and schema could not be looked up within 0.5 s")
    local report = json.decode(support.must_read(dir .. "/r.json"))
    assert.equal("prepare_timeout", report.error.code)
    assert.equal("ERROR", report.gates[1].status)
  end)

  it("lets the gate that waited for a killed one's lock come to its own verdict", function()
    local dir = holder_and_waiter(database(TABLE))
    support.write(dir .. "/both.lua", [[return require("suite").define { api = 1, id = "both", name = "Both", purpose = "a test",
      gates = { "holds.lua", "waits.lua" } }]])
    local r = support.run { argv = { "run", "./both.lua", "--tenant", "acme", "--jobs", "2" }, cwd = dir }
    says(r, 3, "the gate did not end within 1 s")
    says(r, 3, "Gate: waits\n  ✅ PASS - It came through")
  end)
end)
