-- Gate 1 against planted defects: each must turn it to its documented failure, with fix, exit code, class, object and a way to reproduce.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"
local json = require "engine.json"

local GATE = "gates/rls_harness.lua"

describe("gate 1 on a kept platform", function()
  local state = support.tmpdir() .. "/state"

  local function engine(...)
    return support.run { argv = { ... }, env = { GATE_ENGINE_STATE = state } }
  end

  local function psql(sql)
    local result = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-q", "-c", sql)
    assert.equal(0, result.code, result.stderr)
    return result.stdout
  end

  --- Runs the gate; returns the result and its report.
  local function run(...)
    local file = support.tmpdir() .. "/report.json"
    local result = engine("run", GATE, "--tenant", "acme", "--report", "json=" .. file, ...)
    return result, json.decode((support.must_read(file)))
  end

  local function findings(report, class)
    local out = {}
    for _, check in ipairs(report.gates[1].checks) do
      if check.class == class then out[#out + 1] = check end
    end
    return out
  end

  local function assert_found(class, text, fix, object, ...)
    local result, report = run(...)
    assert.equal(1, result.code, result.stdout .. result.stderr)
    assert.truthy(result.stdout:find("❌ FAIL - " .. text, 1, true), result.stdout)
    assert.truthy(result.stdout:find("Fix: " .. fix, 1, true), result.stdout)
    assert.truthy(result.stdout:find("=== OVERALL: 0/1 GATES PASS ===", 1, true))
    local found = findings(report, class)
    assert.is_true(#found > 0, "no finding of class " .. class)
    for _, check in ipairs(found) do
      if check.object == object then
        assert.equal("FAIL", check.status)
        assert.equal("leak", check.severity)
        assert.is_string(check.reproduce)
        return check, report
      end
    end
    error("no finding on " .. object .. ": " .. result.stdout)
  end

  setup(function()
    local result = engine("platform", "start")
    assert.equal(0, result.code, result.stderr)
  end)

  teardown(function() engine("platform", "stop") end)

  after_each(function()
    local result = engine("platform", "reset")
    assert.equal(0, result.code, result.stderr)
  end)

  it("passes on the platform as it is, and says what it did", function()
    local result, report = run()
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.truthy(result.stdout:find("✅ PASS - No cross-tenant leaks detected", 1, true))
    assert.is_true(report.gates[1].facts.tables >= 14)
    assert.is_true(report.gates[1].facts.probes > 100)
    assert.equal(6, report.gates[1].facts.code_paths)
    assert.is_false(report.approved)
  end)

  it("leaves nothing behind in any table", function()
    local count = [[select coalesce(sum((xpath('/row/c/text()', query_to_xml(
      format('select count(*) as c from %I.%I', schemaname, tablename),
      false, true, '')))[1]::text::bigint), 0) from pg_tables where schemaname in ('public', 'core')]]
    run()
    local before = psql(count)
    run()
    assert.equal(before, psql(count))
  end)

  it("finds a table without row-level security", function()
    psql "alter table public.assignments disable row level security"
    assert_found("rls_missing", "RLS policy missing on table public.assignments", "Add policy in migration", "public.assignments")
  end)

  it("finds a dropped policy", function()
    psql "drop policy tenant_isolation on public.plan_versions"
    assert_found("rls_missing", "RLS policy missing on table public.plan_versions", "Add policy in migration", "public.plan_versions")
  end)

  it("finds row-level security that is not forced", function()
    psql "alter table public.tours_raw no force row level security"
    assert_found("rls_not_forced", "RLS is not forced on table public.tours_raw", "ALTER TABLE", "public.tours_raw")
  end)

  it("finds a policy USING (true)", function()
    psql "create policy everybody on public.tour_instances using (true)"
    local check = assert_found("cross_tenant_leak", "Cross-tenant leak detected", "Fix query or policy", "public.tour_instances")
    assert.truthy(check.reproduce:find("set local role", 1, true))
  end)

  it("finds a policy with an escape setting that is absent in most sessions", function()
    psql [[create policy unset_sees_all on public.audit_log for select
      using (coalesce(current_setting('app.current_tenant_id', true), '') = '')]]
    local check = assert_found("cross_tenant_leak", "Cross-tenant leak detected", "Fix query or policy", "public.audit_log")
    assert.truthy(check.detail:find("absent", 1, true) or check.detail:find("empty", 1, true), check.detail)
  end)

  it("finds a blind DELETE that WHERE would hide", function()
    psql [[drop policy tenant_isolation on public.routing_stops;
      create policy reads on public.routing_stops for select using (tenant_id::text = current_setting('app.current_tenant_id', true));
      create policy inserts on public.routing_stops for insert
        with check (tenant_id::text = current_setting('app.current_tenant_id', true));
      create policy updates on public.routing_stops for update using (tenant_id::text = current_setting('app.current_tenant_id', true));
      create policy deletes on public.routing_stops for delete using (true)]]
    local check = assert_found("cross_tenant_leak", "Cross-tenant leak detected", "Fix query or policy", "public.routing_stops")
    assert.truthy(check.detail:find("blind delete", 1, true), check.detail)
  end)

  it("finds rows that can be given to another tenant", function()
    psql [[drop policy tenant_isolation on public.routing_vehicles;
      create policy tenant_isolation on public.routing_vehicles
        using (tenant_id::text = current_setting('app.current_tenant_id', true)) with check (true)]]
    local check = assert_found("cross_tenant_leak", "Cross-tenant leak detected", "Fix query or policy", "public.routing_vehicles")
    assert.truthy(check.detail:find("another tenant", 1, true), check.detail)
  end)

  it("finds a view that its owner's rights open to everybody", function()
    psql [[create view public.all_plans as select * from public.plan_versions; alter view public.all_plans owner to postgres;
      grant select on public.all_plans to app_user]]
    assert_found("cross_tenant_leak", "Cross-tenant leak detected", "Fix query or policy", "public.all_plans")
  end)

  it("finds an application role that row-level security does not bind", function()
    psql "alter role app_user bypassrls"
    assert_found("role_bypasses_rls", "The application's role app_user is not bound by RLS", "Give the application a role", "app_user")
    psql "alter role app_user nobypassrls"
  end)

  for _, path in ipairs { "create_forecast", "expand_forecast", "store_plan", "read_plan", "record_audit", "lock_plan" } do
    it("finds that the code path " .. path .. " does not call set_config", function()
      psql(([[do $do$ declare d text; begin
        select pg_get_functiondef(p.oid) into d from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where nspname = 'platform' and proname = '%s';
        execute regexp_replace(d, 'perform set_config\([^;]*\);', '');
      end $do$]]):format(path))
      local check = assert_found("set_config_missing", "set_config not called", "Check code path sets tenant context", "platform." .. path)
      assert.is_string(check.detail)
    end)
  end

  it("finds a new table of tenants that nobody thought of", function()
    psql [[create table public.notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text);
      grant select, insert on public.notes to app_user]]
    assert_found("rls_missing", "RLS policy missing on table public.notes", "Add policy in migration", "public.notes")
  end)

  it("is an ERROR, not a pass, where a table takes no canary", function()
    psql [[create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
      create trigger refuse before insert on public.routing_scenarios for each row execute function public.refuse()]]
    local result = run()
    assert.equal(3, result.code, result.stdout)
    assert.truthy(result.stdout:find("could not be probed", 1, true))
    assert.truthy(result.stdout:find("database.fixtures", 1, true))
  end)

  it("runs the named groups alone with --only, and never approves", function()
    psql "alter table public.tours_raw no force row level security"
    local result, report = run("--only", "isolation")
    assert.equal(0, result.code, result.stdout)
    assert.is_false(report.approved)
    for _, check in ipairs(report.gates[1].checks) do assert.truthy(check.name:find("^isolation")) end
    assert.equal(1, (run("--only", "coverage,isolation")).code)
  end)

  it("answers a group that does not exist beside one that does with exit 2, not with a pass", function()
    local result = run("--only", "coverage,nonsense")
    assert.equal(2, result.code, result.stdout)
    assert.truthy(result.stderr:find('no check or group is named "nonsense"', 1, true), result.stderr)
  end)

  it("leaves out the gates of a suite that have no selected check", function()
    local file = support.tmpdir() .. "/report.json"
    local result = engine("run", "scripts/all.lua", "--only", "coverage,database", "--report", "json=" .. file)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    local report = json.decode((support.must_read(file)))
    assert.equal(2, #report.gates)
    assert.is_false(report.approved)
    assert.equal("The selected checks passed", report.gates[1].summary)
  end)

  it("answers a misspelt group with the nearest one and exit 2", function()
    local result = run("--only", "isolaton")
    assert.equal(2, result.code)
    assert.truthy(result.stderr:find("isolation", 1, true), result.stderr)
  end)

  describe("recovers:", function()
    local function recover(...) return engine("recover", GATE, "--tenant", "acme", ...) end

    local DEFECTS = {
      ["a dropped policy"] = "drop policy tenant_isolation on public.plan_versions",
      ["disabled row-level security"] = "alter table public.assignments disable row level security",
      ["missing FORCE"] = "alter table public.tours_raw no force row level security",
      ["a policy that widens"] = "create policy everybody on public.tour_instances using (true)",
      ["a table without anything"] =
        "create table public.notes (id int primary key, tenant_id uuid not null); grant select on public.notes to app_user",
    }

    for title, sql in pairs(DEFECTS) do
      it(title .. ": proposes a migration, changes nothing without --apply, and with it the gate passes", function()
        psql(sql)
        local proposed = recover()
        assert.equal(0, proposed.code, proposed.stdout .. proposed.stderr)
        assert.truthy(proposed.stdout:find("Dry run", 1, true), proposed.stdout)
        assert.equal(1, (run()).code)
        local applied = recover("--apply")
        assert.equal(0, applied.code, applied.stdout .. applied.stderr)
        assert.truthy(applied.stdout:find("=== OVERALL: 1/1 GATES PASS ===", 1, true), applied.stdout)
        assert.equal(0, (run()).code)
      end)
    end

    it("has nothing to do where the gate passes", function()
      local result = recover()
      assert.equal(0, result.code)
      assert.truthy(result.stdout:find("Nothing to recover", 1, true))
    end)

    it("names the code path that a person must mend", function()
      psql [[create or replace function platform.read_plan(p_tenant uuid, p_plan uuid) returns jsonb language plpgsql as
        $$ begin return (select to_jsonb(p) from public.plan_versions p where p.id = p_plan); end $$]]
      local result = recover()
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.truthy(result.stdout:find("platform.read_plan", 1, true), result.stdout)
      assert.truthy(result.stdout:find("set_config", 1, true))
    end)
  end)
end)
