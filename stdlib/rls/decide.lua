--- Decides every tenants' table for every command and role of the application with the prover: the access matrix.
--
-- The roles are the one that the application logs in as and each that it may become by SET ROLE. What the prover takes for granted is
-- looked up here: that the ids which stand for "no tenant" are no tenant's.
local errors = require "errors"
local json = require "json"
local model = require "rls.model"
local names = require "rls.names"
local prover = require "rls.prover"

local decide = {}

decide.COMMANDS = { "SELECT", "INSERT", "UPDATE", "DELETE" }

--- Ids that policies use for "no tenant".
local ABSENT = { "00000000-0000-0000-0000-000000000000", "0", "-1" }

---@class rls.Decision
---@field table rls.Table
---@field role rls.Role
---@field verdicts table<string, prover.Verdict>  by command

--- An axis of the configuration as the prover needs it. `value` is what the application sets: "{id}", a text with it, a JSON object
--- that has it as one of its values.
---@param tenant table  an entry of config.database.tenant
---@return prover.Axis
function decide.axis(tenant)
  local axis = { column = tenant.column, setting = tenant.setting, context = tenant.context }
  local value = tenant.value or "{id}"
  if value == "{id}" then return axis end
  local ok, document = pcall(json.decode, value)
  if ok and type(document) == "table" then
    for key, item in pairs(document) do
      if item == "{id}" then axis.json_key = key end
    end
  end
  if not axis.json_key then axis.template = value end
  return axis
end

--- The axes of the configuration: database.tenant is one, or a list of them.
---@param settings table  config.database
---@return prover.Axis[]
function decide.axes(settings)
  local out = {}
  local list = settings.tenant
  if list.column then list = { list } end
  for i, tenant in ipairs(list) do out[i] = decide.axis(tenant) end
  return out
end

--- The axes for one table: the column of the tenants' own table is called otherwise.
local function axes_for(owner, axes)
  local columns, has = owner and owner.by_column or {}, false
  for _, axis in ipairs(axes) do has = has or columns[axis.column] ~= nil end
  if has or not owner then return axes end
  local out = {}
  for i, axis in ipairs(axes) do
    out[i] = setmetatable({}, { __index = axis })
    for key, value in pairs(axis) do out[i][key] = value end
    out[i].column = i == 1 and owner.tenant or axis.column
  end
  return out
end

--- Which of the ids that may stand for none are really no tenant's: the table of the tenants says, else every tenants' table.
---@param conn table
---@param base rls.Table[]
---@param by_oid table<string, rls.Table>
---@return string[]
local function absent_ids(conn, base, by_oid)
  local parts = {}
  for _, t in pairs(by_oid) do
    if t.registry then parts[#parts + 1] = { t.sql, names.ident(t.registry) } end
  end
  for _, t in ipairs(base) do
    if t.tenant then parts[#parts + 1] = { t.sql, names.ident(t.tenant) } end
  end
  local used = {}
  for i, part in ipairs(parts) do
    parts[i] = ("exists (select from %s where %s::text = id)"):format(part[1], part[2])
  end
  if #parts == 0 then return {} end
  local sql = ("select id from unnest(array['%s']) id where %s"):format(table.concat(ABSENT, "', '"), table.concat(parts, " or "))
  local ok, rows = pcall(conn.query, conn, sql)
  if not ok then
    if errors.is(rows) and rows.sqlstate then return {} end
    error(rows, 0)
  end
  for _, row in ipairs(rows) do used[row.id] = true end
  local out = {}
  for _, id in ipairs(ABSENT) do if not used[id] then out[#out + 1] = id end end
  return out
end

--- Does an undecided verdict ask whether such an id is a tenant's?
local function asks_for_ids(verdicts)
  for _, v in pairs(verdicts) do
    if v.status == "unknown" and v.otherwise == "proven" and (v.assumes or {})[1] and v.assumes[1]:find "^no tenant has" then return true end
  end
  return false
end

local function decide_one(state, t, role)
  local path, owner = model.path(t, state.by_oid)
  local input = { relation = t.label, tables = state.model.tables, functions = state.model.functions, types = state.model.types,
    axes = axes_for(path and owner, state.axes), role = role, trust = state.trust, today = state.today, presets = state.model.presets,
    cache = state.caches[role.name] }
  local info = input.tables[t.label]
  local own = info.may
  info.may = role.via and (role.may[t.oid] or {}) or t.may
  local verdicts = prover.decide(input)
  if asks_for_ids(verdicts) then
    state.absent = state.absent or absent_ids(state.conn, state.base, state.by_oid)
    input.absent, input.cache = state.absent, nil
    verdicts = prover.decide(input)
  end
  info.may = own
  return verdicts
end

--- Decides the base tables.
---@param conn table  the admin's
---@param seen table  of rls.harness.look: settings, app, by_oid, trust
---@param base rls.Table[]
---@param today string  an ISO date
---@return rls.Decision[] decisions, rls.Model model
function decide.run(conn, seen, base, today)
  local read = model.read(conn, seen.app, base, seen.by_oid)
  local state = { conn = conn, model = read, by_oid = seen.by_oid, base = base, axes = decide.axes(seen.settings), trust = seen.trust,
    today = today, caches = {} }
  local out = {}
  for _, role in ipairs(read.roles) do
    state.caches[role.name] = {}
    for _, t in ipairs(base) do
      out[#out + 1] = { table = t, role = role, verdicts = decide_one(state, t, role) }
    end
  end
  return out, read
end

return decide
