--- `require "routing"` in a tenant audit: ways to look at a routing plan (stdlib/schema/audit-plan-routing-1.json). Pure; it changes
--- nothing. Times are minutes since the day's 00:00.
local routing = {}

--- Routes of each vehicle.
---@param plan table
---@return table<string, table[]>  vehicle's key → its routes in order of their start; a vehicle without a route has an empty list
function routing.by_vehicle(plan)
  local out = {}
  for _, vehicle in ipairs(plan.vehicles) do out[vehicle.key] = {} end
  for _, route in ipairs(plan.routes) do
    out[route.vehicle] = out[route.vehicle] or {}
    table.insert(out[route.vehicle], route)
  end
  for _, list in pairs(out) do
    table.sort(list, function(a, b)
      if a.start_min ~= b.start_min then return a.start_min < b.start_min end
      return a.end_min < b.end_min
    end)
  end
  return out
end

--- Minutes of the day as people write them.
---@param minute integer  at least 0
---@return string  "18:05"; after midnight "24:10"
function routing.clock(minute)
  if math.type(minute) ~= "integer" or minute < 0 then
    error("routing.clock: expected whole minutes of at least 0, got " .. tostring(minute), 2)
  end
  return ("%02d:%02d"):format(minute // 60, minute % 60)
end

return routing
