--- What the adapter for the reference platform (platform.adapter_embedded) does otherwise for the routing pack.

local json = require "json"

local M = {}

local PLAN = "where tenant_id = $1::uuid and id = $2::uuid"
local ROWS = "where tenant_id = $1::uuid and plan_version_id = $2::uuid"

--- As the roster's: $1 is the tenant, $2 the plan or, where `of` says so, its forecast. Each must succeed on a DRAFT plan.
M.ATTACKS = {
  { id = "update_plan_status", title = "UPDATE of the plan's status",
    sql = "update public.plan_versions set status = 'DRAFT', locked_at = null, locked_by = null " .. PLAN },
  { id = "update_plan_hash", title = "UPDATE of the plan's output hash",
    sql = "update public.plan_versions set output_hash = repeat('0', 64) " .. PLAN },
  { id = "delete_plan", title = "DELETE of the plan", sql = "delete from public.plan_versions " .. PLAN },
  { id = "update_routes", title = "UPDATE of its routes", sql = "update public.routing_routes set end_s = end_s + 1 " .. ROWS },
  { id = "delete_routes", title = "DELETE of its routes", sql = "delete from public.routing_routes " .. ROWS },
  { id = "insert_route", title = "INSERT of a route",
    sql = "insert into public.routing_routes (tenant_id, plan_version_id, scenario_id, vehicle_id, start_s, end_s) "
      .. "select r.tenant_id, r.plan_version_id, r.scenario_id, r.vehicle_id, r.start_s, r.end_s from public.routing_routes r "
      .. "where r.tenant_id = $1::uuid and r.plan_version_id = $2::uuid order by r.id limit 1" },
  { id = "update_visits", title = "UPDATE of its visits", sql = "update public.routing_route_stops set leave_s = leave_s + 1 " .. ROWS },
  { id = "delete_visits", title = "DELETE of its visits", sql = "delete from public.routing_route_stops " .. ROWS },
  { id = "insert_visit", title = "INSERT of a visit",
    sql = "insert into public.routing_route_stops (tenant_id, plan_version_id, scenario_id, route_id, position, stop_id, arrive_s, "
      .. "start_s, leave_s) select s.tenant_id, s.plan_version_id, s.scenario_id, s.route_id, s.position + 1000000, s.stop_id, s.arrive_s, "
      .. "s.start_s, s.leave_s from public.routing_route_stops s where s.tenant_id = $1::uuid and s.plan_version_id = $2::uuid "
      .. "order by s.route_id, s.position limit 1" },
  { id = "update_stops", title = "UPDATE of its stops, which its audits looked at", of = "forecast",
    sql = "update public.routing_stops set demand = demand + 1 where tenant_id = $1::uuid and scenario_id = $2::uuid" },
  { id = "update_vehicles", title = "UPDATE of its vehicles, which its audits looked at", of = "forecast",
    sql = "update public.routing_vehicles set capacity = capacity + 1 where tenant_id = $1::uuid and scenario_id = $2::uuid" },
  { id = "update_scenario", title = "UPDATE of its scenario's matrix", of = "forecast",
    sql = "update public.routing_scenarios set matrix_hash = repeat('0', 64) where tenant_id = $1::uuid and id = $2::uuid" },
  { id = "update_forecast", title = "UPDATE of its scenario's input hash", of = "forecast",
    sql = "update public.forecast_versions set input_hash = repeat('0', 64) where tenant_id = $1::uuid and id = $2::uuid" },
  { id = "delete_stops", title = "DELETE of its stops, which takes its visits along", of = "forecast",
    sql = "delete from public.routing_stops where tenant_id = $1::uuid and scenario_id = $2::uuid" },
  { id = "delete_vehicles", title = "DELETE of its vehicles, which takes its routes along", of = "forecast",
    sql = "delete from public.routing_vehicles where tenant_id = $1::uuid and scenario_id = $2::uuid" },
  { id = "delete_forecast", title = "DELETE of its scenario, which takes the plan along", of = "forecast",
    sql = "delete from public.forecast_versions where tenant_id = $1::uuid and id = $2::uuid" },
}

--- A scenario as it was stored, things sorted by id: $1 is the tenant, $2 the scenario.
M.SCENARIO = [[
  select jsonb_build_object(
           'date', to_char(c.date, 'YYYY-MM-DD'), 'matrix', jsonb_build_object('version', c.matrix_version, 'sha256', c.matrix_hash),
           'vehicles', coalesce(
             (select jsonb_agg(jsonb_build_object(
                       'id', v.id, 'depot', jsonb_build_object('id', v.depot, 'lat', v.depot_lat, 'lng', v.depot_lng),
                       'capacity', v.capacity, 'skills', to_jsonb(v.skills), 'shift_start_min', v.shift_start,
                       'shift_end_min', v.shift_end) order by v.id collate "C")
                from public.routing_vehicles v where v.tenant_id = c.tenant_id and v.scenario_id = c.id), '[]'),
           'stops', coalesce(
             (select jsonb_agg(jsonb_build_object(
                       'id', s.id, 'lat', s.lat, 'lng', s.lng, 'demand', s.demand, 'service_min', s.service_min,
                       'skills', to_jsonb(s.skills), 'window_start_min', s.window_start, 'window_end_min', s.window_end)
                       order by s.id collate "C")
                from public.routing_stops s where s.tenant_id = c.tenant_id and s.scenario_id = c.id), '[]'))
    from public.routing_scenarios c where c.tenant_id = $1::uuid and c.id = $2::uuid]]

local ROUTE = { "vehicle_id", "start_s", "end_s", "visits" }

--- Puts what the pack does otherwise in place of the roster's.
---@param adapter table
---@param db table         a connection as the application role
---@param tenant string    its id
---@param help {jsonb: fun(list: table[], fields: string[]): string, undone: fun(db: table, tenant: string, fn: fun(): any): any}
function M.add(adapter, db, tenant, help)
  function adapter.expand_forecast(forecast, p)
    local text = json.encode { date = p.date, matrix = p.matrix, vehicles = json.array(p.vehicles), stops = json.array(p.stops) }
    return db:value("select platform.expand_forecast($1::uuid, $2::uuid, $3::jsonb)", tenant, forecast, text)
  end

  function adapter.read_instances(forecast)
    return help.undone(db, tenant, function() return db:value(M.SCENARIO, tenant, forecast) end)
  end

  function adapter.store_plan(forecast, plan)
    return db:value("select platform.store_plan($1::uuid, $2::uuid, $3::bigint, $4, $5, $6::jsonb)::text", tenant, forecast,
      plan.seed, plan.solver_config_hash, plan.output_hash, help.jsonb(plan.assignments, ROUTE))
  end

  function adapter.locked_weeks()
    return {}
  end
end

return M
