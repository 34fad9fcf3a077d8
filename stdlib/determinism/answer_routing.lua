--- A routing solver's answer, as determinism.answer takes a roster solver's. Pure: needs no capability.

local errors = require "errors"
local hash = require "hash"
local json = require "json"
local plan = require "packs.routing.plan"
local text = require "determinism.text"

local M = {}

--- The key of the list that is hashed.
M.LIST = "routes"

--- The protocol, for a message.
M.PROTOCOL = "{solver, seed, feasible, distance_m, routes = [{vehicle_id, …}], unassigned}"

local ROUTE, VISIT = { "vehicle_id", "start_s", "end_s" }, { "stop_id", "arrive_s", "start_s", "leave_s" }

local function fields(from, names)
  local out = {}
  for _, name in ipairs(names) do
    local value = from[name]
    out[name] = value == nil and json.null or value
  end
  return out
end

--- The hashed part of an answer, as it stands: routes with their visits, sorted by vehicle, then start. Not validated, so that two wrong
--- answers can still be compared.
---@param output any
---@return table[]|nil list
---@return string|nil why  when there is none
function M.hashed(output)
  local list = type(output) == "table" and output.routes
  if type(list) ~= "table" then return nil, "routes: expected a list, got " .. type(list) end
  local out, key = {}, {}
  for i = 1, #list do
    local route = list[i]
    if type(route) ~= "table" or type(route.visits) ~= "table" then
      return nil, ("routes[%d]: expected an object with visits, got %s"):format(i - 1, type(route))
    end
    local copy, visits = fields(route, ROUTE), {}
    for k = 1, #route.visits do
      if type(route.visits[k]) ~= "table" then return nil, ("routes[%d].visits[%d]: expected an object"):format(i - 1, k - 1) end
      visits[k] = fields(route.visits[k], VISIT)
    end
    copy.visits, out[i] = json.array(visits), copy
    key[copy] = { tostring(copy.vehicle_id), math.type(copy.start_s) and copy.start_s or -1, i }
  end
  return json.array(text.sorted(out, key))
end

--- What the answer holds beside its routes.
---@param output table
---@return table
function M.rest(output) return text.rest(output, M.LIST) end

--- The answer as a text whose lines can be compared, one route a line.
---@param output table
---@param list table[]  from hashed()
---@return string
function M.text(output, list) return text.of(output, M.LIST, list) end

--- Is it a complete answer to this problem and seed? Every stop is in exactly one route, or named as one that cannot be served.
---@param output any
---@param problem routing.Problem
---@param seed integer
---@return {object: string, text: string}[] problems  empty when it is
function M.problems(output, problem, seed)
  local ok, made = pcall(plan.from_solver, output, problem, seed)
  if not ok then
    if not errors.is(made, "plan_invalid") then error(made, 0) end
    return { { object = "answer", text = made.message } }
  end
  local out, times = {}, {}
  for _, route in ipairs(made.assignments) do
    for _, visit in ipairs(route.visits) do times[visit.stop_id] = (times[visit.stop_id] or 0) + 1 end
  end
  for _, stop in ipairs(problem.stops) do
    if (times[stop.id] or 0) > 1 then
      out[#out + 1] = { object = stop.id, text = ("stop %s is visited %d times"):format(stop.id, times[stop.id]) }
    end
  end
  if #made.assignments == 0 then out[#out + 1] = { object = "answer", text = "no stop is served: a plan of nothing is always the same" } end
  return out
end

--- Another question, near to the one asked: the next seed, and the last stop less; of a single stop, with another name. Who answers it as
--- the first has not read it.
---@param problem routing.Problem
---@param seed integer
---@return routing.Problem
---@return integer seed
function M.changed(problem, seed)
  local out = {}
  for key, value in pairs(problem) do out[key] = value end
  out.stops = table.move(problem.stops, 1, math.max(1, #problem.stops - 1), 1, {})
  if #problem.stops == 1 then
    local only = problem.stops[1]
    local copy = {}
    for key, value in pairs(only) do copy[key] = value end
    copy.id = only.id .. "-control"
    local place = {}
    for key, value in pairs(problem.travel.place) do place[key] = value end
    place["stop " .. copy.id] = place["stop " .. only.id]
    out.stops, out.travel = { copy }, {}
    for key, value in pairs(problem.travel) do out.travel[key] = value end
    out.travel.place = place
  end
  return out, seed < math.maxinteger and seed + 1 or seed - 1
end

--- The hash of what the solver was given, without the rest of the request.
---@param request table
---@return string sha256
function M.expanded(request)
  return hash.of { stops = request.stops, vehicles = request.vehicles, matrix = request.matrix }
end

return M
