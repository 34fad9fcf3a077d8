-- The reader of routing scenarios: what it takes, and each issue with its code and path.
local hash = require "hash"
local json = require "json"
local scenario = require "packs.routing.scenario"

--- A small scenario, which `change` may break.
local function document(change)
  local d = {
    date = "2026-03-02", depots = { { id = "wien", lat = 48.2082, lng = 16.3738 } },
    vehicles = { { id = "V1", depot = "wien", capacity = 100, shift = { "07:30", "17:00" }, skills = { "cool" } } },
    stops = { { id = "A", lat = 48.2091, lng = 16.3791, demand = 25, service_min = 10, window = { "08:00", "12:00" } },
      { id = "B", lat = 48.22, lng = 16.4, window = { "12:00", "12:00" }, skills = { "cool" } } },
  }
  if change then change(d) end
  return d
end

local function parse(change)
  return scenario.parse(json.encode(document(change)))
end

--- Issues as "CODE path", sorted.
local function issues(result)
  local out = {}
  for i, issue in ipairs(result.issues) do out[i] = issue.code .. " " .. issue.path end
  table.sort(out)
  return out
end

describe("a routing scenario", function()
  it("is understood, with what was left out and in order", function()
    local r = parse(function(d) d.stops[1], d.stops[2] = d.stops[2], d.stops[1] end)
    assert.same({ "PASS", {} }, { r.status, r.issues })
    local s = r.scenario
    assert.same({ "2026-03-02", false }, { s.date, s.haversine_fallback })
    assert.same({ id = "A", lat = 48.2091, lng = 16.3791, lat_e7 = 482091000, lng_e7 = 163791000, demand = 25, service_min = 10,
      window_start_min = 480, window_end_min = 720, skills = {} }, s.stops[1])
    assert.same({ "B", 0, 0, 720, 720 }, { s.stops[2].id, s.stops[2].demand, s.stops[2].service_min, s.stops[2].window_start_min,
      s.stops[2].window_end_min })
    assert.same({ 450, 1020, "wien", { "cool" } },
      { s.vehicles[1].shift_start_min, s.vehicles[1].shift_end_min, s.vehicles[1].depot, s.vehicles[1].skills })
  end)

  it("has the same hash in any order, with a name or none, and another for anything that matters", function()
    local first = scenario.input_hash(parse().scenario)
    assert.equal(first, scenario.input_hash(parse(function(d)
      d.name, d.stops[1], d.stops[2] = "x", d.stops[2], d.stops[1]
    end).scenario))
    local seen = { [first] = true }
    for _, change in ipairs {
      function(d) d.date = "2026-03-03" end, function(d) d.haversine_fallback = true end, function(d) d.stops[1].lat = 48.2091001 end,
      function(d) d.stops[1].demand = 26 end, function(d) d.stops[1].service_min = 11 end, function(d) d.stops[1].window[2] = "12:01" end,
      function(d) d.stops[1].skills = { "cool" } end, function(d) d.stops[1].id = "C" end, function(d) d.vehicles[1].capacity = 99 end,
      function(d) d.vehicles[1].shift[1] = "07:31" end, function(d) d.vehicles[1].skills[2] = "x" end,
      function(d) d.depots[1].lng = 16.3 end,
    } do
      local found = scenario.input_hash(parse(change).scenario)
      assert.is_nil(seen[found])
      seen[found] = true
    end
  end)

  describe("names what is wrong by code and path:", function()
    for name, case in pairs {
      ["no coordinates"] = { function(d) d.stops[2].lat, d.stops[2].lng = nil, nil end, "MISSING_GEO $.stops[1]" },
      ["one coordinate"] = { function(d) d.stops[1].lng = nil end, "MISSING_GEO $.stops[0].lng" },
      ["a coordinate of null"] = { function(d) d.depots[1].lat = json.null end, "MISSING_GEO $.depots[0].lat" },
      ["a latitude beyond the pole"] = { function(d) d.stops[1].lat = 90.0000001 end, "INVALID_COORDINATE $.stops[0].lat" },
      ["a longitude beyond the date line"] = { function(d) d.stops[1].lng = -180.1 end, "INVALID_COORDINATE $.stops[0].lng" },
      ["eight digits after the point"] = { function(d) d.stops[1].lat = 48.12345678 end, "INVALID_COORDINATE $.stops[0].lat" },
      ["a coordinate as text"] = { function(d) d.stops[1].lat = "48.2" end, "INVALID_COORDINATE $.stops[0].lat" },
      ["a window that ends first"] = { function(d) d.stops[1].window = { "12:00", "08:00" } end,
        "INVALID_TIME_WINDOW $.stops[0].window" },
      ["no window"] = { function(d) d.stops[1].window = nil end, "MISSING_KEY $.stops[0].window" },
      ["a window of one time"] = { function(d) d.stops[1].window = { "12:00" } end, "INVALID_TIME_FORMAT $.stops[0].window" },
      ["minute 60"] = { function(d) d.stops[1].window[1] = "08:60" end, "INVALID_TIME_FORMAT $.stops[0].window[0]" },
      ["a time past the second midnight"] = { function(d) d.stops[1].window[2] = "48:01" end,
        "INVALID_TIME_FORMAT $.stops[0].window[1]" },
      ["a time without a zero"] = { function(d) d.stops[1].window[1] = "8:00" end, "INVALID_TIME_FORMAT $.stops[0].window[0]" },
      ["a shift that ends first"] = { function(d) d.vehicles[1].shift = { "17:00", "07:00" } end, "INVALID_SHIFT $.vehicles[0].shift" },
      ["a depot that is none"] = { function(d) d.vehicles[1].depot = "graz" end, "UNKNOWN_DEPOT $.vehicles[0].depot" },
      ["an id given twice"] = { function(d) d.stops[2].id = "A" end, "DUPLICATE_ID $.stops[1].id" },
      ["a vehicle's id given twice"] = { function(d) d.vehicles[2] = d.vehicles[1] end, "DUPLICATE_ID $.vehicles[1].id" },
      ["an empty id"] = { function(d) d.stops[1].id = "" end, "INVALID_ID $.stops[0].id" },
      ["an id with a line break"] = { function(d) d.stops[1].id = "a\nb" end, "INVALID_ID $.stops[0].id" },
      ["an id that begins with a blank"] = { function(d) d.stops[1].id = " a" end, "INVALID_ID $.stops[0].id" },
      ["no id"] = { function(d) d.stops[1].id = nil end, "MISSING_KEY $.stops[0].id" },
      ["a negative demand"] = { function(d) d.stops[1].demand = -1 end, "INVALID_NUMBER $.stops[0].demand" },
      ["a demand with a fraction"] = { function(d) d.stops[1].demand = 1.5 end, "INVALID_NUMBER $.stops[0].demand" },
      ["a demand of a million and one"] = { function(d) d.stops[1].demand = 1000001 end, "INVALID_NUMBER $.stops[0].demand" },
      ["service of more than a day"] = { function(d) d.stops[1].service_min = 1441 end, "INVALID_NUMBER $.stops[0].service_min" },
      ["no capacity"] = { function(d) d.vehicles[1].capacity = nil end, "MISSING_KEY $.vehicles[0].capacity" },
      ["a skill that is a number"] = { function(d) d.stops[1].skills = { 7 } end, "INVALID_SKILL $.stops[0].skills[0]" },
      ["a skill named twice"] = { function(d) d.stops[2].skills[2] = "cool" end, "DUPLICATE_SKILL $.stops[1].skills[1]" },
      ["skills that are a text"] = { function(d) d.stops[1].skills = "cool" end, "INVALID_TYPE $.stops[0].skills" },
      ["an unknown key"] = { function(d) d.stops[1].prio = 1 end, "UNKNOWN_KEY $.stops[0].prio" },
      ["an unknown key that is no name"] = { function(d) d["a b"] = 1 end, 'UNKNOWN_KEY $["a b"]' },
      ["a day that there is not"] = { function(d) d.date = "2026-02-29" end, "INVALID_DATE $.date" },
      ["no day"] = { function(d) d.date = nil end, "MISSING_KEY $.date" },
      ["no stops"] = { function(d) d.stops = json.array {} end, "EMPTY_SCENARIO $.stops" },
      ["no list of stops"] = { function(d) d.stops = nil end, "MISSING_KEY $.stops" },
      ["no vehicles"] = { function(d) d.vehicles = json.array {} end, "EMPTY_SCENARIO $.vehicles" },
      ["a stop that is a list"] = { function(d) d.stops[1] = json.array { 1 } end, "INVALID_TYPE $.stops[0]" },
      ["a fallback that is a text"] = { function(d) d.haversine_fallback = "no" end, "INVALID_TYPE $.haversine_fallback" },
    } do
      it(name, function()
        local r = parse(case[1])
        assert.same({ "FAIL", { case[2] } }, { r.status, issues(r) })
        assert.is_nil(r.scenario)
        assert.is_truthy(r.issues[1].message:find("%a"))
      end)
    end

    it("all of them at once", function()
      assert.same({ "INVALID_TIME_WINDOW $.stops[0].window", "MISSING_GEO $.stops[1]", "UNKNOWN_DEPOT $.vehicles[0].depot" },
        issues(parse(function(d)
          d.stops[1].window = { "12:00", "08:00" }
          d.stops[2].lat, d.stops[2].lng = nil, nil
          d.vehicles[1].depot = "x"
        end)))
    end)

    it("more stops than there may be", function()
      local r = parse(function(d)
        for i = 1, 501 do d.stops[i] = { id = "S" .. i, lat = 1, lng = 1, window = { "00:00", "01:00" } } end
      end)
      assert.same({ "TOO_MANY $.stops" }, issues(r))
    end)

    it("what is no JSON, or no object", function()
      for bytes, code in pairs { [""] = "INVALID_JSON", ["{"] = "INVALID_JSON", ['{"a":1,"a":2}'] = "DUPLICATE_KEY",
        ['{"date":"\xff"}'] = "INVALID_ENCODING", ['{"date":1e999}'] = "INVALID_NUMBER", ["[]"] = "INVALID_TYPE", ["null"] = "INVALID_TYPE",
        [("["):rep(1000)] = "INVALID_JSON", [(" "):rep(scenario.LIMITS.max_bytes + 1)] = "TOO_LARGE" } do
        assert.same({ code .. " $" }, issues(scenario.parse(bytes)), bytes:sub(1, 20))
      end
    end)
  end)

  it("warns of a depot without vehicles and of skills which no vehicle has, and is understood", function()
    local r = parse(function(d)
      d.depots[2] = { id = "graz", lat = 47.07, lng = 15.44 }
      d.stops[1].skills = { "cool", "frozen" }
    end)
    assert.same({ "WARN", { "NO_VEHICLE_FOR_SKILLS $.stops[0].skills", "UNUSED_DEPOT $.depots[1]" } }, { r.status, issues(r) })
    assert.is_truthy(r.scenario)
  end)

  it("reads every coordinate of seven digits as it is written", function()
    for i = 1, 2000 do
      local units = (i * 7919003) % 900000000
      local text = ("%d.%07d"):format(units // 10000000, units % 10000000)
      local r = scenario.parse(json.encode(document()):gsub("48%.2091", text))
      assert.same({ "PASS", units }, { r.status, r.scenario and r.scenario.stops[1].lat_e7 }, text)
    end
  end)

  it("round-trips: what is understood, written out, is understood as the same", function()
    local function written(s)
      local d = { date = s.date, haversine_fallback = s.haversine_fallback, depots = {}, vehicles = {}, stops = {} }
      local function hm(m) return ("%02d:%02d"):format(m // 60, m % 60) end
      for i, p in ipairs(s.depots) do d.depots[i] = { id = p.id, lat = p.lat, lng = p.lng } end
      for i, v in ipairs(s.vehicles) do
        d.vehicles[i] = { id = v.id, depot = v.depot, capacity = v.capacity, shift = { hm(v.shift_start_min), hm(v.shift_end_min) },
          skills = v.skills }
      end
      for i, p in ipairs(s.stops) do
        d.stops[i] = { id = p.id, lat = p.lat, lng = p.lng, demand = p.demand, service_min = p.service_min, skills = p.skills,
          window = { hm(p.window_start_min), hm(p.window_end_min) } }
      end
      return d
    end
    local first = parse().scenario
    local again = scenario.parse(json.encode(written(first))).scenario
    assert.equal(hash.canonical(scenario.canonical(first)), hash.canonical(scenario.canonical(again)))
  end)
end)
