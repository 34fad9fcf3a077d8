--- A solver's answer as a text whose lines can be compared. Pure: needs no capability.

local hash = require "hash"

local M = {}

--- What an answer holds beside one list.
---@param output table
---@param name string  the list's key
---@return table
function M.rest(output, name)
  local out = {}
  for key, value in pairs(output) do
    if key ~= name then out[key] = value end
  end
  return out
end

--- Canonical JSON with one element of the list a line, in the order that is hashed.
---@param output table
---@param name string   the list's key
---@param list table[]  in its order
---@return string
function M.of(output, name, list)
  local lines = {}
  for i, a in ipairs(list) do lines[i] = hash.canonical(a) .. (i < #list and "," or "") end
  local rest = hash.canonical(M.rest(output, name))
  local body = rest == "{}" and "" or "," .. rest:sub(2, -2)
  return ('{"%s":[\n%s\n]%s}\n'):format(name, table.concat(lines, "\n"), body)
end

return M
