--- What the application can do through a view besides reading it: write, meet rows by key, and look before the view's own test does.
--
-- Counted before and after a row of tenant B comes into the tables below: what B's row changes, reaches B.
local names = require "rls.names"
local state = require "rls.probe_state"
local values = require "rls.values"

local view_writes = {}

--- What is automatically updatable, by the bits of pg_relation_is_updatable (1 << CMD_UPDATE, CMD_INSERT, CMD_DELETE).
local UPDATE, INSERT, DELETE = 4, 8, 16

---@param conn table
---@param list rls.Table[]
---@return table<string, integer> bits by oid
function view_writes.updatable(conn, list)
  local out, oids = {}, {}
  for i, v in ipairs(list) do oids[i] = v.oid end
  if #oids == 0 then return out end
  for _, row in ipairs(conn:query(("select c.oid::text as oid, pg_relation_is_updatable(c.oid, true) as bits from pg_class c "
      .. "where c.oid in (%s)"):format(table.concat(oids, ", ")))) do
    out[row.oid] = row.bits
  end
  return out
end

local function is_small(s, v)
  for _, t in ipairs(v.reads or {}) do
    if t.estimate > s.max_rows then return false end
  end
  return v.reads ~= nil
end

--- A column that the application may set, to what it is.
local function column_of(v)
  for _, c in ipairs(v.columns) do
    if c.may_update then return names.ident(c.name) end
  end
  return nil
end

--- A function of the reader's own counts the rows that come by. It costs nothing, so that the planner calls it first, unless the view
--- is a security barrier (PostgreSQL manual, section 41.5).
local LOOK = [[do language plpgsql $gate_look$
begin
  execute $gate_make$ create function pg_temp.gate_look(anyelement) returns boolean language plpgsql cost 0.0000001 as $gate_body$
    begin
      perform pg_catalog.set_config('gate_engine.seen',
        (coalesce(nullif(pg_catalog.current_setting('gate_engine.seen', true), ''), '0')::bigint + 1)::text, true);
      return true;
    end $gate_body$ $gate_make$;
  perform 1 from %s gate_view where pg_temp.gate_look(gate_view.%s);
end $gate_look$]]
local SEEN = "select coalesce(nullif(current_setting('gate_engine.seen', true), ''), '0')::bigint"

--- The statements for a view, by what they are.
local function forms(s, v, bits)
  local out = {}
  local column = column_of(v)
  if v.may.update and bits & UPDATE ~= 0 and column then out.update = { q = ("update %s set %s = %s"):format(v.sql, column, column) } end
  if v.may.delete and bits & DELETE ~= 0 then out.delete = { q = "delete from " .. v.sql } end
  if v.may.select and v.columns[1] and v.bound == false then
    out.look = { q = LOOK:format(v.sql, names.ident(v.columns[1].name)), l = SEEN, s = { { "gate_engine.seen", "" } } }
  end
  return is_small(s, v) and out or {}
end

--- How many rows each statement reaches.
---@param s rls.State
---@param list rls.Table[]
---@param updatable table<string, integer>
---@return table<string, table<string, integer>> by the view's oid and the statement
function view_writes.count(s, list, updatable)
  local out = {}
  s.session:as_application()
  s.session:set(s.session:of(s.a.key))
  s.runner:each(list, function(v)
    out[v.oid] = {}
    for what, request in pairs(forms(s, v, updatable[v.oid] or 0)) do
      local done = s:ask(v, request)
      out[v.oid][what] = done.ok and (what == "look" and done.seen or done.affected) or nil
    end
  end, function(_, raised) error(raised, 0) end)
  s.session:as_admin()
  return out
end

local DETAILS = {
  update = "an UPDATE through the view reaches another tenant's rows",
  delete = "a DELETE through the view reaches another tenant's rows",
  look = "a function in WHERE sees another tenant's rows before the view's own test does (the view is no security barrier)",
}

--- INSERT … ON CONFLICT through the view, on a key that says nothing of the tenant: it may meet B's row, which the view does not show.
local function upsert(s, v, base)
  local row = s.maker.rows[s.b.key] and s.maker.rows[s.b.key][base.oid]
  local own = s.maker.rows[s.a.key] and s.maker.rows[s.a.key][base.oid]
  if not row or not own or not own.values then return end
  for _, unique in ipairs(base.uniques) do
    local where, keys, mine = state.by_values(base, unique.columns, row.row), {}, {}
    for column, literal in pairs(own.values) do mine[column] = literal end
    for i, column in ipairs(unique.columns) do
      if not v.by_column[column] or column == base.tenant then where = nil end
      keys[i], mine[column] = names.ident(column), values.literal(row.row[column])
    end
    local columns, literals, sets = {}, {}, {}
    for _, c in ipairs(v.columns) do
      if mine[c.name] then
        columns[#columns + 1], literals[#literals + 1] = names.ident(c.name), mine[c.name]
        -- What makes the row one of A's, no check of the view's refuses.
        if c.may_update then table.insert(sets, c.name == base.tenant and 1 or #sets + 1, names.ident(c.name)) end
      end
    end
    for _, set in ipairs(where and sets or {}) do
      local sql = ("insert into %s (%s) values (%s) on conflict (%s) do update set %s = excluded.%s"):format(v.sql,
        table.concat(columns, ", "), table.concat(literals, ", "), table.concat(keys, ", "), set, set)
      local out = s:ask(v, { q = sql })
      if out.ok and out.affected > 0 then
        s:leak(v, "update", "INSERT … ON CONFLICT through the view changes another tenant's row", sql, nil, true)
        return
      end
    end
  end
end

--- INSERT of a row of B's and UPDATE that gives A's row to B, through a view that shows neither: WITH CHECK OPTION alone refuses them
--- where the policies do not bind whom the view acts as.
local function give(s, v, base, bits)
  local made = s.maker.rows[s.b.key] and s.maker.rows[s.b.key][base.oid]
  local column = base.tenant and v.by_column[base.tenant]
  if v.bound ~= false or not column or not made or not made.values then return end
  local look, forms_of = s:looking(base, s:owned_by(base, s.b)), {}
  if v.may.insert and bits & INSERT ~= 0 then
    local _, row = s.maker:another(base, s.b)
    local columns, literals = {}, {}
    for _, c in ipairs(v.columns) do
      if row and row[c.name] then columns[#columns + 1], literals[#literals + 1] = names.ident(c.name), row[c.name] end
    end
    forms_of[1] = { "insert", "a row of another tenant can be inserted through the view", ("insert into %s (%s) values (%s)"):format(v.sql,
      table.concat(columns, ", "), table.concat(literals, ", ")) }
  end
  if v.may.update and bits & UPDATE ~= 0 and column.may_update then
    forms_of[#forms_of + 1] = { "update", "an own row can be moved to another tenant through the view",
      ("update %s set %s = %s"):format(v.sql, names.ident(base.tenant), values.literal(made.row[base.tenant])) }
  end
  local before = #forms_of > 0 and s:ask(v, { q = "select 1", r = true, l = look.l, ls = look.ls })
  for _, form in ipairs(forms_of) do
    local out = s:ask(v, { q = form[3], l = look.l, ls = look.ls })
    if out.ok and before.ok and out.seen > before.seen then s:leak(v, form[1], form[2], form[3]) end
  end
end

--- Compares what was reached before and after B's rows came, and tries keys.
---@param s rls.State
---@param list rls.Table[]
---@param updatable table<string, integer>
---@param own table<string, table<string, integer>>
---@param both table<string, table<string, integer>>
function view_writes.judge(s, list, updatable, own, both)
  s.session:as_application()
  s.session:set(s.session:of(s.a.key))
  s.runner:each(list, function(v)
    local bits = updatable[v.oid] or 0
    for what, detail in pairs(DETAILS) do
      local before, after = own[v.oid][what], both[v.oid][what]
      if before and after and after > before and not s:leaks(v, "select") then
        s:leak(v, what == "look" and "select" or what, detail, forms(s, v, bits)[what].q)
      end
    end
    for _, base in ipairs(is_small(s, v) and v.reads or {}) do give(s, v, base, bits) end
    if v.may.insert and v.may.update and bits & INSERT ~= 0 and is_small(s, v) then
      for _, base in ipairs(v.reads) do upsert(s, v, base) end
    end
  end, function(_, raised) error(raised, 0) end)
  s.session:as_admin()
end

return view_writes
