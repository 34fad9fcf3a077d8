-- Gate 1 on a scratch copy: a schema from files, no database of the user's, nothing that stays.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

local TABLE = [[
CREATE TABLE items (id bigint generated always as identity primary key, org_id int not null, name text not null default 'x; y');
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE items FORCE ROW LEVEL SECURITY;
CREATE POLICY t ON items TO shop USING ((org_id)::text = current_setting('app.tenant'::text, true));
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE items TO shop;
]]
local NOTES = [[
create table notes (id bigint generated always as identity primary key, org_id int not null, body text not null default '');
grant select on notes to shop;
]]
local AXIS = { "--app-role", "shop", "--tenant-column", "org_id", "--tenant-setting", "app.tenant" }

local function schema(text) return support.write(support.tmpdir() .. "/dump.sql", text) end

--- Runs gate 1 with these words and the axis. {code, stdout, stderr, report}
local function gate(words, axis, verb)
  local file = support.tmpdir() .. "/report.json"
  local argv = { verb or "run", "gates/rls_harness.lua" }
  for _, list in ipairs { words, axis or AXIS, { "--report", "json=" .. file } } do
    for _, w in ipairs(list) do argv[#argv + 1] = w end
  end
  local result = support.run { argv = argv }
  result.report = json.decode(support.must_read(file))
  return result
end

local function says(result, code, ...)
  local all = result.stdout .. result.stderr
  assert.equal(code, result.code, all)
  for _, text in ipairs { ... } do assert.truthy(all:find(text, 1, true), ("expected %s in\n%s"):format(text, all)) end
end

describe("a scratch copy", function()
  it("runs gate 1 on a dump without any database, says so, and never approves", function()
    local r = gate { "--schema", schema([[
\restrict a1b2
SET statement_timeout = 0;
SET transaction_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;
COMMENT ON EXTENSION pgcrypto IS 'x; y';
CREATE EXTENSION IF NOT EXISTS nosuch;
CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE sql LEAKPROOF AS $_$ select a; $_$;
ALTER FUNCTION public.f(int) OWNER TO shop_owner;
CREATE FUNCTION public.g(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC; SELECT CASE WHEN a > 1 THEN a END; SELECT a; END;
SET search_path = public;
]] .. TABLE .. [[
ALTER TABLE items OWNER TO shop_owner;
CREATE FOREIGN DATA WRAPPER away;
ALTER ROLE shop SET app.zone = 'it''s';
\unrestrict a1b2
]]) }
    says(r, 0, "PASS - No cross-tenant leaks detected", "target: scratch copy of", "never approves", "the extension nosuch is not there",
      "roles made, without a login: shop, shop_owner", "does not know the setting transaction_timeout")
    assert.equal("scratch", r.report.target.platform)
    assert.same({ "shop", "shop_owner" }, r.report.target.scratch.roles)
    assert.same({ "nosuch" }, r.report.target.scratch.extensions_missing)
    assert.is_false(r.report.approved)
    assert.is_true(r.report.partial)
    assert.is_nil(support.read(r.report.target.host .. "/.s.PGSQL.5432.lock"), "the server is still there")
  end)

  it("takes the dump of a database with the role that init proposes", function()
    says(gate { "--schema", schema(TABLE .. "GRANT shop TO gate_engine; GRANT SELECT, INSERT ON items TO gate_engine;") }, 0,
      "PASS - No cross-tenant leaks detected", "roles made, without a login: gate_engine, shop")
  end)

  it("takes migrations in the order of their names, without the way back", function()
    local dir = support.tmpdir()
    support.write(dir .. "/2024_01/001_init.up.sql", [[
BEGIN;
DO $$ BEGIN CREATE ROLE shop LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
]] .. TABLE .. "COMMIT;\n")
    support.write(dir .. "/2024_01/001_init.down.sql", "drop table items;")
    support.write(dir .. "/2024_02.sql", "-- migrate:up\n" .. NOTES .. "-- migrate:down\ndrop table notes;\n")
    local r = gate { "--migrations", dir }
    says(r, 1, "RLS policy missing on table public.notes", "001_init.down.sql is a way back",
      "Recover: gate-engine recover gates/rls_harness.lua --tenant demo --migrations " .. dir)
    assert.equal(2, r.report.target.scratch.files)
    assert.equal(2, r.report.target.scratch.unowned)
    says(r, 1, "objects without an owner: 2")
    local migration = gate({ "--migrations", dir }, AXIS, "recover")
    says(migration, 0, 'ALTER TABLE "public"."notes" ENABLE ROW LEVEL SECURITY;')
  end)

  -- Each directory is right in the order of its tool, and in no other.
  local TOOLS = {
    { "Flyway", { ["V1__init.sql"] = "create role shop login;", ["V2__items.sql"] = TABLE, ["V10__notes.sql"] = "drop table x;",
      ["V2.1__x.sql"] = "create table x ();", ["R__again.sql"] = "create view v as select id from items;" } },
    { "golang-migrate", { ["1_roles.up.sql"] = "create role shop login;", ["2_items.up.sql"] = TABLE,
      ["2_items.down.sql"] = "drop table items;", ["10_more.up.sql"] = "alter table items add more text;" } },
    { "Sqitch", { ["sqitch.plan"] = "%syntax-version=1.0.0\n%project=shop\n\nroles 2026-01-02T03:04:05Z A <a@b> # first\n"
      .. "items [roles] 2026-01-02T03:04:06Z A <a@b>\nview [items] 2026-01-02T03:04:06Z A <a@b>\n@v1 2026-01-03T00:00:00Z A <a@b>\n"
      .. "view [items] 2026-01-04T03:04:06Z A <a@b> # again\n",
      ["deploy/roles.sql"] = "create role shop login;", ["deploy/items.sql"] = "BEGIN;\n" .. TABLE .. "COMMIT;",
      ["deploy/view@v1.sql"] = "create view v as select id from items;", ["deploy/view.sql"] = "drop view v;",
      ["revert/items.sql"] = "drop table items;", ["verify/items.sql"] = "select 1/0;" } },
  }
  for _, tool in ipairs(TOOLS) do
    it("takes migrations in the order of " .. tool[1], function()
      local dir = support.tmpdir()
      for name, text in pairs(tool[2]) do support.write(dir .. "/" .. name, text .. "\n") end
      says(gate { "--migrations", dir }, 0, "PASS - No cross-tenant leaks detected")
    end)
  end

  it("takes a finding for another where what it rests on lets more through", function()
    local OPEN = TABLE .. [[
      create role helper_owner;
      create function seen(n text) returns boolean language sql stable as 'select n = ''a''';
      create table notes (id bigint generated always as identity primary key, org_id int not null, body text, title text);
      create policy w on items for select using (%s);
      create policy d on items for delete using (false);
      create policy h on items for select using (seen(name));
      create view shown as select id from items where name = 'a';
      grant select on shown to shop;
      grant select (id%s) on notes to shop;
      create table copies (id bigint, body text); grant select, insert on copies to shop;
      create function copy() returns trigger language plpgsql as
        $$ begin insert into copies values (new.id, %s); return new; end $$;
      create trigger c before insert on items for each row execute function copy();
      ]]
    local function text(policy, columns, copied, also) return schema(OPEN:format(policy, columns, copied) .. (also or "")) end
    local before = text("name = 'b'", "", "new.name")
    local function new_by(after)
      local out = {}
      local r = gate { "--schema", after, "--against", before }
      for _, c in ipairs(r.report.gates[1].checks) do
        if c.status == "FAIL" then out[#out + 1] = c.class .. " " .. c.object end
      end
      assert.same({}, r.report.gates[1].facts.baseline_gone)
      table.sort(out)
      return out
    end
    assert.same({}, new_by(before))
    assert.same({ "policy_widens public.items" }, new_by(text("name = 'b' or name >= 'a'", "", "new.name")))
    assert.same({ "cross_tenant_leak public.notes", "policy_unset_tenant public.notes", "rls_missing public.notes" },
      new_by(text("name = 'b'", ", body", "new.name")))
    assert.same({ "trigger_copies public.copies" }, new_by(text("name = 'b'", "", "new.name || new.org_id")))
    assert.same({ "view_owner_rights public.shown" }, new_by(text("name = 'b'", "", "new.name",
      "create or replace view shown as select id from items where name = 'a' or true;")))
    assert.same({ "policy_widens public.items" }, new_by(text("name = 'b'", "", "new.name",
      "create or replace function seen(n text) returns boolean language sql stable as 'select n in (''a'', ''c'')';")))
    -- A policy of another command is no part of it.
    assert.same({}, new_by(text("name = 'b'", "", "new.name", "alter policy d on items using (id < 0 and false);")))
  end)

  it("compares with another schema: only what is new fails", function()
    local before, after = schema(TABLE), schema(TABLE .. NOTES)
    says(gate { "--schema", after, "--against", before }, 1, "RLS policy missing on table public.notes")
    local same = gate { "--schema", after, "--against", after }
    says(same, 0, "No new findings; 3 unchanged", "unchanged: RLS policy missing on table public.notes")
    assert.same({ new = 0, fixed = 0, unchanged = 3 }, same.report.gates[1].facts.against)
    local fixed = gate { "--schema", before, "--against", after }
    says(fixed, 0, "fixed: rls_missing public.notes")
    assert.same({ new = 0, fixed = 3, unchanged = 0 }, fixed.report.gates[1].facts.against)
    says(gate { "--schema", after, "--against", schema "create table broken (" }, 2, "dump.sql:1:")
    says(gate { "--schema", before, "--against", schema "-- nothing yet" }, 0, "everything is new")
  end)

  it("takes roles as the schema makes them, and knows the names that are superusers elsewhere", function()
    local r = gate { "--schema", schema("CREATE ROLE shop WITH LOGIN BYPASSRLS;\n" .. TABLE) }
    says(r, 1)
    local found
    for _, c in ipairs(r.report.gates[1].checks) do found = found or c.class == "role_bypasses_rls" end
    assert.is_true(found, r.stdout)
    says(gate { "--schema", schema(TABLE .. [[
CREATE FUNCTION peek() RETURNS SETOF items LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'select * from items';
ALTER FUNCTION peek() OWNER TO postgres;]]) }, 1, "peek")
  end)

  it("has a superuser's views where the schema says that a superuser makes them", function()
    local made = [[CREATE ROLE deploy SUPERUSER; GRANT CREATE ON SCHEMA public TO deploy; SET ROLE deploy;]]
    local view = "CREATE VIEW totals AS SELECT org_id, count(*) FROM items GROUP BY org_id; GRANT SELECT ON totals TO shop;"
    says(gate { "--schema", schema(made .. TABLE .. view) }, 1, "public.totals",
      "role deploy is a superuser there; here it has BYPASSRLS and every table")
  end)

  local BROKEN = {
    { "a statement the server refuses", TABLE .. "CREATE VIEW v AS SELECT nothing FROM items;",
      'dump.sql:6: column "nothing" does not exist' },
    { "psql's commands", TABLE .. "\n\\! touch /tmp/x\n", "dump.sql:7: psql's command \\! is refused" },
    { "psql's copy", "\\copy items from program 'id'\n" .. TABLE, "dump.sql:1: psql's command \\copy is refused" },
    { "COPY … PROGRAM", TABLE .. "COPY items TO PROGRAM 'id';", "dump.sql:6: refused on a scratch copy: Copy" },
    { "files", TABLE .. "SELECT pg_read_file('/etc/passwd');", "dump.sql:6: permission denied for function pg_read_file" },
    { "large objects from files", TABLE .. "SELECT lo_import('/etc/passwd');", "dump.sql:6: permission denied for function lo_import" },
    { "COPY inside of a block", TABLE .. "DO $$ BEGIN COPY items TO '/tmp/x'; END $$;", "dump.sql:6: must be superuser" },
    { "native code", TABLE .. "LOAD 'dblink';", "dump.sql:6: refused on a scratch copy: Load" },
    { "a wish to be a superuser", TABLE .. "SET SESSION AUTHORIZATION gate_engine_scratch;", "permission denied to set session" },
    { "the engine's own roles", TABLE .. "ALTER ROLE gate_owner SUPERUSER;", "dump.sql:6: the role gate_owner is the scratch copy's own" },
    { "ROLLBACK", TABLE .. "ROLLBACK;", "dump.sql:6: ROLLBACK" },
    { "an archive", "PGDMP\1\2", "expected SQL text" },
    { "nothing", "-- nothing\n", "there is no statement" },
  }
  for _, case in ipairs(BROKEN) do
    it("refuses " .. case[1] .. ", exit 2, nothing evaluated", function()
      local r = gate { "--schema", schema(case[2]) }
      says(r, 2, case[3])
      assert.equal(2, r.report.exit_code)
      assert.equal(0, #r.report.gates[1].checks)
    end)
  end

  it("refuses migrations of which one is a link: nobody would look at what is behind it", function()
    local dir = support.tmpdir()
    support.write(dir .. "/m/001.sql", TABLE)
    support.write(dir .. "/real/002.sql", TABLE)
    for name, link in pairs { ["m/002.sql"] = "../real/002.sql", ["m/more"] = "../real", ["m/gone.sql"] = "nowhere" } do
      support.shell(("cd %s && ln -s %s %s"):format(support.quote(dir), link, name))
      local r = support.run { "run", "gates/rls_harness.lua", "--migrations", dir .. "/m", "--app-role", "app", "--tenant-column",
        "tenant_id", "--tenant-setting", "app.t" }
      assert.equal(2, r.code, r.stdout)
      support.has(r.stderr, "--migrations: expected files and directories, found a link or something else: ", dir .. "/" .. name)
      os.remove(dir .. "/" .. name)
    end
  end)

  it("keeps foreign code inside of its server, also where a superuser runs it", function()
    local dir = support.tmpdir()
    support.shell("chmod 777 " .. support.quote(dir))
    local function tried(sql) return ("BEGIN %s; done := done || true; EXCEPTION WHEN OTHERS THEN NULL; END;"):format(sql) end
    -- The constraint runs as whoever writes canaries: the superuser. Where a deed succeeds the row is refused, which the gate reports.
    local r = gate { "--schema", schema(([[
CREATE FUNCTION deed() RETURNS bool LANGUAGE plpgsql AS $f$ DECLARE done bool[] := '{}'; BEGIN
  %s %s %s %s
  IF session_user = 'gate_engine_scratch' AND pg_has_role('gate_engine_scratch', 'pg_execute_server_program', 'USAGE') THEN
    CREATE TABLE IF NOT EXISTS seen AS SELECT 1; END IF;
  RETURN cardinality(done) = 0; END $f$;
%s ALTER TABLE items ADD CHECK (deed());]]):format(
      tried(("COPY (SELECT 1) TO PROGRAM 'touch %s/program'"):format(dir)), tried(("COPY (SELECT 1) TO '%s/file'"):format(dir)),
      tried "PERFORM pg_read_file('/etc/hostname')",
      tried "CREATE EXTENSION IF NOT EXISTS dblink; PERFORM dblink_connect('host=/var/run/postgresql user=postgres')", TABLE)) }
    if not r.stderr:find("fewer rings", 1, true) then says(r, 0, "PASS - No cross-tenant leaks detected") end
    assert.is_nil(support.read(dir .. "/program"))
    assert.is_nil(support.read(dir .. "/file"))
  end)

  it("needs to know who the application is and what tells tenants apart", function()
    says(gate({ "--schema", schema(TABLE) }, {}), 2, "how does the schema tell tenants apart?", "--tenant-column")
    says(gate({ "--schema", schema(TABLE) }, { "--tenant-column", "org_id", "--tenant-setting", "app.tenant" }), 2,
      "which role is the application's?", "roles that the schema names: shop", "--app-role")
    says(gate({ "--schema", schema(TABLE) }, { "--app-role", "nobody", "--tenant-column", "org_id", "--tenant-setting", "app.tenant" }), 2,
      "the application's role nobody is nowhere in the schema")
  end)

  it("says what a role lacks that makes a schema, and takes that from the file", function()
    local makes = "create role maker; grant shop to maker; %s set role maker; create schema more; reset role;\n" .. TABLE
    says(gate { "--schema", schema(makes:format "") }, 2, "permission denied for database", "put GRANT CREATE ON DATABASE")
    says(gate { "--schema", schema(makes:format "grant create on database shop to maker;") }, 0, "PASS - No cross-tenant leaks detected")
  end)

  it("says that nothing reads the tenant setting, and what is read", function()
    local function with(setting) return { "--app-role", "shop", "--tenant-column", "org_id", "--tenant-setting", setting } end
    local words = { "--schema", schema(TABLE) }
    says(gate(words, with "app.tennant"), 1, "no policy and no function reads the tenant setting app.tennant", "they read app.tenant")
    local r = support.run { "run", "gates/rls_harness.lua", "--schema", words[2], "--tenant-setting", "tenant" }
    says(r, 2, "--tenant-setting: expected the name of a session setting with a dot in it")
    -- Nobody can tell what is put together when it runs.
    r = gate({ "--schema", schema(TABLE .. "create function other(t text) returns text language sql as "
      .. "$$ select current_setting('app.' || t, true) $$;") }, with "app.tennant")
    assert.is_nil(r.stdout:find("no policy and no function reads", 1, true), r.stdout)
  end)

  it("takes both from the configuration, whatever the environment says of databases", function()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "external", database = { app = { role = "shop" },
      tenant = { column = "org_id", setting = "app.tenant", table = "public.orgs" } } }]])
    local function run(text)
      return support.run { argv = { "run", "gates/rls_harness.lua", "--schema", schema(text) }, cwd = dir,
        env = { DATABASE_URL = "postgresql://nowhere.invalid/x", PGHOST = "nowhere.invalid" } }
    end
    local orgs = "create table orgs (id int primary key, plan text not null default 'free');\n"
    says(run(TABLE .. orgs), 0, "PASS - No cross-tenant leaks detected")
    says(run(TABLE), 3, 'database.tenant.table: there is no table "public.orgs"')
    -- Whose a tenant's own row is says its key.
    says(run(TABLE .. orgs .. "grant select, update on orgs to shop;"), 1, "RLS policy missing on table public.orgs",
      "public.orgs: update reaches 1 row(s) of another tenant")
  end)

  it("takes what is said of the database for itself, whatever its name is there", function()
    local r = gate { "--schema", schema("grant connect, temp on database saas_db to shop;\nrevoke all on database saas_db from public;\n"
      .. "alter database saas_db owner to shop_owner;\nalter database saas_db set app.tenant = '7';\n" .. TABLE) }
    says(r, 1, "every session of shop starts with app.tenant set to what may be a tenant: no row says that it is none")
    for _, nobody in ipairs { "0", "none" } do
      says(gate { "--schema", schema(("alter database x set app.tenant = '%s';\n"):format(nobody) .. TABLE) }, 0, "PASS")
    end
    says(gate { "--schema", schema("revoke connect on database saas_db from public;\n" .. TABLE) }, 3, "does not have CONNECT privilege")
  end)

  local WRONG = {
    { { "--schema", "nowhere.sql" }, '--schema: there is no "nowhere.sql"' },
    { { "--migrations", support.root .. "/Makefile" }, "of another kind than expected" },
    { { "--against", "x" }, "--against belongs to a scratch copy" },
    { { "--app-role", "x" }, "--app-role belongs to a scratch copy" },
    { { "--schema", "Makefile", "--migrations", "tests" }, "contradict each other" },
    { { "--schema", "Makefile", "--record", "x.jsonl" }, "--schema and --record contradict each other" },
  }
  for _, w in ipairs(WRONG) do
    it("refuses " .. table.concat(w[1], " "), function() says(gate(w[1], {}), 2, w[2]) end)
  end

  it("is for gate 1 alone", function()
    local r = support.run { argv = { "run", "scripts/all.lua", "--schema", "Makefile" } }
    says(r, 2, "scripts/all.lua does not look at a schema")
  end)
end)
