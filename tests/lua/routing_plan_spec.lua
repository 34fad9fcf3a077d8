-- The routing pack behind the reader: ways, plans, the five audits to the second, KPIs and golden datasets.
package.path = "tests/support/?.lua;" .. package.path
local audits = require "packs.routing.audits"
local dataset = require "packs.routing.dataset"
local errors = require "errors"
local golden = require "packs.routing.golden"
local hash = require "hash"
local json = require "json"
local kpis = require "packs.routing.kpis"
local matrix = require "packs.routing.matrix"
local plan = require "packs.routing.plan"
local problem = require "packs.routing.problem"
local scenario = require "packs.routing.scenario"

local HEADER = "from_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters\n"

--- Places on one line of longitude, the depot at 48.0: ten minutes and 5 km from one to the next.
local function line_matrix(places, more)
  local rows = { "# version: line\n" .. HEADER }
  for i = 0, places do
    for k = 0, places do
      if i ~= k then
        rows[#rows + 1] = ("48.%d,16,48.%d,16,%s,%d\n"):format(i, k, more or 600 * math.abs(i - k), 5000 * math.abs(i - k))
      end
    end
  end
  return table.concat(rows)
end

--- Three stops at 48.1, 48.2 and 48.3; two vehicles of 100, of which only V1 has the skill that C needs.
local function document()
  return {
    date = "2026-03-02", depots = { { id = "D", lat = 48, lng = 16 } },
    vehicles = { { id = "V1", depot = "D", capacity = 100, shift = { "08:00", "16:00" }, skills = { "cool" } },
      { id = "V2", depot = "D", capacity = 100, shift = { "08:00", "16:00" } } },
    stops = {
      { id = "A", lat = 48.1, lng = 16, demand = 40, service_min = 10, window = { "09:00", "10:00" } },
      { id = "B", lat = 48.2, lng = 16, demand = 60, service_min = 5, window = { "09:00", "12:00" } },
      { id = "C", lat = 48.3, lng = 16, demand = 1, service_min = 0, window = { "09:00", "12:00" }, skills = { "cool" } },
    },
  }
end

local function make(change, ways)
  local d = document()
  if change then change(d) end
  local read = scenario.parse(json.encode(d))
  assert.is_truthy(read.scenario, read.issues[1] and read.issues[1].message)
  return problem.make(read.scenario, matrix.parse(ways or line_matrix(3)))
end

local function hms(text)
  local h, m, s = text:match("^(%d+):(%d+):(%d+)$")
  return math.tointeger(h) * 3600 + math.tointeger(m) * 60 + math.tointeger(s)
end

--- A route from a text: "V1 08:50:00 A 09:00:00 09:00:00 09:10:00 | … | 09:20:00".
local function route(text)
  local out = { visits = json.array {} }
  for part in (text .. " | "):gmatch("(.-) | ") do
    local words = {}
    for word in part:gmatch("%S+") do words[#words + 1] = word end
    if not out.vehicle_id then
      out.vehicle_id, out.start_s = words[1], hms(words[2])
    elseif #words == 1 then
      out.end_s = hms(words[1])
    else
      table.insert(out.visits, { stop_id = words[1], arrive_s = hms(words[2]), start_s = hms(words[3]), leave_s = hms(words[4]) })
    end
  end
  return out
end

local ONE = "V1 08:50:00 | A 09:00:00 09:00:00 09:10:00 | C 09:30:00 09:30:00 09:30:00 | 10:00:00"
local TWO = "V2 08:40:00 | B 09:00:00 09:00:00 09:05:00 | 09:25:00"

local function failed(routes, p)
  local out = {}
  for _, r in ipairs(audits.run(routes, p)) do
    if r.status ~= "PASS" then out[#out + 1] = r.id end
  end
  return table.concat(out, " ")
end

local function violation(routes, p, id)
  return audits.run(routes, p, id)[1].violations[1]
end

describe("a routing problem", function()
  it("has the matrix's ways, whole: seconds rounded up, metres to the nearest", function()
    local p = make(nil, line_matrix(3, "600.1"):gsub(",5000\n", ",5000.5\n"))
    local t = p.travel
    assert.same({ 601, 5001, 0 }, { t.seconds[t.place["depot D"]][t.place["stop A"]], t.metres[t.place["stop A"]][t.place["stop B"]],
      t.seconds[1][1] })
    assert.same({ "line", 0, 12 }, { p.matrix.version, t.estimated, t.ways })
    assert.equal(64, #p.matrix.sha256)
  end)

  it("lacks a way that the matrix lacks, unless estimates are allowed, and then says how many", function()
    local short = line_matrix(3):gsub("48.1,16,48.2,16,%d+,%d+\n", "")
    local ok, err = pcall(make, nil, short)
    assert.is_false(ok)
    assert.equal("matrix_missing_pair", err.code)
    assert.matches("48.1,16 to 48.2,16", err.message)
    local read = scenario.parse(json.encode(document())).scenario
    local estimated = problem.make(read, problem.matrix(read, { bytes = short, fallback = true }))
    assert.same({ 1, 12 }, { estimated.travel.estimated, estimated.travel.ways })
    assert.is_false(pcall(problem.matrix, read, {}))
    read.haversine_fallback = true
    local all = problem.make(read, problem.matrix(read, {}))
    assert.same({ 12, "haversine-30kmh", 64 }, { all.travel.estimated, all.matrix.version, #all.matrix.sha256 })
  end)

  it("has no way between two depots, and asks the matrix for none", function()
    local p = make(function(d)
      d.depots[2] = { id = "E", lat = 48.5, lng = 17 }
      d.vehicles[2].depot = "E"
    end, line_matrix(3) .. (("48.5,17,48.N,16,1,1\n48.N,16,48.5,17,1,1\n"):rep(3):gsub("N", (function()
      local n = 0
      return function()
        n = n + 1
        return tostring((n + 1) // 2)
      end
    end)())))
    assert.equal(json.null, p.travel.seconds[p.travel.place["depot D"]][p.travel.place["depot E"]])
  end)

  it("is another solver configuration with other ways", function()
    local solver = { name = "s", version = "1" }
    local a, b = make(), make(nil, (line_matrix(3):gsub("version: line", "version: other")))
    assert.not_equal(problem.solver_config_hash(94, solver, a), problem.solver_config_hash(94, solver, b))
    assert.equal(problem.solver_config_hash(94, solver, a), problem.solver_config_hash(94, solver, make()))
  end)
end)

describe("the routing audits", function()
  it("pass a plan that keeps every rule", function()
    assert.equal("", failed({ route(ONE), route(TWO) }, make()))
  end)

  it("pass two routes of one vehicle, one after the other", function()
    local second = "V1 10:00:00 | B 10:20:00 10:20:00 10:25:00 | 10:45:00"
    assert.equal("", failed({ route(ONE), route(second) }, make()))
    local v = violation({ route(ONE), route((second:gsub("10:00:00", "09:59:59"))) }, make(), "overlap")
    assert.same({ "V1", hms "09:59:59", hms "10:00:00" }, { v.vehicle, v.found, v.allowed })
  end)

  describe("find with the right names and numbers, and nothing else, at the boundary:", function()
    for _, case in ipairs {
      { "a stop left out", "coverage", { ONE }, "B", 0, 1 },
      { "a stop served twice", "coverage", { ONE, TWO, "V2 10:40:00 | B 11:00:00 11:00:00 11:05:00 | 11:25:00" }, "B", 2, 1 },
      { "service a second after the window", "time_window",
        { ONE, "V2 11:40:01 | B 12:00:01 12:00:01 12:05:01 | 12:25:01" }, "B", hms "12:00:01", hms "12:00:00" },
      { "service a second before the window", "time_window",
        { ONE, "V2 08:39:59 | B 08:59:59 08:59:59 09:04:59 | 09:24:59" }, "B", hms "08:59:59", hms "09:00:00" },
      { "a route a second before the shift", "time_window",
        { ONE, "V2 07:59:59 | B 09:00:00 09:00:00 09:05:00 | 09:25:00" }, "V2", hms "07:59:59", hms "08:00:00" },
      { "a route a second after the shift", "time_window",
        { ONE, "V2 08:40:00 | B 09:00:00 09:00:00 09:05:00 | 16:00:01" }, "V2", hms "16:00:01", hms "16:00:00" },
      { "one unit too much", "capacity",
        { "V1 08:50:00 | A 09:00:00 09:00:00 09:10:00 | B 09:20:00 09:20:00 09:25:00 | C 09:35:00 09:35:00 09:35:00 | 10:05:00" },
        "V1", 101, 100 },
      { "a second less than the way takes", "overlap",
        { ONE, "V2 08:40:01 | B 09:00:00 09:00:00 09:05:00 | 09:25:00" }, "B", hms "09:00:00", hms "09:00:01" },
      { "a second less than the way from the stop before takes", "overlap",
        { "V1 08:50:00 | A 09:00:00 09:00:00 09:10:00 | C 09:29:59 09:29:59 09:29:59 | 10:00:00", TWO }, "C", hms "09:29:59",
        hms "09:30:00" },
      { "a second less than service takes", "overlap",
        { ONE, "V2 08:40:00 | B 09:00:00 09:00:00 09:04:59 | 09:25:00" }, "B", hms "09:04:59", hms "09:05:00" },
      { "service before the vehicle is there", "overlap",
        { ONE, "V2 08:40:00 | B 09:00:01 09:00:00 09:05:01 | 09:25:01" }, "B", hms "09:00:00", hms "09:00:01" },
      { "a second less than the way home takes", "overlap",
        { ONE, "V2 08:40:00 | B 09:00:00 09:00:00 09:05:00 | 09:24:59" }, "V2", hms "09:24:59", hms "09:25:00" },
      { "a skill the vehicle has not", "skills_compliance",
        { "V1 08:50:00 | A 09:00:00 09:00:00 09:10:00 | 09:20:00",
          "V2 08:40:00 | B 09:00:00 09:00:00 09:05:00 | C 09:15:00 09:15:00 09:15:00 | 09:45:00" }, "C", "without", "cool" },
    } do
      it(case[1], function()
        local routes = {}
        for i, text in ipairs(case[3]) do routes[i] = route(text) end
        local p = make()
        assert.equal(case[2], failed(routes, p))
        local v = violation(routes, p, case[2])
        assert.same({ case[4], case[5], case[6] }, { v.object, v.found, v.allowed }, v.detail)
        assert.matches("%w", v.detail)
      end)
    end

    it("the last second of a window, a shift and a full vehicle pass", function()
      local p = make(function(d)
        d.stops[2].demand = 100
        d.stops[2].window = { "15:35", "15:35" }
      end)
      assert.equal("", failed({ route(ONE), route "V2 08:00:00 | B 15:35:00 15:35:00 15:40:00 | 16:00:00" }, p))
    end)
  end)

  it("find a stop that is not there, and a plan of nothing", function()
    local ghost = route(TWO)
    ghost.visits[2] = { stop_id = "ghost", arrive_s = 0, start_s = 0, leave_s = 0 }
    assert.equal("coverage", failed({ route(ONE), ghost }, make()))
    assert.equal("coverage", failed({}, make()))
  end)

  it("refuse to judge what cannot be judged", function()
    local p = make()
    for _, routes in ipairs { { { vehicle_id = "V9", visits = {}, start_s = 0, end_s = 0 } }, { { vehicle_id = "V1", visits = {} } }, { 7 },
      { { vehicle_id = "V1", start_s = 0, end_s = 0, visits = { { stop_id = "A" } } } } } do
      local ok, err = pcall(audits.run, routes, p)
      assert.same({ false, "audit_input" }, { ok, err.code })
    end
    for _, change in ipairs {
      function(q) q.stops[1].window_end_min = nil end, function(q) q.stops[2].id = "A" end, function(q) q.vehicles[1].capacity = "x" end,
      function(q) q.travel = nil end, function(q) q.stops[1].skills = nil end,
    } do
      local broken = make()
      change(broken)
      local ok, err = pcall(audits.run, { route(ONE), route(TWO) }, broken)
      assert.is_false(ok)
      assert.equal("audit_input", err.code)
    end
    assert.is_false(pcall(audits.run, {}, p, "rest"))
  end)
end)

describe("a routing plan", function()
  local function answer(change)
    local out = { solver = { name = "s", version = "1" }, seed = 94, feasible = true, distance_m = 50000, unassigned = json.array {},
      routes = json.array { route(TWO), route(ONE) } }
    if change then change(out) end
    return out
  end

  it("is the solver's answer, sorted, with what it claims worked out anew", function()
    local p = make()
    local made = plan.from_solver(answer(), p, 94)
    assert.same({ "V1", "V2", 50000, "s" },
      { made.assignments[1].vehicle_id, made.assignments[2].vehicle_id, made.distance_m, made.solver.name })
    assert.equal(made.output_hash, plan.output_hash { route(ONE), route(TWO) })
    assert.equal(hash.of(json.array { route(ONE), route(TWO) }), made.output_hash)
  end)

  for name, change in pairs {
    ["is no object"] = false,
    ["names no solver"] = function(a) a.solver = nil end,
    ["used another seed"] = function(a) a.seed = 95 end,
    ["claims other metres"] = function(a) a.distance_m = 49999 end,
    ["claims to be feasible and leaves a stop out"] = function(a)
      a.routes[1] = nil
      a.routes = json.array { route(ONE) }
      a.unassigned[1], a.distance_m = { stop_id = "B", rule = "no_room" }, 30000
    end,
    ["leaves a stop out and does not say so"] = function(a)
      a.routes, a.distance_m, a.feasible = json.array { route(ONE) }, 30000, false
    end,
    ["calls a stop unassigned that it visits"] = function(a) a.unassigned[1] = { stop_id = "A", rule = "x" } end,
    ["visits a stop that there is not"] = function(a) a.routes[1].visits[1].stop_id = "ghost" end,
    ["drives with a vehicle that there is not"] = function(a) a.routes[1].vehicle_id = "V9" end,
    ["has a route of no visits"] = function(a)
      a.routes[1].visits, a.distance_m, a.feasible = json.array {}, 30000, false
      a.unassigned[1] = { stop_id = "B", rule = "no_room" }
    end,
    ["has a time with a fraction"] = function(a) a.routes[1].end_s = 1.5 end,
    ["has a negative time"] = function(a) a.routes[1].visits[1].arrive_s = -1 end,
    ["has a time beyond two days"] = function(a) a.routes[1].end_s = 172801 end,
    ["has routes that are no list"] = function(a) a.routes = { x = 1 } end,
    ["does not say what is unassigned"] = function(a) a.unassigned = nil end,
  } do
    it("is refused where the answer " .. name, function()
      local ok, err = pcall(plan.from_solver, change and answer(change) or "x", make(), 94)
      assert.is_false(ok)
      assert.is_true(errors.is(err, "plan_invalid"), tostring(err))
    end)
  end

  it("is published in whole minutes that are in time where the seconds are", function()
    local p = make()
    local seen = plan.audit_plan({ assignments = { route "V2 08:39:30 | B 08:59:30 09:00:30 09:05:30 | 09:25:30", route(ONE) } }, p)
    local two = seen.routes[2]
    assert.same({ "V2", 519, 566, 20000 }, { two.vehicle, two.start_min, two.end_min, two.distance_m })
    assert.same({ stop = "B", arrive_min = 540, start_min = 541, leave_min = 546, load = 60 }, two.visits[1])
    assert.same({ 40, 41 }, { seen.routes[1].visits[1].load, seen.routes[1].visits[2].load })
    assert.same({ "2026-03-02", "line" }, { seen.date, seen.matrix.version })
  end)

  it("has KPIs that can be worked out by hand", function()
    local p = make()
    local routes = { route(ONE), route(TWO) }
    local found = kpis.compute(routes, p, audits.run(routes, p))
    assert.same({ stops = 3, routes_used = 2, tw_violations = 0, coverage = 100, total_distance_km = 50, duration_hours = 1.92,
      capacity_utilisation = 50.5, audit_pass_rate = 100 }, found)
    local levels = {}
    for _, k in ipairs(kpis.judge(found, { total_distance_km = 45, routes_used = 2, duration_hours = 1.5 })) do levels[k.kpi] = k.level end
    assert.same({ "WARNING", "OK", "CRITICAL", "UNKNOWN", "OK" }, { levels.total_distance_km, levels.routes_used, levels.duration_hours,
      levels.capacity_utilisation, levels.coverage })
    found = kpis.compute({ route(ONE) }, p, audits.run({ route(ONE) }, p))
    assert.same({ 66.67, 80 }, { found.coverage, found.audit_pass_rate })
  end)
end)

describe("routing datasets:", function()
  --- A store over a directory.
  local function directory(path)
    return {
      list = function()
        local out = {}
        for name in io.popen("ls '" .. path .. "'"):lines() do out[#out + 1] = { key = name } end
        return out
      end,
      get = function(_, key)
        local f = assert(io.open(path .. "/" .. key, "rb"))
        local bytes = f:read "a"
        f:close()
        return bytes
      end,
    }
  end
  local function memory(files)
    return { list = function()
      local out = {}
      for key in pairs(files) do out[#out + 1] = { key = key } end
      return out
    end, get = function(_, key) return files[key] end }
  end

  it("wien_small is what its generator writes, has the published shape, and its hashes are true", function()
    local path = "stdlib/datasets/routing/wien_small"
    local store = directory(path)
    for _, name in ipairs { "input.json", "matrix.csv" } do
      local pipe = io.popen(("lua5.4 %s/generate.lua %s"):format(path, name))
      assert.equal(store:get(name), pipe:read "a")
      pipe:close()
    end
    local data = dataset.load(store)
    local work = dataset.prepare(data)
    local p = work.instances
    assert.same({ 10, 3, 100 }, { #p.stops, #p.vehicles, p.vehicles[1].capacity })
    for _, stop in ipairs(p.stops) do
      assert.equal(240, stop.window_end_min - stop.window_start_min)
      assert.is_true(stop.window_start_min >= 480 and stop.window_end_min <= 960)
      assert.is_true(stop.lat > 48.2082 and stop.lat <= 48.22 and stop.lng > 16.3738 and stop.lng <= 16.4)
    end
    assert.same({ lat = 48.2082, lng = 16.3738 }, { lat = p.vehicles[1].depot.lat, lng = p.vehicles[1].depot.lng })
    assert.equal(data.input_hash, work.input_hash)
    assert.equal(data.manifest.matrix_sha256, p.matrix.sha256)
    assert.same({ true, "matrix.csv" }, { work.source.pinned, work.source.from })
    assert.same({}, golden.advice(work))
  end)

  for name, code in pairs { bad_time_windows = "INVALID_TIME_WINDOW", missing_geo = "MISSING_GEO" } do
    it(name .. " is wrong in just this: " .. code, function()
      local data = dataset.load(directory("stdlib/datasets/known_failures/" .. name))
      assert.same({ 1, code, "Parse" }, { #data.forecast.issues, data.forecast.issues[1].code, data.manifest.expected_failure })
    end)
  end

  it("take the dataset's matrix first, then the configuration's, and say which and whether it is pinned", function()
    local input, own = json.encode(document()), line_matrix(3)
    local other = own:gsub("version: line", "version: other")
    local function load(files, config)
      return dataset.prepare(dataset.load(memory(files), { config = config, matrix = function() return other end }))
    end
    local work = load({ ["input.json"] = input, ["matrix.csv"] = own }, { matrix = "m.csv" })
    assert.same({ "matrix.csv", false, "line" }, { work.source.from, work.source.pinned, work.instances.matrix.version })
    assert.equal("matrix_unpinned", golden.advice(work)[1][1])
    work = load({ ["input.json"] = input }, { matrix = "m.csv", matrix_sha256 = hash.sha256(other) })
    assert.same({ "packs.routing.matrix", true, "other" }, { work.source.from, work.source.pinned, work.instances.matrix.version })
    work = load({ ["input.json"] = input }, { haversine_fallback = true })
    assert.same({ "estimated", 12 }, { work.source.from, work.instances.travel.estimated })
    assert.equal("travel_estimated", golden.advice(work)[1][1])
    local ok, err = pcall(load, { ["input.json"] = input })
    assert.same({ false, "matrix_none" }, { ok, err.code })
    ok, err = pcall(load, { ["input.json"] = input, ["matrix.csv"] = own, ["manifest.json"] = '{"matrix_sha256":"00"}' })
    assert.same({ false, "matrix_hash" }, { ok, err.code })
  end)

  for name, case in pairs {
    ["is another pack's"] = { "dataset_manifest", { ["input.json"] = "{}", ["manifest.json"] = '{"pack":"roster"}' } },
    ["holds a roster forecast"] = { "dataset_input", { ["input.txt"] = "Mo 06:00-14:00", ["manifest.json"] = "{}" } },
    ["holds nothing"] = { "dataset_input", {} },
    ["has a plan that is no JSON"] = { "dataset_json", { ["input.json"] = "{}", ["plan.json"] = "{" } },
  } do
    it("refuse one that " .. name, function()
      local ok, err = pcall(dataset.load, memory(case[2]))
      assert.same({ false, case[1] }, { ok, err.code })
    end)
  end
end)
