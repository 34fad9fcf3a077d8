--- SQL by which the application fires a trigger, and what becomes of another tenant's row then.
--
-- The counterexample says what NEW and OLD hold (prover.Verdict.assignment.fired); those of a view are the caller's to choose, and stand
-- among its settings. OLD is a row that is there, which the superuser makes; NEW is what the application's statement makes of it.
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

--- UPDATE of the old row to the new one, and the row that is there then; nil where the application may set no column.
local function update_sql(t, old, new)
  -- Which rows of a view it shows is not known: it is given one to show.
  local where, sets, any, after = t.kind == "v" and "true" or is_row(t, old), {}, nil, {}
  for _, c in ipairs(t.columns) do
    local free = is_free(t, c)
    any = any or free and names.ident(c.name) or nil
    after[c.name] = old[c.name]
    if free and is_known(new[c.name]) then
      sets[#sets + 1] = ("%s = %s"):format(names.ident(c.name), new[c.name] == json.null and "NULL" or prover.literal(new[c.name]))
      after[c.name] = new[c.name]
    end
  end
  if #sets == 0 then sets[1] = any and ("%s = %s"):format(any, any) end
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
local function statement(t, event, old, new)
  if event == "UPDATE" then
    if old and new then return update_sql(t, old, new) end
    return nil
  elseif event == "DELETE" then
    local where = t.kind ~= "v" and old and is_row(t, old)
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
    if base.tenant and a.own[1] ~= nil then table.insert(out.before, reproduce.insert(base, { [base.tenant] = a.own[1] })) end
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

--- The text to reproduce what a trigger's function does to another tenant's row; nil where none is found.
---@param world table   of rls.reproduce
---@param at rls.Fired
---@param t rls.Table   the trigger's relation
---@param r table       of rls.rules.definers: what the function is decided to be
---@return string?
function firing.text(world, at, t, r)
  local a, target = r.verdict and r.verdict.assignment, world.by_label[r.label or ""]
  if not a or not target then return nil end
  local new, old = row_of(t, a, "new", at.event), row_of(t, a, "old", at.event)
  local sql, after = statement(t, at.event, old, with_values(t, a, new, at.f, (r.flow or {}).into))
  if not sql then return nil end
  local v = with_rows(r.verdict, t, new, old)
  if r.write or r.touched then
    return reproduce.with_difference(reproduce.text(world, target, v, sql, r.write), target, v)
  end
  local shown = after and t.kind ~= "v" and filled_sql(t, after)
  return shown and reproduce.text(world, target, v, ("%s\nRESET SESSION AUTHORIZATION;\n%s"):format(sql, shown), r.write) or nil
end

return firing
