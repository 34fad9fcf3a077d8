--- SQL that shows a counterexample: pasted into psql as a superuser it makes the rows that it speaks of, becomes the application, shows
--- what gets through, and rolls back.
--
-- The rows are made with session_replication_role = replica, so that neither foreign keys nor triggers ask for more; columns that must have
-- a value and are not part of the counterexample get one of their type. A CHECK may refuse such a row: then its values are to be changed.
local axes = require "rls.axes"
local functions = require "rls.prover.functions"
local json = require "json"
local names = require "rls.names"
local prover = require "rls.prover"

local reproduce = {}

local BY_CATEGORY = { N = "1000000", S = "'canary'", B = "true", D = "now()", T = "'1 day'", A = "'{}'" }
local BY_BASE = { uuid = "gen_random_uuid()", json = "'{}'", jsonb = "'{}'", bytea = "'\\x00'", inet = "'127.0.0.1'" }

--- A value of a column's type that nothing depends on.
local function filler(c)
  if c.labels and c.labels[1] then return names.literal(c.labels[1]) end
  return BY_BASE[c.base] or BY_CATEGORY[c.category] or "NULL"
end
reproduce.filler = filler

--- The values of a row with what its table needs besides.
---@param t rls.Table
---@param row table<string, any>
---@return table<string, string>  SQL by column
function reproduce.values(t, row)
  local out = {}
  for _, c in ipairs(t.columns) do
    local given = row[c.name]
    -- A value of a type that the prover does not compute with, which has to be there and is of no matter.
    if given == functions.UNKNOWN then given = nil end
    local needed = c.notnull and not c.has_default and c.identity == ""
    if not c.generated and (given ~= nil or needed) then out[c.name] = given ~= nil and prover.literal(given) or filler(c) end
  end
  return out
end

--- INSERT of a row with what its table needs besides.
---@param t rls.Table
---@param row table<string, any>
---@param literals table<string, string>?  what takes the place of reproduce.values
---@return string
function reproduce.insert(t, row, literals)
  local columns, values = {}, {}
  literals = literals or reproduce.values(t, row)
  for _, c in ipairs(t.columns) do
    if literals[c.name] then
      columns[#columns + 1] = names.ident(c.name)
      values[#values + 1] = literals[c.name]
    end
  end
  if #columns == 0 then return ("INSERT INTO %s DEFAULT VALUES;"):format(t.sql) end
  return ("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s) ON CONFLICT DO NOTHING;"):format(t.sql, table.concat(columns, ", "),
    table.concat(values, ", "))
end

--- Columns that say of which row they are, or that something is asked of.
local function is_bound(t, name)
  if name == t.tenant then return true end
  for _, list in ipairs { t.uniques or {}, t.foreign_keys or {}, t.checks or {} } do
    for _, one in ipairs(list) do
      for _, column in ipairs(one.columns) do
        if column == name then return true end
      end
    end
  end
  return false
end

--- The other tenant's row with something to tell it by in the columns that nothing is asked of: NULL would show as nothing.
local function telling(t, a)
  local out, free = {}, (a.free or {}).row or {}
  for name, value in pairs(a.row) do out[name] = value end
  for _, c in ipairs(t.columns) do
    local open = out[c.name] == nil or (out[c.name] == json.null and free[c.name])
    local plain = c.type == "text" or c.type:find "^numeric" or c.type == "integer" or c.type == "bigint"
    if open and plain and not c.generated and c.identity == "" and not is_bound(t, c.name) then
      out[c.name] = c.type == "text" and "canary" or 7
    end
  end
  return out
end

--- A table of the caller's own in place of one that a function names without its schema.
local function shadow(label, rows, columns)
  local selects = {}
  for i, row in ipairs(rows) do
    local parts = {}
    for name, c in pairs(columns) do
      parts[#parts + 1] = ("%s::%s AS %s"):format(row[name] ~= nil and prover.literal(row[name]) or "NULL", c.type, names.ident(name))
    end
    table.sort(parts)
    selects[i] = "SELECT " .. table.concat(parts, ", ")
  end
  return ("CREATE TEMPORARY TABLE %s AS %s;"):format(names.ident(label:match "[^.]*$"), table.concat(selects, " UNION ALL "))
end

--- The row that a changed column refers to then: the application's own UPDATE has its foreign keys checked.
local function referred(world, t, chosen)
  for _, fk in ipairs(t.foreign_keys or {}) do
    local parent = #fk.columns == 1 and fk.columns[1] == chosen.column and world.by_oid[fk.ref]
    if parent then return reproduce.insert(parent, { [fk.ref_columns[1]] = chosen.row[chosen.column] }) end
  end
  return nil
end

--- A row of the tenant's own which it changes so that it refers to another tenant's: what is there before, and the UPDATE.
local function change(world, t, chosen, made)
  local before, parts = {}, {}
  for name, value in pairs(chosen.row) do
    if name ~= chosen.column then
      before[name] = value
      local known = value ~= json.null and value ~= functions.UNKNOWN
      parts[#parts + 1] = known and ("%s = %s"):format(names.ident(name), prover.literal(value)) or nil
    end
  end
  table.sort(parts)
  made[#made + 1] = reproduce.insert(t, before)
  made[#made + 1] = referred(world, t, chosen)
  return ("UPDATE %s SET %s = %s WHERE %s;"):format(t.sql, names.ident(chosen.column), prover.literal(chosen.row[chosen.column]),
    table.concat(parts, " AND "))
end

--- Most steps from a row to what it refers to.
local DEEP = 4

--- The rows that a row refers to, as INSERTs, the farthest first: foreign keys of what the application itself writes are checked.
---@param is_made fun(t: rls.Table, given: table<string, string>): boolean  is the row there already?
local function parents(world, t, literals, out, seen, depth, is_made)
  for _, fk in ipairs(depth <= DEEP and t.foreign_keys or {}) do
    local parent, given, whole = world.by_oid[fk.ref], {}, true
    for i, column in ipairs(fk.columns) do
      local literal = literals[column]
      -- What is drawn anew at each place is no key.
      whole = whole and literal ~= nil and literal ~= "NULL" and not literal:find "^gen_random_uuid"
      given[fk.ref_columns[i]] = literal
    end
    if whole and parent and (parent.kind == "r" or parent.kind == "p") then
      local row = reproduce.values(parent, {})
      for _, c in ipairs(parent.columns) do
        -- A default may ask for a session that is not there.
        if c.notnull and not row[c.name] and not c.generated and c.identity == "" then row[c.name] = filler(c) end
      end
      for column, literal in pairs(given) do row[column] = literal end
      local sql = reproduce.insert(parent, nil, row)
      local key = parent.label
      for _, column in ipairs(fk.ref_columns) do key = key .. "\0" .. given[column] end
      if not seen[key] and not is_made(parent, given) then
        seen[key] = true
        parents(world, parent, row, out, seen, depth + 1, is_made)
        out[#out + 1] = sql
      end
    end
  end
end

--- Adds what the rows of a counterexample refer to, where the statement writes.
local function add_parents(world, t, v, statement, made)
  local a = v and v.assignment
  local writes = not statement:find "^SELECT" or statement:find "%(" or #(v and v.written or {}) > 0 or (v and v.chosen)
  if not a or not writes then return end
  local out, seen = {}, {}
  local function is_made(parent, given)
    local rows = { table.unpack((a.rows or {})[parent.label] or {}) }
    if parent == t then rows[#rows + 1] = a.row end
    for _, row in ipairs(rows) do
      local all = true
      for column, literal in pairs(given) do all = all and row[column] ~= nil and prover.literal(row[column]) == literal end
      if all then return true end
    end
    return false
  end
  if t then parents(world, t, v.literals or reproduce.values(t, a.row), out, seen, 1, is_made) end
  -- An UPDATE may give the row to the own tenant, or an own row to another.
  for _, row in ipairs(t and statement:find "^UPDATE" and { v.given_to or a.row, v.given_to and a.row or nil } or {}) do
    local moved = reproduce.values(t, row)
    parents(world, t, moved, out, seen, 1, is_made)
    if t.tenant and a.own and a.own[1] ~= nil then
      moved[t.tenant] = prover.literal(a.own[1])
      parents(world, t, moved, out, seen, 1, is_made)
    end
  end
  for label, rows in pairs(a.rows or {}) do
    for _, row in ipairs(world.by_label[label] and rows or {}) do
      parents(world, world.by_label[label], reproduce.values(world.by_label[label], row), out, seen, 1, is_made)
    end
  end
  table.move(out, 1, #out, #made + 1, made)
end

--- The whole text.
---@param world {by_label: table<string, rls.Table>, by_oid: table<string, rls.Table>, tables: table<string, prover.Table>, app: string,
---  from: string, login: string?}  app: as whom it is shown; from: the application's own role
---@param t rls.Table?         whose row the counterexample is about
---@param v prover.Verdict?
---@param statement string     what shows it
---@param is_new boolean?      the statement itself makes the row
---@return string text, string[] lines
function reproduce.text(world, t, v, statement, is_new)
  local a = v and v.assignment
  local lines, made, own = { "BEGIN;" }, {}, {}
  if a and t and t.kind ~= "m" and not is_new then made[1] = reproduce.insert(t, telling(t, a), v.literals) end
  local by = {}
  for _, one in ipairs(v and v.written or {}) do
    by[one.row] = one.writer.sql(one) or ("-- by %s"):format(one.writer.name)
    for label, rows in pairs(one.model.rows) do
      for _, row in ipairs(label ~= one.writer.on and world.by_label[label] and rows or {}) do
        made[#made + 1] = reproduce.insert(world.by_label[label], row)
      end
    end
  end
  table.move(v and v.before or {}, 1, #(v and v.before or {}), #made + 1, made)
  local labels = {}
  for label in pairs(a and a.rows or {}) do labels[#labels + 1] = label end
  table.sort(labels)
  for _, label in ipairs(labels) do
    local table_of, rows = world.by_label[label], a.rows[label]
    if label:sub(1, 8) == "pg_temp." and #rows > 0 then
      own[#own + 1] = shadow(label, rows, world.tables[label].columns)
      -- The function may look with its owner's rights.
      own[#own + 1] = ("GRANT SELECT ON %s TO PUBLIC;"):format(names.ident(label:match "[^.]*$"))
    else
      for _, row in ipairs(table_of and rows or {}) do
        local sql = by[row] or row ~= a.row and table_of.kind ~= "m" and reproduce.insert(table_of, row)
        if v.chosen and v.chosen.row == row then
          own[#own + 1] = change(world, table_of, v.chosen, made)
        elseif sql then table.insert(v.class == "policy_lookup_writable" and own or made, sql) end
      end
    end
  end
  add_parents(world, t, v, statement, made)
  if a and t and t.kind == "m" then
    for _, base in ipairs(t.reads or {}) do
      local theirs = a.row[t.tenant or base.tenant or ""]
      made[#made + 1] = reproduce.insert(base, telling(base, { row = { [base.tenant or ""] = theirs } }))
    end
  end
  if #made > 0 then
    lines[#lines + 1] = "SET LOCAL session_replication_role = replica;"
    -- What two rows refer to is made for each of them.
    local there = {}
    for _, line in ipairs(made) do
      if not there[line] then lines[#lines + 1] = line end
      there[line] = true
    end
    lines[#lines + 1] = "SET LOCAL session_replication_role = origin;"
  end
  if a and t and t.kind == "m" then lines[#lines + 1] = ("REFRESH MATERIALIZED VIEW %s;"):format(t.sql) end
  -- SET ROLE leaves session_user as it is.
  if v and v.class == "policy_user_test" and world.login then
    lines[#lines + 1] = ("SET LOCAL SESSION AUTHORIZATION %s;"):format(names.ident(world.login))
  end
  if not (v and v.class == "policy_user_test") and world.from ~= world.app then
    lines[#lines + 1] = ("SET LOCAL SESSION AUTHORIZATION %s;"):format(names.ident(world.from))
  end
  if not (v and v.class == "policy_user_test" and world.login == world.app) then
    lines[#lines + 1] = ("SET LOCAL ROLE %s;"):format(names.ident(world.app))
  end
  for _, s in ipairs(v and v.statements or {}) do
    if not s:find("\1", 1, true) then lines[#lines + 1] = s end
  end
  table.move(own, 1, #own, #lines + 1, lines)
  table.move(v and v.impostors or {}, 1, #(v and v.impostors or {}), #lines + 1, lines)
  lines[#lines + 1] = statement
  lines[#lines + 1] = "ROLLBACK;"
  return table.concat(lines, "\n"), lines
end

--- Has a text keep what a query gives before its change of role, and show behind its statement what another is given then.
---@param text string   of reproduce.text
---@param query string
---@return string
function reproduce.with_changes(text, query)
  local before = ("CREATE TEMPORARY TABLE was_there ON COMMIT DROP AS %s;\n"):format(query)
  local after = ("RESET SESSION AUTHORIZATION;\n(TABLE was_there EXCEPT (%s)) UNION ALL ((%s) EXCEPT TABLE was_there);\nROLLBACK;")
    :format(query, query)
  local at = text:find "SET LOCAL SESSION AUTHORIZATION " or text:find "SET LOCAL ROLE "
  text = text:sub(1, at - 1) .. before .. text:sub(at)
  return (text:gsub("ROLLBACK;$", function() return after end))
end

--- The other tenant's rows: what a statement changes is seen by them. Nil where nothing says whose they are.
---@param t rls.Table
---@param v prover.Verdict
---@return string?
function reproduce.theirs(t, v)
  local parts, row = {}, v and v.assignment and v.assignment.row or {}
  for _, name in ipairs(t.tenant and { t.tenant } or t.parent_key and t.parent_key.columns or {}) do
    local value = row[name]
    if value == nil or value == json.null or value == functions.UNKNOWN then return nil end
    parts[#parts + 1] = ("%s = %s"):format(names.ident(name), prover.literal(value))
  end
  return #parts > 0 and ("SELECT to_jsonb(x) AS theirs FROM %s x WHERE %s"):format(t.sql, table.concat(parts, " AND ")) or nil
end

---@class rls.Variant        a text to reproduce, and what is asked in order to see whether it shows what it claims
---@field text string
---@field lines string[]     of reproduce.text
---@field acts string[]      the application's statements, in the place of the line before the last
---@field planted string?    the line that makes the other tenant's row
---@field changes string?    a query of the superuser's: what it gives before and afterwards is not the same
---@field look string?       a query of the superuser's afterwards: with the other tenant's row it gives what it does not without it

--- A text whose statement shows nothing by itself, or may not.
---@param world table    as for reproduce.text
---@param t rls.Table?
---@param v prover.Verdict?
---@param acts string[]  what the application does
---@param how {is_new: boolean?, changes: string?, look: string?}
---@return rls.Variant
function reproduce.staged(world, t, v, acts, how)
  local statement = table.concat(acts, "\n")
  if how.look and not how.changes then statement = ("%s\nRESET SESSION AUTHORIZATION;\n%s"):format(statement, how.look) end
  local text, lines = reproduce.text(world, t, v, statement, how.is_new)
  if how.changes then text = reproduce.with_changes(text, how.changes) end
  local plants = t and v and v.assignment and not how.is_new
  return { text = text, lines = lines, acts = acts, changes = how.changes, look = how.look,
    planted = plants and reproduce.insert(t, telling(t, v.assignment), v.literals) or nil }
end

--- Another tenant's rows, all their columns filled, by the table's key the first, the last, and next to those that
--- are there: what flows from a neighbour does.
local function neighbours(t, v)
  local key, places, out = {}, { -1000001, 1000000001 }, {}
  for _, u in ipairs(t.uniques) do key[#u.columns == 1 and u.columns[1] or ""] = true end
  for _, row in ipairs(v.assignment.rows[t.label] or {}) do
    for name in pairs(row ~= v.assignment.row and key or {}) do
      if math.type(row[name]) == "integer" then table.move({ row[name] - 1, row[name] + 1 }, 1, 2, #places + 1, places) end
    end
  end
  local checked = { [t.tenant or ""] = true }
  for _, check in ipairs(t.checks or {}) do
    for _, name in ipairs(check.columns or {}) do checked[name] = true end
  end
  for i, at in ipairs(places) do
    local literals = reproduce.values(t, v.assignment.row)
    for _, c in ipairs(t.columns) do
      local asked = v.text:find("the row's " .. c.name .. " ", 1, true)
      if not asked and (not literals[c.name] or literals[c.name] == "NULL") and not c.generated then literals[c.name] = filler(c) end
      if not asked and key[c.name] and c.category == "N" then literals[c.name] = tostring(at) end
      -- The least and the greatest of all: one of them shows where max or min is made of them.
      local plain = c.base == "text" or c.base == "varchar"
      if plain and not asked and not checked[c.name] then literals[c.name] = i % 2 == 1 and "'aaa-canary'" or "'zzz-canary'" end
    end
    out[#out + 1] = reproduce.insert(t, v.assignment.row, literals)
  end
  return out
end

--- Shows how what the application reads changes when rows of another tenant come.
---@param world table    as of reproduce.text
---@param t rls.Table    whose rows those are
---@param v prover.Verdict
---@param source string  what is read, as in FROM
---@return string
function reproduce.with_neighbours(world, t, v, source)
  local a = v.assignment
  local before = setmetatable({ assignment = setmetatable({ rows = {} }, { __index = a }) }, { __index = v })
  for label, rows in pairs(a.rows) do
    before.assignment.rows[label] = {}
    for _, row in ipairs(rows) do
      if row ~= a.row then table.insert(before.assignment.rows[label], row) end
    end
  end
  local text = reproduce.text(world, nil, before, ("INSERT INTO was_seen SELECT x::text FROM %s x;"):format(source))
  local at = text:find "SET LOCAL SESSION AUTHORIZATION " or text:find "SET LOCAL ROLE "
  local session = text:sub(at):gsub("INSERT INTO was_seen.*$", "")
  local made = ("RESET ROLE;\nRESET SESSION AUTHORIZATION;\nSET LOCAL session_replication_role = replica;\n%s\nSET LOCAL "
    .. "session_replication_role = origin;\n"):format(table.concat(neighbours(t, v), "\n"))
  local show = ("SELECT x::text AS seen FROM %s x EXCEPT TABLE was_seen;\nROLLBACK;"):format(source)
  return text:sub(1, at - 1) .. ("CREATE TEMPORARY TABLE was_seen (row text) ON COMMIT DROP;\nGRANT ALL ON was_seen TO %s;\n"):format(
    names.ident(world.app)) .. text:sub(at):gsub("ROLLBACK;$", "") .. made .. session .. show
end

--- Becomes a role that may read the table or view, where the application's own may not; "" where it may.
---@param t rls.Table
---@return string
function reproduce.as_reader(t)
  if t.may.select then return "" end
  return ("SELECT set_config('role', rolname, true) FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')\n"
    .. "  AND has_table_privilege(oid, %s, 'SELECT') LIMIT 1;\n"):format(names.literal(t.sql))
end

--- What a session of a tenant sets, on every axis.
local function entered(seen, key)
  local out = {}
  for _, axis in ipairs(seen.settings.axes or {}) do
    for _, pair in ipairs(axes.session(axis, key)) do
      out[#out + 1] = ("SELECT set_config(%s, %s, false);"):format(names.literal(pair[1]), names.literal(pair[2]))
    end
  end
  return out
end

--- What the functions here need of a look at the database.
---@param seen table  of rls.harness.look, with `model`
---@param role string
function reproduce.world(seen, role)
  local by_label = {}
  for _, t in pairs(seen.by_oid) do by_label[t.label] = t end
  return { by_label = by_label, by_oid = seen.by_oid, tables = seen.model.tables, app = role, from = seen.app.role, login = seen.app.login,
    functions = seen.model.all_functions, enter = function(key) return entered(seen, key) end }
end

return reproduce
