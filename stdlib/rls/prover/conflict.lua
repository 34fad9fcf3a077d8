--- INSERT … ON CONFLICT DO UPDATE in a function's text: part of rls.prover.statements.
--
-- The row in the way is one whose key is that of the row that was to be inserted, and what becomes of it is an UPDATE's, in which the
-- other one is called "excluded" (PostgreSQL manual, INSERT, "ON CONFLICT Clause").

local function column_ref(...)
  local fields = {}
  for i, name in ipairs { ... } do fields[i] = { String = { sval = name } } end
  return { ColumnRef = { fields = fields } }
end

local function equal(a, b)
  local name = { { String = { sval = "pg_catalog" } }, { String = { sval = "=" } } }
  return { A_Expr = { kind = "AEXPR_OP", name = name, lexpr = a, rexpr = b } }
end

--- A copy of an expression in which bare names are those of one table.
local function qualified(tree, alias)
  if type(tree) ~= "table" then return tree end
  local fields = tree.ColumnRef and tree.ColumnRef.fields
  if fields and #fields == 1 and fields[1].String then return column_ref(alias, fields[1].String.sval) end
  local out = {}
  for key, value in pairs(tree) do out[key] = qualified(value, alias) end
  return out
end

--- The columns of the key that decides what is in the way; nil where it is named otherwise than by its columns.
local function key_of(infer)
  local out = {}
  for i, item in ipairs(infer and infer.indexElems or {}) do
    local e = item.IndexElem
    if not e.name or e.collation or e.opclass then return nil end
    out[i] = e.name
  end
  return #out > 0 and out or nil
end

--- What was to be inserted, as queries of one row each, or as the query itself: their columns have the table's names. Nil where a value's
--- column is not known.
local function proposed(query, cols)
  local out = {}
  local function select(targets, tree)
    local copy, list = {}, {}
    for key, value in pairs(tree) do copy[key] = value end
    for i, value in ipairs(targets) do
      if not cols[i] then return false end
      if not value.SetToDefault then list[#list + 1] = { ResTarget = { name = cols[i], val = value } } end
    end
    copy.targetList = list
    out[#out + 1] = copy
    return true
  end
  for _, row in ipairs(query.valuesLists or {}) do
    if not select(row.List.items, { op = "SETOP_NONE" }) then return nil end
  end
  if query.valuesLists then return out end
  local targets = {}
  for i, item in ipairs(query.targetList or {}) do targets[i] = item.ResTarget.val end
  return query.op == "SETOP_NONE" and select(targets, query) and out or nil
end

---@param Walk table  gets the method
return function(Walk)
  --- The rows that are in the way, and what they become.
  ---@param c table       InsertStmt
  ---@param cols string[] that it names
  ---@param query table   SelectStmt
  ---@param conds prover.Node[]
  function Walk:in_the_way(c, cols, query, conds)
    local conflict = c.onConflictClause
    local key, list = key_of(conflict.infer), proposed(query, cols)
    if not key or not list then return self:give_up "INSERT … ON CONFLICT with a key that is not named by its columns" end
    local alias = c.relation.alias and c.relation.alias.aliasname or c.relation.relname
    local set = {}
    for _, item in ipairs(conflict.targetList or {}) do set[item.ResTarget.name] = true end
    for _, select in ipairs(list) do
      local tests, given = {}, {}
      for _, item in ipairs(select.targetList) do given[item.ResTarget.name] = true end
      for i, name in ipairs(key) do
        if not given[name] then return self:give_up "INSERT … ON CONFLICT with a key that is a default's" end
        tests[i] = equal(column_ref(alias, name), column_ref("excluded", name))
      end
      if conflict.infer.whereClause then tests[#tests + 1] = qualified(conflict.infer.whereClause, alias) end
      if conflict.whereClause then tests[#tests + 1] = conflict.whereClause end
      local update = { relation = c.relation, targetList = conflict.targetList, fromClause = { { RangeSubselect = {
        subquery = { SelectStmt = select }, alias = { aliasname = "excluded" } } } },
        whereClause = { BoolExpr = { boolop = "AND_EXPR", args = tests } } }
      self:touched(update, update.fromClause, conds)
      self:fired_by(update, update.fromClause, "UPDATE", conds)
      if self.whole or self.is_tenant_column(c.relation, set) then self:updated(update, conds) end
    end
  end
end
