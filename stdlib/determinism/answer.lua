--- A solver's answer: the part that is hashed, the rest, and whether it is an answer to the question that was asked. Of the roster pack;
--- determinism.answer_routing has the same functions for the other.
-- Pure: needs no capability.

local errors = require "errors"
local hash = require "hash"
local json = require "json"
local plan = require "packs.roster.plan"
local text = require "determinism.text"

local M = {}

--- The key of the list that is hashed.
M.LIST = "assignments"

--- The protocol, for a message.
M.PROTOCOL = "{solver, drivers, seed, assignments = [{driver_id, …}]}"

local FIELDS = { "driver_id", "tour_instance_id", "day", "block_id", "block_type" }

--- The hashed part of an answer, as it stands: five fields of every assignment, sorted by driver, then tour. Not validated, so that
--- two wrong answers can still be compared.
---@param output any
---@return table[]|nil list
---@return string|nil why  when there is none
function M.hashed(output)
  local list = type(output) == "table" and output.assignments
  if type(list) ~= "table" then return nil, "assignments: expected a list, got " .. type(list) end
  local out = {}
  for i = 1, #list do
    if type(list[i]) ~= "table" then return nil, ("assignments[%d]: expected an object, got %s"):format(i - 1, type(list[i])) end
    local copy = {}
    for _, field in ipairs(FIELDS) do
      local value = list[i][field]
      copy[field] = value == nil and json.null or value
    end
    out[i] = copy
  end
  local key = {}
  for i, a in ipairs(out) do
    key[a] = { tostring(a.driver_id), tostring(a.tour_instance_id), i }
  end
  return json.array(text.sorted(out, key))
end

--- What the answer holds beside its assignments.
---@param output table
---@return table
function M.rest(output) return text.rest(output, M.LIST) end

--- The answer as a text whose lines can be compared, one assignment a line.
---@param output table
---@param list table[]  from hashed()
---@return string
function M.text(output, list) return text.of(output, M.LIST, list) end

--- Is it a complete plan for these tours and this seed? Every tour exactly once, nothing else, the protocol's fields.
---@param output any
---@param instances table[]
---@param seed integer
---@return {object: string, text: string}[] problems  empty when it is
function M.problems(output, instances, seed)
  local ok, made = pcall(plan.from_solver, output, instances, seed)
  local out = {}
  if not ok then
    if not errors.is(made, "plan_invalid") then error(made, 0) end
    out[1] = { object = "answer", text = made.message }
  end
  local times = {}
  for _, a in ipairs(M.hashed(output) or {}) do
    local id = a.tour_instance_id
    times[id] = (times[id] or 0) + 1
  end
  for _, tour in ipairs(instances) do
    local n = times[tour.id] or 0
    if n ~= 1 then
      out[#out + 1] = { object = tour.id,
        text = n == 0 and ("tour %s is not assigned"):format(tour.id) or ("tour %s is assigned %d times"):format(tour.id, n) }
    end
  end
  return out
end

--- Another question, near to the one asked: the next seed, and a forecast of one tour (or split shift) less; of a single tour, with
--- another name. Who answers it as the first has not read it.
---@param instances table[]
---@param seed integer
---@return table[] instances
---@return integer seed
function M.changed(instances, seed)
  local last = instances[#instances]
  local list = {}
  for _, tour in ipairs(instances) do
    local dropped = tour == last or last.split_group and tour.split_group == last.split_group
    if not dropped then list[#list + 1] = tour end
  end
  if #list == 0 then
    for i, tour in ipairs(instances) do
      list[i] = {}
      for key, value in pairs(tour) do list[i][key] = value end
      list[i].id = tour.id .. "-control"
    end
  end
  return list, seed < math.maxinteger and seed + 1 or seed - 1
end

--- The hash of what the solver was given, without the rest of the request.
---@param request table
---@return string sha256
function M.expanded(request)
  return hash.of(request.instances)
end

return M
