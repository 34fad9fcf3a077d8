--- The probe: as the application with tenant A set, try to read, lock, write, move and delete tenant B's canaries.
--
-- A denial counts only as SQLSTATE 42501 or as zero rows, and only where the same statement succeeds for the row's own tenant (the positive
-- control). Without a grant or a permissive policy nobody may do it: then the denial is proven and needs no control. Everything happens in
-- transactions of the admin, which are rolled back: one for each axis and each batch of tables, on connections of their own.
local attempts = require "rls.attempts"
local axes = require "rls.axes"
local batches = require "rls.batches"
local calls = require "rls.calls"
local canary = require "rls.canary"
local catalogue = require "rls.catalogue"
local key_groups = require "rls.key_groups"
local keys = require "rls.keys"
local modes = require "rls.modes"
local names = require "rls.names"
local own_rows = require "rls.own_rows"
local probe_context = require "rls.probe_context"
local probe_rows = require "rls.probe_rows"
local probe_state = require "rls.probe_state"
local said = require "rls.said"
local session = require "rls.session"
local views = require "rls.views"

local probe = {}

--- So that two runs on one database do not meet: the lock's key is the first eight bytes of the SHA-256 of "gate-engine probe".
local LOCK = "set local lock_timeout = '60s'; select pg_advisory_xact_lock(-7698698874106400623); "

local PATIENCE = "set local lock_timeout = '5s'; "
-- What meets another batch is asked again.
local IMPATIENCE = "set local lock_timeout = '1s'; "

-- Any session may switch row_security on: where a default says off, queries that policies limit would only fail.
local BEGIN = "set local jit = off; set local row_security = on; set local statement_timeout = '60s'; set constraints all deferred; "
  -- PostgreSQL 14: a server whose client was killed notices it in the middle of a statement.
  .. "select set_config('client_connection_check_interval', '1s', true) "
  .. "where current_setting('client_connection_check_interval', true) is not null"

-- One row is made at once; a trigger that waits for something else would wait with each of its rows.
local SOON, LONG = "set local statement_timeout = '10s'", "set local statement_timeout = '60s'"

--- What a function raised is its table's error and no other's.
local function blame(s, t, raised)
  if attempts.is_fatal(raised) then error(raised, 0) end
  if raised.code == "canary_elsewhere" and s.apart then
    s.apart[#s.apart + 1] = t
    return
  end
  local refused = raised.code == "canary_refused" or raised.code == "canary_diverted"
    or (raised.code == "admin_right_missing" and raised.bound and not s.admin_bound)
  if refused and not s.bound then
    s.aside[#s.aside + 1], s.refusals[t.oid], s.results[t.oid] = t, raised.detail or raised.message, nil
    return
  end
  -- A detail of the server's holds keys and whole rows.
  local detail = not raised.sqlstate and raised.detail
  s:broken(t, said.of(s.conn, raised) .. (detail and (": " .. detail) or "") .. (raised.fix and ("; " .. raised.fix) or ""))
end

--- Runs fn(t) for each table. Returns those where nothing was raised.
local function each(s, tables, fn)
  local good = {}
  for _, t in ipairs(tables) do
    local ok, raised = pcall(fn, t)
    if ok then good[#good + 1] = t else blame(s, t, raised) end
  end
  return good
end

--- Canaries of tenants that are like A, and of nobody: where the policies' form does not prove that only the whole key counts.
local function plant_more(s, t)
  if not t.tenant or not s.maker.rows[s.a.key][t.oid] then return end
  if not catalogue.proven(t, s.settings, "SELECT") then
    for _, who in ipairs(s.alike) do
      local ok, raised = pcall(s.maker.row, s.maker, t, who)
      if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    end
  end
  s.nobodys[t.oid] = s.maker:nobodys(t, s.a)
end

--- How many rows there are of A, of B, and in all, as statements. An admin who is bound sees them with the tenant's session only.
local function counting(s, t)
  local function rows_of(where) return ("(select count(*) from (select 1 from %s%s) x)"):format(t.sql, where) end
  local a, b = rows_of(" where " .. s:owned_by(t, s.a)), rows_of(" where " .. s:owned_by(t, s.b))
  local all = rows_of((" limit %d"):format(s.max_rows + 1))
  if not s.bound then return { { ("select %s as a, %s as b, %s as n"):format(a, b, all) } } end
  local list = {}
  for column, who in pairs { a = s.a, b = s.b } do
    for _, p in ipairs(s.session:of(who.key)) do list[#list + 1] = { "select set_config($1, $2, true)", p[1], p[2] } end
    list[#list + 1] = { ("select %s as %s, %s as n"):format(column == "a" and a or b, column, all) }
  end
  return list
end

--- Most tables that are counted in one block.
local COUNTED = 100

--- Small tables are read once, many of them in one round trip. Returns the numbers of those that turned out to be small, by oid.
local function count_small(s, tables)
  local list, of, found = {}, {}, {}
  for _, t in ipairs(s.bound and {} or tables) do
    if t.estimate <= s.max_rows then
      of[#of + 1] = t
      list[#list + 1] = ("select pg_catalog.json_build_array(count(*) filter (where %s), count(*) filter (where %s), count(*)) "
        .. "from (select * from %s limit %d) x"):format(s:owned_by(t, s.a), s:owned_by(t, s.b), t.sql, s.max_rows + 1)
    end
  end
  for from = 1, #list, COUNTED do
    local part = table.move(list, from, math.min(from + COUNTED - 1, #list), 1, {})
    for i, row in ipairs(attempts.read(s.conn, part) or {}) do
      if row[3] <= s.max_rows then found[of[from + i - 1].oid] = { a = row[1], b = row[2], n = row[3] } end
    end
  end
  return found
end

--- Counts the rows of all tables in few round trips. Returns what keeps a table's numbers, or raises why there are none.
local function count(s, tables)
  local found, list, owner = count_small(s, tables), {}, {}
  for _, t in ipairs(tables) do
    for _, statement in ipairs(found[t.oid] and {} or counting(s, t)) do
      list[#list + 1] = statement
      owner[#list] = t.oid
    end
  end
  for i, o in ipairs(attempts.send(s.conn, list)) do
    local mine = found[owner[i]] or {}
    found[owner[i]] = mine
    mine.error = mine.error or o.error
    for _, column in ipairs { "a", "b", "n" } do mine[column] = o.ok and o.rows[1][column] or mine[column] end
  end
  return function(t)
    local n = found[t.oid]
    if n.error then error(n.error, 0) end
    s.owned[t.oid], s.owned_b[t.oid], s.sizes[t.oid] = n.a, n.b, n.n
    -- Who is bound by RLS cannot count: the planner's estimate may be old, but it knows of all rows.
    if s.admin_bound then s.sizes[t.oid] = math.max(n.n, t.estimate) end
  end
end

--- Canaries of both tenants in every table. Counted when all are there: a row of a parent is one of its partition too.
local function plant(s, tables)
  local open = {}
  for _, t in ipairs(tables) do
    if catalogue.closed(t) then s:proven(t, "all") else open[#open + 1] = t end
  end
  local ok, raised = pcall(s.maker.lookups, s.maker, { s.a, s.b })
  if not ok and tables[1] then blame(s, tables[1], raised) end
  s.conn:script(SOON)
  s.maker:rows_of(open, { s.a, s.b })
  local planted = each(s, open, function(t)
    s.maker:row(t, s.a)
    s.maker:row(t, s.b)
    if not catalogue.nobody_may(t, "insert") then s.inserts[t.oid] = { a = s.maker:another(t, s.a), b = s.maker:another(t, s.b) } end
    s:owned_by(t, s.a)
    s:owned_by(t, s.b)
  end)
  local unproven = {}
  for _, t in ipairs(planted) do
    if t.tenant and not catalogue.proven(t, s.settings, "SELECT") then unproven[#unproven + 1] = t end
  end
  s.maker:rows_of(unproven, s.alike)
  for _, t in ipairs(planted) do plant_more(s, t) end
  s.conn:script(LONG)
  return each(s, planted, count(s, planted))
end

--- Canaries of tables whose triggers refuse them while no tenant is set: a superuser makes them without triggers, for the one question
--- that can be asked only before a tenant was ever set in the session. Returns the tables where that was possible.
local function plant_untriggered(s)
  local planted = {}
  if #s.aside == 0 or not s.session.superuser then return planted end
  s.conn:script "set local session_replication_role = replica"
  s.maker.refused = {}
  for _, t in ipairs(s.aside) do
    local ok, raised = pcall(function()
      s.maker:row(t, s.a)
      s.maker:row(t, s.b)
      s:owned_by(t, s.a)
      s:owned_by(t, s.b)
    end)
    if ok then planted[#planted + 1] = t elseif attempts.is_fatal(raised) then error(raised, 0) end
  end
  s.conn:script "set local session_replication_role = origin"
  local counted, out = count(s, planted), {}
  for _, t in ipairs(planted) do
    if pcall(counted, t) then out[#out + 1] = t end
  end
  return out
end

--- COPY of what the application may read.
local function copy_sql(t)
  local list = {}
  for _, c in ipairs(t.columns) do
    if ((t.columns_of or {}).select or {})[c.name] then list[#list + 1] = names.ident(c.name) end
  end
  return ("copy %s%s to stdout"):format(t.sql, #list > 0 and " (" .. table.concat(list, ", ") .. ")" or "")
end

--- What COPY writes of tables, each as its number of lines; nil where it is refused.
local function copied(s, tables)
  local out = {}
  local function copy(list)
    return pcall(s.conn.transaction, s.conn, function()
      for _, t in ipairs(list) do
        local _, lines = s.conn:copy_out(copy_sql(t)):gsub("\n", "")
        out[t.oid] = lines
      end
    end, { rollback = true })
  end
  local function one_by_one(ok, raised)
    if ok then return end
    if attempts.is_fatal(raised) then error(raised, 0) end
    for _, t in ipairs(tables) do
      out[t.oid] = nil
      ok, raised = copy { t }
      if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    end
  end
  one_by_one(copy(tables))
  return out
end

--- COPY reads a table by its name alone, without the rows of its children: what it writes is as many rows as A may see. What SELECT is
--- known to show is not asked for again.
local function copy_out(s, tables)
  local some, read, list = {}, {}, {}
  for _, t in ipairs(tables) do
    if not (catalogue.nobody_may(t, "select") or not s:is_small(t) or t.kind == "p" or catalogue.proven(t, s.settings, "SELECT")
      or s:leaks(t, "select")) then
      local r = probe_state.result(s.results, t)
      r.statements = r.statements + 1
      some[#some + 1] = t
    end
  end
  local lines = copied(s, some)
  for _, t in ipairs(some) do
    if (lines[t.oid] or 0) > 0 then
      read[#read + 1], list[#list + 1] = t, { ("select count(*) as n from only %s"):format(t.sql) }
    end
  end
  local seen = {}
  for i, o in ipairs(attempts.send(s.conn, list)) do seen[read[i].oid] = o end
  each(s, read, function(t)
    local o = seen[t.oid]
    if not o.ok then error(o.error, 0) end
    if lines[t.oid] > o.rows[1].n then
      s:leak(t, "select", "COPY writes rows that SELECT does not show", copy_sql(t))
    end
  end)
end

local function run(s, tables)
  s.conn:script((s.locked and "" or LOCK) .. (s.alone and PATIENCE or IMPATIENCE) .. BEGIN)
  local probed = plant(s, tables)
  local untriggered = plant_untriggered(s)
  if #probed == 0 and #untriggered == 0 then return end
  s.session:as_application()
  local function failed(t, raised) blame(s, t, raised) end
  s.runner:each(probed, function(t) probe_context.absent(s, t) end, failed)
  s.runner:each(untriggered, function(t)
    probe_context.absent(s, t)
    s.looked[t.oid] = true
  end, failed)
  s.session:set(s.session:of(s.a.key))
  s.runner:each(probed, function(t) probe_context.malformed(s, t) end, failed)
  s.runner:each(probed, function(t) probe_rows.run(s, t) end, failed)
  s.runner:each(probed, function(t) probe_context.escapes(s, t) end, failed)
  copy_out(s, probed)
  s.session:as_admin()
end

--- What is the same for all transactions of one axis and the tables that one kind of keys fits.
local function prepare(conn, axis, group, options)
  local list = axes.list(options.settings)
  return { axis = axis, columns = group.columns, keys = group.keys, apart = {}, trust = options.trust or {},
    covers = options.covers or {}, functions = probe_context.functions(conn),
    defaults = probe_context.defaults(conn, options.role, axis), tenant_settings = axes.settings(list),
    version = conn:value "select current_setting('server_version_num')::integer" }
end

--- What a transaction needs: invented tenants with canaries, one without, and who is who on the connection.
local function new_state(conn, common, by_oid, options, results, with_context)
  local who = session.new(conn, common.axis, options)
  said.know(conn, common.functions)
  local alike = {}
  for i, key in ipairs(common.keys.alike) do alike[i] = { key = key } end
  local maker = canary.maker(conn, by_oid, options.settings, with_context and who or nil, common.own)
  -- A trigger that refuses a row although the tenant is set refuses it for what it is.
  maker.superuser, maker.untriggered = options.superuser, options.superuser and with_context
  return probe_state.new { conn = conn, axis = common.axis, session = who, results = results, settings = options.settings,
    role = options.role, max_rows = options.max_rows, bound = with_context, admin_bound = not options.bypass,
    runner = attempts.runner(conn, who.back), maker = maker,
    a = { key = common.keys.a }, b = { key = common.keys.b }, c = common.keys.c and { key = common.keys.c } or nil, alike = alike,
    apart = common.apart and {}, locked = common.locked, functions = common.functions, defaults = common.defaults,
    tenant_settings = common.tenant_settings, version = common.version, trust = common.trust, covers = common.covers,
    owned = {}, owned_b = {}, sizes = {}, inserts = {}, nobodys = {}, everybodys = {}, unset = {}, escapes = {}, foreseen = {},
    aside = {}, refusals = {}, looked = {} }
end

--- Adds what a batch found to what was found before.
local function keep(results, mine)
  for oid, r in pairs(mine) do
    local all = results[oid]
    if not all then
      results[oid] = r
    else
      for _, list in ipairs { "leaks", "errors", "proven" } do table.move(r[list], 1, #r[list], #all[list] + 1, all[list]) end
      for _, set in ipairs { "controlled", "uncontrolled" } do
        for op, value in pairs(r[set]) do all[set][op] = all[set][op] or value end
      end
      all.controls, all.statements = all.controls + r.controls, all.statements + r.statements
    end
  end
end

--- One batch: in a transaction without the tenant's setting, and the tables whose canaries are refused without it in a second one with
--- it. Returns the state it ended with. alone: no other batch is under way; else attempts.MET is raised where it met one, and nothing
--- is kept.
local function probe_batch(open, common, tables, by_oid, options, results, alone)
  local opened, conn = pcall(open)
  -- A second connection may be one too many.
  if not opened then error(alone and conn or attempts.MET, 0) end
  if not alone then attempts.give_way(conn) end
  local mine, apart, s = {}, {}, nil
  for _, with_context in ipairs { not options.bypass, true } do
    local before = s
    s = new_state(conn, common, by_oid, options, mine, with_context)
    s.alone = alone
    if before then s.looked, s.unset, s.refusals = before.looked, before.unset, before.refusals end
    conn:transaction(function() run(s, before and before.aside or tables) end, { rollback = true })
    table.move(s.apart or {}, 1, #(s.apart or {}), #apart + 1, apart)
    if #s.aside == 0 then break end
  end
  keep(results, mine)
  if common.apart then table.move(apart, 1, #apart, #common.apart + 1, common.apart) end
  conn:close()
  return s
end

--- Partitions by the tenant column which take no row of the tenants that were invented: each is probed with tenants of its own.
local function probe_apart(open, common, by_oid, options, results)
  local tables, done = common.apart, {}
  common.apart = nil
  for _, t in ipairs(tables) do
    if not done[t.oid] then
      done[t.oid] = true
      local conn = open()
      local found = keys.of_partition(conn, common.columns, t)
      conn:close()
      local own = setmetatable({ keys = found or common.keys }, { __index = common })
      probe_batch(open, own, { t }, by_oid, options, results, true)
    end
  end
end

local function is_open(r)
  for op in pairs(r and r.uncontrolled or {}) do
    if not r.controlled[op] then return true end
  end
  return false
end

--- Most tables that are probed once more.
local AGAIN = 100

--- Tables whose own canaries nobody reached, in no axis' session: once more, with rows that their policies show. The search for such rows
--- costs more than the probe, and few tables need it.
local function probe_again(open, groups, options, results)
  for _, g in ipairs(groups) do
    local again = {}
    for _, t in ipairs(g.tables) do
      if is_open(results[t.oid]) and #again < AGAIN then again[#again + 1] = t end
    end
    if #again > 0 then
      local own = own_rows.new(open, g.common.axis, options)
      for from = 1, #again, options.batch do
        local part = table.move(again, from, math.min(from + options.batch - 1, #again), 1, {})
        probe_batch(open, setmetatable({ own = own }, { __index = g.common }), part, g.by_oid, options, results, true)
      end
      own:close()
    end
  end
end

--- A control that failed in one axis is none where another axis' session did it.
local function settle(results)
  for _, r in pairs(results) do
    for op, text in pairs(r.uncontrolled) do
      if not r.controlled[op] then r.errors[#r.errors + 1] = text end
    end
    local seen, kept = {}, {}
    for _, text in ipairs(r.errors) do
      if not seen[text] then kept[#kept + 1] = text end
      seen[text] = true
    end
    r.errors = kept
  end
end

--- Where the sequences are, which no rollback sets back.
---@param conn table
---@return table<string, integer> last values, by quoted name
function probe.sequences(conn)
  local out = {}
  for _, row in ipairs(conn:query "select format('%I.%I', schemaname, sequencename) as name, last_value from pg_sequences") do
    out[row.name] = row.last_value or 0
  end
  return out
end

--- Sequences that are further than they were, sorted.
local function advanced(before, after)
  local out = {}
  for name, value in pairs(after) do
    if before[name] and value ~= before[name] then out[#out + 1] = name end
  end
  table.sort(out)
  return out
end

--- What is the same for all batches of a lane: each lane has invented tenants of its own, since two may not insert the same key.
local function lanes_of(conn, common, tables, options)
  local commons = { common }
  for i = 2, options.alone and 1 or batches.lanes(tables) do
    commons[i] = setmetatable({ keys = keys.make(conn, common.columns) }, { __index = common })
  end
  return batches.are_apart(commons) and commons or { common }
end

--- Runs fn. Where batches are probed side by side the lock is no batch's own: one transaction has it for all of them.
local function exclusively(conn, common, side_by_side, fn)
  if not side_by_side then return fn() end
  conn:transaction(function()
    conn:script(LOCK .. "set local idle_in_transaction_session_timeout = 0")
    common.locked = true
    fn()
    common.locked = nil
  end, { rollback = true })
end

--- Calls functions of which nobody could decide what they reach, where the admin may take B's canaries away again.
local function call_functions(open, common, mine, of_axis, options, results)
  local list = options.functions or {}
  if #list == 0 or not options.superuser then return end
  local conn = open()
  local s = new_state(conn, common, of_axis, options, results, false)
  conn:transaction(function()
    conn:script(LOCK .. PATIENCE .. BEGIN)
    calls.plant(s, mine)
    calls.run(s, mine, list)
  end, { rollback = true })
  conn:close()
end

--- The views, once all tables were probed.
local function probe_views(open, common, mine, of_axis, view_list, options, results, with_context)
  if #view_list == 0 then return end
  local conn = open()
  local s = new_state(conn, common, of_axis, options, results, with_context)
  conn:transaction(function()
    conn:script(LOCK .. PATIENCE .. BEGIN)
    views.run(s, mine, view_list)
  end, { rollback = true })
  conn:close()
end

--- No tenants can be invented for what a group's column takes: its tables, and the views over them, are undecided.
local function give_up(group, view_list, results)
  local raised = group.raised
  local text = ("%s: %s; %s"):format(raised.message, raised.detail, raised.fix)
  for _, list in ipairs { group.tables, view_list } do
    for _, t in ipairs(list) do
      local r = probe_state.result(results, t)
      if catalogue.closed(t) then r.proven[#r.proven + 1] = "all" else r.errors[#r.errors + 1] = text end
    end
  end
end

--- The tables of one axis whose columns take the same keys. Returns what was the same for their transactions.
local function probe_group(open, watcher, axis, group, of_axis, view_list, options, results)
  if not group.keys then
    give_up(group, view_list, results)
    return nil
  end
  local mine, common, commons, parts = group.tables, nil, nil, nil
  watcher:transaction(function()
    watcher:script "set local jit = off"
    common = prepare(watcher, axis, group, options)
    commons = lanes_of(watcher, common, mine, options)
    parts = batches.cut(watcher, mine, options.batch, #commons)
  end, { rollback = true })
  local with_context = not options.bypass
  local function probe_one(own, part, alone)
    local s = probe_batch(open, own, part, of_axis, options, results, alone)
    with_context = with_context or s.bound
  end
  exclusively(watcher, common, #commons > 1 and #parts > 1, function() batches.each(parts, commons, probe_one) end)
  probe_apart(open, common, of_axis, options, results)
  call_functions(open, common, mine, of_axis, options, results)
  probe_views(open, common, mine, of_axis, view_list, options, results, with_context)
  return common
end

--- Probes all tables, and then the views, in transactions that are rolled back whatever happens.
---@param open fun(): table  a fresh connection of the admin: no tenant was ever set in its session
---@param tables rls.Table[] base tables of tenants
---@param view_list rls.Table[]
---@param by_oid table
---@param options {settings: table, role: string, superuser: boolean, bypass: boolean, max_rows: integer, batch: integer,
---  alone: boolean?, functions: table[]?, sequences: table?}  alone: open gives always the same connection; functions: to be called
---  (rls.calls); sequences: as probe.sequences gave them before
---@return table<string, rls.Result> results by oid
---@return string[] sequences  that went on: what the rollback leaves behind
function probe.run(open, tables, view_list, by_oid, options)
  local mode = (options.settings.probe or {}).mode
  if mode == "static" or mode == "read" then return modes.results(open, tables, view_list, options, mode), {} end
  local results, probed = {}, {}
  local list = axes.list(options.settings)
  local watcher = open()
  local before = options.sequences or probe.sequences(watcher)
  for _, axis in ipairs(list) do
    local mine, of_axis = tables, by_oid
    if #list > 1 then mine, of_axis = axes.view(axis, tables, by_oid) end
    if #mine > 0 then
      local groups
      watcher:transaction(function() groups = key_groups.cut(watcher, mine, of_axis) end, { rollback = true })
      for i, group in ipairs(groups) do
        local common = probe_group(open, watcher, axis, group, of_axis, key_groups.views(view_list, groups, i), options, results)
        if common then probed[#probed + 1] = { common = common, tables = group.tables, by_oid = of_axis } end
      end
    end
  end
  probe_again(open, probed, options, results)
  settle(results)
  local left = advanced(before, probe.sequences(watcher))
  watcher:close()
  return results, left
end

return probe
