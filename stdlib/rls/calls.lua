--- Functions with their owner's rights whose text nobody could decide, called as the application with tenant A set.
--
-- Each call is made three times in transactions that are rolled back: twice with tenant B's canaries there, and once without them. What
-- differs only by them is what the function shows of B; a digest of B's rows tells what it changes. That nothing differs proves
-- nothing: the function stays undecided, and the number of calls is told.
--
-- Called is only what ends with its transaction: SQL and PL/pgSQL whose text does not name anything that reaches further (a server's files
-- and processes, other databases, transactions of its own). A function with its owner's rights cannot leave its role (SET ROLE, "Notes";
-- PostgreSQL refuses SET ROLE and SET SESSION AUTHORIZATION within one), so that nothing of it runs as the admin.
local attempts = require "rls.attempts"
local values = require "rls.values"

local calls = {}

--- Most calls of one function, and most values of one type.
local MOST, VALUES = 24, 8

local REACHES_FURTHER = { "dblink", "pg_read_", "pg_ls_", "pg_write_", "lo_import", "lo_export", "pg_terminate", "pg_cancel", "pg_sleep",
  "pg_reload", "pg_rotate", "pg_switch", "pg_advisory", "pg_notify", "http", "net%.", "copy%f[%W]", "notify%f[%W]", "commit%f[%W]",
  "rollback%f[%W]", "set%f[%W]%s+role", "set%f[%W]%s+session", "vacuum", "alter%s+system", "program" }

--- Why a function is not called; nil where it is.
---@param f table  of rls.Model.functions
---@return string?
function calls.refused(f)
  if f.language ~= "sql" and f.language ~= "plpgsql" then return "it is written in " .. f.language end
  local text = (f.body or ""):lower()
  for _, pattern in ipairs(REACHES_FURTHER) do
    if text:find("%f[%w_]" .. pattern) then return "its text reaches beyond its transaction" end
  end
  return nil
end

--- Values to call with, by type: those of B's canaries first, each with what it is in words.
local function pools(state, tables)
  local out, seen = {}, {}
  local function add(type_name, literal, what)
    local pool = out[type_name] or {}
    out[type_name] = pool
    if literal == "NULL" or seen[type_name .. literal] or #pool >= VALUES then return end
    seen[type_name .. literal] = true
    pool[#pool + 1] = { literal = literal, what = what }
  end
  for _, who in ipairs { state.b, state.a } do
    for _, t in ipairs(tables) do
      local made = (state.maker.rows[who.key] or {})[t.oid]
      local columns = { [t.tenant or ""] = true }
      for _, key in ipairs(t.uniques) do
        for _, name in ipairs(key.columns) do columns[name] = true end
      end
      for _, c in ipairs(made and t.columns or {}) do
        if columns[c.name] or c.category == "S" then
          add(c.type, values.literal(made.row[c.name]),
            ("%s of tenant %s's row of %s"):format(c.name, who == state.b and "B" or "A", t.label))
        end
      end
    end
  end
  add("text", "'%'", "'%'")
  add("text", "''", "''")
  add("boolean", "true", "true")
  add("boolean", "false", "false")
  for _, number in ipairs { "1000", "0" } do
    for _, type_name in ipairs { "integer", "bigint", "smallint", "numeric" } do add(type_name, number, number) end
  end
  return out
end

--- Lists of arguments: the first of each type, then one after another in the place of each.
local function argument_lists(f, pool_of)
  local first, out = {}, {}
  for i, arg in ipairs(f.args) do first[i] = (pool_of[arg.type] or {})[1] or { literal = "NULL", what = "NULL" } end
  out[1] = first
  for i, arg in ipairs(f.args) do
    for j, value in ipairs(pool_of[arg.type] or {}) do
      if j > 1 and #out < MOST then
        local list = table.move(first, 1, #first, 1, {})
        list[i] = value
        out[#out + 1] = list
      end
    end
  end
  return out
end

local function call_text(f, list, field)
  local args = {}
  for i, arg in ipairs(f.args) do
    args[i] = field == "literal" and ("%s::%s"):format(list[i].literal, arg.type) or ("<%s>"):format(list[i].what)
  end
  return ("%s(%s)"):format(f.signature:match "^(.-)%(", table.concat(args, ", "))
end

--- Takes B's canaries away, foreign keys and triggers aside.
local function remove(state, tables)
  state.conn:exec "set local session_replication_role = replica"
  for _, t in ipairs(tables) do
    if (state.maker.rows[state.b.key] or {})[t.oid] then
      state.conn:exec(("delete from %s where %s"):format(t.sql, state:owned_by(t, state.b)))
    end
  end
  state.conn:exec "set local session_replication_role = origin"
end

local function digest(state, tables)
  local out = {}
  for i, t in ipairs(tables) do out[i] = state.conn:value(state:digesting(t, state:owned_by(t, state.b)).l) end
  return table.concat(out, ",")
end

--- How many of B's canaries the application sees.
local function shown(state, tables)
  local list, count = {}, 0
  for i, t in ipairs(tables) do
    list[i] = t.may.select and { ("select 1 from %s where %s"):format(t.sql, state:owned_by(t, state.b)) } or { "select 1 where false" }
  end
  for _, o in ipairs(attempts.send(state.conn, list)) do count = count + (o.ok and o.affected or 0) end
  return count
end

--- One call. {shown = rows of B that the application sees afterwards, seen = what it gave, or err; digest = of B's rows afterwards}
local function call(state, f, list, tables, without)
  local out = {}
  state.conn:transaction(function()
    if without then remove(state, tables) end
    state.session:as_application()
    state.session:set(state.session:of(state.a.key))
    local text = call_text(f, list, "literal")
    local ok, raised, rows = state.conn:try(f.kind == "p" and "call " .. text or ([[
      select count(*)::text || ' ' || coalesce(sum(hashtextextended(gate_row::text, 0)::numeric), 0)::text as seen from %s gate_row]])
      :format(text))
    if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    out.err = not ok and raised or nil
    out.shown = ok and not without and shown(state, tables) or nil
    out.seen = ok and f.kind ~= "p" and rows[1].seen or nil
    state.session:as_admin()
    if not without then out.digest = digest(state, tables) end
  end, { rollback = true })
  return out
end

--- What a function does with one list of arguments: a text where it is a leak, and whether it changes rows.
local function try(state, f, list, tables, untouched, before)
  local with = call(state, f, list, tables, false)
  if with.err then return nil, false, true end
  if with.digest ~= untouched then return "it changes another tenant's row", true end
  if with.shown > before then return "afterwards the policies show another tenant's row", true end
  local again = call(state, f, list, tables, false)
  local without = call(state, f, list, tables, true)
  if again.err or without.err or with.seen ~= again.seen then return nil, false, true end
  return with.seen ~= without.seen and "what it gives depends on another tenant's row" or nil, false
end

--- Calls the functions. Each gets `tried`: {leak, changes, reproduce} or {calls = how many told something, refused = why none was made}.
---@param state rls.State   in an open transaction in which canaries of A and B are planted
---@param tables rls.Table[]  of tenants
---@param list table[]  functions
function calls.run(state, tables, list)
  local planted = {}
  for _, t in ipairs(tables) do
    if (state.maker.rows[state.b.key] or {})[t.oid] then planted[#planted + 1] = t end
  end
  local pool_of, untouched = pools(state, planted), digest(state, planted)
  state.session:as_application()
  state.session:set(state.session:of(state.a.key))
  local before = shown(state, planted)
  state.session:as_admin()
  for _, f in ipairs(list) do
    local tried = f.tried or { calls = 0 }
    f.tried = tried
    tried.refused = calls.refused(f)
    for _, args in ipairs((tried.refused or tried.leak) and {} or argument_lists(f, pool_of)) do
      local leak, changes, untold = try(state, f, args, planted, untouched, before)
      if not untold then tried.calls = tried.calls + 1 end
      if leak then
        tried.leak, tried.changes = leak, changes
        tried.reproduce = state.session:reproduce((f.kind == "p" and "call %s" or "select * from %s"):format(call_text(f, args, "what")))
        break
      end
    end
  end
end

--- Canaries of a tenant in every table that takes one; which refuse them the probe of the tables says.
---@param state rls.State
---@param tables rls.Table[]
function calls.plant(state, tables)
  local planted, refusal = pcall(state.maker.lookups, state.maker, { state.a, state.b })
  if not planted and attempts.is_fatal(refusal) then error(refusal, 0) end
  state.maker:rows_of(tables, { state.a, state.b })
  for _, t in ipairs(tables) do
    for _, who in ipairs { state.a, state.b } do
      local ok, raised = pcall(state.maker.row, state.maker, t, who)
      if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    end
  end
end

return calls
