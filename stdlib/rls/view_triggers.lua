--- What INSTEAD OF triggers make of rows that come into a view, by INSERT and by COPY … FROM.
--
-- COPY is refused for tables whose policies bind the reader, and not for views with such a trigger; a rule that takes INSERT for itself
-- does not see it (PostgreSQL manual, COPY, "Notes"). What the trigger's function does is decided from its text where that can be read
-- (rls.rules.definers). Here it is tried: rows of tenant B must be what they were.
local attempts = require "rls.attempts"
local names = require "rls.names"
local probe_state = require "rls.probe_state"
local values = require "rls.values"

local view_triggers = {}

--- tgtype: 4 INSERT, 64 INSTEAD OF.
local TRIGGERS = [[
  select t.tgrelid::text as oid, bool_or(f.prosecdef) as definer from pg_trigger t join pg_proc f on f.oid = t.tgfoid
   where t.tgrelid in (%s) and t.tgtype & 68 = 68 and t.tgenabled in ('O', 'A') group by 1]]

--- Rows to give the view, each as columns and literals: one more of tenant B, and B's own with another text in it.
local function rows_of(s, v, base)
  local made = (s.maker.rows[s.b.key] or {})[base.oid]
  if not made or not made.values then return {} end
  local keys, changed, own, out = {}, false, {}, {}
  for _, u in ipairs(base.uniques) do
    for _, name in ipairs(u.columns) do keys[name] = true end
  end
  for _, c in ipairs(v.columns) do
    local of = base.by_column[c.name]
    if of and made.row[c.name] ~= nil then
      local free = not keys[c.name] and c.name ~= base.tenant and of.category == "S" and not of.labels
      own[c.name] = free and values.by_type(of, values.random() % 1000) or values.literal(made.row[c.name])
      changed = changed or free
    end
  end
  local _, another = s.maker:another(base, s.b)
  for _, row in ipairs { another or {}, changed and own or {} } do
    local columns, literals = {}, {}
    for _, c in ipairs(v.columns) do
      if row[c.name] then columns[#columns + 1], literals[#literals + 1] = names.ident(c.name), row[c.name] end
    end
    if #columns > 0 then
      out[#out + 1] = { columns = table.concat(columns, ", "), literals = table.concat(literals, ", ") }
    end
  end
  return out
end

--- Digests of B's rows in the tables beneath.
local function digests(s, v)
  local out = {}
  for i, base in ipairs(v.reads) do
    local there = (s.maker.rows[s.b.key] or {})[base.oid]
    out[i] = there and tostring(s.conn:value(s:digesting(base, s:owned_by(base, s.b)).l)) or ""
  end
  return table.concat(out, " ")
end

--- As the application with tenant A set, undone afterwards: is what fn writes another tenant's row, or does it change one?
local function reaches(s, v, fn)
  local reached = false
  s.conn:transaction(function()
    local before = digests(s, v)
    s.session:as_application()
    s.session:set(s.session:of(s.a.key))
    local ok, raised = pcall(s.conn.transaction, s.conn, fn)
    if not ok and attempts.is_fatal(raised) then error(raised, 0) end
    s.session:as_admin()
    reached = ok and digests(s, v) ~= before
  end, { rollback = true })
  return reached
end

local function try(s, v, row, definer)
  local function found(how, sql)
    s:leak(v, "insert", ("%s gives the view's INSTEAD OF trigger a row with which it reaches another tenant's rows"):format(how), sql, nil,
      true)
    local leaks = probe_state.result(s.results, v).leaks
    leaks[#leaks].class = definer and "function_definer" or nil
    return true
  end
  local r = probe_state.result(s.results, v)
  r.statements = r.statements + 2
  local insert = ("insert into %s (%s) values (%s)"):format(v.sql, row.columns, row.literals)
  if reaches(s, v, function() s.conn:exec(insert) end) then return found("INSERT", insert) end
  local ok, data = pcall(s.conn.copy_out, s.conn, ("copy (select %s) to stdout"):format(row.literals))
  if not ok then error(data, 0) end
  local copy = ("copy %s (%s) from stdin"):format(v.sql, row.columns)
  return reaches(s, v, function() s.conn:copy_in(copy, data) end) and found("COPY", ("%s;\n%s\\.\n-- the row above"):format(copy, data))
end

--- Tries the views that have such a trigger, where both tenants' canaries are there.
---@param s rls.State
---@param list rls.Table[]
function view_triggers.run(s, list)
  local oids, by_oid = {}, {}
  for _, v in ipairs(list) do
    if v.may.insert and v.reads then oids[#oids + 1], by_oid[v.oid] = v.oid, v end
  end
  for _, t in ipairs(#oids > 0 and s.conn:query(TRIGGERS:format(table.concat(oids, ", "))) or {}) do
    local v, done = by_oid[t.oid], false
    for _, base in ipairs(v.reads) do
      for _, row in ipairs(base.estimate <= s.max_rows and rows_of(s, v, base) or {}) do
        done = done or s:leaks(v, "insert") or try(s, v, row, t.definer)
      end
    end
  end
end

return view_triggers
