--- Lists as PostgreSQL array literals (PostgreSQL manual, section 8.15.2): parameters that no engine type is needed for.
local arrays = {}

--- A text[] literal of strings.
---@param list string[]
---@return string
function arrays.text(list)
  local out = {}
  for i, value in ipairs(list) do
    out[i] = '"' .. value:gsub('[\\"]', "\\%0") .. '"'
  end
  return "{" .. table.concat(out, ",") .. "}"
end

return arrays
