--- A tenant's first solves: its plans since it went live, each looked at again: audits, KPIs against their thresholds, drift.
--- Those that gate 3 makes are none of the tenant's own.
---
--- Roster plans are audited anew, by the gate's own audits and limits, and what the platform recorded is compared with that. Of routing
--- plans the recorded audits count alone: their travel times are the matrix of then.
local adapters = require "platform.adapter"
local audits = require "packs.roster.audits"
local kpis = require "packs.roster.kpis"
local plan = require "packs.roster.plan"

local solves = {}

solves.MOST = 5

local AT = [[to_char(%s at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')]]

--- Runs fn in a transaction that states the tenant and changes nothing.
local function as_tenant(db, tenant_id, fn)
  return db:transaction(function(tx)
    tx:exec("select set_config('app.current_tenant_id', $1, true)", tenant_id)
    return fn(tx)
  end, { rollback = true })
end

--- The audits that the platform recorded of a plan: the last result of each it requires.
local function recorded(tx, tenant_id, one)
  return tx:query([[select r.audit, coalesce(l.status, 'not run') as status from platform.required_audits r
    left join lateral (select a.status from public.audit_log a where a.tenant_id::text = $1 and a.plan_version_id::text = $2
      and a.audit = r.audit order by a.id desc limit 1) l on true where r.pack = $3 order by r.audit]], tenant_id, one.id, one.pack)
end

--- Audits a roster plan anew.
local function again(tx, tenant_id, one, limits)
  local instances = tx:query([[select id, day::integer, start_min, end_min, depot, skill, split_group from public.tour_instances
    where tenant_id::text = $1 and forecast_version_id::text = $2 order by id collate "C"]], tenant_id, one.forecast)
  local assignments = tx:query([[select driver_id, tour_instance_id, day::integer, block_id, block_type from public.assignments
    where tenant_id::text = $1 and plan_version_id::text = $2 order by driver_id collate "C", tour_instance_id collate "C"]],
    tenant_id, one.id)
  local results = audits.run(assignments, instances, limits)
  return results, kpis.compute(assignments, instances, results)
end

--- What is wrong with one solve's audits: those that fail, and those of which the platform recorded something else.
local function review(one, results)
  one.failed, one.differs, one.passed = {}, {}, 0
  local found = {}
  for _, r in ipairs(results or {}) do found[r.id] = r.status end
  for _, r in ipairs(one.recorded) do
    local status = found[r.audit] or r.status
    if status == "PASS" then one.passed = one.passed + 1 else one.failed[#one.failed + 1] = ("%s (%s)"):format(r.audit, status) end
    if found[r.audit] and r.status ~= "not run" and found[r.audit] ~= r.status then
      one.differs[#one.differs + 1] = ("%s: recorded %s, found %s"):format(r.audit, r.status, found[r.audit])
    end
  end
end

-- A plan's forecast says whose it is (adapters.VALIDATION); so does who locked it, of plans made before forecasts did.
local OF_VALIDATION = [[(starts_with(f.source, $3) or starts_with(coalesce(p.locked_by, ''), $3))]]

local SINCE = [[ from public.plan_versions p
  join public.forecast_versions f on f.tenant_id = p.tenant_id and f.id = p.forecast_version_id
  where p.tenant_id::text = $1 and p.created_at >= $2::text::timestamptz and ]]

--- The first solves since a time, oldest first.
---@param ctx gate.Context  needs db = {"app"}
---@param tenant_id string
---@param since string
---@param expected table?  expected KPIs; without them those of the first solve
---@return table[] list  {id, pack, at, status, recorded, failed, differs, passed, kpis?, judged?, drift?}
---@return integer validations  plans that gate 3 made since, which are left out
function solves.first(ctx, tenant_id, since, expected)
  local limits = plan.limits(ctx.config.packs and ctx.config.packs.roster)
  return as_tenant(ctx.db.app, tenant_id, function(tx)
    local list = tx:query("select p.id::text, p.pack_id as pack, p.status, f.id::text as forecast, " .. AT:format "p.created_at"
      .. " as at" .. SINCE .. "not " .. OF_VALIDATION .. " order by p.created_at, p.id limit $4", tenant_id, since, adapters.VALIDATION,
      solves.MOST)
    local validations = tx:value("select count(*)" .. SINCE .. OF_VALIDATION, tenant_id, since, adapters.VALIDATION)
    for _, one in ipairs(list) do
      one.recorded = recorded(tx, tenant_id, one)
      local results
      if one.pack == "roster" then
        results, one.kpis = again(tx, tenant_id, one, limits)
        expected = expected or one.kpis
        one.judged, one.drift = kpis.judge(one.kpis, expected), kpis.drift(one.kpis, expected)
      end
      review(one, results)
    end
    return list, validations
  end)
end

return solves
