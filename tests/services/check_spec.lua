-- `check --connect` against a real server with passwords, and through pgbouncer.
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local servers = require "servers"
local support = require "support"

local SCHEMA = [[
  create role app_user login password 'app-password-1';
  alter role postgres password 'admin-password-1';
  create table items (id bigserial primary key, tenant_id uuid not null);
  grant select on items to app_user;
]]

describe("check --connect", function()
  local postgres

  setup(function()
    postgres = servers.postgres()
    postgres.sql(SCHEMA)
  end)
  teardown(servers.stop_all)

  local function check(admin, app)
    local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", [[return { platform = "external", database = {
      admin = { url = env "ADMIN" }, app = { url = env "APP" }, tenant = { column = "tenant_id", setting = "app.t" } } }]])
    local r = support.run { argv = { "check", "gates/rls_harness.lua", "--connect", "--config", config },
      env = { ADMIN = admin, APP = app } }
    r.all = r.stdout .. r.stderr
    assert.is_nil(r.all:find("-password-1", 1, true), r.all)
    return r
  end

  local function shows(r, code, ...)
    assert.equal(code, r.code, r.all)
    for _, part in ipairs { ... } do assert.is_truthy(r.all:find(part, 1, true), part .. " in\n" .. r.all) end
  end

  --- As check, with the application's role assumed by the admin.
  local function assumed(admin, ...)
    local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", [[return { platform = "external", database = {
      admin = { url = env "ADMIN" }, app = { role = "app_user" }, tenant = { column = "tenant_id", setting = "app.t" } } }]])
    local argv = { ... }
    table.move({ "--config", config }, 1, 2, #argv + 1, argv)
    local r = support.run { argv = argv, env = { ADMIN = admin } }
    r.all = r.stdout .. r.stderr
    return r
  end

  it("names the grant that lets the admin be the application", function()
    postgres.sql "create role reader login password 'reader-password-1'"
    shows(assumed(postgres.url("reader", "reader-password-1"), "check", "gates/rls_harness.lua", "--connect"), 2, "static (catalogue): yes",
      "read: no", 'fix: grant "app_user" to "reader"')
  end)

  it("says why a connection is refused, and nothing of a socket where there is none", function()
    shows(assumed(postgres.url("postgres", "another"), "check", "gates/rls_harness.lua", "--connect"), 2,
      'password authentication failed for user "postgres"')
    local r = assumed(postgres.url("postgres", "admin-password-1"), "check", "gates/rls_harness.lua", "--connect")
    shows(r, 0, "admin: to the server: no TLS")
    assert.is_nil(r.all:find("socket", 1, true), r.all)
  end)

  it("sees a standby, where a run reads and says why it did no more", function()
    local url = servers.standby(postgres).url("postgres", "admin-password-1")
    shows(assumed(url, "check", "gates/rls_harness.lua", "--connect"), 2, "full (canaries): no", "the server is a standby")
    local r = assumed(url, "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage,isolation")
    assert.is_truthy(r.stdout:find("ERROR - the server is a standby, where no canary can be written", 1, true), r.all)
    assert.is_nil(r.stdout:find("database.fixtures", 1, true), r.all)
  end)

  it("says that a connection has no TLS", function()
    local r = check(postgres.url("postgres", "admin-password-1"), postgres.url("app_user", "app-password-1"))
    shows(r, 0, "app: to the server: no TLS")
    assert.is_nil(r.all:find("pooler", 1, true), r.all)
  end)

  for mode, told in pairs { transaction = "reaches the pool's next client", session = "in session mode" } do
    it("sees pgbouncer in " .. mode .. " mode before the application", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" }, "default_pool_size = 5\npool_mode = " .. mode)
      local r = check(postgres.url("postgres", "admin-password-1"), bouncer.url("app_user", "app-password-1"))
      shows(r, 0, "app: a pooler is in between, in " .. mode .. " mode", told)
    end)
  end

  it("refuses a pool of transactions before the admin", function()
    local bouncer = servers.pgbouncer(postgres, { postgres = "admin-password-1" })
    shows(check(bouncer.url("postgres", "admin-password-1"), postgres.url("app_user", "app-password-1")), 2,
      "missing: admin goes through a pooler in transaction mode")
  end)

  it("is not needed for a run to refuse it, before it takes a lock that nobody gives back", function()
    local bouncer = servers.pgbouncer(postgres, { postgres = "admin-password-1" })
    local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", [[return { platform = "external", database = {
      admin = { url = env "ADMIN" }, app = { url = env "APP" }, tenant = { column = "tenant_id", setting = "app.t" } } }]])
    local r = support.run { argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "coverage,isolation",
        "--config", config },
      env = { ADMIN = bouncer.url("postgres", "admin-password-1"), APP = postgres.url("app_user", "app-password-1") } }
    assert.equal(3, r.code, r.stdout)
    assert.is_truthy(r.stdout:find("database.admin goes through a pooler in transaction mode", 1, true), r.stdout)
    assert.equal("0", postgres.sql "select count(*) from pg_locks where locktype = 'advisory'")
  end)
end)
