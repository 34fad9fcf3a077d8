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
    support.make_tenants({ GATE_ENGINE_STATE = state }, "acme")
  end)

  teardown(function() engine("platform", "stop") end)

  after_each(function()
    local result = engine("platform", "reset")
    assert.equal(0, result.code, result.stderr)
    support.make_tenants({ GATE_ENGINE_STATE = state }, "acme")
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
    local check = assert_found("policy_widens", "Cross-tenant leak detected", "Make it AS RESTRICTIVE", "public.tour_instances")
    assert.truthy(check.reproduce:find("SET LOCAL ROLE", 1, true))
  end)

  it("finds a policy with an escape setting that is absent in most sessions", function()
    psql [[create policy unset_sees_all on public.audit_log for select
      using (coalesce(current_setting('app.current_tenant_id', true), '') = '')]]
    local check = assert_found("policy_unset_tenant", "Cross-tenant leak detected", "Fix query or policy", "public.audit_log")
    assert.truthy(check.detail:find("never set", 1, true), check.detail)
  end)

  it("finds a blind DELETE that WHERE would hide", function()
    psql [[drop policy tenant_isolation on public.routing_stops;
      create policy reads on public.routing_stops for select using (tenant_id::text = current_setting('app.current_tenant_id', true));
      create policy inserts on public.routing_stops for insert
        with check (tenant_id::text = current_setting('app.current_tenant_id', true));
      create policy updates on public.routing_stops for update using (tenant_id::text = current_setting('app.current_tenant_id', true));
      create policy deletes on public.routing_stops for delete using (true)]]
    local check = assert_found("policy_always_true", "Cross-tenant leak detected", "Fix query or policy", "public.routing_stops")
    assert.truthy(check.detail:find("DELETE", 1, true), check.detail)
  end)

  it("finds rows that can be given to another tenant", function()
    psql [[drop policy tenant_isolation on public.routing_vehicles;
      create policy tenant_isolation on public.routing_vehicles
        using (tenant_id::text = current_setting('app.current_tenant_id', true)) with check (true)]]
    local check = assert_found("policy_write_unchecked", "Cross-tenant leak detected", "Add WITH CHECK", "public.routing_vehicles")
    assert.truthy(check.detail:find("another tenant", 1, true), check.detail)
  end)

  it("finds a view that its owner's rights open to everybody", function()
    psql [[create view public.all_plans as select * from public.plan_versions; alter view public.all_plans owner to postgres;
      grant select on public.all_plans to app_user]]
    assert_found("view_owner_rights", "Cross-tenant leak detected: a view reads", "ALTER VIEW", "public.all_plans")
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

  for path, condition in pairs {
    expand_forecast = "jsonb_typeof(p_instances) <> 'object'",
    store_plan = "not p_assignments @? '$[*].vehicle_id'",
  } do
    it("finds that the code path " .. path .. " calls set_config in the roster pack alone", function()
      psql(([[do $do$ declare d text; begin
        select pg_get_functiondef(p.oid) into d from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where nspname = 'platform' and proname = '%s';
        execute regexp_replace(d, '(perform set_config\([^;]*\);)', 'if %s then \1 end if;');
      end $do$]]):format(path, (condition:gsub("'", "''"))))
      local check = assert_found("set_config_missing", "set_config not called", "Check code path sets tenant context", "platform." .. path)
      assert.is_truthy(check.detail:find("pack routing: ", 1, true), check.detail)
    end)
  end

  it("finds a new table of tenants that nobody thought of", function()
    psql [[create table public.notes (id bigint generated always as identity primary key, tenant_id uuid not null, body text);
      grant select, insert on public.notes to app_user]]
    assert_found("rls_missing", "RLS policy missing on table public.notes", "Add policy in migration", "public.notes")
  end)

  it("is an ERROR, not a pass, where a table takes no canary", function()
    psql "alter table public.routing_scenarios add constraint none check (false) not valid"
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

  it("probes where one check of the isolation is named, and not where none is", function()
    local _, report = run("--only", "isolation of public.tours_raw")
    assert.is_true(report.gates[1].facts.probes > 0)
    assert.same({ 1, "isolation of public.tours_raw" }, { #report.gates[1].checks, report.gates[1].checks[1].name })
    local result
    result, report = run("--only", "coverage")
    assert.equal(0, result.code, result.stdout)
    assert.is_nil(report.gates[1].facts.probes)
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

  describe("with a baseline", function()
    local function report_file(...)
      local file = support.tmpdir() .. "/report.json"
      local result = engine("run", GATE, "--tenant", "acme", "--report", "json=" .. file, ...)
      return file, result, json.decode((support.must_read(file)))
    end

    it("lets known findings pass and lists them, fails for a new one, tells what is gone, and never approves", function()
      psql "grant truncate on public.tours_raw to app_user; alter table public.assignments no force row level security"
      local base, first = report_file()
      assert.equal(1, first.code)
      local _, same, report = report_file("--baseline", base)
      assert.equal(0, same.code, same.stdout .. same.stderr)
      assert.truthy(same.stdout:find("✅ PASS - No new findings; 2 known of the baseline", 1, true), same.stdout)
      assert.truthy(same.stdout:find("known: RLS is not forced on table public.assignments [public.assignments]", 1, true), same.stdout)
      assert.is_true(report.partial)
      assert.equal(2, report.gates[1].facts.baseline_known)
      psql "grant trigger on public.tours_raw to app_user; revoke truncate on public.tours_raw from app_user"
      local _, fresh = report_file("--baseline", base)
      assert.equal(1, fresh.code, fresh.stdout)
      assert.truthy(fresh.stdout:find("❌ FAIL - Cross-tenant leak detected: the application may attach triggers", 1, true), fresh.stdout)
      assert.truthy(fresh.stdout:find("gone since the baseline: grant_truncate public.tours_raw", 1, true), fresh.stdout)
      assert.is_nil(fresh.stdout:find("❌ FAIL - RLS is not forced", 1, true))
    end)

    it("knows no errors", function()
      psql "create table public.odd (tenant_id uuid not null, x int check (x > 5 and x < 5) not null)"
      psql "grant select on public.odd to app_user"
      psql "alter table public.odd enable row level security; alter table public.odd force row level security"
      psql "create policy p on public.odd using (tenant_id::text = current_setting('app.current_tenant_id', true))"
      local base, first = report_file()
      assert.equal(3, first.code, first.stdout)
      local _, again = report_file("--baseline", base)
      assert.equal(3, again.code, again.stdout)
    end)

    it("answers a file that is no report with exit 2, and does not let a suite approve", function()
      for _, text in ipairs { "", "{}", "[]", '{"schema":"gate-engine/report/2","gates":[]}' } do
        local file = support.write(support.tmpdir() .. "/base.json", text)
        local result = engine("run", GATE, "--tenant", "acme", "--baseline", file)
        assert.equal(2, result.code)
        assert.truthy(result.stderr:find("expected a report of schema gate-engine/report/1", 1, true), result.stderr)
      end
      assert.equal(2, engine("run", GATE, "--tenant", "acme", "--baseline", "/nowhere.json").code)
      local base = report_file()
      local suite = engine("run", "scripts/all.lua", "--tenant", "acme", "--baseline", base)
      assert.equal(0, suite.code, suite.stdout .. suite.stderr)
      assert.is_nil(suite.stdout:find("is approved", 1, true), suite.stdout)
    end)
  end)

  describe("finds a way around the policies:", function()
    local LEAK = { "policy_escape_setting", "Cross-tenant leak detected" }
    local PATTERN = { "policy_prefix_match", "Cross-tenant leak detected: the tenant is compared by pattern" }
    local VIEW = { "view_owner_rights", "Cross-tenant leak detected: a view reads with its owner's rights" }
    local UNBOUND = { "role_bypasses_rls", "The application's role app_user is not bound by RLS" }
    local RAW = "public.tours_raw"
    local ways = {
      { "a policy that a setting of the application's opens", LEAK, RAW,
        "create policy extra on public.tours_raw using (current_setting('app.is_platform_admin', true) = 'true')",
        "app.is_platform_admin" },
      { "a policy that two settings open together", LEAK, RAW,
        "create policy extra on public.tours_raw using (current_setting('app.a', true) = 'x' "
          .. "and current_setting('app.b', true) = 'y')" },
      { "a policy for DELETE alone that a setting opens", LEAK, RAW,
        "create policy extra on public.tours_raw for delete using (current_setting('app.scope', true) in ('platform', 'partner'))",
        "DELETE" },
      { "a policy that takes the tenant for a pattern", PATTERN, RAW,
        "drop policy tenant_isolation on public.tours_raw; create policy tenant_isolation on public.tours_raw "
          .. "using (tenant_id::text like current_setting('app.current_tenant_id', true))", "app.current_tenant_id" },
      { "a view without a tenant column", VIEW, "rep.counts",
        "create schema rep; grant usage on schema rep to app_user; create view rep.counts as select count(*) from public.tours_raw; "
          .. "grant select on rep.counts to app_user" },
      { "a view of the caller's rights over one of its owner's", VIEW, "public.outer_view",
        "create view public.inner_view as select raw_text as x from public.tours_raw; "
          .. "create view public.outer_view with (security_invoker) as select x from public.inner_view; "
          .. "grant select on public.inner_view, public.outer_view to app_user" },
      { "a materialised view", { "materialised_view", LEAK[2] .. ": row-level" }, "public.kept",
        "create materialized view public.kept as select raw_text from public.tours_raw; grant select on public.kept to app_user" },
      { "the right to TRUNCATE", { "grant_truncate", LEAK[2] .. ": the application may TRUNCATE" }, RAW,
        "grant truncate on public.tours_raw to app_user" },
      { "the right to attach triggers", { "grant_trigger", LEAK[2] .. ": the application may attach" }, RAW,
        "grant trigger on public.tours_raw to app_user", "TRIGGER" },
      { "CREATEROLE", { "role_creates_roles", LEAK[2] .. ": the application's role may grant" }, "app_user",
        "alter role app_user createrole", "CREATEROLE" },
      { "REPLICATION, through a membership", { "role_replication", LEAK[2] .. ": the application's role may replicate" }, "app_user",
        "create role streamer replication; grant streamer to app_user", "streamer" },
      { "programs of the server", { "role_runs_programs", LEAK[2] .. ": the application's role may read" }, "app_user",
        "grant pg_execute_server_program to app_user", "pg_execute_server_program" },
      { "the planner's statistics", { "statistics_exposed", LEAK[2] .. ": the application may read the planner's" },
        "pg_catalog.pg_statistic", "grant select on pg_catalog.pg_statistic to app_user" },
      { "a context function that is computed once", { "context_function_cached", LEAK[2] .. ": a function that reads" }, RAW,
        "create function public.tenant() returns text language sql immutable as "
          .. "$$ select current_setting('app.current_tenant_id', true) $$; drop policy tenant_isolation on public.tours_raw; "
          .. "create policy tenant_isolation on public.tours_raw using (tenant_id::text = public.tenant())", "IMMUTABLE" },
      { "a trigger that copies rows", { "trigger_copies", LEAK[2] .. ": a trigger copies" }, "public.feed",
        "create table public.feed (what text); grant select on public.feed to app_user; "
          .. "create function public.copy() returns trigger language plpgsql security definer as "
          .. "$$ begin insert into public.feed values (new.raw_text); return new; end $$; "
          .. "create trigger copy after insert on public.tours_raw for each row execute function public.copy()", "copy" },
      { "a function that lies about LEAKPROOF", { "leakproof_claim", LEAK[2] .. ": a function that claims" }, "public.tell(text)",
        "create function public.tell(t text) returns boolean language plpgsql leakproof cost 0.0001 as "
          .. "$$ begin raise notice '%', t; return true; end $$; grant execute on function public.tell(text) to app_user" },
      { "a rule of its owner's rights", { "rule_rewrites", LEAK[2] .. ": a rule writes" }, "public.inbox",
        "create table public.inbox (t uuid, x text); alter table public.inbox owner to postgres; "
          .. "create rule forward as on insert to public.inbox do instead delete from public.tours_raw where tenant_id = new.t; "
          .. "grant insert on public.inbox to app_user", "forward" },
      { "membership in a role with BYPASSRLS", UNBOUND, "app_user", "create role sees_all bypassrls; grant sees_all to app_user",
        "sees_all" },
      { "membership in the tables' owner", { "role_owns_table", LEAK[2] .. ": the application's role may switch" }, RAW,
        "grant platform_owner to app_user" },
    }
    -- Roles outlive a reset of the platform's database.
    after_each(function()
      psql "alter role app_user nocreaterole; revoke pg_execute_server_program from app_user; drop role if exists streamer, sees_all"
    end)
    for _, way in ipairs(ways) do
      it(way[1], function()
        psql(way[4])
        local check = assert_found(way[2][1], way[2][2], "", way[3])
        if way[5] then assert.truthy(check.detail:find(way[5], 1, true), check.detail) end
      end)
    end

    it("and says what is no leak: oracles, sequences, publications, large objects, foreign keys, default privileges", function()
      psql [[alter table public.plan_versions add unique (id);
        create table public.badges (id bigserial primary key, tenant_id uuid not null references core.tenants, code text unique,
          plan uuid references public.plan_versions (id));
        alter table public.badges enable row level security; alter table public.badges force row level security;
        create policy tenant_isolation on public.badges using (tenant_id::text = current_setting('app.current_tenant_id', true));
        alter table public.badges owner to platform_owner; grant select, insert, references on public.badges to app_user;
        grant usage, select on sequence public.badges_id_seq to app_user;
        create publication all_badges for table public.badges; select lo_create(4711); grant select on large object 4711 to app_user;
        alter default privileges for role platform_owner in schema public grant all on tables to app_user]]
      local result, report = run()
      assert.equal(0, result.code, result.stdout .. result.stderr)
      for class, object in pairs { unique_oracle = "public.badges", foreign_key_oracle = "public.badges",
        sequence_shared = "public.badges", publication_exposes = "public.badges", grant_references = "public.badges",
        large_object = "app_user", default_privileges = "public" } do
        local found = findings(report, class)
        assert.equal(1, #found, class)
        assert.equal(object, found[1].object)
        assert.equal("advisory", found[1].severity)
      end
      psql [[select lo_unlink(4711);
        alter default privileges for role platform_owner in schema public revoke all on tables from app_user]]
    end)

    it("and is content with a view that reads with its caller's rights, or tests the tenant itself", function()
      psql [[create view public.mine with (security_invoker) as select raw_text from public.tours_raw;
        create view public.tested with (security_barrier) as select raw_text from public.tours_raw
          where tenant_id::text = current_setting('app.current_tenant_id', true);
        grant select on public.mine, public.tested to app_user]]
      local result = run()
      assert.equal(0, result.code, result.stdout .. result.stderr)
    end)

    local RAW_OF = [[create function public.raw_of(t uuid) returns setof text language plpgsql security definer as
      $$ begin %s return query execute 'select raw_text from public.tours_raw where tenant_id = $1' using t; end $$;
      grant execute on function public.raw_of(uuid) to app_user]]

    it("a function with unbound rights whose text is undecided is called", function()
      psql(RAW_OF:format "")
      local result = run()
      assert.equal(1, result.code, result.stdout .. result.stderr)
      assert.truthy(result.stdout:find("tried: what it gives depends on another tenant's row", 1, true), result.stdout)
    end)

    it("a function with unbound rights that may touch tenants' rows is an ERROR where it is not called", function()
      psql(RAW_OF:format "perform pg_sleep(0);")
      local result = run()
      assert.equal(3, result.code, result.stdout .. result.stderr)
      assert.truthy(result.stdout:find("raw_of(uuid) runs with the rights of postgres", 1, true), result.stdout)
      assert.truthy(result.stdout:find("it was not called, since its text reaches beyond its transaction", 1, true), result.stdout)
    end)

    it("a function with unbound rights that is meant so is covered by the entry in trust that its finding has", function()
      psql(RAW_OF:gsub("security definer as", "security definer set search_path = pg_catalog, pg_temp as"):format "perform pg_sleep(0);")
      local result = run()
      assert.equal(3, result.code, result.stdout .. result.stderr)
      local entry = assert(result.stdout:match "(trust = {%s+{ routine .- }%s+})", result.stdout):gsub("\n%s*", " ")
      local config = support.write(support.tmpdir() .. "/gate-engine.conf.lua", ("return { %s }\n"):format(entry))
      local trusted, report = run("--config", config)
      assert.equal(0, trusted.code, trusted.stdout .. trusted.stderr)
      local found = findings(report, "policy_trusted")
      assert.same({ 1, "public.raw_of(uuid)", "advisory" }, { #found, found[1].object, found[1].severity })
      assert.equal("public.raw_of(uuid)", report.gates[1].facts.trust[1].object)
      psql(RAW_OF:gsub("security definer as", "security definer set search_path = pg_catalog, pg_temp as")
        :gsub("create function", "create or replace function"):format "perform pg_sleep(1);")
      local changed, after = run("--config", config)
      assert.equal(1, changed.code, changed.stdout .. changed.stderr)
      assert.equal(1, #findings(after, "trust_changed"))
    end)

    it("a view of unbound rights in which no canary shows is an ERROR", function()
      psql [[create view public.rare as select raw_text from public.tours_raw where raw_text ~ '^never';
        grant select on public.rare to app_user]]
      local result = run()
      assert.equal(3, result.code, result.stdout .. result.stderr)
      assert.truthy(result.stdout:find("public.rare could not be probed", 1, true), result.stdout)
    end)

    it("a view of unbound rights in which no canary shows is a leak where its text lets another tenant's row through", function()
      psql [[create view public.rare as select raw_text from public.tours_raw where raw_text like 'never%';
        grant select on public.rare to app_user]]
      local check = assert_found("view_owner_rights", "Cross-tenant leak detected: a view reads", "ALTER VIEW", "public.rare")
      assert.truthy(check.detail:find("the row's raw_text", 1, true), check.detail)
    end)

    it("a login that answers whoever gives a secret is a note, and --strict passes on the platform as it is", function()
      local result, report = run("--strict")
      assert.equal(0, result.code, result.stdout .. result.stderr)
      local found = findings(report, "function_by_secret")
      assert.same({ 1, "platform.authenticate(text)", "note" }, { #found, found[1].object, found[1].severity })
    end)

    it("a policy that is probed and not proven is an advisory, which --strict does not let pass", function()
      psql "create policy later on public.tours_raw using (extract(year from now()) > 2100)"
      local result, report = run()
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.equal("advisory", findings(report, "policy_unproven")[1].severity)
      assert.equal(1, (run("--strict")).code)
    end)
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
      ["TRUNCATE, of a role and of everybody"] = "grant truncate on public.tours_raw to app_user; "
        .. "grant truncate on public.tours_raw to public",
      ["TRIGGER"] = "grant trigger on public.tours_raw to app_user",
      ["a context function that is computed once"] = "create function public.tenant() returns text language sql immutable as "
        .. "$$ select current_setting('app.current_tenant_id', true) $$; drop policy tenant_isolation on public.tours_raw; "
        .. "create policy tenant_isolation on public.tours_raw using (tenant_id::text = public.tenant()); "
        .. "alter function public.tenant() owner to platform_owner; grant execute on function public.tenant() to app_user, platform_owner",
      ["several at once"] = "alter table public.assignments disable row level security; grant trigger on public.tours_raw to app_user",
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

    for title, way in pairs {
      ["an attribute of the role"] = { "alter role app_user bypassrls", 'ALTER ROLE "app_user" NOBYPASSRLS;' },
      ["a view of the superuser's"] = { "create view public.all_plans as select * from public.plan_versions; "
        .. "alter view public.all_plans owner to postgres; grant select on public.all_plans to app_user",
        'ALTER VIEW "public"."all_plans" SET (security_invoker = true);' },
    } do
      it(title .. ": a file for a superuser to apply, since database.operator may not", function()
        psql(way[1])
        local dir = support.tmpdir() .. "/migrations"
        local result = recover("--artifacts", dir)
        assert.equal(0, result.code, result.stdout .. result.stderr)
        assert.truthy(result.stdout:find(way[2], 1, true), result.stdout)
        assert.is_nil(result.stdout:find("Decide on", 1, true), result.stdout)
        local refused = recover("--apply")
        assert.equal(3, refused.code)
        assert.truthy(refused.stderr:find("database.operator may not apply the migration", 1, true), refused.stderr)
        assert.equal(0, engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", dir .. "/001_tenant_isolation.sql").code)
        assert.equal(0, (run()).code)
      end)
    end

    it("writes the migration as a file, numbered after what is there, which psql takes and which refuses another schema", function()
      psql "create policy everybody on public.tour_instances using (true)"
      local dir = support.tmpdir() .. "/migrations"
      support.write(dir .. "/041_former.sql", "")
      local result = recover("--artifacts", dir)
      assert.equal(0, result.code, result.stdout .. result.stderr)
      local file = dir .. "/042_tenant_isolation.sql"
      assert.truthy(support.must_read(file):find("DROP POLICY", 1, true))
      psql "create policy later on public.tour_instances using (false)"
      local refused = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", file)
      assert.not_equal(0, refused.code)
      assert.truthy(refused.stderr:find("no longer the one", 1, true), refused.stderr)
      psql "drop policy later on public.tour_instances"
      assert.equal(0, engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-q", "-f", file).code)
      assert.equal(0, (run()).code)
    end)

    it("does not propose what it tried in vain, and names decisions as such", function()
      psql [[create materialized view public.kept as select raw_text from public.tours_raw; grant select on public.kept to app_user;
        create view public.owned as select raw_text from public.tours_raw; alter view public.owned owner to postgres;
        revoke select on public.tours_raw from app_user; grant select on public.owned to app_user]]
      local result = recover()
      assert.equal(0, result.code, result.stdout .. result.stderr)
      assert.truthy(result.stdout:find("Decide on public.kept", 1, true), result.stdout)
      assert.truthy(result.stdout:find("Who needs it?", 1, true), result.stdout)
      psql "grant select on public.tours_raw to app_user"
    end)

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
