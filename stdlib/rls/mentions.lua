--- Does a text of SQL mention a name? Read without a parser: for functions whose text may be of any language and anything in it.
--
-- Whatever may stand for the name counts. Names may be quoted, hold letters outside of ASCII or any other character, and be spelled by
-- Unicode escapes (PostgreSQL manual, section 4.1.1).
local mentions = {}

--- Bytes that go on with a name: letters, digits, the underscore, the dollar sign, and all of UTF-8 outside of ASCII.
local WORD = "[%w_$\x80-\xff]"

--- May the bytes from first to last be all of a name? Where the name itself begins or ends with something else there is no telling.
local function stands_alone(text, name, first, last)
  local before, after = text:sub(first - 1, first - 1), text:sub(last + 1, last + 1)
  local starts, ends = name:find("^" .. WORD) ~= nil, name:find(WORD .. "$") ~= nil
  return not (starts and first > 1 and before:find(WORD)) and not (ends and after:find(WORD))
end

local function occurs(text, name, accepts)
  local at = 1
  while #name > 0 do
    local first, last = text:find(name, at, true)
    if not first then return false end
    if stands_alone(text, name, first, last) and accepts(last) then return true end
    at = first + 1
  end
  return false
end

local function any() return true end

--- As itself, or in quotes with its own quotes doubled.
local function occurs_written(text, name, accepts)
  return occurs(text, name, accepts) or (name:find('"', 1, true) ~= nil and occurs(text, (name:gsub('"', '""')), accepts))
end

--- Is the name mentioned, by whatever kind of object?
---@param text string  in lower case
---@param name string  as the catalogue has it
---@return boolean
function mentions.name(text, name)
  name = name:lower()
  return text:find('u&"', 1, true) ~= nil or occurs_written(text, name, any)
end

--- Is the name mentioned as that of a function that is called?
---@param text string  in lower case
---@param name string  as the catalogue has it, without its schema
---@return boolean
function mentions.call(text, name)
  name = name:lower()
  local function called(last) return text:find('^"?%s*%(', last + 1) ~= nil end
  return text:find('u&"', 1, true) ~= nil or occurs_written(text, name, called)
end

return mentions
