--- From a way that came to its end to values: a session, a row, and rows of other tables that make the expression true.
--
-- Terms that must equal a constant get it; what is computed from known values is computed, and undone where that is possible; the rest gets
-- values that occur nowhere else. A guess may be wrong: the caller computes the expression with it. Patterns and prefixes are where
-- guesses fail, so a few likely values are tried for what remains open (`witness.variants`).
local documents = require "rls.prover.documents"
local functions = require "rls.prover.functions"
local json = require "json"
local sorts = require "rls.prover.sorts"

local witness = {}

local NULL, UNKNOWN = sorts.NULL, functions.UNKNOWN

local function labels_of(sort, types)
  local enum = sort:match "^enum:(.*)$"
  local labels = enum and types and types[enum] and types[enum].labels
  return labels and #labels > 0 and labels or nil
end

local function fresh(sort, n, types)
  if sort == "uuid" then return ("%08x-0000-4000-8000-%012x"):format(0xa0000000 + n, n) end
  if sort == "int" then return 1000 + n end
  if sort == "text" then return "v" .. n end
  if sort == "bool" then return true end
  local labels = labels_of(sort, types)
  return labels and labels[(n - 1) % #labels + 1] or UNKNOWN
end

--- An argument of f for a result, the other arguments being known; nil where none is found.
local function preimage(f, result, others)
  local name = f.name
  local sort = name:match "^text:(.*)$"
  if sort then return sorts.parse(sort, result) end
  sort = name:match "^read:(.*)$"
  if sort and sort:sub(1, 6) ~= "array:" then return sorts.text(sort, result) end
  if f.before then return result:sub(1, #f.before) == f.before and result:sub(#f.before + 1) or nil end
  if f.after then return result:sub(-#f.after) == f.after and result:sub(1, -#f.after - 1) or nil end
  if name == "lower" or name == "upper" or name == "btrim" or name == "ltrim" or name == "rtrim" or name == "left" or name == "right"
    or name == "replace" or name == "split_part" then
    return result
  end
  if name == "length" then return ("x"):rep(result) end
  if result ~= true then return nil end
  if name == "~~" then return (others[2]:gsub("\\(.)", "%1"):gsub("[%%_]", "x")) end
  if name == "starts_with" then return others[2] .. "x" end
  if name == "<" or name == "<=" then return others[2] - 1 end
  if name == ">" or name == ">=" then return others[2] + 1 end
  return nil
end

--- For comparisons whose second argument is open.
local function second(f, result, first)
  if result ~= true then return nil end
  if f.name == "~~" then return "%" end
  if f.name == "starts_with" then return first:sub(1, 1) end
  if f.name == "<" or f.name == "<=" then return first + 1 end
  if f.name == ">" or f.name == ">=" then return first - 1 end
  return nil
end

---@class prover.Guess
local Guess = {}
Guess.__index = Guess

function Guess:value(term)
  local c = self.x.facts:constant(term)
  if c then return c.v end
  return self.values[self.x.facts:find(term)]
end

function Guess:give(term, value)
  if value == nil or self:value(term) ~= nil then return false end
  self.values[self.x.facts:find(term)] = value
  return true
end

--- One application: forwards or backwards, as far as its values allow.
function Guess:application(app)
  local values, open = {}, nil
  for i, arg in ipairs(app.args) do
    values[i] = self:value(arg)
    if values[i] == UNKNOWN then return false end
    if values[i] == nil then
      if open then return false end
      open = i
    end
  end
  local result = self:value(app)
  if not open then
    if result ~= nil then return false end
    local v = app.f.eval(table.unpack(values))
    return v ~= functions.ERROR and v ~= UNKNOWN and self:give(app, v)
  end
  if result == nil or result == UNKNOWN then return false end
  if open == 1 then return self:give(app.args[1], preimage(app.f, result, values)) end
  if open == 2 then return self:give(app.args[2], second(app.f, result, values[1])) end
  return false
end

--- Texts that are split: made of their pieces, once these are known.
function Guess:containers()
  local x, of = self.x, {}
  for i = 1, x.n.pieces do
    local p = x.pieces[i]
    of[p.of] = of[p.of] or { separator = p.separator, array = p.array }
    local v = self:value(p.piece)
    if v == nil then of[p.of].open = true else table.insert(of[p.of], v) end
  end
  for term, list in pairs(of) do
    if not list.open and list.array then
      if self:give(term, { items = { table.unpack(list) } }) then return true end
    elseif not list.open and list.separator then
      local text = table.concat(list, list.separator)
      if list.separator == "\2literal" then text = "{" .. table.concat(list, ",") .. "}" end
      if self:give(term, text) then return true end
    end
  end
  return false
end

--- The value of something that may be NULL, by its key.
function Guess:of_key(key, sort)
  if self.x.nulls[key] == "set" then return self:value(self.x.facts:var(key, sort)) end
  local state = self.x.states[key]
  if state == "empty" then return "" end
  if state == "own" or state == "odd" then
    local axis = self.x.key_axis[key]
    if state == "own" and not axis.list then return self:value(self.x:own_text(axis)) end
    return self:value(self.x.facts:var(state .. ":" .. key, "text"))
  end
  if math.type(state) == "integer" then return self.x.key_values[key][state] end
  return NULL
end

function Guess:documents()
  local x, of = self.x, {}
  for i = 1, x.n.documents do
    local d = x.documents[i]
    of[d.of] = of[d.of] or { members = {} }
    local v = self:of_key(d.name, "text")
    if v == nil then of[d.of].open = true elseif v ~= NULL then documents.set(of[d.of].members, d.key, v) end
  end
  for term, list in pairs(of) do
    if not list.open and self:give(term, json.encode(list.members)) then return true end
  end
  return false
end

--- Gives every term a value.
function Guess:fill(terms)
  local x = self.x
  repeat
    local again = false
    for i = 1, x.facts.n.apps do again = self:application(x.facts.apps[i]) or again end
    again = self:containers() or again
    again = self:documents() or again
    if not again then
      for _, term in ipairs(terms) do
        if self:value(term) == nil and not self.later[term] then
          self.n = self.n + 1
          again = self:give(term, fresh(term.sort, self.n, x.p.input.types))
          if again then break end
        end
      end
    end
    if not again and next(self.later) then
      self.later, again = {}, true
    end
  until not again
end

--- The variables of the way, in the order in which they came.
local function variables(x)
  local terms, later = {}, {}
  local function add(term)
    if term.op == "var" then terms[#terms + 1] = term end
  end
  for key, state in pairs(x.nulls) do
    if state == "set" then
      add(x.facts:var(key, x.key_sort[key]))
    end
  end
  for _, axis in ipairs(x.p.axes) do add(x.facts:var("own:" .. axis.index, axis.sort)) end
  for key, state in pairs(x.states) do
    if state == "own" or state == "odd" then add(x.facts:var(state .. ":" .. key, "text")) end
  end
  for i = 1, x.n.pieces do
    add(x.pieces[i].piece)
    later[x.pieces[i].of] = true
  end
  for i = 1, x.n.documents do later[x.documents[i].of] = true end
  table.sort(terms, function(a, b) return a.id < b.id end)
  return terms, later
end

--- The values of a row's columns on this way.
local function row_values(g, id, columns, main)
  local row = {}
  for name, column in pairs(columns or {}) do
    local key = id .. "." .. name
    local state = g.x.nulls[key]
    if state == "set" then
      row[name] = g:value(g.x.facts:var(key, column.t))
    elseif state == nil and column.notnull then
      g.n = g.n + 1
      row[name] = fresh(column.t, g.n, g.x.p.input.types)
    elseif state == "null" or main then
      row[name] = NULL
    end
    if row[name] == nil then row[name] = NULL end
  end
  return row
end

--- The columns of a row that this way asks nothing of.
local function unasked(g, instance)
  local out = {}
  for name in pairs(instance.row.columns or {}) do out[name] = g.x.nulls[instance.id .. "." .. name] == nil or nil end
  return out
end

local function same_key(keys, a, b)
  for _, key in ipairs(keys) do
    local same = #key > 0
    for _, name in ipairs(key) do same = same and a[name] ~= nil and a[name] ~= NULL and a[name] == b[name] end
    if same then return true end
  end
  return false
end

--- Adds a row unless one with its key is there.
local function add_row(x, model, instance, row)
  local list = model.rows[instance.label] or {}
  model.rows[instance.label] = list
  local keys = x:unique_keys(instance.row)
  for _, other in ipairs(list) do
    if same_key(keys, row, other) then return end
  end
  list[#list + 1] = row
end

--- A model of the way that the explorer stands on. `pins` gives terms values beforehand.
---@param x prover.Explorer
---@param pins table<prover.Term, any>?
---@return prover.Model
function witness.model(x, pins)
  local terms, later = variables(x)
  local g = setmetatable({ x = x, values = {}, n = 0, later = later }, Guess)
  for term, value in pairs(pins or {}) do g:give(term, value) end
  g:fill(terms)
  local model = { settings = {}, rows = {}, renamed = {}, member = x.p.member, own = {}, fired = {}, free = {} }
  for key in pairs(x.nulls) do
    local name = key:match "^set:(.*)$"
    local v = name and g:of_key(key, "text")
    if name and v ~= NULL then model.settings[name] = v end
  end
  for key in pairs(x.states) do
    local name = key:match "^set:(.*)$"
    local v = name and g:of_key(key, "text")
    if name and v ~= NULL then model.settings[name] = v end
  end
  for _, axis in ipairs(x.p.axes) do model.own[axis.index] = g:value(x.facts:var("own:" .. axis.index, axis.sort)) end
  model.row = row_values(g, x.main.id, x.main.row.columns, true)
  model.free.row = unasked(g, x.main)
  if not x.p.is_new then add_row(x, model, x.main, model.row) end
  for i = 1, x.n.instances do
    local instance = x.instances[i]
    if instance ~= x.main and instance.label then
      local row = row_values(g, instance.id, instance.row.columns)
      if instance.row.fired then model.fired[instance.row.fired], model.free[instance.row.fired] = row, unasked(g, instance) end
      add_row(x, model, instance, row)
    end
  end
  return model, terms
end

local LIKELY = {
  text = { "%", "a", "ab", "abc", "A", "Ab", "", "x%", "abcdefghijkl1", "abcdefghijkl2", "true", "1" },
  int = { 0, 1, 2, 11, -1, 12, 123451, 123452 },
  bool = { true, false },
}

--- Pairs of texts that are alike in as many characters as a constant of the expression says, from the left and from the right.
local function alike(lengths)
  local out = {}
  for i = 1, math.min(#lengths, 3) do
    local n = lengths[i]
    if math.type(n) == "integer" and n > 0 and n <= 1000 then
      local same = ("k"):rep(n)
      for _, text in ipairs { same .. "1", same .. "2", "1" .. same, "2" .. same } do out[#out + 1] = text end
    end
  end
  return out
end

--- Pins for further guesses: likely values, and the constants of the expression, for one and for two open variables.
---@param terms prover.Term[]
---@param constants table<string, any[]>  by sort
---@param types table?                     of the model
---@param try fun(pins: table): boolean   returns true to stop
function witness.variants(terms, constants, types, try)
  local pools = {}
  for i, term in ipairs(terms) do
    pools[i] = term.sort == "text" and alike(constants.int or {}) or {}
    for _, list in ipairs { constants[term.sort] or {}, LIKELY[term.sort] or labels_of(term.sort, types) or {} } do
      table.move(list, 1, #list, #pools[i] + 1, pools[i])
    end
  end
  for i, term in ipairs(terms) do
    for _, v in ipairs(pools[i]) do
      if try { [term] = v } then return end
    end
  end
  for i, a in ipairs(terms) do
    for j = i + 1, #terms do
      for _, v in ipairs(pools[i]) do
        for _, w in ipairs(pools[j]) do
          if try { [a] = v, [terms[j]] = w } then return end
        end
      end
    end
  end
end

return witness
