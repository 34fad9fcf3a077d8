--- Where two JSON values first differ, and what kind of difference that is.
-- Pure: needs no capability.

local json = require "json"

local M = {}

local VALUE_CHARS = 120

--- Nothing at this place in one of the two.
M.ABSENT = setmetatable({}, { __tostring = function() return "absent" end })

--- A value in a message: JSON, cut to a readable length.
---@param value any
---@return string
function M.show(value)
  if value == M.ABSENT then return "absent" end
  local text = json.encode(value)
  if #text <= VALUE_CHARS then return text end
  local cut = VALUE_CHARS
  while cut > 0 and text:byte(cut + 1) & 0xC0 == 0x80 do cut = cut - 1 end
  return text:sub(1, cut) .. "…"
end

local function sorted_keys(a, b)
  local seen, keys = {}, {}
  for _, t in ipairs { a, b } do
    for key in pairs(t) do
      if not seen[key] then
        seen[key] = true
        keys[#keys + 1] = key
      end
    end
  end
  table.sort(keys, function(x, y) return tostring(x) < tostring(y) end)
  return keys
end

local function is_list(value) return json.is_array(value) or #value > 0 end

local function step(path, key)
  if key:find "^[%a_][%w_]*$" then return path .. "." .. key end
  return path .. "[" .. json.encode(key) .. "]"
end

--- The first place, in document order of lists and in order of keys of objects, where two values differ.
---@param a any
---@param b any
---@param path string?  what the values are called; "$" by default
---@return {path: string, keys: any[], left: any, right: any}|nil  path as JSONPath (RFC 9535, indexes from 0), keys the same for at(); nil
---when they are equal
function M.first(a, b, path)
  local keys = {}
  local found = M.walk(a, b, path or "$", keys)
  if found then found.keys = keys end
  return found
end

--- What is at a place.
---@param value any
---@param keys any[]  from first()
---@return any  ABSENT where there is nothing
function M.at(value, keys)
  for _, key in ipairs(keys) do
    if type(value) ~= "table" or value == M.ABSENT or value[key] == nil then return M.ABSENT end
    value = value[key]
  end
  return value
end

--- first(), with the way to the place in `keys`.
---@package
function M.walk(a, b, path, keys)
  local depth = #keys + 1
  if type(a) ~= "table" or type(b) ~= "table" or a == M.ABSENT or b == M.ABSENT then
    if math.type(a) == math.type(b) and a == b then return nil end
    if type(a) == "number" and type(b) == "number" and a == b then return nil end -- 1 and 1.0 are one JSON number
    if rawequal(a, b) then return nil end
    return { path = path, left = a, right = b }
  end
  if is_list(a) ~= is_list(b) and next(a) ~= nil and next(b) ~= nil then return { path = path, left = a, right = b } end
  if is_list(a) or is_list(b) then
    for i = 1, math.max(#a, #b) do
      local function at(t)
        if t[i] == nil then return M.ABSENT end
        return t[i]
      end
      keys[depth] = i
      local found = M.walk(at(a), at(b), ("%s[%d]"):format(path, i - 1), keys)
      if found then return found end
    end
    keys[depth] = nil
    return nil
  end
  for _, key in ipairs(sorted_keys(a, b)) do
    local function at(t)
      if t[key] == nil then return M.ABSENT end
      return t[key]
    end
    keys[depth] = key
    local found = M.walk(at(a), at(b), step(path, tostring(key)), keys)
    if found then return found end
  end
  keys[depth] = nil
  return nil
end

-- Two results of one computation that differ by rounding alone agree to at least this part of their value: some 10^6 units in the
-- last place of a double, far more than sums of a few thousand terms lose, far less than any difference that means something.
local ROUNDING = 1e-9

--- Doubles between two doubles ("units in the last place"); nil when their signs differ.
---@param a number
---@param b number
---@return integer|nil
function M.ulps(a, b)
  local x, y = string.unpack("<i8", string.pack("<d", a)), string.unpack("<i8", string.pack("<d", b))
  if (x < 0) ~= (y < 0) then return nil end
  return math.abs(x - y)
end

local function near(a, b)
  return a ~= b and math.abs(a - b) <= ROUNDING * math.max(math.abs(a), math.abs(b))
end

--- Is the difference one of rounding? Numbers, or texts that differ in one number with a fraction.
---@param left any
---@param right any
---@return integer|nil ulps  how far apart, when it is
function M.rounding(left, right)
  if type(left) == "number" and type(right) == "number" then
    local whole = math.type(left) == "integer" and math.type(right) == "integer"
    return not whole and near(left, right) and M.ulps(left, right) or nil
  end
  if type(left) ~= "string" or type(right) ~= "string" then return nil end
  local function numbers(text)
    local list = {}
    local rest = text:gsub("%d+%.?%d*", function(n)
      list[#list + 1] = n
      return "#"
    end)
    return rest, list
  end
  local rest_a, a = numbers(left)
  local rest_b, b = numbers(right)
  if rest_a ~= rest_b or #a ~= #b then return nil end
  local ulps
  for i = 1, #a do
    if a[i] ~= b[i] then
      local fraction = a[i]:find(".", 1, true) or b[i]:find(".", 1, true)
      local x, y = tonumber(a[i]), tonumber(b[i])
      if ulps or not fraction or not near(x, y) then return nil end
      ulps = M.ulps(x, y)
    end
  end
  return ulps
end

--- Line by line what two texts do not share: "-" lines of the first, "+" lines of the second, each in its own order, merged by line
--- number. Meant for texts whose lines are sorted, as run files are; a moved line shows as removed and added.
---@param a string
---@param b string
---@param most integer?  lines; the rest is counted
---@return string[] lines
function M.lines(a, b, most)
  local function count(text)
    local list, times = {}, {}
    for line in (text .. "\n"):gmatch "(.-)\n" do
      list[#list + 1] = line
      times[line] = (times[line] or 0) + 1
    end
    return list, times
  end
  local left, in_left = count(a)
  local right, in_right = count(b)
  local out, more = {}, 0
  --- Writes the line unless the other text has it too (as often as it has it).
  local function put(sign, lines, number, other)
    local line = lines[number]
    if not line then return end
    if (other[line] or 0) > 0 then
      other[line] = other[line] - 1
    elseif most and #out >= most then
      more = more + 1
    else
      out[#out + 1] = ("%s %d: %s"):format(sign, number, line)
    end
  end
  for i = 1, math.max(#left, #right) do
    put("-", left, i, in_right)
    put("+", right, i, in_left)
  end
  if more > 0 then out[#out + 1] = ("… and %d more lines"):format(more) end
  return out
end

return M
