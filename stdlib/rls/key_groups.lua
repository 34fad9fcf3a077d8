--- Tables whose tenant columns take the same keys, together: each group is probed with invented tenants of its own.
--
-- Most schemas are one group. Where a column of another type is among them (an enum beside UUIDs, a JSON document) no key fits all, and
-- what fits none is one table's error and not the end of the probe.
local errors = require "errors"
local keys = require "rls.keys"
local solve = require "rls.solve"

local key_groups = {}

---@class rls.KeyGroup
---@field tables rls.Table[]
---@field columns rls.Column[]  whose types and constraints the keys satisfy
---@field keys table?           as keys.make gives them
---@field raised table?         why there are none

local function column_of(t, name)
  local tests, definitions = solve.of_column(t, name)
  return setmetatable({ tests = tests, definitions = definitions }, { __index = t.by_column[name] })
end

--- Keys for columns; nil and what was raised where none satisfy all of them.
local function make(conn, columns)
  local ok, raised = pcall(keys.make, conn, columns)
  if ok then return raised end
  if not errors.is(raised, "canary_key") then error(raised, 0) end
  return nil, raised
end

--- The columns, those of one type and the same constraints together, those of most tables first.
local function kinds_of(columns)
  local by_kind, out = {}, {}
  for _, c in ipairs(columns) do
    local name = c.type .. "\0" .. table.concat(c.definitions, "\0")
    if not by_kind[name] then
      by_kind[name] = { name = name, columns = {} }
      out[#out + 1] = by_kind[name]
    end
    table.insert(by_kind[name].columns, c)
  end
  table.sort(out, function(x, y)
    if #x.columns ~= #y.columns then return #x.columns > #y.columns end
    return x.name < y.name
  end)
  return out
end

local function joined(a, b) return table.move(b, 1, #b, #a + 1, { table.unpack(a) }) end

--- Groups of columns that have keys in common, and one more for each kind that has none.
---@return rls.KeyGroup[] groups, table<rls.Column, rls.KeyGroup> of
local function group_columns(conn, columns)
  local groups, of = {}, {}
  for _, kind in ipairs(kinds_of(columns)) do
    local own, raised = make(conn, kind.columns)
    local home
    for _, group in ipairs(own and groups or {}) do
      local both = not home and group.keys and joined(group.columns, kind.columns)
      local found = both and make(conn, both)
      if found then
        home, group.columns, group.keys = group, both, found
      end
    end
    if not home then
      home = { tables = {}, columns = kind.columns, keys = own, raised = raised }
      groups[#groups + 1] = home
    end
    for _, c in ipairs(kind.columns) do of[c] = home end
  end
  return groups, of
end

--- The column that says whose a table's rows are: its own, or that of the table which its foreign keys lead to.
local function owner_of(t, by_oid, own)
  local seen = {}
  while t and not own[t.oid] and not seen[t] do
    seen[t] = true
    t = t.parent_key and by_oid[t.parent_key.ref]
  end
  return t and own[t.oid] or nil
end

--- The tables in groups, the largest first.
---@param conn table
---@param tables rls.Table[]  of one axis
---@param by_oid table<string, rls.Table>
---@return rls.KeyGroup[]
function key_groups.cut(conn, tables, by_oid)
  local columns, own = {}, {}
  for _, t in ipairs(tables) do
    if t.tenant then
      columns[#columns + 1] = column_of(t, t.tenant)
      own[t.oid] = columns[#columns]
    end
  end
  -- The invented tenants are rows of the tables of tenants, too.
  for _, t in pairs(by_oid) do
    if t.registry and t.by_column[t.registry] then columns[#columns + 1] = column_of(t, t.registry) end
  end
  local all = make(conn, columns)
  if all then return { { tables = tables, columns = columns, keys = all } } end
  local groups, of = group_columns(conn, columns)
  local ownerless, out = {}, {}
  for _, t in ipairs(tables) do
    local c = owner_of(t, by_oid, own)
    table.insert(c and of[c].tables or ownerless, t)
  end
  for _, group in ipairs(groups) do
    if #group.tables > 0 then out[#out + 1] = group end
  end
  -- Those that the configuration alone says are tenants'.
  table.move(ownerless, 1, #ownerless, #out[1].tables + 1, out[1].tables)
  return out
end

--- The views that read tables of a group; of the first group also those that read no table of any.
---@param list rls.Table[]
---@param groups rls.KeyGroup[]
---@param i integer
---@return rls.Table[]
function key_groups.views(list, groups, i)
  if #groups == 1 then return list end
  local of, out = {}, {}
  for j, group in ipairs(groups) do
    for _, t in ipairs(group.tables) do of[t.oid] = j end
  end
  for _, v in ipairs(list) do
    local mine, any = false, false
    for _, t in ipairs(v.reads or {}) do
      mine, any = mine or of[t.oid] == i, any or of[t.oid] ~= nil
    end
    if mine or (not any and i == 1) then out[#out + 1] = v end
  end
  return out
end

return key_groups
