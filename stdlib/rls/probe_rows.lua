--- As the application with tenant A set: to read, lock, write, move and delete tenant B's rows.
local catalogue = require "rls.catalogue"
local names = require "rls.names"
local probe_inserts = require "rls.probe_inserts"
local state = require "rls.probe_state"
local values = require "rls.values"

local probe_rows = {}

local class_of, denied = state.class_of, state.denied

--- One more row than A has is enough to tell that it is not alone; one that is not A's raises an error.
local function blind_select_form(s, t)
  return ("select 1 / case when %s then 1 else 0 end from %s limit %d"):format(s:shown_by(t, s.a), t.sql, s.owned[t.oid] + 1)
end

local function select_form(t, where) return ("select 1 from %s where %s limit 5"):format(t.sql, where) end

---@param where string?  nil: a blind one
local function update_form(t, column, literal, where)
  return ("update %s set %s = %s%s"):format(t.sql, column, literal, where and " where " .. where or "")
end

---@param where string?  nil: a blind one
local function delete_form(t, where) return ("delete from %s%s"):format(t.sql, where and " where " .. where or "") end

--- The rows of tenants that are like A.
local function alike(s, t)
  if not t.tenant or #s.alike == 0 then return nil end
  local parts = {}
  for _, who in ipairs(s.alike) do
    if s.maker.rows[who.key] and s.maker.rows[who.key][t.oid] then parts[#parts + 1] = s:shown_by(t, who) end
  end
  return #parts > 0 and "(" .. table.concat(parts, " or ") .. ")" or nil
end

local function select_probe(s, t)
  if s:nobody_may(t, "select") or s:closed(t, "select", blind_select_form(s, t)) then return end
  local function form(where) return select_form(t, where) end
  local b = s:shown_by(t, s.b)
  s:try_form(t, "select", form(s:shown_by(t, s.a)), form(b))
  if s:leaks(t, "select") then return end
  local like = alike(s, t)
  if like then s:try_foreign(t, "select", form(like), "of a tenant whose key is like the own") end
  -- Of what SELECT shows FOR UPDATE shows the rows that the policies of UPDATE let through, too; children have policies of their own.
  if not t.plain and not catalogue.nobody_may(t, "update") then
    s:try_foreign(t, "select", form(b) .. " for update")
  end
end

--- Blind writes find what `where tenant_id = B` cannot: a statement that reads no column is not bound by the SELECT policies. They touch
--- every row they can, so only small tables. Where the own rows alone may be the reason of an error, a third tenant, who has no row,
--- asks again: it must reach nothing.
local function blind(s, t, op, form)
  if s:leaks(t, op) then return end
  if not s:is_small(t) then
    if not catalogue.proven(t, s.settings, op:upper()) then
      s:broken(t, ("blind %s: the table has more than %d rows (database.probe.max_rows) and its policies are not proven")
        :format(op, s.max_rows))
    end
    return
  end
  local sql = form(s.a)
  local out, own = s:ask(t, { q = sql }), s.owned[t.oid]
  if not out.ok and s.c then out, own = s:ask(t, { q = form(s.c), s = s.session:of(s.c.key) }), 0 end
  local shown = form { key = "<tenant A>" }
  if out.ok and out.affected > own then
    s:leak(t, op, ("a blind %s reaches %d row(s), %d of them of other tenants"):format(op, out.affected, out.affected - own), shown,
      nil, true)
  elseif class_of(out) == "23" and s.c then
    s:leak(t, op, ("a blind %s reaches rows of other tenants; only a constraint stops it: %s"):format(op, out.err.message), shown)
  elseif not out.ok and not (denied(out) and out.err.message:find("row-level security", 1, true)) then
    s:broken(t, ("blind %s: %s"):format(op, out.err.message))
  end
end

--- What gives an own row to B, and the rows that would then be B's.
local function move_to(s, t)
  if t.sources then
    -- Whose the row is goes by other columns: they are set as they are in B's row.
    local row, parts = s.maker.rows[s.b.key][t.oid].row, {}
    for _, column in ipairs(t.sources) do
      if not state.is_settable(t.by_column[column]) then return nil end
      parts[#parts + 1] = ("%s = %s"):format(names.ident(column), values.literal(row[column]))
    end
    return table.concat(parts, ", "), s:owned_by(t, s.b)
  elseif t.tenant then
    if not state.is_settable(t.by_column[t.tenant]) then return nil end
    return ("%s = %s"):format(names.ident(t.tenant), names.literal(s.b.key)), s:owned_by(t, s.b)
  elseif t.parent_key then
    local row, parts = s.maker.rows[s.b.key][t.oid].row, {}
    for _, column in ipairs(t.parent_key.columns) do
      if not t.by_column[column].may_update then return nil end
      parts[#parts + 1] = ("%s = %s"):format(names.ident(column), values.literal(row[column]))
    end
    return table.concat(parts, ", "), state.by_values(t, t.parent_key.columns, row)
  end
  return nil
end

--- The statements that move the own rows, what tells where they are afterwards, and whether a condition does; nil: none can.
---@return string[]? forms  with WHERE, and for small tables without
local function move_forms(s, t)
  local set, where = move_to(s, t)
  if not set then return nil end
  local forms = { ("update %s set %s where %s"):format(t.sql, set, s:shown_by(t, s.a)) }
  if s:is_small(t) then forms[2] = ("update %s set %s"):format(t.sql, set) end
  return forms, s:looking(t, where or "false"), where
end

--- How many rows of B there were: counted when the canaries were there, where the column says whose a row is. nil: it cannot be told.
local function rows_before(s, t, look)
  if t.tenant and s.owned_b[t.oid] then return s.owned_b[t.oid] end
  local before = s:ask(t, { q = "select 1", r = true, l = look.l, ls = look.ls })
  return before.ok and before.seen or nil
end

--- A row given to another tenant, or a child given to another tenant's parent. Without WHERE the SELECT policies do not look at the
--- new row. It counts where the row is afterwards: a trigger may give it back.
--- only_own: both forms reach the same rows, and the one with WHERE is bound by more policies.
local function move_probe(s, t, only_own)
  local forms, look, where = move_forms(s, t)
  if not forms then return end
  local asked = {}
  if only_own then
    asked[2] = s:ask(t, { q = forms[2], l = look.l, ls = look.ls })
    if denied(asked[2]) then return end
  end
  for i, sql in ipairs(forms) do
    local out = asked[i] or s:ask(t, { q = sql, l = look.l, ls = look.ls })
    local moved = class_of(out) == "23"
    if out.ok and out.affected > 0 then
      local before = rows_before(s, t, look)
      moved = not where or not before or out.seen > before
    elseif class_of(out) == "P0" and state.result(s.results, t).trigger and catalogue.proven(t, s.settings, "UPDATE") then
      -- The trigger refuses any change of the row; the policies alone would do.
      return
    elseif not out.ok and not denied(out) and not moved then
      s:broken(t, "moving a row: expected SQLSTATE 42501, got " .. out.err.message)
      return
    end
    if moved then
      s:leak(t, "update", out.ok and "an own row can be moved to another tenant"
        or "an own row that is moved to another tenant passes the policies; only a constraint stops it: " .. out.err.message, sql)
      return
    end
  end
end

--- Rows that no tenant owns are nobody's to write.
local function nobodys_probe(s, t, op, form)
  if s.nobodys[t.oid] then
    local where = names.ident(t.tenant) .. " is null"
    s:try_foreign(t, op, form(where), "without a tenant")
  end
end

---@return boolean? only_own  does an UPDATE without WHERE reach no row but the own?
local function update_probe(s, t)
  if s:nobody_may(t, "update") then return end
  local column, value = s:update_column(t)
  if not column then
    s:proven(t, "update")
    return
  end
  local a, b = s:shown_by(t, s.a), s:shown_by(t, s.b)
  local function form(where, who) return update_form(t, column, value(who), where) end
  local function blindly(who) return update_form(t, column, value(who)) end
  local closed = s:closed(t, "update", blindly(s.a))
  local controlled = closed or s:control(t, "update", form(a, s.a), s:owned_by(t, s.b), form(b, s.b))
  local open = state.is_open(t, "UPDATE")
  local only_own = closed or not open and s:only_own(t, "update", blindly(s.a))
  if not only_own then
    -- To change a row in place and to take it: a policy may stop one of them only.
    if controlled then s:try_foreign(t, "update", form(b, s.b)) end
    if t.tenant and not s:leaks(t, "update") then s:try_foreign(t, "update", form(b, s.a)) end
  end
  if open then only_own = s:only_own(t, "update", blindly(s.a)) end
  local like = not s:leaks(t, "update") and alike(s, t)
  if like then s:try_foreign(t, "update", form(like, s.a), "of a tenant whose key is like the own") end
  nobodys_probe(s, t, "update", function(where)
    return update_form(t, column, t.tenant and column == names.ident(t.tenant) and "NULL" or value(s.a), where)
  end)
  blind(s, t, "update", blindly)
  move_probe(s, t, only_own)
  return only_own
end

local function delete_probe(s, t)
  if s:nobody_may(t, "delete") then return end
  if s:closed(t, "delete", delete_form(t)) then return end
  local b = s:shown_by(t, s.b)
  local function form(where) return delete_form(t, where) end
  local controlled = s:control(t, "delete", form(s:shown_by(t, s.a)), s:owned_by(t, s.b), form(b))
  if (state.is_open(t, "DELETE") or not s:only_own(t, "delete", delete_form(t))) and controlled then
    s:try_foreign(t, "delete", form(b))
  end
  local like = not s:leaks(t, "delete") and alike(s, t)
  if like then s:try_foreign(t, "delete", form(like), "of a tenant whose key is like the own") end
  nobodys_probe(s, t, "delete", form)
  blind(s, t, "delete", function() return delete_form(t) end)
end

--- An INSERT for B. After one that was not refused: is there one more row of B? A trigger may have given it to its own tenant.
local function foreign_insert(s, t, sql)
  local look = t.tenant and s:looking(t, s:owned_by(t, s.b)) or {}
  local out = s:ask(t, { q = sql, l = look.l, ls = look.ls })
  if out.ok then
    if not out.seen or s.owned_b[t.oid] == 0 or out.seen > s.owned_b[t.oid] then
      s:leak(t, "insert", "a row of another tenant can be inserted", sql)
    end
  elseif class_of(out) == "23" then
    s:leak(t, "insert", "a row of another tenant passes the policies; only a constraint stops it: " .. out.err.message, sql)
  elseif not denied(out) then
    s:broken(t, "insert: expected SQLSTATE 42501, got " .. out.err.message)
  end
end

local function insert_probe(s, t)
  if s:nobody_may(t, "insert") then return end
  local r, sql = state.result(s.results, t), s.inserts[t.oid]
  local control = s:ask(t, { q = sql.a })
  -- A unique key is looked at after the policies.
  if not control.ok and class_of(control) ~= "23" then
    if class_of(control) == "P0" and (t.decided or {}).INSERT == "proven" then
      -- A trigger refuses the row before the policies are asked, which let through none of another tenant's.
      s:proven(t, "insert")
      return
    elseif denied(control) then
      r.uncontrolled.insert = "insert: the positive control failed: " .. control.err.message
    else
      s:broken(t, "insert: the positive control failed: " .. control.err.message)
      return
    end
  else
    r.controls, r.controlled.insert = r.controls + 1, true
  end
  foreign_insert(s, t, sql.b)
  local own = s.maker:transplant(t, s.a, s.b)
  if own then foreign_insert(s, t, own) end
end

--- An unique key that says nothing of the tenant: A may meet B's row through it.
local function global_key(s, t)
  local row = s.maker.rows[s.b.key][t.oid].row
  for _, unique in ipairs(t.uniques) do
    local where, own = state.by_values(t, unique.columns, row), false
    for _, column in ipairs(unique.columns) do own = own or column == t.tenant end
    if where and not own then return unique, where, row end
  end
  return nil
end

--- INSERT … ON CONFLICT, and MERGE: they meet rows by key, and change none that the policies of UPDATE keep from an UPDATE
--- (PostgreSQL manual, CREATE POLICY, "Policies Applied by Command Type").
local function upsert_probe(s, t)
  if t.kind == "p" or s:leaks(t, "update") or catalogue.nobody_may(t, "update") then return end
  local column, value = s:update_column(t)
  local unique, where, row = global_key(s, t)
  if not column or not unique then return end
  local insert = not catalogue.nobody_may(t, "insert") and s.maker:clash(t, s.a, unique.columns, row)
  local forms = {}
  if insert then
    local keys = {}
    for i, name in ipairs(unique.columns) do keys[i] = names.ident(name) end
    forms[1] = { "INSERT … ON CONFLICT DO UPDATE", ("%s on conflict (%s) do update set %s = excluded.%s"):format(insert,
      table.concat(keys, ", "), column, column) }
  end
  if s.version >= 150000 then
    forms[#forms + 1] = { "MERGE", ("merge into %s using (select 1) gate_source(x) on %s when matched then update set %s = %s"):format(
      t.sql, where, column, value(s.a)) }
  end
  for _, form in ipairs(forms) do
    local out = s:ask(t, { q = form[2] })
    if out.ok and out.affected > 0 and s:changes(t, form[2], where) then
      s:leak(t, "update", form[1] .. " changes another tenant's row", form[2], nil, true)
    end
  end
end

--- Is an operation likely to be shown closed without a control of its own?
local function likely_closed(s, t, op)
  return s:may_be_closed(t, op) and not catalogue.nobody_may(t, "select")
end

--- The attempts that most tables' probes ask for: those of a table that is closed, or of one that the prover has found open.
---@return rls.Attempt[]
local function likely(s, t)
  local list, tells = {}, s:may_tell(t)
  local a, b = s:shown_by(t, s.a), s:shown_by(t, s.b)
  local function add(sql, look) list[#list + 1] = { q = sql, l = look and look.l, ls = look and look.ls } end
  if likely_closed(s, t, "select") then
    add(blind_select_form(s, t))
  elseif not catalogue.nobody_may(t, "select") then
    add(select_form(t, a))
    add(select_form(t, b))
  end
  local column, value = s:update_column(t)
  if column and not catalogue.nobody_may(t, "update") then
    local open = state.is_open(t, "UPDATE")
    if not likely_closed(s, t, "update") then add(update_form(t, column, value(s.a), a)) end
    if tells and not open then add(update_form(t, column, value(s.a))) end
    if open or not tells then add(update_form(t, column, value(s.b), b)) end
    local forms, look = move_forms(s, t)
    if forms then add(forms[tells and not open and 2 or 1], look) end
  end
  if not catalogue.nobody_may(t, "delete") then
    if not likely_closed(s, t, "delete") then add(delete_form(t, a)) end
    local open = state.is_open(t, "DELETE")
    if tells and not open then add(delete_form(t)) end
    if open or not tells then add(delete_form(t, b)) end
  end
  local sql = not catalogue.nobody_may(t, "insert") and s.inserts[t.oid]
  if sql then
    add(sql.a)
    add(sql.b, t.tenant and s:looking(t, s:owned_by(t, s.b)) or nil)
  end
  return list
end

--- All forms of one table.
---@param s rls.State
---@param t rls.Table
function probe_rows.run(s, t)
  s:foresee(t, likely(s, t))
  select_probe(s, t)
  local only_own = update_probe(s, t)
  delete_probe(s, t)
  insert_probe(s, t)
  probe_inserts.run(s, t)
  if not only_own then upsert_probe(s, t) end
  s:forget(t)
end

return probe_rows
