--- Subqueries in FROM that are a UNION: part of rls.prover.statements.
--
-- SELECT … FROM (A UNION ALL B) x is the rows of SELECT … FROM (A) x and of SELECT … FROM (B) x. Not so where a window, a group or a LIMIT
-- stands over the UNION: its rows are mixed, and it is left as it is.
local mixing = require "rls.prover.mixing"

local unions = {}

--- Queries that one is taken apart to, at most.
local MOST = 16

local function copy(tree, what, by)
  if tree == what then return by end
  if type(tree) ~= "table" then return tree end
  local out = {}
  for key, value in pairs(tree) do out[key] = copy(value, what, by) end
  return out
end

local arms

--- The subqueries in FROM that are always joined, each as {SelectStmt = …}.
local function subqueries(item, out)
  local kind, c = next(item)
  if kind == "RangeSubselect" then
    out[#out + 1] = c.subquery
  elseif kind == "JoinExpr" then
    subqueries(c.larg, out)
    subqueries(c.rarg, out)
  end
end

--- The columns of a UNION are called as those of its first arm.
local function named_as(tree, first)
  for i, item in ipairs(tree.targetList or {}) do
    local target = first.targetList and first.targetList[i] and first.targetList[i].ResTarget
    local fields = target and target.val.ColumnRef and target.val.ColumnRef.fields
    local last = fields and fields[#fields].String
    local name = target and (target.name or (last and last.sval))
    if name then item.ResTarget.name = name end
  end
  return tree
end

--- A query without a UNION in FROM, or several whose rows are its rows.
---@param tree table  SelectStmt, which is not changed
---@return table[]
function arms(tree)
  if tree.op == "SETOP_UNION" then
    if tree.limitCount or tree.limitOffset then return { tree } end
    local left, right = arms(tree.larg), arms(tree.rarg)
    for _, one in ipairs(right) do left[#left + 1] = named_as(copy(one), left[1]) end
    return left
  end
  if tree.op ~= "SETOP_NONE" then return { tree } end
  local list = {}
  for _, item in ipairs(tree.fromClause or {}) do subqueries(item, list) end
  for _, holder in ipairs(list) do
    local inner = holder.SelectStmt
    local parts = #mixing.of(inner) == 0 and arms(inner) or { inner }
    if #parts > 1 and #parts <= MOST then
      local out = {}
      for _, part in ipairs(parts) do
        for _, one in ipairs(arms(copy(tree, inner, part))) do out[#out + 1] = one end
      end
      return #out <= MOST and out or { tree }
    end
  end
  return { tree }
end
unions.arms = arms

return unions
