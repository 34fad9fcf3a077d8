-- The gates on a platform that is not the embedded one: a PostgreSQL with passwords, and pgbouncer between it and the application.
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local db = require "engine.db"
local servers = require "servers"
local support = require "support"

local SCHEMA = [[
  create role app_user login password 'app-password-1';
  create table public.items (id bigserial primary key, tenant_id uuid not null, name text not null);
  create table public.notes (id bigserial primary key, item_id bigint not null references items, tenant_id uuid not null, body text);
  grant select, insert, update, delete on items, notes to app_user;
  grant usage on all sequences in schema public to app_user;
  alter role postgres password 'admin-password-1';
]]

local PROTECT = [[
  alter table public.%s enable row level security;
  alter table public.%s force row level security;
  create policy tenant_isolation on public.%s
    using (tenant_id::text = current_setting('app.current_tenant_id', true))
    with check (tenant_id::text = current_setting('app.current_tenant_id', true));
]]

describe("an external platform", function()
  local postgres, direct

  --- A configuration whose application connects through `app`.
  local function configured(app)
    return support.write(support.tmpdir() .. "/gate-engine.conf.lua", ([[
      return {
        platform = "external",
        database = {
          admin = { url = env "TEST_ADMIN_URL" },
          app = { url = env "TEST_APP_URL" },
          tenant = { column = "tenant_id", setting = "app.current_tenant_id" },
        },
        artifacts = { kind = "local", path = %q },
      }]]):format(support.tmpdir())), {
      TEST_ADMIN_URL = postgres.url("postgres", "admin-password-1"), TEST_APP_URL = app,
    }
  end

  local function engine(app, ...)
    local path, env = configured(app)
    env.GATE_ENGINE_CONFIG = path
    return support.run { argv = { ... }, env = env }
  end

  setup(function()
    postgres = servers.postgres()
    postgres.sql(SCHEMA)
    direct = postgres.url("app_user", "app-password-1")
  end)

  teardown(servers.stop_all)

  before_each(function()
    for _, t in ipairs { "items", "notes" } do
      postgres.sql(("drop policy if exists tenant_isolation on public.%s"):format(t))
      postgres.sql((PROTECT:gsub("%%s", t)))
    end
  end)

  describe("gate 1", function()
    local ONLY = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage,isolation" }

    it("passes where every tenant's table is protected, and leaves no row behind", function()
      local r = engine(direct, table.unpack(ONLY))
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("  ✅ PASS - The selected checks passed\n", 1, true), r.stdout)
      assert.is_truthy((r.stderr:match "^[^\n]*external[^\n]*127%.0%.0%.1"), r.stderr)
      assert.equal("0 0", postgres.sql "select (select count(*) from items) || ' ' || (select count(*) from notes)")
    end)

    it("runs with the example's configuration", function()
      local r = support.run { argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage,isolation", "--config",
        support.root .. "/examples/configs/external.conf.lua" },
        env = { GATE_ADMIN_URL = postgres.url("postgres", "admin-password-1"), DATABASE_URL = direct } }
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("finds a policy that lets everyone in", function()
      postgres.sql "drop policy tenant_isolation on notes; create policy tenant_isolation on notes using (true)"
      local r = engine(direct, table.unpack(ONLY))
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - Cross-tenant leak detected", 1, true), r.stdout)
      assert.is_truthy(r.stdout:find("public.notes", 1, true))
    end)

    it("finds a table without row-level security", function()
      postgres.sql "alter table items disable row level security"
      local r = engine(direct, table.unpack(ONLY))
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - RLS policy missing on table public.items", 1, true), r.stdout)
    end)

    it("is an error for the code paths, which nobody recorded", function()
      local r = engine(direct, "run", "gates/rls_harness.lua", "--tenant", "acme")
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("⚠️ ERROR - ", 1, true))
    end)

    it("never shows a password, whatever happens", function()
      local path, env = configured(postgres.url("app_user", "not-the-password"))
      env.GATE_ENGINE_CONFIG = path
      local json = support.tmpdir() .. "/report.json"
      local r = support.run { env = env,
        argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--verbose", "--report", "json=" .. json } }
      assert.equal(3, r.code, r.stdout .. r.stderr)
      local all = r.stdout .. r.stderr .. support.must_read(json)
      assert.is_nil(all:find("not-the-password", 1, true))
      assert.is_nil(all:find("admin-password-1", 1, true))
    end)
  end)

  describe("gate 4", function()
    local function pool(app)
      return engine(app, "run", "gates/integrations_contract.lua", "--tenant", "acme", "--only", "database")
    end

    it("passes the pool of a server that clients reach directly", function()
      local r = pool(direct)
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("reaches a server by its name, with a password that has an @ in it", function()
      postgres.sql "alter role app_user password 'p@ss:word/1'"
      local r = pool((postgres.url("app_user", "p%40ss:word%2F1"):gsub("127%.0%.0%.1", "localhost")))
      postgres.sql "alter role app_user password 'app-password-1'"
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("sees a tenant's context pass from client to client behind pgbouncer in transaction mode", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" })
      local r = pool(bouncer.url("app_user", "app-password-1"))
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - Database pool: tenant context leaks", 1, true), r.stdout)
    end)

    it("leaves no setting of its own in the sessions that pgbouncer lends", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" })
      local CHECK = "show client_connection_check_interval"
      local through <close> = db.connect { url = bouncer.url("app_user", "app-password-1") }
      local beside <close> = db.connect { url = postgres.url("app_user", "app-password-1") }
      assert.equal("0", through:value(CHECK))
      assert.equal("1s", beside:value(CHECK))
    end)

    it("passes pgbouncer when it resets the session after each transaction", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" }, "server_reset_query_always = 1")
      local r = pool(bouncer.url("app_user", "app-password-1"))
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    local function assert_failed(r, text, detail)
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - Database pool: " .. text, 1, true), r.stdout)
      if detail then assert.is_truthy(r.stdout:find(detail, 1, true), r.stdout) end
    end

    it("says how many clients a pool serves at once, whose others wait and are served", function()
      for size, at_once in pairs { [1] = 1, [3] = 3, [20] = 8 } do
        local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" },
          ("server_reset_query_always = 1\ndefault_pool_size = %d"):format(size))
        local r = engine(bouncer.url("app_user", "app-password-1"), "run", "gates/integrations_contract.lua", "--tenant", "acme", "--only",
          "database", "--verbose")
        assert.equal(0, r.code, r.stdout .. r.stderr)
        assert.is_truthy(r.stdout:find(("clients_at_once: %d\n"):format(at_once), 1, true), r.stdout)
        assert.is_truthy(r.stdout:find('pool_tried: ["slow statement","idle client","killed backend"]', 1, true), r.stdout)
      end
    end)

    it("sees a session's tenant behind a pool that has a connection for each client", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" }, "default_pool_size = 20\nserver_round_robin = 1")
      assert_failed(pool(bouncer.url("app_user", "app-password-1")), "tenant context leaks")
    end)

    it("names a pool that takes no more clients", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" }, "max_client_conn = 3")
      assert_failed(pool(bouncer.url("app_user", "app-password-1")), "exhausted")
      postgres.sql "alter role app_user connection limit 3"
      local r = pool(direct)
      postgres.sql "alter role app_user connection limit -1"
      assert_failed(r, "exhausted")
    end)

    it("names sessions that cannot write: a standby, and a role whose sessions are read-only", function()
      assert_failed(pool(servers.standby(postgres).url("app_user", "app-password-1")), "read-only replica", "the server is a standby")
      postgres.sql "alter role app_user set default_transaction_read_only = on"
      local r = pool(direct)
      postgres.sql "alter role app_user reset default_transaction_read_only"
      assert_failed(r, "read-only", "default_transaction_read_only is on")
    end)

    it("names a server whose timeouts do not hold", function()
      postgres.sql [[create schema slow;
        create function slow.pg_sleep(s double precision) returns int language plpgsql as $$
          begin perform pg_catalog.pg_sleep(s); return 1; exception when query_canceled then return 1; end $$;
        grant usage on schema slow to app_user; alter role app_user set search_path = slow, pg_catalog, public]]
      local r = pool(direct)
      postgres.sql "alter role app_user reset search_path; drop schema slow cascade"
      assert_failed(r, "timeout", "went on for all of its statement_timeout")
    end)

    it("is an ERROR where nobody may end a backend of the pool's only connection", function()
      postgres.sql "create role watcher login password 'admin-password-1'"
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" }, "server_reset_query_always = 1")
      local path, env = configured(bouncer.url("app_user", "app-password-1"))
      env.GATE_ENGINE_CONFIG, env.TEST_ADMIN_URL = path, postgres.url("watcher", "admin-password-1")
      local r = support.run { env = env, argv = { "run", "gates/integrations_contract.lua", "--tenant", "acme", "--only", "database" } }
      postgres.sql "drop role watcher"
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("a killed backend was not tried", 1, true), r.stdout)
    end)

    it("names a refused login and a server that is not there", function()
      local r = pool(postgres.url("app_user", "wrong"))
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - Database pool: ", 1, true), r.stdout)
      r = pool("postgresql://app_user:x@127.0.0.1:1/postgres")
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - Database pool: connection refused", 1, true), r.stdout)
    end)
  end)
end)
