--- INSERTs that reach further than the row they name: over the key of another tenant's row, and rows of no tenant.
--
-- Nothing but a trigger or a rule lets a plain INSERT, or one ON CONFLICT DO NOTHING, touch a row that is there (manual, INSERT),
-- so that only tables with one of these are asked. ON CONFLICT DO UPDATE and MERGE are an UPDATE's (rls.probe_rows). COPY … FROM is none:
-- PostgreSQL refuses it where row-level security applies to whoever says it (COPY, "Notes").
local catalogue = require "rls.catalogue"
local names = require "rls.names"
local state = require "rls.probe_state"

local probe_inserts = {}

--- The keys by which A's row may meet B's: those that do not speak of the tenant.
local function global_keys(t)
  local out = {}
  for _, unique in ipairs(t.uniques) do
    local own = false
    for _, column in ipairs(unique.columns) do own = own or column == t.tenant end
    if not own then out[#out + 1] = unique end
  end
  return out
end

--- A row of A's with the key of B's.
local function over_keys(s, t)
  if t.plain or not t.tenant then return end
  local row = s.maker.rows[s.b.key][t.oid].row
  for _, unique in ipairs(global_keys(t)) do
    local where = state.by_values(t, unique.columns, row)
    local insert = where and s.maker:clash(t, s.a, unique.columns, row)
    local forms = { { "INSERT", insert }, { "INSERT … ON CONFLICT DO NOTHING", insert and insert .. " on conflict do nothing" } }
    for _, form in ipairs(insert and forms or {}) do
      local out = s:ask(t, { q = form[2] })
      if out.ok and s:changes(t, form[2], where) then
        s:leak(t, "insert", ("%s with the %s of another tenant's row changes that row: a trigger or rule does it"):format(form[1],
          table.concat(unique.columns, ", ")), form[2], nil, true)
        return
      end
    end
  end
end

--- A row without a tenant, where the policies' form does not prove that there is none.
local function of_nobody(s, t)
  local column = t.tenant and t.by_column[t.tenant]
  if not column or column.notnull or column.generated or catalogue.proven(t, s.settings, "INSERT") then return end
  local sql = s.maker:orphan(t, s.a)
  if not sql then return end
  local look = s:looking(t, names.ident(t.tenant) .. " is null", s.a)
  local before = s:ask(t, { q = "select 1", r = true, l = look.l, ls = look.ls })
  local out = s:ask(t, { q = sql, l = look.l, ls = look.ls })
  if out.ok and before.ok and out.seen > before.seen then
    s:leak(t, "insert", "a row without a tenant can be inserted", sql)
  end
end

---@param s rls.State
---@param t rls.Table
function probe_inserts.run(s, t)
  if s:leaks(t, "insert") or catalogue.nobody_may(t, "insert") then return end
  over_keys(s, t)
  of_nobody(s, t)
end

return probe_inserts
