--- What is assumed on one path of the proof: equalities and inequalities of terms, with undo.
--
-- Congruence closure with constants (Nelson and Oppen, "Fast decision procedures based on congruence closure", 1980), kept simple: after
-- each new equality all rules run until nothing changes. A term stands for a value that is not NULL. Only sorts whose equality is identity
-- of values get here. The rules, each of them true in PostgreSQL:
--
--   * equal arguments give equal results; a function of constants is computed, and where that is an error the path ends
--   * writing as text is injective, so is joining a text to another; the first, and joining a constant, are undone on constants
--   * reading what was written gives the value; case, blanks and a length of 36 do not change the text of a uuid
--   * two constants are never equal
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"

---@class prover.Term
---@field id integer
---@field op "const"|"var"|"app"
---@field sort string
---@field v any            of a constant
---@field name string      of a variable
---@field f table          of an application
---@field args prover.Term[]

local Facts = {}
Facts.__index = Facts

local facts = {}

function facts.new()
  return setmetatable({ pool = {}, count = 0, trail = {}, depth = 0, parent = {}, value = {}, apps = {}, n = { apps = 0, apart = 0 },
    apart = {}, truths = {} }, Facts)
end

--- Changes a table so that undo() takes it back.
function Facts:set(t, key, value)
  self.depth = self.depth + 1
  local entry = self.trail[self.depth]
  if entry then
    entry[1], entry[2], entry[3] = t, key, t[key]
  else
    self.trail[self.depth] = { t, key, t[key] }
  end
  t[key] = value
end

function Facts:mark()
  return self.depth
end

function Facts:undo(mark)
  for i = self.depth, mark + 1, -1 do
    local entry = self.trail[i]
    entry[1][entry[2]] = entry[3]
  end
  self.depth = mark
  self.stale = true
end

local function intern(self, key, term)
  local known = self.pool[key]
  if known then return known end
  self.count = self.count + 1
  term.id = self.count
  self.pool[key] = term
  return term
end

function Facts:const(sort, value)
  return intern(self, "c:" .. sort .. ":" .. sorts.key(sort, value), { op = "const", sort = sort, v = value })
end

function Facts:var(name, sort)
  return intern(self, "v:" .. sort .. ":" .. name, { op = "var", sort = sort, name = name })
end

function Facts:find(term)
  local parent = self.parent
  local up = parent[term]
  while up do
    term = up
    up = parent[term]
  end
  return term
end

--- The constant that a term is known to equal, or nil.
function Facts:constant(term)
  local root = self:find(term)
  return root.op == "const" and root or self.value[root]
end

--- Does a function undo nothing: may equal results come from equal arguments only?
local function injective(name)
  return name:sub(1, 5) == "text:" or name:sub(1, 4) == "cat:"
end

--- The argument of an injective function for a constant result; nil where there is none.
local function inverse(f, value)
  if f.name:sub(1, 5) == "text:" then
    local back = sorts.parse(f.params[1], value)
    if back ~= nil and sorts.text(f.params[1], back) == value then return back end
    return nil
  end
  if f.before then
    if value:sub(1, #f.before) == f.before then return value:sub(#f.before + 1) end
  elseif #f.after <= #value and value:sub(#value - #f.after + 1) == f.after then
    return value:sub(1, #value - #f.after)
  end
  return nil
end

--- A text joined to a constant, as a function of the other part.
local function joined(constant, before)
  return { name = (before and "cat:<" or "cat:>") .. constant, params = { "text" }, ret = "text",
    before = before and constant or nil, after = not before and constant or nil,
    eval = function(v) return before and constant .. v or v .. constant end }
end

local UNCHANGED = { lower = true, btrim = true, ltrim = true, rtrim = true }

--- What a function makes of a term that is itself an application, or nil.
local function simplified(f, first, rest)
  if first.op ~= "app" or first.f.name:sub(1, 5) ~= "text:" then return nil end
  local sort = first.f.params[1]
  if f.name == "read:" .. sort then return first.args[1] end
  if sort ~= "uuid" and sort ~= "int" and sort ~= "bool" then return nil end
  if UNCHANGED[f.name] and #f.params == 1 then return first end
  if f.name == "left" and sort == "uuid" and rest and rest.op == "const" and rest.v >= 36 then return first end
  return nil
end

--- f(args) as a term; functions.ERROR where PostgreSQL raises an error.
---@return prover.Term|table
function Facts:apply(f, args)
  local constants, all = {}, true
  for i, arg in ipairs(args) do
    local c = self:constant(arg)
    constants[i] = c
    all = all and c ~= nil
  end
  if all then
    local values = {}
    for i, c in ipairs(constants) do values[i] = c.v end
    local result = f.eval(table.unpack(values))
    if result == functions.ERROR then return result end
    if result ~= functions.UNKNOWN then return self:const(f.ret, result) end
  end
  local short = simplified(f, args[1], args[2])
  if short then return short end
  if f.name == "||" and (constants[1] or constants[2]) and not all then
    local before = constants[1] ~= nil
    local c, other = (constants[1] or constants[2]).v, before and args[2] or args[1]
    if c == "" then return other end
    return self:apply(joined(c, before), { other })
  end
  local ids = {}
  for i, arg in ipairs(args) do ids[i] = arg.id end
  local term = intern(self, "a:" .. f.name .. "(" .. table.concat(ids, ",") .. ")", { op = "app", sort = f.ret, f = f,
    args = { table.unpack(args) } })
  self:register(term)
  return term
end

--- Makes an application known to the rules.
function Facts:register(term)
  for i = 1, self.n.apps do
    if self.apps[i] == term then return end
  end
  self:set(self.apps, self.n.apps + 1, term)
  self:set(self.n, "apps", self.n.apps + 1)
  self.stale = true
end

--- Joins two classes; false when they hold different constants.
local function union(self, a, b)
  a, b = self:find(a), self:find(b)
  if a == b then return true end
  if a.sort ~= b.sort then return true end -- nothing is concluded
  local ca, cb = self:constant(a), self:constant(b)
  if ca and cb and ca ~= cb then return false end
  self:set(self.parent, a, b)
  if ca and not cb then self:set(self.value, b, ca) end
  self.stale = true
  return true
end

--- An application whose arguments are all known must be what it computes to.
local function computed(self, app)
  local values = {}
  for i, arg in ipairs(app.args) do
    local c = self:constant(arg)
    if not c then return true end
    values[i] = c.v
  end
  local result = app.f.eval(table.unpack(values))
  if result == functions.ERROR then return false end
  if result == functions.UNKNOWN then return true end
  return union(self, app, self:const(app.f.ret, result))
end

local function inverted(self, app)
  local c = injective(app.f.name) and self:constant(app)
  if not c or self:constant(app.args[1]) then return true end
  local back = inverse(app.f, c.v)
  if back == nil then return false end
  return union(self, app.args[1], self:const(app.f.params[1], back))
end

--- The rules for two applications.
local function paired(self, a, b)
  local same = a.f.name == b.f.name and #a.args == #b.args
  if same then
    local equal = true
    for i, arg in ipairs(a.args) do equal = equal and self:find(arg) == self:find(b.args[i]) end
    if equal and not union(self, a, b) then return false end
    if injective(a.f.name) and self:find(a) == self:find(b) and not union(self, a.args[1], b.args[1]) then return false end
  end
  if same and a.f.name == "||" and self:find(a) == self:find(b) then
    local first, second = self:find(a.args[1]) == self:find(b.args[1]), self:find(a.args[2]) == self:find(b.args[2])
    if first and not union(self, a.args[2], b.args[2]) then return false end
    if second and not union(self, a.args[1], b.args[1]) then return false end
  end
  if self:find(a.args[1]) == self:find(b) then
    local short = simplified(a.f, b, a.args[2])
    if short and not union(self, a, short) then return false end
  end
  return true
end

--- A text that is itself joined to another: the other is empty.
local function unjoined(self, app)
  if app.f.name ~= "||" then return true end
  for i = 1, 2 do
    local empty = self:find(app) == self:find(app.args[i])
    if empty and not union(self, app.args[3 - i], self:const("text", "")) then return false end
  end
  return true
end

local function apart(self)
  for i = 1, self.n.apart do
    local pair = self.apart[i]
    if self:find(pair[1]) == self:find(pair[2]) then return false end
    local a, b = self:constant(pair[1]), self:constant(pair[2])
    if a and a == b then return false end
  end
  return true
end

--- Two classes with the same constant are one.
local function same_constants(self)
  for i = 1, self.n.apps do
    local c = self:constant(self.apps[i])
    if c and not union(self, self.apps[i], c) then return false end
  end
  return true
end

--- Runs the rules until nothing changes. False: the path cannot be.
function Facts:close()
  while self.stale do
    self.stale = false
    for i = 1, self.n.apps do
      local a = self.apps[i]
      if not computed(self, a) or not inverted(self, a) or not unjoined(self, a) then return false end
      for j = 1, self.n.apps do
        if i ~= j and not paired(self, a, self.apps[j]) then return false end
      end
    end
    if not same_constants(self) then return false end
  end
  return apart(self)
end

--- Assumes a = b. False: it cannot be.
function Facts:equal(a, b)
  if self:find(a) == self:find(b) then return true end
  return union(self, a, b) and self:close()
end

local BOOL = { [true] = false, [false] = true }

--- Assumes a <> b. False: it cannot be.
function Facts:differ(a, b)
  if a.sort ~= b.sort then return true end
  local ca, cb = self:constant(a), self:constant(b)
  if ca and cb then return ca ~= cb end
  if a.sort == "bool" and (ca or cb) then
    return self:equal(ca and b or a, self:const("bool", BOOL[(ca or cb).v]))
  end
  self:set(self.apart, self.n.apart + 1, { a, b })
  self:set(self.n, "apart", self.n.apart + 1)
  return self:close()
end

return facts
