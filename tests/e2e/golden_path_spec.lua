-- Gate 3 through the binary, on a real platform: what it accepts, and each planted defect it must refuse.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

local GATE = "gates/golden_path_e2e.lua"
local dataset, failures, psql = support.dataset, support.failures, support.psql

--- Runs the gate; the result has the JSON report as `gate` (the gate's part) and `failed` (its FAIL checks).
local function run(args, more)
  local argv = { "run", support.root .. "/" .. GATE, "--tenant", "acme" }
  return support.gate(table.move(args or {}, 1, #(args or {}), #argv + 1, argv), more)
end

--- The instances of a forecast, as the gate itself names them, by "Mo 06:00" (several of one start: a list).
local function instances_of(text)
  local out = support.tmpdir()
  local r = run { "--dataset", dataset { ["input.txt"] = text }, "--artifacts", out }
  local list = json.decode(support.must_read(out .. "/instances.json"))
  local by_start, days = {}, { "Mo", "Di", "Mi", "Do", "Fr", "Sa", "So" }
  for _, t in ipairs(list) do
    local key = ("%s %02d:%02d"):format(days[t.day], t.start_min // 60 % 24, t.start_min % 60)
    by_start[key] = by_start[key] or {}
    table.insert(by_start[key], t)
  end
  return by_start, r
end

--- A dataset whose plan.json gives the tours, named "Mo 06:00", to drivers.
local function planted(text, drivers)
  local by_start = instances_of(text)
  local list = {}
  for driver, tours in pairs(drivers) do
    for _, key in ipairs(tours) do
      local wanted = key:match "^(.-)/" or key
      local t = assert(by_start[wanted], key)[tonumber(key:match "/(%d+)$" or 1)]
      list[#list + 1] = { driver_id = driver, tour_instance_id = t.id, day = t.day, block_id = driver .. "-" .. t.day, block_type = "1er" }
    end
  end
  return dataset { ["input.txt"] = text, ["plan.json"] = json.encode { assignments = json.array(list) } }
end

describe("the golden path", function()
  setup(function() support.platform_start("acme", "other") end)
  teardown(support.platform_stop)

  it("passes on gurkerl_small with all six stages, and says so in the document's words", function()
    local r = run()
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("=== Tenant Onboarding Validation ===\nTenant: acme\n\nGate 3: Golden Path E2E\n"
      .. "  ✅ PASS - All stages completed successfully\n\n=== OVERALL: 1/1 GATES PASS ===\n", r.stdout)
    for _, stage in ipairs { "Parse", "Expand", "Solve", "Audit", "Lock", "Verify" } do assert.equal("PASS", r.checks[stage], stage) end
    assert.equal("7 of 7 PASS", r.gate.facts.audits)
    assert.equal(false, r.gate.facts.injected)
    assert.equal(10, r.gate.facts.attacks_refused)
    for _, c in ipairs(r.gate.checks) do assert.equal(json.null, c.class, c.failure) end
  end)

  it("leaves a LOCKED plan whose hash is the golden dataset's, worked out by another program than the gate", function()
    local r = run()
    local plan = r.gate.facts.plan_version
    local row = psql(("select status || ' ' || output_hash from plan_versions where id = '%s'"):format(plan))
    local manifest = json.decode(support.must_read("stdlib/datasets/roster/gurkerl_small/manifest.json"))
    assert.equal("LOCKED " .. manifest.expected_output_hash, row)
    -- RFC 8785 for these rows by PostgreSQL and sha256sum: keys in order, no blanks, ASCII values
    local text = psql(([[select '[' || string_agg(format(
      '{"block_id":"%%s","block_type":"%%s","day":%%s,"driver_id":"%%s","tour_instance_id":"%%s"}',
      block_id, block_type, day, driver_id, tour_instance_id),
      ',' order by driver_id collate "C", tour_instance_id collate "C") || ']'
      from assignments where plan_version_id = '%s']]):format(plan))
    local file = support.write(support.tmpdir() .. "/plan", text)
    local pipe = io.popen("sha256sum < " .. file)
    assert.equal(manifest.expected_output_hash, pipe:read "a":match "^%x+")
    pipe:close()
  end)

  it("passes on the week of 1,385 tours at its golden plan", function()
    local r = run { "--dataset", "gurkerl_full" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local manifest = json.decode(support.must_read("stdlib/datasets/roster/gurkerl_full/manifest.json"))
    assert.same({ 1385, manifest.expected_output_hash, manifest.expected_kpis.total_drivers },
      { r.gate.facts.instances, r.gate.facts.output_hash, r.gate.facts.drivers })
  end)

  it("writes each stage's product in the published shape", function()
    local dir = support.tmpdir() .. "/new/dir"
    assert.equal(0, run({ "--artifacts", dir }).code)
    local function read(name) return json.decode(support.must_read(dir .. "/" .. name)) end
    local function keys(t)
      local out = {}
      for k in pairs(t) do out[#out + 1] = k end
      table.sort(out)
      return table.concat(out, " ")
    end
    local instances, plan = read "instances.json", read "plan.json"
    assert.equal("day depot end_min id skill split_group start_min", keys(instances[1]))
    assert.equal("assignments drivers lower_bound output_hash seed", keys(plan))
    assert.equal("block_id block_type day driver_id tour_instance_id", keys(plan.assignments[1]))
    assert.same({ 10, 10, 3, 94 }, { #instances, #plan.assignments, plan.drivers, plan.seed })
    assert.equal("PASS", read("forecast.json").status)
    assert.equal(7, #read("audits.json").audits)
    assert.equal(100, read("kpis.json").kpis.coverage)
    assert.same({ "LOCKED", plan.output_hash }, { read("lock.json").status, read("lock.json").output_hash })
    local seen = read "audit-plan.json"
    assert.equal("gate-engine/audit-plan/1", seen.schema)
    assert.same({ 10, 3, 7 }, { #seen.assignments, #seen.drivers, #seen.week.days })
    support.shell(("/usr/bin/python3 tests/support/validate_report.py stdlib/schema/audit-plan-1.json %s"):format(
      support.quote(dir .. "/audit-plan.json")))
  end)

  it("keeps the products of a run that fails, and says where", function()
    local dir = support.tmpdir() .. "/kept"
    local r = run { "--dataset", "3er_violation", "--artifacts", dir }
    assert.same({ 1, dir, "Review audit violation details. Kept in " .. dir .. ": audits.json, plan.html" },
      { r.code, r.gate.facts.artifacts, r.failed[1].fix })
    assert.matches("Kept in " .. dir:gsub("%p", "%%%0"), r.stdout)
    assert.equal("fatigue", json.decode(support.must_read(dir .. "/audits.json")).failed[1])
    assert.matches("^<!DOCTYPE html>", support.must_read(dir .. "/plan.html"))
    dir = support.tmpdir() .. "/stages"
    r = run { "--dataset", dataset { ["input.txt"] = "Mo 00:00-23:00" }, "--artifacts", dir }
    assert.matches("Kept in " .. dir:gsub("%p", "%%%0") .. ": each stage's product$", r.failed[1].fix)
    assert.equal(1, #json.decode(support.must_read(dir .. "/instances.json")))
  end)

  it("says which limit a forecast is too large for", function()
    local lines = {}
    for i = 1, 20000 do lines[i] = ("Mo %02d:%02d-23:59 Depot D%d"):format(i % 23, i % 59, i) end
    local config = support.write(support.tmpdir() .. "/conf.lua", 'return { platform = "embedded", limits = { memory_mb = 16 } }')
    local r = run { "--dataset", dataset { ["input.txt"] = table.concat(lines, "\n") }, "--config", config }
    assert.same({ 3, "ERROR", "script_memory" }, { r.code, r.checks.Parse, r.errors[1].class })
    assert.matches("limits.memory_mb", r.errors[1].fix)
  end)

  it("keeps a plan that a tenant's audit can be run on again", function()
    local dir = support.tmpdir()
    assert.equal(0, run({ "--artifacts", dir }).code)
    local audit = support.write(support.tmpdir() .. "/audit.lua", [[local roster = require "roster"
      return { name = "no thursday", pack = "roster", audit = function(plan, report)
        for driver, list in pairs(roster.by_driver(plan)) do
          for _, a in ipairs(list) do
            if roster.weekday(a) == "thursday" and not roster.night(a) then report:violation{ object = driver, detail = a.date } end
          end
        end
      end }]])
    local r = support.run { "run", audit, "--plan", dir }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.matches("Audit no thursday: FAIL", r.stdout)
    assert.matches("2024%-01%-04", r.stdout)
  end)

  it("reads a CSV forecast, a single file, a split shift and one across midnight", function()
    local csv = dataset { ["input.csv"] = "day,start_time,end_time,location,qualifications\nMon,04:45,09:15,Vienna,cold\n" }
    assert.equal(0, run({ "--dataset", csv }).code)
    local file = dataset { ["week.txt"] = "Di 06:00-10:00 + 15:00-19:00 2 Fahrer Depot Süd\nDo 22:00-06:00\nSo 22:00-06:00\n" }
    local r = run { "--dataset", file .. "/week.txt" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(6, r.gate.facts.instances)
  end)

  describe("fails with just the audit that is broken:", function()
    -- Two tours at the same time can be no legal block and leave no rest, so an overlap always breaks span_split (one day) or rest
    -- (two days) as well: domain.md §3 leaves no plan in which it stands alone.
    for _, case in ipairs {
      { "coverage", "Mo 06:00-14:00\nMi 06:00-14:00", { A = { "Mo 06:00" } }, "Mi" },
      { "overlap, span_split", "Mo 06:00-10:00\nMo 09:00-13:00", { A = { "Mo 06:00", "Mo 09:00" } }, "A" },
      { "overlap, rest", "Mo 22:00-06:00\nDi 05:00-09:00", { A = { "Mo 22:00", "Di 05:00" } }, "A" },
      { "rest", "Mo 12:00-20:00\nDi 06:59-12:00", { A = { "Mo 12:00", "Di 06:59" } }, "A" },
      { "span_regular", "Mo 06:00-13:00\nMo 13:30-20:01", { A = { "Mo 06:00", "Mo 13:30" } }, "A" },
      { "span_split", "Mo 06:00-10:00\nMo 13:59-18:00", { A = { "Mo 06:00", "Mo 13:59" } }, "A" },
      { "fatigue", "Mo 06:00-09:00\nMo 09:45-12:45\nMo 13:30-16:30\nDi 06:00-09:00\nDi 09:45-12:45\nDi 13:30-16:30",
        { A = { "Mo 06:00", "Mo 09:45", "Mo 13:30", "Di 06:00", "Di 09:45", "Di 13:30" } }, "A" },
      { "weekly_max", "Mo 08:00-17:30\nDi 08:00-17:30\nMi 08:00-17:30\nDo 08:00-17:30\nFr 08:00-17:30\nSa 08:00-17:30",
        { A = { "Mo 08:00", "Di 08:00", "Mi 08:00", "Do 08:00", "Fr 08:00", "Sa 08:00" } }, "A" },
    } do
      it(case[1], function()
        local r = run { "--dataset", planted(case[2], case[3]) }
        local want = {}
        for audit in case[1]:gmatch "[%w_]+" do want[#want + 1] = ("Audit %s: FAIL"):format(audit) end
        assert.same({ 1, table.concat(want, "; ") }, { r.code, failures(r) }, r.stdout)
        for _, c in ipairs(r.failed) do
          assert.same({ "Audit", "audit_failed", "Review audit violation details" }, { c.name, c.class, c.fix })
          assert.matches("^gate%-engine run gates/golden_path_e2e.lua %-%-tenant acme %-%-pack roster %-%-dataset /", c.reproduce)
        end
        assert.equal(case[4], r.failed[1].object:sub(1, #case[4]))
        assert.equal(true, r.gate.facts.injected)
        assert.equal("PASS", r.checks["Lock is refused"])
        assert.same({ "ERROR", "ERROR" }, { r.checks.Lock, r.checks.Verify })
        assert.equal("DRAFT", psql(("select status from plan_versions where id = '%s'"):format(r.gate.facts.plan_version)))
        assert.matches("❌ FAIL %- Audit " .. case[1]:match "^[%w_]+" .. ": FAIL", r.stdout)
      end)
    end
    it("3er_violation and 55h_overflow, the known failures", function()
      local r = run { "--dataset", "3er_violation" }
      assert.is_nil(r.stdout:find("not evaluated[^\n]*\n[^\n]*`", 1), r.stdout)
      assert.equal("Audit fatigue: FAIL", failures(r))
      -- The way out is of what was run.
      assert.matches("^gate%-engine recover gates/golden_path_e2e.lua .*%-%-dataset stdlib/datasets/known_failures/3er_violation$",
        r.gate.recover)
      assert.equal("Audit weekly_max: FAIL", failures(run { "--dataset", "55h_overflow" }))
    end)
  end)

  it("passes an injected plan that breaks nothing, and says that it was injected", function()
    local r = run { "--dataset", planted("Mo 12:00-20:00\nDi 07:00-12:00", { A = { "Mo 12:00", "Di 07:00" } }) }
    assert.equal(0, r.code, r.stdout)
    assert.equal(true, r.gate.facts.injected)
  end)

  describe("fails at the stage that breaks:", function()
    for name, case in pairs {
      ["a line that is not understood"] = { { ["input.txt"] = "Mo 06:00-14:00\nMo 25:00-14:00\n" }, "Parse",
        "Stage Parse failed: line 2, column 4: INVALID_HOUR: hour 25, expected 00 to 23" },
      ["a forecast of nothing"] = { { ["input.txt"] = "# nothing\n" }, "Parse",
        "Stage Parse failed: line 1, column 1: EMPTY_FORECAST: no line holds a tour" },
      ["a directory without a forecast"] = { { ["readme"] = "x" }, "Parse",
        "Stage Parse failed: the dataset holds neither input.txt nor input.csv" },
      ["a manifest whose input hash is another's"] = { { ["input.txt"] = "Mo 06:00-14:00",
        ["manifest.json"] = '{"input_hash":"' .. ("0"):rep(64) .. '"}' }, "Parse", "Stage Parse failed: input_hash of manifest.json" },
      ["a tour no driver may work"] = { { ["input.txt"] = "Mo 00:00-23:00" }, "Solve", "Stage Solve failed: " },
      ["a plan for tours that are not there"] = { { ["input.txt"] = "Mo 06:00-14:00",
        ["plan.json"] = '{"assignments":[{"driver_id":"A","tour_instance_id":"x","day":1,"block_id":"b","block_type":"1er"}]}' }, "Solve",
        "Stage Solve failed: driver A is assigned tour x, which the forecast does not have" },
      ["a plan that is not JSON"] = { { ["input.txt"] = "Mo 06:00-14:00", ["plan.json"] = "{" }, "Parse",
        "Stage Parse failed: plan.json: " },
    } do
      it(name, function()
        local r = run { "--dataset", dataset(case[1]) }
        assert.equal(1, r.code, r.stdout .. r.stderr)
        assert.equal(case[3], failures(r):sub(1, #case[3]))
        assert.matches("^Check specific stage logs", r.failed[1].fix)
        assert.matches("^gate%-engine run ", r.failed[1].reproduce)
        local after = false
        for _, stage in ipairs { "Parse", "Expand", "Solve", "Audit", "Lock", "Verify" } do
          assert.equal(after and "ERROR" or stage == case[2] and "FAIL" or "PASS", r.checks[stage], stage)
          if after then assert.matches("\n     %- stage " .. stage .. "\n", r.stdout) end -- and no line of the gate's source
          after = after or stage == case[2]
        end
      end)
    end
    it("a solver that does not end in time", function()
      local dir = support.tmpdir()
      local script = support.write(dir .. "/slow", "#!/bin/sh\nexec sleep 60\n")
      support.shell("chmod 755 " .. script)
      local config = support.write(dir .. "/conf.lua", ([[
        return { platform = "embedded", solver = { kind = "command", argv = { %q }, wall_s = 1 } }]]):format(script))
      local r = run { "--config", config }
      assert.same({ 1, "Timeout on solve" }, { r.code, failures(r) }, r.stdout .. r.stderr)
      assert.same({ "10 tours", "Check input size, increase limit" }, { r.failed[1].object, r.failed[1].fix })
    end)
    for name, case in pairs {
      ["crashes"] = { "kill -SEGV $$", "Stage Solve failed: the solver ended by signal 11" },
      ["exits with an error and no document"] = { "exit 3", "Stage Solve failed: the solver ended with exit 3" },
      ["writes no JSON"] = { "echo hello", "Stage Solve failed: the solver's output is not JSON" },
      ["gives a plan of nothing"] = { [[echo '{"solver":{"name":"s","version":"1"},"drivers":0,"seed":94,"assignments":[]}']],
        "Audit coverage: FAIL" },
    } do
      it("a solver that " .. name, function()
        local dir = support.tmpdir()
        local script = support.write(dir .. "/solver", "#!/bin/sh\ncat >/dev/null\n" .. case[1] .. "\n")
        support.shell("chmod 755 " .. script)
        local config = support.write(dir .. "/conf.lua", ([[
          return { platform = "embedded", solver = { kind = "command", argv = { %q } } }]]):format(script))
        local r = run { "--config", config }
        assert.same({ 1, case[2] }, { r.code, failures(r):sub(1, #case[2]) }, r.stdout .. r.stderr)
      end)
    end
  end)

  describe("sees a platform that is broken:", function()
    --- Runs the gate with the platform changed by one statement, and changes it back.
    local function broken(change, back, args)
      psql(change)
      local ok, r = pcall(run, args)
      psql(back)
      assert(ok, r)
      return r
    end
    it("the lock's trigger on plans is gone", function()
      local r = broken("alter table plan_versions disable trigger guard_plan",
        "alter table plan_versions enable always trigger guard_plan")
      assert.equal(1, r.code)
      assert.matches("Stage Verify failed: LOCKED plan: UPDATE of the plan's status was not refused", failures(r))
      assert.matches("DELETE of the plan was not refused", failures(r))
      assert.matches("DELETE of its forecast", failures(r))
      -- the text to paste does it: on the mended platform it is refused, by the lock
      local pasted = support.run { "platform", "psql", "-X", "-q", "-U", "app_user", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose",
        "-c", r.failed[1].reproduce }
      assert.not_equal(0, pasted.code)
      assert.matches("PL423", pasted.stderr)
    end)
    it("the lock's trigger on assignments is gone", function()
      local r = broken("drop trigger guard_assignment on assignments", [[create trigger guard_assignment before insert or update or delete
        on assignments for each row execute function platform.guard_assignment();
        alter table assignments enable always trigger guard_assignment]])
      assert.equal(1, r.code)
      for _, what in ipairs { "UPDATE of its assignments", "DELETE of its assignments", "INSERT of an assignment",
        "DELETE of its tours" } do
        assert.matches("LOCKED plan: " .. what, failures(r))
      end
    end)
    it("the tours of a locked plan can be moved", function()
      local r = broken("alter table tour_instances disable trigger guard_forecast; "
          .. "alter table forecast_versions disable trigger guard_forecast",
        "alter table tour_instances enable always trigger guard_forecast; "
          .. "alter table forecast_versions enable always trigger guard_forecast")
      assert.same({ 1, "Stage Verify failed: LOCKED plan: UPDATE of its tours, which its audits looked at was not refused; "
        .. "Stage Verify failed: LOCKED plan: UPDATE of its forecast's input hash was not refused" }, { r.code, failures(r) })
    end)
    it("the lock holds only against UPDATE", function()
      local r = broken([[drop trigger guard_assignment on assignments; create trigger guard_assignment before update
        on assignments for each row execute function platform.guard_assignment();
        alter table assignments enable always trigger guard_assignment]],
        [[drop trigger guard_assignment on assignments; create trigger guard_assignment before insert or update or delete
        on assignments for each row execute function platform.guard_assignment();
        alter table assignments enable always trigger guard_assignment]])
      assert.equal(1, r.code)
      assert.is_nil(failures(r):find("UPDATE of its assignments", 1, true))
      assert.matches("INSERT of an assignment was not refused", failures(r))
    end)
    it("a second role that the application may become changes a locked plan", function()
      local def = psql "select pg_get_triggerdef(oid) from pg_trigger where tgname = 'guard_plan'"
      local grant = "create role fixer nologin; grant usage on schema public, platform, core to fixer; "
        .. "grant select, update on plan_versions to fixer; grant fixer to app_user; "
      local away = "revoke all on plan_versions from fixer; revoke all on schema public, platform, core from fixer; drop role fixer"
      -- The lock holds against it too: it is tried, and refused.
      local r = broken(grant, away)
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.same({ "fixer" }, r.gate.facts.lock_roles)
      -- The lock makes an exception for it.
      r = broken(grant .. "drop trigger guard_plan on plan_versions; "
        .. def:gsub("EXECUTE FUNCTION", "when (current_user <> 'fixer') EXECUTE FUNCTION")
        .. "; alter table plan_versions enable always trigger guard_plan",
        ("drop trigger guard_plan on plan_versions; %s; alter table plan_versions enable always trigger guard_plan; %s"):format(def, away))
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.matches("LOCKED plan: UPDATE of the plan's status as the role fixer was not refused", failures(r))
      assert.is_nil(failures(r):find("UPDATE of the plan's status was not refused", 1, true))
      support.has(r.failed[1].reproduce, 'set local role "fixer"; update')
    end)
    it("the application may become the tables' owner, who switches triggers off", function()
      local r = broken("grant platform_owner to app_user", "revoke platform_owner from app_user")
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.matches("LOCKED plan: UPDATE of the plan's status as the role platform_owner was not refused", failures(r))
      support.has(r.failed[1].reproduce, 'set local role "platform_owner"; ', "disable trigger user; ")
      assert.same({ "platform_owner" }, r.gate.facts.lock_roles)
    end)
    it("plans are locked without their audits", function()
      local function body(extra)
        return ([[create or replace function platform.open_audits(p_tenant uuid, p_plan uuid, p_pack text) returns text language plpgsql
          stable set search_path = pg_catalog, pg_temp as $$ begin %s end $$]]):format(extra)
      end
      local original = psql "select pg_get_functiondef('platform.open_audits'::regproc)"
      local r = broken(body "return null;", original)
      assert.equal(1, r.code)
      assert.equal("Stage Lock failed: the platform locked the plan before any audit was recorded", failures(r))
      r = broken(body "return null;", original, { "--dataset", "3er_violation" })
      assert.equal("Audit fatigue: FAIL; Stage Lock failed: the platform locked a plan whose audit fatigue failed", failures(r))
    end)
    it("a second session that locks at the same time is turned away, or takes the lock over", function()
      local original = psql "select pg_get_functiondef('platform.lock_plan'::regproc)"
      -- without FOR UPDATE both sessions find a DRAFT; the pause in the planted defect makes that certain enough to see
      local hasty = original:gsub(" for update;", ";"):gsub("v_open := ", "perform pg_sleep(0.3); v_open := ")
      assert.not_equal(original, hasty)
      local r = broken(hasty, original)
      assert.equal(1, r.code)
      assert.matches("Stage Lock failed: lock %d of two at once: plan .* is LOCKED: UPDATE refused", failures(r))
      local taker = original:gsub("return 'LOCKED';\n  end if;",
        "update public.plan_versions set locked_by = p_locked_by where id = p_plan; return 'LOCKED'; end if;", 1)
      assert.not_equal(original, taker)
      r = broken("alter table plan_versions disable trigger guard_plan;" .. taker,
        "alter table plan_versions enable always trigger guard_plan;" .. original)
      assert.equal(1, r.code)
      assert.matches("Stage Lock failed: locked_by after one more lock", failures(r))
    end)
    it("expansion loses a tour and reports one too few, or hides it", function()
      local original = psql "select pg_get_functiondef('platform.expand_forecast'::regproc)"
      local fewer = original:gsub("return v_count;", [[delete from public.tour_instances
        where tenant_id = p_tenant and forecast_version_id = p_forecast
        and id = (select min(id) from public.tour_instances where forecast_version_id = p_forecast); return v_count;]])
      assert.not_equal(original, fewer)
      local r = broken(fewer, original)
      assert.same({ 1, "Stage Expand failed: instances sent and read back: expected 10, found 9" }, { r.code, failures(r) })
      r = broken((original:gsub("return v_count;", "return v_count - 1;")), original)
      assert.equal("Stage Expand failed: instances of the templates and of the platform: expected 10, found 9", failures(r))
    end)
    it("the stored plan is another than the solver's", function()
      local original = psql "select pg_get_functiondef('platform.store_plan'::regproc)"
      local r = broken((original:gsub("return v_plan;", [[update public.assignments set driver_id = 'D999' where tenant_id = p_tenant
        and id = (select min(id) from public.assignments where plan_version_id = v_plan); return v_plan;]])), original)
      assert.equal(1, r.code)
      assert.matches("^Stage Audit failed: output hash worked out from the assignments read back", failures(r))
    end)
    it("the application lost a right: an attack without its control is no proof", function()
      local r = broken("revoke delete on assignments from app_user", "grant delete on assignments to app_user")
      assert.equal(3, r.code)
      assert.same({ "", "lock_control" }, { failures(r), r.errors[1].class })
    end)
    it("something else than the lock refuses: that proves nothing about it", function()
      local original = psql "select pg_get_functiondef('platform.guard_assignment'::regproc)"
      local other, n = original:gsub("PL423", "23514")
      assert.equal(2, n)
      local r = broken(other, original)
      assert.equal(1, r.code)
      assert.matches("Stage Verify failed: LOCKED plan: UPDATE of its assignments was refused, but not by the lock", failures(r))
      assert.matches("^23514", r.failed[1].detail)
    end)
    it("a policy hides the rows from an attack: what changes nothing is no control", function()
      local r = broken("create policy hidden on assignments as restrictive for delete using (false)", "drop policy hidden on assignments")
      assert.same({ 3, "", "lock_control" }, { r.code, failures(r), r.errors[1].class })
      assert.matches("it changed nothing", r.errors[1].failure)
    end)
    it("and passes again once it is mended", function() assert.equal(0, run().code) end)
  end)

  describe("joins a tenant's own audits:", function()
    local function audit(body)
      return support.write(support.tmpdir() .. "/audit.lua", ([[return { name = "house rule", pack = "roster",
        audit = function(plan, report) %s end }]]):format(body))
    end
    it("one that passes", function()
      local r = run { "--audit", audit [[for _, a in ipairs(plan.assignments) do
        if not a.start then report:violation{ object = '?' } end end]] }
      assert.equal(0, r.code, r.stdout)
      assert.equal("PASS", r.checks["Audit house rule"])
    end)
    it("one that fails, which keeps the plan from being locked", function()
      local r = run { "--audit", audit [[for _, a in ipairs(plan.assignments) do
        if a.weekday == "thursday" then report:violation{ object = a.driver_id, detail = a.date } end end]] }
      assert.same({ 1, "Audit house rule: FAIL", "2024-01-04" }, { r.code, failures(r), r.failed[1].detail })
      assert.equal("PASS", r.checks.Audit)
      assert.equal("DRAFT", psql(("select status from plan_versions where id = '%s'"):format(r.gate.facts.plan_version)))
    end)
    it("several, of which a broken one hides none", function()
      local first, second = audit "error('boom')", audit "report:violation{ object = 'x' }"
      local r = run { "--audit", first, "--audit", second }
      assert.same({ 1, ("Audit house rule (%s): FAIL"):format(second) }, { r.code, failures(r) })
      assert.equal("ERROR", r.checks[("Audit house rule (%s)"):format(first)])
      assert.equal("ERROR", r.checks.Lock)
    end)
    for name, body in pairs {
      ["raises"] = "error('boom')", ["raises a table that lies"] = "error({ status = 'PASS' })",
      ["changes the plan and calls it fine"] = "plan.assignments = nil; local x = plan.assignments[1]",
      ["reaches for the outside"] = "os.execute('true')", ["never ends"] = "while true do end",
    } do
      it("one that " .. name .. " is an error, never a pass", function()
        local config = support.write(support.tmpdir() .. "/conf.lua", [[return { platform = "embedded", limits = { cpu_s = 2 } }]])
        local r = run { "--audit", audit(body), "--config", config }
        assert.equal(3, r.code, r.stdout .. r.stderr)
        assert.same({ "", "ERROR", "ERROR", "ERROR" },
          { failures(r), r.checks["Audit house rule"], r.checks.Lock, r.checks.Verify }, r.stdout)
      end)
    end
    it("one that does not load is an error of its gate", function()
      local r = run { "--audit", support.write(support.tmpdir() .. "/audit.lua", "return {") }
      assert.equal(3, r.code, r.stdout .. r.stderr)
    end)
    it("a tenant's audit cannot take a pack's failure away", function()
      local r = run { "--dataset", "3er_violation", "--audit", audit "plan.assignments = {}" }
      assert.equal("Audit fatigue: FAIL", failures(r))
    end)
  end)

  it("ends with exit 2 and what there is, for a dataset that does not exist", function()
    local r = support.run { "run", support.root .. "/" .. GATE, "--dataset", "gurkerl_smal" }
    assert.equal(2, r.code)
    assert.matches("gurkerl_smal", r.stderr)
    assert.matches("gurkerl_small", r.stderr)
  end)

  it("does not call a part of the workflow a pass", function()
    local r = run { "--only", "Audit" }
    assert.equal(3, r.code, r.stdout)
    assert.equal("not_evaluated", r.errors[1].class)
  end)

  it("keeps tenants apart: one's plan is not there for another", function()
    local plan = run().gate.facts.plan_version
    local other = support.run { "run", support.root .. "/" .. GATE, "--tenant", "other" }
    assert.equal(0, other.code)
    assert.equal("1", psql(([[select count(*) from plan_versions p join core.tenants t on t.id = p.tenant_id
      where p.id = '%s' and t.code = 'acme']]):format(plan)))
  end)

  describe("on an external platform", function()
    local function external(more)
      local status = support.run { "platform", "status" }
      local socket = assert(status.stdout:match "socket: ([^,%s]+)", status.stdout)
      local url = "postgres:///platform?host=" .. socket .. "&user="
      return support.write(support.tmpdir() .. "/conf.lua", ([[
        return { platform = "external", solver = { kind = "reference" }, database = {
          app = { url = %q }, admin = { url = %q },
          tenant = { column = "tenant_id", setting = "app.current_tenant_id", table = "core.tenants", key = "id", code = "code" } },
          %s }]]):format(url .. "app_user", url .. "postgres", more))
    end
    it("works in the validation tenant, and says what it leaves there", function()
      psql "insert into core.tenants (code, name, status) values ('gate-validation', 'v', 'onboarding') on conflict do nothing"
      local before = psql "select count(*) from plan_versions p join core.tenants t on t.id = p.tenant_id where t.code = 'acme'"
      local r = run { "--config", external 'adapter = "embedded", validation_tenant = "gate-validation"' }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.matches("of tenant gate%-validation", r.gate.facts.left_behind)
      assert.equal("gate-validation", psql(([[select t.code from plan_versions p join core.tenants t on t.id = p.tenant_id
        where p.id = '%s']]):format(r.gate.facts.plan_version)))
      assert.equal(before, psql "select count(*) from plan_versions p join core.tenants t on t.id = p.tenant_id where t.code = 'acme'")
    end)
    for name, case in pairs {
      ["an adapter"] = { 'validation_tenant = "gate-validation"', "adapter_missing" },
      ["a validation tenant"] = { 'adapter = "embedded"', "adapter_validation_tenant" },
      ["the endpoint of the API"] = { 'adapter = "http", validation_tenant = "gate-validation"', "config_missing_key" },
    } do
      it("is an error without " .. name .. ", and writes nothing", function()
        psql "insert into core.tenants (code, name, status) values ('gate-validation', 'v', 'onboarding') on conflict do nothing"
        local before = psql "select count(*) from forecast_versions"
        local r = run { "--config", external(case[1]) }
        assert.same({ 3, case[2] }, { r.code, r.errors[1] and r.errors[1].class }, r.stdout .. r.stderr)
        assert.equal(before, psql "select count(*) from forecast_versions")
      end)
    end
  end)

  it("proposes the document's recovery: what failed, its fix, how to run again", function()
    local r = support.run { "recover", support.root .. "/" .. GATE, "--tenant", "acme", "--dataset", "3er_violation" }
    assert.equal(0, r.code, r.stderr)
    for _, text in ipairs { "Run with verbose output", "Stage Audit: Audit fatigue: FAIL", "D001: 3er%-chain on Mo and on Di",
      "Fix: Review audit violation details", "Rerun the gate", "%-%-tenant acme" } do
      assert.matches(text, r.stdout)
    end
  end)
end)
