--- Routing plans: a solver's answer, its hash, and the plan as tenant audits see it.
--
-- A plan is a list of routes {vehicle_id, start_s (leaves the depot), end_s (is back), visits = [{stop_id, arrive_s, start_s (service
-- begins), leave_s}]}, in driving order, all in seconds since the day's 00:00. What else a solver claims is worked out anew.
-- Pure: needs no capability.

local errors = require "errors"
local hash = require "hash"
local json = require "json"

local M = {}

--- Latest second of a plan: two days after the day's 00:00.
M.SECONDS_MAX = 172800

local ROUTE, VISIT = { "start_s", "end_s" }, { "arrive_s", "start_s", "leave_s" }

local function bad(message, detail)
  errors.raise { code = "plan_invalid", message = message, detail = detail,
    fix = "The plan must be {routes = [{vehicle_id, start_s, end_s, visits = [{stop_id, arrive_s, start_s, leave_s}]}]}, "
      .. "every vehicle and stop one of the scenario's" }
end

local function is_list(value)
  if type(value) ~= "table" then return false end
  local n = 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" then return false end
    n = n + 1
  end
  return n == #value
end

local function text(value, path)
  if type(value) ~= "string" or value == "" then bad(("%s: expected a text, got %s"):format(path, type(value))) end
  return value
end

--- The fields of times, copied; each whole and within two days.
local function times(from, fields, path, to)
  for _, field in ipairs(fields) do
    local value = from[field]
    if math.type(value) ~= "integer" or value < 0 or value > M.SECONDS_MAX then
      bad(("%s.%s: expected whole seconds from 0 to %d, got %s"):format(path, field, M.SECONDS_MAX,
        math.type(value) and tostring(value) or type(value)))
    end
    to[field] = value
  end
  return to
end

local function before(a, b)
  for _, key in ipairs { "vehicle_id", "start_s", "end_s" } do
    if a[key] ~= b[key] then return a[key] < b[key] end
  end
  return hash.canonical(a.visits) < hash.canonical(b.visits)
end

--- Routes with exactly the hashed fields, sorted by vehicle, then start.
---@param list table[]
---@return table[]  a new list. Errors: plan_invalid.
function M.sorted(list)
  if not is_list(list) then bad("routes: expected a list, got " .. type(list)) end
  local out = {}
  for i, route in ipairs(list) do
    local path = ("routes[%d]"):format(i - 1)
    if type(route) ~= "table" then bad(path .. ": expected an object") end
    local copy = times(route, ROUTE, path, { vehicle_id = text(route.vehicle_id, path .. ".vehicle_id"), visits = json.array {} })
    if not is_list(route.visits) or #route.visits == 0 then bad(path .. ".visits: expected a list of at least one visit") end
    for k, visit in ipairs(route.visits) do
      local at = ("%s.visits[%d]"):format(path, k - 1)
      if type(visit) ~= "table" then bad(at .. ": expected an object") end
      copy.visits[k] = times(visit, VISIT, at, { stop_id = text(visit.stop_id, at .. ".stop_id") })
    end
    out[i] = copy
  end
  table.sort(out, before)
  return json.array(out)
end

--- Hash of a plan: RFC 8785 of its sorted routes.
---@param routes table[]
---@return string sha256
function M.output_hash(routes)
  return hash.of(M.sorted(routes))
end

--- Things of a list by their ids.
local function by_id(list)
  local out = {}
  for _, thing in ipairs(list) do out[thing.id] = thing end
  return out
end

local function check_names(routes, problem)
  local vehicles, stops = by_id(problem.vehicles), by_id(problem.stops)
  for _, route in ipairs(routes) do
    if not vehicles[route.vehicle_id] then
      bad(("a route is driven by vehicle %s, which the scenario does not have"):format(route.vehicle_id))
    end
    for _, visit in ipairs(route.visits) do
      if not stops[visit.stop_id] then
        bad(("vehicle %s visits stop %s, which the scenario does not have"):format(route.vehicle_id, visit.stop_id))
      end
    end
  end
end

--- What a route drives, in metres.
---@param route table
---@param problem routing.Problem
---@return integer metres
function M.distance(route, problem)
  local travel, metres = problem.travel, 0
  local depot = travel.place["depot " .. by_id(problem.vehicles)[route.vehicle_id].depot.id]
  local at = depot
  for _, visit in ipairs(route.visits) do
    local place = travel.place["stop " .. visit.stop_id]
    metres, at = metres + travel.metres[at][place], place
  end
  return metres + travel.metres[at][depot]
end

--- What all routes drive, in metres.
---@return integer
function M.total_distance(routes, problem)
  local metres = 0
  for _, route in ipairs(routes) do metres = metres + M.distance(route, problem) end
  return metres
end

--- Stops that no route visits, in order.
local function left_out(routes, problem)
  local seen, out = {}, {}
  for _, route in ipairs(routes) do
    for _, visit in ipairs(route.visits) do seen[visit.stop_id] = true end
  end
  for _, stop in ipairs(problem.stops) do
    if not seen[stop.id] then out[#out + 1] = stop.id end
  end
  return out
end

--- What the solver says of the stops it serves not: just those it has in no route, each with a rule.
local function check_unassigned(output, routes, problem)
  if not is_list(output.unassigned) then bad("unassigned: expected a list, got " .. type(output.unassigned)) end
  local out, said = {}, {}
  for i, u in ipairs(output.unassigned) do
    local path = ("unassigned[%d]"):format(i - 1)
    if type(u) ~= "table" then bad(path .. ": expected an object") end
    out[i] = { stop_id = text(u.stop_id, path .. ".stop_id"), rule = text(u.rule, path .. ".rule"),
      detail = type(u.detail) == "string" and u.detail or nil }
    if said[u.stop_id] then bad(("%s: stop %s is named twice"):format(path, u.stop_id)) end
    said[u.stop_id] = true
  end
  local missing = left_out(routes, problem)
  for _, id in ipairs(missing) do
    if not said[id] then bad(("the solver has stop %s neither in a route nor in unassigned"):format(id)) end
    said[id] = nil
  end
  local wrong = next(said)
  if wrong then bad(("the solver says that stop %s is unassigned, and visits it or does not know it"):format(wrong)) end
  if output.feasible ~= (#missing == 0) then
    bad(("the solver says feasible = %s and leaves %d stops out"):format(tostring(output.feasible), #missing))
  end
  return out
end

--- The plan from a solver's answer, checked against the scenario.
---@param output table  what the solver wrote (protocol: solver, seed, feasible, distance_m, routes, unassigned)
---@param problem routing.Problem
---@param seed integer  the seed that was asked for
---@return table plan  {seed, output_hash, assignments (routes, sorted), unassigned, distance_m, solver = {name, version}}.
---  Errors: plan_invalid.
function M.from_solver(output, problem, seed)
  if type(output) ~= "table" then bad("the solver's answer is not an object") end
  local solver = output.solver
  if type(solver) ~= "table" or type(solver.name) ~= "string" or type(solver.version) ~= "string" then
    bad("the solver's answer does not say solver.name and solver.version")
  end
  local routes = M.sorted(output.routes)
  check_names(routes, problem)
  local unassigned = check_unassigned(output, routes, problem)
  if output.seed ~= seed then bad(("the solver was given seed %d and says it used %s"):format(seed, tostring(output.seed))) end
  local metres = M.total_distance(routes, problem)
  if output.distance_m ~= metres then
    bad(("the solver says %s metres, its routes drive %d"):format(tostring(output.distance_m), metres))
  end
  return { seed = seed, output_hash = hash.of(routes), assignments = routes, unassigned = unassigned, distance_m = metres,
    solver = { name = solver.name, version = solver.version } }
end

--- The plan from a dataset's plan.json, which replaces a solver's.
---@param document table  {routes, …}
---@param problem routing.Problem
---@param seed integer
---@return table plan  as from_solver(), solver.name "injected". Errors: plan_invalid.
function M.injected(document, problem, seed)
  if type(document) ~= "table" then bad("plan.json is not an object") end
  local routes = M.sorted(document.routes)
  check_names(routes, problem)
  local unassigned = {}
  for i, id in ipairs(left_out(routes, problem)) do unassigned[i] = { stop_id = id, rule = "injected" } end
  return { seed = seed, output_hash = hash.of(routes), assignments = routes, unassigned = unassigned,
    distance_m = M.total_distance(routes, problem), solver = { name = "injected", version = "plan.json" } }
end

--- The plan in the published shape (artifact plan.json).
---@param plan table
---@return table
function M.export(plan)
  return { seed = plan.seed, output_hash = plan.output_hash, distance_m = plan.distance_m, routes = json.array(plan.assignments),
    unassigned = json.array(plan.unassigned) }
end

--- Seconds as the whole minute that is not before them, so that what is in time by seconds is so by minutes.
local function minute(seconds)
  return (seconds + 59) // 60
end

local function published_route(route, problem, stops)
  local visits, load = {}, 0
  for i, visit in ipairs(route.visits) do
    load = load + stops[visit.stop_id].demand
    visits[i] = { stop = visit.stop_id, arrive_min = minute(visit.arrive_s), start_min = minute(visit.start_s),
      leave_min = minute(visit.leave_s), load = load }
  end
  return { vehicle = route.vehicle_id, start_min = route.start_s // 60, end_min = minute(route.end_s),
    distance_m = M.distance(route, problem), visits = json.array(visits) }
end

--- The plan as tenant audits see it (artifact audit-plan.json; schema: stdlib/schema/audit-plan-routing-1.json). Whole minutes: a route
--- leaves in the minute before or at its start, all else is rounded up.
---@param plan table  {assignments, …}
---@param problem routing.Problem
---@return table
function M.audit_plan(plan, problem)
  local vehicles, stops, routes = {}, {}, {}
  for i, v in ipairs(problem.vehicles) do
    vehicles[i] = { key = v.id, depot = { lat = v.depot.lat, lng = v.depot.lng }, capacity = v.capacity, skills = json.array(v.skills),
      shift_start_min = v.shift_start_min, shift_end_min = v.shift_end_min }
  end
  for i, s in ipairs(problem.stops) do
    stops[i] = { key = s.id, place = { lat = s.lat, lng = s.lng }, demand = s.demand, skills = json.array(s.skills),
      window_start_min = s.window_start_min, window_end_min = s.window_end_min, service_min = s.service_min }
  end
  local known = by_id(problem.stops)
  for i, route in ipairs(M.sorted(plan.assignments)) do routes[i] = published_route(route, problem, known) end
  return { schema = "gate-engine/audit-plan-routing/1", pack = "routing", date = problem.date,
    matrix = { version = problem.matrix.version, sha256 = problem.matrix.sha256 }, vehicles = json.array(vehicles),
    stops = json.array(stops), routes = json.array(routes) }
end

return M
