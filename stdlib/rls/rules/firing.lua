--- SQL by which the application fires a trigger, and what becomes of another tenant's row then.
--
-- The counterexample says what NEW and OLD hold (prover.Verdict.assignment.fired); those of a view are the caller's to choose, and stand
-- among its settings. OLD is a row that is there, which the superuser makes; NEW is what the application's statement makes of it.
local calling = require "rls.rules.calling"
local compile = require "rls.prover.compile"
local functions = require "rls.prover.functions"
local json = require "json"
local mentions = require "rls.mentions"
local names = require "rls.names"
local prover = require "rls.prover"
local reproduce = require "rls.reproduce"

local firing = {}

--- What NEW or OLD holds, of a table or a view; nil where the trigger has none.
local function row_of(t, a, which, event)
  if event == (which == "new" and "DELETE" or "INSERT") then return nil end
  if t.kind ~= "v" then return (a.fired or {})[which] end
  local row, prefix = {}, compile.ARGUMENT .. which .. "."
  for name in pairs(t.by_column) do row[name] = a.settings[prefix .. name] end
  return row
end

local function is_known(value) return value ~= nil and value ~= functions.UNKNOWN end

--- The condition that a row is this one; nil where it says nothing.
local function is_row(t, row)
  local parts = {}
  for _, c in ipairs(t.columns) do
    local value = row[c.name]
    if value == json.null then
      parts[#parts + 1] = names.ident(c.name) .. " IS NULL"
    elseif is_known(value) then
      parts[#parts + 1] = ("%s = %s"):format(names.ident(c.name), prover.literal(value))
    end
  end
  return #parts > 0 and table.concat(parts, " AND ") or nil
end

--- May the application's UPDATE set it?
local function is_free(t, c) return (c.may_update or t.kind == "v") and not c.generated and c.identity ~= "a" end

--- The condition by which a statement finds the old row. Which rows a view shows is not known: it is given one to show, and where its
--- columns are called otherwise than its table's, any.
local function which_row(t, at, old)
  if t.kind == "v" and (at.any or not old) then return "true" end
  return old and is_row(t, old) or t.kind == "v" and "true" or nil
end

--- UPDATE of the old row to the new one, and the row that is there then; nil where the application may set no column.
local function update_sql(t, at, old, new)
  local where, sets, any, after, must = which_row(t, at, old), {}, nil, {}, {}
  for _, name in ipairs(at.columns or {}) do must[name] = true end
  for _, c in ipairs(t.columns) do
    local free = is_free(t, c)
    if free and (not any or must[c.name]) then any = c.name end
    after[c.name] = old[c.name]
    if free and is_known(new[c.name]) then
      sets[#sets + 1] = ("%s = %s"):format(names.ident(c.name), new[c.name] == json.null and "NULL" or prover.literal(new[c.name]))
      after[c.name] = new[c.name]
      must = must[c.name] and {} or must
    end
  end
  if any and (#sets == 0 or must[any]) and not is_known(new[any]) then
    sets[#sets + 1] = ("%s = %s"):format(names.ident(any), names.ident(any))
  end
  if not where or #sets == 0 then return nil end
  return ("UPDATE %s SET %s WHERE %s;"):format(t.sql, table.concat(sets, ", "), where), after
end

--- INSERT of the new row. What a view hands on may have to be there.
local function insert_sql(t, new)
  if t.kind ~= "v" then return (reproduce.insert(t, new):gsub(" ON CONFLICT DO NOTHING;$", ";")) end
  local columns, given = {}, {}
  for _, c in ipairs(t.columns) do
    columns[#columns + 1] = names.ident(c.name)
    given[#given + 1] = is_known(new[c.name]) and prover.literal(new[c.name]) or reproduce.filler(c)
  end
  return ("INSERT INTO %s (%s) VALUES (%s);"):format(t.sql, table.concat(columns, ", "), table.concat(given, ", "))
end

--- The statement that fires it, and the row that it leaves; nil where none can be written.
local function statement(t, at, old, new)
  if at.event == "UPDATE" then
    if old and new then return update_sql(t, at, old, new) end
    return nil
  elseif at.event == "DELETE" then
    local where = which_row(t, at, old)
    return where and ("DELETE FROM %s WHERE %s;"):format(t.sql, where) or nil
  end
  if not new then return nil end
  return insert_sql(t, new), new
end

--- The row that was written where it is another than the statement said; nil where it has no key to find it by.
local function filled_sql(t, row)
  local where, columns, given = {}, {}, {}
  for _, name in ipairs(t.uniques[1] and t.uniques[1].columns or {}) do
    if not is_known(row[name]) then return nil end
    where[#where + 1] = ("%s = %s"):format(names.ident(name), prover.literal(row[name]))
  end
  for _, c in ipairs(t.columns) do
    if is_known(row[c.name]) then columns[#columns + 1], given[#given + 1] = names.ident(c.name), prover.literal(row[c.name]) end
  end
  if #where == 0 then return nil end
  return ("SELECT * FROM %s WHERE %s AND (%s) IS DISTINCT FROM (%s);"):format(t.sql, table.concat(where, " AND "),
    table.concat(columns, ", "), table.concat(given, ", "))
end

--- The verdict as reproduce.text is to make its rows: the old one, and those that a view is to show, but not the new one.
local function with_rows(v, t, new, old)
  local a, out, rows = v.assignment, {}, {}
  for key, value in pairs(v) do out[key] = value end
  for label, list in pairs(a.rows or {}) do
    rows[label] = {}
    for _, row in ipairs(list) do
      if label ~= t.label or row ~= new and row ~= old then table.insert(rows[label], row) end
    end
  end
  out.before = {}
  if old and t.kind ~= "v" then out.before[1] = reproduce.insert(t, old) end
  for _, base in ipairs(t.kind == "v" and t.reads or {}) do
    if base.tenant and a.own[1] ~= nil then
      local row = {}
      for name, value in pairs(old or {}) do row[name] = base.by_column[name] and value or nil end
      row[base.tenant] = a.own[1]
      table.insert(out.before, reproduce.insert(base, row))
    end
  end
  out.assignment, out.chosen = { row = a.row, rows = rows, own = a.own, settings = a.settings }, nil
  return out
end

--- The new row, with values where nothing is asked of it and the function reads it: NULL may not do there. What the function fills in
--- stays as it is.
local function with_values(t, a, new, f, into)
  local free, references, out = (a.free or {}).new or {}, {}, {}
  for _, fk in ipairs(t.foreign_keys) do
    for _, name in ipairs(fk.columns) do references[name] = true end
  end
  for name, value in pairs(new or {}) do
    local c = t.by_column[name]
    local read = free[name] and mentions.name((f.body or ""):lower(), name) and not mentions.name((into or ""):lower(), name)
    local open = value == json.null and c and read and not references[name]
    out[name] = value
    if open then out[name] = c.category == "S" and "canary" or (c.category == "N" and 1 or value) end
  end
  return new and out
end

--- Values that the trigger's WHEN asks of the new row, as far as they are written in it.
local function asked_for(t, at)
  local out = {}
  for _, c in ipairs(t.columns) do
    local plain = c.name:find "^[%l_][%l%d_]*$" and c.name or names.ident(c.name)
    local from, to = (at.condition or ""):find("new." .. plain, 1, true)
    local rest = from and at.condition:sub(to + 1)
    local literal = rest and (rest:match "^%)?:*[%l ]*%)* = '([^']*)'" or rest:match "^ = (%-?%d+)")
    if literal then
      out[c.name] = c.category == "N" and math.tointeger(tonumber(literal)) or literal
    elseif rest and c.category == "B" and not rest:find "^ IS" then
      out[c.name] = true
    end
  end
  return out
end

--- A value that the prover could have given, of a column that must have one; nil where its type is not one of the prover's.
local function some_value(c)
  if c.category == "S" then return "canary" end
  if c.category == "N" then return 1 end
  if c.category == "B" then return true end
  return nil
end

--- The new row with a value wherever nothing is asked of it.
local function with_all(t, a, new)
  local out, free = {}, (a.free or {}).new or {}
  for _, c in ipairs(t.columns) do
    local open = new[c.name] == nil or new[c.name] == functions.UNKNOWN or (new[c.name] == json.null and (free[c.name] or not a.free))
    out[c.name] = new[c.name]
    if open and not c.generated and c.identity == "" then out[c.name] = some_value(c) or out[c.name] end
  end
  return out
end

--- New rows to fire it with, the likeliest first.
local function new_rows(t, at, a, new, r)
  if not new then return { false } end
  local first = with_values(t, a, new, at.f, (r.flow or {}).into)
  local out, asked = { first }, asked_for(t, at)
  if next(asked) then table.insert(out, 1, asked) end
  for name, value in pairs(next(asked) and first or {}) do
    if asked[name] == nil then asked[name] = value end
  end
  out[#out + 1] = with_all(t, a, out[1])
  out[#out + 1] = new
  return out
end

--- The tenant's own row, where the counterexample speaks of none: what a statement as a whole fires, any row does.
local function own_row(t, a) return t.tenant and a.own[1] ~= nil and { [t.tenant] = a.own[1] } or {} end

local function is_said(row)
  for _, value in pairs(row or {}) do
    if is_known(value) then return true end
  end
  return false
end

--- What fires it, as statements of the application's.
local function acts_of(at, sql)
  local acts = { sql }
  if at.deferred then acts[2] = "SET CONSTRAINTS ALL IMMEDIATE;" end
  return acts
end

--- The texts that may show what it does, with one new row. said: the row that the counterexample has of it.
local function add_texts(out, world, at, t, target, r, v, old, new, said)
  local sql, after = statement(t, at, old, new or nil)
  if not sql then return end
  local how = with_rows(v, t, said, old)
  local acts = acts_of(at, sql)
  if r.write or r.touched then
    out[#out + 1] = reproduce.staged(world, target, how, acts, { is_new = r.write, changes = reproduce.theirs(target, how) })
  end
  if r.write then return end
  for _, look in ipairs { after and t.kind ~= "v" and filled_sql(t, after) or false, calling.copied(world, at.f, v, r.label) or false } do
    if look then out[#out + 1] = reproduce.staged(world, target, how, acts, { look = look }) end
  end
  -- What it raises is all that there is to be seen.
  if not (r.write or r.touched) then out[#out + 1] = reproduce.staged(world, target, how, acts, {}) end
end

--- The texts that may show what a trigger's function does to another tenant's row, the likeliest first.
local function texts(world, at, t, r, v)
  local a, target, out = v and v.assignment, world.by_label[r.label or ""], {}
  if not a or not target then return out end
  local new, old = row_of(t, a, "new", at.event), row_of(t, a, "old", at.event)
  if t.kind ~= "v" then
    if at.event ~= "DELETE" and not is_said(new) then new = own_row(t, a) end
    if at.event ~= "INSERT" and not is_said(old) then old = own_row(t, a) end
  end
  local places = { at, t.kind == "v" and at.event ~= "INSERT" and setmetatable({ any = true }, { __index = at }) or nil }
  for _, row in ipairs(new_rows(t, at, a, new, r)) do
    for _, place in ipairs(places) do add_texts(out, world, place, t, target, r, v, old, row, new) end
  end
  return out
end

--- The text to reproduce what a trigger's function does to another tenant's row, untried; nil where none is found.
---@param world table   of rls.reproduce
---@param at rls.Fired
---@param t rls.Table   the trigger's relation
---@param r table       of rls.rules.definers: what the function is decided to be
---@return string?
function firing.text(world, at, t, r)
  local first = texts(world, at, t, r, r.verdict)[1]
  return first and first.text
end

--- The texts that may show it.
---@param world table   of rls.reproduce
---@param at rls.Fired
---@param t rls.Table   the trigger's relation
---@param r table       of rls.rules.definers: what the function is decided to be
---@return rls.Staged
function firing.staged(world, at, t, r)
  return { f = at.f, verdict = r.verdict, table = world.by_label[r.label or ""], writes = r.write or r.touched, fired = true,
    texts = function(_, v) return texts(world, at, t, r, v) end }
end

return firing
