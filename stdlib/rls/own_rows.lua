--- Rows that a tenant's own session is shown: values for the columns that policies compare with more than the tenant.
--
-- "profile_id = the session's user" hides a canary whose profile is any. The policies are not read: the server evaluates them, as it prints
-- them, over combinations of what they and the session speak of (rls.solve), on a connection of its own in which the session's settings are
-- set; in the probe's own they may not be, before the unset setting was asked for.
local mentions = require "rls.mentions"
local names = require "rls.names"
local session = require "rls.session"
local solve = require "rls.solve"

local own_rows = {}

local Own = {}
Own.__index = Own

---@param open fun(): table  a connection of the admin's
---@param axis rls.Axis
---@param options {role: string, superuser: boolean}
function own_rows.new(open, axis, options)
  return setmetatable({ open = open, axis = axis, options = options }, Own)
end

--- What the policies ask of a row of the application's own, of the commands that it may use; nil where they ask nothing.
local function asked(t, commands)
  local all = {}
  for _, command in ipairs(commands) do
    local some, each = {}, {}
    for _, p in ipairs(t.may[command:lower()] and t.policies or {}) do
      local text = command == "INSERT" and (p.check or p.using) or p.using
      local counts = p.applies and text and (p.command == "ALL" or p.command == command)
      if counts then table.insert(p.permissive and some or each, "(" .. text .. ")") end
    end
    if #some > 0 then each[#each + 1] = "(" .. table.concat(some, " or ") .. ")" end
    table.move(each, 1, #each, #all + 1, all)
  end
  return #all > 0 and table.concat(all, " and ") or nil
end

--- The columns that a condition speaks of.
local function columns_in(t, condition)
  local out, free, text = {}, false, condition:lower()
  for _, c in ipairs(t.columns) do
    if mentions.name(text, c.name) then
      out[#out + 1] = c.name
      free = free or c.name ~= t.tenant
    end
  end
  return free and out or nil
end

--- Searches in the session of a tenant.
function Own:search(t, who, columns, row, fixed, condition)
  -- One more connection may be one too many.
  local opened, conn = self.conn ~= nil, self.conn
  if not opened then opened, conn = pcall(self.open) end
  if not opened then return false end
  self.conn = conn
  local found
  self.conn:transaction(function()
    self.conn:script "set local statement_timeout = '10s'; set local lock_timeout = '1s'; set local jit = off"
    local mine = session.new(self.conn, self.axis, self.options)
    mine:set(mine:of(who.key))
    found = solve.search(self.conn, t, columns, row, fixed, condition)
  end, { rollback = true })
  return found
end

--- Gives columns of a row that is to be made the values with which its tenant is shown it, where such are found.
---@param t rls.Table
---@param who rls.Who
---@param row table<string, string>  values, as SQL; changed
---@param fixed table<string, boolean>
function Own:complete(t, who, row, fixed)
  if not t.rls then return end
  for _, commands in ipairs { { "SELECT", "INSERT", "UPDATE", "DELETE" }, { "SELECT" } } do
    local condition = asked(t, commands)
    local columns = condition and columns_in(t, condition)
    if not columns then return end
    local spoken = { names.literal(who.key) .. "::text" }
    for _, p in ipairs(session.new(nil, self.axis, self.options):of(who.key)) do spoken[#spoken + 1] = names.literal(p[2]) .. "::text" end
    -- What is spoken of in a condition is tried as a value.
    local both = ("(%s) and row(%s) is not null"):format(condition, table.concat(spoken, ", "))
    if self:search(t, who, columns, row, fixed, both) then return end
  end
end

function Own:close()
  if self.conn then self.conn:close() end
  self.conn = nil
end

return own_rows
