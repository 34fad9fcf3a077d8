--- The functions that a function's statements call: what they read and write is read and written with the same rights. Part of
-- rls.prover.statements.
--
-- A function of the schema's own is walked as its caller is, with its arguments bound to what it is given. What it gives back goes where
-- the call stands: to the caller, into a variable, into a row, or nowhere. In a condition only what it writes is of any matter. Functions
-- in FROM are rows of the query around them (rls.prover.query), and one that the application may call by itself, with its owner's rights,
-- is looked at by itself.
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"

--- Words before what RAISE says, and names of what it says in USING (PostgreSQL manual, 43.9).
local LEVELS, OPTIONS = {}, {}
for word in ("debug log info notice warning exception"):gmatch "%S+" do LEVELS[word] = true end
for word in ("message detail hint errcode column constraint datatype table schema"):gmatch "%S+" do OPTIONS[word] = true end

--- Most calls in one another.
local DEPTH = 6

---@param compile table
---@param Walk table  gets the methods
return function(compile, Walk)
  --- The user's functions that a call may mean, with so many arguments or with defaults.
  local function meant(names, cx)
    local all, out = cx.input.functions or {}, {}
    local name, last = table.concat(names, "."), names[#names]
    local function add(entry, label)
      for _, f in ipairs(entry[1] and entry or { entry }) do out[#out + 1] = { f = f, name = label } end
    end
    if all[name] then
      add(all[name], name)
    elseif #names == 1 and not (functions.known(name) or functions.DANGEROUS[name]) then
      for label, entry in pairs(all) do
        if label:match "[^.]*$" == last then add(entry, label) end
      end
      table.sort(out, function(x, y) return x.name < y.name end)
    end
    return out
  end

  --- The arguments of a call as parameters; what is not known by its place is opaque.
  local function bound(self, f, name, c)
    local params, by_place = {}, not (c and c.func_variadic)
    for _, arg in ipairs(c and c.args or {}) do by_place = by_place and not arg.NamedArgExpr end
    for i, arg in ipairs(f.args or {}) do
      local given = by_place and c and c.args and c.args[i]
      local sort = sorts.of(arg.type, self.cx.input.types)
      local node = given and compile.cast(compile.expr(given, self.scope, self.cx), sort) or compile.opaque("an argument of " .. name, sort)
      params[i] = node
      if arg.name and arg.name ~= "" then params[arg.name] = node end
    end
    return { params = params, params_of = name:match "[^.]*$" }
  end

  --- Walks one function as the call runs it.
  local function walk(self, f, name, c, conds)
    local cx, scope = self.cx, bound(self, f, name, c)
    local saved = { scope = self.scope, types = self.types, back = self.back, flow = self.flow, inner = self.inner, secret = self.secret }
    local context = { cx.body, cx.current_user, cx.bypass, cx.depth, cx.definer }
    self.scope, self.types, self.back, self.inner, self.secret = scope, {}, self.flow, f, nil
    cx.body, cx.depth = compile.body_context(f, name, cx), cx.depth + 1
    if f.security_definer then
      cx.definer, cx.current_user, cx.bypass = true, f.owner or "?", f.owner_bypasses == true and true or "unknown"
    end
    self.stack[f] = true
    self:body(f, conds)
    self.stack[f] = nil
    cx.body, cx.current_user, cx.bypass, cx.depth, cx.definer = context[1], context[2], context[3], context[4], context[5]
    for key in pairs { scope = 1, types = 1, back = 1, flow = 1, inner = 1, secret = 1 } do self[key] = saved[key] end
  end

  --- Is a function looked at by itself, and not as part of those that call it?
  function compile.stands_apart(f) return f.security_definer and f.callable and not f.of_extension end

  --- Walks what a call may mean.
  ---@param c table  FuncCall
  ---@param conds prover.Node[]
  function Walk:call(c, conds)
    local touches = self.cx.input.may_touch
    if not touches or c.is_walked then return end
    c.is_walked = true
    for _, one in ipairs(meant(compile.names(c.funcname), self.cx)) do
      local f = one.f
      if not compile.stands_apart(f) and not self.stack[f] and touches(f) then
        local depth = 0
        for _ in pairs(self.stack) do depth = depth + 1 end
        if depth >= DEPTH then return self:give_up("calls nested too deep: " .. one.name) end
        walk(self, f, one.name, c, conds)
      end
    end
  end

  --- The calls in a part of a tree outside of subqueries.
  local function calls_in(tree, out)
    if type(tree) ~= "table" then return out end
    for key, value in pairs(tree) do
      if key == "FuncCall" then out[#out + 1] = value end
      if key ~= "SubLink" and key ~= "RangeSubselect" then calls_in(value, out) end
    end
    return out
  end

  --- Walks the calls whose values a query gives.
  ---@param list table[]  targets, or the rows of VALUES
  ---@param conds prover.Node[]
  function Walk:given_by_calls(list, conds)
    for _, c in ipairs(calls_in(list, {})) do self:call(c, conds) end
  end

  --- Is there a call of anything but what computes from its arguments alone?
  local function hands_on(list)
    for _, c in ipairs(calls_in(list, {})) do
      local names = compile.names(c.funcname)
      if not (#names == 1 or names[1] == "pg_catalog") or not functions.known(names[#names]) then return true end
    end
    return false
  end

  --- Where what PERFORM reads goes: nowhere, unless a function is given it.
  ---@param text string
  ---@return table flow
  function Walk:performed(text)
    local tree = compile.parse(text)
    local list = tree and tree.targetList or {}
    local alone = tree and not tree.fromClause and #list == 1 and list[1].ResTarget.val.FuncCall
    if alone then
      -- What its arguments read it is given.
      for _, arg in ipairs(alone.args or {}) do
        if arg.SubLink or hands_on { arg } then return {} end
      end
      return { dropped = #meant(compile.names(alone.funcname), self.cx) > 0 }
    end
    return { dropped = tree ~= nil and not hands_on(list) }
  end

  local function effects(self, tree, conds)
    if type(tree) ~= "table" then return end
    for key, value in pairs(tree) do
      if key == "FuncCall" then self:call(value, conds) end
      effects(self, value, conds)
    end
  end

  --- What the calls in conditions write: what they read tells no more than whether a row is there.
  ---@param tree table
  ---@param conds prover.Node[]
  function Walk:effects(tree, conds)
    local before = self.only_writes
    compile.scan(tree, self.cx, {})
    self.only_writes = true
    effects(self, tree, conds)
    self.only_writes = before
  end

  --- What RAISE says.
  ---@param text string  behind the word
  ---@param conds prover.Node[]
  function Walk:raised(text, conds)
    if not text:find("(", 1, true) then return end
    local said, options = text:gsub("^%s*(%a+)%s+", function(level) return LEVELS[level:lower()] and "" end), ""
    local at = said:lower():find "%f[%w_]using%f[^%w_]"
    if at then said, options = said:sub(1, at - 1), said:sub(at + 5) end
    options = options:gsub("(%f[%w_]%a+)%s*:?=%s*", function(name) return OPTIONS[name:lower()] and "" end)
    said = (said:find "%S" and options:find "%S" and said .. "," .. options) or said .. options
    self.flow = {}
    local tree = compile.parse("SELECT " .. said)
    if tree then self:statement("SELECT " .. said, conds) else self:give_up "RAISE of what is not read" end
  end
end
