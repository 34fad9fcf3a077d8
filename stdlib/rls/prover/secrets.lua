--- Queries whose rows are those of whoever knows a secret, by its hash: part of rls.prover.statements.

---@param compile table
---@return fun(where: table?): string? secret_of
return function(compile)
  --- Functions whose result says nothing of the text that it was made of, and that nobody finds another text for.
  local ONE_WAY = { sha224 = true, sha256 = true, sha384 = true, sha512 = true, digest = true, hmac = true, crypt = true }

  local function is_hash(tree)
    if type(tree) ~= "table" then return false end
    local names = tree.FuncCall and compile.names(tree.FuncCall.funcname)
    if names and ONE_WAY[names[#names]] then return true end
    for _, value in pairs(tree) do
      if is_hash(value) then return true end
    end
    return false
  end

  --- The column that has to be equal to a hash of what the caller gives, for any row to be one of the query's; nil for none.
  local function secret_of(where)
    local all = where and where.BoolExpr and where.BoolExpr.boolop == "AND_EXPR" and where.BoolExpr.args or { where }
    for _, item in ipairs(all) do
      local e = item.A_Expr
      local is_equal = e and e.kind == "AEXPR_OP" and compile.names(e.name)[1] == "=" and #e.name == 1
      local left, right = is_equal and e.lexpr, is_equal and e.rexpr
      local column = left and ((is_hash(right) and left.ColumnRef) or (is_hash(left) and right.ColumnRef))
      local fields = column and compile.names(column.fields)
      if fields then return fields[#fields] end
    end
    return nil
  end

  return secret_of
end
