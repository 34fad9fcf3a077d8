--- What the tenant's own session sees of its own rows, before a migration and after it: a repair may close what is another tenant's, and
-- neither hide own rows nor show those that the policies hid.
--
-- A row of an invented tenant is made and given, one after another, the values that the policies speak of; each time the application asks
-- for it with the settings that the configuration describes.
local attempts = require "rls.attempts"
local axes = require "rls.axes"
local calls = require "rls.calls"
local canary = require "rls.canary"
local key_groups = require "rls.key_groups"
local mentions = require "rls.mentions"
local model = require "rls.model"
local names = require "rls.names"
local probe_state = require "rls.probe_state"
local session = require "rls.session"

local own_view = {}

--- Most values that one row is given.
local MOST = 24

--- Assignments of a column each: what the policies' texts have as constants, and NULL.
local function variations(t)
  local text, constants, out = {}, { "NULL", "true", "false" }, { {} }
  for _, p in ipairs(t.policies) do text[#text + 1] = (p.using or "") .. " " .. (p.check or "") end
  text = table.concat(text, " ")
  for constant in text:gmatch "'([^']*)'" do constants[#constants + 1] = names.literal(constant) end
  for number in text:gmatch "%f[%w_](%d+)%f[^%w_.]" do constants[#constants + 1] = number end
  local fixed = { [t.tenant or ""] = true }
  for _, key in ipairs(t.uniques) do
    for _, name in ipairs(key.columns) do fixed[name] = true end
  end
  for _, key in ipairs(t.foreign_keys) do
    for _, name in ipairs(key.columns) do fixed[name] = true end
  end
  for _, c in ipairs(t.columns) do
    local free = not fixed[c.name] and not c.generated and c.identity ~= "a" and mentions.name(text:lower(), c.name)
    for _, constant in ipairs(free and constants or {}) do
      local fits = constant ~= "true" and constant ~= "false" or c.category == "B"
      if fits and #out < MOST then out[#out + 1] = { names.ident(c.name), constant } end
    end
  end
  return out
end

--- How many of its own rows the application sees; "refused" where the statement ends in an error.
local function seen_by(state, t, set)
  local said
  state.conn:transaction(function()
    if set[1] then
      local ok, raised = state.conn:try(("update %s set %s = %s where %s"):format(t.sql, set[1], set[2], state:owned_by(t, state.a)))
      if not ok and attempts.is_fatal(raised) then error(raised, 0) end
      if not ok then return end -- the row may not have that value
    end
    state.session:as_application()
    state.session:set(state.session:of(state.a.key))
    local ok, raised, rows = state.conn:try(("select count(*)::integer as n from %s where %s"):format(t.sql, state:shown_by(t, state.a)))
    if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    said = ok and rows[1].n or "refused"
  end, { rollback = true })
  return said
end

--- One table's rows, made; nil where the admin could not make or hide them.
local function state_of(conn, seen, t)
  local _, owner = model.path(t, seen.by_oid)
  if not owner or not owner.tenant then return nil end
  local groups = key_groups.cut(conn, owner ~= t and { owner, t } or { t }, seen.by_oid)
  local keys, axis = groups[1] and groups[1].keys, owner.axis or axes.list(seen.settings)[1]
  if not keys then return nil end
  local who = session.new(conn, axis, { role = seen.app.role, superuser = seen.admin.super })
  local state = probe_state.new { conn = conn, axis = axis, session = who, maker = canary.maker(conn, seen.by_oid, seen.settings),
    a = { key = keys.a }, b = { key = keys.b }, results = {}, nobodys = {}, settings = seen.settings }
  calls.plant(state, { t })
  return (state.maker.rows[state.a.key] or {})[t.oid] and state or nil
end

--- Makes rows of the tables. What is asked afterwards is asked in the same transaction.
---@param conn table           the admin's, who sees every row; in a transaction that is rolled back
---@param seen table           of rls.harness.look
---@param tables rls.Table[]
---@return fun(): table<string, any[]>  what the own session sees now, by label
function own_view.watch(conn, seen, tables)
  local states = {}
  for _, t in ipairs(tables) do
    local ok, state = pcall(state_of, conn, seen, t)
    if not ok and attempts.is_fatal(state) then error(state, 0) end
    if ok and state and t.may.select then states[#states + 1] = { state = state, table = t, sets = variations(t) } end
  end
  return function()
    local out = {}
    for _, one in ipairs(states) do
      local list = {}
      for i, set in ipairs(one.sets) do list[i] = { set = set, n = seen_by(one.state, one.table, set) } end
      out[one.table.label] = list
    end
    return out
  end
end

--- What is not as it was, in words; nil where nothing is. What was refused before may be shown.
---@param before any[]?
---@param after any[]?
---@return string?
function own_view.difference(before, after)
  for i, one in ipairs(before or {}) do
    local now = after[i].n
    local with = one.set[1] and (" with %s = %s"):format(one.set[1], one.set[2]) or ""
    if now == "refused" and one.n ~= "refused" then
      return ("the tenant's own statements end in an error afterwards%s"):format(with)
    elseif one.n ~= "refused" and now ~= one.n and now ~= nil then
      return ("the tenant's own session sees %s of its own row(s)%s afterwards, and saw %s before"):format(now, with, tostring(one.n))
    end
  end
  return nil
end

return own_view
