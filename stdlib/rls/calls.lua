--- Functions with their owner's rights whose text nobody could decide, called as the application with tenant A set.
--
-- Each call is made three times, each undone: twice with tenant B's canaries there, and once without them. What differs only by them is
-- what the function shows of B; a digest of B's rows in the tables that the server counts as written to tells what it changes. That
-- nothing differs proves nothing: the function stays undecided, and the number of calls is told. (PostgreSQL manual, 28.2:
-- pg_stat_get_xact_tuples_inserted and the others count what the current transaction did.)
--
-- Called is only what ends with its transaction, with all that it leads to (rls.confined). A function with its owner's rights cannot leave
-- its role (SET ROLE, "Notes"; PostgreSQL refuses SET ROLE and SET SESSION AUTHORIZATION within one), so that nothing of it runs as the
-- admin.
local arrays = require "rls.arrays"
local attempts = require "rls.attempts"
local confined = require "rls.confined"
local mentions = require "rls.mentions"
local planted = require "rls.planted"
local values = require "rls.values"

local calls = {}

--- Most calls of one function, most values of one type, and most tables whose canaries all stand in a text to reproduce.
local MOST, VALUES, MOST_PLANTED = 24, 8, 20

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

local function call_text(f, list)
  local args = {}
  for i, arg in ipairs(f.args) do args[i] = ("%s::%s"):format(list[i].literal, arg.type) end
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

--- The heaps in which rows of the tables are, by the table: partitions and inheritance children too.
local HEAPS = [[
  with recursive heap(oid, of) as (
    select t.oid, t.oid from unnest($1::oid[]) t(oid)
    union select i.inhrelid, h.of from pg_inherits i join heap h on h.oid = i.inhparent)
  select heap.of::text as of, array_agg(heap.oid::text) as heaps from heap group by 1]]

--- What the transaction did to the heaps so far: rows, of which going back to a savepoint takes nothing away, and the file that each is
--- in, of which TRUNCATE makes another. NULL: it is gone.
local WRITTEN = [[
  select h.oid::text as oid, pg_relation_filenode(h.oid)::text || ' ' || pg_stat_get_xact_tuples_inserted(h.oid)
         + pg_stat_get_xact_tuples_updated(h.oid) + pg_stat_get_xact_tuples_deleted(h.oid) as done from unnest($1::oid[]) h(oid)]]

--- The tables of B's canaries, and the digests of those that some call wrote to.
local function watch(state, tables)
  local oids, heaps, of, by_oid = {}, {}, {}, {}
  for i, t in ipairs(tables) do oids[i], by_oid[t.oid] = t.oid, t end
  for _, row in ipairs(state.conn:query(HEAPS, arrays.text(oids))) do
    for _, heap in ipairs(row.heaps) do
      if not of[heap] then heaps[#heaps + 1] = heap end
      of[heap] = of[heap] or {}
      table.insert(of[heap], by_oid[row.of])
    end
  end
  return { heaps = arrays.text(heaps), of = of, digests = {}, tables = tables }
end

local function written(state, watched)
  local out = {}
  for _, row in ipairs(state.conn:query(WRITTEN, watched.heaps)) do out[row.oid] = row.done or "gone" end
  return out
end

local function digest(state, t) return state.conn:value(state:digesting(t, state:owned_by(t, state.b)).l) end

--- Digests of B's rows in the tables that something was written to in between.
local function written_between(state, watched, before, after)
  local out = {}
  for heap, done in pairs(after) do
    for _, t in ipairs(done ~= before[heap] and watched.of[heap] or {}) do
      out[t] = out[t] or (done == "gone" and done) or digest(state, t)
    end
  end
  return out
end

--- How many of B's canaries the application sees, by table.
local function visible(state, tables)
  local list, out = {}, {}
  for i, t in ipairs(tables) do
    list[i] = t.may.select and { ("select 1 from %s where %s"):format(t.sql, state:shown_by(t, state.b)) } or { "select 1 where false" }
  end
  for i, o in ipairs(attempts.send(state.conn, list)) do out[i] = o.ok and o.affected or 0 end
  return out
end

--- Rows that the transaction wrote so far, wherever.
local WROTE = "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::text from pg_catalog.pg_stat_xact_user_tables"

--- One call. {seen = what it gave, or err; touched = digests by table, shown = what the application sees of B's after a call that wrote,
--- where they are watched}
local function call(state, f, list, watched)
  local out = {}
  state.conn:transaction(function()
    local before, wrote = watched and written(state, watched), watched and state.conn:value(WROTE)
    state.session:as_application()
    state.session:set(state.session:of(state.a.key))
    local text = call_text(f, list)
    local ok, raised, rows = state.conn:try(f.kind == "p" and "call " .. text or ([[
      select count(*)::text || ' ' || coalesce(sum(hashtextextended(gate_row::text, 0)::numeric), 0)::text as seen from %s gate_row]])
      :format(text))
    if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    out.err = not ok and raised or nil
    if ok and watched and state.conn:value(WROTE) ~= wrote then out.shown = visible(state, watched.tables) end
    out.seen = ok and f.kind ~= "p" and rows[1].seen or nil
    state.session:as_admin()
    if ok and watched then out.touched = written_between(state, watched, before, written(state, watched)) end
  end, { rollback = true })
  return out
end

--- Did a call change B's rows?
local function changed(state, watched, out)
  for t, now in pairs(out.touched or {}) do
    watched.digests[t] = watched.digests[t] or digest(state, t)
    if watched.digests[t] ~= now then return true end
  end
  return false
end

--- The table of which the application sees more rows of B's than before.
local function opened(watched, out)
  for i, n in ipairs(out.shown or {}) do
    if n > watched.visible[i] then return watched.tables[i] end
  end
  return nil
end

--- What to paste in order to see it: the call, with the canaries of the tables that it may look at, and what its arguments are.
local function shown(state, tables, f, args, changes, then_)
  local text, list, words = (f.body or ""):lower(), {}, {}
  for _, t in ipairs(tables) do
    if #tables <= MOST_PLANTED or mentions.name(text, t.name) then list[#list + 1] = t end
  end
  for i in ipairs(f.args) do words[i] = args[i].what end
  return state.session:reproduce((f.kind == "p" and "call %s" or "select * from %s"):format(call_text(f, args)) .. (#words > 0
    and (" /* %s */"):format(table.concat(words, ", "):gsub("%*/", "* /")) or "") .. (then_ and ";\n" .. then_ or ""), nil,
    planted.lines(state, list), state.a.key,
    changes and planted.changed(state, list) or nil)
end

--- Notes that a function tells or changes what is B's.
local function note(state, tables, f, args, leak, changes, then_)
  f.tried.leak, f.tried.changes = leak, changes
  f.tried.reproduce = shown(state, tables, f, args, changes and not then_, then_)
end

--- Calls a function with each list of arguments while B's rows are there. Returns what can be compared; stops at what changes a row of B's.
local function with_theirs(state, tables, f, pool_of, watched)
  local out = {}
  for _, args in ipairs(argument_lists(f, pool_of)) do
    local first = call(state, f, args, watched)
    if not first.err and changed(state, watched, first) then
      f.tried.calls = f.tried.calls + 1
      note(state, tables, f, args, "it changes another tenant's row", true)
      return {}
    end
    local t = not first.err and opened(watched, first)
    if t then
      f.tried.calls = f.tried.calls + 1
      note(state, tables, f, args, "afterwards the policies show another tenant's row", true,
        ("select * from %s where %s"):format(t.sql, state:owned_by(t, state.b)))
      return {}
    end
    local again = not first.err and call(state, f, args)
    if again and not again.err and again.seen == first.seen then out[#out + 1] = { f = f, args = args, seen = first.seen } end
  end
  return out
end

--- Calls again what gave the same twice, without B's rows.
local function without_theirs(state, tables, list)
  for _, one in ipairs(list) do
    local without = not one.f.tried.leak and call(state, one.f, one.args)
    if without and not without.err then
      one.f.tried.calls = one.f.tried.calls + 1
      if without.seen ~= one.seen then
        note(state, tables, one.f, one.args, "what it gives depends on another tenant's row", false)
      end
    end
  end
end

--- Calls the functions. Each gets `tried`: {leak, changes, reproduce} or {calls = how many told something, refused = why none was made}.
---@param state rls.State   in an open transaction in which canaries of A and B are planted
---@param tables rls.Table[]  of tenants
---@param list table[]  functions
function calls.run(state, tables, list)
  local there, all = {}, {}
  for _, t in ipairs(tables) do
    if (state.maker.rows[state.b.key] or {})[t.oid] then there[#there + 1] = t end
  end
  state.conn:exec "set local track_counts = on"
  local pool_of, watched = pools(state, there), watch(state, there)
  state.session:as_application()
  state.session:set(state.session:of(state.a.key))
  watched.visible = visible(state, there)
  state.session:as_admin()
  local within = confined.new(state.conn, state.settings)
  for _, f in ipairs(list) do
    f.tried = f.tried or { calls = 0 }
    f.tried.refused = within:refused(f)
    local made = (f.tried.refused or f.tried.leak) and {} or with_theirs(state, there, f, pool_of, watched)
    table.move(made, 1, #made, #all + 1, all)
  end
  if #all == 0 then return end
  -- Once for all of them: the canaries of hundreds of tables take longer to remove than a function to call.
  state.conn:transaction(function()
    remove(state, there)
    without_theirs(state, there, all)
  end, { rollback = true })
end

--- Canaries of a tenant in every table that takes one; which refuse them the probe of the tables says.
---@param state rls.State
---@param tables rls.Table[]
function calls.plant(state, tables)
  local looked, refusal = pcall(state.maker.lookups, state.maker, { state.a, state.b })
  if not looked and attempts.is_fatal(refusal) then error(refusal, 0) end
  state.maker:rows_of(tables, { state.a, state.b })
  for _, t in ipairs(tables) do
    for _, who in ipairs { state.a, state.b } do
      local ok, raised = pcall(state.maker.row, state.maker, t, who)
      if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    end
  end
end

return calls
