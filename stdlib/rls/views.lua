--- Views over tenants' rows, with the tenant column or without it.
--
-- What the application reads through a view with tenant A set must not change when a row of tenant B comes into the tables below. The
-- positive control: it does change when a row of A comes. A view that shows neither (it may filter the canaries out) must be proven by
-- what it is made of, else it is an error. (PostgreSQL manual, section 41.5: a view reads with its owner's rights unless
-- security_invoker is set; the policies that bind it are those for that role.)
local catalogue = require "rls.catalogue"
local errors = require "errors"
local names = require "rls.names"
local planted = require "rls.planted"
local probe_state = require "rls.probe_state"
local said = require "rls.said"
local view_triggers = require "rls.view_triggers"
local view_writes = require "rls.view_writes"

local views = {}

--- object_not_in_prerequisite_state: a materialised view beneath it was never refreshed, as on a scratch copy.
local UNPOPULATED = "55000"

--- Do all policies of a table that let anyone read bind the tenant?
local function binds_everyone(t, settings)
  if not (t.rls and t.forced) then return false end
  local forms = catalogue.canonical(t, settings)
  for _, p in ipairs(t.policies) do
    if p.permissive and (p.command == "ALL" or p.command == "SELECT") and not forms[p.using or ""] then return false end
  end
  return true
end

--- Does what the view reads, and as whom, prove that it shows nothing which its tables would not show?
local function is_proven(state, v)
  if v.filtered then return true end -- by its own text (rls.rules.views)
  if not v.bound then return false end
  for _, t in ipairs(v.reads or {}) do
    if v.reader ~= state.role and not binds_everyone(t, state.settings) then return false end
  end
  return v.reads ~= nil
end

--- What the application sees through a view, as one value. {value} or {err}.
local function snapshot(state, v, r)
  r.statements = r.statements + 1
  local ok, a, rows = state.conn:try(([[
    select count(*)::text || ' rows ' || coalesce(sum(hashtextextended(gate_row::text, 0)::numeric), 0)::text as seen from %s gate_row]])
    :format(v.sql))
  return ok and { value = rows[1].seen } or { err = a }
end

local function show_others(state, v)
  -- Where nothing in the view says whose a row is, there are only rows of B.
  local made = planted.lines(state, { v }, not v.tenant and state.b.key or nil)
  return state.session:reproduce(("select * from %s%s"):format(v.sql,
    v.tenant and (" where %s::text <> '<tenant A>'"):format(names.ident(v.tenant)) or ""), nil, made, state.a.key)
end

local function snapshots(state, list, results)
  state.session:as_application()
  state.session:set(state.session:of(state.a.key))
  local out = {}
  for _, v in ipairs(list) do out[v.oid] = snapshot(state, v, results[v.oid]) end
  state.session:as_admin()
  return out
end

--- Canaries of one tenant, wherever one can be made: which tables refuse them the probe of the tables says.
local function plant(state, tables, who)
  local function is_refused(raised) return errors.is(raised) and raised.code ~= "db_lost" and raised.code ~= "db_closed" end
  local looked, refusal = pcall(state.maker.lookups, state.maker, { who })
  if not looked and not is_refused(refusal) then error(refusal, 0) end
  state.maker:rows_of(tables, { who })
  for _, t in ipairs(tables) do
    local ok, raised = pcall(state.maker.row, state.maker, t, who)
    if not ok and not is_refused(raised) then error(raised, 0) end
  end
end

--- The tables beneath, as database.fixtures names them.
local function tables_of(v)
  local labels = {}
  for i, t in ipairs(v.reads or {}) do labels[i] = t.label end
  table.sort(labels)
  return #labels > 0 and table.concat(labels, " or ") or "what it reads"
end

local function judge(state, v, r, before, own, again, both)
  for _, s in ipairs { before, own, again, both } do
    if s.err then
      if s.err.sqlstate == "42501" and before.err and before.err.sqlstate == "42501" then
        r.proven[#r.proven + 1] = "select"
      elseif s.err.sqlstate == UNPOPULATED and is_proven(state, v) then
        r.proven[#r.proven + 1] = "select"
      else
        r.errors[#r.errors + 1] = "select: " .. said.of(state.conn, s.err)
      end
      return
    end
  end
  if own.value ~= again.value then
    r.errors[#r.errors + 1] = "select: the view shows something else each time it is read, so that nothing can be compared"
  elseif both.value ~= own.value then
    r.leaks[#r.leaks + 1] = { op = "select", detail = "the view shows another tenant's rows", reproduce = show_others(state, v) }
  elseif own.value ~= before.value then
    r.controls = r.controls + 1
  elseif is_proven(state, v) then
    r.proven[#r.proven + 1] = "select"
  else
    r.errors[#r.errors + 1] = ("select: the positive control failed: no canary shows in the view, which reads with the rights of %s%s: "
      .. "make it security_invoker, give %s a statement in database.fixtures that makes rows which the view shows (INSERT … VALUES "
      .. "({tenant}, …)), or name the view in database.shared if its rows are everybody's"):format(v.reader or v.owner,
      v.bound and "" or ", whom row-level security does not bind", tables_of(v))
  end
end

--- Rows of other tenants that are there already.
local function look_for_others(state, v, r)
  if not v.tenant then return end
  r.statements = r.statements + 1
  local ok, affected = state.conn:try(("select 1 from %s where %s::text <> (%s::%s)::text limit 1")
    :format(v.sql, names.ident(v.tenant), names.literal(state.a.key), v.by_column[v.tenant].type))
  if ok and affected > 0 then
    r.leaks[#r.leaks + 1] = { op = "select", detail = "the view shows another tenant's rows", reproduce = show_others(state, v) }
  end
end

--- Probes the views in an open transaction.
---@param state rls.State
---@param tables rls.Table[]  base tables of tenants
---@param list rls.Table[]  views over tenants' rows
function views.run(state, tables, list)
  local readable, results = {}, state.results
  for _, v in ipairs(list) do
    local r = probe_state.result(results, v)
    if not v.may.select or v.kind == "m" then
      -- A materialised view that the application may read is a finding already, without a probe.
      r.proven[#r.proven + 1] = "select"
    else
      readable[#readable + 1] = v
    end
  end
  local written = { table.unpack(readable) }
  for _, v in ipairs(list) do
    if not v.may.select and (v.may.insert or v.may.update or v.may.delete) then written[#written + 1] = v end
  end
  if #written == 0 then return end
  local registries = {}
  for _, t in pairs(state.maker.by_oid) do
    if t.registry then registries[#registries + 1] = t end
  end
  plant(state, registries, state.a)
  plant(state, registries, state.b)
  local updatable = view_writes.updatable(state.conn, written)
  local before = snapshots(state, readable, results)
  plant(state, tables, state.a)
  local own, again = snapshots(state, readable, results), snapshots(state, readable, results)
  local own_reached = view_writes.count(state, written, updatable)
  plant(state, tables, state.b)
  local both = snapshots(state, readable, results)
  local both_reached = view_writes.count(state, written, updatable)
  state.session:as_application()
  state.session:set(state.session:of(state.a.key))
  for _, v in ipairs(readable) do
    local r = results[v.oid]
    judge(state, v, r, before[v.oid], own[v.oid], again[v.oid], both[v.oid])
    if #r.leaks == 0 then look_for_others(state, v, r) end
  end
  state.session:as_admin()
  view_writes.judge(state, written, updatable, own_reached, both_reached)
  view_triggers.run(state, written)
end

return views
