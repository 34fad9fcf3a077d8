--- Truth values: the part of rls.prover.explore that follows SQL's three-valued logic.
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"

local NULL, ERROR = sorts.NULL, functions.ERROR
local T, F, N = 1, 2, 4

--- The bits of a mask written as letters.
local function bits(letters)
  return (letters:find "T" and T or 0) | (letters:find "F" and F or 0) | (letters:find "N" and N or 0)
end

--- T and F exchanged.
local function flipped(mask)
  return (mask & N) | ((mask & T) << 1) | ((mask & F) >> 1)
end

---@param X prover.Explorer  gets the methods
return function(X)
-- Truth values.

local S = {}

function X:sat(node, mask, env, k)
  if mask == 0 then return end
  if mask == T | F | N then return k() end
  self:step()
  local fn = S[node.k]
  if fn then return fn(self, node, mask, env, k) end
  self:val(node, env, function(v)
    if v == ERROR then return end
    if v == NULL then
      if mask & N ~= 0 then k() end
      return
    end
    if mask & T ~= 0 then self:assume(true, v, self.yes, k) end
    if mask & F ~= 0 then self:assume(true, v, self.no, k) end
  end)
end

--- Each of the nodes has a value of the mask.
function X:all(nodes, mask, env, k, i)
  i = i or 1
  if i > #nodes then return k() end
  return self:sat(nodes[i], mask, env, function() return self:all(nodes, mask, env, k, i + 1) end)
end

--- AND, for a mask; OR is the same with true and false exchanged.
local function conjunction(self, nodes, mask, env, k, yes, no)
  if mask & no ~= 0 then
    -- something false, or also NULL where that is wanted as well
    local want = mask & N ~= 0 and no | N or no
    for _, node in ipairs(nodes) do self:sat(node, want, env, k) end
    if mask & yes ~= 0 then self:all(nodes, yes, env, k) end
    return
  end
  if mask & N ~= 0 and mask & yes ~= 0 then return self:all(nodes, yes | N, env, k) end
  if mask & yes ~= 0 then return self:all(nodes, yes, env, k) end
  for i, node in ipairs(nodes) do
    local others = { table.unpack(nodes, 1, i - 1) }
    table.move(nodes, i + 1, #nodes, #others + 1, others)
    self:sat(node, N, env, function() self:all(others, yes | N, env, k) end)
  end
end

S["and"] = function(self, node, mask, env, k)
  return conjunction(self, node.args, mask, env, k, T, F)
end

S["or"] = function(self, node, mask, env, k)
  return conjunction(self, node.args, mask, env, k, F, T)
end

S["not"] = function(self, node, mask, env, k)
  return self:sat(node.a, flipped(mask), env, k)
end

S["eq"] = function(self, node, mask, env, k)
  self:vals({ node.a, node.b }, env, function(v)
    if not v then
      if mask & N ~= 0 then k() end
      return
    end
    if mask & T ~= 0 then self:assume(true, v[1], v[2], k) end
    if mask & F ~= 0 then self:assume(false, v[1], v[2], k) end
  end)
end

S["distinct"] = function(self, node, mask, env, k)
  self:val(node.a, env, function(a)
    if a == ERROR then return end
    self:val(node.b, env, function(b)
      if b == ERROR then return end
      if a == NULL or b == NULL then
        if mask & (a == b and F or T) ~= 0 then k() end
        return
      end
      if mask & T ~= 0 then self:assume(false, a, b, k) end
      if mask & F ~= 0 then self:assume(true, a, b, k) end
    end)
  end)
end

S["isnull"] = function(self, node, mask, env, k)
  local if_null, if_set = node.neg and F or T, node.neg and T or F
  self:val(node.a, env, function(v)
    if v ~= ERROR and mask & (v == NULL and if_null or if_set) ~= 0 then k() end
  end)
end

S["test"] = function(self, node, mask, env, k)
  local inner = bits(node.mask)
  if mask & T ~= 0 then self:sat(node.a, inner, env, k) end
  if mask & F ~= 0 then self:sat(node.a, 7 & ~inner, env, k) end
end

S["opaque"] = function(self, node, _, _, k)
  self:branch(function()
    self:note(node.reason)
    k()
  end)
end

S["has_role"] = function(self, node, mask, _, k)
  local role = self.p.input.role
  local member = not self.p.hidden[node.role] and (node.role == role.name or role.member_of[node.role] == true)
  if mask & (member and T or F) ~= 0 then k() end
end

--- Of what is not in a subquery or an array nothing is concluded.
function X:absent(why, mask, k)
  if mask & (F | N) ~= 0 then
    self:branch(function()
      self:note(why)
      k()
    end)
  end
end

S["exists"] = function(self, node, mask, env, k)
  if mask & T ~= 0 then
    self:rows(node.sub, env, function(inner) self:all(node.tests or {}, T, inner, k) end)
  end
  if not node.tests then mask = mask & ~N end
  self:absent("a subquery without such a row", mask, k)
end

S["any"] = function(self, node, mask, env, k)
  if mask & T ~= 0 then
    self:val(node.a, env, function(a)
      if a == NULL or a == ERROR then return end
      self:items(node.arr, env, function(item)
        if item ~= NULL and item ~= ERROR then self:assume(true, a, item, k) end
      end)
    end)
  end
  if mask & F ~= 0 then
    self:val(node.arr, env, function(v)
      if v ~= NULL and v ~= ERROR then self:absent("an array without such an item", F, k) end
    end)
  end
  self:absent("an array without such an item", mask & N, k)
end

--- A pattern that is a number or a uuid has no wildcard; a beginning as long as the whole is the whole.
local function plain_equality(f, args)
  local pattern = args[2] and args[2].op == "app" and args[2].f.name:match "^text:(.*)$"
  if f.name == "~~" then return pattern == "uuid" or pattern == "int" end
  return f.name == "starts_with" and pattern == "uuid" and args[1].op == "app" and args[1].f.name == "text:uuid"
end

S["fn"] = function(self, node, mask, env, k)
  self:vals(node.args, env, function(args)
    if not args then
      if mask & N ~= 0 then k() end
      return
    end
    if plain_equality(node.f, args) then
      if mask & T ~= 0 then self:assume(true, args[1], args[2], k) end
      if mask & F ~= 0 then self:assume(false, args[1], args[2], k) end
      return
    end
    self:branch(function()
      local v = self.facts:apply(node.f, args)
      if v == ERROR or not self.facts:close() then return end
      if mask & T ~= 0 then self:assume(true, v, self.yes, k) end
      if mask & F ~= 0 then self:assume(true, v, self.no, k) end
    end)
  end)
end

end
