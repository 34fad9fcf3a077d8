--- A dataset's directory, or a single input file, as the packs read it. Needs no capability of its own: the caller hands in the store.

local errors = require "errors"
local json = require "json"

local Files = {}
Files.__index = Files

local M = {}

--- Raises what is wrong with a dataset.
---@param code string
---@param message string
---@param fix string
function M.fail(code, message, fix)
  errors.raise { code = code, message = message, fix = fix }
end

---@class packs.Files
---@field names table<string, true>
---@field list string[]

--- What a store holds.
---@param store table  a store with :list(prefix) and :get(key), its root the dataset
---@return packs.Files
function M.open(store)
  local self = setmetatable({ store = store, names = {}, list = {} }, Files)
  for _, item in ipairs(store:list("")) do
    local key = type(item) == "table" and item.key or item
    self.names[key] = true
    self.list[#self.list + 1] = key
  end
  return self
end

--- The input: the one of these names that is there, or the store's only file by its ending.
---@param inputs {name: string, format: string}[]
---@param pack string  for the message
---@return {name: string, format: string}  Errors: dataset_input.
function Files:input(inputs, pack)
  local found
  local names = {}
  for i, input in ipairs(inputs) do
    names[i] = input.name
    if self.names[input.name] then
      if found then M.fail("dataset_input", ("the dataset holds both %s and %s"):format(found.name, input.name), "Keep one of them") end
      found = input
    end
  end
  if found then return found end
  local ending = #self.list == 1 and self.list[1]:match("%.([^./]+)$")
  for _, input in ipairs(inputs) do
    if ending and input.name:match("%.([^./]+)$") == ending then return { name = self.list[1], format = input.format } end
  end
  local other
  for _, name in ipairs { "input.txt", "input.csv", "input.json" } do other = other or self.names[name] and name end
  local wanted = table.concat(names, " or ")
  return M.fail("dataset_input", other and ("the dataset holds %s; an input of the pack %s is %s"):format(other, pack, wanted)
    or #names == 1 and ("the dataset holds no %s"):format(wanted) or ("the dataset holds neither %s"):format(table.concat(names, " nor ")),
    ("Name a dataset of the pack %s (a directory with %s, or such a file), or this one's pack: --pack"):format(pack, wanted))
end

--- A JSON object of the store.
---@param name string
---@return table|nil  nil when it is not there. Errors: dataset_json.
function Files:json(name)
  if not self.names[name] then return nil end
  local ok, value = pcall(json.decode, self.store:get(name))
  if not ok then
    M.fail("dataset_json", ("%s: %s"):format(name, errors.is(value) and value.message or tostring(value)), "Correct the file's JSON")
  end
  if type(value) ~= "table" then M.fail("dataset_json", name .. ": expected an object", "Correct the file") end
  return value
end

--- What manifest.json says that every pack uses, with its types checked.
---@param pack string
---@return table  {manifest, seed, week, expected_kpis, input_hash, output_hash}, all nil where there is no manifest. Errors: dataset_json,
---  dataset_manifest.
function Files:manifest(pack)
  local manifest = self:json("manifest.json")
  if not manifest then return {} end
  local function typed(key, kind, want)
    local value = manifest[key]
    if value == nil or value == json.null then return nil end
    if kind(value) ~= want then M.fail("dataset_manifest", ("manifest.json: %s: expected %s"):format(key, want), "Correct the manifest") end
    return value
  end
  if manifest.pack ~= nil and manifest.pack ~= pack then
    M.fail("dataset_manifest", ("manifest.json: pack: expected %s, got %s"):format(pack, tostring(manifest.pack)),
      ("Name a dataset of the pack %s, or the dataset's pack: --pack"):format(pack))
  end
  return { manifest = manifest, seed = typed("seed", math.type, "integer"), week = typed("week", type, "string"),
    expected_kpis = typed("expected_kpis", type, "table"), input_hash = typed("input_hash", type, "string"),
    output_hash = typed("expected_output_hash", type, "string"), matrix_sha256 = typed("matrix_sha256", type, "string"),
    matrix_version = typed("matrix_version", type, "string") }
end

return M
