--- Golden datasets and scenarios of the routing pack: a store (directory or single file) to a problem.
--
-- A dataset is input.json, and where it has travel times of its own matrix.csv, which manifest.json pins (matrix_sha256, and
-- matrix_version where the file does not say it). Without one the configuration's matrix is used. Needs no capability of its own.

local files = require "packs.files"
local problem = require "packs.routing.problem"
local scenario = require "packs.routing.scenario"

local M = {}

local INPUTS = { { name = "input.json", format = "json" } }

--- What the configuration gives: the matrix's pin, and how its file is read.
---@class routing.Outside
---@field config table?              packs.routing of the configuration
---@field matrix (fun(): string)?    the content of the file that packs.routing.matrix names

--- Where the travel times come from. A dataset's own come first: its expectations are made with them.
local function source_of(out, found, store, outside)
  local config = outside and outside.config or {}
  local fallback = config.haversine_fallback == true
  if found.names["matrix.csv"] then
    return { from = "matrix.csv", bytes = store:get("matrix.csv"), sha256 = out.matrix_sha256, version = out.matrix_version,
      fallback = fallback }
  elseif config.matrix then
    return { from = "packs.routing.matrix", bytes = outside.matrix(), sha256 = config.matrix_sha256, fallback = fallback }
  end
  return { from = "estimated", fallback = fallback }
end

--- Read a dataset's files and its scenario.
---@param store table  a store with :list(prefix) and :get(key), its root the dataset
---@param outside routing.Outside?
---@return table dataset  {input (file name), format, forecast = {status, issues, scenario}, source (of the matrix), manifest|nil, plan|nil
---  (plan.json), seed|nil, expected_kpis|nil, input_hash|nil, output_hash|nil}. Errors: dataset_json, dataset_manifest, dataset_input.
function M.load(store, outside)
  local found = files.open(store)
  local input = found:input(INPUTS, "routing")
  local out = found:manifest("routing")
  out.week = nil
  out.input, out.format, out.plan = input.name, input.format, found:json("plan.json")
  out.forecast = scenario.parse(store:get(input.name))
  out.source = source_of(out, found, store, outside)
  return out
end

--- The problem of a scenario that is understood.
---@param dataset table  of load()
---@return table  {instances (routing.Problem), scenario, source = {from, pinned}, input_hash, parser_config_hash}.
---  Errors: matrix_none, matrix_missing_pair and the other ones of packs.routing.matrix.
function M.prepare(dataset)
  local understood, source = dataset.forecast.scenario, dataset.source
  return { scenario = understood, instances = problem.make(understood, problem.matrix(understood, source)),
    source = { from = source.from, pinned = source.bytes ~= nil and source.sha256 ~= nil },
    input_hash = scenario.input_hash(understood), parser_config_hash = scenario.parser_config_hash() }
end

return M
