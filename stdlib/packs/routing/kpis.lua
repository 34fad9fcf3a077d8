--- Routing KPIs and their thresholds. Advice on a plan; only audits decide whether it may be locked. Pure: needs no capability.

local plan = require "packs.routing.plan"
local thresholds = require "packs.thresholds"

local M = {}

---@type packs.Threshold[]
M.THRESHOLDS = {
  { kpi = "coverage",             kind = "below",    warning = 100, critical = 95 },
  { kpi = "tw_violations",        kind = "above",    warning = 0,   critical = 0 },
  { kpi = "total_distance_km",    kind = "relative", warning = 5,   critical = 15 },
  { kpi = "duration_hours",       kind = "relative", warning = 10,  critical = 20 },
  { kpi = "routes_used",          kind = "relative", warning = 5,   critical = 15 },
  { kpi = "capacity_utilisation", kind = "relative", warning = 10,  critical = 20 },
  { kpi = "audit_pass_rate",      kind = "below",    warning = 100, critical = 90 },
}

--- KPIs of a plan.
---@param routes table[]
---@param problem routing.Problem
---@param results table[]  of audits.run
---@return table kpis  stops, routes_used, tw_violations (counts); coverage, capacity_utilisation (of the vehicles used), audit_pass_rate
---  (percent); total_distance_km; duration_hours (of all routes); numbers have two decimals
function M.compute(routes, problem, results)
  local demand, times, capacity = {}, {}, {}
  for _, stop in ipairs(problem.stops) do demand[stop.id] = stop.demand end
  for _, vehicle in ipairs(problem.vehicles) do capacity[vehicle.id] = vehicle.capacity end
  local load, room, seconds = 0, 0, 0
  for _, route in ipairs(routes) do
    room, seconds = room + capacity[route.vehicle_id], seconds + route.end_s - route.start_s
    for _, visit in ipairs(route.visits) do
      load = load + (demand[visit.stop_id] or 0)
      times[visit.stop_id] = (times[visit.stop_id] or 0) + 1
    end
  end
  local covered, passed, late = 0, 0, 0
  for _, stop in ipairs(problem.stops) do covered = covered + (times[stop.id] == 1 and 1 or 0) end
  for _, r in ipairs(results) do
    passed = passed + (r.status == "PASS" and 1 or 0)
    if r.id == "time_window" then late = #r.violations end
  end
  return {
    stops = #problem.stops, routes_used = #routes, tw_violations = late, coverage = thresholds.ratio(covered, #problem.stops, 100),
    total_distance_km = thresholds.ratio(plan.total_distance(routes, problem), 1000, 1),
    duration_hours = thresholds.ratio(seconds, 3600, 1), capacity_utilisation = thresholds.ratio(load, room, 100),
    audit_pass_rate = thresholds.ratio(passed, #results, 100),
  }
end

--- Judge KPIs by the thresholds.
---@param kpis table  of compute()
---@param expected table?  a golden dataset's expected_kpis
---@return table[]  see packs.thresholds
function M.judge(kpis, expected)
  return thresholds.judge(M.THRESHOLDS, kpis, expected)
end

return M
