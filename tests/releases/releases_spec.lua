-- Gate 1 on the other releases of PostgreSQL that are meant, 13 to 17: the reference platform, embedded and as an external database, and
-- those cases of the corpus that speak of what differs between them. The servers are npm's (fetch.sh); without them these are skipped.
package.path = "tests/rls/support/?.lua;tests/lua/support/?.lua;tests/e2e/?.lua;" .. package.path
local corpus = require "corpus"
local db = require "engine.db"
local dialect = require "rls.dialect"
local json = require "engine.json"
local pg = require "pg"
local support = require "support"

local RELEASES = { 13, 14, 16, 17 }

--- The first release that the engine starts itself: client_connection_check_interval is of 14.
local EMBEDDED = 14

--- Roles and memberships, views, upserts and MERGE, functions, statistics, publications; and each way in which canaries are made.
local CASES = { "advisory/large_object", "advisory/unique_oracle", "clean/canonical", "clean/hard_constraints", "clean/helper_functions",
  "clean/maintain_granted", "clean/merge_own", "clean/partitioned", "clean/role_held_without_use", "clean/roles_without_rights",
  "clean/upsert", "clean/view_invoker", "leaky/function_definer_parameter", "leaky/merge_takeover", "leaky/policy_default_role_setting",
  "leaky/policy_user_set_role", "leaky/publication_exposes", "leaky/role_creates_roles", "leaky/role_grants_itself",
  "leaky/role_owns_table_noinherit", "leaky/role_reads_all_data", "leaky/role_set_role_bypass", "leaky/statistics_exposed",
  "leaky/trigger_copies", "leaky/upsert_takeover", "leaky/view_owner_rights", "leaky/view_upsert", "real/django" }

local fetched = support.build .. "/releases"
local missing = support.read(fetched .. "/missing")

local function bin_of(major) return ("%s/%d/bin"):format(fetched, major) end

describe("a query of the catalogue", function()
  it("is said in the words of each release", function()
    assert.equal("pg_has_role($1, 1, 'MEMBER')", dialect.translate(150000, "pg_has_role($1, 1, {become})"))
    assert.equal("pg_has_role($1, 1, 'USAGE, SET, MEMBER WITH ADMIN OPTION')", dialect.translate(160000, "pg_has_role($1, 1, {become})"))
    assert.equal("f.prosrc, false", dialect.translate(130000, "{body f}, {parsed f}"))
    assert.equal("coalesce(pg_get_function_sqlbody(f.oid), f.prosrc)", dialect.translate(140000, "{body f}"))
    assert.equal("'{0}' '{}' '{id}'", dialect.translate(130000, "'{0}' '{}' '{id}'"))
  end)
end)

for _, major in ipairs(RELEASES) do
  describe(("PostgreSQL %d"):format(major), function()
    if missing then
      pending("is not here: " .. missing)
      return
    end

    local bin = bin_of(major)

    it("has gate 1 pass the reference platform that the engine starts", function()
      if major < EMBEDDED then pending("the engine's own server is one of 14 or later") end
      local r = support.run { argv = { "run", "gates/rls_harness.lua" }, env = { GATE_ENGINE_PG_BIN = bin } }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.truthy(r.stdout:find("✅ PASS - No cross-tenant leaks detected", 1, true), r.stdout)
    end)

    describe("with the reference platform's schema as an external database", function()
      local server

      setup(function()
        server = pg.start(nil, nil, bin)
        local conn <close> = db.connect(server:options())
        conn:script "create database platform"
        local files = io.popen "ls stdlib/platform/migrations/*.sql"
        local platform <close> = db.connect(server:options { dbname = "platform" })
        for path in files:lines() do platform:script(support.read(path)) end
        files:close()
        platform:script [[create role keeper login; grant platform_owner, app_user to keeper;
          grant all on schema public, core, platform to keeper; grant connect, temporary on database platform to keeper;
          insert into core.tenants (code, name) values ('acme', 'Acme')]]
      end)

      teardown(function() if server then server:stop() end end)

      local function gate(admin, verb)
        local function url(user) return ("postgresql://%s@/platform?host=%s&port=%d"):format(user, server.host, server.port) end
        local dir = support.tmpdir()
        local config = support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
          admin = { url = %q }, app = { url = %q }, shared = { "platform.required_audits" },
          tenant = { column = "tenant_id", setting = "app.current_tenant_id", table = "core.tenants", key = "id" } } }]]):format(url(admin),
          url "app_user"))
        local r = support.run { argv = { verb or "run", "gates/rls_harness.lua", "--tenant", "acme", "--config", config, "--only",
          "coverage,isolation", "--report", "json=" .. dir .. "/report.json" } }
        return r, json.decode(support.must_read(dir .. "/report.json"))
      end

      it("has the recovery propose what the release knows", function()
        local platform <close> = db.connect(server:options { dbname = "platform" })
        platform:script "create view public.wide as select raw_text from public.tours_raw; grant select on public.wide to app_user"
        local r = gate("postgres", "recover")
        platform:script "drop view public.wide"
        local proposes = r.stdout:find("SET (security_invoker = true)", 1, true) ~= nil
        assert.equal(major >= 15, proposes, r.stdout .. r.stderr)
        -- Where no view reads as its reader, it can still test the tenant itself.
        assert.equal(major < 15, r.stdout:find('CREATE OR REPLACE VIEW "public"."wide" WITH (security_barrier = true)', 1, true) ~= nil,
          r.stdout)
      end)

      for _, admin in ipairs { "postgres", "keeper" } do
        it(("has it pass for %s"):format(admin), function()
          local r, report = gate(admin)
          assert.equal(0, r.code, r.stdout .. r.stderr)
          assert.equal("PASS", report.gates[1].status)
        end)
      end
    end)

    describe("with the corpus", function()
      local runs, known, only = nil, corpus.known "tests/rls/known_misses.txt", {}
      for _, name in ipairs(CASES) do only[name] = true end

      setup(function() runs = corpus.run { gate = true, only = only, bin = bin } end)

      for _, name in ipairs(CASES) do
        it("judges " .. name, function()
          local r = assert(runs[name], "it was not run")
          if r.left_out then pending(r.left_out) end
          for _, variant in ipairs { "", "+fix" } do
            r = runs[name .. variant]
            if r and not r.left_out then
              assert.same({}, r.problems)
              assert.is_nil(corpus.contradiction(name .. variant, r.outcome, r.closed and {} or known))
            end
          end
        end)
      end
    end)
  end)
end
