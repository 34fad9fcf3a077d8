--- The tenant axes of the configuration: what says whose a row is, and what a session of the application has set.
--
-- database.tenant is one axis or a list of them (an organisation's rows and a partner's). A table belongs to the axes whose column it
-- has, and to the axis whose table of tenants it is. A session belongs to one axis: its setting and its context are set, and nothing of
-- the others.
local errors = require "errors"
local names = require "rls.names"

local axes = {}

---@class rls.Axis
---@field index integer
---@field column string    the column that says whose a row is
---@field setting string   the session setting that states the tenant
---@field value string     what it is set to; {id} stands for the tenant's key
---@field context table<string, string>  further settings of the application's sessions, {id} as in value
---@field table string?    label of the table of the tenants themselves
---@field key string       its column with the key

--- The axes of config.database, in their order.
---@param settings table  config.database
---@return rls.Axis[]
function axes.list(settings)
  if rawget(settings, "axes") then return settings.axes end
  local given = settings.tenant or {}
  local out = {}
  for i, a in ipairs((given.column or given.setting) and { given } or given) do
    out[i] = { index = i, column = a.column, setting = a.setting, value = a.value or "{id}", context = a.context or {},
      table = a.table and names.label(a.table), key = a.key or "id" }
    if not a.column or not a.setting then out = {} break end
  end
  if #out == 0 then
    errors.raise { code = "config_missing_key", message = "gate 1 needs database.tenant.column and database.tenant.setting",
      fix = "add database = { tenant = { column = …, setting = … } } to gate-engine.conf.lua" }
  end
  return out
end

local function fill(template, key)
  return (template:gsub("{id}", function() return key end))
end

--- What a session of a tenant has set: the tenant's setting first, then the context by name.
---@param axis rls.Axis
---@param key string
---@return string[][] pairs  {{setting, value}}
function axes.session(axis, key)
  local out, further = { { axis.setting, fill(axis.value, key) } }, {}
  for setting in pairs(axis.context) do further[#further + 1] = setting end
  table.sort(further)
  for _, setting in ipairs(further) do out[#out + 1] = { setting, fill(axis.context[setting], key) } end
  return out
end

--- Settings that state a tenant, of whatever axis: the application sets none of them to another tenant.
---@param list rls.Axis[]
---@return table<string, boolean>
function axes.settings(list)
  local out = {}
  for _, axis in ipairs(list) do out[axis.setting:lower()] = true end
  return out
end

--- The axes a table belongs to, by its columns: {[index of the axis] = column}.
---@param t rls.Table
---@param list rls.Axis[]
---@return table<integer, string>
function axes.of_table(t, list)
  local out = {}
  for i, axis in ipairs(list) do
    if t.by_column[axis.column] then
      out[i] = axis.column
    elseif t.label == axis.table and t.by_column[axis.key] then
      out[i] = axis.key
    end
  end
  return out
end

--- The axis a table without any axis' column belongs to: its parent's.
local function inherited(t, by_oid, seen)
  if next(t.axes) then return t.axes end
  local parent = t.parent_key and by_oid[t.parent_key.ref]
  if not parent or seen[t] then return { "" } end
  seen[t] = true
  return inherited(parent, by_oid, seen)
end

--- The tables as a session of one axis has them: tenant is that axis' column, and what belongs to other axes only is nobody's.
---@param axis rls.Axis
---@param tables rls.Table[]
---@param by_oid table<string, rls.Table>
---@return rls.Table[] of the axis, table<string, rls.Table> by_oid
function axes.view(axis, tables, by_oid)
  local mine, seen = {}, {}
  for oid, t in pairs(by_oid) do
    local own = { axes = t.axes, axis = axis, scope = t.scope, tenant = t.axes[axis.index] or false,
      registry = t.registries and t.registries[axis.index] or false }
    if t.scope == "child" or t.scope == "tenant" then
      own.scope = inherited(t, by_oid, {})[axis.index] and t.scope or "shared"
    end
    mine[oid] = setmetatable(own, { __index = t })
  end
  for _, t in ipairs(tables) do
    local own = mine[t.oid]
    if own.scope == "tenant" or own.scope == "child" then seen[#seen + 1] = own end
  end
  return seen, mine
end

return axes
