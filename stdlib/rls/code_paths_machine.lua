--- Sessions as state machines: who is the tenant, since when and until when, each time a tenant's table is touched.
--
-- How settings live is PostgreSQL's guc.c (manual, sections "SET" and "System Administration Functions"): one set for the transaction
-- ends with it, one set for the session survives a commit and not a rollback, and both go back where a savepoint is rolled back to.
--
-- What is a leak and what an advisory:
--   set_config_missing     leak. A tenant's table is touched and nobody has said for whom. An advisory where row-level security does
--                          not bind the role: it sees every row whatever is set (migrations, fixtures).
--   context_left_over      leak. The tenant was set in an earlier transaction: behind a transaction pooler it is another client's.
--   context_session_level  leak. Where that begins: set for longer than the transaction, it outlives the work it was meant for.
--   context_changed        leak. One transaction has worked for two tenants: what it read for one it may write for the other.
--   context_literal        advisory. Drivers that put values into the text themselves do that too, so it may be no more than that;
--                          it may also be a tenant that is hard-coded, or a value that is not escaped.
--   context_needless       advisory. A role that row-level security does not bind states a tenant: it protects nothing.
local machine = {}

---@class code_paths.Shape
---@field text string        normalised
---@field kind string        of statement.scan
---@field name string
---@field chain boolean
---@field is_local boolean
---@field touches table<string, table>  tenants' tables by label
---@field calls code_paths.Function[]
---@field unread string?     why nobody knows what it touches
---@field execute string?    the statement that it executes

---@class code_paths.Context
---@field setting string?    nil: which one cannot be told
---@field is_local boolean?  nil: cannot be told
---@field value any          stands for the value; 0 = empty, nil = cannot be told
---@field from string        "literal", "parameter", "expression", "default"

local Machine = {}
Machine.__index = Machine

local UNKNOWN = {} -- a value that cannot be told: set, and equal to no other

---@param catalogue code_paths.Catalogue
function machine.new(catalogue)
  return setmetatable({ catalogue = catalogue, sessions = {}, found = {}, order = {}, unread = {}, unread_order = {},
    facts = { statements = 0, transactions = 0, sessions = 0, touches = 0, touches_bound = 0 }, roles = {} }, Machine)
end

local function copy(t)
  local out = {}
  for k, v in pairs(t) do out[k] = v end
  return out
end

--- Begins a session, or tells what has changed of one.
---@param id any
---@param who {user: string, application: string}
function Machine:session(id, who)
  local s = self.sessions[id]
  if not s then
    s = { committed = {}, session = {}, transaction = {}, savepoints = {}, prepared = {}, number = 0, under = {} }
    self.sessions[id] = s
    self.facts.sessions = self.facts.sessions + 1
  end
  s.user, s.application = who.user, who.application
  return s
end

function Machine:gone(id) self.sessions[id] = nil end

--- Counts a finding of one statement and application.
local function report(self, s, class, shape, detail, severity)
  local key = table.concat({ class, shape.text, s.application or "", detail, severity or "" }, "\0")
  local f = self.found[key]
  if not f then
    f = { class = class, statement = shape.text, application = s.application or "", detail = detail, severity = severity, count = 0,
      values = {}, distinct = 0 }
    self.found[key] = f
    self.order[#self.order + 1] = f
  end
  f.count = f.count + 1
  return f
end

-- ---- transactions ----

local function begin(self, s)
  s.open = true
  s.number = s.number + 1
  s.session, s.transaction, s.savepoints, s.under = copy(s.committed), {}, {}, {}
  self.facts.transactions = self.facts.transactions + 1
end

local function finish(s, committed)
  if committed then s.committed = s.session end
  if next(s.transaction) then s.evaporated = true end
  s.session, s.transaction, s.savepoints = copy(s.committed), {}, {}
  s.open, s.explicit, s.failed, s.local_role = false, false, false, nil
end

local function find_savepoint(s, name)
  for i = #s.savepoints, 1, -1 do
    if s.savepoints[i].name == name then return i end
  end
  return nil
end

--- Statements that end or divide a transaction. true: nothing else is to be looked at.
local CONTROL = {}

function CONTROL.begin(_, s) s.explicit = true end

function CONTROL.commit(self, s, shape)
  finish(s, not s.failed)
  if shape.chain then
    begin(self, s)
    s.explicit = true
  end
end

function CONTROL.rollback(self, s, shape)
  finish(s, false)
  if shape.chain then
    begin(self, s)
    s.explicit = true
  end
end

function CONTROL.prepare_transaction(_, s) finish(s, true) end

function CONTROL.savepoint(_, s, shape)
  s.savepoints[#s.savepoints + 1] = { name = shape.name, session = copy(s.session), transaction = copy(s.transaction) }
end

function CONTROL.release(_, s, shape)
  local i = find_savepoint(s, shape.name)
  for k = #s.savepoints, i or #s.savepoints + 1, -1 do s.savepoints[k] = nil end
end

function CONTROL.rollback_to(_, s, shape)
  local i = find_savepoint(s, shape.name)
  if not i then return end
  for k = #s.savepoints, i + 1, -1 do s.savepoints[k] = nil end
  s.session, s.transaction, s.failed = copy(s.savepoints[i].session), copy(s.savepoints[i].transaction), false
end

local FAILED_RUNS = { rollback = true, rollback_to = true, commit = true }

-- ---- settings ----

local function effective(s, setting)
  return s.transaction[setting] or s.session[setting]
end

local function is_set(entry) return entry ~= nil and entry.value ~= 0 end

local function role_of(s)
  return s.local_role or s.role or s.user
end

local function apply(s, setting, is_local, value)
  local entry = { value = value == nil and UNKNOWN or value, number = s.number, is_local = is_local }
  if is_local then
    s.transaction[setting] = entry
  else
    s.session[setting], s.transaction[setting] = entry, nil
  end
end

local function judge_change(self, s, shape, setting, before, value)
  local known = before and before.value ~= UNKNOWN and value ~= nil
  if known and before.value ~= 0 and value ~= 0 and before.value ~= value and s.under[setting] == before.value then
    report(self, s, "context_changed", shape, "tenants' tables were touched for another tenant in the same transaction")
  end
end

local function judge_set(self, s, shape, c)
  if c.value == 0 then return end -- it is taken away, which harms nobody
  if not self.catalogue:bound(role_of(s)) then
    report(self, s, "context_needless", shape, ("by the role %s, which row-level security does not bind"):format(role_of(s)))
  end
  if c.is_local ~= true then
    report(self, s, "context_session_level", shape, c.is_local == false and "set for the session: it survives the commit"
      or "whether it ends with the transaction cannot be told: is_local is no constant")
  end
  if c.from == "literal" then
    local f = report(self, s, "context_literal", shape, "the value stands in the text")
    if c.value ~= nil and not f.values[c.value] then
      f.values[c.value] = true
      f.distinct = f.distinct + 1
    end
  end
end

--- What set_config, SET and RESET in the statement do.
local function take_contexts(self, s, shape, contexts)
  for _, c in ipairs(contexts) do
    if c.setting then
      judge_set(self, s, shape, c)
      judge_change(self, s, shape, c.setting, effective(s, c.setting), c.value)
      apply(s, c.setting, c.is_local == true, c.value)
    end
  end
end

local function take_session_words(s, shape)
  if shape.kind == "discard_all" or shape.kind == "reset_all" then
    s.session, s.transaction = {}, {}
    if shape.kind == "discard_all" then s.prepared, s.role, s.local_role = {}, nil, nil end
  elseif shape.kind == "deallocate" then
    if shape.name == "" then s.prepared = {} else s.prepared[shape.name] = nil end
  elseif shape.kind == "set_role" then
    local role = shape.name ~= "" and shape.name or nil
    if shape.is_local then s.local_role = role else s.role, s.local_role = role, nil end
  end
end

-- ---- touching ----

local function why_missing(s)
  if s.lost then return "the setting was reset before" end
  if s.evaporated then return "it was set for a transaction that had ended (is_local lasts no longer)" end
  return "it was not set before in this session"
end

local function labels(touches)
  local list = {}
  for label in pairs(touches) do list[#list + 1] = label end
  table.sort(list)
  return table.concat(list, ", ", 1, math.min(#list, 5)) .. (#list > 5 and (" and %d more"):format(#list - 5) or "")
end

--- The context under which a table's rows are touched: nil where none is set.
local function context_for(self, s, t)
  for _, setting in ipairs(self.catalogue:needed(t)) do
    local entry = effective(s, setting)
    if is_set(entry) then return setting, entry end
  end
  return nil
end

local function judge_touch(self, s, shape, touches, same_statement)
  local missing, left_over = {}, {}
  for label, t in pairs(touches) do
    local setting, entry = context_for(self, s, t)
    if not entry then
      missing[label] = t
    else
      s.under[setting] = entry.value
      if entry.number ~= s.number then left_over[label] = t end
    end
  end
  local bound = self.catalogue:bound(role_of(s))
  local advisory = not bound and "advisory" or nil
  if next(missing) then
    report(self, s, "set_config_missing", shape, ("touches %s; %s%s"):format(labels(missing), same_statement
      and "it is set in the same statement, of whose parts PostgreSQL promises no order" or why_missing(s),
      bound and "" or ("; by the role %s, which row-level security does not bind"):format(role_of(s))), advisory)
  end
  if next(left_over) and bound then
    report(self, s, "context_left_over", shape, ("touches %s; the tenant was set in an earlier transaction"):format(labels(left_over)))
  end
  self.facts.touches = self.facts.touches + 1
  self.facts.touches_bound = self.facts.touches_bound + (bound and 1 or 0)
  self.roles[role_of(s)] = true
end

local function any_context(self, s)
  for _, setting in ipairs(self.catalogue.settings) do
    if is_set(effective(s, setting)) then return true end
  end
  return false
end

--- Nobody knows what the statement touches: that matters only where nobody has said who the tenant is.
local function judge_unread(self, s, shape, why)
  if any_context(self, s) or not self.catalogue:bound(role_of(s)) then return end
  local key = why .. "\0" .. shape.text .. "\0" .. (s.application or "")
  if not self.unread[key] then
    self.unread[key] = { statement = shape.text, application = s.application or "", why = why, count = 0 }
    self.unread_order[#self.unread_order + 1] = self.unread[key]
  end
  self.unread[key].count = self.unread[key].count + 1
end

--- What a function touches before it states the tenant is the caller's to state; then what it states holds for what follows.
local function take_call(self, s, shape, f)
  if f.opaque then judge_unread(self, s, shape, "a function in it runs SQL that is put together at run time") end
  if next(f.touches) then
    if f.early then
      judge_touch(self, s, shape, f.touches, false)
    else
      self.facts.touches = self.facts.touches + 1
      self.facts.touches_bound = self.facts.touches_bound + (self.catalogue:bound(role_of(s)) and 1 or 0)
      self.roles[role_of(s)] = true
    end
  end
  for setting, is_local in pairs(f.sets) do
    if not is_local then
      report(self, s, "context_session_level", shape, "a function in it sets it for the session: it survives the commit")
    end
    apply(s, setting, is_local, nil)
  end
end

local NOT_RECORDED = { shape = { touches = {}, calls = {}, unread = "what was prepared under that name was not recorded" }, contexts = {} }

--- What runs: the statement itself, or the one that it executes with what that one sets.
local function executed(s, shape, contexts)
  if not shape.execute then return shape, contexts end
  local p = s.prepared[shape.execute] or NOT_RECORDED
  return p.shape, p.contexts
end

--- Settings of a prepared statement are not what PREPARE was given: its parameters come with EXECUTE, unseen.
local function prepare(s, shape, contexts)
  local own = {}
  for i, c in ipairs(contexts) do
    own[i] = { setting = c.setting, is_local = c.is_local, from = c.from, value = c.from == "literal" and c.value or nil }
  end
  s.prepared[shape.name] = { shape = shape, contexts = own }
end

local function take_statement(self, s, shape, contexts)
  if shape.kind == "prepare" then return prepare(s, shape, contexts) end
  local run, sets = executed(s, shape, contexts)
  local told = run == shape and shape or { text = shape.text .. " /* " .. (run.text or "?") .. " */" }
  if run.unread then judge_unread(self, s, told, run.unread) end
  if next(run.touches) then judge_touch(self, s, told, run.touches, #sets > 0) end
  for _, f in ipairs(run.calls) do take_call(self, s, told, f) end
  take_contexts(self, s, told, sets)
  take_session_words(s, shape)
  for _, c in ipairs(sets) do
    if c.setting and c.value == 0 then s.lost = true end
  end
end

--- One statement was run.
---@param id any
---@param shape code_paths.Shape
---@param contexts code_paths.Context[]
---@param ok boolean?  nil: nobody knows how it ended
function Machine:statement(id, shape, contexts, ok)
  local s = self.sessions[id]
  self.facts.statements = self.facts.statements + 1
  if not s.open then begin(self, s) end
  if s.failed and not FAILED_RUNS[shape.kind] then return end -- refused: the transaction has failed already
  local control = CONTROL[shape.kind]
  if ok == false then
    -- It was tried all the same; what it would have set is not set.
    local run, sets = executed(s, shape, contexts)
    if not control and shape.kind ~= "prepare" then
      if next(run.touches) then judge_touch(self, s, shape, run.touches, #sets > 0) end
      for _, f in ipairs(run.calls) do
        if f.early then judge_touch(self, s, shape, f.touches, false) end
      end
    end
    s.failed = true
  elseif control then
    control(self, s, shape)
  else
    take_statement(self, s, shape, contexts)
  end
end

--- The server waits for the next query.
---@param id any
---@param state "I"|"T"|"E"  of the transaction (ReadyForQuery)
---@param rolled boolean?    an error came since the last time
function Machine:ready(id, state, rolled)
  local s = self.sessions[id]
  if state == "I" then
    if s.open then finish(s, not (s.failed or rolled)) end
  else
    s.failed = state == "E"
  end
end

return machine
