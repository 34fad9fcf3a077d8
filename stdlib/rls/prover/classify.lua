--- What a counterexample shows: taken down to what it needs, and named.
--
-- Each part of a session and of the rows that is not needed is taken away (a setting, a row of another table, a column's value),
-- what is odd is made usual (the tenant setting becomes the tenant's own value, a NULL tenant another tenant), as long as the
-- expression stays true. What remains is the reason.
local documents = require "rls.prover.documents"
local functions = require "rls.prover.functions"
local json = require "json"
local sorts = require "rls.prover.sorts"

local classify = {}

local NULL = sorts.NULL

--- The most telling first.
classify.ORDER = { "policy_always_true", "policy_write_unchecked", "policy_widens", "policy_captured_column", "policy_prefix_match",
  "policy_loose_match", "policy_precedence", "policy_leak",
  "policy_default_tenant", "policy_unset_tenant", "policy_empty_tenant", "policy_not_distinct", "policy_null_tenant",
  "policy_list_injection", "policy_escape_setting", "policy_user_test", "policy_lookup_writable" }

local PATTERNS = { ["~~"] = true, ["~~*"] = true, starts_with = true, left = true, right = true, substring = true, strpos = true }

--- Functions that make one text or number of several.
local LOOSE = { lower = true, upper = true, btrim = true, ltrim = true, rtrim = true, replace = true, translate = true, split_part = true,
  ["~~*"] = true, ["%"] = true, length = true }

-- What of a node is no node.
local PLAIN = { row = true, f = true, info = true, columns = true }

--- Walks over a node and everything in it.
---@param node table
---@param visit fun(node: table)
function classify.walk(node, visit, seen)
  seen = seen or {}
  if type(node) ~= "table" or seen[node] then return end
  seen[node] = true
  if node.k then visit(node) end
  for key, value in pairs(node) do
    if not PLAIN[key] and type(value) == "table" then classify.walk(value, visit, seen) end
  end
end

--- What in the expression makes some reasons likely.
---@return {pattern: boolean, loose: boolean?, user: boolean?, mixed: boolean?,
---  distinct: boolean, captured: boolean, lists: table<string, boolean>, constants: table<string, any[]>,
---  settings: table<string, boolean>, functions: table<string, boolean>, lookups: boolean}
function classify.features(node)
  local found = { pattern = false, distinct = false, captured = false, lists = {}, constants = {}, settings = {},
    functions = {}, lookups = false }
  local function lists(inner)
    if inner.k == "setting" then found.lists[inner.name] = true end
  end
  classify.walk(node, function(n)
    if n.k == "fn" and PATTERNS[n.f.name] then found.pattern = true end
    if n.k == "fn" and LOOSE[n.f.name] then found.loose = true end
    if n.k == "user" or n.k == "has_role" then found.user = true end
    if n.k == "or" then
      for _, arg in ipairs(n.args) do found.mixed = found.mixed or arg.k == "and" end
    end
    if n.k == "fn" and not n.f.name:find ":" then found.functions[n.f.name] = true end
    if n.k == "setting" then found.settings[n.name] = true end
    if n.sub then found.lookups = true end
    if n.k == "distinct" then found.distinct = true end
    if n.k == "eq" and n.a.k == "col" and n.b.k == "col" and n.a.row == n.b.row and n.a.name == n.b.name then found.captured = true end
    if n.k == "any" then classify.walk(n.arr, lists) end
    if n.array then classify.walk(n.array, lists) end
    if n.k == "const" and n.v ~= NULL and type(n.v) ~= "table" then
      found.constants[n.t] = found.constants[n.t] or {}
      table.insert(found.constants[n.t], n.v)
    end
  end)
  return found
end

--- Changes one thing of the model; keeps the change where the model still shows the leak.
local function try(m, check, change, restore)
  change()
  if check(m) then return true end
  restore()
  return false
end

--- Sets a field on trial.
local function try_field(m, check, t, key, value)
  local old = t[key]
  return try(m, check, function() t[key] = value end, function() t[key] = old end)
end

local FRESH = { uuid = "e0000000-0000-4000-8000-00000000000e", int = 777777, text = "othertenant" }
--- A value for the tenant's own id, where none is given.
local FRESH_OWN = { uuid = "a0000000-0000-4000-8000-00000000000a", int = 555555, text = "owntenant" }

--- The text of an axis's setting for a tenant.
local function setting_text(axis, value)
  local text = sorts.text(axis.sort, value)
  if not text then return nil end
  if axis.json_key then
    local document = axis.template and json.decode(axis.template) or {}
    documents.set(document, axis.json_key, text)
    return json.encode(document)
  end
  if axis.template then return (axis.template:gsub("{id}", function() return text end)) end
  return text
end
classify.setting_text = setting_text

--- A session in which nothing speaks of the tenant setting has it at the tenant's own value.
function classify.usual_session(m, mentioned, p)
  for _, axis in ipairs(p.axes) do
    if not mentioned["set:" .. axis.setting] and m.settings[axis.setting] == nil then
      local own = m.own[axis.index]
      if own == nil then own = FRESH_OWN[axis.sort] end
      m.own[axis.index] = own
      m.settings[axis.setting] = own ~= nil and setting_text(axis, own) or nil
    end
  end
end

--- The document in the setting with the tenant's own id: other members of it may be what a policy asks for. Nil for no document.
local function wider_document(axis, old, own)
  if not axis.json_key then return nil end
  local ok, document = pcall(json.decode, old or "{}")
  if not ok or type(document) ~= "table" then return nil end
  documents.set(document, axis.json_key, sorts.text(axis.sort, own))
  return json.encode(document)
end

--- Tries a session of one tenant: the setting at its own value, or a document with more than that in it.
---@return string? state, string? setting  the setting's name where the rest of the document is needed
local function as_tenant(m, check, axis, own)
  local name = axis.setting
  local old, old_own = m.settings[name], m.own[axis.index]
  local function with(value)
    return try(m, check, function() m.settings[name], m.own[axis.index] = value, own end,
      function() m.settings[name], m.own[axis.index] = old, old_own end)
  end
  local text = setting_text(axis, own)
  if not text then return nil end
  if with(text) then return "own" end
  local wider = wider_document(axis, old, own)
  if wider and with(wider) then return "own", name end
  return nil
end

--- The id that the text of an axis's setting names, or nil.
local function id_in(axis, text)
  if axis.json_key then
    local ok, document = pcall(json.decode, text)
    text = ok and documents.get(document, axis.json_key) or nil
  end
  return type(text) == "string" and sorts.parse(axis.sort, text) or nil
end

--- The state of an axis's setting, made as usual as it can be.
local function usual_setting(m, check, axis)
  local name, old = axis.setting, m.settings[axis.setting]
  local owns = { FRESH_OWN[axis.sort], m.own[axis.index] }
  -- another spelling, or a session of another tenant
  if old and old ~= "" then owns[3] = id_in(axis, old) end
  for i = 1, 3 do
    if owns[i] ~= nil then
      local state, more = as_tenant(m, check, axis, owns[i])
      -- whose id is no usual one
      if state then return state, more, i > 1 end
    end
  end
  if old == nil then return "unset" end
  if try_field(m, check, m.settings, name, nil) then return "unset" end
  if old == "" or try_field(m, check, m.settings, name, "") then return "empty" end
  return "odd"
end

--- Rows of other tables that are needed, as {label, row}.
local function needed_rows(m, check, owner_rows)
  local needed = {}
  for label, list in pairs(m.rows) do
    for i = #list, 1, -1 do
      local row = list[i]
      if row ~= m.row and not owner_rows[row] then
        table.remove(list, i)
        if not check(m) then
          table.insert(list, i, row)
          needed[#needed + 1] = { label = label, row = row }
        end
      end
    end
  end
  table.sort(needed, function(a, b) return a.label < b.label end)
  return needed
end

--- Is it a row of the tenant's own? The column that says so is called otherwise in the tenants' own table.
local function is_own_row(item, m, p)
  local columns = (p.input.tables[item.label] or {}).axes or {}
  for _, axis in ipairs(p.axes) do
    local own = m.own[axis.index]
    if own ~= nil and item.row[columns[axis.index] or axis.column] == own then return true end
  end
  return false
end

--- Does the value of a column matter? Where it does not it becomes NULL, or stays where it cannot be.
local function needs_column(m, check, name, column)
  if not column.notnull then return not try_field(m, check, m.row, name, NULL) end
  local old = m.row[name]
  local other = FRESH[column.t]
  if column.t == "bool" then other = not old end
  local free = other == nil or try_field(m, check, m.row, name, other)
  m.row[name] = old
  return not free
end

--- Would it be otherwise for another user: one whom nothing names, or one that the expression names?
local function needs_user(m, check, p)
  if not p.features.user then return false end
  m.renamed = p.renamed
  local needed = not check(m)
  for _, name in ipairs(p.features.constants.text or {}) do
    m.renamed = {}
    for own in pairs(p.renamed) do m.renamed[own] = name end
    needed = needed or not check(m)
  end
  m.renamed = {}
  return needed
end

--- What the application sets beside the tenant belongs to a usual session: of those settings, which are needed otherwise? One that has to
--- be absent goes into need.absent, one that has to have another value stays in need.settings.
local function usual_context(m, check, p, need)
  for _, axis in ipairs(p.axes) do
    for name, template in pairs(axis.context or {}) do
      name = name:lower()
      local own = m.own[axis.index]
      local text = own ~= nil and sorts.text(axis.sort, own) or "x"
      local usual = not p.by_setting[name] and try_field(m, check, m.settings, name, (template:gsub("{id}", function() return text end)))
      need.context[name] = need.context[name] or usual
    end
  end
  local settings = {}
  for _, name in ipairs(need.settings) do
    if not need.context[name] then settings[#settings + 1] = name end
  end
  need.settings = settings
  for _, axis in ipairs(p.axes) do
    for name in pairs(axis.context or {}) do
      name = name:lower()
      if not p.by_setting[name] and not need.context[name] and m.settings[name] == nil then need.absent[name] = true end
    end
  end
end

--- Takes the model down to what it needs, in place, and says what that is.
---@param m prover.Model
---@param check fun(m: prover.Model): boolean
---@param p table  the problem
function classify.reduce(m, check, p)
  local need = { settings = {}, columns = {}, tenants = {}, states = {}, context = {}, absent = {} }
  local names = {}
  for name in pairs(m.settings) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if not p.by_setting[name] and not try_field(m, check, m.settings, name, nil) then need.settings[#need.settings + 1] = name end
  end
  for _, axis in ipairs(p.axes) do
    local state, more, special = usual_setting(m, check, axis)
    need.states[axis.index] = state
    need.special = need.special or special
    need.settings[#need.settings + 1] = more
  end
  usual_context(m, check, p, need)
  for _, axis in ipairs(p.axes) do
    local row = p.owner_row(m)
    local value = row and row[axis.column]
    if value == NULL and FRESH[axis.sort] then
      local one = try_field(m, check, row, axis.column, FRESH[axis.sort])
      need.tenants[axis.index] = one and "any" or "null"
    elseif value ~= nil and value ~= NULL then
      local old = row[axis.column]
      need.tenants[axis.index] = FRESH[axis.sort] and try_field(m, check, row, axis.column, FRESH[axis.sort]) and "any" or "this"
      row[axis.column] = old
    end
  end
  local owner = {}
  local row = p.owner_row(m, owner)
  if row then owner[row] = true end
  need.rows = needed_rows(m, check, owner)
  need.own_rows = #need.rows > 0
  for _, item in ipairs(need.rows) do need.own_rows = need.own_rows and is_own_row(item, m, p) end
  for name, column in pairs(p.main.columns) do
    local fixed = p.axis_column[name] or p.key_column[name] or m.row[name] == nil or m.row[name] == NULL
    if not fixed and needs_column(m, check, name, column) then need.columns[#need.columns + 1] = name end
  end
  table.sort(need.columns)
  need.user = needs_user(m, check, p)
  return need
end

--- Of which axes is the row, if it is of any tenant at all?
local function nobody(need, p)
  for _, axis in ipairs(p.axes) do
    if need.tenants[axis.index] == "any" or need.tenants[axis.index] == "this" then return false end
  end
  return true
end

local function any_state(need, state)
  for _, s in pairs(need.states) do if s == state then return true end end
  return false
end

local function any_tenant(need, kind)
  for _, s in pairs(need.tenants) do if s == kind then return true end end
  return false
end

--- Reasons that lie in the state of the tenant setting.
local function by_state(need, features)
  local this = any_tenant(need, "this")
  if features.pattern and (any_state(need, "empty") or any_state(need, "odd")) then return "policy_prefix_match" end
  if any_state(need, "unset") then return this and "policy_default_tenant" or "policy_unset_tenant" end
  if any_state(need, "empty") then return this and "policy_default_tenant" or "policy_empty_tenant" end
  if any_state(need, "odd") then return "policy_leak" end
  return nil
end

--- The name of what the reduced model shows.
---@param need table
---@param features table
---@param p table  the problem: phase, widens()
---@return string
function classify.name(need, features, p)
  -- A column that is compared with itself is a mistake, whatever else the row that shows it needs.
  if #need.rows > 0 and features.captured then return "policy_captured_column" end
  if #need.settings > 0 then
    for _, name in ipairs(need.settings) do if features.lists[name] then return "policy_list_injection" end end
    return "policy_escape_setting"
  end
  if next(need.absent) then return "policy_unset_tenant" end
  if #need.rows > 0 then
    if need.own_rows and #need.columns == 0 and not any_tenant(need, "this") then return "policy_leak" end
    return "policy_lookup_writable"
  end
  if need.user then return "policy_user_test" end
  if nobody(need, p) then
    return features.distinct and any_state(need, "unset") and "policy_not_distinct" or "policy_null_tenant"
  end
  local state = by_state(need, features)
  if state then return state end
  local narrow = any_tenant(need, "this") or need.special
  if features.pattern and narrow then return "policy_prefix_match" end
  if features.loose and narrow then return "policy_loose_match" end
  if p.phase == "check" then return "policy_write_unchecked" end
  if p.widens() then return "policy_widens" end
  if features.mixed and #need.columns > 0 then return "policy_precedence" end
  if features.captured then return "policy_captured_column" end
  if #need.columns == 0 and not any_tenant(need, "this") then return "policy_always_true" end
  return "policy_leak"
end

--- The column by which a row of another tenant belongs to the tenant too, as a member's row of two tenants does; nil for none.
---@return string?
function classify.names_itself(p, m, need, class)
  if class ~= "policy_leak" and class ~= "policy_write_unchecked" then return nil end
  if p.phase == "check" or #need.columns == 0 then return nil end
  for _, name in ipairs(need.columns) do
    local is_own = false
    for _, axis in ipairs(p.axes) do is_own = is_own or (m.own[axis.index] ~= nil and m.row[name] == m.own[axis.index]) end
    if not is_own then return nil end
  end
  return table.concat(need.columns, ", ")
end

local function literal(v)
  if v == NULL or v == nil then return "NULL" end
  if v == functions.UNKNOWN then return "?" end
  if type(v) == "table" then
    local out = {}
    for i, item in ipairs(v.items) do out[i] = literal(item) end
    return "ARRAY[" .. table.concat(out, ", ") .. "]"
  end
  if type(v) == "string" then return "'" .. v:gsub("'", "''") .. "'" end
  return tostring(v)
end
classify.literal = literal

--- The reduced model in words, and the statements that set the session up.
---@return string text, string[] statements
function classify.describe(m, need, p)
  local parts, statements = {}, {}
  for _, axis in ipairs(p.axes) do
    local state = need.states[axis.index]
    local value = m.settings[axis.setting]
    if state == "unset" then
      parts[#parts + 1] = axis.setting .. " was never set"
      statements[#statements + 1] = "-- in a new connection, before " .. axis.setting .. " is set"
    elseif state == "empty" then
      parts[#parts + 1] = axis.setting .. " = ''"
    elseif state == "odd" then
      parts[#parts + 1] = axis.setting .. " = " .. literal(value)
    end
    if state ~= "unset" then
      statements[#statements + 1] = ("SELECT set_config(%s, %s, false);"):format(literal(axis.setting), literal(value))
    end
  end
  local absent, usual = {}, {}
  for name in pairs(need.absent) do absent[#absent + 1] = name end
  table.sort(absent)
  for _, name in ipairs(absent) do
    parts[#parts + 1] = name .. " was never set"
    table.insert(statements, 1, "-- in a new connection, before " .. name .. " is set")
  end
  for name in pairs(need.context) do if m.settings[name] and need.context[name] then usual[#usual + 1] = name end end
  table.sort(usual)
  for _, name in ipairs(usual) do
    statements[#statements + 1] = ("SELECT set_config(%s, %s, false);"):format(literal(name), literal(m.settings[name]))
  end
  for _, name in ipairs(need.settings) do
    parts[#parts + 1] = name .. " = " .. literal(m.settings[name])
    statements[#statements + 1] = ("SELECT set_config(%s, %s, false);"):format(literal(name), literal(m.settings[name]))
  end
  if need.user then parts[#parts + 1] = "the user is " .. tostring(p.input.role.login or p.input.role.name) end
  for _, item in ipairs(need.rows) do parts[#parts + 1] = "a row of " .. item.label end
  for _, name in ipairs(need.columns) do parts[#parts + 1] = ("the row's %s = %s"):format(name, literal(m.row[name])) end
  if nobody(need, p) then
    parts[#parts + 1] = "the row has no tenant"
  elseif any_tenant(need, "this") then
    local row = p.owner_row(m)
    for _, axis in ipairs(p.axes) do
      if need.tenants[axis.index] == "this" then
        parts[#parts + 1] = ("the row's %s = %s"):format(axis.column, literal(row[axis.column]))
      end
    end
  end
  return #parts > 0 and table.concat(parts, ", ") or "any row of another tenant", statements
end

return classify
