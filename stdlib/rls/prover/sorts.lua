--- The types that the prover reasons about, as sorts, and their values.
--
-- A sort is a set of PostgreSQL types whose equality is identity of values: "text" (text, varchar, name; a deterministic collation),
-- "int" (int2, int4, int8), "uuid", "bool", "enum:NAME". "array:SORT" is an array; "null" is a literal without a type as yet. Every
-- other type is "other:NAME", from which nothing is concluded.
--
-- "class:NAME" is a type whose = is an equivalence, that of its default btree operator class, and whose input is a function of the text
-- alone: numeric 1.0 = 1.00, bpchar 'a' = 'a ', citext 'A' = 'a'. What is reasoned about are the classes of equal values. Reading a
-- text gives one, the same for the same text; a class has many texts, so that a value that is written as text again is not followed.
-- Types whose input depends on what a session may set (timestamptz on TimeZone, interval on IntervalStyle, money on lc_monetary,
-- regclass on search_path) are not among them: the same text would be another tenant. A date or timestamp in ISO order reads the same
-- under every DateStyle, and as such the application is taken to write it.
--
-- Values: text a string, int an integer, uuid its canonical text, bool a boolean, enum its label, an array {items = {…}} whose items
-- may be NULL. Input syntax: PostgreSQL manual, chapter 8 (8.1 integers, 8.6 boolean, 8.12 UUID, 8.15.2 arrays).
local sorts = {}

--- SQL's NULL where Lua's nil cannot stand.
sorts.NULL = require("json").null

local NAMES = {
  text = "text", varchar = "text", ["character varying"] = "text", name = "text",
  int2 = "int", int4 = "int", int8 = "int", smallint = "int", integer = "int", bigint = "int", int = "int",
  uuid = "uuid", bool = "bool", boolean = "bool",
}
local CLASSES = { ["double precision"] = "float8", real = "float4", character = "bpchar", ["bit varying"] = "varbit",
  ["timestamp without time zone"] = "timestamp" }
for name in ([[bytea numeric float4 float8 bpchar date timestamp inet cidr macaddr macaddr8 bit varbit oid pg_lsn int4range int8range
    numrange]]):gmatch "%S+" do
  CLASSES[name] = name
end
local IDENTITY = { text = true, int = true, uuid = true, bool = true }

--- Is equality of this sort identity of values, or of their classes? Of an extension's type the operator has to be seen (compile.lua).
---@param sort string
---@return boolean
function sorts.identity(sort)
  return IDENTITY[sort] or sort:sub(1, 5) == "enum:" or (sort:sub(1, 6) == "class:" and not sort:find(".", 1, true))
end

--- Of these an empty text is a value.
local MAY_BE_EMPTY = { bytea = true, bpchar = true, bit = true, varbit = true }

--- Is an empty text an error for a sort of classes? Of an extension's type it is not known to be.
---@param sort string
---@return boolean
function sorts.needs_text(sort)
  local name = sort:sub(7)
  return CLASSES[name] ~= nil and not MAY_BE_EMPTY[name]
end

--- Is it a sort of classes of equal values?
function sorts.is_class(sort)
  return sort:sub(1, 6) == "class:"
end

--- The sort of a type as format_type or pg_type.typname writes it: "character varying(20)", "_uuid", "uuid[]", "public.status".
---@param name string
---@param types table<string, {kind: string, base: string?}>?  what is known of types outside pg_catalog: kind "enum" or "domain" (of base)
---@return string
function sorts.of(name, types)
  local element = name:match "^(.*)%[%d*%]$" or name:match "^_(.+)$"
  if element then return "array:" .. sorts.of(element, types) end
  local bare = name:gsub("%s*%b()", "")
  local known = NAMES[bare] or NAMES[bare:match "^pg_catalog%.(.+)$" or ""]
  if known then return known end
  known = CLASSES[bare] or CLASSES[bare:match "^pg_catalog%.(.+)$" or ""]
  if known then return "class:" .. known end
  local own = types and types[name]
  if own and own.kind == "class" then return "class:" .. own.name end
  if own and own.kind == "enum" then return "enum:" .. name end
  if own and own.kind == "domain" and own.base then return sorts.of(own.base, types) end
  return "other:" .. bare
end

local TRUE, FALSE = { "true", "yes", "on", "1" }, { "false", "no", "off", "0" }

--- Is the text an unambiguous beginning of one of the words? (boolin: "o" is none.)
local function begins(text, words)
  for _, word in ipairs(words) do
    if word:sub(1, #text) == text and text ~= "" and text ~= "o" then return true end
  end
  return false
end

local function parse_bool(text)
  local word = text:match("^%s*(.-)%s*$"):lower()
  if begins(word, TRUE) then return true end
  if begins(word, FALSE) then return false end
  return nil
end

local function parse_int(text)
  local sign, digits = text:match "^%s*([+-]?)(%d+)%s*$"
  if not digits then return nil end
  if sign == "-" and digits:match "^0*9223372036854775808$" then return math.mininteger end
  local value = math.tointeger(tonumber(digits)) -- a float beyond 64 bits, which is no integer
  return value and (sign == "-" and -value or value)
end

local function parse_uuid(text)
  local inner = text:match "^{(.*)}$" or text
  local hex = inner:gsub("-", "")
  if #hex ~= 32 or hex:find "%X" then return nil end
  -- A hyphen may stand after each group of four digits, and nowhere else.
  local digits = 0
  for i = 1, #inner do
    if inner:sub(i, i) == "-" then
      if digits == 0 or digits % 4 ~= 0 or digits == 32 or inner:sub(i - 1, i - 1) == "-" then return nil end
    else
      digits = digits + 1
    end
  end
  hex = hex:lower()
  return ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21))
end

--- One item of an array literal, from position i: its text (nil for NULL), and where it ends.
local function array_item(text, i)
  if text:sub(i, i) == '"' then
    local out, at = {}, i + 1
    while true do
      local c = text:sub(at, at)
      if c == "" then return nil, nil end
      if c == '"' then return table.concat(out), at + 1 end
      if c == "\\" then at = at + 1 end
      out[#out + 1] = text:sub(at, at)
      at = at + 1
    end
  end
  local word, stop = text:match("^([^,{}\"\\]+)()", i)
  if not word then return nil, nil end
  word = word:match "^%s*(.-)%s*$"
  if word == "" then return nil, nil end
  return word, stop, word:lower() == "null"
end

--- A one-dimensional array literal, its items read as `sort`.
local function parse_array(text, sort)
  local inner = text:match "^%s*{(.*)}%s*$"
  if not inner then return nil end
  local items, i = {}, 1
  if inner:match "^%s*$" then return { items = items } end
  while true do
    i = inner:match("^%s*()", i)
    local word, stop, null = array_item(inner, i)
    if not stop then return nil end
    local value = null and sorts.NULL or sorts.parse(sort, word)
    if value == nil then return nil end
    items[#items + 1] = value
    i = inner:match("^%s*()", stop)
    if i > #inner then return { items = items } end
    if inner:sub(i, i) ~= "," then return nil end
    i = i + 1
  end
end

--- Reads a text as a value of the sort; nil where PostgreSQL raises an error, or where that cannot be told.
---@param sort string
---@param text string
---@return any
function sorts.parse(sort, text)
  if sort == "text" or sort:sub(1, 5) == "enum:" then return text end
  if sort == "int" then return parse_int(text) end
  if sort == "bool" then return parse_bool(text) end
  if sort == "uuid" then return parse_uuid(text) end
  local element = sort:match "^array:(.*)$"
  if element then return parse_array(text, element) end
  return nil
end

--- Does parse know the sort's input?
---@param sort string
---@return boolean
function sorts.known(sort)
  return sort ~= "null" and not sort:find "other:" and not sort:find "class:"
end

--- The value as PostgreSQL writes it as text; nil for a sort without known output.
---@param sort string
---@param value any
---@return string?
function sorts.text(sort, value)
  if sort == "text" or sort == "uuid" or sort:sub(1, 5) == "enum:" then return value end
  if sort == "int" then return ("%d"):format(value) end
  if sort == "bool" then return value and "true" or "false" end
  return nil
end

--- The value as a key that is the same for the same value only.
---@param sort string
---@param value any
---@return string
function sorts.key(sort, value)
  if value == sorts.NULL then return "null" end
  if type(value) == "table" then
    local out = {}
    for i, item in ipairs(value.items) do out[i] = sorts.key(sort:sub(7), item) end
    return "{" .. table.concat(out, "\1") .. "}"
  end
  return type(value) .. ":" .. tostring(value)
end

return sorts
