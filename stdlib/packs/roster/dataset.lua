--- Golden datasets and forecasts of the roster pack: a store (directory or single file) to a parsed forecast.
-- Needs no capability of its own: the caller hands in the store it was given.

local errors = require "errors"
local expand = require "packs.roster.expand"
local hash = require "hash"
local json = require "json"
local parser = require "packs.roster.parser"

local M = {}

local INPUTS = { { name = "input.txt", format = "text" }, { name = "input.csv", format = "csv" } }

local function fail(code, message, fix)
  errors.raise { code = code, message = message, fix = fix }
end

--- A JSON file of the store, or nil when it is not there.
local function read_json(store, names, name)
  if not names[name] then return nil end
  local bytes = store:get(name)
  local ok, value = pcall(json.decode, bytes)
  if not ok then
    fail("dataset_json", ("%s: %s"):format(name, errors.is(value) and value.message or tostring(value)), "Correct the file's JSON")
  end
  if type(value) ~= "table" then fail("dataset_json", name .. ": expected an object", "Correct the file") end
  return value
end

--- What the input is called: exactly one of input.txt and input.csv, or the store's only file by its ending.
local function find_input(names, list)
  local found
  for _, input in ipairs(INPUTS) do
    if names[input.name] then
      if found then fail("dataset_input", "the dataset holds both input.txt and input.csv", "Keep one of them") end
      found = input
    end
  end
  if found then return found end
  if #list == 1 then
    local ending = list[1]:match("%.([^./]+)$")
    local format = ending == "txt" and "text" or ending == "csv" and "csv" or nil
    if format then return { name = list[1], format = format } end
  end
  return fail("dataset_input", names["input.json"] and "the dataset holds input.json; a roster forecast is input.txt or input.csv"
    or "the dataset holds neither input.txt nor input.csv", "Name a dataset directory with an input file, or a .txt or .csv file")
end

--- Read a dataset's files and parse its forecast.
---@param store table  a store with :list(prefix) and :get(key), its root the dataset
---@return table dataset  {input (file name), format, forecast (parser's result), manifest|nil, plan|nil (plan.json), seed|nil, week|nil,
---  expected_kpis|nil}. A manifest's wrong types, unreadable JSON and a missing input raise dataset_json, dataset_manifest, dataset_input.
function M.load(store)
  local names, list = {}, {}
  for _, item in ipairs(store:list("")) do
    local key = type(item) == "table" and item.key or item
    names[key] = true
    list[#list + 1] = key
  end
  local input = find_input(names, list)
  local manifest = read_json(store, names, "manifest.json")
  local out = { input = input.name, format = input.format, manifest = manifest, plan = read_json(store, names, "plan.json") }
  if manifest then
    local function typed(key, kind, want)
      local value = manifest[key]
      if value == nil or value == json.null then return nil end
      if kind(value) ~= want then fail("dataset_manifest", ("manifest.json: %s: expected %s"):format(key, want), "Correct the manifest") end
      return value
    end
    if manifest.pack ~= nil and manifest.pack ~= "roster" then
      fail("dataset_manifest", ("manifest.json: pack: expected roster, got %s"):format(tostring(manifest.pack)), "Name a roster dataset")
    end
    out.seed, out.week = typed("seed", math.type, "integer"), typed("week", type, "string")
    out.expected_kpis = typed("expected_kpis", type, "table")
    out.input_hash, out.output_hash = typed("input_hash", type, "string"), typed("expected_output_hash", type, "string")
  end
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
