--- Mutational fuzz of the scenario reader: 10,000 damaged scenarios, each of which must be understood or refused with a code and a path,
-- and never raise. What is understood keeps every promise that the solver and the audits rely on. The seed is fixed, so that a failure
-- comes back: `lua5.4 tests/fuzz/scenario.lua [ROUNDS [SEED]]`.

local scenario = require "packs.routing.scenario"

local rounds, seed = tonumber(arg[1]) or 10000, tonumber(arg[2]) or 94

local SEED = '{"date":"2026-03-02","depots":[{"id":"d","lat":48.2082,"lng":16.3738}],"vehicles":[{"id":"V","depot":"d","capacity":100,'
  .. '"shift":["07:30","17:00"],"skills":["cool"]}],"stops":[{"id":"a","lat":48.2091,"lng":16.3791,"demand":25,"service_min":10,'
  .. '"window":["08:00","12:00"],"skills":[]},{"id":"b","lat":48.22,"lng":16.4,"window":["12:00","16:00"]}],"haversine_fallback":true}'
local PIECES = {
  "", "\0", "\n", ",", ":", "{", "}", "[", "]", '"', "null", "true", "-1", "0", "1.5", "1e999", "1e2", "99999999999999999999", "90.0000001",
  '"id":"a",', '"lat":91,', '"48:00"', '"48:01"', '"08:60"', '"window":["12:00","08:00"]', '"x":1,', "\255", "\239\187\191", "\\u0000",
  "\\ud800", "%s", ("9"):rep(50), ("["):rep(300),
}

local function mutate(bytes)
  for _ = 1, math.random(1, 3) do
    local at, kind = math.random(0, #bytes), math.random(4)
    if kind == 1 then
      bytes = bytes:sub(1, at) .. PIECES[math.random(#PIECES)] .. bytes:sub(at + 1)
    elseif kind == 2 then
      bytes = bytes:sub(1, at) .. bytes:sub(at + math.random(1, 6))
    elseif kind == 3 then
      bytes = bytes:sub(1, at) .. string.char(math.random(0, 255)) .. bytes:sub(at + 2)
    else
      -- a digit for a digit keeps the text near to what is understood
      local digits = {}
      for place in bytes:gmatch("()%d") do digits[#digits + 1] = place end
      local place = digits[math.random(#digits > 0 and #digits or 1)] or 1
      bytes = bytes:sub(1, place - 1) .. math.random(0, 9) .. bytes:sub(place + 1)
    end
  end
  return bytes
end

local function whole(n, most)
  return math.type(n) == "integer" and n >= 0 and n <= most
end

local function promise(s)
  local depots, ids = {}, {}
  assert(#s.depots > 0 and #s.vehicles > 0 and #s.stops > 0, "empty")
  for _, d in ipairs(s.depots) do depots[d.id] = true end
  for _, v in ipairs(s.vehicles) do
    assert(depots[v.depot] and whole(v.capacity, 1000000) and v.shift_start_min <= v.shift_end_min, "a vehicle")
    assert(whole(v.shift_start_min, 2880) and whole(v.shift_end_min, 2880), "a shift")
  end
  for _, p in ipairs(s.stops) do
    assert(not ids[p.id], "an id twice")
    ids[p.id] = true
    assert(math.abs(p.lat) <= 90 and math.abs(p.lng) <= 180 and p.lat_e7 / 1e7 == p.lat and p.lng_e7 / 1e7 == p.lng, "a place")
    assert(whole(p.demand, 1000000) and whole(p.service_min, 1440) and p.window_start_min <= p.window_end_min, "a stop")
    assert(whole(p.window_start_min, 2880) and whole(p.window_end_min, 2880), "a window")
  end
end

math.randomseed(seed)
local understood = 0
for round = 1, rounds do
  local bytes = mutate(SEED)
  local fine, problem = pcall(function()
    local r = scenario.parse(bytes)
    assert((r.scenario == nil) == (r.status == "FAIL"), "status and scenario differ")
    if r.scenario then
      promise(r.scenario)
      assert(#scenario.input_hash(r.scenario) == 64)
      understood = understood + 1
    else
      assert(#r.issues > 0, "refused without a reason")
    end
    for _, issue in ipairs(r.issues) do
      assert(issue.code:find("^[%u_]+$") and issue.path:find("^%$") and #issue.message > 0, "an issue without code, path or message")
      assert(not issue.message:find("[%c\127]") and utf8.len(issue.message) and not issue.path:find("[%c\127]"), "unprintable")
    end
  end)
  if not fine then
    io.stderr:write(("fuzz scenario: round %d of seed %d failed: %s\n%q\n"):format(round, seed, tostring(problem), bytes))
    os.exit(1)
  end
end
assert(understood > 0 and understood < rounds, "every scenario was treated alike: nothing was tested")
print(("fuzz scenario: %d scenarios, %d understood, the others refused"):format(rounds, understood))
