--- The roster pack as the golden path and the determinism proof drive it: one table of functions, the same for every pack.
--
--   load(store, outside) → data; prepare(data) → work {instances, input_hash, parser_config_hash, …}; lines, templates, counts, facts,
--   advice, forecast_document: what is told of them; where, object: of an issue; count, size, difference, adopt, export_instances: of the
--   instances; limits, request, solver_config_hash: what a solver is asked; solver_plan, injected_plan, export_plan, output_hash,
--   plan_facts, plan_advice: of its answer, whose hashed list is plan.assignments in every pack; audits, audit_plan, kpis: of the plan.
-- Pure: what reaches the outside is the caller's.

local audits = require "packs.roster.audits"
local dataset = require "packs.roster.dataset"
local expand = require "packs.roster.expand"
local hash = require "hash"
local json = require "json"
local kpis = require "packs.roster.kpis"
local plan = require "packs.roster.plan"

local M = {
  DEFAULT_SEED = plan.DEFAULT_SEED, REFERENCE_WEEK = plan.REFERENCE_WEEK,
  load = dataset.load, prepare = dataset.prepare,
  export_instances = expand.export,
  limits = plan.limits, request = plan.request, solver_config_hash = plan.solver_config_hash,
  solver_plan = plan.from_solver, injected_plan = plan.injected, export_plan = plan.export, output_hash = plan.output_hash,
  audits = audits.run, audit_plan = plan.audit_plan, check_week = plan.check_week,
}

--- Where an issue is: for a message, and as the object of a finding.
function M.where(issue) return ("line %d, column %d"):format(issue.line_no, issue.column) end
function M.object(data, issue) return ("%s:%d:%d"):format(data.input, issue.line_no, issue.column) end

--- The forecast's lines as the platform keeps them, and its templates.
function M.lines(data) return data.forecast.lines end

--- What has to be the same before and after the forecast is understood.
---@return {[1]: string, [2]: integer, [3]: integer}[]
function M.counts(data, work)
  local counted = 0
  for _, t in ipairs(work.templates) do counted = counted + t.count end
  return { { "tours of the lines and of the templates", data.forecast.counts.tours, counted } }
end

--- Facts for the report.
---@return {[1]: string, [2]: any}[]
function M.facts(data, work)
  return { { "week", data.week or ("none: the dataset names no week, and the dates are those of " .. M.REFERENCE_WEEK) },
    { "templates", #work.templates } }
end

--- What is no failure, and has to be said: nothing.
function M.advice() return {} end
function M.plan_advice() return {} end

function M.count(instances) return #instances end

--- The size of the problem for people.
function M.size(instances) return ("%d tours"):format(#instances) end

--- The first tour that reads back otherwise than it was sent; nil where none does.
---@param sent table[]
---@param stored table[]  sorted by id
---@return string|nil what
---@return string|nil detail
function M.difference(sent, stored)
  local list = table.move(sent, 1, #sent, 1, {})
  table.sort(list, function(a, b) return a.id < b.id end)
  for i, t in ipairs(list) do
    if hash.canonical(expand.export { t }) ~= hash.canonical(expand.export { stored[i] }) then
      return "tour " .. t.id, ("read back: %s"):format(tostring(stored[i].id))
    end
  end
end

--- What the platform holds is all there is.
function M.adopt(stored) return stored end

function M.plan_facts(made)
  return { { "drivers", made.drivers }, { "lower_bound", made.lower_bound } }
end

--- The forecast as it was understood (artifact forecast.json).
---@param data table  of load()
---@param work table?  of prepare(); nil when lines failed, then there are no templates and no hash
---@return table
function M.forecast_document(data, work)
  local templates = {}
  for i, t in ipairs(work and work.templates or {}) do
    local copy = {}
    for key, value in pairs(t) do copy[key] = value end
    for _, key in ipairs { "depot", "skill", "span_group_key" } do
      if copy[key] == nil then copy[key] = json.null end
    end
    templates[i] = copy
  end
  return {
    pack = "roster", input = data.input, format = data.format, status = data.forecast.status, counts = data.forecast.counts,
    lines = json.array(data.forecast.lines), issues = json.array(data.forecast.issues), templates = json.array(templates),
    input_hash = work and work.input_hash or json.null, parser_config_hash = dataset.parser_config_hash(),
  }
end

--- KPIs with their thresholds and, against a golden dataset's expectations, the drift (artifact kpis.json).
---@param assignments table[]
---@param instances table[]
---@param results table[]
---@param expected table?
---@return {kpis: table, thresholds: table[], drift: table?}
function M.kpis(assignments, instances, results, expected)
  local found = kpis.compute(assignments, instances, results)
  local drift = expected and type(expected.total_drivers) == "number" and kpis.drift(found, expected) or nil
  return { kpis = found, thresholds = json.array(kpis.judge(found, expected)), drift = drift or json.null }
end

return M
