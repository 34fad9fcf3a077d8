--- What a statement calls: part of rls.prover.statements.
--
-- The text of a function that is called is read like the one that calls it, with its arguments: whatever it reads goes where its value
-- goes, and what it changes it changes. Operators, casts, aggregates and domains call functions too, and some functions of the server's
-- own run SQL (rls.prover.builtins). What a call in a condition reads shows nothing but whether a row is there.
local builtins = require "rls.prover.builtins"
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"
local sql = require "sql"

--- Cost from which the planner asks a function behind plain comparisons (procost).
local DEAR = 50

--- Most calls that are followed in one function.
local CALLS_MAX = 400

---@class prover.Call
---@field place "value"|"test"|"from"|"asked"  where it stands; from: its rows are those of the query around it; asked: in a condition of
---  PL/pgSQL
---@field functions prover.Function[]?
---@field args table[]?      trees
---@field skip integer?      parameters before the first argument
---@field builtin string?
---@field query table?       of a subquery in a condition
---@field raises prover.Function?  it may raise what it is given, whatever the other conditions say

local function bare(name) return name:match "[^.]*$" end

local function constant(tree)
  while tree and tree.TypeCast do tree = tree.TypeCast.arg end
  local c = tree and tree.A_Const
  return c and c.sval and (c.sval.sval or "") or nil
end

---@param compile table
---@param Walk table  gets the methods
---@param injects fun(tree: table, scope: table): boolean
return function(compile, Walk, injects)
  local classify = require "rls.prover.classify"
  --- The user's functions by their names without the schema.
  local by_bare = setmetatable({}, { __mode = "k" })
  local function index(all)
    if by_bare[all] then return by_bare[all] end
    local out = {}
    for name, list in pairs(all) do
      local key = bare(name)
      out[key] = out[key] or {}
      for _, f in ipairs(list[1] and list or { list }) do table.insert(out[key], { f = f, name = name }) end
    end
    by_bare[all] = out
    return out
  end

  --- Every function that a call may mean; of those that take as many arguments only these.
  local function candidates(names, count, cx)
    local fitting, others = {}, {}
    for _, item in ipairs(index(cx.input.functions or {})[names[#names]] or {}) do
      if #names == 1 or item.name == table.concat(names, ".") then
        local list = #(item.f.args or {}) == count and fitting or others -- by defaults, or VARIADIC
        list[#list + 1] = item.f
      end
    end
    return #fitting > 0 and fitting or others
  end

  local function touching(self, list)
    local out, asks = {}, self.cx.input.may_touch
    for _, f in ipairs(list) do
      if f.returns ~= "trigger" and (self.subject or not compile.stands_apart(f)) and (not asks or asks(f)) then out[#out + 1] = f end
    end
    return #out > 0 and out or nil
  end

  --- Is a function looked at by itself, and not as part of those that call it?
  function compile.stands_apart(f) return f.security_definer and f.callable and not f.of_extension end

  local function same_type(written, known) return bare(written:lower()) == bare(known:gsub('"', ""):lower()) end

  --- The functions that the checks of a type call.
  function Walk:of_domain(type_name)
    local out, known = {}, self.cx.input.leads
    for name, list in pairs(known and known.domains or {}) do
      if same_type(type_name, name) then table.move(list, 1, #list, #out + 1, out) end
    end
    local base = self.cx.input.types and self.cx.input.types[type_name]
    if base and base.kind == "domain" and base.base then
      local more = self:of_domain(base.base)
      table.move(more, 1, #more, #out + 1, out)
    end
    return out
  end

  local C = {} -- kind of tree node → function(self, node, place, out)

  --- Functions in a condition that the planner asks before the others, and that may raise what they are given.
  local function raising(self, list)
    local asks, out = self.cx.input.raises, nil
    for _, f in ipairs(asks and list or {}) do
      if (f.cost or 0) < DEAR and asks(f) then out = f end
    end
    return out
  end

  local function add(self, out, place, list, args, skip)
    local cheap = place == "test" and raising(self, list)
    if cheap then out[#out + 1] = { place = place, raises = cheap, args = args } end
    local touched = touching(self, list)
    if touched then out[#out + 1] = { place = place, functions = touched, args = args, skip = skip } end
  end

  function C.FuncCall(self, c, place, out)
    local names = compile.names(c.funcname)
    local name, leads = names[#names], self.cx.input.leads or {}
    if names[1] ~= "pg_catalog" then
      local own = candidates(names, #(c.args or {}), self.cx)
      local set = own[1] and own[1].returns_set and place == "value"
      add(self, out, set and "from" or place, own, c.args)
      for _, a in ipairs(leads.aggregates or {}) do
        if a.name == table.concat(names, ".") or (#names == 1 and bare(a.name) == name) then add(self, out, place, { a.f }, c.args, 1) end
      end
      if own[1] and #names == 2 then return end
      -- A cast that is written as a call.
      for _, cast in ipairs(leads.casts or {}) do
        if same_type(name, cast.target) then add(self, out, place, { cast.f }, c.args) end
      end
    end
    local further = builtins.reaches_further(name, leads.volatile) or (leads.foreign and leads.foreign[name])
    if builtins.runs(name) or further then out[#out + 1] = { place = place, builtin = name, args = c.args or {} } end
  end

  function C.A_Expr(self, c, place, out)
    local names = compile.names(c.name)
    for _, o in ipairs(names[1] ~= "pg_catalog" and self.cx.input.leads and self.cx.input.leads.operators or {}) do
      local meant = #names == 2 and o.name == table.concat(names, ".") or (#names == 1 and o.name:match "%.([^%a_]+)$" == names[1])
      if meant then
        local args = {}
        args[#args + 1] = c.lexpr
        args[#args + 1] = c.rexpr
        add(self, out, place, { o.f }, args)
      end
    end
  end

  function C.TypeCast(self, c, place, out)
    local written = table.concat(compile.names(c.typeName.names), ".")
    for _, cast in ipairs(self.cx.input.leads and self.cx.input.leads.casts or {}) do
      if same_type(written, cast.target) then add(self, out, place, { cast.f }, { c.arg }) end
    end
    for _, f in ipairs(self:of_domain(written)) do add(self, out, "test", { f }, { c.arg }) end
  end

  --- Notes the calls in a part of a statement, outside of the subqueries that are looked at by themselves.
  local function each(self, tree, place, out)
    if type(tree) ~= "table" then return end
    for key, value in pairs(tree) do
      if key == "SubLink" then
        if place == "test" then out[#out + 1] = { place = "test", query = value.subselect.SelectStmt } end
        each(self, value.testexpr, "test", out)
      elseif key == "RangeSubselect" then -- looked at with FROM
        goto next
      elseif key == "CaseWhen" then
        each(self, value.expr, "test", out)
        each(self, value.result, place, out)
      elseif key == "quals" or key == "agg_filter" or key == "whereClause" or key == "agg_order" then
        each(self, value, "test", out)
      else
        if C[key] then C[key](self, value, place, out) end
        -- What a function is given goes into its value.
        each(self, value, key == "FuncCall" and place == "from" and "value" or place, out)
      end
      ::next::
    end
  end

  --- The calls of one level of a query that lead anywhere.
  ---@param tree table  SelectStmt
  ---@return prover.Call[]
  function Walk:calls_in(tree)
    local out = {}
    each(self, tree.targetList, "value", out)
    each(self, tree.valuesLists, "value", out)
    each(self, tree.fromClause, "from", out)
    for _, key in ipairs { "whereClause", "havingClause", "groupClause", "sortClause", "distinctClause", "windowClause", "limitCount",
      "limitOffset" } do
      each(self, tree[key], "test", out)
    end
    return out
  end

  --- Runs fn as in another place: what stands in a condition stays there.
  function Walk:placed(place, fn)
    local before = self.place
    if before ~= "test" and (before ~= "asked" or place == "test") then self.place = place end
    fn()
    self.place = before
  end

  local function parameters(self, f, args, skip)
    local params, named = {}, {}
    for _, arg in ipairs(args or {}) do
      if arg.NamedArgExpr then named[arg.NamedArgExpr.name] = arg.NamedArgExpr.arg end
    end
    for i, arg in ipairs(f.args or {}) do
      local given = named[arg.name or ""] or (args or {})[i - (skip or 0)]
      if given and given.NamedArgExpr then given = nil end
      local sort = sorts.of(arg.type, self.cx.input.types)
      local node = given and compile.cast_in(compile.expr(given, self.scope, self.cx), sort, self.cx) or compile.opaque("an argument", sort)
      params[i] = node
      if arg.name and arg.name ~= "" then params[arg.name] = node end
    end
    return params
  end

  --- Reads the text of a function that is called.
  ---@param f prover.Function
  ---@param args table[]?  trees, in the scope of the statement
  ---@param skip integer?
  ---@param conds prover.Node[]
  ---@param given table?       its scope, where it takes no arguments: of a trigger's function
  function Walk:enter(f, args, skip, conds, given)
    local cx = self.cx
    -- What calls itself is read once more, with whatever arguments.
    local times = self.inside[f] or 0
    if times >= 2 then return end
    if times == 1 then args = nil end
    self.entered = self.entered + 1
    if self.entered > CALLS_MAX then return self:give_up "more calls than are followed" end
    local saved = { self.scope, self.types, self.back, self.flow, self.inner, self.secret }
    local context = { cx.body, cx.current_user, cx.bypass, cx.depth, cx.definer }
    local unread, scope = self.unread, given or { params = parameters(self, f, args, skip), params_of = bare(f.name) }
    self.scope, self.types, self.back, self.inner, self.secret = scope, {}, self.flow, f, nil
    cx.body, cx.depth = compile.body_context(f, f.name, cx), cx.depth + 1
    if f.security_definer then
      cx.definer, cx.current_user, cx.bypass = true, f.owner or "?", f.owner_bypasses == true and true or "unknown"
    end
    self.inside[f], self.unread = times + 1, nil
    for _, arg in ipairs(f.args or {}) do self:checked(arg.type, conds) end
    self:body(f, conds)
    self.inside[f] = times
    if self.unread then self.unread = ("in %s: %s"):format(f.name, self.unread) end
    self.unread = unread or self.unread
    self.scope, self.types, self.back, self.flow, self.inner, self.secret = saved[1], saved[2], saved[3], saved[4], saved[5], saved[6]
    cx.body, cx.current_user, cx.bypass, cx.depth, cx.definer = context[1], context[2], context[3], context[4], context[5]
  end

  --- Reads all of a table that stands for what a function of the server's own reads.
  local function whole_table(self, label, conds)
    local schema, name = label:match "^([^.]*)%.(.*)$"
    self:query({ op = "SETOP_NONE", fromClause = { { RangeVar = { schemaname = schema, relname = name, inh = true } } }, targetList = {} },
      conds)
  end

  local function all_tables(self, schema, conds)
    for label in pairs(self.cx.input.tables) do
      if (not schema or label:match "^[^.]*" == schema) and self.tenants(label) then whole_table(self, label, conds) end
    end
  end

  --- A call of a function of the server's own.
  function Walk:builtin(name, args, conds)
    local at = builtins.RUN_TEXT[name] or 1
    if name == "ts_rewrite" and #args ~= 2 then return end
    local text = constant(args[at])
    local is_named = builtins.READ_TABLE[name] or builtins.READ_SCHEMA[name]
    if builtins.READ_ALL[name] then return all_tables(self, nil, conds) end
    if builtins.RUN_TEXT[name] and text then return self:statement(text, conds) end
    if builtins.READ_TABLE[name] and text then return self:statement("SELECT FROM " .. text, conds) end
    if builtins.READ_SCHEMA[name] and text then return all_tables(self, text, conds) end
    for i, arg in ipairs(args) do
      if (is_named or builtins.RUN_TEXT[name]) and i == at and injects(arg, self.scope) then
        self.injection = self.injection or (is_named and "%s reads whatever an argument names"
          or "%s runs the SQL that an argument is"):format(name)
        return
      elseif name:find "^pg_read_" and injects(arg, self.scope) then
        self.injection = self.injection or ("%s reads the file of the server that an argument names, those of tables too"):format(name)
        return
      end
    end
    self:give_up(("it calls %s, which reaches more than its arguments say"):format(name))
  end

  --- The calls in a part of a tree outside of subqueries.
  local function outside(tree, out)
    if type(tree) ~= "table" then return out end
    for key, value in pairs(tree) do
      if key == "FuncCall" then out[#out + 1] = value end
      if key ~= "SubLink" and key ~= "RangeSubselect" then outside(value, out) end
    end
    return out
  end

  --- Is there a call of anything but what computes from its arguments alone?
  local function hands_on(list)
    for _, c in ipairs(outside(list, {})) do
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
      return { dropped = #candidates(compile.names(alone.funcname), #(alone.args or {}), self.cx) > 0 }
    end
    return { dropped = tree ~= nil and not hands_on(list) }
  end

  --- Notes the rows of which a function in a condition is given something, which it may raise.
  local function given_to(self, call, conds)
    local seen = {}
    for _, arg in ipairs(call.args or {}) do
      classify.walk(compile.expr(arg.NamedArgExpr and arg.NamedArgExpr.arg or arg, self.scope, self.cx), function(n)
        local row = n.k == "col" and n.row
        if row and row.kind == "table" and not seen[row] then
          seen[row] = true
          local node = { k = "and", t = "bool", args = { table.unpack(conds) } }
          table.insert(self.out, { main = row, node = node, said = true, flow = {}, by = call.raises })
        end
      end)
    end
  end

  --- Follows a call.
  ---@param call prover.Call
  ---@param conds prover.Node[]
  function Walk:follow(call, conds)
    if call.raises then return given_to(self, call, conds) end
    if call.query then return self:placed(call.place, function() self:query(call.query, conds) end) end
    if call.builtin then
      return self:placed(call.place ~= "value" and "test" or nil, function() self:builtin(call.builtin, call.args, conds) end)
    end
    for _, f in ipairs(call.functions) do
      local place = call.place ~= "value" and call.place or (f.returns == "boolean" and not f.returns_set and "bool") or nil
      self:placed(place, function() self:enter(f, call.args, call.skip, conds) end)
    end
  end

  --- Follows the queries and calls in an expression that only decides what is done next: who sees what was done, is told as much.
  function Walk:tested(text, conds)
    local tree = compile.parse("SELECT " .. text)
    if not tree then return self:give_up "an expression of PL/pgSQL" end
    compile.scan(tree, self.cx, {})
    local out = {}
    each(self, tree.targetList, "test", out)
    for _, call in ipairs(out) do
      call.place = "asked"
      self:follow(call, conds)
    end
  end

  --- Follows what a table puts the rows through that are written to it.
  function Walk:put_through(label, conds)
    local known, info = self.cx.input.leads, self.cx.input.tables[label]
    if not known or not info then return end
    for _, lead in ipairs(known.tables[label] or {}) do
      for _, f in ipairs(touching(self, { lead.f }) or {}) do
        self:placed(lead.what ~= "default" and "test" or nil, function() self:enter(f, {}, 0, conds) end)
      end
    end
    for _, column in pairs(info.columns or {}) do
      self:checked(column.type, conds)
    end
  end

  --- Follows the triggers' functions that a statement's rows fire, with the statement's own rights; those with their owner's rights are
  --- looked at by themselves.
  ---@param label string
  ---@param event "INSERT"|"UPDATE"|"DELETE"
  ---@param images table<string, table<string, prover.Node>>  new, old: by column
  ---@param from prover.Row[]    beside which they stand
  ---@param where prover.Node[]  what is true of these
  ---@param conds prover.Node[]
  function Walk:fires(label, event, images, from, where, conds)
    local known, asks = self.cx.input.leads, self.cx.input.may_touch
    for _, t in ipairs(known and known.triggers[label] or {}) do
      if t.events:find(event, 1, true) and not t.f.security_definer and (not asks or asks(t.f)) then
        local scope = { params = { tg_op = compile.const("text", event) }, rows = {} }
        for _, alias in ipairs { "new", "old" } do table.insert(scope.rows, { alias = alias, nodes = images[alias] or {} }) end
        local fired, fired_conds = self.fired, self.fired_conds
        self.fired = table.move(from, 1, #from, #fired + 1, { table.unpack(fired) })
        self.fired_conds = table.move(where, 1, #where, #fired_conds + 1, { table.unpack(fired_conds) })
        self:placed(nil, function() self:enter(t.f, nil, 0, conds, scope) end)
        self.fired, self.fired_conds = fired, fired_conds
      end
    end
  end

  --- CALL of a procedure, whose output nobody knows afterwards.
  function Walk:procedure(text, conds)
    local ok, tree = pcall(sql.parse, text)
    local stmt = ok and tree.stmts[1] and tree.stmts[1].stmt.CallStmt
    local own = stmt and candidates(compile.names(stmt.funccall.funcname), #(stmt.funccall.args or {}), self.cx) or {}
    if #own == 0 then return self:give_up "call" end
    local out = {}
    each(self, { FuncCall = stmt.funccall }, "value", out)
    for _, call in ipairs(out) do self:follow(call, conds) end
    self.changes = true
    self:forget(self.types)
  end

  --- Follows the checks of a type that a value is given, and the casts that nobody writes.
  function Walk:checked(type_name, conds)
    local casts = type_name and self.cx.input.leads and self.cx.input.leads.casts or {}
    for _, cast in ipairs(casts) do
      for _, f in ipairs(cast.implicit and same_type(type_name, cast.target) and touching(self, { cast.f }) or {}) do
        self:placed(nil, function() self:enter(f, {}, 0, conds) end)
      end
    end
    for _, f in ipairs(type_name and touching(self, self:of_domain(type_name)) or {}) do
      self:placed("test", function() self:enter(f, {}, 0, conds) end)
    end
  end
end
