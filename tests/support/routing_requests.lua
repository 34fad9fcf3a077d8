-- Requests of random routing problems: the same on every machine (Park and Miller's minimal standard).

local json = require "json"

local M = {}

local state = 1

function M.seed(n) state = n end

--- A number from 0 to n - 1.
function M.below(n)
  state = state * 48271 % 2147483647
  return state % n
end

--- A number from a to b.
function M.between(a, b) return a + M.below(b - a + 1) end

--- Ways of a plane of 20 km, at 30 km/h and a bit, which differ there and back where `skew` is given. Integer square root.
local function tables(points, skew)
  local seconds, metres = {}, {}
  for i, a in ipairs(points) do
    seconds[i], metres[i] = {}, {}
    for k, b in ipairs(points) do
      local square = (a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2
      local way = math.tointeger(math.sqrt(square) // 1)
      if i < k and skew then way = way + M.below(skew) end
      metres[i][k], seconds[i][k] = way, way * 12 // 100
    end
  end
  return { seconds = seconds, metres = metres }
end

M.SHAPES = {
  --- Half-day windows, room enough.
  { vehicles = { 2, 4 }, demand = { 5, 30 }, capacity = { 80, 120 }, window = { 7200, 14400 }, skill = 0 },
  --- Tight windows.
  { vehicles = { 2, 4 }, demand = { 5, 30 }, capacity = { 100, 150 }, window = { 600, 3600 }, skill = 0 },
  --- Vehicles too small for all of it.
  { vehicles = { 2, 3 }, demand = { 20, 40 }, capacity = { 60, 90 }, window = { 7200, 20000 }, skill = 0 },
  --- Skills which few have.
  { vehicles = { 2, 4 }, demand = { 5, 30 }, capacity = { 80, 120 }, window = { 3600, 14400 }, skill = 3 },
  --- Two skills, which some stops need both of.
  { vehicles = { 3, 4 }, demand = { 5, 30 }, capacity = { 80, 120 }, window = { 7200, 14400 }, skill = 2, second = true },
  --- Two depots, and ways that differ there and back.
  { vehicles = { 2, 4 }, demand = { 5, 30 }, capacity = { 70, 120 }, window = { 3600, 14400 }, skill = 5, depots = 2, skew = 3000 },
}

--- A request of n stops in one of the shapes.
---@param n integer
---@param shape table    of M.SHAPES
---@param seed integer?  of the solver
---@return table
function M.random(n, shape, seed)
  local depots, points, stops, vehicles = shape.depots or 1, {}, {}, {}
  for i = 1, depots + n do points[i] = { M.below(20000), M.below(20000) } end
  for i = 1, n do
    local open = 28800 + M.below(12) * 1800
    stops[i] = { id = ("S%03d"):format(i), place = depots + i - 1, demand = M.between(table.unpack(shape.demand)),
      service_s = M.between(2, 15) * 60, window_start_s = open, window_end_s = open + M.between(table.unpack(shape.window)),
      skills = json.array(shape.skill > 0 and M.below(shape.skill) == 0 and { "cool" } or {}) }
    if shape.second and M.below(2) == 0 then table.insert(stops[i].skills, "heavy") end
  end
  for i = 1, M.between(table.unpack(shape.vehicles)) * math.max(1, n // 10) do
    local from = 25200 + M.below(4) * 1800
    vehicles[i] = { id = ("V%02d"):format(i), place = M.below(depots), capacity = M.between(table.unpack(shape.capacity)),
      shift_start_s = from, shift_end_s = from + M.between(8, 10) * 3600, skills = json.array(i % 2 == 1 and { "cool" } or {}) }
    if shape.second and i % 3 ~= 2 then table.insert(vehicles[i].skills, "heavy") end
  end
  return { pack = "routing", seed = seed or 94, config = {}, matrix = tables(points, shape.skew), stops = json.array(stops),
    vehicles = json.array(vehicles) }
end

--- A problem on a line: the depot at 0, a place each 100 m to `places`, ten seconds between neighbours.
---@param stops table[]     {id, at = place number, demand, service, open, close, skills}, what is left out does not matter
---@param vehicles table[]  {id, capacity, from, to, skills}
---@return table
function M.line(stops, vehicles)
  local seconds, metres, last = {}, {}, 0
  for _, s in ipairs(stops) do last = math.max(last, s.at) end
  for i = 0, last do
    seconds[i + 1], metres[i + 1] = {}, {}
    for k = 0, last do seconds[i + 1][k + 1], metres[i + 1][k + 1] = math.abs(i - k) * 10, math.abs(i - k) * 100 end
  end
  local list, fleet = {}, {}
  for i, s in ipairs(stops) do
    list[i] = { id = s.id, place = s.at, demand = s.demand or 1, service_s = s.service or 0, window_start_s = s.open or 0,
      window_end_s = s.close or 86400, skills = json.array(s.skills or {}) }
  end
  for i, v in ipairs(vehicles) do
    fleet[i] = { id = v.id, place = 0, capacity = v.capacity or 100, shift_start_s = v.from or 0, shift_end_s = v.to or 86400,
      skills = json.array(v.skills or {}) }
  end
  return { pack = "routing", seed = 94, config = {}, matrix = { seconds = seconds, metres = metres }, stops = json.array(list),
    vehicles = json.array(fleet) }
end

return M
