--- The statements of a function's body as what they read and write: part of rls.prover.compile.
--
-- A SELECT becomes the rows of its FROM with its conditions; UPDATE and DELETE the rows they touch; INSERT and SET of a tenant's column
-- the row as it will be. What stands before a statement in PL/pgSQL (IF … THEN RAISE) is a condition of it. Parameters are the caller's
-- to choose: they are settings that any session may set.
local secrets = require "rls.prover.secrets"
local sql = require "sql"
local unions = require "rls.prover.unions"
local with = require "rls.prover.with"

--- Where a parameter's value stands among the settings of a model.
local ARGUMENT = "\1argument."

---@class prover.Reach
---@field main prover.Row    a row of a table, as read or as written
---@field node prover.Node   what has to be true for it
---@field write boolean
---@field secret string?      the column whose value has to be a hash of what the caller gives
---@field touched boolean?    by an UPDATE or DELETE
---@field values table<string, prover.Node>?  of a row as it is written: what its columns are set to
---@field updates boolean?    the row was there before, and its other columns are as they were
---@field mixed string?       "value": its values flow into the rows of the query; "choice": it decides which of them are there
---@field flow prover.Flow     where what is read goes
---@field said boolean?        an error's or a notice's text tells it
---@field oracle string?       "bool": a function that is called answers yes or no with it; "asked": so does a condition of PL/pgSQL

---@class prover.Flow         nothing in it: to the caller, or into the argument of a function
---@field into string?        variables of PL/pgSQL
---@field f prover.Function?  whose variables, where it is one that the function calls
---@field kept string?        label of a table, into whose rows; "?" where it is not known
---@field dropped boolean?    nowhere

--- Places in which what is read tells yes or no, and no value.
local ORACLES = { bool = "bool", asked = "asked" }

local function wrapped(relation) return relation and { RangeVar = relation } or nil end

--- Calls visit(SelectStmt, in_from) for each query among the targets or in FROM; conditions show nothing but whether a row is there.
local function each_query(tree, visit)
  if type(tree) ~= "table" then return end
  for key, value in pairs(tree) do
    if key == "SubLink" then
      visit(value.subselect.SelectStmt, false)
    elseif key == "RangeSubselect" then
      visit(value.subquery.SelectStmt, true)
    elseif key ~= "quals" then
      each_query(value, visit)
    end
  end
end

--- The beginning of a statement, on one line.
local function excerpt(text)
  local line = text:gsub("%s+", " "):match "^%s*(.-)%s*$"
  return #line > 160 and line:sub(1, line:sub(1, 160):match "^.*() " or 160) .. "…" or line
end

---@param compile table
return function(compile)
  local classify = require "rls.prover.classify"
  local sorts = require "rls.prover.sorts"

  local function parameters(f, cx)
    local params = {}
    for i, arg in ipairs(f.args or {}) do
      local name = arg.name and arg.name ~= "" and arg.name or ("$%d"):format(i)
      local node = compile.cast_in({ k = "setting", t = "text", name = ARGUMENT .. name, missing_ok = true },
        sorts.of(arg.type, cx.input.types), cx)
      params[i] = node
      params[name] = node
    end
    return params
  end

  local secret_of = secrets(compile)

  --- Is one of the values the caller's to give, and not only what a row that a secret leads to says?
  local function is_given(nodes)
    local found = false
    for _, node in ipairs(nodes) do
      classify.walk(node, function(n)
        found = found or n.k == "opaque" or (n.k == "setting" and n.name:sub(1, #ARGUMENT) == ARGUMENT)
      end)
    end
    return found
  end

  local Walk = {}
  Walk.__index = Walk

  function Walk:give_up(reason) self.unread = self.unread or reason end

  --- The rows that a trigger fired for stand beside those of each statement.
  function Walk:with_fired(from)
    for _, row in ipairs(self.fired) do from[#from + 1] = row end
  end

  --- Notes each row of a query, seen from the others.
  function Walk:rows(sub, conds)
    -- What a condition reads shows nothing but whether a row is there; the rows of a call in FROM are those of the query around it.
    if not self.touches and (self.place == "test" or self.place == "from") then return end
    for _, part in ipairs(sub.union or { sub }) do
      if part.union then
        self:rows(part, conds)
      else
        self:rows_from(part, 1, conds)
        self:mixed(part, conds)
      end
    end
  end

  --- Notes the rows of a query from the first one on.
  function Walk:rows_from(part, first, conds, mix)
    for i = first, #part.from do
      local row = part.from[i]
      if row.kind == "table" then
        local others = { table.unpack(part.from, 1, i - 1) }
        table.move(part.from, i + 1, #part.from, #others + 1, others)
        self:with_fired(others)
        local inner = { from = others, conds = {}, approx = part.approx, targets = {}, names = {} }
        for _, c in ipairs(conds) do table.insert(inner.conds, c) end
        for _, c in ipairs(part.conds) do table.insert(inner.conds, c) end
        if row.guard then table.insert(inner.conds, row.guard) end
        for _, c in ipairs(row.far or {}) do table.insert(inner.conds, c) end
        for _, c in ipairs(self.fired_conds) do table.insert(inner.conds, c) end
        table.insert(self.out, { main = row, node = { k = "exists", t = "bool", sub = inner }, flow = self.flow,
          touched = self.touches, secret = self.secret, said = self.says, oracle = ORACLES[self.place],
          mixed = mix and (mix.chooses and "choice" or "value") or nil })
      end
    end
  end

  --- Notes the rows that flow into those of a query by a window, a group or a choice beneath it (rls.prover.mixing).
  function Walk:mixed(part, conds)
    for _, mix in ipairs(part.mixes or {}) do
      -- What a LIMIT takes is not known; that another row takes part in it is.
      local whole = { from = { table.unpack(part.from) }, conds = { table.unpack(part.conds) }, mixes = mix.mixes,
        approx = not (mix.chooses and (part.approx or ""):find "^LIMIT") and part.approx or nil }
      table.move(mix.from, 1, #mix.from, #whole.from + 1, whole.from)
      table.move(mix.conds, 1, #mix.conds, #whole.conds + 1, whole.conds)
      self:rows_from(whole, #part.from + 1, conds, mix)
      self:mixed(whole, conds)
    end
  end

  --- Runs fn where the rows of a query are known, and stand beside those of what is read there.
  function Walk:within(sub, fn)
    local scope, fired, conds = self.scope, self.fired, self.fired_conds
    if sub and sub.level then
      self.scope = sub.level
      self.fired = table.move(sub.from, 1, #sub.from, #fired + 1, { table.unpack(fired) })
      self.fired_conds = table.move(sub.conds, 1, #sub.conds, #conds + 1, { table.unpack(conds) })
    end
    fn()
    self.scope, self.fired, self.fired_conds = scope, fired, conds
  end

  --- Notes what the subqueries read whose values a query gives: in its targets, in each arm of a UNION, and in FROM.
  function Walk:shown(tree, conds)
    if tree.larg then
      self:shown(tree.larg, conds)
      return self:shown(tree.rarg, conds)
    end
    local list = {}
    for _, part in ipairs { tree.targetList or {}, tree.valuesLists or {}, tree.fromClause or {} } do
      each_query(part, function(inner, in_from) list[#list + 1] = { tree = inner, in_from = in_from } end)
    end
    local calls = self:calls_in(tree)
    if #list == 0 and #calls == 0 then return end
    self:within(not tree.valuesLists and compile.select(tree, self.scope, self.cx) or nil, function()
      for _, one in ipairs(list) do
        -- The rows of one in FROM are those of the query around it.
        if one.in_from then self:shown(one.tree, conds) else self:told(one.tree, conds) end
      end
      for _, call in ipairs(calls) do self:follow(call, conds) end
    end)
  end

  --- A subquery whose value is told: by one that only asks whether a row is there, no more than that.
  function Walk:told(tree, conds)
    self:placed(self.place ~= "from" and self.place or nil, function() self:query(tree, conds) end)
  end

  function Walk:query(tree, conds)
    local arms = tree.op == "SETOP_NONE" and unions.arms(tree) or {}
    if #arms > 1 then
      for _, one in ipairs(arms) do self:query(one, conds) end
      return
    end
    self:shown(tree, conds)
    local sub, problem = compile.select(tree, self.scope, self.cx)
    if not sub then return self:give_up(problem) end
    self.secret = not tree.larg and secret_of(tree.whereClause) or nil
    self:rows(sub, conds)
    self.secret = nil
  end

  --- The rows that an UPDATE or DELETE touches, as a query.
  function Walk:touched(c, extra, conds)
    local from = { wrapped(c.relation) }
    for _, item in ipairs(extra or {}) do from[#from + 1] = item end
    self.touches = true
    self:query({ op = "SETOP_NONE", fromClause = from, whereClause = c.whereClause, targetList = c.returningList or {} }, conds)
    self.touches = nil
    -- What an UPDATE sets may be read elsewhere.
    if c.targetList then
      self:kept_in(c.relation, function()
        self:shown({ op = "SETOP_NONE", fromClause = from, whereClause = c.whereClause, targetList = c.targetList }, conds)
      end)
    end
  end

  --- Notes what is read for the rows of a table.
  function Walk:kept_in(relation, fn)
    local before = self.flow
    self.flow = { kept = relation.schemaname and (relation.schemaname .. "." .. relation.relname) or self.find(relation.relname) or "?" }
    fn()
    self.flow = before
  end

  local function columns_as_nodes(row)
    local out = {}
    for name, column in pairs(row.columns or {}) do
      out[name] = { k = "col", t = column.t, row = row, name = name, notnull = column.notnull }
    end
    return out
  end

  --- Follows what the rows fire that an UPDATE or DELETE touches.
  function Walk:fired_by(c, extra, event, conds)
    local label = c.relation.schemaname and (c.relation.schemaname .. "." .. c.relation.relname) or self.find(c.relation.relname)
    local known = self.cx.input.leads
    if not label or not known or not known.triggers[label] then return end
    local from = { wrapped(c.relation) }
    for _, item in ipairs(extra or {}) do from[#from + 1] = item end
    local sub = compile.select({ op = "SETOP_NONE", fromClause = from, whereClause = c.whereClause, targetList = {} }, self.scope, self.cx)
    local row = sub and sub.from and sub.from[1]
    if not row or not row.columns then return end -- said where its rows are looked at
    local old, new = columns_as_nodes(row), columns_as_nodes(row)
    for _, item in ipairs(event == "UPDATE" and c.targetList or {}) do
      new[item.ResTarget.name] = compile.expr(item.ResTarget.val, sub.level, self.cx)
    end
    self:fires(label, event, { old = old, new = event == "UPDATE" and new or nil }, sub.from, sub.conds, conds)
  end

  --- The row as an INSERT or a SET leaves it: its columns have these values, of rows of `sub` where there is one.
  function Walk:written(relation, values, conds, sub, inserts)
    local label = relation.schemaname and (relation.schemaname .. "." .. relation.relname) or self.find(relation.relname)
    local row = label and self.cx.input.tables[label] and compile.row(label, relation.relname, self.cx)
    if not row then return self:give_up("the table " .. relation.relname) end
    self:put_through(label, conds)
    local all = sub and sub.conds or {}
    local said = { table.unpack(all) }
    for _, condition in ipairs(conds) do all[#all + 1] = condition end
    for name, node in pairs(values) do
      local column = row.columns[name]
      if column then
        local equal = compile.equal({ k = "col", t = column.t, row = row, name = name, notnull = column.notnull }, node)
        all[#all + 1] = equal
        -- What a column holds that tells no tenant may be anything.
        if equal.k ~= "opaque" or sorts.identity(column.t) then said[#said + 1] = equal end
      end
    end
    local beside = { row, table.unpack(sub and sub.from or {}) }
    if inserts then self:fires(label, "INSERT", { new = columns_as_nodes(row) }, beside, said, conds) end
    if #self.fired > 0 then
      sub = sub or { from = {}, conds = all, targets = {}, names = {} }
      self:with_fired(sub.from)
      for _, condition in ipairs(self.fired_conds) do all[#all + 1] = condition end
    end
    local node = sub and { k = "exists", t = "bool", sub = sub } or { k = "and", t = "bool", args = all }
    local reach = { main = row, node = node, write = true, values = values, secret = self.secret }
    table.insert(self.out, reach)
    return reach
  end

  --- The row as an UPDATE leaves it, in all its columns: what is not set is as it was in a row that the statement finds.
  function Walk:updated(c, conds)
    local from = { wrapped(c.relation) }
    for _, item in ipairs(c.fromClause or {}) do from[#from + 1] = item end
    local sub, problem = compile.select({ op = "SETOP_NONE", fromClause = from, whereClause = c.whereClause, targetList = {} }, self.scope,
      self.cx)
    local before = sub and sub.from and sub.from[1]
    if not before or not before.columns then return self:give_up(problem or "an UPDATE") end
    local values = {}
    for _, item in ipairs(c.targetList or {}) do values[item.ResTarget.name] = compile.expr(item.ResTarget.val, sub.level, self.cx) end
    local all = {}
    for name, column in pairs(before.columns) do
      all[name] = values[name] or { k = "col", t = column.t, row = before, name = name, notnull = column.notnull }
    end
    local reach = self:written(c.relation, all, conds, sub)
    if reach then reach.values, reach.updates = values, true end
  end

  --- Does a query give all columns of something, which are not known by their places?
  local function has_star(query)
    if query.larg then return has_star(query.larg) or has_star(query.rarg) end
    for _, item in ipairs(query.targetList or {}) do
      local fields = item.ResTarget.val.ColumnRef and item.ResTarget.val.ColumnRef.fields
      if fields and fields[#fields].A_Star then return true end
    end
    return false
  end

  --- The columns that an INSERT names, or all of the table's in their order.
  function Walk:columns_of(c)
    local out = {}
    for i, item in ipairs(c.cols or {}) do out[i] = item.ResTarget.name end
    if c.cols then return out end
    local label = c.relation.schemaname and (c.relation.schemaname .. "." .. c.relation.relname) or self.find(c.relation.relname)
    local info = label and self.cx.input.tables[label]
    return info and info.order or out
  end

  --- INSERT … SELECT: the rows that are read, and each row that is made of them.
  function Walk:inserted(c, query, conds)
    local cols = self:columns_of(c)
    self:kept_in(c.relation, function() self:query(query, conds) end)
    if has_star(query) then return self:give_up "INSERT … SELECT *" end
    local sub, problem = compile.select(query, self.scope, self.cx)
    if not sub then return self:give_up(problem) end
    for _, part in ipairs(sub.union or { sub }) do
      if part.union or part.aggregate then return self:give_up "INSERT of an aggregate, or of a UNION in a UNION" end
      local values, inner = {}, { from = part.from, conds = { table.unpack(part.conds) }, approx = part.approx, targets = {}, names = {} }
      for i, node in ipairs(part.targets) do
        if not cols[i] then return self:give_up "INSERT without its columns' names" end
        values[cols[i]] = node
      end
      self.secret = not query.larg and #part.from == 1 and not is_given(part.targets) and secret_of(query.whereClause) or nil
      self:written(c.relation, values, conds, inner, true)
      self.secret = nil
    end
  end

  local S = {}

  function S.SelectStmt(self, c, conds) return self:query(c, conds) end

  function S.DeleteStmt(self, c, conds)
    self:touched(c, c.usingClause, conds)
    self:fired_by(c, c.usingClause, "DELETE", conds)
  end

  function S.UpdateStmt(self, c, conds)
    self:touched(c, c.fromClause, conds)
    self:fired_by(c, c.fromClause, "UPDATE", conds)
    local values = {}
    for _, item in ipairs(c.targetList or {}) do
      local target = item.ResTarget
      values[target.name] = compile.expr(target.val, self.scope, self.cx)
    end
    self.changes = true
    if self.whole then return self:updated(c, conds) end
    -- The row that is not moved has been looked at as the one that is touched.
    if self.is_tenant_column(c.relation, values) then self:written(c.relation, values, conds) end
  end

  function S.InsertStmt(self, c, conds)
    self.changes = true
    local query = c.selectStmt and c.selectStmt.SelectStmt
    local list = query and query.valuesLists
    if list then self:kept_in(c.relation, function() self:shown(query, conds) end) end
    if c.returningList then
      self:shown({ op = "SETOP_NONE", fromClause = { wrapped(c.relation) }, targetList = c.returningList }, conds)
    end
    -- ON CONFLICT DO NOTHING writes the row, or nothing.
    local conflict = c.onConflictClause
    if query and conflict and conflict.action ~= "ONCONFLICT_NOTHING" then self:in_the_way(c, self:columns_of(c), query, conds) end
    if query and not list then return self:inserted(c, query, conds) end
    if not list then return self:give_up "INSERT of defaults alone" end
    local cols = self:columns_of(c)
    for _, row in ipairs(list) do
      local values = {}
      for i, item in ipairs(row.List.items) do
        if not cols[i] then return self:give_up "INSERT without its columns' names" end
        if not item.SetToDefault then values[cols[i]] = compile.expr(item, self.scope, self.cx) end
      end
      self:written(c.relation, values, conds, nil, true)
    end
  end

  function Walk:statement(text, conds)
    local ok, tree = pcall(sql.parse, text)
    if not ok then return self:give_up "SQL that cannot be read" end
    for _, item in ipairs(tree.stmts or {}) do
      if self.cx.input.views then with.views(item.stmt, self.cx.input.views) end
      local done, writes = with.inline(item.stmt)
      writes[#writes + 1] = item.stmt
      for _, stmt in ipairs(writes) do
        local kind, c = next(stmt)
        local before = self.unread
        compile.scan(stmt, self.cx, {})
        if not done then self:give_up "WITH that is recursive, renames columns, or whose written rows are read again" end
        if not S[kind] then
          self:give_up("the statement " .. kind)
        elseif done or stmt ~= item.stmt then
          S[kind](self, c, conds)
        end
        if self.unread ~= before then self.unread = ("%s, in the statement \"%s\""):format(self.unread, excerpt(text)) end
        self.changes = self.changes or kind ~= "SelectStmt"
      end
    end
  end

  function Walk:expression(text)
    local tree = compile.parse("SELECT " .. text)
    if not tree or #(tree.targetList or {}) ~= 1 then return compile.opaque "an expression of PL/pgSQL" end
    return compile.expr(tree.targetList[1].ResTarget.val, self.scope, self.cx)
  end

  local function test(node, mask) return { k = "test", t = "bool", a = compile.coerce(node, "bool"), mask = mask } end

  --- The expressions of a statement whose values are told: by the text of an error or a notice, by how often a loop runs.
  function Walk:tells(list, conds)
    for _, text in ipairs(list or {}) do
      local says, place = self.says, self.place
      if self.subject and self:names_subject(text) then
        local node = { k = "and", t = "bool", args = { table.unpack(conds) } }
        table.insert(self.out, { main = self.subject, node = node, said = true, flow = {}, by = self.inner })
      end
      self.says, self.place, self.flow = true, nil, {}
      self:statement("SELECT " .. text, conds)
      self.says, self.place, self.flow = says, place, self.back
    end
  end

  local function ends(list)
    for _, s in ipairs(list) do
      if s.k == "return" or (s.k == "raise" and s.is_error) then return true end
    end
    return false
  end

  --- Does a name stand for a parameter or a variable?
  local function is_parameter(fields, scope)
    while scope and not scope.params do scope = scope.parent end
    return scope ~= nil and (scope.params[fields[1]] ~= nil or (#fields == 2 and fields[1] == scope.params_of))
  end

  --- Is a parameter or variable put into SQL as it is? quote_literal, quote_ident and format's %L and %I make it a value.
  local function injects(tree, scope)
    if type(tree) ~= "table" then return false end
    if tree.FuncCall then
      local names = compile.names(tree.FuncCall.funcname)
      local name = names[#names]
      if name == "quote_literal" or name == "quote_ident" or name == "quote_nullable" then return false end
      local first = name == "format" and tree.FuncCall.args and tree.FuncCall.args[1].A_Const
      if first and first.sval and not (first.sval.sval or ""):find "%%[%d$-]*s" then return false end
    end
    if tree.ParamRef then return true end
    if tree.ColumnRef then return is_parameter(compile.names(tree.ColumnRef.fields), scope) end
    for _, value in pairs(tree) do
      if injects(value, scope) then return true end
    end
    return false
  end

  require "rls.prover.variables"(compile, Walk)
  require "rls.prover.conflict"(Walk)
  require "rls.prover.called"(compile, Walk, injects)
  require "rls.prover.cursors"(compile, Walk)

  function Walk:execute(text, conds)
    local tree = compile.parse("SELECT " .. text:gsub("%f[%w][uU][sS][iI][nN][gG]%f[%W].*$", ""))
    if tree and injects(tree.targetList, self.scope) then
      self.injection = "it puts an argument into the text of a statement that it executes"
    else
      local fixed = self:fixed_text(tree)
      if fixed then self:statement(fixed, conds) else self:give_up "EXECUTE" end
    end
  end

  function Walk:list(list, conds)
    conds = { table.unpack(conds) }
    for _, s in ipairs(list) do
      self.flow = self.back
      if s.k == "query" or s.k == "sql" or s.k == "perform" then
        if s.k == "perform" then self.flow = self:performed(s.text) end
        self:statement(s.text, conds)
        -- RETURNING … INTO
        if s.names then self:forget(self:given_in { s }) end
        conds[#conds + 1] = s.k == "perform" and self:guard(s.text) or nil
      elseif s.k == "into" then
        self:select_into(s, conds)
      elseif s.k == "return" then
        if s.text ~= "" then self:statement("SELECT " .. s.text, conds) end
      elseif s.k == "assign" then
        self:assign(s.name, s.text, conds)
      elseif s.k == "execute" then
        self:execute(s.text, conds)
        self:forget(self.types)
      elseif s.k == "if" then
        local before, values = { table.unpack(conds) }, self:values()
        local all_end, given = true, {}
        for _, b in ipairs(s.branches) do
          local node = b.test and self:expression(b.test)
          if b.test then self:tested(b.test, before) end
          local inner = { table.unpack(before) }
          if node then inner[#inner + 1] = test(node, "T") end
          self:list(b.body, inner)
          self:restore(values)
          if not ends(b.body) then self:given_in(b.body, given) end
          if node then before[#before + 1] = test(node, "FN") end
          all_end = all_end and ends(b.body)
        end
        self:forget(given)
        if all_end then conds = before end
      elseif s.k == "block" or s.k == "loop" then
        self.flow = { into = s.name, f = self.inner }
        if s.text then self:statement(s.text, conds) end
        self:tells(s.tells, conds)
        if s.dynamic then self:give_up "FOR … IN EXECUTE" end
        local before, given = self:declare(s.declared, conds), self:given_in { s }
        if s.k == "loop" then self:forget(given) end
        self:list(s.body, conds)
        if s.k == "loop" or s.handlers then self:forget(given) end
        for _, handler in ipairs(s.handlers or {}) do
          self:list(handler, conds)
          self:forget(given)
        end
        self:leave(before)
      elseif s.k == "raise" or s.k == "exit" then
        self:tells(s.tells, conds)
      elseif s.k == "other" then
        self:other(s, conds)
      end
    end
    self.flow = self.back
  end

  --- The statements of a function.
  function Walk:body(f, conds)
    if f.language == "sql" then
      local text = f.body:match "^%s*[bB][eE][gG][iI][nN]%s+[aA][tT][oO][mM][iI][cC]%s+(.-);?%s*[eE][nN][dD]%s*;?%s*$"
        or f.body:gsub("^%s*[rR][eE][tT][uU][rR][nN]%s", "SELECT ")
      self.flow = self.back
      self:statement(text, conds)
    elseif f.language == "plpgsql" then
      local block, problem = compile.program_of(f)
      if block then self:list({ block }, conds) else self:give_up(problem) end
    else
      self:give_up("written in " .. tostring(f.language))
    end
    if f.returns and not f.returns_set then self:checked(f.returns, conds) end
  end

  --- NEW and OLD of a trigger's function: rows that the application's policies let it write or change. Those of a view are the
  --- caller's to choose.
  local function fire(walk, fired, cx)
    cx.fired = fired
    walk.scope.params.tg_op = compile.const("text", fired.event)
    local of = { INSERT = { { "new", "check" } }, UPDATE = { { "new", "check" }, { "old", "using" } }, DELETE = { { "old", "using" } } }
    walk.scope.rows = {}
    for _, item in ipairs(of[fired.event]) do
      local alias, phase = item[1], item[2]
      local row = compile.row(fired.label, alias, cx)
      local info = row.info
      if info.kind == "v" then
        row = { alias = alias, nodes = {} }
        for name, column in pairs(info.columns) do
          local argument = ("%s%s.%s"):format(ARGUMENT, alias, name)
          row.nodes[name] = compile.cast_in({ k = "setting", t = "text", name = argument, missing_ok = true },
            sorts.of(column.base or column.type, cx.input.types), cx)
        end
      else
        row.fired = alias
        walk.fired[#walk.fired + 1] = row
        if info.rls and not compile.bypasses(info, cx.input.role) then
          walk.fired_conds[#walk.fired_conds + 1] = compile.combine(info, fired.event, phase, { rows = { row } }, cx)
        end
      end
      table.insert(walk.scope.rows, row)
    end
    -- The other one is NULL in all its columns.
    local other = fired.event == "INSERT" and "old" or (fired.event == "DELETE" and "new") or nil
    if other then
      local row = { alias = other, nodes = {} }
      for name, column in pairs(compile.row(fired.label, other, cx).columns or {}) do
        row.nodes[name] = compile.const(column.t, sorts.NULL)
      end
      table.insert(walk.scope.rows, row)
    end
  end

  --- Every row of a table that the function may read or write with its owner's rights.
  ---@param f prover.Function  security_definer
  ---@param name string
  ---@param cx prover.Context
  ---@param tenants fun(label: string): table<string, boolean>?  the columns of a tenants' table that say whose a row is
  ---@param fired {event: string, label: string}?  of a trigger's function: what it is fired by, on which relation
  ---@param whole boolean?  rows that an UPDATE leaves are wanted, whatever it sets, with all that they have to be
  ---@return {out: prover.Reach[], unread: string?, injection: string?, changes: boolean}
  function compile.reaches(f, name, cx, tenants, fired, whole)
    local walk = setmetatable({ cx = cx, out = {}, changes = false, fired = {}, fired_conds = {}, whole = whole, types = {},
      inside = { [f] = 2 }, entered = 0, tenants = tenants, flow = {}, back = {},
      scope = { params = parameters(f, cx), params_of = name:match "[^.]*$" } }, Walk)
    if fired then fire(walk, fired, cx) end
    cx.body, cx.definer, cx.current_user = compile.body_context(f, name, cx), true, f.owner or "?"
    cx.bypass = f.owner_bypasses == true and true or "unknown"
    cx.depth, cx.walked = 1, true
    function walk.find(relname) return compile.find_label(relname, cx) end
    function walk.is_tenant_column(relation, values)
      local label = relation.schemaname and (relation.schemaname .. "." .. relation.relname) or walk.find(relation.relname)
      for column in pairs(label and tenants(label) or {}) do
        if values[column] then return true end
      end
      return false
    end
    cx.reads_runners = true
    for _, arg in ipairs(f.args or {}) do walk:checked(arg.type, {}) end
    walk:body(f, {})
    return walk
  end

  require "rls.prover.telling"(compile, Walk)
  compile.ARGUMENT = ARGUMENT
end
