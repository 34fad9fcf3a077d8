--- The probe: as the application with tenant A set, try to read, write, move and delete tenant B's canaries.
--
-- A denial counts only as SQLSTATE 42501 or as zero rows, and only where the same statement succeeds for the row's own tenant (the positive
-- control). Without a grant or a permissive policy nobody may do it: then the denial is proven and needs no control. Everything happens in
-- one transaction of the admin, which is rolled back.
local canary = require "rls.canary"
local catalogue = require "rls.catalogue"
local errors = require "errors"
local names = require "rls.names"

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

local function is_base(t) return t.kind == "r" or t.kind == "p" end

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
  local parts = {}
  local key = t.uniques[1]
  for _, column in ipairs(key and key.columns or t.parent_key.columns) do
    parts[#parts + 1] = ("%s::text = %s"):format(names.ident(column), names.literal(tostring(row[column])))
  end
  return table.concat(parts, " and ")
end

--- May the application do it at all? Without a grant, or under RLS without a permissive policy, the denial is proven.
local function nobody_may(t, op)
  if not t.may[op] then return true end
  return t.rls and not t.app_owns and #catalogue.permissive(t, op:upper()) == 0
end

local function no_rows(out)
  return out.ok and out.affected == 0
end

--- One statement form with its control: sql(who) for A must reach a row, for B it must not.
local function try_form(state, t, op, form)
  local r = result_for(state.results, t)
  if nobody_may(t, op) then
    r.proven[#r.proven + 1] = op
    return
  end
  local control = attempt(state, t, form(state.a))
  -- A foreign key that forbids the change says that the row was reached.
  local reached = (control.ok and control.affected > 0) or (not control.ok and control.err.sqlstate == "23503")
  if not reached then
    local why = control.ok and "the own tenant's row was not reached" or control.err.message
    broken(state, t, ("%s: the positive control failed: %s"):format(op, why))
    return
  end
  r.controls = r.controls + 1
  local out = attempt(state, t, form(state.b))
  if out.ok and out.affected > 0 then
    leak(state, t, op, ("%s reaches %d row(s) of another tenant"):format(op, out.affected), form({ key = "<tenant B>", label = "B" }))
  elseif not out.ok and out.err.sqlstate and out.err.sqlstate:sub(1, 2) == "23" then
    leak(state, t, op, ("%s of another tenant's row passes the policies; only a constraint stops it: %s"):format(op, out.err.message))
  elseif not denied(out) and not no_rows(out) then
    broken(state, t, ("%s: expected zero rows or SQLSTATE 42501, got %s"):format(op, out.err and out.err.message or "?"))
  end
end

local function select_form(state, t)
  return function(who)
    local where = who.label == "B" and t.tenant and ("%s::text <> '<tenant A>'"):format(names.ident(t.tenant)) or owned_by(state, t, who)
    return ("select 1 from %s where %s limit 5"):format(t.sql, where)
  end
end

--- A column that an UPDATE may set to itself: the tenant's, else any that is not generated.
local function update_column(t)
  if t.tenant then return names.ident(t.tenant) end
  for _, c in ipairs(t.columns) do
    if not c.generated and c.identity ~= "a" then return names.ident(c.name) end
  end
  return nil
end

local function write_where(state, t, who)
  if who.label == "B" then return t.tenant and ("%s::text <> '<tenant A>'"):format(names.ident(t.tenant)) or "true" end
  return owned_by(state, t, who)
end

local function update_form(state, t)
  local column = update_column(t)
  return function(who)
    return ("update %s set %s = %s where %s"):format(t.sql, column, column, write_where(state, t, who))
  end
end

local function delete_form(state, t)
  return function(who) return ("delete from %s where %s"):format(t.sql, write_where(state, t, who)) end
end

--- Blind writes find what `where tenant_id = B` cannot: with WHERE the SELECT policy applies too. They touch every row, so only
--- small tables.
local function blind(state, t, op, sql)
  if nobody_may(t, op) then return end
  if state.sizes[t.oid] > state.max_rows then
    local forms, proven = catalogue.canonical(t, state.settings), true
    for _, p in ipairs(catalogue.permissive(t, op:upper())) do proven = proven and forms[p.using or ""] == true end
    if not proven then
      broken(state, t, ("blind %s: the table has more than %d rows (database.probe.max_rows) and its policies are not proven")
        :format(op, state.max_rows))
    end
    return
  end
  local out = attempt(state, t, sql)
  local own = state.owned[t.oid]
  if out.ok and out.affected > own then
    leak(state, t, op, ("a blind %s reaches %d row(s), %d of them of other tenants"):format(op, out.affected, out.affected - own), sql)
  elseif not out.ok and out.err.sqlstate ~= "42501" and out.err.sqlstate ~= "23503" then
    broken(state, t, ("blind %s: %s"):format(op, out.err.message))
  end
end

local function insert_probe(state, t)
  local r = result_for(state.results, t)
  if nobody_may(t, "insert") then
    r.proven[#r.proven + 1] = "insert"
    return
  end
  local control = attempt(state, t, state.inserts[t.oid].a)
  if not control.ok then
    broken(state, t, "insert: the positive control failed: " .. control.err.message)
    return
  end
  r.controls = r.controls + 1
  local out = attempt(state, t, state.inserts[t.oid].b)
  if out.ok then
    -- A trigger may have given the row to its own tenant: what is there afterwards decides.
    if state.count_after_insert(t) then leak(state, t, "insert", "a row of another tenant can be inserted", state.inserts[t.oid].b) end
  elseif out.err.sqlstate and out.err.sqlstate:sub(1, 2) == "23" then
    leak(state, t, "insert", "a row of another tenant passes the policies; only a constraint stops it: " .. out.err.message,
      state.inserts[t.oid].b)
  elseif not denied(out) then
    broken(state, t, "insert: expected SQLSTATE 42501, got " .. out.err.message)
  end
end

--- Giving an own row to another tenant.
local function move_probe(state, t)
  if not t.tenant or nobody_may(t, "update") then return end
  local sql = ("update %s set %s = %s where %s")
    :format(t.sql, names.ident(t.tenant), names.literal(state.b.key), owned_by(state, t, state.a))
  local out = attempt(state, t, sql)
  if (out.ok and out.affected > 0) or (not out.ok and out.err.sqlstate and out.err.sqlstate:sub(1, 2) == "23") then
    leak(state, t, "update", "an own row can be moved to another tenant", sql)
  elseif not out.ok and not denied(out) then
    broken(state, t, "moving a row: expected SQLSTATE 42501, got " .. out.err.message)
  end
end

--- Without, with an empty and with a malformed tenant nothing of A or B may be seen.
local function context_probe(state, t, what)
  if nobody_may(t, "select") then return end
  local sql = ("select 1 from %s where (%s) or (%s) limit 5"):format(t.sql, owned_by(state, t, state.a), owned_by(state, t, state.b))
  local out = attempt(state, t, sql)
  if out.ok and out.affected > 0 then
    leak(state, t, "select", ("rows are visible with the tenant setting %s"):format(what), ("select * from %s limit 5"):format(t.sql))
  elseif not out.ok and not denied(out) and out.err.sqlstate:sub(1, 2) ~= "22" and out.err.sqlstate ~= "42704" then
    broken(state, t, ("select with the tenant setting %s: %s"):format(what, out.err.message))
  end
end

local function as_application(state)
  if state.superuser then
    state.conn:exec("set local session authorization " .. names.ident(state.role))
  else
    state.conn:exec("set local role " .. names.ident(state.role))
  end
end

local function as_admin(state)
  state.conn:exec(state.superuser and "set local session authorization default" or "reset role")
end

local function set_tenant(state, value)
  state.conn:value("select set_config($1, $2, true)", state.settings.tenant.setting, value)
end

--- Canaries of both tenants in every table; a table that refuses them is an error of that table and of no other.
local function plant(state, tables)
  local probed = {}
  for _, t in ipairs(tables) do
    local ok, raised = pcall(function()
      state.maker:row(t, state.a)
      state.maker:row(t, state.b)
      if not nobody_may(t, "insert") then
        state.inserts[t.oid] = { a = state.maker:another(t, state.a), b = state.maker:another(t, state.b) }
      end
      state.owned[t.oid] = state.conn:value(("select count(*) from %s where %s"):format(t.sql, owned_by(state, t, state.a)))
      state.sizes[t.oid] = state.conn:value(("select count(*) from (select 1 from %s limit %d) x"):format(t.sql, state.max_rows + 1))
    end)
    if ok then
      probed[#probed + 1] = t
    elseif errors.is(raised) and raised.code ~= "db_lost" and raised.code ~= "db_closed" then
      broken(state, t, raised.message .. (raised.detail and (": " .. raised.detail) or "") .. (raised.fix and ("; " .. raised.fix) or ""))
    else
      error(raised, 0)
    end
  end
  return probed
end

local function probe_table(state, t)
  try_form(state, t, "select", select_form(state, t))
  if update_column(t) then
    try_form(state, t, "update", update_form(state, t))
    blind(state, t, "update", ("update %s set %s = %s"):format(t.sql, update_column(t), update_column(t)))
  end
  try_form(state, t, "delete", delete_form(state, t))
  blind(state, t, "delete", "delete from " .. t.sql)
  insert_probe(state, t)
  move_probe(state, t)
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
    local small, column, own = state.sizes[t.oid] <= state.max_rows, update_column(t), state.owned[t.oid]
    local forms = { select = select_form(state, t)(state.b), insert = state.inserts[t.oid] and state.inserts[t.oid].b,
      update = column and (small and ("update %s set %s = %s"):format(t.sql, column, column) or update_form(state, t)(state.b)),
      delete = small and "delete from " .. t.sql or delete_form(state, t)(state.b) }
    for _, op in ipairs { "select", "update", "delete", "insert" } do
      local out = forms[op] and not nobody_may(t, op) and attempt(state, t, forms[op])
      local allowed = small and (op == "update" or op == "delete") and own or 0
      if out and ((out.ok and out.affected > allowed) or (not out.ok and op == "insert" and out.err.sqlstate:sub(1, 2) == "23")) then
        leak(state, t, op, ("%s reaches another tenant's rows once the application sets %s"):format(op, describe(case)), forms[op])
        break
      end
    end
    for name, value in pairs(before) do state.conn:try("select set_config($1, $2, true)", name, value) end
  end
end

--- All that a view shows, as one short text; nil where it cannot be read.
local function digest(state, t)
  local out = attempt(state, t,
    ("select count(*)::text || ' ' || coalesce(sum(hashtextextended(x::text, 0)::numeric), 0)::text as all from %s x"):format(t.sql))
  return out.ok and out.rows[1].all or nil, out.err
end

local function plant_more(state, views)
  local other = { key = canary.key(state.key_column, 2), label = "C" }
  for _, t in ipairs(views) do
    for _, read in ipairs(t.reads or {}) do
      if is_base(read) then state.maker:row(read, other) end
    end
  end
end

local function plant_own(state, t)
  for _, read in ipairs(t.reads or {}) do
    if is_base(read) and state.maker.rows[state.a.key][read.oid] then
      state.conn:exec((state.maker:another(read, state.a)))
    end
  end
end

local function as_tenant_a(state, fn)
  as_application(state)
  set_tenant(state, state.a.key)
  fn()
  as_admin(state)
end

--- Views: what tenant A sees through one must not change when another tenant gets rows (whatever the view's columns are), and must change
--- when A gets one: that is the control, without which only a view that reads with bound rights is proven.
local function probe_views(state, views)
  local list, first, second = {}, {}, {}
  for _, t in ipairs(views) do
    if t.may.select and t.kind == "v" then list[#list + 1] = t end
  end
  as_tenant_a(state, function()
    for _, t in ipairs(list) do
      local err
      first[t.oid], err = digest(state, t)
      if err and err.sqlstate ~= "42501" then broken(state, t, "select: " .. err.message) end
    end
  end)
  plant_more(state, list)
  as_tenant_a(state, function()
    for _, t in ipairs(list) do second[t.oid] = digest(state, t) end
  end)
  for _, t in ipairs(list) do
    local r = result_for(state.results, t)
    if not first[t.oid] then
      r.proven[1] = #r.errors == 0 and "select" or nil
    elseif first[t.oid] ~= second[t.oid] then
      leak(state, t, "select", "the view shows another tenant's rows", "select * from " .. t.sql .. " limit 5")
    elseif t.bound then
      r.proven[1] = "select"
    else
      local third
      plant_own(state, t)
      as_tenant_a(state, function() third = digest(state, t) end)
      if third == second[t.oid] then
        broken(state, t, ("the view reads with the rights of %s, whom row-level security does not bind, and no canary shows in it: "
          .. "make it security_invoker"):format(t.reader or t.owner))
      else
        r.controls = 1
      end
    end
  end
end

local function run(state, tables, views)
  local conn = state.conn
  conn:script("set local lock_timeout = '5s'; set local statement_timeout = '60s'")
  local probed = plant(state, tables)
  -- Unset comes first: after any set_config of this session the setting reads as '' even when it was rolled back.
  as_application(state)
  for _, t in ipairs(probed) do context_probe(state, t, "absent") end
  for _, case in ipairs { { "", "empty" }, { "not a tenant", "malformed" }, { "%", "a pattern" } } do
    set_tenant(state, case[1])
    for _, t in ipairs(probed) do context_probe(state, t, case[2]) end
  end
  set_tenant(state, state.a.key)
  for _, t in ipairs(probed) do probe_table(state, t) end
  for _, t in ipairs(probed) do escape_probe(state, t) end
  as_admin(state)
  probe_views(state, views)
end

--- Probes all tables in one transaction, which is rolled back whatever happens.
---@param conn table         a fresh connection of the admin: no tenant was ever set in its session
---@param tables rls.Table[] base tables of tenants
---@param views rls.Table[]
---@param by_oid table
---@param options {settings: table, role: string, superuser: boolean, max_rows: integer}
---@return table results by oid
function probe.run(conn, tables, views, by_oid, options)
  local key_column
  for _, t in ipairs(tables) do
    key_column = key_column or (t.tenant and t.by_column[t.tenant])
  end
  local state = {
    conn = conn, results = {}, inserts = {}, owned = {}, sizes = {}, settings = options.settings, role = options.role,
    superuser = options.superuser, max_rows = options.max_rows, maker = canary.maker(conn, by_oid, options.settings),
    key_column = key_column, a = { key = canary.key(key_column, 1) }, b = { key = canary.key(key_column, 2) },
  }
  function state.count_after_insert(t)
    local seen
    conn:transaction(function()
      conn:try(state.inserts[t.oid].b)
      as_admin(state)
      local before = state.owned_b and state.owned_b[t.oid] or 1
      seen = conn:value(("select count(*) from %s where %s"):format(t.sql, owned_by(state, t, state.b))) > before
    end, { rollback = true })
    return seen
  end
  conn:transaction(function() run(state, tables, views) end, { rollback = true })
  return state.results
end

return probe
