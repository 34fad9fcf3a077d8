--- The search for a way in which an expression is true: a tableau over SQL's three truth values.
--
-- `sat(node, mask, env, k)` calls k once for each way in which the node has a truth value of the mask (T, F, N as bits), with what
-- that way assumes standing in the facts; k returns and the assumptions are taken back. `val(node, env, k)` does so for the values of
-- other nodes. AND and OR follow Kleene's strong logic, which is SQL's (PostgreSQL manual, section 9.1). An evaluation that raises an
-- error shows nothing: its ways are dropped, but never on the strength of an order of evaluation, since the planner may change that.
--
-- More ways than there are may be walked (what is not understood has any value), never fewer: when none comes to its end, the
-- expression cannot be true. When one does, that alone proves nothing: rls.prover.witness looks for values and computes the expression
-- with them.
--
-- What the session and the row may be:
--   * the tenant setting of an axis is the tenant's own value A, NULL (a new connection), '' (after RESET), or any text that does not
--     denote the row's tenant: read as the column's type, in another case, trimmed, or split at any separator it is not that tenant,
--     and a uuid stands nowhere in it;
--   * every other custom setting is NULL or any text;
--   * the row's tenant column is NULL or a value other than A, never the empty text;
--   * rows of other tables are any rows which keep their unique keys.
local functions = require "rls.prover.functions"
local facts = require "rls.prover.facts"
local sorts = require "rls.prover.sorts"

local explore = {}

local NULL, ERROR = sorts.NULL, functions.ERROR
local T, F, N = 1, 2, 4

---@class prover.Explorer
local X = {}
X.__index = X

---@param problem table  {axes, input, main, owner, hidden, restricted, absent}
---@param budget integer most steps
function explore.new(problem, budget)
  local self = setmetatable({ p = problem, steps = 0, budget = budget, facts = facts.new(), nulls = {}, states = {}, notes = {},
    n = { notes = 0, instances = 0, pieces = 0, documents = 0 }, instances = {}, pieces = {}, documents = {}, serial = 0, mentions = {},
    key_sort = {}, key_axis = {}, key_values = {} }, X)
  self.yes, self.no = self.facts:const("bool", true), self.facts:const("bool", false)
  return self
end

function X:step()
  self.steps = self.steps + 1
  if self.steps > self.budget then error({ too_many = true }, 0) end
end

--- Runs fn and takes back what it assumed.
function X:branch(fn, ...)
  local mark = self.facts:mark()
  fn(...)
  self.facts:undo(mark)
end

local function push(self, list, item)
  self.facts:set(self[list], self.n[list] + 1, item)
  self.facts:set(self.n, list, self.n[list] + 1)
end

--- Says why the way that is being walked is not exact.
function X:note(reason)
  push(self, "notes", reason)
end

--- A value of which nothing is known.
function X:fresh(sort, what)
  self.serial = self.serial + 1
  return self.facts:var(what .. "#" .. self.serial, sort)
end

--- Assumes an equality or its contrary on a way of its own.
function X:assume(equal, a, b, k, ...)
  local mark = self.facts:mark()
  local possible
  if equal then possible = self.facts:equal(a, b) else possible = self.facts:differ(a, b) end
  if possible then k(...) end
  self.facts:undo(mark)
end

--- Splits on whether something is NULL; it stays so on the way. k(term or NULL).
function X:nullable(key, sort, may_be_null, k)
  local known = self.nulls[key]
  self.key_sort[key] = sort
  if known == "null" then return k(NULL) end
  if known == "set" then return k(self.facts:var(key, sort)) end
  self:branch(function()
    self.facts:set(self.nulls, key, "set")
    k(self.facts:var(key, sort))
  end)
  if may_be_null then
    self:branch(function()
      self.facts:set(self.nulls, key, "null")
      k(NULL)
    end)
  end
end

-- What is read from the tenant setting: never the row's tenant, however it is written.

--- Marks a text as one that denotes no row's tenant, and assumes it. False: it cannot be.
function X:mention(term, axis)
  self.mentions[term] = axis
  local tenant = axis.term
  if not tenant then return true end
  if axis.sort == "text" then return self.facts:differ(term, tenant) end
  local f = functions.cast(axis.sort, "text")
  local text = f and self.facts:apply(f, { tenant })
  return not text or text == ERROR or self.facts:differ(term, text)
end

local STILL_MENTIONS = { lower = true, upper = true, btrim = true, ltrim = true, rtrim = true, replace = true, split_part = true }

--- The characters that ids are made of: what is put in their place, or split at, makes another id of one.
local ALPHABET = { int = "^[%d%-]*$", uuid = "^[%x%-]*$", bool = "^%a*$" }

--- Is the second argument one that no id has in it? The hyphens of a uuid may go.
local function spares_ids(axis, args)
  local part, alphabet = args[2], ALPHABET[axis.sort]
  if not part or not alphabet or not part.v:find(alphabet) then return true end
  return axis.sort == "uuid" and part.v == "-" and args[3] ~= nil and (args[3].v == "" or args[3].sort == "int")
end

--- A new application of a text that mentions tenants mentions them too, or reads as another tenant.
function X:mentioned(term, f, args)
  local axis = args[1] and self.mentions[args[1]]
  if not axis or term.op ~= "app" then return true end
  if f.name == "read:" .. axis.sort and axis.term then return self.facts:differ(term, axis.term) end
  -- In another case, or without its blanks, a text may be another value of such a type.
  if sorts.is_class(axis.sort) then return true end
  for i = 2, #args do
    if args[i].op ~= "const" then return true end
  end
  return not STILL_MENTIONS[f.name] or not spares_ids(axis, args) or self:mention(term, axis)
end

--- Is this text certainly without such a separator?
local function unsplit(term, separator)
  local sort = term.op == "app" and term.f.name:match "^text:(.*)$"
  return (sort == "uuid" or sort == "int") and separator.op == "const" and separator.v ~= "" and not separator.v:find "[%w%-]"
end

--- The pieces of a text between separators: k(term).
function X:split(text, separator, k)
  local c, s = self.facts:constant(text), self.facts:constant(separator)
  if c and s then
    if c.v == "" then return end
    for _, piece in ipairs(functions.split(c.v, s.v)) do
      self:branch(k, self.facts:const("text", piece))
    end
    return
  end
  if unsplit(text, s or separator) then return k(text) end
  self:branch(function()
    local piece = self:fresh("text", "piece")
    push(self, "pieces", { of = text, separator = s and s.v, piece = piece })
    local own = self.p.own_text[text.name or ""]
    local axis = self.mentions[text] or own
    if own then self:assume_plain(own) end
    if axis and not self:mention(piece, axis) then return end
    k(piece)
  end)
end

-- Settings.

--- The tenant's own value of an axis, as text.
function X:own_text(axis)
  local own = self.facts:var("own:" .. axis.index, axis.sort)
  if axis.sort == "text" then return own end
  local f = functions.cast(axis.sort, "text")
  return f and self.facts:apply(f, { own }) or self.facts:var("owntext:" .. axis.index, "text")
end

--- The states that the text naming the tenant of an axis may have.
local STATES = { "own", "null", "empty", "odd" }
local USUAL = { "own" }

--- Its value in one state; nil where that state cannot be.
function X:in_state(axis, state, key)
  if state == "null" then return NULL end
  if state == "empty" then return self.facts:const("text", "") end
  local term
  if state == "own" and not axis.list then
    term = self:own_text(axis)
    local own = self.facts:var("own:" .. axis.index, axis.sort)
    if axis.term and not self.facts:differ(own, axis.term) then return nil end
    if axis.sort ~= "text" then self.mentions[term] = axis end -- in another case it is the same, so nothing else is lost
    return term
  end
  term = self.facts:var(state .. ":" .. key, "text")
  if not self.facts:differ(term, self.facts:const("text", "")) then return nil end
  return self:mention(term, axis) and term or nil
end

--- The text that names the tenant of an axis: a setting, or a key of the document in it.
function X:tenant_text(axis, key, k)
  local known = self.states[key]
  self.key_axis[key] = axis
  for _, state in ipairs(known and { known } or self.p.usual and USUAL or STATES) do
    self:branch(function()
      self.facts:set(self.states, key, state)
      local value = self:in_state(axis, state, key)
      if value ~= nil then k(value) end
    end)
  end
end

--- A setting whose values the trust in the configuration bounds, or any in an ordinary session: what the application leaves it at.
function X:restricted(name, k)
  local key = "set:" .. name
  local values = not self.p.usual and { NULL, "" } or {}
  for _, axis in ipairs(self.p.axes) do values[#values + 1] = axis.context and axis.context[name] end
  if #values == 0 then values[1] = NULL end
  self.key_values[key] = values
  for i, value in ipairs(values) do
    if self.states[key] == nil or self.states[key] == i then
      self:branch(function()
        self.facts:set(self.states, key, i)
        k(value == NULL and NULL or self.facts:const("text", value))
      end)
    end
  end
end

--- The value of current_setting(name, true): k(term or NULL).
function X:setting(name, k)
  local axis = self.p.by_setting[name]
  if axis and not axis.json_key then return self:tenant_text(axis, "set:" .. name, k) end
  if self.p.restricted[name] or self.p.usual then return self:restricted(name, k) end
  self:nullable("set:" .. name, "text", name ~= "application_name" and not self.p.presets[name], k)
end

-- Values of nodes.

local V = {}

function X:val(node, env, k)
  self:step()
  local fn = V[node.k]
  if fn then return fn(self, node, env, k) end
  if node.t == "bool" then
    self:sat(node, T, env, function() k(self.yes) end)
    self:sat(node, F, env, function() k(self.no) end)
    return self:sat(node, N, env, function() k(NULL) end)
  end
  self:branch(function()
    self:note(node.k)
    k(self:fresh(node.t, node.k))
  end)
  return k(NULL)
end

--- Several values, left to right: k(list), or k(nil) where one is NULL. Errors end the way.
function X:vals(nodes, env, k, i, out)
  i, out = i or 1, out or {}
  if i > #nodes then return k(out) end
  self:val(nodes[i], env, function(v)
    if v == ERROR then return end
    if v == NULL then return k(nil) end
    out[i] = v
    self:vals(nodes, env, k, i + 1, out)
    out[i] = nil
  end)
end

function V.const(self, node, _, k)
  return k(node.v == NULL and NULL or self.facts:const(node.t, node.v))
end

function V.opaque(self, node, _, k)
  self:branch(function()
    self:note(node.reason)
    k(self:fresh(node.t, "opaque"))
  end)
  self:branch(function()
    self:note(node.reason)
    k(NULL)
  end)
end

function V.col(self, node, env, k)
  local instance = env[node.row]
  if not instance then return V.opaque(self, { reason = "the row of " .. node.name, t = node.t }, env, k) end
  if instance.value ~= nil then return k(instance.value) end
  self:nullable(instance.id .. "." .. node.name, node.t, not node.notnull, k)
end

function V.setting(self, node, _, k)
  return self:setting(node.name, function(v)
    if v == NULL and not node.missing_ok then return k(ERROR) end
    return k(v)
  end)
end

function V.user(self, node, _, k)
  local name = node.name
  if name == nil then return V.opaque(self, { reason = "the user's name", t = "text" }, nil, k) end
  return k(self.facts:const("text", self.p.hidden[name] and "\1" .. name or name))
end

local TRIMS = { btrim = true, ltrim = true, rtrim = true }

--- What a function makes of a tenant's own id that is a text without blanks and separators, or nil. That it is one is an assumption.
function X:plain_id(f, args)
  local axis = args[1].op == "var" and self.p.own_text[args[1].name]
  if not axis then return nil end
  local separator = f.name == "split_part" and self.facts:constant(args[2])
  local part = separator and self.facts:constant(args[3])
  local whole = (TRIMS[f.name] and #args == 1) or (part and part.v == 1 and separator.v ~= "" and not separator.v:find "[%w_%-]")
  if whole then self:assume_plain(axis) end
  return whole and args[1] or nil
end

--- The first characters of a text that names tenants, where no id of theirs is longer: it is the whole of an own id, and a text that does
--- not begin with another's is cut to one that is not another's. Of a longer one that does the caller would have to know the id.
function X:cut_to_id(f, args)
  if f.name ~= "left" then return nil end
  local n, text = self.facts:constant(args[2]), args[1]
  if n and n.v >= 36 and text.op == "app" and text.f.name == "text:uuid" then return text end
  local axis = text.op == "var" and self.p.own_text[text.name] or self.mentions[text]
  if not axis or not axis.length or not n or n.v < axis.length then return nil end
  if text.op == "var" and self.p.own_text[text.name] then return text end
  local term = self.facts:apply(f, args)
  return term ~= ERROR and self:mention(term, axis) and term or nil
end

--- Notes that the proof rests on ids being plain, unless the caller has said so.
function X:assume_plain(axis)
  if not axis.plain then
    self.p.cx.assumes[("ids: no id in %s has blanks around it or a separator in it"):format(axis.column)] = true
  end
end

--- Where one uuid is in another's text, and where a tenant is in a text that does not denote it.
function X:position(args, k)
  local function is_uuid(term) return term.op == "app" and term.f.name == "text:uuid" end
  if not is_uuid(args[2]) then return false end
  local c = self.facts:constant(args[1])
  if c and #c.v < 36 then
    k(self.facts:const("int", 0))
    return true
  end
  local axis = self.mentions[args[1]]
  if is_uuid(args[1]) then
    self:assume(true, args[1], args[2], k, self.facts:const("int", 1))
    self:assume(false, args[1], args[2], k, self.facts:const("int", 0))
    return true
  elseif axis and axis.term and self.facts:find(args[2].args[1]) == self.facts:find(axis.term) then
    k(self.facts:const("int", 0))
    return true
  end
  return false
end

function V.fn(self, node, env, k)
  self:vals(node.args, env, function(args)
    if not args then return k(NULL) end
    local plain = self:plain_id(node.f, args) or self:cut_to_id(node.f, args)
    if plain then return k(plain) end
    if node.f.name == "strpos" and self:position(args, k) then return end
    self:branch(function()
      local term = self.facts:apply(node.f, args)
      if term == ERROR then return k(ERROR) end
      if self:mentioned(term, node.f, args) and self.facts:close() then k(term) end
    end)
  end)
end

function V.json(self, node, env, k)
  self:val(node.a, env, function(v)
    if v == NULL or v == ERROR then return k(v) end
    local c = self.facts:constant(v)
    if c and c.v == "" then return k(ERROR) end
    local key = "json:" .. v.id .. ":" .. node.key
    self:branch(function()
      push(self, "documents", { of = v, key = node.key, name = key })
      local name = v.op == "var" and v.name:match "^set:(.*)$"
      local axis = name and self.p.by_setting[name]
      if axis and axis.json_key == node.key then return self:tenant_text(axis, key, k) end
      self:nullable(key, "text", true, k)
    end)
  end)
end

function V.document(self, node, env, k)
  self:val(node.a, env, function(v)
    if v == NULL or v == ERROR then return k(v) end
    k(self:fresh(node.t, "document"))
    -- A member need not be there.
    if node.path then k(NULL) end
  end)
end

function V.coalesce(self, node, env, k, i)
  i = i or 1
  if i > #node.args then return k(NULL) end
  self:val(node.args[i], env, function(v)
    if v == NULL then return V.coalesce(self, node, env, k, i + 1) end
    return k(v)
  end)
end

function V.case(self, node, env, k, i)
  i = i or 1
  if i > #node.conditions then return self:val(node.results[i], env, k) end
  self:sat(node.conditions[i], T, env, function() self:val(node.results[i], env, k) end)
  self:sat(node.conditions[i], F | N, env, function() V.case(self, node, env, k, i + 1) end)
end

V["nullif"] = function(self, node, env, k)
  self:val(node.a, env, function(a)
    if a == NULL or a == ERROR then return k(a) end
    self:val(node.b, env, function(b)
      if b == NULL or b == ERROR then return k(b == NULL and a or b) end
      self:assume(true, a, b, k, NULL)
      self:assume(false, a, b, k, a)
    end)
  end)
end

function V.raise(_, _, _, k) return k(ERROR) end

--- An error of the first may come from what is not looked at in detail, so the second is always one of the ways.
V["try"] = function(self, node, env, k)
  self:val(node.a, env, function(v)
    if v == ERROR then return self:val(node.b, env, k) end
    return k(v)
  end)
  self:branch(function()
    self:note "an error"
    self:val(node.b, env, k)
  end)
end

function V.strict(self, node, env, k)
  self:vals(node.args, env, function(args)
    if not args then return k(NULL) end
    return self:val(node.a, env, k)
  end)
end

function V.scalar(self, node, env, k)
  self:branch(function()
    self:note "a subquery without a row"
    k(NULL)
  end)
  self:rows(node.sub, env, function(inner) self:val(node.target, inner, k) end)
end

function V.count(self, node, _, k)
  self:branch(function()
    self:note "a number of rows"
    k(self:fresh(node.t, "count"))
  end)
end

function V.arraysub(self, node, _, k)
  self:branch(function()
    self:note "an array of rows"
    k(self:fresh(node.t, "array"))
  end)
  k(NULL)
end

-- The row that is asked about, and whose it is.

--- Says that the column of an axis has this value: it is not the tenant's own, and no empty text.
function X:foreign(axis, term)
  self.facts:set(axis, "term", term)
  if not (sorts.identity(axis.sort) or sorts.is_class(axis.sort)) or term.sort ~= axis.sort then return true end
  if not self.facts:differ(term, self.facts:var("own:" .. axis.index, axis.sort)) then return false end
  local empty = axis.sort == "text" and self.facts:const("text", "") or nil
  if sorts.is_class(axis.sort) then empty = self.facts:apply(functions.cast("text", axis.sort), { self.facts:const("text", "") }) end
  if empty and empty ~= ERROR
    and not (self.facts:differ(term, empty) and self.facts:differ(self.facts:var("own:" .. axis.index, axis.sort), empty)) then
    return false
  end
  for _, id in ipairs(self.p.absent) do
    local v = sorts.parse(axis.sort, id)
    if v ~= nil and not self.facts:differ(term, self.facts:const(axis.sort, v)) then return false end
  end
  return true
end

--- The axes, one after another, of the row that has their columns; nil: the row belongs to nobody.
function X:whose(instance, i, k)
  local axis = self.p.axes[i]
  if not axis then return k() end
  local column = instance and instance.row.columns[axis.column]
  if not instance or not column then return self:whose(instance, i + 1, k) end
  self:nullable(instance.id .. "." .. axis.column, column.t, not column.notnull, function(v)
    if v ~= NULL and not self:foreign(axis, v) then return end
    self:whose(instance, i + 1, k)
  end)
end

--- Follows foreign keys to the row that says whose this one is. k(instance, or nil where a key is NULL).
function X:owner(instance, i, k)
  local hop = self.p.path[i]
  if not hop then return k(instance) end
  local parent = { id = "owner" .. i, label = hop.row.label, row = hop.row }
  self:branch(function()
    push(self, "instances", parent)
    self:keys(instance, parent, hop, 1, function(whole) return self:owner(whole and parent or nil, i + 1, k) end)
  end)
end

function X:keys(child, parent, hop, i, k)
  local name, ref = hop.columns[i], hop.ref[i]
  if not child then return k(false) end
  if not name then return k(true) end
  local column = child.row.columns[name]
  self:nullable(child.id .. "." .. name, column.t, not column.notnull, function(v)
    if v == NULL then return k(false) end
    local key = parent.id .. "." .. ref
    self:branch(function()
      self.facts:set(self.nulls, key, "set")
      self.key_sort[key] = column.t
      if self.facts:equal(self.facts:var(key, column.t), v) then self:keys(child, parent, hop, i + 1, k) end
    end)
  end)
end

--- The rows that foreign keys of several columns lead to: they may tie the tenant to what else a policy looks at.
function X:parents(main, i, k)
  local fk = (main.row.info.foreign_keys or {})[i]
  if not fk then return k() end
  if #fk.columns < 2 or not self.p.tables_row(fk.table) then return self:parents(main, i + 1, k) end
  local parent = { id = "parent" .. i, label = fk.table, row = self.p.tables_row(fk.table) }
  self:keys(main, parent, fk, 1, function(whole)
    self:branch(function()
      if whole then push(self, "instances", parent) end
      self:parents(main, i + 1, k)
    end)
  end)
end

--- Calls leaf() for each way in which the node is true of another tenant's row.
function X:run(node, leaf)
  local main = { id = "row", label = self.p.main.label, row = self.p.main }
  self.main = main
  if not self.p.is_new then push(self, "instances", main) end
  self:owner(main, 1, function(instance)
    self:whose(instance, 1, function()
      self:parents(main, 1, function()
        self:sat(node, 1, { [self.p.main] = main }, function()
          self:branch(function()
            if self:close_rows() then leaf() end
          end)
        end)
      end)
    end)
  end)
end

require "rls.prover.items"(X, push)
require "rls.prover.truth"(X)

return explore
