--- Looks for values of several columns that satisfy a table's CHECK constraints, or lie in one of its partitions.
--
-- The constraints are not read: the server evaluates them, as it prints them, over combinations of candidates in one query.
local json = require "json"
local mentions = require "rls.mentions"
local names = require "rls.names"
local values = require "rls.values"

local solve = {}

--- Most combinations of candidates in one query.
local MOST = 60000

--- The condition of a constraint as pg_get_constraintdef prints it.
local function condition(definition) return definition:match "^CHECK (%b())" end

--- A domain's constraint speaks of VALUE; a cast to the domain tests it.
local function is_domain(definition) return definition:find "%f[%w_]VALUE%f[^%w_]" ~= nil end

--- The conditions of a table's constraints on one column alone: what a key of an invented tenant must satisfy.
---@param t rls.Table
---@param column string
---@return string[] conditions, string[] definitions  of all constraints that speak of it
function solve.of_column(t, column)
  local tests, definitions = {}, {}
  for _, check in ipairs(t.checks) do
    for _, name in ipairs(check.columns) do
      if name == column then
        definitions[#definitions + 1] = check.definition
        if #check.columns == 1 and not is_domain(check.definition) then tests[#tests + 1] = condition(check.definition) end
      end
    end
  end
  return tests, definitions
end

--- placed: what partition a row comes into may depend on a value that is made for it elsewhere.
local function is_free(t, column, fixed, placed)
  local c = t.by_column[column]
  return c and not fixed[column] and not c.generated and (c.identity ~= "a" or placed)
end

--- What is known of a column before the search: its value, or NULL where it gets none.
local function known(t, column, row)
  local c = t.by_column[column]
  if row[column] then return ("%s::%s"):format(row[column], c.type) end
  if c and not c.has_default and not c.generated and c.identity == "" then return "NULL::" .. c.type end
  return nil
end

--- Constraints that can be tested together: all that speak of one of the columns, where their other columns are known.
local function together(t, columns, row)
  local searched, conditions, others, definitions = {}, {}, {}, {}
  for _, column in ipairs(columns) do searched[column] = true end
  for _, check in ipairs(t.checks) do
    local speaks, testable = false, not is_domain(check.definition)
    for _, column in ipairs(check.columns) do
      speaks = speaks or searched[column]
      testable = testable and (searched[column] or known(t, column, row)) ~= nil
    end
    if speaks then definitions[#definitions + 1] = check.definition end
    if speaks and testable then
      conditions[#conditions + 1] = ("(%s) is not false"):format(condition(check.definition) or "true")
      for _, column in ipairs(check.columns) do
        if not searched[column] then others[column] = known(t, column, row) end
      end
    end
  end
  return conditions, others, definitions
end

local function options(conn, t, column, row, definitions, most)
  local c = t.by_column[column]
  local list = {}
  if row[column] then list[1] = row[column] end
  for _, text in ipairs(values.candidates(c, definitions)) do list[#list + 1] = names.literal(text) end
  list[#list + 1] = values.by_type(c, values.random() % 1000)
  list = values.valid(conn, c.type, list)
  list = table.move(list, 1, math.min(most, #list), 1, {})
  if not c.notnull then list[#list + 1] = "NULL::" .. c.type end
  return list
end

--- Searches values for columns such that their constraints hold. Changes row; returns whether it found any.
---@param conn table
---@param t rls.Table
---@param columns string[]  what may change; those that are fixed stay
---@param row table<string, string>    values, as SQL
---@param fixed table<string, boolean>
---@param more string?  one more condition over the table's columns
---@return boolean
function solve.search(conn, t, columns, row, fixed, more)
  local free, searched = {}, {}
  for _, column in ipairs(columns) do
    if is_free(t, column, fixed, more ~= nil) and not searched[column] then
      searched[column] = true
      free[#free + 1] = column
    end
  end
  local conditions, others, definitions = together(t, free, row)
  for _, column in ipairs(columns) do
    if not searched[column] and t.by_column[column] then others[column] = known(t, column, row) end
  end
  if more then
    conditions[#conditions + 1] = more
    definitions[#definitions + 1] = more
  end
  if #free == 0 or #conditions == 0 and #definitions == 0 then return false end
  local most = math.max(2, math.floor(MOST ^ (1 / #free)))
  local from, out = {}, {}
  for i, column in ipairs(free) do
    local rows = {}
    for j, literal in ipairs(options(conn, t, column, row, definitions, math.min(most, 200))) do
      rows[j] = "(" .. literal .. ")"
    end
    if #rows == 0 then return false end
    from[#from + 1] = ("(values %s) as gate_%d(%s)"):format(table.concat(rows, ", "), i, names.ident(column))
    out[#out + 1] = ("%s::text as v%d"):format(names.ident(column), i)
  end
  local singles = {}
  for column, literal in pairs(others) do singles[#singles + 1] = ("(%s) as %s"):format(literal, names.ident(column)) end
  if #singles > 0 then from[#from + 1] = ("(select %s) as gate_others"):format(table.concat(singles, ", ")) end
  local ok, _, rows = conn:try(("select %s from %s%s limit 1"):format(table.concat(out, ", "), table.concat(from, " cross join "),
    #conditions > 0 and " where " .. table.concat(conditions, " and ") or ""))
  if not ok or not rows[1] then return false end
  for i, column in ipairs(free) do
    local value = rows[1]["v" .. i]
    row[column] = value and ("%s::%s"):format(names.literal(value), t.by_column[column].type) or "NULL"
  end
  return true
end

--- The condition that a row satisfies which lies in a partition: in this one, or in one of those beneath.
local function bound_of(conn, t)
  local parts = {}
  for _, p in ipairs(conn:query([[
      select pg_get_partition_constraintdef(case when c.relkind = 'p' then p.relid else c.oid::regclass end) as bound
        from pg_class c left join lateral pg_partition_tree(c.oid) p on c.relkind = 'p' and p.isleaf where c.oid = $1::oid limit 50]],
    t.oid)) do
    if p.bound then parts[#parts + 1] = ("(%s)"):format(p.bound) end
  end
  return #parts > 0 and table.concat(parts, " or ") or nil
end

--- The conditions of a partition and of those above it, the nearest first.
local function bounds_above(conn, t)
  local out = {}
  for i, row in ipairs(conn:query([[
      select pg_get_partition_constraintdef(a.relid) as bound
        from pg_partition_ancestors($1::oid::regclass) with ordinality a(relid, i) order by i]], t.oid)) do
    out[i] = row.bound
  end
  return out
end

--- Keys of tenants whose rows a partition by the tenant column takes.
---@param conn table
---@param t rls.Table
---@param list string[]  keys to choose from
---@return string[]
function solve.keys_of_partition(conn, t, list)
  local literals, best = {}, {}
  local type_name = t.by_column[t.tenant].type
  for i, key in ipairs(list) do literals[i] = ("(%s::%s)"):format(names.literal(key), type_name) end
  local bounds = { bound_of(conn, t) or "false", table.unpack(bounds_above(conn, t)) }
  -- What a list names comes last: those tenants may be there.
  local named = {}
  for i, text in ipairs(values.candidates(t.by_column[t.tenant], bounds)) do named[i] = names.literal(text) end
  for _, typed in ipairs(values.valid(conn, type_name, named)) do literals[#literals + 1] = "(" .. typed .. ")" end
  -- A hash of other columns is no matter of the key: what is above asks for the tenant alone.
  for _, bound in ipairs(bounds) do
    local ok, _, rows = conn:try(("select %s::text as key from (values %s) v(%s) where %s limit 3"):format(names.ident(t.tenant),
      table.concat(literals, ", "), names.ident(t.tenant), bound))
    local out = {}
    for i, row in ipairs(ok and rows or {}) do out[i] = row.key end
    if #out > #best then best = out end
    if #best >= 2 then break end
  end
  return best
end

--- A JSON document that says the key wherever an expression looks: (meta -> 'a') ->> 'b' is met by {"a": {"b": key}}.
local function document(expression, key)
  local path, out = {}, key
  for name in expression:gmatch "%->>?%s*'([^']*)'" do path[#path + 1] = name end
  for i = #path, 1, -1 do out = { [path[i]] = out } end
  return type(out) == "table" and json.encode(out) or nil
end

--- Values of the columns that a generated column is made of. Whether it comes out as the key is seen in the row that is made.
---@param conn table
---@param t rls.Table
---@param generated string  the column
---@param key string
---@return table<string, string>  SQL by column
function solve.sources(conn, t, generated, key)
  local expression, out = conn:value([[select pg_get_expr(d.adbin, d.adrelid)
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid::text = $1 and a.attname = $2]], t.oid, generated), {}
  for _, c in ipairs(t.columns) do
    if c.name ~= generated and mentions.name(expression:lower(), c.name) then
      local is_json = c.base == "json" or c.base == "jsonb"
      out[c.name] = names.literal(is_json and document(expression, key) or key)
    end
  end
  return out
end

--- Searches values that lie in a partition: in this one, or in one of those beneath.
---@param conn table
---@param t rls.Table
---@param row table<string, string>
---@param fixed table<string, boolean>
---@return boolean
function solve.partition(conn, t, row, fixed)
  local bound, columns = bound_of(conn, t), {}
  if not bound then return false end
  for _, c in ipairs(t.columns) do
    local plain = c.name:find "^[%l_][%l%d_]*$"
    local mentioned = plain and bound:find("%f[%w_]" .. c.name .. "%f[^%w_]") or bound:find(names.ident(c.name), 1, true)
    if mentioned then columns[#columns + 1] = c.name end
  end
  return solve.search(conn, t, columns, row, fixed, "(" .. bound .. ")")
end

return solve
