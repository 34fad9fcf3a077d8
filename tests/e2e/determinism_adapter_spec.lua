-- Gate 2 where plans are made by an adapter that the operators wrote: asked again and again, and nothing assumed of what cannot be varied.
local support = require "e2e.support"

local has = support.has

-- The platform's own functions, and a planner: a driver for each tour, in an order that %s decides.
local ADAPTER = [[
local embedded = require "platform.adapter_embedded"
local hash = require "hash"
local json = require "json"
return function(host)
  local adapter = embedded.new { pack = host.pack, db = host.db, open = host.open, tenant_id = host.tenant.id,
    tenant_code = host.tenant.code }
  local calls, first = 0, nil
  function adapter.solve_plan(forecast, options)
    calls = calls + 1
    local tours, rows = adapter.read_instances(forecast), {}
    for i, tour in ipairs(tours) do
      local driver = ("D%%03d"):format((i + PLACE) %% #tours)
      rows[i] = { driver_id = driver, tour_instance_id = tour.id, day = tour.day, block_id = driver .. "-" .. tour.day, block_type = "1er" }
    end
    table.sort(rows, function(a, b) return a.driver_id .. a.tour_instance_id < b.driver_id .. b.tour_instance_id end)
    local answer = { solver = { name = "ours", version = "1" }, seed = options.seed, drivers = #rows, assignments = json.array(rows) }
    local plan = adapter.store_plan(forecast, { seed = options.seed, solver_config_hash = ("0"):rep(64), output_hash = hash.of(rows),
      assignments = rows })
    first = first or { plan, answer }
    SPOIL
    return plan, answer
  end
  return adapter
end
]]

describe("the determinism proof through an adapter of the operators' own", function()
  setup(support.platform_start)
  teardown(support.platform_stop)

  ---@param options {place: string?, spoil: string?, source: string?, argv: string[]?, solver: string?, adapter: string?}
  local function run(options, gate)
    local dir = support.tmpdir()
    local source = options.source or ADAPTER:gsub("%%%%", "%%"):gsub("PLACE", options.place or "0"):gsub("SPOIL", options.spoil or "")
    support.write(dir .. "/ours.lua", source)
    local config = support.write(dir .. "/gate-engine.conf.lua", ("return { adapter = %q, solver = %s }\n"):format(
      options.adapter or "ours.lua", options.solver or '{ kind = "adapter" }'))
    local argv = { "run", gate or "gates/determinism_proof.lua", "--config", config }
    table.move(options.argv or {}, 1, #(options.argv or {}), #argv + 1, argv)
    return support.gate(argv)
  end

  it("passes where every plan of a forecast and seed is the same, and says that nothing could be varied", function()
    local r = run { argv = { "--runs", "5", "--jobs", "4" } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "✅ PASS - 5/5 runs produced identical hash")
    local facts = r.gate.facts
    for _, part in ipairs { "time zone", "locale", "clock", "working directory", "environment", "hash seeds", "malloc fill",
      "processor features", "processor", "file order", "address layout", "load" } do
      has(tostring(facts.not_applied[part]), "through its adapter it is only asked again")
    end
    assert.same({ "as the platform has it", "the same question once more, through the platform's adapter" },
      { facts.conditions[1], facts.conditions[2] })
    -- Six plans of two forecasts: five, and the control's.
    local forecasts = facts.left_behind:match "^forecasts ([%x-, ]+) of tenant demo, with their plans$"
    assert.is_truthy(forecasts, facts.left_behind)
    assert.equal("5,1", support.psql(("select string_agg(n::text, ',' order by n desc) from (select count(*) as n from plan_versions "
      .. "where forecast_version_id::text in ('%s') group by forecast_version_id) p"):format((forecasts:gsub(", ", "','")))))
  end)

  it("lets gate 3 take its plans too", function()
    local r = run({}, "gates/golden_path_e2e.lua")
    assert.is_nil(r.stdout:find("no program to start", 1, true))
    has(r.stdout, "Golden Path E2E")
  end)

  it("finds the plan that is another, names where, and invents no cause", function()
    local r = run { place = "(calls == 2 and 1 or 0)" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "Hash mismatch on run 2")
    has(r.failed[1].detail, "stage solve, $.assignments[", "1 of 2 repetitions differ", "not to be told through an adapter")
    assert.equal("unknown", r.gate.facts.cause)
  end)

  it("fails where it answers every question as the first", function()
    local r = run { spoil = "answer = first[2]" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "with another seed and forecast, ")
  end)

  for name, case in pairs {
    ["gives the plan that it made before"] = { { spoil = "plan = first[1]" }, "plan_repeated",
      "solve_plan: the platform answers with plan " },
    ["has no solve_plan"] = { { source = support.must_read "examples/adapters/own_functions.lua" }, "adapter_incomplete", "solve_plan" },
    ["raises in one run"] = { { spoil = 'if calls == 2 then error "broken" end' }, nil, "broken" },
    ["understands another forecast"] = { { source = ADAPTER:gsub("%%%%", "%%"):gsub("PLACE", "0"):gsub("SPOIL", "")
      :gsub("return adapter\n", "adapter.read_instances = function() return {} end\n  return adapter\n") }, "forecast_differs",
      "the platform has 0 of the forecast's" },
  } do
    it("is an error, never a pass, where the adapter " .. name, function()
      local r = run(case[1])
      assert.equal(3, r.code, r.stdout .. r.stderr)
      if case[2] then assert.equal(case[2], r.errors[1].class) end
      has(r.stdout, case[3])
      assert.is_nil(r.stdout:find("PASS -", 1, true))
    end)
  end

  it("proposes what to do, and makes no plan in a recovery", function()
    local count = "select count(*) from plan_versions"
    local dir = support.tmpdir()
    support.write(dir .. "/ours.lua", (ADAPTER:gsub("%%%%", "%%"):gsub("PLACE", "calls"):gsub("SPOIL", "")))
    local config = support.write(dir .. "/gate-engine.conf.lua", 'return { adapter = "ours.lua", solver = { kind = "adapter" } }\n')
    assert.equal(1, support.run { "run", "gates/determinism_proof.lua", "--config", config }.code)
    local before = math.tointeger(support.psql(count))
    local r = support.run { "recover", "gates/determinism_proof.lua", "--config", config }
    has(r.stdout, "diff run1.json runN.json", 'solver = { kind = "command"', "Rerun gate")
    -- The run before the recovery made its four.
    assert.equal(before + 4, math.tointeger(support.psql(count)))
  end)

  it("is an error of the configuration without an adapter of one's own", function()
    for _, adapter in ipairs { "embedded", "http" } do
      local dir = support.tmpdir()
      local config = support.write(dir .. "/gate-engine.conf.lua",
        ('return { adapter = %q, solver = { kind = "adapter" } }\n'):format(adapter))
      local r = support.run { "run", "gates/determinism_proof.lua", "--config", config }
      assert.equal(2, r.code)
      has(r.stderr, 'solver.kind: expected an adapter of your own beside kind "adapter", found ' .. adapter)
    end
  end)
end)
