--- The routing problem of a scenario: its vehicles and stops with the ways between them, and what a solver reads of it.
-- Pure: needs no capability.

local errors = require "errors"
local hash = require "hash"
local json = require "json"
local matrix = require "packs.routing.matrix"

local M = {}

--- Seed when neither dataset nor option names one.
M.DEFAULT_SEED = 94

---@class routing.Travel.Table
---@field version string      of the matrix
---@field sha256 string       of its file; of the ways themselves where all are estimated
---@field seconds table       seconds[a][b] from place a to place b, rounded up: nobody is early by rounding; json.null between two depots
---@field metres table        the same in metres, rounded
---@field place table<string, integer>  row of "depot ID" and of "stop ID"
---@field ways integer        how many there are
---@field estimated integer   how many of them the file has not

---@class routing.Problem
---@field date string
---@field matrix {version: string, sha256: string}
---@field vehicles table[]    {id, depot = {id, lat, lng}, capacity, skills, shift_start_min, shift_end_min}, sorted by id
---@field stops table[]       {id, lat, lng, demand, service_min, window_start_min, window_end_min, skills}, sorted by id
---@field travel routing.Travel.Table

--- The matrix of a scenario, out of what the dataset and the configuration hold.
---@param scenario routing.Scenario
---@param source {bytes: string?, version: string?, sha256: string?, fallback: boolean?}  fallback: the configuration allows it
---@return routing.Matrix  Errors: matrix_none, and those of packs.routing.matrix.
function M.matrix(scenario, source)
  local fallback = scenario.haversine_fallback or source.fallback == true
  if source.bytes then return matrix.parse(source.bytes, { version = source.version, sha256 = source.sha256, fallback = fallback }) end
  if fallback then return matrix.estimated() end
  return errors.raise { code = "matrix_none", message = "there are no travel times: the dataset holds no matrix.csv, and the "
    .. "configuration names none",
    fix = 'Record a matrix and set packs.routing.matrix, or allow estimates: "haversine_fallback": true' }
end

--- Everything that has a place: depots in use, then stops.
local function places_of(problem)
  local list, place = {}, {}
  local function put(key, thing, depot)
    if not place[key] then
      list[#list + 1] = { lat = thing.lat, lng = thing.lng, depot = depot }
      place[key] = #list
    end
  end
  for _, vehicle in ipairs(problem.vehicles) do put("depot " .. vehicle.depot.id, vehicle.depot, true) end
  for _, stop in ipairs(problem.stops) do put("stop " .. stop.id, stop, false) end
  return list, place
end

--- The ways between all places. Whole seconds and metres, so that no sum depends on an order or a processor.
---@param problem routing.Problem
---@param of routing.Matrix
---@return routing.Travel.Table  Errors: matrix_missing_pair.
function M.travel(problem, of)
  local list, place = places_of(problem)
  local seconds, metres, ways, estimated = {}, {}, 0, 0
  for i, from in ipairs(list) do
    seconds[i], metres[i] = {}, {}
    for k, to in ipairs(list) do
      if i == k then
        seconds[i][k], metres[i][k] = 0, 0
      elseif from.depot and to.depot then
        seconds[i][k], metres[i][k] = json.null, json.null
      else
        local way = of:travel(from, to)
        seconds[i][k], metres[i][k] = math.ceil(way.duration_seconds), math.floor(way.distance_meters + 0.5)
        ways, estimated = ways + 1, estimated + (way.source == "haversine" and 1 or 0)
      end
    end
  end
  return { version = of.version, sha256 = of.sha256 or hash.of { seconds = seconds, metres = metres }, seconds = seconds, metres = metres,
    place = place, ways = ways, estimated = estimated }
end

--- The problem of a scenario.
---@param scenario routing.Scenario
---@param of routing.Matrix
---@return routing.Problem  Errors: matrix_missing_pair.
function M.make(scenario, of)
  local depot = {}
  for _, d in ipairs(scenario.depots) do depot[d.id] = { id = d.id, lat = d.lat, lng = d.lng } end
  local problem = { date = scenario.date, vehicles = {}, stops = {} }
  for i, v in ipairs(scenario.vehicles) do
    problem.vehicles[i] = { id = v.id, depot = depot[v.depot], capacity = v.capacity, skills = v.skills,
      shift_start_min = v.shift_start_min, shift_end_min = v.shift_end_min }
  end
  for i, s in ipairs(scenario.stops) do
    problem.stops[i] = { id = s.id, lat = s.lat, lng = s.lng, demand = s.demand, service_min = s.service_min, skills = s.skills,
      window_start_min = s.window_start_min, window_end_min = s.window_end_min }
  end
  problem.travel = M.travel(problem, of)
  problem.matrix = { version = problem.travel.version, sha256 = problem.travel.sha256 }
  return problem
end

--- The problem without its ways, as it is published and as the platform holds it.
---@param problem routing.Problem
---@return table
function M.export(problem)
  return { date = problem.date, matrix = { version = problem.matrix.version, sha256 = problem.matrix.sha256 },
    vehicles = json.array(problem.vehicles), stops = json.array(problem.stops) }
end

--- Where two problems differ first, for a message; nil where they do not.
---@param sent routing.Problem
---@param stored table  as of export()
---@return string|nil what
---@return string|nil detail
function M.difference(sent, stored)
  for _, kind in ipairs { "vehicles", "stops" } do
    for i, thing in ipairs(sent[kind]) do
      local found = stored[kind][i]
      if not found or hash.canonical(thing) ~= hash.canonical(found) then
        return ("%s %s"):format(kind == "stops" and "stop" or "vehicle", thing.id),
          ("read back: %s"):format(hash.canonical(found or json.null))
      end
    end
  end
  for _, key in ipairs { "date", "matrix" } do
    if hash.canonical(sent[key]) ~= hash.canonical(stored[key]) then
      return key, ("sent %s, read back %s"):format(hash.canonical(sent[key]), hash.canonical(stored[key]))
    end
  end
end

--- The document a routing solver reads: places by the rows of its tables, times in seconds since the day's 00:00.
---@param problem routing.Problem
---@param seed integer
---@return table
function M.request(problem, seed)
  local place, vehicles, stops = problem.travel.place, {}, {}
  for i, v in ipairs(problem.vehicles) do
    vehicles[i] = { id = v.id, place = place["depot " .. v.depot.id] - 1, capacity = v.capacity, skills = json.array(v.skills),
      shift_start_s = v.shift_start_min * 60, shift_end_s = v.shift_end_min * 60 }
  end
  for i, s in ipairs(problem.stops) do
    stops[i] = { id = s.id, place = place["stop " .. s.id] - 1, demand = s.demand, service_s = s.service_min * 60,
      skills = json.array(s.skills), window_start_s = s.window_start_min * 60, window_end_s = s.window_end_min * 60 }
  end
  return { pack = "routing", seed = seed, config = {}, stops = json.array(stops), vehicles = json.array(vehicles),
    matrix = { seconds = problem.travel.seconds, metres = problem.travel.metres } }
end

--- Hash of what decides the solver's answer besides the scenario: the ways, too.
---@param seed integer
---@param solver {name: string, version: string}
---@param problem routing.Problem
---@return string sha256
function M.solver_config_hash(seed, solver, problem)
  return hash.of { seed = seed, config = {}, solver = { name = solver.name, version = solver.version },
    matrix = { version = problem.matrix.version, sha256 = problem.matrix.sha256, estimated = problem.travel.estimated } }
end

return M
