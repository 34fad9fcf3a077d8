--- Arrays and rows of subqueries: the part of rls.prover.explore that walks over what there may be several of.
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"

local NULL, ERROR = sorts.NULL, functions.ERROR
local T = 1

---@param X prover.Explorer  gets the methods
---@param push fun(self: table, list: string, item: any)
return function(X, push)
-- Items of arrays.

local I = {}

--- The items that an array may have: k(term or NULL).
function X:items(node, env, k)
  self:step()
  local fn = I[node.k]
  if fn then return fn(self, node, env, k) end
  local element = node.t:match "^array:(.*)$" or "other:unknown"
  self:branch(function()
    self:note("an item of " .. node.k)
    k(self:fresh(element, "item"))
  end)
end

function I.array(self, node, env, k)
  for _, item in ipairs(node.items) do self:val(item, env, k) end
end

function I.const(self, node, _, k)
  if node.v == NULL then return end
  for _, v in ipairs(node.v.items) do k(v == NULL and NULL or self.facts:const(node.t:sub(7), v)) end
end

function I.col(self, node, env, k)
  self:val(node, env, function(v)
    if v == NULL or v == ERROR then return end
    local piece = self:fresh(node.t:sub(7), "piece")
    push(self, "pieces", { of = v, piece = piece, array = true })
    k(piece)
  end)
end

function I.arraysub(self, node, env, k)
  self:rows(node.sub, env, function(inner) self:val(node.target, inner, k) end)
end

function I.scalar(self, node, env, k)
  self:rows(node.sub, env, function(inner) self:items(node.target, inner, k) end)
end

function I.coalesce(self, node, env, k)
  for _, arg in ipairs(node.args) do self:items(arg, env, k) end
end

function I.case(self, node, env, k)
  for _, result in ipairs(node.results) do self:items(result, env, k) end
end

--- As for other values: the second is always one of the ways, since an error may come from what is not looked at in detail.
I["try"] = function(self, node, env, k)
  self:items(node.a, env, function(item)
    if item == ERROR then return self:items(node.b, env, k) end
    return k(item)
  end)
  self:branch(function()
    self:note "an error"
    self:items(node.b, env, k)
  end)
end

I["nullif"] = function(self, node, env, k)
  return self:items(node.a, env, k)
end

function I.strict(self, node, env, k)
  return self:items(node.a, env, k)
end

function I.castarray(self, node, env, k)
  self:items(node.a, env, function(item)
    if item == NULL or item == ERROR then return k(item) end
    self:branch(function()
      local term = self.facts:apply(node.f, { item })
      if term ~= ERROR and self:mentioned(term, node.f, { item }) and self.facts:close() then k(term) end
    end)
  end)
end

I["fn"] = function(self, node, env, k)
  self:vals(node.args, env, function(args)
    if not args then return end
    if node.f.name == "string_to_array" then return self:split(args[1], args[2], k) end
    local element = node.f.name:match "^read:array:(.*)$"
    if not element then
      return self:branch(function()
        self:note("an item of " .. node.f.name)
        k(self:fresh(node.t:sub(7), "item"))
      end)
    end
    local c = self.facts:constant(args[1])
    local known = c and node.f.eval(c.v)
    if known == ERROR then return end
    if known and known.items then
      for _, v in ipairs(known.items) do k(v == NULL and NULL or self.facts:const(element, v)) end
      return
    end
    if known then
      return self:branch(function()
        self:note "an array literal"
        k(self:fresh(element, "item"))
      end)
    end
    self:split(args[1], self.facts:const("text", "\2literal"), function(piece)
      local f = functions.cast("text", element)
      local term = f and self.facts:apply(f, { piece }) or piece
      if term ~= ERROR and (not f or self:mentioned(term, f, { piece })) and self.facts:close() then k(term) end
    end)
  end)
end

-- Rows of subqueries.

--- The rows that a subquery may have: k(env with its rows).
function X:rows(sub, env, k)
  if sub.approx then
    local mark = self.facts:mark()
    self:note(sub.approx)
    self:row(sub, 1, env, k)
    self.facts:undo(mark)
    return
  end
  return self:row(sub, 1, env, k)
end

function X:row(sub, i, env, k)
  self:step()
  local row = sub.from[i]
  if not row then return self:all(sub.conds, T, env, function() k(env) end) end
  self.serial = self.serial + 1
  local instance = { id = (row.label or row.alias or "row") .. "#" .. self.serial, label = row.label, row = row }
  local inner = setmetatable({ [row] = instance }, { __index = env })
  if row.kind == "unnest" then
    return self:items(row.array, env, function(item)
      if item == ERROR then return end
      instance.value = item
      self:row(sub, i + 1, inner, k)
    end)
  end
  self:branch(function()
    push(self, "instances", instance)
    if row.unsure then self:note(row.unsure) end
    if not row.guard then return self:row(sub, i + 1, inner, k) end
    self:sat(row.guard, T, inner, function() self:row(sub, i + 1, inner, k) end)
  end)
end


-- One row is one row.

--- The unique keys of a table, those included that foreign keys lead to.
function X:unique_keys(row)
  local list = {}
  for _, key in ipairs(row.info and row.info.keys or {}) do list[#list + 1] = key end
  for _, hop in ipairs(self.p.path) do
    if hop.label == row.label then list[#list + 1] = hop.ref end
  end
  for _, fk in ipairs(self.p.main.info.foreign_keys or {}) do
    if fk.table == row.label then list[#list + 1] = fk.ref end
  end
  return list
end

--- Two rows of a table that agree in a unique key are the same row. False: they cannot be.
local function one_row(self, a, b)
  for _, key in ipairs(self:unique_keys(a.row)) do
    local same = #key > 0
    for _, name in ipairs(key) do
      local x, y = a.id .. "." .. name, b.id .. "." .. name
      local column = a.row.columns and a.row.columns[name]
      same = same and column ~= nil and self.nulls[x] == "set" and self.nulls[y] == "set"
        and self.facts:find(self.facts:var(x, column.t)) == self.facts:find(self.facts:var(y, column.t))
    end
    if same then
      for name, column in pairs(a.row.columns) do
        local x, y = a.id .. "." .. name, b.id .. "." .. name
        local known = self.nulls[x] and self.nulls[y]
        if known and self.nulls[x] ~= self.nulls[y] then return false end
        if known and self.nulls[x] == "set" and sorts.identity(column.t)
          and not self.facts:equal(self.facts:var(x, column.t), self.facts:var(y, column.t)) then
          return false
        end
      end
    end
  end
  return true
end

--- Draws the conclusions from unique keys. False: the way cannot be.
function X:close_rows()
  repeat
    local before = self.facts.depth
    for i = 1, self.n.instances do
      for j = i + 1, self.n.instances do
        local a, b = self.instances[i], self.instances[j]
        if a.label and a.label == b.label and not one_row(self, a, b) then return false end
      end
    end
  until self.facts.depth == before
  return true
end
end
