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

--- Sorts elements by two keys of each, and by the order in which they were given where both are equal. Keys of one place are of one type.
---@param list table[]  sorted in place
---@param key table<table, {[1]: string|number, [2]: string|number, [3]: integer}>  by element
---@return table[] list
function M.sorted(list, key)
  table.sort(list, function(a, b)
    local x, y = key[a], key[b]
    for i = 1, 3 do
      if x[i] ~= y[i] then return x[i] < y[i] end
    end
    return false
  end)
  return list
end

return M
