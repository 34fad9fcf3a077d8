-- `init` derives a configuration from a database's catalogue, and `check --connect` says whether its rights suffice.
package.path = "tests/lua/support/?.lua;tests/e2e/?.lua;" .. package.path
local db = require "engine.db"
local pg = require "pg"
local support = require "support"

local SCHEMA = [[
  create table organisations (id bigint generated always as identity primary key, name text not null default 'x');
  create table "Sales Orders" (id bigint generated always as identity primary key, org_id bigint not null references organisations,
    name text not null default 'x');
  create table lines (id bigint generated always as identity primary key, org_id bigint not null references organisations,
    place point not null);
  create table parts (id bigint generated always as identity primary key, line_id bigint not null references lines);
  create table countries (code text primary key);
  create table notes (body text);
  create function current_org() returns bigint language sql stable as
    $f$ select nullif(current_setting('app.org', true), '')::bigint $f$;
  do $d$ declare t text; begin
    foreach t in array array['"Sales Orders"', 'lines'] loop
      execute format('alter table %1$s enable row level security; alter table %1$s force row level security;
        create policy p on %1$s to shop using (org_id = current_org())', t);
    end loop; end $d$;
  alter table parts enable row level security; alter table parts force row level security;
  create policy p on parts to shop using (exists (select from lines l where l.id = line_id));
  grant select, insert, update, delete on "Sales Orders", lines, parts, notes to shop;
  grant select on countries to shop;
]]

describe("a database of one's own", function()
  local server, count, url = nil, 0, nil

  setup(function()
    server = pg.start()
    local conn = db.connect(server:options())
    conn:script [[create role shop login; create role looker login; create role plain login]]
    conn:exec "create database shop_db"
    conn:close()
    conn = db.connect(server:options { dbname = "shop_db" })
    conn:script(SCHEMA)
    conn:close()
    function url(user, password)
      return ("postgresql://%s%s@/shop_db?host=%s&port=%d"):format(user, password and ":" .. password or "", server.host, server.port)
    end
  end)
  teardown(function() server:stop() end)

  local function run(argv, dir, env)
    count = count + 1
    local r = support.run { argv = argv, cwd = dir, env = env }
    r.all = r.stdout .. r.stderr
    return r
  end

  local function init(where, env, ...)
    local dir = support.tmpdir()
    local r = run({ "init", "--url", where, ... }, dir, env)
    return r, dir, support.read(dir .. "/gate-engine.conf.lua")
  end

  it("is read: column, setting, role, shared tables and stubs stand in the configuration, with which gate 1 runs", function()
    local r, dir, text = init(url "postgres")
    assert.equal(0, r.code, r.all)
    for _, part in ipairs { 'column = "org_id"', 'setting = "app.org"', 'app = { role = "shop" }', '-- "public.countries",',
      '--   "public.notes",', "column place of type point",
      "insert into \\\"public\\\".\\\"lines\\\"", "create role gate_engine login nosuperuser",
      'table = "public.organisations"' } do
      assert.truthy(text:find(part, 1, true), part .. " in\n" .. text)
    end
    local checked = run({ "check", "gates/rls_harness.lua" }, dir)
    assert.equal(0, checked.code, checked.all)
    local ran = run({ "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage" }, dir)
    assert.equal(0, ran.code, ran.all)
  end)

  -- What policies compare, where more than one column and one setting stand in them.
  local SCHEMAS = {
    { "two axes, one of them a list", [[
        create schema m; grant usage on schema m to shop;
        create function m.ids() returns uuid[] language sql stable
          as $f$ select string_to_array(nullif(current_setting('app.org_ids', true), ''), ',')::pg_catalog.uuid[] $f$;
        create function m.has_org(org uuid) returns boolean language sql stable as $f$ select org = any (m.ids()) $f$;
        create table a (id int primary key, org_id uuid not null);
        create table b (id int primary key, org_id uuid not null, partner_id uuid);
        create table c (id int primary key, partner_id uuid not null);
        do $d$ declare t text; begin foreach t in array array['a', 'b', 'c'] loop
          execute format('alter table %1$s enable row level security; alter table %1$s force row level security;
            grant select on %1$s to shop', t); end loop; end $d$;
        create policy p on a using (m.has_org(org_id));
        create policy p on b using (m.has_org(org_id) or partner_id = nullif(current_setting('app.partner_id', true), '')::uuid);
        create policy p on c using (partner_id = nullif(current_setting('app.partner_id', true), '')::uuid)]],
      { 'column = "org_id",\n        setting = "app.org_ids",', 'column = "partner_id",\n        setting = "app.partner_id",' } },
    { "a claim in JSON beside its older setting", [[
        create schema auth; grant usage on schema auth to shop;
        create function auth.uid() returns uuid language sql stable as $f$
          select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
            (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $f$;
        create table docs (id int primary key, user_id uuid not null);
        alter table docs enable row level security; alter table docs force row level security; grant select on docs to shop;
        create policy p on docs using (user_id = auth.uid())]],
      { 'setting = "request.jwt.claims",', 'value = "{\\"sub\\": \\"{id}\\"}",' } },
    { "memberships that policies ask for by a function", [[
        create schema auth; grant usage on schema auth to shop;
        create function auth.uid() returns uuid language sql stable as
          $f$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $f$;
        create table auth.users (id uuid primary key, email text);
        create table orgs (id uuid primary key, name text not null default '');
        create table members (org_id uuid not null references orgs, user_id uuid not null references auth.users, note text);
        create function is_member(o uuid) returns boolean language sql stable security definer set search_path = '' as
          $f$ select exists (select 1 from public.members m where m.org_id = o and m.user_id = (select auth.uid())) $f$;
        create table projects (id uuid primary key, org_id uuid not null references orgs);
        alter table members enable row level security; alter table projects enable row level security;
        create policy p on members using (is_member(org_id));
        create policy p on projects using (is_member(org_id));
        grant select on projects, members to shop]],
      { 'column = "org_id",', 'setting = "request.jwt.claims",', "policies of public.projects ask for a row of it",
        '(\\"org_id\\", \\"user_id\\") values ({tenant}, {tenant})',
        'insert into \\"auth\\".\\"users\\" (\\"id\\") values ({tenant})' } },
    { "names that hold one another, printed in quotes", [[
        create table "Leads" ("Id" int primary key, "Tenant Id" uuid not null, note text not null default '', place point not null);
        alter table "Leads" enable row level security; alter table "Leads" force row level security; grant select on "Leads" to shop;
        create policy p on "Leads" using ("Tenant Id" = nullif(current_setting('app.tenant', true), '')::uuid);
        do $d$ begin execute format('alter database %I set quote_all_identifiers = on', current_database()); end $d$]],
      { 'column = "Tenant Id",', 'setting = "app.tenant",',
        '(\\"Id\\", \\"Tenant Id\\", \\"place\\") values (…, {tenant}, …)' } },
  }
  for i, case in ipairs(SCHEMAS) do
    it("is read with " .. case[1], function()
      local name = "read_" .. i
      local conn = db.connect(server:options())
      conn:exec("create database " .. name)
      local own = db.connect(server:options { dbname = name })
      own:script(case[2])
      own:close()
      local r, _, text = init((url "postgres":gsub("shop_db", name)))
      conn:exec(("drop database %s with (force)"):format(name))
      conn:close()
      assert.equal(0, r.code, r.all)
      for _, part in ipairs(case[3]) do assert.truthy(text:find(part, 1, true), part .. " in\n" .. text) end
    end)
  end

  it("has nothing taken for shared that nobody has looked at", function()
    local conn = db.connect(server:options())
    conn:exec "create database guessed"
    local own = db.connect(server:options { dbname = "guessed" })
    own:script [[
      create table orgs (id int primary key, name text not null);
      create table invoices (id int primary key, org_id int not null references orgs, number text);
      create table deals (id int primary key, company_id int not null references orgs, place point not null, body text);
      insert into orgs values (1, 'a'), (2, 'b');
      insert into invoices values (1, 1, 'SECRET');
      create table copies as select id, number from invoices;
      create policy p on orgs using (id = nullif(current_setting('app.org', true), '')::int);
      create policy p on invoices using (org_id = nullif(current_setting('app.org', true), '')::int);
      alter table orgs enable row level security; alter table invoices enable row level security;
      alter table orgs force row level security; alter table invoices force row level security;
      grant select on orgs, invoices, deals, copies to shop]]
    own:close()
    local r, dir, text = init((url "postgres":gsub("shop_db", "guessed")))
    local ran = run({ "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage", "--verbose" }, dir)
    conn:exec "drop database guessed with (force)"
    conn:close()
    assert.equal(0, r.code, r.all)
    assert.truthy(text:find('shared = {\n      -- "public.copies",\n    }', 1, true), text)
    assert.is_nil(text:find('\n *"public.deals"'), text)
    -- The column that refers to the tenants' table is the tenant's.
    assert.truthy(text:find('(\\"id\\", \\"company_id\\", \\"place\\") values (…, {tenant}, …)', 1, true), text)
    assert.equal(1, ran.code, ran.all)
    assert.truthy(ran.all:find("row-level security is not enabled", 1, true), ran.all)
    assert.truthy(ran.all:find("public.deals", 1, true), ran.all)
    assert.truthy(ran.all:find("public.copies", 1, true), ran.all)
  end)

  it("keeps its password: the file names a variable", function()
    local r, dir, text = init(url("postgres", "s3cret-word"))
    assert.equal(0, r.code, r.all)
    assert.is_nil((text .. r.all):find("s3cret-word", 1, true))
    assert.truthy(text:find('admin = { url = env "GATE_ENGINE_ADMIN_URL" }', 1, true), text)
    assert.truthy(r.stdout:find("export GATE_ENGINE_ADMIN_URL=", 1, true))
    local ran = run({ "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage" }, dir,
      { GATE_ENGINE_ADMIN_URL = url("postgres", "s3cret-word") })
    assert.equal(0, ran.code, ran.all)
    local _, _, same = init(url("postgres", "s3cret-word"), { DATABASE_URL = url("postgres", "s3cret-word") })
    assert.truthy(same:find('env "DATABASE_URL"', 1, true), same)
  end)

  it("is not changed, and no file is overwritten", function()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", "mine")
    local r = run({ "init", "--url", url "postgres" }, dir)
    assert.equal(2, r.code)
    assert.truthy(r.all:find("gate-engine.conf.lua is there already", 1, true), r.all)
    assert.equal("mine", support.read(dir .. "/gate-engine.conf.lua"))
    assert.equal(0, run({ "init", "--url", url "postgres", "--output", "other.lua" }, dir).code)
  end)

  --- check --connect with a configuration of these connections.
  local function connect(admin, app, more)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", database = { admin = { url = %q }, app = %s,
      tenant = { column = "org_id", setting = "app.org" }, %s } }]]):format(url(admin), app or '{ role = "shop" }', more or ""))
    return run({ "check", "gates/rls_harness.lua", "--connect" }, dir)
  end

  local function shows(r, code, ...)
    assert.equal(code, r.code, r.all)
    for _, part in ipairs { ... } do assert.truthy(r.all:find(part, 1, true), part .. " in\n" .. r.all) end
  end

  it("is asked whether the rights suffice", function()
    shows(connect "postgres", 0, "server: PostgreSQL ", "a unix socket", "admin is postgres, a superuser", "tenants' tables: 4",
      "static (catalogue): yes", "read (as shop): yes", "full (canaries): yes", "operator: database.operator is not defined")
  end)

  it("names what is missing", function()
    shows(connect("looker", ("{ url = %q }"):format(url "shop")), 2, "static (catalogue): yes", "read: no",
      "missing: looker may not assume the application's role shop", 'fix: grant "shop" to "looker"')
    local conn = db.connect(server:options { dbname = "shop_db" })
    conn:script [[create role half login in role shop]]
    shows(connect "half", 2, "read (as shop): yes", "full (canaries): no", "row-level security binds half",
      'fix: alter role "half" bypassrls')
    conn:script [[alter role half bypassrls]]
    -- An invented tenant needs its row in the table of the tenants.
    shows(connect "half", 2, "full (canaries): no", 'half may not read and insert: "public"."organisations"')
    conn:script [[grant select, insert on organisations to half]]
    shows(connect "half", 0, "full (canaries): yes", "admin is half, with BYPASSRLS")
    conn:close()
    shows(connect("postgres", ("{ url = %q }"):format(url "postgres")), 2, "admin and app are the same role, postgres")
    shows(connect("nobody_here"), 2, "missing: admin: ")
  end)

  it("says what it cannot do", function()
    for _, case in ipairs { { "nonsense", "expected --url postgresql://" }, { "postgresql://x@/x?host=/nowhere", "/nowhere" },
      { (url "postgres":gsub("shop_db", "template1")), "nothing in the catalogue says whose a row is" } } do
      local r, _, text = init(case[1])
      assert.equal(2, r.code, r.all)
      assert.truthy(r.all:find(case[2], 1, true), r.all)
      assert.is_nil(text)
    end
  end)
end)
