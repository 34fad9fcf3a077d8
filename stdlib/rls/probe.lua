--- The probe: as the application with tenant A set, try to read, write, move and delete tenant B's canaries.
--
-- A denial counts only as SQLSTATE 42501 or as zero rows, and only where the same statement succeeds for the row's own tenant (the positive
-- control). Without a grant or a permissive policy nobody may do it: then the denial is proven and needs no control. Everything happens in
-- one transaction of the admin, which is rolled back.
local canary = require "rls.canary"
local catalogue = require "rls.catalogue"
local errors = require "errors"
local modes = require "rls.modes"
local names = require "rls.names"
local views = require "rls.views"

local probe = {}

--- What a probe of one table found: {leaks = {{op, detail, reproduce}}, errors = {text}, proven = {op}, controls = n}
local function result_for(results, t)
  results[t.oid] = results[t.oid] or { table = t, leaks = {}, errors = {}, proven = {}, controls = 0, statements = 0 }
  return results[t.oid]
end

--- Runs a statement whose effect is undone. {ok, affected, rows} or {err}.
local function attempt(state, t, sql)
  local r = result_for(state.results, t)
  r.statements = r.statements + 1
  local out
  state.conn:transaction(function()
    local ok, a, rows = state.conn:try(sql)
    out = ok and { ok = true, affected = a, rows = rows } or { ok = false, err = a }
  end, { rollback = true })
  return out
end

local function reproduce(state, sql)
  return ("begin;\nset local role %s;\nselect set_config(%s, '<tenant A>', true);\n%s;\nrollback;"):format(
    names.ident(state.role), names.literal(state.settings.tenant.setting), sql)
end

local function leak(state, t, op, detail, sql)
  local r = result_for(state.results, t)
  r.leaks[#r.leaks + 1] = { op = op, detail = detail, reproduce = sql and reproduce(state, sql) or nil }
end

local function broken(state, t, text)
  local r = result_for(state.results, t)
  r.errors[#r.errors + 1] = text
end

local function denied(out)
  return not out.ok and out.err.sqlstate == "42501"
end

--- The rows of a tenant, in SQL. A child without the column is found by its canary's keys.
local function owned_by(state, t, who)
  if t.tenant then return ("%s::text = %s"):format(names.ident(t.tenant), names.literal(who.key)) end
  local row = state.maker.rows[who.key][t.oid].row
  local function by(columns)
    local parts = {}
    for _, column in ipairs(columns) do
      local literal = canary.literal(row[column])
      if literal == "NULL" then return nil end
      parts[#parts + 1] = ("%s = %s::%s"):format(names.ident(column), literal, t.by_column[column].type)
    end
    return #parts > 0 and table.concat(parts, " and ") or nil
  end
  for _, key in ipairs(t.uniques) do
    local where = by(key.columns)
    if where then return where end
  end
  local where = t.parent_key and by(t.parent_key.columns)
  return where or errors.raise { code = "canary_without_key",
    message = ("%s has no unique key by which its canary could be found"):format(t.label),
    fix = "add a primary key, or the tenant column" }
end

local function nobody_may(t, op) return catalogue.nobody_may(t, op) end

local function no_rows(out) return out.ok and out.affected == 0 end

local function class_of(out) return out.err and out.err.sqlstate and out.err.sqlstate:sub(1, 2) end

--- An error of a constraint or of a trigger's RAISE says that a row was reached: policies hide rows before either sees them. A trigger of
--- the statement raises for the other tenant too, which is no denial.
local function reached(out)
  return (out.ok and out.affected > 0) or class_of(out) == "23" or class_of(out) == "P0"
end

--- One statement form with its control: own must reach a row of A, foreign must reach none of B. shown: what to paste.
local function try_form(state, t, op, own, foreign, shown)
  local r = result_for(state.results, t)
  local control = attempt(state, t, own)
  if not reached(control) then
    local why = control.ok and "the own tenant's row was not reached" or control.err.message
    broken(state, t, ("%s: the positive control failed: %s"):format(op, why))
    return
  end
  r.controls = r.controls + 1
  local out = attempt(state, t, foreign)
  if out.ok and out.affected > 0 then
    leak(state, t, op, ("%s reaches %d row(s) of another tenant"):format(op, out.affected), shown)
  elseif class_of(out) == "23" then
    leak(state, t, op, ("%s of another tenant's row passes the policies; only a constraint stops it: %s"):format(op, out.err.message),
      shown)
  elseif not denied(out) and not no_rows(out) then
    broken(state, t, ("%s: expected zero rows or SQLSTATE 42501, got %s"):format(op, out.err and out.err.message or "?"))
  end
end

--- Rows that are not A's, for a statement to paste.
local function others(t)
  return t.tenant and (" where %s::text <> '<tenant A>'"):format(names.ident(t.tenant)) or ""
end

local function proven(state, t, op)
  local r = result_for(state.results, t)
  r.proven[#r.proven + 1] = op
end

local function select_probe(state, t)
  if nobody_may(t, "select") then return proven(state, t, "select") end
  local function form(who) return ("select 1 from %s where %s limit 5"):format(t.sql, owned_by(state, t, who)) end
  try_form(state, t, "select", form(state.a), form(state.b), ("select * from %s%s limit 5"):format(t.sql, others(t)))
end

--- What an UPDATE may set without changing an own row: the tenant's column, else one the application may set.
---@return string|nil column, fun(who: table): string|nil literal
local function update_column(state, t)
  if t.tenant and t.by_column[t.tenant].may_update and not t.by_column[t.tenant].generated then
    return names.ident(t.tenant), function(who) return names.literal(who.key) end
  end
  local row = state.maker.rows[state.a.key][t.oid].row
  for _, c in ipairs(t.columns) do
    if c.may_update and not c.generated and c.identity ~= "a" then
      local value = c.category == "A" and "'{}'" or canary.literal(row[c.name])
      return names.ident(c.name), function() return value end
    end
  end
  return nil
end

--- Blind writes find what `where tenant_id = B` cannot: a statement that reads no column is not bound by the SELECT policies. They touch
--- every row they can, so only small tables. Where the own rows alone may be the reason of an error, a third tenant, who has no row,
--- asks again: it must reach nothing.
local function blind(state, t, op, form)
  if state.sizes[t.oid] > state.max_rows then
    if not catalogue.proven(t, state.settings, op:upper()) then
      broken(state, t, ("blind %s: the table has more than %d rows (database.probe.max_rows) and its policies are not proven")
        :format(op, state.max_rows))
    end
    return
  end
  local out, own = attempt(state, t, form(state.a)), state.owned[t.oid]
  if not out.ok then
    state.set_tenant(state.c.key)
    out, own = attempt(state, t, form(state.c)), 0
    state.set_tenant(state.a.key)
  end
  local shown = form { key = "<tenant A>" }
  if out.ok and out.affected > own then
    leak(state, t, op, ("a blind %s reaches %d row(s), %d of them of other tenants"):format(op, out.affected, out.affected - own), shown)
  elseif class_of(out) == "23" then
    leak(state, t, op, ("a blind %s reaches rows of other tenants; only a constraint stops it: %s"):format(op, out.err.message), shown)
  elseif not out.ok and not (denied(out) and out.err.message:find("row-level security", 1, true)) then
    broken(state, t, ("blind %s: %s"):format(op, out.err.message))
  end
end

--- A row given to another tenant, or a child given to another tenant's parent. Without WHERE the SELECT policies do not look at the
--- new row.
local function move_probe(state, t)
  local set
  if t.tenant then
    if not t.by_column[t.tenant].may_update then return end
    set = ("%s = %s"):format(names.ident(t.tenant), names.literal(state.b.key))
  elseif t.parent_key then
    local row, parts = state.maker.rows[state.b.key][t.oid].row, {}
    for _, column in ipairs(t.parent_key.columns) do
      if not t.by_column[column].may_update then return end
      parts[#parts + 1] = ("%s = %s"):format(names.ident(column), canary.literal(row[column]))
    end
    set = table.concat(parts, ", ")
  else
    return
  end
  local forms = { ("update %s set %s where %s"):format(t.sql, set, owned_by(state, t, state.a)) }
  if state.sizes[t.oid] <= state.max_rows then forms[2] = ("update %s set %s"):format(t.sql, set) end
  for _, sql in ipairs(forms) do
    local out = attempt(state, t, sql)
    if (out.ok and out.affected > 0) or class_of(out) == "23" then
      leak(state, t, "update", "an own row can be moved to another tenant", sql)
      return
    elseif not out.ok and not denied(out) then
      broken(state, t, "moving a row: expected SQLSTATE 42501, got " .. out.err.message)
      return
    end
  end
end

local function update_probe(state, t)
  if nobody_may(t, "update") then return proven(state, t, "update") end
  local column, value = update_column(state, t)
  if not column then return proven(state, t, "update") end
  local function form(who, set)
    return ("update %s set %s = %s where %s"):format(t.sql, column, value(set), owned_by(state, t, who))
  end
  local shown = ("update %s set %s = %s%s"):format(t.sql, column, value { key = "<tenant A>" }, others(t))
  -- To change a row in place and to take it: a policy may stop one of them only.
  try_form(state, t, "update", form(state.a, state.a), form(state.b, state.b), shown)
  if t.tenant then try_form(state, t, "update", form(state.a, state.a), form(state.b, state.a), shown) end
  blind(state, t, "update", function(who) return ("update %s set %s = %s"):format(t.sql, column, value(who)) end)
  move_probe(state, t)
end

local function delete_probe(state, t)
  if nobody_may(t, "delete") then return proven(state, t, "delete") end
  local function form(who) return ("delete from %s where %s"):format(t.sql, owned_by(state, t, who)) end
  try_form(state, t, "delete", form(state.a), form(state.b), ("delete from %s%s"):format(t.sql, others(t)))
  blind(state, t, "delete", function() return "delete from " .. t.sql end)
end

--- After an INSERT for B that was not refused: is there one more row of B? A trigger may have given it to its own tenant.
local function arrived(state, t)
  if not t.tenant then return true end
  local seen
  state.conn:transaction(function()
    state.conn:try(state.inserts[t.oid].b)
    state.as_admin()
    if state.enter then state.enter(state.b) end
    seen = state.conn:value(("select count(*) from %s where %s"):format(t.sql, owned_by(state, t, state.b)))
  end, { rollback = true })
  return state.owned_b[t.oid] == 0 or seen > state.owned_b[t.oid]
end

local function insert_probe(state, t)
  if nobody_may(t, "insert") then return proven(state, t, "insert") end
  local r = result_for(state.results, t)
  local control = attempt(state, t, state.inserts[t.oid].a)
  if not control.ok then
    broken(state, t, "insert: the positive control failed: " .. control.err.message)
    return
  end
  r.controls = r.controls + 1
  local out = attempt(state, t, state.inserts[t.oid].b)
  if out.ok then
    if arrived(state, t) then leak(state, t, "insert", "a row of another tenant can be inserted", state.inserts[t.oid].b) end
  elseif class_of(out) == "23" then
    leak(state, t, "insert", "a row of another tenant passes the policies; only a constraint stops it: " .. out.err.message,
      state.inserts[t.oid].b)
  elseif not denied(out) then
    broken(state, t, "insert: expected SQLSTATE 42501, got " .. out.err.message)
  end
end

--- Settings other than the tenant's that a policy tests: the application may set each of them to what the policy wants to hear.
local function escapes(state, t)
  local list = {}
  for _, p in ipairs(t.policies) do
    for _, expression in ipairs(p.permissive and p.applies and { p.using or "", p.check or "" } or {}) do
      local settings, literals, pairwise, last = {}, { ["true"] = true, on = true, ["1"] = true }, {}, nil
      for text in expression:gmatch "'([^']*)'" do
        if expression:find("current_setting('" .. text .. "'", 1, true) then
          last = text ~= state.settings.tenant.setting and text or nil
          if last then settings[#settings + 1] = last end
        else
          literals[text] = true
          if last then pairwise[last] = pairwise[last] or text end
        end
      end
      if next(pairwise) then list[#list + 1] = pairwise end
      for literal in pairs(#settings > 0 and literals or {}) do
        local case = {}
        for _, name in ipairs(settings) do case[name] = literal end
        list[#list + 1] = case
      end
    end
  end
  return list
end

local function describe(case)
  local parts = {}
  for name, value in pairs(case) do parts[#parts + 1] = ("%s = %q"):format(name, value) end
  table.sort(parts)
  return table.concat(parts, " and ")
end

--- With other settings than the tenant's at what a policy tests, B's rows must stay as far away.
local function escape_probe(state, t)
  for _, case in ipairs(escapes(state, t)) do
    local before = {}
    for name, value in pairs(case) do
      before[name] = state.conn:value("select coalesce(current_setting($1, true), '')", name)
      state.conn:try("select set_config($1, $2, true)", name, value)
    end
    -- Writes are blind, where the table is small: with WHERE the SELECT policy would apply to them too.
    local small, own = state.sizes[t.oid] <= state.max_rows, state.owned[t.oid]
    local column, literal = update_column(state, t)
    local where = owned_by(state, t, state.b)
    local forms = { select = ("select 1 from %s where %s limit 5"):format(t.sql, where),
      insert = state.inserts[t.oid] and state.inserts[t.oid].b,
      update = column
        and ("update %s set %s = %s%s"):format(t.sql, column, literal(state.a), small and "" or " where " .. where),
      delete = "delete from " .. t.sql .. (small and "" or " where " .. where) }
    for _, op in ipairs { "select", "update", "delete", "insert" } do
      local out = forms[op] and not nobody_may(t, op) and attempt(state, t, forms[op])
      local allowed = small and (op == "update" or op == "delete") and own or 0
      -- The own rows' children may be the reason of an error: a third tenant, who has none, asks again.
      if out and not out.ok and allowed > 0 then
        state.set_tenant(state.c.key)
        out, allowed = attempt(state, t, forms[op]), 0
        state.set_tenant(state.a.key)
      end
      if out and ((out.ok and out.affected > allowed) or class_of(out) == "23") then
        leak(state, t, op, ("%s reaches another tenant's rows once the application sets %s"):format(op, describe(case)), forms[op])
        break
      end
    end
    for name, value in pairs(before) do state.conn:try("select set_config($1, $2, true)", name, value) end
  end
end

--- Without, with an empty and with a malformed tenant nothing of A or B may be seen.
local function context_probe(state, t, what)
  if nobody_may(t, "select") then return end
  local sql = ("select 1 from %s where (%s) or (%s) limit 5"):format(t.sql, owned_by(state, t, state.a), owned_by(state, t, state.b))
  local out = attempt(state, t, sql)
  if out.ok and out.affected > 0 then
    leak(state, t, "select", ("rows are visible with the tenant setting %s"):format(what), ("select * from %s limit 5"):format(t.sql))
  elseif not out.ok and not denied(out) and class_of(out) ~= "22" and out.err.sqlstate ~= "42704" then
    broken(state, t, ("select with the tenant setting %s: %s"):format(what, out.err.message))
  end
end

--- Unset comes first: after any set_config of this session the setting reads as '' even when it was rolled back. Where the canaries
--- needed the setting, the form of the policies must answer instead.
local function absent_probe(state, t)
  if not state.enter then
    context_probe(state, t, "absent")
  elseif not nobody_may(t, "select") and not catalogue.proven(t, state.settings, "SELECT") then
    broken(state, t, "select without a tenant setting could not be tried: the canaries need it set, and the policies are not of a form "
      .. "that proves it; let database.admin be a superuser or a role with BYPASSRLS")
  end
end

local function count(state, t, where)
  local ok, a, rows = state.conn:try(("select count(*) as n from (select 1 from %s%s) x"):format(t.sql, where))
  if not ok then error(a, 0) end
  return rows[1].n
end

--- Runs fn(t) for each table; what it raises is that table's error and no other's.
local function each(state, tables, fn)
  local good = {}
  for _, t in ipairs(tables) do
    local ok, raised = pcall(fn, t)
    if ok then
      good[#good + 1] = t
    elseif errors.is(raised) and raised.code ~= "db_lost" and raised.code ~= "db_closed" then
      broken(state, t, raised.message .. (raised.detail and (": " .. raised.detail) or "") .. (raised.fix and ("; " .. raised.fix) or ""))
      state.refused = state.refused or raised.code == "canary_refused" or raised.code == "canary_diverted"
    else
      error(raised, 0)
    end
  end
  return good
end

--- Canaries of both tenants in every table. Counted when all are there: a row of a parent is one of its partition too.
local function plant(state, tables)
  local open = {}
  for _, t in ipairs(tables) do
    if catalogue.closed(t) then proven(state, t, "all") else open[#open + 1] = t end
  end
  local planted = each(state, open, function(t)
    state.maker:row(t, state.a)
    state.maker:row(t, state.b)
    if not nobody_may(t, "insert") then
      state.inserts[t.oid] = { a = state.maker:another(t, state.a), b = state.maker:another(t, state.b) }
    end
  end)
  return each(state, planted, function(t)
    if state.enter then state.enter(state.a) end
    state.owned[t.oid] = count(state, t, " where " .. owned_by(state, t, state.a))
    if state.enter then state.enter(state.b) end
    state.owned_b[t.oid] = count(state, t, " where " .. owned_by(state, t, state.b))
    state.sizes[t.oid] = count(state, t, (" limit %d"):format(state.max_rows + 1))
    -- Who is bound by RLS cannot count: the planner's estimate may be old, but it knows of all rows.
    if state.enter then state.sizes[t.oid] = math.max(state.sizes[t.oid], t.estimate) end
  end)
end

local function run(state, tables)
  state.conn:script("set local lock_timeout = '5s'; set local statement_timeout = '60s'")
  local probed = plant(state, tables)
  if #probed == 0 or (state.refused and not state.enter) then return end
  state.as_application()
  for _, t in ipairs(probed) do absent_probe(state, t) end
  for _, case in ipairs { { "", "empty" }, { "not a tenant", "malformed" }, { "%", "a pattern" } } do
    state.set_tenant(case[1])
    for _, t in ipairs(probed) do context_probe(state, t, case[2]) end
  end
  state.set_tenant(state.a.key)
  for _, t in ipairs(probed) do
    select_probe(state, t)
    update_probe(state, t)
    delete_probe(state, t)
    insert_probe(state, t)
  end
  for _, t in ipairs(probed) do escape_probe(state, t) end
  state.as_admin()
end

--- What a probe needs: two invented tenants with canaries, a third without, and who is who on the connection.
---@param conn table
---@param tables rls.Table[]
---@param by_oid table
---@param options {settings: table, role: string, superuser: boolean, bypass: boolean, max_rows: integer}
---@param with_context boolean  set the tenant before each canary of it
local function new_state(conn, tables, by_oid, options, with_context)
  local columns = {}
  for _, t in ipairs(tables) do
    if t.tenant then columns[#columns + 1] = t.by_column[t.tenant] end
  end
  local keys = canary.keys(columns, 3)
  local state = { conn = conn, results = {}, inserts = {}, owned = {}, owned_b = {}, sizes = {}, settings = options.settings,
    role = options.role, max_rows = options.max_rows, a = { key = keys[1] }, b = { key = keys[2] }, c = { key = keys[3] } }
  function state.set_tenant(value) conn:value("select set_config($1, $2, true)", options.settings.tenant.setting, value) end
  function state.as_application()
    local ok, raised = conn:try(("set local %s %s"):format(options.superuser and "session authorization" or "role",
      names.ident(options.role)))
    if ok then return end
    errors.raise { code = "admin_right_missing", message = "database.admin may not become the application's role " .. options.role,
      detail = raised.message,
      fix = ("GRANT %s TO the role of database.admin, or let it be a superuser"):format(names.ident(options.role)) }
  end
  function state.as_admin()
    conn:exec(options.superuser and "set local session authorization default" or "reset role")
  end
  if with_context then
    function state.enter(who) state.set_tenant(who.key) end
  end
  state.maker = canary.maker(conn, by_oid, options.settings, state.enter)
  return state
end

--- Probes all tables, and then the views, each in one transaction that is rolled back whatever happens.
---@param open fun(): table  a fresh connection of the admin: no tenant was ever set in its session
---@param tables rls.Table[] base tables of tenants
---@param view_list rls.Table[]
---@param by_oid table
---@param options {settings: table, role: string, superuser: boolean, bypass: boolean, max_rows: integer}
---@return table results by oid
function probe.run(open, tables, view_list, by_oid, options)
  local mode = (options.settings.probe or {}).mode
  if mode == "static" or mode == "read" then return modes.results(open, tables, view_list, options, mode) end
  local conn, state = open(), nil
  for _, with_context in ipairs { not options.bypass, true } do
    state = new_state(conn, tables, by_oid, options, with_context)
    conn:transaction(function() run(state, tables) end, { rollback = true })
    -- A trigger that takes the tenant from the setting refuses canaries without it: then once more, with it.
    if with_context or not state.refused then break end
  end
  local results = state.results
  if #view_list > 0 then
    state = new_state(conn, tables, by_oid, options, not options.bypass or state.enter ~= nil)
    state.results = results
    conn:transaction(function() views.run(state, tables, view_list, result_for) end, { rollback = true })
  end
  conn:close()
  return results
end

return probe
