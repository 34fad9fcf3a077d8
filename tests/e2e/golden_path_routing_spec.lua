-- Gate 3 through the binary for the routing pack, on a real platform: what it accepts, and each planted defect it must refuse.
package.path = "tests/e2e/?.lua;" .. package.path
local hash = require "hash"
local json = require "engine.json"
local support = require "support"

local DATASET = "stdlib/datasets/routing/wien_small"
local AUDITS = { "coverage", "time_window", "capacity", "overlap", "skills_compliance" }
local dataset, failures, psql = support.dataset, support.failures, support.psql

--- Runs the gate; the result has the gate's part of the report, its FAIL and ERROR checks, and the status of each by name.
local function run(args, more)
  local argv = { "run", support.root .. "/gates/golden_path_e2e.lua", "--tenant", "acme", "--pack", "routing" }
  args = args or { "--dataset", "wien_small" }
  return support.gate(table.move(args, 1, #args, #argv + 1, argv), more)
end

local function golden(name) return support.must_read(DATASET .. "/" .. name) end

--- The golden scenario, changed, with the golden matrix unless `more` takes it away.
local function changed(change, more)
  local input = json.decode(golden "input.json")
  change(input)
  local files = { ["input.json"] = json.encode(input), ["matrix.csv"] = golden "matrix.csv" }
  for name, content in pairs(more or {}) do files[name] = content or nil end
  return dataset(files)
end

describe("the golden path of the routing pack", function()
  local plan

  setup(function()
    support.platform_start "acme"
    local out = support.tmpdir()
    assert.equal(0, run({ "--dataset", "wien_small", "--artifacts", out }).code)
    plan = json.decode(support.must_read(out .. "/plan.json"))
  end)
  teardown(support.platform_stop)

  it("passes on wien_small with all six stages at its golden plan, and says so in the document's words", function()
    local r = run()
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("=== Tenant Onboarding Validation ===\nTenant: acme\n\nGate 3: Golden Path E2E\n"
      .. "  ✅ PASS - All stages completed successfully\n\n=== OVERALL: 1/1 GATES PASS ===\n", r.stdout)
    for _, stage in ipairs { "Parse", "Expand", "Solve", "Audit", "Lock", "Verify" } do assert.equal("PASS", r.checks[stage], stage) end
    local manifest, facts = json.decode(golden "manifest.json"), r.gate.facts
    assert.same({ "5 of 5 PASS", false, 16, 10, 3, 0, 0 }, { facts.audits, facts.injected, facts.attacks_refused, facts.stops,
      facts.vehicles, facts.unassigned, facts.ways_estimated })
    assert.same({ manifest.input_hash, manifest.expected_output_hash, manifest.matrix_sha256, "wien-small-1" },
      { facts.input_hash, facts.output_hash, facts.matrix_sha256, facts.matrix_version })
    assert.same({}, r.advice)
  end)

  it("takes wien_small where no dataset is named, and its way out names the dataset of another run", function()
    local r = run {}
    assert.same({ 0, 10 }, { r.code, r.gate.facts.stops }, r.stdout .. r.stderr)
    local other = run { "--dataset", "gurkerl_small" }
    assert.equal(1, other.code)
    assert.matches("%-%-dataset stdlib/datasets/roster/gurkerl_small", other.gate.recover)
    local help = support.run { "run", support.root .. "/gates/golden_path_e2e.lua", "--help" }
    support.has(help.stdout, "default gurkerl_small; with --pack routing wien_small)")
  end)

  it("leaves a LOCKED plan whose hash is worked out again by another program than the gate", function()
    local id = run().gate.facts.plan_version
    assert.equal("LOCKED routing", psql(("select status || ' ' || pack_id from plan_versions where id = '%s'"):format(id)))
    -- RFC 8785 for these rows by PostgreSQL and sha256sum: keys in order, no blanks, ASCII values
    local text = psql(([[select '[' || string_agg(format('{"end_s":%%s,"start_s":%%s,"vehicle_id":"%%s","visits":[%%s]}',
      r.end_s, r.start_s, r.vehicle_id, (select string_agg(format('{"arrive_s":%%s,"leave_s":%%s,"start_s":%%s,"stop_id":"%%s"}',
        s.arrive_s, s.leave_s,
        s.start_s, s.stop_id), ',' order by s.position) from routing_route_stops s where s.route_id = r.id)),
      ',' order by r.vehicle_id collate "C", r.start_s) || ']' from routing_routes r where r.plan_version_id = '%s']]):format(id))
    local pipe = io.popen("sha256sum < " .. support.write(support.tmpdir() .. "/plan", text))
    assert.equal(json.decode(golden "manifest.json").expected_output_hash, pipe:read "a":match "^%x+")
    pipe:close()
  end)

  it("writes each stage's product, and an audit plan in the published shape that a tenant's audit can be run on", function()
    local dir = support.tmpdir() .. "/new"
    assert.equal(0, run({ "--dataset", "wien_small", "--artifacts", dir }).code)
    local function read(name) return json.decode(support.must_read(dir .. "/" .. name)) end
    assert.same({ "PASS", "routing" }, { read("forecast.json").status, read("forecast.json").pack })
    assert.same({ 10, 3, "wien-small-1" },
      { #read("instances.json").stops, #read("instances.json").vehicles, read("instances.json").matrix.version })
    assert.same({ 3, 94, {} }, { #read("plan.json").routes, read("plan.json").seed, read("plan.json").unassigned })
    assert.equal(5, #read("audits.json").audits)
    assert.equal(100, read("kpis.json").kpis.coverage)
    assert.same({ "LOCKED", read("plan.json").output_hash }, { read("lock.json").status, read("lock.json").output_hash })
    support.shell(("/usr/bin/python3 tests/support/validate_report.py stdlib/schema/audit-plan-routing-1.json %s"):format(
      support.quote(dir .. "/audit-plan.json")))
    local r = support.run { "run", "examples/audits/home_by_six.lua", "--plan", dir }
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("reads a scenario from a directory with nothing but it, or from a single file, where estimates are allowed, and says so", function()
    local text = json.encode((function()
      local d = json.decode(golden "input.json")
      d.haversine_fallback = true
      return d
    end)())
    for _, path in ipairs { dataset { ["input.json"] = text }, dataset { ["day.json"] = text } .. "/day.json" } do
      local r = run { "--dataset", path }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.same({ "haversine-30kmh", "estimated", 110 },
        { r.gate.facts.matrix_version, r.gate.facts.matrix_from, r.gate.facts.ways_estimated })
      assert.same({ 1, "travel_estimated" }, { #r.advice, r.advice[1].class })
    end
  end)

  it("takes the configuration's matrix and pin where the dataset has none, and refuses another file than the pinned one", function()
    local dir = dataset { ["input.json"] = golden "input.json", ["m.csv"] = golden "matrix.csv" }
    os.remove(dir .. "/input.json")
    local alone = dataset { ["input.json"] = golden "input.json" }
    local function config(sha256)
      return support.write(dir .. "/gate-engine.conf.lua", ('return { platform = "embedded", packs = { routing = { matrix = "m.csv", '
        .. 'matrix_sha256 = "%s" } } }\n'):format(sha256))
    end
    local r = run { "--dataset", alone, "--config", config(json.decode(golden "manifest.json").matrix_sha256) }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.same({ "packs.routing.matrix", json.decode(golden "manifest.json").expected_output_hash },
      { r.gate.facts.matrix_from, r.gate.facts.output_hash })
    r = run { "--dataset", alone, "--config", config(("0"):rep(64)) }
    assert.equal(1, r.code)
    assert.matches("^Stage Parse failed: matrix: expected the SHA%-256 0000", failures(r))
  end)

  it("tells a tenant's own audit what it needs, and one of another pack that it is", function()
    local function audit(pack, body)
      return support.write(support.tmpdir() .. "/audit.lua", ([[return { name = "house rule", pack = "%s",
        audit = function(plan, report) %s end }]]):format(pack, body))
    end
    local r = run { "--dataset", "wien_small", "--audit", audit("routing", [[for _, r in ipairs(plan.routes) do
      if #r.visits > 3 then report:violation{ object = r.vehicle, detail = #r.visits .. " stops" } end end]]) }
    assert.same({ 1, "Audit house rule: FAIL" }, { r.code, failures(r) }, r.stdout)
    assert.equal("PASS", r.checks.Audit)
    r = run { "--dataset", "wien_small", "--audit", audit("roster", "") }
    assert.same({ 3, "ERROR" }, { r.code, r.checks["Audit house rule"] })
  end)

  describe("fails a changed plan with just the audits that are broken:", function()
    local function visit(name)
      for _, route in ipairs(plan.routes) do
        for i, v in ipairs(route.visits) do
          if v.stop_id == name then return v, route, i end
        end
      end
    end
    local function copy(value) return json.decode(json.encode(value)) end
    for name, case in pairs {
      ["a stop dropped"] = { "coverage", "W01", function()
        local _, route, i = visit "W01"
        table.remove(route.visits, i)
      end },
      ["a stop doubled on a route of its own"] = { "coverage", "W01", function()
        table.insert(plan.routes, { vehicle_id = "V2", start_s = 39000, end_s = 42200, visits = { { stop_id = "W01", arrive_s = 39600,
          start_s = 39600, leave_s = 41600 } } })
      end },
      ["stops of two vehicles swapped, one of which needs cooling"] = { "overlap; skills_compliance", "W02", function()
        local a, b = visit "W03", visit "W02"
        a.stop_id, b.stop_id = b.stop_id, a.stop_id
      end },
      ["a visit shifted an hour early"] = { "overlap", "W10", function()
        local v = visit "W10"
        v.arrive_s, v.start_s = v.arrive_s - 900, v.start_s - 900
      end },
      ["service shifted beyond its window"] = { "time_window", "W06", function()
        local v, route = visit "W06"
        v.arrive_s, v.start_s, v.leave_s, route.end_s = 50401, 50401, 51001, 52000
      end },
      ["a route that ends after the shift"] = { "time_window", "V1", function()
        local _, route = visit "W03"
        route.end_s = 61201
      end },
      ["one vehicle for what two carry"] = { "capacity", "V3", function()
        local v, from, i = visit "W01"
        local _, to = visit "W09"
        table.remove(from.visits, i)
        table.insert(to.visits, 1, v)
        to.start_s = from.start_s
      end },
      ["a vehicle that leaves again before it is back"] = { "overlap", "V2", function()
        local _, first = visit "W02"
        local v = table.remove(first.visits)
        table.insert(plan.routes, { vehicle_id = "V2", start_s = first.end_s - 1, end_s = first.end_s + 3600, visits = { v } })
        v.arrive_s, v.start_s, v.leave_s = first.end_s + 900, first.end_s + 900, first.end_s + 1500
      end },
    } do
      it(name, function()
        local kept = copy(plan)
        case[3]()
        local files = { ["input.json"] = golden "input.json", ["matrix.csv"] = golden "matrix.csv", ["plan.json"] = json.encode(plan) }
        plan = kept
        local r = run { "--dataset", dataset(files) }
        local want, all = {}, {}
        for id in case[1]:gmatch "[%w_]+" do want[id] = true end
        for _, id in ipairs(AUDITS) do all[#all + 1] = want[id] and ("Audit %s: FAIL"):format(id) or nil end
        assert.same({ 1, table.concat(all, "; ") }, { r.code, failures(r) }, r.stdout)
        local objects = {}
        for _, c in ipairs(r.failed) do objects[c.object] = true end
        assert.is_true(objects[case[2]], hash.canonical(objects))
        assert.same({ true, "PASS", "ERROR" }, { r.gate.facts.injected, r.checks["Lock is refused"], r.checks.Lock })
        assert.equal("DRAFT", psql(("select status from plan_versions where id = '%s'"):format(r.gate.facts.plan_version)))
        assert.matches("^gate%-engine run gates/golden_path_e2e.lua %-%-tenant acme %-%-pack routing %-%-dataset /",
          r.failed[1].reproduce)
      end)
    end
  end)

  describe("fails at the stage that breaks:", function()
    for name, case in pairs {
      ["the known failure bad_time_windows"] = { function() return "bad_time_windows" end, "Parse",
        "Stage Parse failed: $.stops[1].window: INVALID_TIME_WINDOW: it ends at 08:00, before it begins at 12:00" },
      ["the known failure missing_geo"] = { function() return "missing_geo" end, "Parse",
        "Stage Parse failed: $.stops[4]: MISSING_GEO: expected lat and lng, found neither" },
      ["a way that the matrix lacks"] = { function()
        return changed(function() end, { ["matrix.csv"] = (golden "matrix.csv":gsub("48.2091,16.3791,48.2113,16.3842,[^\n]*\n", "")) })
      end, "Parse", "Stage Parse failed: matrix wien-small-1 has no way from 48.2091,16.3791 to 48.2113,16.3842" },
      ["no travel times at all"] = { function() return changed(function() end, { ["matrix.csv"] = false }) end, "Parse",
        "Stage Parse failed: there are no travel times" },
      ["a matrix that was changed since it was pinned"] = { function()
        return changed(function() end,
          { ["matrix.csv"] = golden "matrix.csv" .. "1,1,2,2,3,3\n", ["manifest.json"] = golden "manifest.json" })
      end, "Parse", "Stage Parse failed: matrix: expected the SHA-256 " },
      ["a manifest whose input hash is another's"] = { function()
        return changed(function(d) d.stops[1].demand = 24 end, { ["manifest.json"] = golden "manifest.json" })
      end, "Parse", "Stage Parse failed: input_hash of manifest.json" },
      ["a roster forecast"] = { function() return "gurkerl_small" end, "Parse",
        "Stage Parse failed: the dataset holds input.txt; an input of the pack routing is input.json" },
      ["a plan for stops that are not there"] = { function()
        return changed(function() end, { ["plan.json"] = '{"routes":[{"vehicle_id":"V1","start_s":0,"end_s":9,"visits":[{"stop_id":"x",'
          .. '"arrive_s":1,"start_s":1,"leave_s":1}]}]}' })
      end, "Solve", "Stage Solve failed: vehicle V1 visits stop x, which the scenario does not have" },
    } do
      it(name, function()
        local r = run { "--dataset", case[1]() }
        assert.equal(1, r.code, r.stdout .. r.stderr)
        assert.equal(case[3], failures(r):sub(1, #case[3]))
        local after = false
        for _, stage in ipairs { "Parse", "Expand", "Solve", "Audit", "Lock", "Verify" } do
          assert.equal(after and "ERROR" or stage == case[2] and "FAIL" or "PASS", r.checks[stage], stage)
          after = after or stage == case[2]
        end
      end)
    end

    it("a stop that no vehicle can serve, named with the rule", function()
      local r = run { "--dataset", changed(function(d) d.stops[8].demand = 101 end) }
      assert.same({ 1, "Audit coverage: FAIL", "W08" }, { r.code, failures(r), r.failed[1].object })
      local said
      for _, c in ipairs(r.advice) do said = c.class == "stop_unassigned" and c or said end
      assert.same({ "stop_unassigned", "W08", "Stop W08 is not served: capacity" }, { said.class, said.object, said.failure })
      assert.matches("101.*100", said.detail)
    end)

    for name, case in pairs {
      ["writes no JSON"] = { "echo hello", "Stage Solve failed: the solver's output is not JSON" },
      ["leaves a stop out in silence"] = { [[echo '{"solver":{"name":"s","version":"1"},"seed":94,"feasible":true,"distance_m":0,]]
        .. [["routes":[],"unassigned":[]}']], "Stage Solve failed: the solver has stop W01 neither in a route nor in unassigned" },
    } do
      it("a solver that " .. name, function()
        local dir = support.tmpdir()
        local script = support.write(dir .. "/solver", "#!/bin/sh\ncat >/dev/null\n" .. case[1] .. "\n")
        support.shell("chmod 755 " .. script)
        local config = support.write(dir .. "/conf.lua", ([[
          return { platform = "embedded", solver = { kind = "command", argv = { %q } } }]]):format(script))
        local r = run { "--dataset", "wien_small", "--config", config }
        assert.same({ 1, case[2] }, { r.code, failures(r):sub(1, #case[2]) }, r.stdout .. r.stderr)
      end)
    end
  end)

  describe("sees a platform that is broken:", function()
    --- Runs the gate with the platform changed by one statement, and changes it back.
    local function broken(change, back)
      psql(change)
      local ok, r = pcall(run)
      psql(back)
      assert(ok, r)
      return r
    end
    -- A route that goes takes its visits along, whose own trigger still refuses that.
    for table_name, attacks in pairs { routing_routes = { "UPDATE of its routes", "INSERT of a route" },
      routing_route_stops = { "UPDATE of its visits", "DELETE of its visits", "INSERT of a visit", "DELETE of its stops, which takes" } } do
      it("the lock's trigger on " .. table_name .. " is gone", function()
        local r = broken(("alter table %s disable trigger guard_route"):format(table_name),
          ("alter table %s enable always trigger guard_route"):format(table_name))
        assert.equal(1, r.code)
        for _, what in ipairs(attacks) do assert.matches("LOCKED plan: " .. what, failures(r)) end
        assert.equal(#attacks, #r.failed)
      end)
    end
    it("a stop is stored otherwise than it was sent, or a visit is lost", function()
      local original = psql "select pg_get_functiondef('platform.expand_forecast'::regproc)"
      local r = broken((original:gsub("return v_count %+ v_more;", [[update public.routing_stops set demand = demand + 1
        where scenario_id = p_forecast and id = 'W04'; return v_count + v_more;]])), original)
      assert.same({ 1, "Stage Expand failed: stop W04 reads back differently from the platform" }, { r.code, failures(r) })
      original = psql "select pg_get_functiondef('platform.store_plan'::regproc)"
      local fewer = original:gsub("with ordinality as v %(visit, position%);",
        "with ordinality as v (visit, position) where v.position < 4;")
      assert.not_equal(original, fewer)
      r = broken(fewer, original)
      assert.equal(1, r.code)
      assert.matches("^Stage Audit failed: output hash worked out from the assignments read back", failures(r))
    end)
    it("its code paths refuse what is not the scenario's, by the platform's own codes", function()
      local id = run().gate.facts.plan_version
      local tenant, forecast = psql(("select tenant_id || ' ' || forecast_version_id from plan_versions where id = '%s'"):format(id))
        :match "^(%S+) (%S+)$"
      local function refused(code, sql)
        local r = support.run { "platform", "psql", "-X", "-q", "-U", "app_user", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose",
          "-c", (sql:gsub("TENANT", "'" .. tenant .. "'"):gsub("FORECAST", "'" .. forecast .. "'"):gsub("HASH", ("0"):rep(64))) }
        assert.not_equal(0, r.code, sql)
        assert.is_truthy(r.stderr:find(code, 1, true), r.stderr)
      end
      local scenario = [['{"date":"2026-03-02","matrix":{"version":"v","sha256":"HASH"},"vehicles":[],"stops":[]}']]
      local route = [['[{"vehicle_id":"V1","start_s":0,"end_s":1,"visits":[{"stop_id":"W01","arrive_s":0,"start_s":0,"leave_s":0}]}]']]
      local function store(text) return ("select platform.store_plan(TENANT, FORECAST, 1, 'HASH', 'HASH', %s)"):format(text) end
      refused("is expanded already", "select platform.expand_forecast(TENANT, FORECAST, " .. scenario .. ")")
      refused("PL422", "select platform.expand_forecast(TENANT, FORECAST, " .. scenario:gsub("HASH", "x") .. ")")
      refused("PL422", "select platform.expand_forecast(TENANT, FORECAST, " .. scenario:gsub('"stops":%[%]', '"stops":7') .. ")")
      refused("PL404", "select platform.expand_forecast(gen_random_uuid(), FORECAST, " .. scenario .. ")")
      refused("vehicle V9", store(route:gsub("V1", "V9")))
      refused("stop W99", store(route:gsub("W01", "W99")))
      refused("PL404", (store(route):gsub("TENANT", "gen_random_uuid()")))
    end)
    it("TRUNCATE and a DELETE by the superuser are refused while a plan is locked", function()
      local id = run().gate.facts.plan_version
      for _, sql in ipairs { "truncate routing_route_stops", ("delete from routing_routes where plan_version_id = '%s'"):format(id),
        ("update routing_route_stops set position = position + 100 where plan_version_id = '%s'"):format(id) } do
        local r = support.run { "platform", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-c", sql }
        assert.not_equal(0, r.code, sql)
        assert.matches("PL423", r.stderr)
      end
    end)
    it("and passes again once it is mended", function() assert.equal(0, run().code) end)
  end)
end)
