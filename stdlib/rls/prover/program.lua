--- Functions in PL/pgSQL that only assign, ask and return, as one expression: part of rls.prover.compile.
--
-- IF becomes CASE, a variable what was assigned to it, SELECT INTO a scalar subquery that takes the first row, RAISE and the end without
-- RETURN an error, EXCEPTION the handler's result wherever the block may fail (PostgreSQL manual, sections 43.5 and 43.6).
local plpgsql = require "rls.prover.plpgsql"
local sorts = require "rls.prover.sorts"

return function(compile)
  --- A function in PL/pgSQL as its statements.
  function compile.program_of(f)
    if f.program == nil then
      local block, problem = plpgsql.parse(f.body)
      f.program, f.unread = block or false, problem
    end
    return f.program or nil, f.unread
  end

  local PLAIN = { ["return"] = true, assign = true, into = true, ["if"] = true, raise = true, null = true, block = true }

  --- Calls visit(text) for each expression and query of the statements. False: there is one that does something else.
  local function each_text(list, visit)
    for _, s in ipairs(list) do
      if not PLAIN[s.k] then return false end
      if s.text and s.text ~= "" and s.k ~= "raise" then visit((s.k == "into" and "" or "SELECT ") .. s.text) end
      for _, d in ipairs(s.declared or {}) do
        if d.default then visit("SELECT " .. d.default) end
      end
      for _, b in ipairs(s.branches or {}) do
        if b.test then visit("SELECT " .. b.test) end
        if not each_text(b.body, visit) then return false end
      end
      if s.body and not each_text(s.body, visit) then return false end
      for _, handler in ipairs(s.handlers or {}) do
        if not each_text(handler, visit) then return false end
      end
    end
    return true
  end

  --- The trees of a function in PL/pgSQL of which everything is read; nil where there is something else in it.
  function compile.program_trees(f)
    local block = f.language == "plpgsql" and not f.returns_set and compile.program_of(f)
    local trees, whole = {}, true
    local plain = block and each_text({ block }, function(text)
      local tree = compile.parse(text)
      whole = whole and tree ~= nil
      trees[#trees + 1] = tree
    end)
    return plain and whole and trees or nil
  end

  --- What the statements return, from the i-th on; `after` gives what comes behind them.
  local STEPS_MAX = 200
  local run

  local function expression(text, at)
    at.steps = at.steps + 1
    if at.steps > STEPS_MAX then error({ unread = "too many ways through its PL/pgSQL" }, 0) end
    local tree, problem = compile.parse(text)
    local sub = tree and { compile.select(tree, at.scope, at.cx) }
    if not sub or not sub[1] then error({ unread = problem or sub[2] }, 0) end
    local node = compile.scalar(sub[1])
    if node.k == "scalar" then node.first = true end
    return node, sub[1]
  end

  --- A scope in which variables have these values.
  local function with(at, values)
    local params = {}
    for name, node in pairs(values) do params[name] = node end
    return { scope = { params = params, parent = at.scope }, cx = at.cx, steps = at.steps, types = at.types }
  end

  local function assigned(at, names, nodes)
    local values = {}
    for i, name in ipairs(names) do
      local sort = at.types[name]
      if not sort then error({ unread = "a variable of PL/pgSQL: " .. name }, 0) end
      values[name] = compile.cast(nodes[i], sort)
    end
    return with(at, values)
  end

  local STEP = {}

  STEP["return"] = function(s, at)
    if s.text == "" then return compile.const("null", sorts.NULL) end
    return (expression("SELECT " .. s.text, at))
  end
  STEP.raise = function(s, at, next_one)
    if s.is_error then return { k = "raise", t = "null" } end
    return next_one(at)
  end
  STEP["null"] = function(_, at, next_one) return next_one(at) end
  STEP.assign = function(s, at, next_one)
    return next_one(assigned(at, { s.name }, { (expression("SELECT " .. s.text, at)) }))
  end
  STEP.into = function(s, at, next_one)
    if #s.names ~= 1 then error({ unread = "SELECT INTO of several variables" }, 0) end
    return next_one(assigned(at, s.names, { (expression(s.text, at)) }))
  end
  STEP["if"] = function(s, at, next_one)
    local node = { k = "case", conditions = {}, results = {} }
    for _, b in ipairs(s.branches) do
      if b.test then table.insert(node.conditions, compile.coerce((expression("SELECT " .. b.test, at)), "bool")) end
      table.insert(node.results, run(b.body, 1, at, next_one))
    end
    if #node.results == #node.conditions then table.insert(node.results, next_one(at)) end
    return node
  end
  STEP.block = function(s, at, next_one)
    local inner = at
    for _, d in ipairs(s.declared) do
      inner.types = setmetatable({ [d.name] = sorts.of(d.type, at.cx.input.types) }, { __index = inner.types })
      local value = d.default and (expression("SELECT " .. d.default, inner)) or compile.const("null", sorts.NULL)
      inner = assigned(inner, { d.name }, { value })
    end
    local result = run(s.body, 1, inner, next_one)
    for _, handler in ipairs(s.handlers or {}) do
      result = { k = "try", a = result, b = run(handler, 1, inner, next_one), sure = handler.takes_all }
    end
    return result
  end

  function run(list, i, at, after)
    local s = list[i]
    if not s then return after(at) end
    return STEP[s.k](s, at, function(new) return run(list, i + 1, new, after) end)
  end

  --- Gives every branch the result's type.
  local function typed(node, sort)
    if node.k == "case" and not node.t then
      for i, result in ipairs(node.results) do node.results[i] = typed(result, sort) end
      node.t = sort
    elseif node.k == "try" then
      node.a, node.b, node.t = typed(node.a, sort), typed(node.b, sort), sort
    elseif node.k == "raise" then
      node.t = sort
    else
      return compile.cast(node, sort)
    end
    return node
  end

  --- A call of a function in PL/pgSQL as what it returns, or nil with the reason.
  function compile.program(f, params, cx)
    local at = { scope = params, cx = cx, steps = 0, types = {} }
    for _, arg in ipairs(f.args or {}) do
      if arg.name then at.types[arg.name] = sorts.of(arg.type, cx.input.types) end
    end
    -- The end without RETURN is an error but for those that return nothing.
    local ok, node = pcall(run, { f.program }, 1, at, function()
      return f.returns == "void" and compile.const("null", sorts.NULL) or { k = "raise" }
    end)
    if ok then return typed(node, sorts.of(f.returns or "?", cx.input.types)) end
    if type(node) == "table" and node.unread then return nil, node.unread end
    error(node, 0)
  end
end
