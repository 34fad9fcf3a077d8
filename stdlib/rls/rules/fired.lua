--- Functions with their owner's rights that triggers run, and where what they read goes.
--
-- PostgreSQL manual: 39.1 (triggers), 43.10 (trigger functions of PL/pgSQL).
local arrays = require "rls.arrays"
local mentions = require "rls.mentions"
local compile = require "rls.prover.compile"

local fired = {}

--- Bits of pg_trigger.tgtype.
local TRIGGERS = [[
  select t.tgrelid::text as rel, t.tgname::text as name, t.tgfoid::text as func, t.tgtype & 4 = 4 as on_insert,
         t.tgtype & 8 = 8 as on_delete, t.tgtype & 16 = 16 as on_update, t.tgtype & 1 = 1 as each_row,
         t.tgdeferrable and t.tginitdeferred as deferred, pg_get_triggerdef(t.oid) as definition,
         array(select a.attname::text from pg_attribute a where a.attrelid = t.tgrelid and a.attnum = any(t.tgattr)) as columns
    from pg_trigger t join pg_proc f on f.oid = t.tgfoid
   where not t.tgisinternal and t.tgenabled in ('O', 'A') and f.prosecdef and t.tgrelid::text = any($1) order by 1, 2]]

---@class rls.Fired
---@field f table       of rls.Model.all_functions
---@field rel string    oid of the trigger's relation
---@field name string   of the trigger
---@field event "INSERT"|"UPDATE"|"DELETE"
---@field each_row boolean
---@field deferred boolean   it waits for the transaction's end
---@field columns string[]   an UPDATE fires it only if it sets one of them; empty: any
---@field condition string?  its WHEN, as the server prints it

--- What the application fires.
---@param conn table
---@param seen table  of rls.harness.look, with `model`
---@return rls.Fired[]
function fired.list(conn, seen)
  local by_oid, oids, out = {}, {}, {}
  for _, f in ipairs(seen.model.all_functions) do by_oid[f.oid] = f end
  for oid, t in pairs(seen.by_oid) do
    if t.acts.insert or t.acts.update or t.acts.delete then oids[#oids + 1] = oid end
  end
  for _, row in ipairs(conn:query(TRIGGERS, arrays.text(oids))) do
    local t, f = seen.by_oid[row.rel], by_oid[row.func]
    for _, event in ipairs(f and not f.of_extension and { "INSERT", "UPDATE", "DELETE" } or {}) do
      local on = row["on_" .. event:lower()]
      if on and t.acts[event:lower()] then
        out[#out + 1] = { f = f, rel = row.rel, name = row.name, event = event, each_row = row.each_row, deferred = row.deferred,
          columns = row.columns, condition = row.definition:match " WHEN (%b()) EXECUTE " }
      end
    end
  end
  return out
end

local function is_used(list, name)
  for _, s in ipairs(list) do
    if s.text and mentions.name(s.text:lower(), name) then return true end
    for _, branch in ipairs(s.branches or {}) do
      if is_used(branch.body, name) then return true end
    end
    if is_used(s.body or {}, name) then return true end
    for _, handler in ipairs(s.handlers or {}) do
      if is_used(handler, name) then return true end
    end
  end
  return false
end

--- Does what a variable of PL/pgSQL holds go anywhere but into the tests of IF?
---@param f prover.Function
---@param name string
---@return boolean
function fired.goes_on(f, name)
  local block = compile.program_of(f)
  return not block or is_used({ block }, name)
end

return fired
