--- Delta debugging: of a set whose whole has an effect, a smallest part that still has it.
-- Pure: needs no capability.

local M = {}

--- The list without the elements from `from` to `to`.
local function without(list, from, to)
  local out = table.move(list, 1, from - 1, 1, {})
  return table.move(list, to + 1, #list, #out + 1, out)
end

--- The algorithm ddmin of Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE TSE 28/2, 2002): halves, then
--- finer pieces, then what is left without a piece. Its result is 1-minimal: without any one element the effect is gone.
---@generic T
---@param list T[]                  has the effect as a whole
---@param test fun(part: T[]): boolean  whether a part has it; asked once for each part
---@return T[] part  in the list's order
---@return integer tests  how often `test` was asked
function M.of(list, test)
  local index, known, asked = {}, {}, 0
  for i = 1, #list do index[i] = i end
  local function ask(part)
    local key = table.concat(part, " ")
    if known[key] == nil then
      local values = {}
      for i, at in ipairs(part) do values[i] = list[at] end
      asked = asked + 1
      known[key] = test(values)
    end
    return known[key]
  end
  local pieces = 2
  while #index >= 2 do
    local size, found = math.ceil(#index / pieces), nil
    for from = 1, #index, size do
      local piece = table.move(index, from, math.min(from + size - 1, #index), 1, {})
      if not found and #piece < #index and ask(piece) then found, pieces = piece, 2 end
    end
    for from = 1, #index, size do
      local rest = without(index, from, math.min(from + size - 1, #index))
      if not found and #rest > 0 and ask(rest) then found, pieces = rest, math.max(pieces - 1, 2) end
    end
    if found then
      index = found
    elseif size == 1 then
      break
    else
      pieces = math.min(#index, pieces * 2)
    end
  end
  local out = {}
  for i, at in ipairs(index) do out[i] = list[at] end
  return out, asked
end

return M
