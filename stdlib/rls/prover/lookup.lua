--- Rows of other tables that a policy asks: may the application write those which a counterexample needs?
--
-- Two ways lead to them. A row that is nobody's in particular, or another tenant's, may be inserted or updated as it is needed. A row of
-- the tenant's own that refers to the other tenant's row is harmless where what it refers by is a key (the other tenant's row has it
-- already), and the tenant's to choose where it is not: the partner that an organisation names as its own.
local combine = require "rls.prover.combine"
local compile = require "rls.prover.compile"
local evaluate = require "rls.prover.evaluate"
local json = require "json"
local written = require "rls.prover.written"

local lookup = {}

local NULL = json.null

--- How the reason begins where a row of another tenant refers to one of the tenant's own by its key, which only the other may have done.
lookup.OWN_ROW = "a row of another tenant would be shown that refers to the tenant's own row of"

--- Is the table's own row-level security no obstacle to the role?
local function is_open(info, role)
  return not info.rls or combine.bypasses(info, role)
end

--- Does a row pass a table's policies for a phase of a command?
local function passes(p, m, info, item, command, phase)
  local cx = { input = p.input, depth = 0, current_user = p.input.role.name, assumes = {}, guarding = {} }
  local row = compile.row(item.label, item.label:match "[^.]*$", cx)
  return evaluate.node(compile.combine(info, command, phase, { rows = { row } }, cx), { [row] = item.row }, m) == true
end

--- The columns of a needed row without whose values nothing would be shown.
local function telling(item, info, m, check)
  local out = {}
  for name in pairs(info.columns) do
    local old = item.row[name]
    if old ~= nil and old ~= NULL then
      item.row[name] = NULL
      if not check(m) then out[#out + 1] = name end
      item.row[name] = old
    end
  end
  table.sort(out)
  return out
end

--- May an UPDATE give a row what it needs? One of the columns that matter has to be among those that the role may set.
local function settable(item, info, m, check)
  local columns = telling(item, info, m, check)
  for _, name in ipairs(columns) do
    if info.columns[name].may_update ~= false then return true end
  end
  return #columns == 0
end

--- May the application write the rows that the counterexample needs?
---@param p table   the problem
---@param m prover.Model
---@param rows {label: string, row: table}[]
---@param check fun(m: prover.Model): boolean  does the model show the leak?
---@return boolean writable, string? label  of a table it may not write
---@return prover.Written[]|{writer: prover.Writer, reason: string}|nil by  whose statements write them for it; of one that it may not
---  write: whose text was not decided
local function writable(p, m, rows, check)
  local by = {}
  for _, item in ipairs(rows) do
    local info = p.input.tables[item.label]
    local may, open = info.may or {}, is_open(info, p.input.role)
    local inserts = may.insert and (open or passes(p, m, info, item, "INSERT", "check"))
    if not inserts and not (may.update and (open or passes(p, m, info, item, "UPDATE", "check")) and settable(item, info, m, check)) then
      local found, undecided = written.find(p, m, item, telling(item, info, m, check))
      if not found then return false, item.label, undecided end
      by[#by + 1] = found
    end
  end
  return true, nil, by
end

--- Is a column all of some unique key?
local function is_key(info, name)
  for _, key in ipairs(info.keys or {}) do
    if #key == 1 and key[1] == name then return true end
  end
  return false
end

local function is_own(p, m, value)
  for _, axis in ipairs(p.axes) do
    if m.own[axis.index] ~= nil and value == m.own[axis.index] then return true end
  end
  return false
end

--- Does a foreign key over the tenant's column as well keep what a column refers to with the row's tenant?
local function is_kept(info, name)
  local tenants = {}
  for _, column in pairs(info.axes or {}) do tenants[column] = true end
  for _, fk in ipairs(info.foreign_keys or {}) do
    local has, by_tenant = false, false
    for _, column in ipairs(fk.columns) do has, by_tenant = has or column == name, by_tenant or tenants[column] == true end
    if has and by_tenant and #fk.columns > 1 then return true end
  end
  return false
end

--- The same of the row that a trigger fires for, which the caller writes: what matters about it is the caller's to choose unless it is
--- the row's own key, or its tenant.
local function given(p, m, rows, check)
  for _, item in ipairs(rows) do
    local info = p.input.tables[item.label]
    for _, name in ipairs(item.label == p.cx.fired.label and telling(item, info, m, check) or {}) do
      local open = (info.may or {}).insert or info.columns[name].may_update
      local chosen = open and not is_own(p, m, item.row[name]) and not is_key(info, name) and not is_kept(info, name)
      if chosen then return { row = item.row, column = name } end
    end
  end
  return nil
end

--- Does a needed row of the tenant's own have to say more than that it is the tenant's, as the one that makes it the platform's own does?
local function says_more(p, m, rows, check)
  for _, item in ipairs(rows) do
    for _, name in ipairs(telling(item, p.input.tables[item.label], m, check)) do
      if not is_own(p, m, item.row[name]) then return true end
    end
  end
  return false
end

--- May the application give a row of its own the values by which it refers to another tenant's row: by an INSERT of it, or by an UPDATE?
---@param p table
---@param m prover.Model
---@param rows {label: string, row: table}[]  of the tenant's own
---@param check fun(m: prover.Model): boolean  does the model show the leak?
---@return {row: table, column: string, inserted: boolean?}?  the row, and the column that is its to choose
local function chosen_of(p, m, rows, check)
  if p.cx.fired then return given(p, m, rows, check) end
  for _, item in ipairs(rows) do
    local info = p.input.tables[item.label]
    local may, open = info.may or {}, is_open(info, p.input.role)
    for _, name in ipairs((may.insert or may.update) and telling(item, info, m, check) or {}) do
      local free = not is_own(p, m, item.row[name]) and not is_key(info, name)
      if free and may.update and info.columns[name].may_update and (open or (passes(p, m, info, item, "UPDATE", "using")
          and passes(p, m, info, item, "UPDATE", "check"))) then
        return { row = item.row, column = name }
      elseif free and may.insert and not is_kept(info, name) and (open or passes(p, m, info, item, "INSERT", "check")) then
        return { row = item.row, column = name, inserted = true }
      end
    end
  end
  return nil
end

--- The same of others who write for it: a row of its own that refers to another tenant's.
local function chosen_by_others(p, m, rows, check)
  local undecided
  for _, item in ipairs(p.input.writers and not p.cx.fired and rows or {}) do
    local info, names, free = p.input.tables[item.label], telling(item, p.input.tables[item.label], m, check), false
    for _, name in ipairs(names) do
      free = free or not (is_own(p, m, item.row[name]) or is_key(info, name) or is_kept(info, name))
    end
    local found, open
    if free then found, open = written.find(p, m, item, names) end
    if found then return { found } end
    undecided = undecided or open
  end
  return nil, undecided
end

local WRITABLE = "policy_lookup_writable"

--- Rows of other tables that a counterexample needs: what it is called with them, and how the application comes by them. Nil and the
--- reason where it may not be able to.
---@param p table   the problem
---@param m prover.Model
---@param need table     of rls.prover.classify
---@param class string
---@param check fun(m: prover.Model): boolean
---@return {class: string, chosen: table?, written: prover.Written[]?}? rows
---@return string? reason
function lookup.decide(p, m, need, class, check)
  local rows = need.rows
  local more = class == "policy_leak" and need.own_rows and says_more(p, m, rows, check)
  if class ~= WRITABLE and not more then return { class = class } end
  local by, label, ok
  if need.own_rows then
    local chosen = chosen_of(p, m, rows, check)
    -- A row that it inserts itself is one of those which the reproduction inserts as the application.
    if chosen then return { class = WRITABLE, chosen = not chosen.inserted and chosen or nil } end
    local undecided
    label, by, undecided = rows[1].label, chosen_by_others(p, m, rows, check)
    ok, by = by ~= nil, by or undecided
  else
    ok, label, by = writable(p, m, rows, check)
  end
  if ok then return { class = WRITABLE, written = by } end
  if by then
    p.undecided_writer = by
    return nil, ("the rows of %s decide, and what %s writes there was not decided: %s"):format(label, by.writer.name, by.reason)
  elseif need.own_rows and not more then
    return nil, (lookup.OWN_ROW .. " %s; a foreign key over the tenant's column as well would keep them together"):format(label)
  end
  return nil, ("the rows of %s decide, which the application may not be able to write"):format(label)
end

return lookup
