--- Values for canary rows: by type, by what constraints speak of, and by a search on the server.
local hash = require "hash"
local json = require "json"
local names = require "rls.names"
local regex = require "rls.regex"

local values = {}

--- A random UUID, version 4 (RFC 9562 section 5.4).
---@return string
function values.uuid()
  local b = { hash.random(16):byte(1, 16) }
  b[7] = b[7] & 0x0f | 0x40
  b[9] = b[9] & 0x3f | 0x80
  local pair = ("%02x"):rep(2)
  return (pair:rep(2) .. ("-" .. pair):rep(3) .. "-" .. pair:rep(3)):format(table.unpack(b))
end

--- A random integer from 0 to 2^24 - 1.
local function random()
  local b1, b2, b3 = hash.random(3):byte(1, 3)
  return b1 * 65536 + b2 * 256 + b3
end
values.random = random

--- A literal for a value that no constraint asks for in particular. n makes it differ from row to row.
local BY_BASE = {
  uuid = function() return names.literal(values.uuid()) end,
  bool = function() return "false" end,
  json = function() return "'{}'" end,
  jsonb = function() return "'{}'" end,
  bytea = function(n) return ("'\\x%08x'"):format(n) end,
  xml = function() return "'<canary/>'" end,
  date = function(n) return ("(date '2001-01-01' + %d)"):format(n) end,
  timestamp = function(n) return ("(timestamp '2001-01-01' + interval '%d hours')"):format(n) end,
  timestamptz = function(n) return ("(timestamptz '2001-01-01 00:00:00Z' + interval '%d hours')"):format(n) end,
  time = function(n) return ("(time '00:00' + interval '%d minutes')"):format(n) end,
  timetz = function() return "timetz '00:00Z'" end,
  interval = function(n) return ("interval '%d minutes'"):format(n) end,
  inet = function(n) return ("inet '192.0.2.%d'"):format(n % 250 + 1) end,
  cidr = function(n) return ("cidr '192.0.2.%d/32'"):format(n % 250 + 1) end,
  macaddr = function(n) return ("macaddr '02:00:00:00:%02x:%02x'"):format(n // 256 % 256, n % 256) end,
  point = function(n) return ("point '(%d,0)'"):format(n) end,
  tsvector = function() return "to_tsvector('canary')" end,
  tsquery = function() return "'canary'" end,
  jsonpath = function() return "'$'" end,
  bit = function(_, column) return ("B'0'::%s"):format(column.type) end, -- which pads with zeros, as an assignment does not
  varbit = function() return "B'0'" end,
  macaddr8 = function(n) return ("macaddr8 '02:00:00:00:00:00:%02x:%02x'"):format(n // 256 % 256, n % 256) end,
  pg_lsn = function(n) return ("pg_lsn '0/%X'"):format(n) end,
  box = function(n) return ("box '(%d,1),(0,0)'"):format(n) end,
  circle = function(n) return ("circle '<(0,0),%d>'"):format(n) end,
  line = function(n) return ("line '{1,-1,%d}'"):format(n) end,
  lseg = function(n) return ("lseg '[(0,0),(%d,1)]'"):format(n) end,
  path = function(n) return ("path '[(0,0),(%d,1)]'"):format(n) end,
  polygon = function(n) return ("polygon '((0,0),(%d,1),(1,1))'"):format(n) end,
  ltree = function(n) return ("'canary.n%d'"):format(n) end,
  hstore = function(n) return ("'canary=>%d'"):format(n) end,
  cube = function(n) return ("'(%d)'"):format(n) end,
  vector = function(n, column)
    return ("'[%d%s]'"):format(n, (",1"):rep((tonumber(column.type:match "%((%d+)%)") or 1) - 1))
  end,
  daterange = function(n) return ("daterange(date '2001-01-01' + %d, date '2001-01-01' + %d)"):format(n, n + 1) end,
  tsrange = function(n) return ("tsrange(timestamp '2001-01-01' + interval '%d days', timestamp '2001-01-01' + interval '%d days')")
    :format(n, n + 1) end,
  tstzrange = function(n) return ("tstzrange(timestamptz '2001-01-01Z' + interval '%d days', timestamptz '2001-01-01Z' + interval "
    .. "'%d days')"):format(n, n + 1) end,
  int4range = function(n) return ("int4range(%d, %d)"):format(n, n + 1) end,
  int8range = function(n) return ("int8range(%d, %d)"):format(n, n + 1) end,
  numrange = function(n) return ("numrange(%d, %d)"):format(n, n + 1) end,
}

--- A number: far from those that are there already where it must be unique, small elsewhere.
local function number(column, n, unique)
  local precision, scale = column.type:match "^numeric%((%d+),(%d+)%)$"
  local most = precision and math.tointeger(10 ^ math.max(0, math.min(15, tonumber(precision) - tonumber(scale)))) or nil
  if not unique then return tostring(most and n % most or n) end
  if most then return tostring(math.max(0, most - 1 - random() % math.max(1, most // 4))) end
  if column.base == "int2" then return tostring(20000 + random() % 12000) end
  return tostring(1100000000 + random() % 16000000 * 50)
end

--- Text; a column too short for a word gets the part that differs from row to row.
local function text_for(column, n)
  local text = ("gate-canary-%d-%s"):format(n, hash.hex(hash.random(4)))
  if column.length and #text > column.length then text = text:sub(-column.length) end
  return text
end

--- A value by the type of its column, as SQL; nil where none is known.
---@param column rls.Column
---@param n integer
---@param unique boolean?  must it differ from every other row's?
---@return string?
function values.by_type(column, n, unique)
  if column.labels and #column.labels > 0 then return names.literal(column.labels[1]) .. "::" .. column.type end
  local make = BY_BASE[column.base]
  if make then return make(unique and random() % 100000 or n, column) end
  -- A row of nothing is no NULL.
  if column.category == "C" then return ("jsonb_populate_record(NULL::%s, '{}')"):format(column.type) end
  if column.category == "N" then return number(column, n, unique) end
  if column.category == "A" then return "'{}'" end
  if column.category == "R" then return "'empty'" end
  if column.category == "S" then return names.literal(text_for(column, n)) end
  return nil
end

--- A value of a row as to_jsonb gives it, as a literal.
function values.literal(value)
  if value == nil or value == json.null then return "NULL" end
  if type(value) == "table" then return names.literal(json.encode(value)) end
  return names.literal(tostring(value))
end

local WORDS = {
  N = { "1", "0", "2", "3", "5", "10", "18", "20", "50", "100", "1000", "2024", "-1", "0.5", "0.05" },
  S = { "canary", "CANARY", "a", "A", "", "canary@example.com", "https://example.com/", "2024-06-15", "12345", "EUR", "DE", "+491234567",
    "en", "1", "192.0.2.1", "#ffffff", "Europe/Berlin" },
  D = { "2024-06-15", "2001-01-01", "2101-01-01", "1970-01-01" },
  T = { "1 hour", "1 day", "0" },
  B = { "true", "false" },
  A = { "{x}", "{1}", "{}", "{x,y}", "{1,2}", "{00000000-0000-4000-8000-000000000000}" },
  R = { "[1,10)", "[2001-01-01,2001-02-01)", "[2024-06-15,2024-07-15)", "empty", "(,)" },
  I = { "192.0.2.1", "192.0.2.0/24", "2001:db8::1" },
}

--- What the definitions of constraints speak of: string literals, and numbers with their neighbours.
local function spoken_of(definitions)
  local texts, numbers = {}, {}
  for _, definition in ipairs(definitions) do
    local rest = definition:gsub("'([^']*)'", function(text)
      texts[#texts + 1] = text
      return " "
    end)
    for digits in rest:gmatch "%-?%d+%.?%d*" do
      local value = tonumber(digits)
      if value then
        numbers[#numbers + 1] = digits
        if math.type(value) == "integer" then
          numbers[#numbers + 1] = tostring(value + 1)
          numbers[#numbers + 1] = tostring(value - 1)
        end
      end
    end
  end
  return texts, numbers
end

local function document(texts)
  local object = {}
  for _, text in ipairs(texts) do object[text] = "canary" end
  return json.encode(object)
end

--- Texts that may be values of a column, the likeliest first. Which of them the type takes, the server says.
---@param column rls.Column
---@param definitions string[]  of constraints that speak of it
---@return string[]
function values.candidates(column, definitions)
  local texts, numbers = spoken_of(definitions)
  local out, seen = {}, {}
  local function add(value)
    if value and not seen[value] then
      seen[value] = true
      out[#out + 1] = value
    end
  end
  for _, label in ipairs(column.labels or {}) do add(label) end
  for _, text in ipairs(texts) do
    add(text)
    for seed = 1, 3 do add(regex.sample(text, seed)) end
    add((text:gsub("%%", ""):gsub("_", "a")))
  end
  for i, n in ipairs(column.category == "N" and numbers or {}) do
    add(n)
    -- What lies between two bounds.
    if i > 1 then add(("%.4g"):format((tonumber(n) + tonumber(numbers[i - 1])) / 2)) end
  end
  if column.base == "json" or column.base == "jsonb" then
    add(document(texts))
    add "{}"
    add "[]"
    add '["canary"]'
  end
  for _, word in ipairs(WORDS[column.category] or {}) do add(word) end
  for _, n in ipairs(column.category ~= "N" and numbers or {}) do
    local length = tonumber(n)
    if column.category == "S" and length and length > 0 and length <= 64 then
      add(("x"):rep(length // 1 | 0))
      -- What begins as a pattern asks, and is as long as another test does.
      for _, text in ipairs(texts) do add((text:gsub("%%", ""):gsub("_", "a") .. ("0"):rep(length // 1 | 0)):sub(1, length // 1 | 0)) end
    end
  end
  return out
end

--- Which of some expressions are values of a type, as the server says.
---@param conn table
---@param type_name string
---@param list string[]  SQL
---@return string[] expressions  with the type
function values.valid(conn, type_name, list)
  local statements, typed, out = {}, {}, {}
  for i, expression in ipairs(list) do
    typed[i] = ("%s::%s"):format(expression, type_name)
    statements[i] = { "select 1 where " .. typed[i] .. " is not null" }
  end
  for i, o in ipairs(#statements > 0 and conn:pipeline(statements) or {}) do
    if o.ok then out[#out + 1] = typed[i] end
  end
  return out
end

return values
