--- What the functions of a policy say of the rows that it is asked for: part of rls.prover.statements.
--
-- RAISE in such a function sends what it is given to the client, whatever the policy then answers (PostgreSQL manual, 43.9; LOG and DEBUG
-- too, since client_min_messages is the session's). A policy asks its cheaper conditions first (procost), and CASE those before.
local classify = require "rls.prover.classify"

--- Cost from which a function is asked behind plain comparisons.
local DEAR = 50

---@param compile table
---@param Walk table  gets the methods
return function(compile, Walk)
  --- Does an expression hold a value of the row, or one that is not known?
  local function holds(node, subject)
    local found = false
    classify.walk(node, function(n) found = found or n.k == "opaque" or (n.k == "col" and n.row == subject) end)
    return found
  end

  --- Does an expression of PL/pgSQL say something of the row that the policy is asked for?
  function Walk:names_subject(text)
    local tree, found = compile.parse("SELECT " .. text), false
    local function visit(node)
      if type(node) ~= "table" or found then return end
      local names = node.ColumnRef and compile.names(node.ColumnRef.fields)
      local param = names and (self.scope.params[names[1]] or self.scope.params[names[#names]])
        or (node.ParamRef and self.scope.params[node.ParamRef.number or 0])
      if param and holds(param, self.subject) then found = true end
      for _, value in pairs(node) do visit(value) end
    end
    if not tree then return true end
    visit(tree)
    return found
  end

  --- Does a part of the policy call a function that may say something, and how dear is the cheapest?
  local function cost_of(self, tree)
    local cost
    local function visit(node)
      if type(node) ~= "table" then return end
      local names = node.FuncCall and compile.names(node.FuncCall.funcname)
      local entry = names and self.cx.input.functions[table.concat(names, ".")]
      for _, f in ipairs(entry and (entry[1] and entry or { entry }) or {}) do cost = math.min(cost or math.huge, f.cost or 0) end
      for _, value in pairs(node) do visit(value) end
    end
    visit(tree)
    return cost
  end

  local function test(node) return { k = "test", t = "bool", a = compile.coerce(node, "bool"), mask = "T" } end

  --- Follows the calls of a policy's expression, with what has to be true before they are made.
  local function visit(self, tree, conds)
    local kind, c = next(tree)
    if kind == "BoolExpr" and c.boolop == "AND_EXPR" then
      for _, arg in ipairs(c.args) do
        local inner, cost = { table.unpack(conds) }, cost_of(self, arg)
        for _, other in ipairs(cost and cost >= DEAR and c.args or {}) do
          if other ~= arg and not cost_of(self, other) then inner[#inner + 1] = test(compile.expr(other, self.scope, self.cx)) end
        end
        if cost then visit(self, arg, inner) end
      end
    elseif kind == "BoolExpr" then
      for _, arg in ipairs(c.args) do visit(self, arg, conds) end
    elseif kind == "CaseExpr" and not c.arg then
      for _, when in ipairs(c.args) do
        visit(self, when.CaseWhen.expr, conds)
        visit(self, when.CaseWhen.result, { test(compile.expr(when.CaseWhen.expr, self.scope, self.cx)), table.unpack(conds) })
      end
      if c.defresult then visit(self, c.defresult, conds) end
    else
      for _, call in ipairs(self:calls_in { targetList = { tree } }) do self:follow(call, conds) end
    end
  end

  --- Where the functions of a policy's expression say something of the row.
  ---@param text string   as pg_get_expr prints it
  ---@param label string  of the policy's table
  ---@param cx prover.Context
  ---@return {out: prover.Reach[], unread: string?}
  function compile.told(text, label, cx)
    local row = compile.row(label, label:match "[^.]*$", cx)
    local walk = setmetatable({ cx = cx, out = {}, changes = false, fired = {}, fired_conds = {}, types = {}, inside = {}, entered = 0,
      flow = {}, back = {}, subject = row, scope = { params = {}, rows = { row } } }, Walk)
    function walk.tenants() return {} end
    function walk.find(relname) return compile.find_label(relname, cx) end
    function walk.is_tenant_column() return false end
    local tree = compile.parse("SELECT " .. text)
    if tree then visit(walk, tree.targetList[1].ResTarget.val, {}) else walk:give_up "an expression that cannot be read" end
    return walk
  end
end
