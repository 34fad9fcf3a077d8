--- What is decided: the expression, the row and whose it is, the axes, and the threat model that bounds the session.
local compile = require "rls.prover.compile"
local documents = require "rls.prover.documents"
local errors = require "errors"
local json = require "json"
local sorts = require "rls.prover.sorts"

local problem = {}

local NULL = sorts.NULL

--- Is it something that can be decided? Raises where it is not.
---@param input prover.Input
---@return prover.Table info  of the relation
function problem.check(input)
  local info = type(input) == "table" and input.tables and input.tables[input.relation]
  if not info or not info.columns or type(input.axes) ~= "table" or #input.axes == 0 or type(input.role) ~= "table" then
    errors.raise { code = "bad_argument", fix = "describe the table with its columns",
      message = "prover.decide: expected {relation=, tables=, axes=, role=} with the relation among the tables" }
  end
  if info.rls and type(info.policies) ~= "table" then
    errors.raise { code = "bad_argument", message = ("prover.decide: expected the policies of %s, got %s"):format(input.relation,
      type(info.policies)), fix = "give an empty list where there are none" }
  end
  for i, axis in ipairs(input.axes) do
    if type(axis.column) ~= "string" or type(axis.setting) ~= "string" then
      errors.raise { code = "bad_argument", message = ("prover.decide: axes[%d]: expected {column=, setting=}"):format(i) }
    end
  end
  return info
end

--- The rows from the relation to the one with the axes' columns.
local function path_of(info, cx)
  local path = {}
  for i, hop in ipairs(info.path or {}) do
    path[i] = { columns = hop.columns, ref = hop.ref, label = hop.table, row = compile.row(hop.table, nil, cx) }
    if not path[i].row.columns then return nil end
  end
  return path
end

--- The most characters that a type's values have; nil for no bound.
local function length_of(column)
  local kind = column and (column.base or column.type)
  if kind == "name" then return 63 end -- bytes
  if kind == "uuid" then return 36 end
  return column and tonumber(column.type:match "^character varying%((%d+)%)$" or nil)
end

local function axes_of(input, columns, info)
  local axes, by_setting, own_text, axis_column = {}, {}, {}, {}
  for i, given in ipairs(input.axes) do
    local axis = { index = i, setting = given.setting:lower() }
    for key, value in pairs(given) do axis[key] = axis[key] or value end
    local column = columns[given.column]
    axis.sort = column and column.t or "text"
    axis.length = column and length_of((info or {})[given.column])
    axes[i], by_setting[axis.setting], axis_column[given.column] = axis, axis, column ~= nil
    if axis.sort == "text" then own_text["own:" .. i] = axis end
  end
  return axes, by_setting, own_text, axis_column
end

local function key_columns(info)
  local set = {}
  for _, hop in ipairs(info.path or {}) do for _, name in ipairs(hop.columns) do set[name] = true end end
  return set
end

--- Follows the path in a model: the row with the axes' columns, or nil for nobody's.
local function owner_in(p, m, seen)
  local row = m.row
  for _, hop in ipairs(p.path) do
    local found
    for _, candidate in ipairs(m.rows[hop.label] or {}) do
      local same = true
      for i, name in ipairs(hop.columns) do
        local v = row[name]
        same = same and v ~= nil and v ~= NULL and v == candidate[hop.ref[i]]
      end
      if same then found = candidate break end
    end
    if not found then return nil end
    if seen then seen[found] = true end
    row = found
  end
  return row
end

--- Does a text name this tenant, however it is written?
local function denotes(axis, text, tenant)
  local plain = (sorts.text(axis.sort, tenant) or ""):lower()
  local function same(piece)
    return sorts.parse(axis.sort, piece) == tenant or piece:lower() == plain
  end
  if same(text) or same(text:match "^%s*(.-)%s*$") then return true end
  if axis.sort == "uuid" and text:lower():find(plain, 1, true) then return true end
  for piece in text:gmatch "[^,;:|/%s{}()%[%]\"'%%]+" do
    if same(piece) then return true end
  end
  return false
end

--- Is the model within the threat model: another's row, and a session that does not say it is that other?
function problem.is_foreign(p, m)
  local row = owner_in(p, m)
  for _, axis in ipairs(p.axes) do
    local tenant = row and row[axis.column]
    if tenant ~= nil and tenant ~= NULL then
      local own, text = m.own[axis.index], m.settings[axis.setting]
      if own == tenant or tenant == "" or own == "" then return false end
      for _, id in ipairs(p.absent) do if sorts.parse(axis.sort, id) == tenant then return false end end
      if text and axis.json_key then
        local ok, document = pcall(json.decode, text)
        text = ok and documents.get(document, axis.json_key) or nil
        if type(text) ~= "string" then text = nil end
      end
      local is_own = own ~= nil and text == sorts.text(axis.sort, own)
      if text and not is_own and denotes(axis, text, tenant) then return false end
    end
  end
  return true
end

--- A problem for one phase: the expression and all that bounds it. `made`: the row, the expression and the context that are there already.
function problem.new(input, info, command, phase, restricted, hidden, made)
  local role = input.role
  local cx = made and made.cx
    or { input = input, depth = 0, current_user = role.name, assumes = {}, guarding = { [input.relation] = true } }
  local main = made and made.main or compile.row(input.relation, input.relation:match "[^.]*$", cx)
  main.alias = not made and info.name or main.alias
  local path = path_of(info, cx)
  local owner_columns = path and (path[#path] and path[#path].row or main).columns
  local p = { input = input, cx = cx, main = main, path = path, phase = phase, command = command, is_new = phase == "check",
    restricted = restricted, hidden = hidden, presets = input.presets or {}, absent = input.absent or {}, parts = {},
    key_column = key_columns(info), renamed = {} }
  local owner = path and (path[#path] and path[#path].row or main).info
  p.axes, p.by_setting, p.own_text, p.axis_column = axes_of(input, owner_columns or {}, owner and owner.columns)
  for _, name in ipairs { role.name, role.login } do if not hidden[name] then p.renamed[name] = "\1" .. name end end
  for name in pairs(role.member_of or {}) do p.renamed[name] = "\1" .. name end
  function p.member(name)
    return not hidden[name] and (name == role.name or (role.member_of or {})[name] == true)
  end
  local rows = {}
  function p.tables_row(label)
    if rows[label] == nil then rows[label] = input.tables[label] and compile.row(label, nil, cx) or false end
    return rows[label] and rows[label].columns and rows[label] or nil
  end
  function p.owner_row(m, seen) return owner_in(p, m, seen) end
  p.owned = false
  for _, axis in ipairs(p.axes) do p.owned = p.owned or (owner_columns or {})[axis.column] ~= nil end
  p.node = made and made.node or compile.combine(info, command, phase, { rows = { main } }, cx, p.parts)
  return p
end

return problem
