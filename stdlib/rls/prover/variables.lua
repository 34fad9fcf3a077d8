--- The variables of PL/pgSQL as what was assigned to them, statement by statement: part of rls.prover.statements.
--
-- A variable stands for the last expression that was assigned to it on the way, a SELECT INTO for a subquery that takes its first row. What
-- is assigned in a branch, a loop or a block that may fail is not known behind it (PostgreSQL manual, sections 43.3, 43.5 and 43.6).
local sorts = require "rls.prover.sorts"

---@param compile table
---@param Walk table  gets the methods
return function(compile, Walk)
  --- The value of a variable as its type has it. One that is declared by a column's type has what it is given.
  local function typed(self, name, node)
    local kind = self.types[name]
    if not kind or kind:lower():find "%%%s*type%s*$" then return node end
    return compile.cast_in(node, sorts.of(kind, self.cx.input.types), self.cx)
  end

  --- Gives a name a value; a parameter by its number, too.
  local function bind(self, name, node)
    local params = self.scope.params
    local old = params[name]
    for i, value in ipairs(params) do
      if old ~= nil and value == old then params[i] = node end
    end
    params[name] = node
  end

  function Walk:forget(names)
    for name in pairs(names) do
      if self.scope.params[name] then
        local kind = self.types[name]
        bind(self, name, compile.opaque("a variable", kind and sorts.of(kind, self.cx.input.types) or self.scope.params[name].t))
      end
    end
  end

  --- Reads the rows that a statement reads, and gives what it says to a variable.
  function Walk:assign(name, text, conds)
    self.flow = { into = name, f = self.inner }
    self:statement("SELECT " .. text, conds)
    if self.scope.params[name] then bind(self, name, typed(self, name, self:expression(text))) end
  end

  --- SELECT … INTO: of each target the first row's value.
  function Walk:select_into(s, conds)
    self.flow = { into = table.concat(s.names, " "), f = self.inner }
    self:statement(s.text, conds)
    local tree = compile.parse(s.text)
    local sub = tree and not tree.withClause and compile.select(tree, self.scope, self.cx)
    for i, name in ipairs(s.names) do
      local target = sub and not sub.union and sub.targets and #sub.targets == #s.names and sub.targets[i]
      -- NEW and OLD are rows, and no variables.
      if self.scope.params[name] and not target then
        self:forget { [name] = true }
      elseif target and self.scope.params[name] and #sub.from == 0 and #sub.conds == 0 and not sub.approx and not sub.aggregate then
        bind(self, name, typed(self, name, target))
      elseif target and self.scope.params[name] and sub.aggregate then
        local whole = #s.names == 1 and compile.scalar(sub) or compile.opaque "an aggregate"
        bind(self, name, typed(self, name, whole))
      elseif target and self.scope.params[name] then
        target = target.t == "null" and compile.coerce(target, "text") or target
        bind(self, name, typed(self, name, { k = "scalar", t = target.t, sub = sub, target = target, first = true }))
      end
    end
  end

  --- Declares the variables of a block. Returns what their names stood for before.
  function Walk:declare(list, conds)
    local params, before = self.scope.params, {}
    for _, d in ipairs(list or {}) do
      before[#before + 1] = { name = d.name, node = params[d.name], kind = self.types[d.name] }
      self.types[d.name] = d.type
      self:checked(d.type, conds)
      params[d.name] = compile.const("null", sorts.NULL)
      if d.default then
        self:assign(d.name, d.default, conds)
      else
        local sort = sorts.of(d.type, self.cx.input.types)
        -- A record is what it is given later.
        params[d.name] = sorts.identity(sort) and compile.const(sort, sorts.NULL) or compile.opaque("a variable", sort)
      end
    end
    return before
  end

  function Walk:leave(before)
    for i = #before, 1, -1 do
      self.scope.params[before[i].name], self.types[before[i].name] = before[i].node, before[i].kind
    end
  end

  --- The names that statements give values to.
  function Walk:given_in(list, out)
    out = out or {}
    for _, s in ipairs(list or {}) do
      if s.name then out[s.name] = true end
      for _, name in ipairs(s.names or {}) do out[name] = true end
      for _, branch in ipairs(s.branches or {}) do self:given_in(branch.body, out) end
      self:given_in(s.body, out)
      for _, handler in ipairs(s.handlers or {}) do self:given_in(handler, out) end
    end
    return out
  end

  --- What the variables stand for, to go back to.
  function Walk:values()
    local out = {}
    for key, node in pairs(self.scope.params) do out[key] = node end
    return out
  end

  function Walk:restore(values)
    for key, node in pairs(values) do self.scope.params[key] = node end
  end

  --- May a function raise an error of its own, as one does that guards what stands behind it?
  local function may_raise(self, names, depth)
    local by_name = self.cx.input.functions or {}
    local last = names[#names]
    for name, list in pairs(by_name) do
      for _, f in ipairs(name:match "[^.]*$" == last and (list[1] and list or { list }) or {}) do
        local text = (f.body or ""):lower()
        if text:find "%f[%w_]raise%f[^%w_]" then return true end
        for called in text:gmatch "%f[%w_]perform%s+[%w_.]-([%w_]+)%s*%(" do
          if depth < 4 and may_raise(self, { called }, depth + 1) then return true end
        end
      end
    end
    return false
  end

  --- PERFORM of a function that raises where the caller may not: what stands behind it is reached only where it does not. Nil for another.
  function Walk:guard(text)
    local tree = compile.parse(text)
    local target = tree and not tree.fromClause and #(tree.targetList or {}) == 1 and tree.targetList[1].ResTarget.val
    local call = target and target.FuncCall
    if not call or not may_raise(self, compile.names(call.funcname), 0) then return nil end
    local node = compile.expr(target, self.scope, self.cx)
    return { k = "or", t = "bool", args = { { k = "isnull", t = "bool", a = node }, { k = "isnull", t = "bool", a = node, neg = true } } }
  end
end
