--- The five routing audits, in seconds since the day's 00:00. Each is needed before a plan may be locked.
--
-- A plan's times are claims: they are held against the locked ways between the places, the stops' windows and the vehicles' shifts.
-- Rules and boundary values: docs of M.LIST. Pure: needs no capability.

local errors = require "errors"

local M = {}

--- The audits in the order they are reported: id and rule.
---@type {id: string, rule: string}[]
M.LIST = {
  { id = "coverage",          rule = "each stop is served exactly once" },
  { id = "time_window",       rule = "service of a stop begins inside its window, and a vehicle is away inside its shift, ends included" },
  { id = "capacity",          rule = "the demand of a route's stops is at most its vehicle's capacity" },
  { id = "overlap",           rule = "a vehicle is at one place at a time: it arrives no earlier than the locked way from the place before "
    .. "allows, leaves no earlier than service takes, and is back before it leaves again" },
  { id = "skills_compliance", rule = "a vehicle has all skills its stops need" },
}

--- A second of the day for people: "08:05:30"; after midnight it goes on as "24:10:00".
---@param second integer
---@return string
function M.at(second)
  return ("%02d:%02d:%02d"):format(second // 3600, second // 60 % 60, second % 60)
end

local function need(ok, what)
  if not ok then
    errors.raise { code = "audit_input", message = "audits: " .. what, fix = "Check the plan's routes and the scenario" }
  end
end

--- Things by id, each checked: an audit of stops without windows would find nothing, and nothing found reads as a pass.
local function index(list, name, fields)
  need(type(list) == "table", name .. ": expected a list")
  local out = {}
  for i, thing in ipairs(list) do
    need(type(thing) == "table" and type(thing.id) == "string", ("%s[%d]: expected an id"):format(name, i))
    need(not out[thing.id], ("%s[%d]: the id %s appears twice"):format(name, i, thing.id))
    for _, field in ipairs(fields) do
      local value = thing[field]
      need(math.type(value) == "integer" and value >= 0, ("%s[%d].%s: expected a whole number"):format(name, i, field))
    end
    need(type(thing.skills) == "table", ("%s[%d].skills: expected a list"):format(name, i))
    out[thing.id] = thing
  end
  return out
end

--- One route with its stops found; a stop that is not there has none.
local function look_at(route, i, day)
  local at = ("routes[%d]"):format(i)
  need(type(route) == "table" and type(route.vehicle_id) == "string" and type(route.visits) == "table", at .. ": expected a route")
  local vehicle = day.vehicles[route.vehicle_id]
  need(vehicle, ("%s: the scenario has no vehicle %s"):format(at, tostring(route.vehicle_id)))
  need(math.type(route.start_s) == "integer" and math.type(route.end_s) == "integer", at .. ": expected start_s and end_s in seconds")
  local visits = {}
  for k, visit in ipairs(route.visits) do
    need(type(visit) == "table" and type(visit.stop_id) == "string" and math.type(visit.arrive_s) == "integer"
      and math.type(visit.start_s) == "integer" and math.type(visit.leave_s) == "integer",
      ("%s.visits[%d]: expected a visit"):format(at, k))
    local stop = day.stops[visit.stop_id]
    visits[k] = { claim = visit, stop = stop, id = visit.stop_id }
    local seen = day.served[visit.stop_id] or { n = 0 }
    day.served[visit.stop_id] = seen
    seen.n = seen.n + 1
    seen[#seen + 1] = vehicle.id
  end
  return { vehicle = vehicle, visits = visits, start_s = route.start_s, end_s = route.end_s }
end

--- The plan as the audits see it.
---@param routes table[]  of the plan
---@param problem routing.Problem
---@return table day  {vehicles, stops (by id), list (stops in order), travel, served, routes, of (routes by vehicle id, by start)}.
---  Errors: audit_input.
function M.day(routes, problem)
  need(type(routes) == "table" and type(problem) == "table" and type(problem.travel) == "table",
    "expected routes and a problem with its ways")
  local day = { list = problem.stops, travel = problem.travel, served = {}, routes = {}, of = {},
    vehicles = index(problem.vehicles, "vehicles", { "capacity", "shift_start_min", "shift_end_min" }),
    stops = index(problem.stops, "stops", { "demand", "service_min", "window_start_min", "window_end_min" }) }
  for i, route in ipairs(routes) do
    local seen = look_at(route, i, day)
    day.routes[i] = seen
    day.of[seen.vehicle.id] = day.of[seen.vehicle.id] or {}
    table.insert(day.of[seen.vehicle.id], seen)
  end
  for _, list in pairs(day.of) do
    table.sort(list, function(a, b)
      if a.start_s ~= b.start_s then return a.start_s < b.start_s end
      return a.end_s < b.end_s
    end)
  end
  return day
end

local checks = {}

function checks.coverage(day, add)
  for _, stop in ipairs(day.list) do
    local seen = day.served[stop.id]
    if not seen then
      add { object = stop.id, stop = stop.id, found = 0, allowed = 1, detail = ("stop %s is not served"):format(stop.id) }
    elseif seen.n > 1 then
      add { object = stop.id, stop = stop.id, vehicle = seen[1], found = seen.n, allowed = 1,
        detail = ("stop %s is served %d times, by %s"):format(stop.id, seen.n, table.concat(seen, ", ")) }
    end
  end
  for _, route in ipairs(day.routes) do
    for _, visit in ipairs(route.visits) do
      if not visit.stop then
        add { object = visit.id, stop = visit.id, vehicle = route.vehicle.id, found = "not in the scenario", allowed = "a stop",
          detail = ("vehicle %s visits stop %s, which does not exist"):format(route.vehicle.id, visit.id) }
      end
    end
  end
  if #day.list == 0 then
    add { object = "plan", found = 0, allowed = 1, detail = "there are no stops: a plan of nothing covers nothing" }
  end
end

--- Both ends of a vehicle's route lie in its shift.
local function check_shift(route, add)
  local vehicle = route.vehicle
  local from, to = vehicle.shift_start_min * 60, vehicle.shift_end_min * 60
  if route.start_s < from then
    add { vehicle = vehicle.id, found = route.start_s, allowed = from,
      detail = ("vehicle %s leaves at %s, its shift begins at %s"):format(vehicle.id, M.at(route.start_s), M.at(from)) }
  end
  if route.end_s > to then
    add { vehicle = vehicle.id, found = route.end_s, allowed = to,
      detail = ("vehicle %s is back at %s, its shift ends at %s"):format(vehicle.id, M.at(route.end_s), M.at(to)) }
  end
end

function checks.time_window(day, add)
  for _, route in ipairs(day.routes) do
    check_shift(route, add)
    for _, visit in ipairs(route.visits) do
      local from = visit.stop and visit.stop.window_start_min * 60 or 0
      local to = visit.stop and visit.stop.window_end_min * 60 or math.maxinteger
      local start = visit.claim.start_s
      if start < from or start > to then
        add { object = visit.id, stop = visit.id, vehicle = route.vehicle.id, found = start, allowed = start < from and from or to,
          detail = ("vehicle %s serves stop %s at %s, its window is %s to %s"):format(route.vehicle.id, visit.id, M.at(start), M.at(from),
            M.at(to)) }
      end
    end
  end
end

function checks.capacity(day, add)
  for _, route in ipairs(day.routes) do
    local load, stops = 0, {}
    for _, visit in ipairs(route.visits) do
      load = load + (visit.stop and visit.stop.demand or 0)
      stops[#stops + 1] = visit.id
    end
    if load > route.vehicle.capacity then
      add { vehicle = route.vehicle.id, stops = stops, found = load, allowed = route.vehicle.capacity,
        detail = ("vehicle %s is loaded with %d, it takes %d"):format(route.vehicle.id, load, route.vehicle.capacity) }
    end
  end
end

--- What happens along a route in an order that time does not allow.
local function check_order(day, route, add)
  local id, travel = route.vehicle.id, day.travel
  local depot = travel.place["depot " .. route.vehicle.depot.id]
  local at, name, free = depot, "the depot", route.start_s
  local function soonest(what, stop, found, earliest, why)
    if found < earliest then
      add { object = stop, stop = stop, vehicle = id, found = found, allowed = earliest,
        detail = ("vehicle %s %s at %s, at the soonest %s: %s"):format(id, what, M.at(found), M.at(earliest), why) }
    end
  end
  for _, visit in ipairs(route.visits) do
    local claim, place = visit.claim, visit.stop and travel.place["stop " .. visit.id]
    if place then
      local way = travel.seconds[at][place]
      soonest("is at stop " .. visit.id, visit.id, claim.arrive_s, free + way, ("the way from %s takes %d s"):format(name, way))
      soonest("serves stop " .. visit.id, visit.id, claim.start_s, claim.arrive_s, "it arrives then")
      local service = visit.stop.service_min * 60
      soonest("leaves stop " .. visit.id, visit.id, claim.leave_s, claim.start_s + service, ("service takes %d s"):format(service))
      at, name, free = place, "stop " .. visit.id, claim.leave_s
    end
  end
  local home = travel.seconds[at][depot]
  soonest("is back", nil, route.end_s, free + home, ("the way from %s takes %d s"):format(name, home))
end

function checks.overlap(day, add)
  for _, route in ipairs(day.routes) do check_order(day, route, add) end
  local ids = {}
  for id in pairs(day.of) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, id in ipairs(ids) do
    local last
    for _, route in ipairs(day.of[id]) do
      if last and route.start_s < last.end_s then
        add { vehicle = id, found = route.start_s, allowed = last.end_s,
          detail = ("vehicle %s leaves at %s for a route and is back from another at %s"):format(id, M.at(route.start_s),
            M.at(last.end_s)) }
      end
      if not last or route.end_s > last.end_s then last = route end
    end
  end
end

function checks.skills_compliance(day, add)
  for _, route in ipairs(day.routes) do
    local has = {}
    for _, skill in ipairs(route.vehicle.skills) do has[skill] = true end
    for _, visit in ipairs(route.visits) do
      for _, skill in ipairs(visit.stop and visit.stop.skills or {}) do
        if not has[skill] then
          add { object = visit.id, stop = visit.id, vehicle = route.vehicle.id, found = "without", allowed = skill,
            detail = ("stop %s needs %s, which vehicle %s has not"):format(visit.id, skill, route.vehicle.id) }
        end
      end
    end
  end
end

--- Run all five audits, or the one named.
---@param routes table[]  of the plan
---@param problem routing.Problem
---@param only string?  id of a single audit
---@return table[] results  in the order of M.LIST: {id, rule, status = "PASS"|"FAIL", checked = number of stops looked at,
---  violations = {{object, vehicle?, stop?, stops?, found, allowed, detail}}}; found and allowed are seconds, amounts or counts.
---  Errors: audit_input for a plan or problem that cannot be judged.
function M.run(routes, problem, only)
  local day = M.day(routes, problem)
  local results = {}
  for _, audit in ipairs(M.LIST) do
    if only == nil or only == audit.id then
      local violations = {}
      checks[audit.id](day, function(v)
        v.object = v.object or v.vehicle
        violations[#violations + 1] = v
      end)
      results[#results + 1] = { id = audit.id, rule = audit.rule, status = #violations == 0 and "PASS" or "FAIL", checked = #day.list,
        violations = violations }
    end
  end
  need(#results > 0, ("no audit is called %s"):format(tostring(only)))
  return results
end

return M
