--- Keys of invented tenants, alike enough that a comparison which is not one of whole values takes one for another.
local errors = require "errors"
local hash = require "hash"
local names = require "rls.names"
local solve = require "rls.solve"
local values = require "rls.values"

local keys = {}

--- The narrowest of the tenant columns decides: what fits it fits the others.
local NARROW = { int2 = 1, int4 = 2, int8 = 3, uuid = 4 }

local function width(column)
  if column.labels and #column.labels > 0 then return 0 end
  return NARROW[column.base] or (column.category == "N" and 3) or 9
end

--- UUIDs that differ in the last group alone: a comparison of the first part takes one for the other.
local function uuids()
  local a = values.uuid()
  return { a, a:sub(1, 24) .. values.uuid():sub(25), values.uuid() }
end

--- Numbers with the same remainder by 2 … 16 and by the powers of two to 1024 (720720 is the least common multiple of 1 … 16), and one
--- whose digits are the beginning of another's.
local function integers(column)
  local low, range, step = 1900000000, 16000000, 46126080
  if column.base == "int2" then low, range, step = 30000, 2000, 5040 end
  local a = low + values.random() % range
  return { tostring(a), tostring(a - step), tostring(a + 7) }, { tostring(a // 10) }
end

--- Words: b begins with a; the others are a with other capitals, and the beginning of a.
local function words(length, hyphen)
  local a = ("gate-canary-"):gsub("-", hyphen) .. hash.hex(hash.random(6))
  if length and length < #a + 1 then a = ("k" .. hash.hex(hash.random(24))):sub(1, math.max(1, length - 1)) end
  local c = ("gate-other-"):gsub("-", hyphen) .. hash.hex(hash.random(6))
  if length and length < #c then c = ("q" .. hash.hex(hash.random(24))):sub(1, length) end
  return { a, a .. "7", c }, { (a:gsub("^%l", string.upper)), a:sub(1, -2) }
end

--- Labels of an enum: one that begins with another first.
local function labels(column)
  local list = { table.unpack(column.labels) }
  local first, second = 1, 2
  for i, one in ipairs(list) do
    for j, other in ipairs(list) do
      if i ~= j and other:sub(1, #one) == one then first, second = i, j end
    end
  end
  local a, b = list[first], list[second]
  local out = { a, b }
  for _, label in ipairs(list) do
    if label ~= a and label ~= b then out[3] = label end
  end
  return out
end

--- Does the server take the texts as values of all columns, and as different ones, and do the columns' constraints?
local function taken(conn, columns, list)
  local seen, statements = {}, {}
  for _, column in ipairs(columns) do
    local tests = table.concat(column.tests or {}, " and ")
    if not seen[column.type .. tests] then
      seen[column.type .. tests] = true
      local literals = {}
      for i, key in ipairs(list) do literals[i] = ("(%s::%s)"):format(names.literal(key), column.type) end
      local name = names.ident(column.name)
      statements[#statements + 1] = { ("select count(distinct %s) as n from (values %s) v(%s)%s"):format(name,
        table.concat(literals, ", "), name, tests ~= "" and " where " .. tests or "") }
    end
  end
  for _, o in ipairs(conn:pipeline(statements)) do
    if not o.ok or o.rows[1].n ~= #list then return false end
  end
  return true
end

--- Keys that a domain's or table's CHECK wants in some form: of what the constraints speak.
local function search(conn, columns)
  local definitions, best = {}, columns[1]
  for _, column in ipairs(columns) do
    for _, definition in ipairs(column.definitions or {}) do definitions[#definitions + 1] = definition end
    if width(column) < width(best) then best = column end
  end
  local good = {}
  for _, candidate in ipairs(values.candidates(best, definitions)) do
    good[#good + 1] = candidate
    if not taken(conn, columns, good) then good[#good] = nil end
    if #good == 3 then break end
  end
  return #good >= 2 and good or nil
end

--- Types whose values are read as they were written.
local AS_WRITTEN = { text = true, varchar = true, bpchar = true, name = true, citext = true, uuid = true, int2 = true, int4 = true,
  int8 = true }

--- The texts as the server writes the values that it reads from them, where all columns are of one type: a row's tenant is compared with
--- its key.
local function written(conn, columns, list)
  local column = columns[1]
  for _, other in ipairs(columns) do
    if other.type ~= column.type then return list end
  end
  if AS_WRITTEN[column.base] or column.labels then return list end
  local literals, out = {}, {}
  for i, key in ipairs(list) do literals[i] = ("to_jsonb(%s::%s) #>> '{}'"):format(names.literal(key), column.type) end
  for i, row in ipairs(conn:query(("select unnest(array[%s]) as key"):format(table.concat(literals, ", ")))) do out[i] = row.key end
  return out
end

--- Keys of invented tenants, of the tenant columns' types.
---@param conn table
---@param columns rls.Column[]
---@return {a: string, b: string, c: string?, alike: string[]}  c: a tenant without rows; alike: more tenants like a
function keys.make(conn, columns)
  local best, length
  for _, column in ipairs(columns) do
    if not best or width(column) < width(best) then best = column end
    if column.length and (not length or column.length < length) then length = column.length end
  end
  local list, alike
  if width(best) == 0 then
    list = labels(best)
  elseif best.base == "uuid" then
    list = uuids()
  elseif width(best) < 9 then
    list, alike = integers(best)
  else
    list, alike = words(length, "-")
    -- A label of an ltree has no hyphen.
    if not taken(conn, columns, list) then list, alike = words(length, "_") end
  end
  if #list < 2 or not taken(conn, columns, list) then list, alike = search(conn, columns), nil end
  if not list then
    errors.raise { code = "canary_key", message = ("no keys of two invented tenants were found for columns of type %s"):format(best.type),
      detail = "its values cannot be compared with =, or a domain, an enum or a CHECK takes none of those that were tried",
      fix = "let the column take two more values than there are tenants, or be of a type that has = (uuid, text, bigint); where its rows "
        .. "are everybody's, name the table in database.shared" }
  end
  list, alike = written(conn, columns, list), alike and #alike > 0 and written(conn, columns, alike) or {}
  local out = { a = list[1], b = list[2], c = list[3], alike = {} }
  for _, key in ipairs(alike) do
    if taken(conn, columns, { out.a, out.b, key }) then out.alike[#out.alike + 1] = key end
  end
  return out
end

--- Keys of invented tenants whose rows one partition takes, which is a partition by the tenant column.
---@param conn table
---@param columns rls.Column[]  as for make
---@param t rls.Table
---@return {a: string, b: string, c: string?, alike: string[]}?  nil: there are none
function keys.of_partition(conn, columns, t)
  local pool = {}
  for _ = 1, 100 do
    local made = keys.make(conn, columns)
    pool[#pool + 1], pool[#pool + 2], pool[#pool + 3] = made.a, made.b, made.c
  end
  local found = solve.keys_of_partition(conn, t, pool)
  return #found >= 2 and { a = found[1], b = found[2], c = found[3], alike = {} } or nil
end

return keys
