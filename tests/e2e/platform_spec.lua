-- The embedded platform, kept by `gate-engine platform start`: its verbs, and what its database holds and refuses.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"
local db = require "engine.db"

-- A state of its own: a kept server would serve other specs' runs too.
local STATE = support.tmpdir() .. "/state"

local function platform(argv, options)
  local run = { argv = { "platform", table.unpack(argv) }, env = { GATE_ENGINE_STATE = STATE } }
  for name, value in pairs(options or {}) do
    if name == "env" then
      for k, v in pairs(value) do
        run.env[k] = v
      end
    else
      run[name] = value
    end
  end
  return support.run(run)
end

local function must(argv, options)
  local r = platform(argv, options)
  assert.equal(0, r.code, r.command .. "\n" .. r.stdout .. r.stderr)
  return r.stdout
end

local function socket_dir()
  return (must { "status" }:match "socket: ([^,]+), port 5432, database platform\n")
end

local connections = {}

--- A connection as one of the platform's roles.
local function as(user)
  local conn = db.connect { host = socket_dir(), port = 5432, dbname = "platform", user = user }
  connections[#connections + 1] = conn
  return conn
end

--- The statement must be refused, with this SQLSTATE.
local function refused(sqlstate, conn, sql, ...)
  local ok, e = pcall(conn.query, conn, sql, ...)
  assert.is_false(ok, "accepted: " .. sql)
  assert.equal(sqlstate, e.sqlstate, tostring(e) .. "\n" .. sql)
  return e
end

local count = 0

--- A new tenant's id and code.
local function tenant(status)
  count = count + 1
  local code = ("tenant%d"):format(count)
  local id = as "platform_admin":value(
    "insert into core.tenants (code, name, status) values ($1, $1, $2) returning id", code, status or "onboarding")
  return id, code
end

local H = ("0123456789abcdef"):rep(4)

local function row(sql_of)
  return function(conn, ...)
    return conn:value(sql_of, ...)
  end
end

local create_forecast = row "select platform.create_forecast($1::uuid, 'spec', $2, $3, $4, $4)"
local expand_forecast = row "select platform.expand_forecast($1::uuid, $2::uuid, $3)"
local store_plan = row "select platform.store_plan($1::uuid, $2::uuid, 94, $4, $4, $3)"
local record_audit = row "select platform.record_audit($1::uuid, $2::uuid, $3, $4, '{}')"
local lock_plan = row "select platform.lock_plan($1::uuid, $2::uuid, 'approver')"
local read_plan = row "select platform.read_plan($1::uuid, $2::uuid)"

local AUDITS = { "coverage", "overlap", "rest", "span_regular", "span_split", "fatigue", "weekly_max" }

local function lines(status)
  return db.json { { line_no = 1, raw_text = "Mo 06:00-14:00 2 Fahrer", status = status or "PASS" } }
end

local function templates(n)
  return db.json { { line_no = 1, day = 1, start_ts = 360, end_ts = 840, duration_min = 480, work_hours = 8,
    tour_fingerprint = "f1", count = n or 2 } }
end

local function instances(n)
  local list = {}
  for i = 1, n or 2 do
    list[i] = { id = "i" .. i, tour_fingerprint = "f1", instance_number = i, day = 1, start_min = 360, end_min = 840 }
  end
  return db.json(list)
end

local function assignments(...)
  local list = {}
  for i, instance in ipairs { ... } do
    list[i] = { driver_id = "D" .. i, tour_instance_id = instance, day = 1, block_id = ("D%d-1"):format(i), block_type = "1er" }
  end
  return db.json(list)
end

--- A tenant's plan, stored through the application's code paths: DRAFT, or LOCKED.
local function plan(app, id, locked)
  local forecast = create_forecast(app, id, lines(), templates(), H)
  assert.equal(2, expand_forecast(app, id, forecast, instances()))
  local plan_id = store_plan(app, id, forecast, assignments("i2", "i1"), H)
  if locked then
    for _, audit in ipairs(AUDITS) do
      record_audit(app, id, plan_id, audit, "PASS")
    end
    assert.equal("LOCKED", lock_plan(app, id, plan_id))
  end
  return plan_id, forecast
end

local function state(conn, id)
  conn:query("select set_config('app.current_tenant_id', $1, false)", id)
end

describe("gate-engine platform", function()
  setup(function()
    must { "start" }
  end)

  after_each(function()
    for _, conn in ipairs(connections) do
      conn:close()
    end
    connections = {}
  end)

  teardown(function()
    platform { "stop" }
  end)

  it("is free again after a script that slept on a lock", function()
    local dir = support.tmpdir()
    local script = support.write(dir .. "/holds.lua", [[return require("gate").define {
      api = 1, id = "holds", name = "Holds", purpose = "a test", pass = "Fine", needs = { db = { "admin" } },
      failures = { odd = { text = "odd", fix = "none" } },
      run = function(ctx)
        ctx:check("lock", function()
          ctx.db.admin:transaction(function(conn)
            conn:exec "lock table core.tenants in access exclusive mode"
            conn:exec "select pg_sleep(1000)"
          end)
        end)
      end }]])
    local r = support.run { argv = { "run", script, "--config", support.write(dir .. "/gate-engine.conf.lua",
      "return { limits = { scripts = { holds = { wall_s = 1 } } } }") }, env = { GATE_ENGINE_STATE = STATE } }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    -- What waits for the lock gets it once the server has noticed that nobody is there any more.
    local conn = as "postgres"
    conn:exec "set statement_timeout = '30s'"
    assert.equal(1, conn:value "select 1 from core.tenants limit 1")
  end)

  describe("without a kept server", function()
    local empty = { env = { GATE_ENGINE_STATE = support.tmpdir() .. "/state" } }

    it("says that none runs, with exit code 1", function()
      local r = platform({ "status" }, empty)
      assert.equal(1, r.code)
      assert.equal("not running\n", r.stdout)
    end)

    it("has nothing to stop, which is no failure", function()
      local r = platform({ "stop" }, empty)
      assert.equal(0, r.code)
      assert.equal("not running\n", r.stdout)
    end)

    it("refuses psql and reset with exit code 2 and says how to start one", function()
      for _, verb in ipairs { "psql", "reset" } do
        local r = platform({ verb }, empty)
        assert.equal(2, r.code)
        assert.equal("", r.stdout)
        assert.truthy(r.stderr:find("fix: start one with `gate-engine platform start`", 1, true), r.stderr)
      end
    end)
  end)

  describe("usage", function()
    it("names what a misspelt verb may have meant", function()
      local r = platform { "statsu" }
      assert.equal(2, r.code)
      assert.truthy(r.stderr:find('did you mean "status"', 1, true), r.stderr)
    end)

    it("refuses arguments to verbs that take none", function()
      local r = platform { "stop", "now" }
      assert.equal(2, r.code)
      assert.truthy(r.stderr:find("now", 1, true), r.stderr)
    end)

    it("explains itself on standard output", function()
      assert.truthy(must({ "--help" }):find("start|stop|status|psql", 1, true))
    end)
  end)

  describe("PostgreSQL not installed", function()
    it("is an error that says how to install it", function()
      local r = platform({ "start" }, { env = { GATE_ENGINE_PG_BIN = "/nonexistent", GATE_ENGINE_STATE = support.tmpdir() } })
      assert.equal(3, r.code)
      assert.truthy(r.stderr:find("GATE_ENGINE_PG_BIN", 1, true), r.stderr)
    end)
  end)

  describe("start", function()
    it("finds the server that runs already", function()
      local before = must { "status" }
      local again = must { "start" }
      assert.equal(before:match "process %d+", again:match "process %d+")
      assert.truthy(again:find("^running already: PostgreSQL %d+"))
    end)
  end)

  describe("psql", function()
    it("connects as the superuser, passes its arguments on and its exit code back", function()
      assert.equal("postgres|platform\n", must { "psql", "-X", "-Atc", "select current_user, current_database()" })
      assert.equal(3, platform({ "psql", "-X", "-v", "ON_ERROR_STOP=1" }, { stdin = "select nonsense;\n" }).code)
    end)

    it("reads standard input", function()
      assert.equal("42\n", must({ "psql", "-X", "-At" }, { stdin = "select 6 * 7;\n" }))
    end)

    it("is not led elsewhere by PG variables", function()
      local env = { PGHOST = "192.0.2.1", PGPORT = "1", PGUSER = "nobody", PGDATABASE = "none", PGOPTIONS = "-c role=app_user" }
      assert.equal("postgres\n", must({ "psql", "-X", "-Atc", "select current_user" }, { env = env }))
    end)
  end)

  describe("reset", function()
    it("gives the first state back on the same socket", function()
      local before = socket_dir()
      must { "psql", "-X", "-q", "-c", "drop policy tenant_isolation on public.assignments; drop owned by app_user" }
      must { "psql", "-X", "-q", "-c", "create table public.planted (id int)" }
      must { "reset" }
      assert.equal(before, socket_dir())
      assert.equal("t|t|1\n", must { "psql", "-X", "-Atc",
        "select to_regclass('public.planted') is null, has_table_privilege('app_user', 'public.assignments', 'INSERT')," ..
        " count(*) from pg_policies where tablename = 'assignments'" })
    end)
  end)

  describe("tenants and keys", function()
    it("takes both INSERT statements of the onboarding document as written, as operator and as superuser", function()
      local record = [[
INSERT INTO core.tenants (code, name, status, settings)
VALUES (
    'new_tenant',
    'New Tenant Inc.',
    'onboarding',
    '{"packs": ["roster"], "features": ["basic"]}'
);
]]
      local key = [[
INSERT INTO tenants (name, api_key, is_active)
VALUES (
    'new_tenant',
    'sk_live_' || encode(gen_random_bytes(32), 'hex'),
    true
);
]]
      for _, user in ipairs { "platform_admin", "postgres" } do
        local conn = as(user)
        conn:script(record .. key)
        assert.equal("onboarding", conn:value "select status from core.tenants where code = 'new_tenant'")
        assert.truthy(conn:value("select api_key from tenants where name = 'new_tenant'"):find("^sha256:%x+$"))
        conn:script "delete from tenants where name = 'new_tenant'; delete from core.tenants where code = 'new_tenant'"
      end
    end)

    it("stores no key in clear, whether it is inserted, updated or upserted, in any replication role", function()
      local admin, _, code = as "postgres", tenant()
      local keys = { "first key in clear", "second key in clear", "third key in clear", "fourth key in clear" }
      admin:exec("insert into tenants (name, api_key) values ($1, $2)", code, keys[1])
      admin:exec("update tenants set api_key = $2 where name = $1", code, keys[2])
      assert.equal(code, admin:value("select tenant_code from platform.authenticate($1)", keys[2]))
      admin:exec("insert into tenants (name, api_key) values ($1, $2) on conflict (name) do update set api_key = excluded.api_key",
        code, keys[3])
      assert.equal(code, admin:value("select tenant_code from platform.authenticate($1)", keys[3]))
      admin:exec "set session_replication_role = replica"
      admin:exec("update tenants set api_key = $2 where name = $1", code, keys[4])
      assert.equal(code, admin:value("select tenant_code from platform.authenticate($1)", keys[4]))
      for _, key in ipairs(keys) do
        assert.equal(0, admin:value("select count(*) from tenants t where strpos(t::text, $1) > 0", key))
      end
    end)

    it("authenticates an issued key, and no other", function()
      local admin, app, id, code = as "platform_admin", as "app_user", tenant()
      local key = admin:value("select platform.issue_api_key($1)", code)
      assert.truthy(key:find("^sk_live_%x+$"))
      assert.same({ tenant_code = code, tenant_id = id }, app:row("select * from platform.authenticate($1)", key))
      local stored = admin:value("select api_key from tenants where name = $1", code)
      for _, wrong in ipairs { key .. "0", key:sub(1, -2), key:upper(), "", " ", stored, "%", db.null } do
        assert.is_nil(app:row("select * from platform.authenticate($1::text)", wrong))
      end
    end)

    it("refuses a key that was revoked or replaced, and those of suspended and archived tenants", function()
      local admin, app, _, code = as "platform_admin", as "app_user", tenant()
      local function accepted(key)
        return app:row("select * from platform.authenticate($1)", key) ~= nil
      end
      local first = admin:value("select platform.issue_api_key($1)", code)
      local second = admin:value("select platform.issue_api_key($1)", code)
      assert.is_false(accepted(first))
      assert.is_true(accepted(second))
      for _, status in ipairs { "suspended", "archived" } do
        admin:exec("update core.tenants set status = $2 where code = $1", code, status)
        assert.is_false(accepted(second))
      end
      admin:exec("update core.tenants set status = 'active' where code = $1", code)
      assert.is_true(accepted(second))
      assert.is_true(admin:value("select platform.revoke_api_key($1)", code))
      assert.is_false(accepted(second))
      assert.is_false(admin:value("select platform.revoke_api_key($1)", code))
    end)

    it("gives the application no way to the keys but that one", function()
      local app = as "app_user"
      refused("42501", app, "select * from public.tenants")
      refused("42501", app, "insert into public.tenants (name, api_key) values ('x', 'sixteen characters at least')")
      refused("42501", app, "select platform.issue_api_key('x')")
      refused("42501", app, "select platform.revoke_api_key('x')")
      refused("42501", app, "set role platform_owner")
      refused("42501", app, "set role platform_admin")
      refused("42501", app, "create table public.mine (id int)")
    end)

    it("refuses codes and keys that cannot be meant", function()
      local admin = as "platform_admin"
      for _, code in ipairs { "", "a b", "-x", ("x"):rep(64), "ä", "a'b" } do
        refused("23514", admin, "insert into core.tenants (code, name) values ($1, 'x')", code)
      end
      refused("22023", admin, "insert into tenants (name, api_key) values ('short', 'short')")
      refused("PL404", admin, "select platform.issue_api_key('nobody')")
    end)
  end)

  describe("row-level security", function()
    it("is enabled and forced with one strict policy on every table that has a tenant_id", function()
      local tables = as "postgres":query [[
        select c.oid::regclass::text as name, c.relrowsecurity and c.relforcerowsecurity as forced, pg_get_userbyid(c.relowner) as owner,
               (select count(*) from pg_policy p where p.polrelid = c.oid) as policies,
               (select bool_and(p.polcmd = '*' and p.polroles = '{0}'
                                and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid)
                                and pg_get_expr(p.polqual, p.polrelid) = e.expected)
                  from pg_policy p,
                       (select '((tenant_id)::text = current_setting(''app.current_tenant_id''::text, true))' as expected) e
                 where p.polrelid = c.oid) as strict
          from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
         where c.relkind in ('r', 'p') and a.attnotnull
           and c.relnamespace in ('public'::regnamespace, 'core'::regnamespace, 'platform'::regnamespace) ]]
      assert.is_true(#tables >= 14, #tables)
      for _, t in ipairs(tables) do
        assert.is_true(t.forced, t.name)
        assert.equal("platform_owner", t.owner, t.name)
        assert.equal(1, t.policies, t.name)
        assert.is_true(t.strict, t.name)
      end
    end)

    it("leaves nothing for the document's own query to find", function()
      assert.equal(0, #as "postgres":query [[
        SELECT tablename FROM pg_tables WHERE schemaname='public'
           AND tablename NOT IN (SELECT tablename FROM pg_policies WHERE schemaname='public') ]])
    end)

    it("hides one tenant's rows from another, from nobody and from a malformed one", function()
      local app, a, b = as "app_user", tenant(), tenant()
      local tables = { "forecast_versions", "tours_raw", "tours_normalized", "tour_instances", "plan_versions", "assignments" }
      plan(app, a)
      plan(app, b)
      for _, name in ipairs(tables) do
        state(app, a)
        assert.is_true(app:value(("select count(*) from public.%s"):format(name)) > 0, name)
        assert.equal(0, app:value(("select count(*) from public.%s where tenant_id = $1"):format(name), b), name)
        for _, other in ipairs { "", "*", "null", a:upper(), a .. " " } do
          state(app, other)
          assert.equal(0, app:value(("select count(*) from public.%s"):format(name)), name .. " as " .. other)
        end
      end
      local fresh = as "app_user"
      for _, name in ipairs(tables) do
        assert.equal(0, fresh:value(("select count(*) from public.%s"):format(name)), name)
      end
    end)

    it("lets nobody write, move or take over another tenant's rows", function()
      local app, a, b = as "app_user", tenant(), tenant()
      local _, forecast_b = plan(app, b)
      plan(app, a)
      state(app, a)
      refused("42501", app, "insert into public.forecast_versions (tenant_id, input_hash, parser_config_hash) values ($1, $2, $2)", b, H)
      refused("42501", app, "update public.forecast_versions set tenant_id = $1", b)
      refused("23503", app, "insert into public.tours_raw (tenant_id, forecast_version_id, line_no, raw_text) values ($1, $2, 9, 'x')",
        a, forecast_b)
      app:exec "delete from public.forecast_versions"
      local admin = as "postgres"
      assert.equal(0, admin:value("select count(*) from public.forecast_versions where tenant_id = $1", a))
      assert.equal(1, admin:value("select count(*) from public.forecast_versions where tenant_id = $1", b))
    end)

    it("holds for the owner of the tables as well", function()
      local operator, app, a = as "platform_admin", as "app_user", tenant()
      plan(app, a)
      operator:exec "set role platform_owner"
      assert.equal(0, operator:value "select count(*) from public.plan_versions")
    end)
  end)

  describe("code paths", function()
    it("store, expand, plan and read back, and forget the tenant with the transaction", function()
      local app, a = as "app_user", tenant()
      local plan_id, forecast = plan(app, a)
      local read = read_plan(app, a, plan_id)
      assert.equal("DRAFT", read.status)
      assert.equal(94, read.seed)
      assert.equal(forecast, read.forecast_version_id)
      assert.same({ "i2", "i1" }, { read.assignments[1].tour_instance_id, read.assignments[2].tour_instance_id })
      assert.equal(0, app:value "select count(*) from public.plan_versions")
    end)

    it("each state the tenant before anything else", function()
      local bodies = as "postgres":query [[
        select p.oid::regprocedure::text as name, p.prosrc, p.prosecdef from pg_proc p
         where p.pronamespace = 'platform'::regnamespace
           and p.proname in ('create_forecast', 'expand_forecast', 'store_plan', 'record_audit', 'lock_plan', 'read_plan') ]]
      assert.equal(6, #bodies)
      for _, f in ipairs(bodies) do
        assert.is_false(f.prosecdef, f.name)
        assert.truthy(f.prosrc:find "\nbegin\n  perform set_config%('app.current_tenant_id', p_tenant::text, true%);", f.name)
      end
    end)

    it("do not reach another tenant's rows", function()
      local app, a, b = as "app_user", tenant(), tenant()
      local plan_b, forecast_b = plan(app, b)
      refused("PL404", app, "select platform.read_plan($1::uuid, $2::uuid)", a, plan_b)
      refused("PL404", app, "select platform.lock_plan($1::uuid, $2::uuid, 'me')", a, plan_b)
      refused("PL404", app, "select platform.record_audit($1::uuid, $2::uuid, 'rest', 'PASS', '{}')", a, plan_b)
      refused("PL404", app, "select platform.expand_forecast($1::uuid, $2::uuid, '[]')", a, forecast_b)
      refused("PL404", app, "select platform.store_plan($1::uuid, $2::uuid, 1, $3, $3, '[]')", a, forecast_b, H)
    end)

    it("refuse what does not fit together", function()
      local app, a = as "app_user", tenant()
      local create = "select platform.create_forecast($1::uuid, 'spec', $2, $3, $4, $4)"
      refused("PL422", app, create, a, lines(), templates(), "no hash")
      refused("PL422", app, create, a, db.json { x = 1 }, templates(), H)
      local failing = create_forecast(app, a, lines "FAIL", templates(), H)
      refused("PL409", app, "select platform.expand_forecast($1::uuid, $2::uuid, $3)", a, failing, instances())
      local forecast = create_forecast(app, a, lines(), templates(3), H)
      refused("PL422", app, "select platform.expand_forecast($1::uuid, $2::uuid, $3)", a, forecast, instances(2))
      assert.equal(3, expand_forecast(app, a, forecast, instances(3)))
      refused("PL409", app, "select platform.expand_forecast($1::uuid, $2::uuid, $3)", a, forecast, instances(3))
      refused("PL422", app, "select platform.store_plan($1::uuid, $2::uuid, 1, $4, $4, $3)", a, forecast, assignments "i9", H)
    end)
  end)

  describe("the lock", function()
    it("is refused until the latest result of each of the seven audits is PASS", function()
      local app, a = as "app_user", tenant()
      local plan_id = plan(app, a)
      local lock = "select platform.lock_plan($1::uuid, $2::uuid, 'me')"
      for i, audit in ipairs(AUDITS) do
        local e = refused("PL409", app, lock, a, plan_id)
        assert.truthy(e.message:find(audit .. " (not run)", 1, true), e.message)
        record_audit(app, a, plan_id, audit, i % 2 == 0 and "FAIL" or "ERROR")
        record_audit(app, a, plan_id, audit, "PASS")
      end
      record_audit(app, a, plan_id, "rest", "FAIL")
      assert.truthy(refused("PL409", app, lock, a, plan_id).message:find("rest (FAIL)", 1, true))
      record_audit(app, a, plan_id, "rest", "PASS")
      refused("PL409", app, "select platform.lock_plan($1::uuid, $2::uuid, ' ')", a, plan_id)
      assert.equal("LOCKED", lock_plan(app, a, plan_id))
      local read = read_plan(app, a, plan_id)
      assert.equal("LOCKED", lock_plan(app, a, plan_id))
      assert.same(read, read_plan(app, a, plan_id))
      assert.equal("approver", read.locked_by)
      assert.truthy(read.locked_at:find "^%d%d%d%d%-%d%d%-%d%dT")
    end)

    it("cannot be set past the audits by writing the row", function()
      local app, a = as "app_user", tenant()
      local plan_id, forecast = plan(app, a)
      for _, conn in ipairs { app, as "postgres" } do
        state(conn, a)
        refused("PL409", conn, "update public.plan_versions set status = 'LOCKED', locked_at = now(), locked_by = 'me' where id = $1",
          plan_id)
        refused("PL409", conn, [[insert into public.plan_versions (tenant_id, forecast_version_id, seed, solver_config_hash, output_hash,
          status, locked_at, locked_by) values ($1, $2, 1, $3, $3, 'LOCKED', now(), 'me')]], a, forecast, H)
      end
    end)

    it("says nothing of another tenant's plan to who makes his own that one", function()
      local app, a, b = as "app_user", tenant(), tenant()
      local plan_b, plan_a = plan(app, b), plan(app, a)
      record_audit(app, b, plan_b, "rest", "FAIL")
      state(app, a)
      local e = refused("PL409", app, "update public.plan_versions set status = 'LOCKED', tenant_id = $1, id = $2 where id = $3", b, plan_b,
        plan_a)
      assert.is_nil(e.message:find("FAIL", 1, true), e.message)
      assert.truthy(e.message:find("keeps its id", 1, true), e.message)
    end)

    it("refuses every role every change of a locked plan and of its assignments", function()
      local app, a = as "app_user", tenant()
      local plan_id, forecast = plan(app, a, true)
      local replica = as "postgres"
      replica:exec "set session_replication_role = replica"
      for _, conn in ipairs { app, as "platform_admin", as "postgres", replica } do
        state(conn, a)
        for _, change in ipairs {
          "update public.plan_versions set seed = seed where id = $1",
          "update public.plan_versions set status = 'DRAFT' where id = $1",
          "delete from public.plan_versions where id = $1",
          "update public.assignments set driver_id = 'D9' where plan_version_id = $1",
          "delete from public.assignments where plan_version_id = $1",
          "insert into public.assignments (tenant_id, plan_version_id, forecast_version_id, driver_id, tour_instance_id, day, block_id,"
            .. " block_type) select tenant_id, plan_version_id, forecast_version_id, 'D9', tour_instance_id, day, 'x', block_type"
            .. " from public.assignments where plan_version_id = $1",
        } do
          refused("PL423", conn, change, plan_id)
        end
        for _, change in ipairs {
          "update public.tour_instances set end_min = end_min + 1 where forecast_version_id = $1",
          "update public.forecast_versions set input_hash = repeat('0', 64) where id = $1",
          "insert into public.tour_instances (id, tenant_id, forecast_version_id, template_id, day, start_min, end_min) select id || 'x',"
            .. " tenant_id, forecast_version_id, template_id, day, start_min, end_min from public.tour_instances"
            .. " where forecast_version_id = $1",
        } do
          refused("PL423", conn, change, forecast)
        end
        if conn ~= replica then -- foreign keys do not cascade there
          refused("PL423", conn, "delete from public.forecast_versions where id = $1", forecast)
        end
      end
      for _, conn in ipairs { as "platform_admin", as "postgres", replica } do
        refused("PL423", conn, "truncate public.assignments")
        refused("PL423", conn, "truncate public.plan_versions cascade")
        refused("PL423", conn, "truncate core.tenants cascade")
      end
      refused("42501", app, "truncate public.assignments")
      assert.equal(2, #read_plan(app, a, plan_id).assignments)
    end)

    it("refuses to move assignments into or out of a locked plan", function()
      local app, a = as "app_user", tenant()
      local locked, forecast = plan(app, a, true)
      local draft = store_plan(app, a, forecast, assignments "i1", H)
      state(app, a)
      refused("PL423", app, "update public.assignments set plan_version_id = $1 where plan_version_id = $2", locked, draft)
      refused("PL423", app, "update public.assignments set plan_version_id = $2 where plan_version_id = $1", locked, draft)
    end)

    it("guards even a tenant whose policies are broken", function()
      local admin, app, a, b = as "postgres", as "app_user", tenant(), tenant()
      local plan_b = plan(app, b, true)
      admin:exec "create policy planted on public.assignments using (true)"
      state(app, a)
      refused("PL423", app, "delete from public.assignments where plan_version_id = $1", plan_b)
      admin:exec "drop policy planted on public.assignments"
    end)

    it("leaves draft plans free", function()
      local app, a = as "app_user", tenant()
      local draft = plan(app, a)
      state(app, a)
      assert.equal(2, app:exec("update public.assignments set driver_id = 'D7' where plan_version_id = $1", draft))
      assert.equal(1, app:exec("update public.plan_versions set seed = 95 where id = $1", draft))
      record_audit(app, a, draft, "rest", "FAIL")
      state(app, a)
      assert.equal(1, app:exec("delete from public.plan_versions where id = $1", draft))
      assert.equal(0, app:value "select count(*) from public.assignments")
    end)

    it("waits for an audit that is being recorded, and counts it", function()
      local one, two, a = as "app_user", as "app_user", tenant()
      local plan_id = plan(one, a)
      for _, audit in ipairs(AUDITS) do
        record_audit(one, a, plan_id, audit, "PASS")
      end
      one:exec "begin"
      record_audit(one, a, plan_id, "rest", "FAIL")
      two:exec "set lock_timeout = '1ms'"
      refused("55P03", two, "select platform.lock_plan($1::uuid, $2::uuid, 'me')", a, plan_id)
      one:exec "commit"
      refused("PL409", two, "select platform.lock_plan($1::uuid, $2::uuid, 'me')", a, plan_id)
    end)
  end)

  describe("tables a superuser adds", function()
    it("belong to the owner, so that the operator can close them", function()
      local admin, operator = as "postgres", as "platform_admin"
      admin:script "create table public.added (id int, tenant_id uuid); create table core.added2 as select 1 as id"
      operator:script [[
        alter table public.added enable row level security;
        alter table public.added force row level security;
        create policy tenant_isolation on public.added using (tenant_id::text = current_setting('app.current_tenant_id', true));
        drop table public.added;
        drop table core.added2 ]]
    end)
  end)

  describe("stop", function()
    it("leaves no server and no socket", function()
      local dir = socket_dir()
      assert.equal("stopped\n", must { "stop" })
      assert.is_nil(io.open(dir .. "/.s.PGSQL.5432.lock"))
      assert.is_nil(io.open(dir))
      assert.equal(1, platform({ "status" }).code)
    end)
  end)
end)
