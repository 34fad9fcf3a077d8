--- The routing pack as the golden path drives it: one table of functions, the same for every pack (see packs.roster.golden).
-- Pure: what reaches the outside is the caller's.

local audits = require "packs.routing.audits"
local dataset = require "packs.routing.dataset"
local hash = require "hash"
local json = require "json"
local kpis = require "packs.routing.kpis"
local plan = require "packs.routing.plan"
local problem = require "packs.routing.problem"
local scenario = require "packs.routing.scenario"

local M = {
  DEFAULT_SEED = problem.DEFAULT_SEED, load = dataset.load, prepare = dataset.prepare,
  export_instances = problem.export, difference = problem.difference, request = problem.request,
  solver_plan = plan.from_solver, injected_plan = plan.injected, export_plan = plan.export, output_hash = plan.output_hash,
  audit_plan = plan.audit_plan,
}

--- Where an issue is: for a message, and as the object of a finding.
function M.where(issue) return issue.path end
function M.object(data, issue) return ("%s: %s"):format(data.input, issue.path) end

--- The scenario's things as the platform keeps what was uploaded.
---@param data table  of load()
---@return table[]  {line_no, raw_text, status, code}
function M.lines(data)
  local found, lines = data.forecast.scenario, {}
  local things = scenario.canonical(found)
  for _, kind in ipairs { "depots", "vehicles", "stops" } do
    for _, thing in ipairs(things[kind]) do
      lines[#lines + 1] = { line_no = #lines + 1, raw_text = ("%s %s"):format(kind, hash.canonical(thing)), status = "PASS" }
    end
  end
  return lines
end

--- What has to be the same before and after the scenario is understood; its lines are its things.
function M.counts(data, work)
  local found = data.forecast.scenario
  return { { "stops of the scenario and of the problem", #found.stops, #work.instances.stops },
    { "vehicles of the scenario and of the problem", #found.vehicles, #work.instances.vehicles } }
end

--- The scenario as it was understood (artifact forecast.json).
---@param data table  of load()
---@param work table?  of prepare(); nil when it is not understood
---@return table
function M.forecast_document(data, work)
  local found = data.forecast.scenario
  return { pack = "routing", input = data.input, format = data.format, status = data.forecast.status,
    issues = json.array(data.forecast.issues), scenario = found and scenario.canonical(found) or json.null,
    input_hash = work and work.input_hash or json.null, parser_config_hash = scenario.parser_config_hash() }
end

--- Facts for the report.
---@return {[1]: string, [2]: any}[]
function M.facts(_, work)
  local p = work.instances
  return { { "date", p.date }, { "stops", #p.stops }, { "vehicles", #p.vehicles }, { "matrix_version", p.matrix.version },
    { "matrix_sha256", p.matrix.sha256 }, { "matrix_from", work.source.from }, { "ways_estimated", p.travel.estimated } }
end

--- What is no failure, and has to be said.
---@return {[1]: string, [2]: table}[]  class and finding
function M.advice(work)
  local p, out = work.instances, {}
  if p.travel.estimated > 0 then
    out[1] = { "travel_estimated", { object = p.matrix.version,
      detail = ("%d of %d ways are great circles at 30 km/h: the %s has them not"):format(p.travel.estimated, p.travel.ways,
        work.source.from == "estimated" and "configuration" or work.source.from) } }
  end
  if work.source.from ~= "estimated" and not work.source.pinned then
    out[#out + 1] = { "matrix_unpinned", { object = work.source.from, detail = "SHA-256 " .. p.matrix.sha256 } }
  end
  return out
end

function M.count(instances) return #instances.vehicles + #instances.stops end

--- The size of the problem for people.
function M.size(instances) return ("%d stops"):format(#instances.stops) end

--- What the platform holds, with the ways it does not.
function M.adopt(stored, work)
  stored.travel = work.instances.travel
  return stored
end

--- The routing pack has no limits of its own: they stand in the scenario.
function M.limits() return {} end

function M.solver_config_hash(seed, _, solver, instances)
  return problem.solver_config_hash(seed, solver, instances)
end

function M.plan_facts(made)
  return { { "routes", #made.assignments }, { "distance_m", made.distance_m }, { "unassigned", #made.unassigned } }
end

--- Each stop that the solver serves not, and why.
function M.plan_advice(made)
  local out = {}
  for i, u in ipairs(made.unassigned) do
    out[i] = { "stop_unassigned", { object = u.stop_id, args = { u.stop_id, u.rule }, detail = u.detail } }
  end
  return out
end

--- All audits of the pack on a plan.
function M.audits(assignments, instances) return audits.run(assignments, instances) end

--- KPIs with their thresholds (artifact kpis.json).
function M.kpis(assignments, instances, results, expected)
  local found = kpis.compute(assignments, instances, results)
  return { kpis = found, thresholds = json.array(kpis.judge(found, expected)), drift = json.null }
end

return M
