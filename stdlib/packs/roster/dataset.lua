--- Golden datasets and forecasts of the roster pack: a store (directory or single file) to a parsed forecast.
-- Needs no capability of its own: the caller hands in the store it was given.

local expand = require "packs.roster.expand"
local files = require "packs.files"
local hash = require "hash"
local parser = require "packs.roster.parser"

local M = {}

local INPUTS = { { name = "input.txt", format = "text" }, { name = "input.csv", format = "csv" } }

--- Read a dataset's files and parse its forecast.
---@param store table  a store with :list(prefix) and :get(key), its root the dataset
---@return table dataset  {input (file name), format, forecast (parser's result), manifest|nil, plan|nil (plan.json), seed|nil, week|nil,
---  expected_kpis|nil}. A manifest's wrong types, unreadable JSON and a missing input raise dataset_json, dataset_manifest, dataset_input.
function M.load(store)
  local found = files.open(store)
  local input = found:input(INPUTS, "roster")
  local out = found:manifest("roster")
  out.input, out.format, out.plan = input.name, input.format, found:json("plan.json")
  out.forecast = parser.parse(store:get(input.name), input.format)
  return out
end

--- Hash of how texts are understood, stored beside the forecast.
---@return string sha256
function M.parser_config_hash()
  return hash.of(parser.config())
end

--- Templates, instances and hashes of a dataset whose forecast is understood.
---@param dataset table  of load()
---@return table  {templates, instances, input_hash, parser_config_hash}
function M.prepare(dataset)
  local templates = expand.templates(dataset.forecast.entries)
  return { templates = templates, instances = expand.instances(templates), input_hash = expand.input_hash(templates),
    parser_config_hash = M.parser_config_hash() }
end

return M
