--- The roster pack as the golden path drives it: one table of functions, the same for every pack.
-- Pure: what reaches the outside is the caller's.

local audits = require "packs.roster.audits"
local dataset = require "packs.roster.dataset"
local expand = require "packs.roster.expand"
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
