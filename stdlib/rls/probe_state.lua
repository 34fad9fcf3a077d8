--- What the probe of one transaction knows, and how it judges what a statement did.
local attempts = require "rls.attempts"
local catalogue = require "rls.catalogue"
local errors = require "errors"
local names = require "rls.names"
local planted = require "rls.planted"
local values = require "rls.values"

local state = {}

---@class rls.Result
---@field table rls.Table
---@field leaks {op: string, detail: string, reproduce: string?}[]
---@field errors string[]
---@field proven string[]                  operations that nobody may do
---@field controls integer                 positive controls that succeeded
---@field controlled table<string, boolean>
---@field uncontrolled table<string, string>  operations whose control failed, and how: another axis may have one that succeeds
---@field reached table<string, integer>    rows that the control of an operation reached
---@field statements integer

--- What a probe of one table found.
---@param results table<string, rls.Result>
---@param t rls.Table
---@return rls.Result
function state.result(results, t)
  results[t.oid] = results[t.oid] or { table = t, leaks = {}, errors = {}, proven = {}, controls = 0, controlled = {}, uncontrolled = {},
    reached = {}, statements = 0 }
  return results[t.oid]
end

local State = {}
State.__index = State

---@class rls.State
---@field conn table
---@field axis rls.Axis
---@field session table        who is who on the connection
---@field maker table          of canaries
---@field runner table         of attempts
---@field bound boolean        must the admin have the tenant set: since RLS binds it, or since a trigger or rule asks for it?
---@field admin_bound boolean  does RLS bind the admin?
---@field a rls.Who            with canaries
---@field b rls.Who            with canaries
---@field c rls.Who?           without rows
---@field alike rls.Who[]      with canaries, like a
---@field owned table<string, integer>    rows of a, by the table's oid
---@field owned_b table<string, integer>
---@field sizes table<string, integer>
---@field inserts table<string, {a: string, b: string}>
---@field foreseen table<string, table<string, rls.Outcome>>  by the table's oid: what was asked for before its turn
---@field results table<string, rls.Result>

---@param fields table
---@return rls.State
function state.new(fields)
  fields.conditions = {}
  return setmetatable(fields, State)
end

--- Asks for attempts on a table that do not depend on each other, together.
---@param t rls.Table
---@param requests rls.Attempt[]
---@return rls.Outcome[]
function State:ask_all(t, requests)
  local r = state.result(self.results, t)
  r.statements = r.statements + #requests
  return attempts.ask_all(requests)
end

local function key_of(request) return request.l and request.q .. "\0" .. request.l or request.q end

--- Asks for one attempt on a table; what was foreseen is there already.
---@param t rls.Table
---@param request rls.Attempt
---@return rls.Outcome
function State:ask(t, request)
  local known = not (request.s or request.r) and self.foreseen[t.oid] or {}
  local key = key_of(request)
  known[key] = known[key] or self:ask_all(t, { request })[1]
  return known[key]
end

--- Asks at once for what the probe of a table will most likely ask for in the session that is set now: a round trip and a block fewer
--- for each. The answers are kept until forget(t).
---@param t rls.Table
---@param requests rls.Attempt[]  without settings of their own, as the application
function State:foresee(t, requests)
  if #requests == 0 then return end
  local known = {}
  for i, out in ipairs(self:ask_all(t, requests)) do known[key_of(requests[i])] = out end
  self.foreseen[t.oid] = known
end

---@param t rls.Table
function State:forget(t) self.foreseen[t.oid] = nil end

---@param t rls.Table
---@param op string
---@param detail string
---@param sql string?
---@param pairs_ string[][]?  settings; default: those of tenant A
---@param changes boolean?    the statement alone does not show what it does to B's row
function State:leak(t, op, detail, sql, pairs_, changes)
  local r = state.result(self.results, t)
  -- What the prover found is told with the prover's text: a second one for each of thousands of tables would only be kept.
  local told = (t.named or {})[op:upper()]
  local text = sql and (told and self.session:reproduce(sql, pairs_, {}, self.a.key) or self:shown(t, sql, pairs_, changes)) or nil
  r.leaks[#r.leaks + 1] = { op = op, detail = detail, reproduce = text }
end

--- What to paste in order to see what a statement does, which names the table or view.
---@param t rls.Table
---@param sql string
---@param pairs_ string[][]?  settings; default: those of tenant A
---@param changes boolean?
---@return string
function State:shown(t, sql, pairs_, changes)
  return self.session:reproduce(sql, pairs_, planted.lines(self, { t }), self.a.key, changes and planted.changed(self, { t }) or nil)
end

--- Is a leak by this operation known already? What asks again for the same then need not.
function State:leaks(t, op)
  for _, l in ipairs(state.result(self.results, t).leaks) do
    if l.op == op then return true end
  end
  return false
end

function State:broken(t, text)
  local r = state.result(self.results, t)
  r.errors[#r.errors + 1] = text
end

function State:proven(t, op)
  local r = state.result(self.results, t)
  r.proven[#r.proven + 1] = op
  r.controlled[op] = true
end

--- May nobody in the application's role do it? Then it is noted as proven.
function State:nobody_may(t, op)
  if not catalogue.nobody_may(t, op) then return false end
  self:proven(t, op)
  return true
end

function State:is_small(t) return self.sizes[t.oid] <= self.max_rows end

--- Types whose literals are compared as what they are, so that an index may find the row.
local PLAIN = { uuid = true, int2 = true, int4 = true, int8 = true }

local NAMES = { int2 = "smallint", int4 = "integer", int8 = "bigint" }

local function owned_by_column(t, c, who)
  if PLAIN[c.base] and c.type == NAMES[c.base] or c.type == "uuid" then
    return ("%s = %s::%s"):format(names.ident(t.tenant), names.literal(who.key), c.type)
  end
  -- Its text need not be the one that it was made of: 10.0.0.1 reads as 10.0.0.1/32.
  return ("%s::text = (%s::%s)::text"):format(names.ident(t.tenant), names.literal(who.key), c.type)
end

--- The rows of a tenant, in SQL. A child without the column is found by its canary's keys.
---@param t rls.Table
---@param who rls.Who
---@return string
function State:owned_by(t, who)
  if t.tenant then
    local c = t.by_column[t.tenant]
    -- Many tables call the column alike, and each of them is asked for often.
    local kind = t.tenant .. "\0" .. c.type
    local known = self.conditions[who.key] or {}
    self.conditions[who.key] = known
    known[kind] = known[kind] or owned_by_column(t, c, who)
    return known[kind]
  end
  local row = self.maker.rows[who.key][t.oid].row
  for _, key in ipairs(t.uniques) do
    local where = state.by_values(t, key.columns, row)
    if where then return where end
  end
  return t.parent_key and state.by_values(t, t.parent_key.columns, row) or errors.raise { code = "canary_without_key",
    message = ("%s has no unique key by which its canary could be found"):format(t.label),
    fix = "add a primary key, or the tenant column" }
end

--- The same as the application asks for them: where it may read some columns alone, by a key of these, so that it is the canary alone.
---@param t rls.Table
---@param who rls.Who
---@return string
function State:shown_by(t, who)
  local readable = (t.columns_of or {}).select
  if not readable or (t.tenant and readable[t.tenant]) then return self:owned_by(t, who) end
  local made = self.maker.rows[who.key] and self.maker.rows[who.key][t.oid]
  for _, key in ipairs(made and t.uniques or {}) do
    local all = true
    for _, name in ipairs(key.columns) do all = all and readable[name] == true end
    local where = all and state.by_values(t, key.columns, made.row)
    if where then return where end
  end
  return self:owned_by(t, who)
end

--- The rows whose columns are as in another row; nil where one of them is NULL there.
---@param t rls.Table
---@param columns string[]
---@param row table
---@return string?
function state.by_values(t, columns, row)
  local parts = {}
  for _, column in ipairs(columns) do
    local literal = values.literal(row[column])
    if literal == "NULL" then return nil end
    parts[#parts + 1] = ("%s = %s::%s"):format(names.ident(column), literal, t.by_column[column].type)
  end
  return #parts > 0 and table.concat(parts, " and ") or nil
end

--- May the application set a column to a value of its own?
local function is_settable(c) return c.may_update and not c.generated and c.identity ~= "a" end
state.is_settable = is_settable

--- What an UPDATE may set without changing an own row: the tenant's column, else one the application may set.
---@param t rls.Table
---@return string|nil column, fun(who: table): string|nil literal
function State:update_column(t)
  if t.tenant and is_settable(t.by_column[t.tenant]) then
    return names.ident(t.tenant), function(who) return names.literal(who.key) end
  end
  local row = self.maker.rows[self.a.key][t.oid].row
  for _, c in ipairs(t.columns) do
    if is_settable(c) then
      local value = c.category == "A" and "'{}'" or values.literal(row[c.name])
      return names.ident(c.name), function() return value end
    end
  end
  return nil
end

--- Does the prover say that a command reaches other tenants' rows in any session? Then that is tried first.
---@param t rls.Table
---@param command string  "SELECT", "UPDATE", "DELETE"
---@return boolean
function state.is_open(t, command) return (t.opened or {})[command] == true end

function state.denied(out) return not out.ok and out.err.sqlstate == "42501" end

function state.no_rows(out) return out.ok and out.affected == 0 end

---@return string? the first two characters of the SQLSTATE
function state.class_of(out) return out.err and out.err.sqlstate and out.err.sqlstate:sub(1, 2) end

--- An error of a constraint or of a trigger's RAISE says that a row was reached: policies hide rows before either sees them. A trigger of
--- the statement raises for the other tenant too, which is no denial.
function state.reached(out)
  local class = state.class_of(out)
  return (out.ok and out.affected > 0) or class == "23" or class == "P0"
end

--- As the admin, afterwards: how many rows satisfy a condition?
---@param t rls.Table
---@param where string
---@param who rls.Who?  whose session an admin who is bound needs
---@return rls.Attempt fields l and ls
function State:looking(t, where, who)
  return { l = ("select count(*) from %s where %s"):format(t.sql, where), ls = self.bound and self.session:of((who or self.b).key) or nil }
end

--- As the admin, afterwards: a digest of the rows that satisfy a condition.
function State:digesting(t, where, who)
  return { l = ("select coalesce(sum(hashtextextended(gate_row::text, 0)::numeric) %% 1000000007, -1) from %s gate_row where %s")
    :format(t.sql, where), ls = self.bound and self.session:of((who or self.b).key) or nil }
end

--- Does a statement change rows, whatever it says of their number?
---@param t rls.Table
---@param sql string
---@param where string  the rows
---@return boolean
function State:changes(t, sql, where)
  local look = self:digesting(t, where)
  local before = self:ask(t, { q = "select 1", r = true, l = look.l, ls = look.ls })
  local after = self:ask(t, { q = sql, l = look.l, ls = look.ls })
  return after.ok and before.ok and after.seen ~= before.seen
end

--- Another row of A's for a control whose statement left A's canary alone: one that names B where the canary names A itself, as a member
--- of A who is another's user does. A policy may keep what is the tenant's own self from being removed, and nobody else.
---@return rls.Outcome?
function State:with_colleague(t, own)
  local insert = t.tenant and self.maker.rows[self.b.key][t.oid] and self.maker:transplant(t, self.b, self.a)
  if not insert then return nil end
  return self:ask(t, { q = ("%s; %s; %s"):format(insert, self.session:become(), own), r = true })
end

--- The control of a statement form: own must reach a row of A. Where it does not, the reason is kept: another axis may do it, or nobody.
---@return boolean controlled
function State:control(t, op, own, where_b, foreign)
  local r = state.result(self.results, t)
  local out = self:ask(t, { q = own })
  local again = out.ok and not state.reached(out) and self:with_colleague(t, own)
  if again and again.ok and again.affected > 0 then out = again end
  if state.reached(out) then
    r.controls, r.controlled[op] = r.controls + 1, true
    r.reached[op] = out.affected
    r.trigger = r.trigger or (state.class_of(out) == "P0" and out.err.message) or nil
    return true
  end
  if not out.ok and not state.denied(out) then
    self:broken(t, ("%s: the positive control failed: %s"):format(op, out.err.message))
    return false
  end
  -- A rule may turn the statement into nothing, for everybody.
  if not self.admin_bound and out.ok and state.no_rows(self:ask(t, { q = own, r = true })) and foreign
    and not self:changes(t, foreign, where_b) then
    self:proven(t, op)
    return true
  end
  r.uncontrolled[op] = r.uncontrolled[op] or ("%s: the positive control failed: %s"):format(op,
    out.ok and "the own tenant's row was not reached" or out.err.message)
  return true
end

--- Does a blind statement reach the own rows and no others? Then one with a WHERE reaches no others either: it applies the same policies
--- to them, and SELECT's too. Only where each can be told: the control reached all own rows, so that the blind statement, which reaches
--- as many, reached those; and nothing beside the policies decides what a statement reaches.
---@param t rls.Table
---@param op string
---@param sql string  the blind statement
---@return boolean
function State:only_own(t, op, sql)
  local own = self.owned[t.oid]
  if not self:may_tell(t) or self:leaks(t, op) or state.result(self.results, t).reached[op] ~= own then return false end
  local out = self:ask(t, { q = sql })
  return out.ok and out.affected == own
end

--- What says which rows a command reaches: the policies that apply, each by its kind and text.
local function reach_of(t, command)
  local out = {}
  for _, p in ipairs(t.policies) do
    local counts = p.applies and (p.command == "ALL" or p.command == command)
    if counts then out[#out + 1] = tostring(p.permissive) .. "\0" .. (p.using or "") end
  end
  table.sort(out)
  return table.concat(out, "\1")
end

--- Is an operation shown to be closed by a blind statement alone: the prover says that it reaches no row of another tenant, and it reaches
--- as many rows as A has? Then it is its own control. That they are A's is not left to the prover: SELECT reaches them and raises an error
--- at one that is not, and the others reach what SELECT does, where the same policies say so. With a WHERE it reaches the same rows.
---@param t rls.Table
---@param op string
---@param sql string  the blind statement
---@return boolean
function State:closed(t, op, sql)
  local r, own = state.result(self.results, t), self.owned[t.oid]
  if not self:may_be_closed(t, op) or op ~= "select" and r.reached.select ~= own then return false end
  local out = self:ask(t, { q = sql })
  if not out.ok or out.affected ~= own then return false end
  r.controls, r.controlled[op], r.reached[op] = r.controls + 1, true, own
  return true
end

---@param t rls.Table
---@param op string
---@return boolean
function State:may_be_closed(t, op)
  local command = op:upper()
  return self:may_tell(t) and self.owned[t.oid] > 0 and (t.decided or {})[command] == "proven"
    and (command == "SELECT" or reach_of(t, command) == reach_of(t, "SELECT"))
end

--- Can a blind statement tell that it reaches the own rows alone?
---@param t rls.Table
---@return boolean
function State:may_tell(t) return t.plain and not self.admin_bound and self:is_small(t) end

--- One statement form with its control: own must reach a row of A, foreign must reach none of B.
function State:try_form(t, op, own, foreign, where_b)
  if not self:control(t, op, own, where_b or self:owned_by(t, self.b), foreign) then return end
  self:try_foreign(t, op, foreign)
end

--- A statement that must reach no row.
---@param t rls.Table
---@param op string
---@param foreign string
---@param whose string?  default: another tenant's
function State:try_foreign(t, op, foreign, whose)
  local out = self:ask(t, { q = foreign })
  local shown = foreign:gsub("^select 1 from", "select * from")
  if out.ok and out.affected > 0 then
    self:leak(t, op, ("%s reaches %d row(s) %s"):format(op, out.affected, whose or "of another tenant"), shown)
  elseif state.class_of(out) == "23" then
    self:leak(t, op, ("%s of another tenant's row passes the policies; only a constraint stops it: %s"):format(op, out.err.message), shown)
  elseif not state.denied(out) and not state.no_rows(out) then
    self:broken(t, ("%s: expected zero rows or SQLSTATE 42501, got %s"):format(op, out.err and out.err.message or "?"))
  end
end

return state
