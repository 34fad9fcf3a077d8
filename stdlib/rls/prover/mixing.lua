--- Subqueries whose rows are made of several rows beneath: part of rls.prover.query.
--
-- A window function, GROUP BY and an aggregate put the values of other rows into a row; LIMIT, OFFSET and DISTINCT ON let other rows
-- decide whether it is there. What is asked around the subquery is asked of the row that comes out of it, and of the others only where it
-- is asked of what the window is partitioned by, or the rows are grouped by (PostgreSQL manual, sections 3.5, 7.2.5 and 7.3.3).
local mixing = {}

local function windows_in(tree, out)
  if type(tree) ~= "table" then return end
  for key, value in pairs(tree) do
    if key == "FuncCall" and value.over then out[#out + 1] = value.over end
    if key ~= "SubLink" and key ~= "RangeSubselect" then windows_in(value, out) end
  end
end

--- What a window is partitioned by, its own or that of the named one which it copies.
local function partition(over, named)
  local base = named[over.refname or over.name or ""]
  return over.partitionClause or (base and base ~= over and partition(base, named)) or {}
end

--- How the rows of a query are mixed: by which expressions the rows are alike, and whether the others only choose.
---@param tree table  SelectStmt
---@return {keys: table[], chooses: boolean?}[]
function mixing.of(tree)
  local out, overs, named = {}, {}, {}
  for _, item in ipairs(tree.windowClause or {}) do named[item.WindowDef.name or ""] = item.WindowDef end
  windows_in({ tree.targetList, tree.sortClause }, overs)
  for _, over in ipairs(overs) do out[#out + 1] = { keys = partition(over, named) } end
  if tree.groupClause then out[#out + 1] = { keys = tree.groupClause } end
  local distinct = tree.distinctClause
  if distinct and distinct[1] and next(distinct[1]) then out[#out + 1] = { keys = distinct, chooses = true } end
  if tree.limitCount or tree.limitOffset then out[#out + 1] = { keys = {}, chooses = true } end
  return out
end

--- An expression of GROUP BY, PARTITION BY or DISTINCT ON as a node among a query's rows; nil where it is not one.
---@param key table
---@param tree table   SelectStmt
---@param sub table    of compile.select
---@return prover.Node?
function mixing.node(key, tree, sub, compile, cx)
  local kind, c = next(key)
  if kind == "GroupingSet" then return nil end
  local place = kind == "A_Const" and c.ival and c.ival.ival
  if place then return sub.targets and sub.targets[place] end
  local fields = kind == "ColumnRef" and compile.names(c.fields)
  local node = compile.expr(key, sub.level, cx)
  if fields and #fields == 1 and node.k == "opaque" then
    -- The name of a target.
    for i, item in ipairs(tree.targetList or {}) do
      if item.ResTarget.name == fields[1] then return sub.targets[i] end
    end
  end
  return node
end

return mixing
