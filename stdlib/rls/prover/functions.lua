--- The functions and operators of pg_catalog that the prover knows, computed as PostgreSQL computes them.
--
-- Each takes values that are not NULL (all are strict; string_to_array is with a separator) and returns a value, ERROR where PostgreSQL
-- raises an error, or UNKNOWN where the result depends on what is not known here (a locale's letters, a character that is several
-- bytes). None reads or changes a session. Semantics: PostgreSQL manual, sections 9.3 (integers), 9.4 (strings), 9.7.1 (LIKE), 9.19
-- (arrays).
local builtins = require "rls.prover.builtins"
local sorts = require "rls.prover.sorts"

local functions = {}

--- An error that the server raises: whoever asked sees nothing.
functions.ERROR = setmetatable({}, { __name = "ERROR" })
--- A result that is not known.
functions.UNKNOWN = setmetatable({}, { __name = "UNKNOWN" })

local ERROR, UNKNOWN = functions.ERROR, functions.UNKNOWN

local function ascii(...)
  for i = 1, select("#", ...) do
    local s = select(i, ...)
    if type(s) == "string" and s:find "[\128-\255]" then return false end
  end
  return true
end

--- Wraps a function of texts that counts characters: not known beyond ASCII.
local function on_ascii(fn)
  return function(...)
    if not ascii(...) then return UNKNOWN end
    return fn(...)
  end
end

--- The pattern of LIKE as a list of "%", "_" and single characters {c}; nil for one that ends in its escape.
local function like_parts(pattern)
  local parts, i = {}, 1
  while i <= #pattern do
    local c = pattern:sub(i, i)
    if c == "\\" then
      i = i + 1
      if i > #pattern then return nil end
      parts[#parts + 1] = { pattern:sub(i, i) }
    else
      parts[#parts + 1] = (c == "%" or c == "_") and c or { c }
    end
    i = i + 1
  end
  return parts
end

local function like(text, pattern)
  local parts = like_parts(pattern)
  if not parts then return ERROR end
  -- reached[i]: the parts read so far can match the first i-1 characters
  local reached = { true }
  for _, part in ipairs(parts) do
    local new, any = {}, false
    for i = 1, #text + 1 do
      if part == "%" then
        any = any or reached[i]
        new[i] = any
      elseif reached[i] and i <= #text and (part == "_" or part[1] == text:sub(i, i)) then
        new[i + 1] = true
      end
    end
    reached = new
  end
  return reached[#text + 1] == true
end

local function trimmed(pattern)
  return function(text, chars)
    if chars ~= nil and chars ~= " " then return UNKNOWN end
    return text:match(pattern)
  end
end

local function left(text, n)
  return n >= 0 and text:sub(1, n) or text:sub(1, math.max(#text + n, 0))
end

local function right(text, n)
  if n >= 0 then return n == 0 and "" or text:sub(-n) end
  return text:sub(1 - n)
end

local function substring(text, from, count)
  if count and count < 0 then return ERROR end
  local stop = count and from + count - 1 or #text
  return stop < 1 and "" or text:sub(math.max(from, 1), stop)
end

local function strpos(text, part)
  return text:find(part, 1, true) or 0
end

--- The pieces of a text between separators.
local function split(text, separator)
  local out, at = {}, 1
  if separator == "" then return { text } end
  while true do
    local from, to = text:find(separator, at, true)
    if not from then break end
    out[#out + 1] = text:sub(at, from - 1)
    at = to + 1
  end
  out[#out + 1] = text:sub(at)
  return out
end

--- Each character that stands in `from` becomes the one at its place in `to`, or nothing where that is shorter.
local function translate(text, from, to)
  if not ascii(text, from, to) then return UNKNOWN end
  return (text:gsub(".", function(c)
    local at = from:find(c, 1, true)
    return at and to:sub(at, at) or c
  end))
end

local function split_part(text, separator, n)
  if n == 0 then return ERROR end
  local parts = split(text, separator)
  return parts[n > 0 and n or #parts + 1 + n] or ""
end

local function replace(text, from, to)
  if from == "" then return text end
  return table.concat(split(text, from), to)
end

local function string_to_array(text, separator)
  return { items = text == "" and {} or split(text, separator) }
end

local function arithmetic(fn)
  return function(a, b)
    local wide = fn(a + 0.0, b + 0.0)
    if math.abs(wide) > 2e9 then return UNKNOWN end -- the range depends on the integer's width
    return fn(a, b)
  end
end

--- name → list of {params = sorts, ret = sort, eval = function}; the first whose parameters fit is meant.
---@type table<string, {params: string[], ret: string, eval: function}[]>
local BUILTIN = {}

local function define(names, params, ret, eval)
  for name in names:gmatch "%S+" do
    BUILTIN[name] = BUILTIN[name] or {}
    table.insert(BUILTIN[name], { name = names:match "%S+", params = params, ret = ret, eval = eval })
  end
end

define("lower", { "text" }, "text", on_ascii(string.lower))
define("upper", { "text" }, "text", on_ascii(string.upper))
define("length char_length character_length", { "text" }, "int", on_ascii(function(s) return #s end))
define("btrim", { "text" }, "text", trimmed "^ *(.-) *$")
define("btrim", { "text", "text" }, "text", trimmed "^ *(.-) *$")
define("ltrim", { "text" }, "text", trimmed "^ *(.*)$")
define("rtrim", { "text" }, "text", trimmed "^(.-) *$")
define("left", { "text", "int" }, "text", on_ascii(left))
define("right", { "text", "int" }, "text", on_ascii(right))
define("substring substr", { "text", "int" }, "text", on_ascii(substring))
define("substring substr", { "text", "int", "int" }, "text", on_ascii(substring))
define("starts_with ^@", { "text", "text" }, "bool", function(s, prefix) return s:sub(1, #prefix) == prefix end)
define("strpos position", { "text", "text" }, "int", on_ascii(strpos))
define("||", { "text", "text" }, "text", function(a, b) return a .. b end)
define("replace", { "text", "text", "text" }, "text", replace)
define("translate", { "text", "text", "text" }, "text", translate)
define("split_part", { "text", "text", "int" }, "text", split_part)
define("string_to_array", { "text", "text" }, "array:text", string_to_array)
-- The text of a plain separator alone (rls.prover.compile). Of an empty text it makes one piece.
BUILTIN.regexp_split_to_array = { { name = "string_to_array", params = { "text", "text" }, ret = "array:text",
  eval = function(text, separator) return { items = split(text, separator) } end } }
define("~~ like", { "text", "text" }, "bool", on_ascii(like))
define("~~* ilike", { "text", "text" }, "bool", on_ascii(function(s, p) return like(s:lower(), p:lower()) end))
define("+", { "int", "int" }, "int", arithmetic(function(a, b) return a + b end))
define("-", { "int", "int" }, "int", arithmetic(function(a, b) return a - b end))
define("*", { "int", "int" }, "int", arithmetic(function(a, b) return a * b end))
define("abs", { "int" }, "int", function(a) return math.abs(a) end)
define("&", { "int", "int" }, "int", function(a, b) return a & b end)
-- Towards zero.
define("/", { "int", "int" }, "int", function(a, b)
  if b == 0 then return ERROR end
  local whole = math.abs(a) // math.abs(b)
  return (a < 0) ~= (b < 0) and -whole or whole
end)
define("% mod", { "int", "int" }, "int", function(a, b)
  if b == 0 then return ERROR end
  return math.fmod(a, b)
end)
define("<", { "int", "int" }, "bool", function(a, b) return a < b end)
define("<=", { "int", "int" }, "bool", function(a, b) return a <= b end)
define(">", { "int", "int" }, "bool", function(a, b) return a > b end)
define(">=", { "int", "int" }, "bool", function(a, b) return a >= b end)

-- Reading and writing values of the sorts: "text:SORT" and "read:SORT".
local function text_of(sort)
  return { name = "text:" .. sort, params = { sort }, ret = "text", eval = function(v) return sorts.text(sort, v) or UNKNOWN end }
end

local function read_of(sort)
  -- Of an array's input only the plain forms are read; what else the server may accept is not known.
  local array = sort:sub(1, 6) == "array:"
  return { name = "read:" .. sort, params = { "text" }, ret = sort, eval = function(v)
    if sorts.is_class(sort) then return v == "" and sorts.needs_text(sort) and ERROR or UNKNOWN end
    local value = sorts.parse(sort, v)
    if value == nil then return array and v:find "^%s*[{%[]" and UNKNOWN or ERROR end
    return value
  end }
end

--- The function for a call with arguments of these sorts, or nil. A parameter fits an argument of the same sort and a literal.
---@param name string
---@param given string[]  sorts
---@return {name: string, params: string[], ret: string, eval: function}?
function functions.find(name, given)
  for _, f in ipairs(BUILTIN[name] or {}) do
    local fits = #f.params == #given
    for i, sort in ipairs(f.params) do
      fits = fits and (given[i] == sort or given[i] == "null")
    end
    if fits then return f end
  end
  return nil
end

--- Is it one of these functions, whatever its arguments?
function functions.known(name)
  return BUILTIN[name] ~= nil
end

local casts = {}

--- The conversion between two sorts, or nil where it is not one of the known. Equal sorts need none.
---@param from string
---@param to string
---@return table?
function functions.cast(from, to)
  local key = from .. ">" .. to
  if casts[key] == nil then
    local simple = { int = true, uuid = true, bool = true }
    local found = false
    if from == "text" and (simple[to] or sorts.is_class(to) or to:match "^array:%l+$") then
      found = read_of(to)
    elseif to == "text" and (simple[from] or from:sub(1, 5) == "enum:") then
      found = text_of(from)
    end
    casts[key] = found
  end
  return casts[key] or nil
end

--- Functions of pg_catalog that run SQL given as text, or that change the session: what a policy means is open once one is called.
functions.DANGEROUS = {}
for name in ("set_config cursor_to_xml lo_import lo_export dblink pg_reload_conf"):gmatch "%S+" do functions.DANGEROUS[name] = true end
for name in pairs(builtins.RUNNING) do functions.DANGEROUS[name] = true end

functions.split = split

return functions
