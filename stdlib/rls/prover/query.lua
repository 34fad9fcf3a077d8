--- Names and subqueries: the part of rls.prover.compile that knows of FROM.
--
-- A subquery becomes {from = rows, conds = conditions, target = node}: it has a row where some choice of rows, which their own policies
-- show to the reader, makes every condition true. GROUP BY, HAVING, DISTINCT, ORDER BY and outer joins are left out where that can only add
-- rows; `approx` then says that a row which is found need not be one of the query's.
local functions = require "rls.prover.functions"
local mixing = require "rls.prover.mixing"
local sorts = require "rls.prover.sorts"

---@class prover.Row
---@field alias string?
---@field label string?
---@field columns table<string, {t: string, notnull: boolean?}>?
---@field nullable boolean?   the far side of an outer join
---@field guard prover.Node?  what its own policies ask of it

local AGGREGATES = {}
for name in ([[count sum avg max min array_agg bool_or bool_and every string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg
    bit_and bit_or xmlagg mode percentile_cont percentile_disc]]):gmatch "%S+" do
  AGGREGATES[name] = true
end
-- Sets of pg_catalog's that are not read.
local SETS = {}
for name in ([[jsonb_array_elements json_array_elements jsonb_array_elements_text json_array_elements_text jsonb_object_keys
    json_object_keys jsonb_each json_each jsonb_each_text json_each_text jsonb_path_query regexp_split_to_table regexp_matches
    generate_series]]):gmatch "%S+" do
  SETS[name] = true
end
-- Of these, a result that is a value of some row.
local ONE_OF = { max = true, min = true, bool_or = true, bool_and = true, every = true }

return function(compile)
  local opaque = compile.opaque

  --- The columns of a table as sorts.
  local function columns_of(info, input)
    if not info.columns then return nil end
    info.sorts = info.sorts or {}
    for name, column in pairs(info.columns) do
      if not info.sorts[name] then
        local sort = sorts.of(column.base or column.type, input.types)
        if sort == "text" and column.deterministic == false then sort = "other:collated" end
        info.sorts[name] = { t = sort, notnull = column.notnull == true }
      end
    end
    return info.sorts
  end

  --- A row of a table that the input describes.
  ---@return prover.Row
  function compile.row(label, alias, cx)
    local info = cx.input.tables[label]
    return { alias = alias, label = label, info = info, columns = info and columns_of(info, cx.input), kind = "table" }
  end

  local function in_row(row, name)
    if row.nodes then return row.nodes[name] end
    local column = row.columns and row.columns[name]
    if not column then return nil end
    return { k = "col", t = column.t, row = row, name = name, notnull = column.notnull and not row.nullable }
  end

  --- A bare name at one level: its node, or nil; an error text where it cannot be told.
  local function at_level(scope, name)
    local found
    for _, row in ipairs(scope.rows or {}) do
      local node = in_row(row, name)
      if not node and not row.columns and not row.nodes then return nil, "the columns of " .. (row.label or row.alias or "?") end
      if node and not found then
        found = node
      elseif node and not (scope.using and scope.using[name]) then
        return nil, "the ambiguous name " .. name
      end
    end
    return found
  end

  local function bare_column(name, scope)
    local at = scope
    while at do
      local node, problem = at_level(at, name)
      if node then return node end
      if problem then return opaque(problem) end
      if at.params and at.params[name] then return at.params[name] end
      at = at.parent
    end
    return opaque("the name " .. name)
  end

  local function is_meant(row, names)
    if #names == 2 then return row.alias == names[1] end
    return #names == 3 and row.label == names[1] .. "." .. names[2] and row.alias == names[2]
  end

  --- A column reference (PostgreSQL manual, section 4.2.1): the innermost FROM that knows it, then a function's parameters.
  function compile.column(names, scope, _)
    if names[#names] == "*" then return opaque "a whole row" end
    if #names == 1 then return bare_column(names[1], scope) end
    local at = scope
    while at do
      for _, row in ipairs(at.rows or {}) do
        if is_meant(row, names) then return in_row(row, names[#names]) or opaque("the column " .. table.concat(names, ".")) end
      end
      if at.params and #names == 2 and names[1] == at.params_of and at.params[names[2]] then return at.params[names[2]] end
      at = at.parent
    end
    return opaque("the name " .. table.concat(names, "."))
  end

  --- The table that the caller may put in place of one that a function names without its schema: it holds what the caller wrote.
  local function shadowed(label, name, cx)
    local new = "pg_temp." .. name
    if not cx.input.tables[new] then
      local columns = {}
      for column, c in pairs(cx.input.tables[label].columns or {}) do
        columns[column] = { type = c.type, base = c.base, deterministic = c.deterministic }
      end
      cx.input.tables[new] = { columns = columns, rls = false, kind = "r", may = { insert = true, update = true } }
    end
    return new
  end

  --- The label of the table that a FROM names, or nil with what is in the way.
  local function find_table(c, cx)
    if cx.input.reads then cx.input.reads[1] = true end
    if c.schemaname then
      local label = c.schemaname .. "." .. c.relname
      return label, not cx.input.tables[label] and ("the table " .. label) or nil
    end
    local found
    for label in pairs(cx.input.tables) do
      local same = label:match "[^.]*$" == c.relname or label:sub(-#c.relname - 1) == "." .. c.relname
      if same and label:sub(1, 8) ~= "pg_temp." then
        if found then return nil, "the table " .. c.relname .. " without its schema" end
        found = label
      end
    end
    local shadow = cx.body and (not cx.body.temp_last or not cx.body.pinned) and found and cx.input.shadows
    if shadow then return shadowed(found, c.relname, cx) end
    if cx.body and not cx.body.temp_last and cx.input.role.may_temp ~= false then
      cx.assumes[("search_path: in %s a temporary table can take the place of %s"):format(cx.body.name, c.relname)] = true
    end
    if cx.body and not cx.body.pinned then
      cx.assumes[("search_path: %s finds table %s along the caller's search_path"):format(cx.body.name, c.relname)] = true
    end
    return found, not found and ("the table " .. c.relname) or nil
  end

  --- The label of the table that a bare name means, or nil.
  function compile.find_label(relname, cx)
    local label, problem = find_table({ relname = relname }, cx)
    return not problem and label or nil
  end

  --- A table's policies call its row by the table's name, whatever the query calls it.
  local function by_own_name(row)
    local name = row.label:match "[^.]*$"
    if row.alias == name or not row.columns then return row end
    local nodes = {}
    for column in pairs(row.columns) do nodes[column] = in_row(row, column) end
    return { alias = name, label = row.label, nodes = nodes }
  end

  --- What its own policies ask of a row that this reader sees: nil where none bind, unsure where that is not known.
  local function guard(row, cx)
    local info = row.info
    if not info or info.kind == "v" then
      row.unsure = "it reads " .. (row.label or "?") .. ", a view or an unknown table"
    elseif info.rls and not info.policies then
      row.unsure = "the policies of " .. row.label .. ", which are not known"
    elseif cx.definer and (cx.bypass == true or not info.rls or (info.owner == cx.current_user and not info.forced)) then
      return -- the definer's rights show all
    elseif cx.definer and cx.input.shows and cx.input.shows(row.label, cx.current_user) then
      return -- and so do policies of its own
    elseif cx.definer then
      row.unsure = "whether the owner's rights see all rows of " .. row.label
    elseif info.rls and not compile.bypasses(info, cx.input.role) then
      if cx.guarding[row.label] then
        row.unsure = "the policies of " .. row.label .. " read it again"
        return
      end
      cx.guarding[row.label] = true
      row.guard = compile.combine(info, "SELECT", "using", { rows = { by_own_name(row) } }, cx)
      cx.guarding[row.label] = nil
    end
  end

  local F = {} -- kind of FROM item → function(item, level, sub, scope, cx) → problem?

  local function from_item(tree, level, sub, cx)
    local kind, c = next(tree)
    if not F[kind] then return "the construct " .. kind end
    return F[kind](c, level, sub, cx)
  end

  function F.RangeVar(c, level, sub, cx)
    local label, problem = find_table(c, cx)
    if problem then return problem end
    local row = compile.row(label, c.alias and c.alias.aliasname or c.relname, cx)
    if c.alias and c.alias.colnames then return "renamed columns" end
    guard(row, cx)
    table.insert(level.rows, row)
    table.insert(sub.from, row)
  end

  local function join_condition(c, level, sub, before, cx)
    for _, item in ipairs(c.usingClause or {}) do
      local name, left, right = item.String.sval, nil, nil
      for i, row in ipairs(level.rows) do
        local node = in_row(row, name)
        if node and i <= before then left = left or node elseif node then right = right or node end
      end
      if not left or not right then return "a join USING (" .. name .. ")" end
      level.using[name] = true
      table.insert(sub.conds, compile.equal(left, right))
    end
    if c.quals then table.insert(sub.conds, compile.coerce(compile.expr(c.quals, level, cx), "bool")) end
  end

  --- The far side of an outer join: its rows may be all NULL. Those that are there satisfy `far`. Returns what is in the way.
  ---@param rows table[]   of the level, from first to last
  ---@param from table[]   of the query, from of_first to of_last: those of subqueries too
  local function forget(rows, first, last, from, of_first, of_last, far)
    for i = first, last do
      local row = rows[i]
      if row.kind ~= "table" and not row.nodes then return "an outer join of what is no table" end
      -- What a subquery gives is NULL there, whatever it computes.
      for name, node in pairs(row.kind ~= "table" and row.nodes or {}) do row.nodes[name] = opaque("an outer join", node.t) end
    end
    for i = of_first, of_last do
      local row = from[i]
      if row.kind ~= "table" then return "an outer join of what is no table" end
      row.far = table.move(far, 1, #far, #(row.far or {}) + 1, row.far or {})
      row.far[#row.far + 1] = row.guard
      row.nullable, row.guard = true, nil
    end
    return nil
  end

  --- An outer join keeps of its conditions those of the side that is always there.
  local function outer_join(c, level, sub, marks, cx)
    local kept, of_left, of_right = {}, {}, {}
    for i = 1, #sub.conds do
      local left, right = i > marks.conds and i <= marks.middle_conds, i > marks.middle_conds
      if not (left and c.jointype ~= "JOIN_LEFT") and not (right and c.jointype ~= "JOIN_RIGHT") then kept[#kept + 1] = sub.conds[i] end
      if left then of_left[#of_left + 1] = sub.conds[i] end
      if right then of_right[#of_right + 1] = sub.conds[i] end
    end
    local quals = c.quals and compile.coerce(compile.expr(c.quals, level, cx), "bool")
    -- A row of a FULL JOIN's may have none on the other side.
    if quals and c.jointype ~= "JOIN_FULL" then
      of_left[#of_left + 1], of_right[#of_right + 1] = quals, quals
    end
    local problem
    if c.jointype ~= "JOIN_LEFT" then
      problem = forget(level.rows, marks.rows + 1, marks.middle_rows, sub.from, marks.from + 1, marks.middle_from, of_left)
    end
    if c.jointype ~= "JOIN_RIGHT" then
      problem = problem or forget(level.rows, marks.middle_rows + 1, #level.rows, sub.from, marks.middle_from + 1, #sub.from, of_right)
    end
    sub.conds, sub.approx = kept, "an outer join"
    return problem
  end

  function F.JoinExpr(c, level, sub, cx)
    if c.isNatural or c.alias then return "a natural or renamed join" end
    local marks = { rows = #level.rows, conds = #sub.conds, from = #sub.from }
    local problem = from_item(c.larg, level, sub, cx)
    marks.middle_rows, marks.middle_conds, marks.middle_from = #level.rows, #sub.conds, #sub.from
    problem = problem or from_item(c.rarg, level, sub, cx)
    if problem then return problem end
    if c.jointype == "JOIN_INNER" then return join_condition(c, level, sub, marks.middle_rows, cx) end
    if c.usingClause then return "an outer join USING" end
    return outer_join(c, level, sub, marks, cx)
  end

  --- Takes the rows and conditions of a subquery into the one around it; its targets become the columns of `alias`.
  local function pull_up(inner, alias, nodes, level, sub)
    if inner.union or inner.aggregate then return "a subquery in FROM with UNION or an aggregate" end
    for _, row in ipairs(inner.from) do table.insert(sub.from, row) end
    for _, condition in ipairs(inner.conds) do table.insert(sub.conds, condition) end
    for _, mix in ipairs(inner.mixes or {}) do
      sub.mixes = sub.mixes or {}
      table.insert(sub.mixes, mix)
    end
    sub.approx = sub.approx or inner.approx or (inner.limit and "LIMIT in FROM") or nil
    table.insert(level.rows, { alias = alias, nodes = nodes })
  end

  --- What a subquery in FROM makes of several of its rows: a value by a window or a group, a choice by LIMIT or DISTINCT ON. The other
  --- rows are once more those of the subquery, and of the same partition; what is asked outside is asked of the row that comes out.
  local function add_mixes(tree, inner, level, cx)
    for _, of in ipairs(mixing.of(tree)) do
      local other = compile.select(tree, level, cx)
      if not other then return end
      for _, key in ipairs(of.keys) do
        local here, there = mixing.node(key, tree, inner, compile, cx), mixing.node(key, tree, other, compile, cx)
        table.insert(other.conds, here and there and compile.equal(here, there) or opaque "how rows are grouped")
      end
      inner.mixes = inner.mixes or {}
      table.insert(inner.mixes, { from = other.from, conds = other.conds, mixes = other.mixes, chooses = of.chooses })
    end
  end

  --- A subquery in FROM that makes one row of all that it reads.
  local function add_aggregate(inner, alias, level, sub)
    local nodes = {}
    for _, name in ipairs(inner.names or {}) do nodes[name] = opaque "an aggregate" end
    table.insert(level.rows, { alias = alias, nodes = nodes })
    sub.mixes = sub.mixes or {}
    table.insert(sub.mixes, inner)
  end

  function F.RangeSubselect(c, level, sub, cx)
    local tree = c.subquery.SelectStmt
    local inner, problem = compile.select(tree, level, cx)
    if not inner then return problem end
    if cx.walked and not inner.union then add_mixes(tree, inner, level, cx) end
    if cx.walked and inner.aggregate and not (c.alias and c.alias.colnames) then
      return add_aggregate(inner, c.alias and c.alias.aliasname, level, sub)
    end
    local nodes = {}
    for i, name in ipairs(inner.names or {}) do nodes[name] = inner.targets[i] end
    local row, first = inner.from and inner.from[1], (c.subquery.SelectStmt.targetList or {})[1]
    local fields = first and first.ResTarget.val.ColumnRef and first.ResTarget.val.ColumnRef.fields
    if fields and fields[#fields].A_Star and #inner.from == 1 and row.kind == "table" and not inner.union then
      for name in pairs(row.columns or {}) do nodes[name] = in_row(row, name) end
    end
    if c.alias and c.alias.colnames then return "renamed columns" end
    return pull_up(inner, c.alias and c.alias.aliasname, nodes, level, sub)
  end

  --- A set-returning call: its rows, with one column `name`.
  local function set_call(call, alias, name, level, sub, cx)
    local names = compile.names(call.funcname)
    local system = not compile.own_function(names, cx) and compile.system_name(names, cx, "function")
    -- string_to_table, from PostgreSQL 14, is the unnest of string_to_array.
    local pieces = system == "string_to_table" and #(call.args or {}) == 2
    if pieces or (system == "unnest" and #(call.args or {}) == 1) then
      local array = compile.expr(call.args[1], level, cx)
      if pieces then array = compile.system_call("string_to_array", { array, compile.expr(call.args[2], level, cx) }, cx) end
      if array.t == "null" then array = compile.coerce(array, "array:text") end
      local element = array.t:match "^array:(.*)$"
      if not element then return "unnest of " .. array.t end
      local row = { alias = alias, kind = "unnest", array = array, columns = { [name] = { t = element } } }
      table.insert(level.rows, row)
      table.insert(sub.from, row)
      return nil
    end
    if system then return "the set of " .. system end
    local inner, problem = compile.set_function(call, level, cx)
    if not inner then return problem end
    return pull_up(inner, alias, { [name] = inner.targets[1] }, level, sub)
  end

  function F.RangeFunction(c, level, sub, cx)
    if #c.functions ~= 1 or c.ordinality or c.coldeflist then return "a function in FROM" end
    local call = c.functions[1].List.items[1].FuncCall
    if not call then return "a function in FROM" end
    local names = compile.names(call.funcname)
    local alias = c.alias and c.alias.aliasname or names[#names]
    local column = c.alias and c.alias.colnames and compile.names(c.alias.colnames)[1] or alias
    return set_call(call, alias, column, level, sub, cx)
  end

  --- Is there a call outside of subqueries that is, or may be, an aggregate?
  local function aggregate_in(tree, cx)
    if type(tree) ~= "table" then return false end
    for key, value in pairs(tree) do
      if key == "FuncCall" and not value.over then
        local names = compile.names(value.funcname)
        local last = names[#names]
        local marked = value.agg_star or value.agg_order or value.agg_filter
        local set = SETS[last] and not compile.own_function(names, cx)
        if not set and (marked or AGGREGATES[last] or not compile.is_scalar(names, cx)) then return true end
      end
      if key ~= "SubLink" and aggregate_in(value, cx) then return true end
    end
    return false
  end

  --- The first target, its aggregate taken off where that is understood.
  local function targets_of(tree, level, sub, cx)
    sub.targets, sub.names = {}, {}
    sub.aggregate = not tree.groupClause and (aggregate_in(tree.targetList, cx) or tree.havingClause ~= nil)
    for i, item in ipairs(tree.targetList or {}) do
      local value = item.ResTarget.val
      local call = value.FuncCall
      local names = call and compile.names(call.funcname)
      local name = names and names[#names]
      if call and compile.returns_set(names, cx) then
        local problem = set_call(call, nil, name, level, sub, cx)
        if problem then return problem end
        sub.targets[i] = in_row(level.rows[#level.rows], name)
      elseif sub.aggregate and i == 1 and call and #names == 1 and name == "count" and call.agg_star and not call.agg_filter then
        sub.fold, sub.targets[i] = "count", compile.const("int", 0)
      elseif sub.aggregate and i == 1 and call and #names == 1 and #(call.args or {}) == 1 and not call.agg_filter then
        sub.fold = (name == "array_agg" and "array") or (ONE_OF[name] and "one") or "other"
        sub.targets[i] = compile.expr(call.args[1], level, cx)
      else
        sub.targets[i] = compile.expr(value, level, cx)
      end
      local field = value.ColumnRef and compile.names(value.ColumnRef.fields)
      sub.names[i] = item.ResTarget.name or (field and field[#field]) or name or "?column?"
    end
  end

  --- A SELECT as rows and conditions, or nil with what is in the way.
  function compile.select(tree, scope, cx)
    if tree.withClause then return nil, tree.withClause.recursive and "WITH RECURSIVE" or "WITH" end
    if tree.op == "SETOP_UNION" then
      local left, problem = compile.select(tree.larg, scope, cx)
      local right, more = compile.select(tree.rarg, scope, cx)
      if not left or not right then return nil, problem or more end
      return { union = { left, right } }
    end
    if tree.op ~= "SETOP_NONE" or tree.valuesLists then return nil, tree.valuesLists and "VALUES" or "INTERSECT or EXCEPT" end
    local level = { rows = {}, using = {}, parent = scope }
    local sub = { from = {}, conds = {}, limit = tree.limitCount ~= nil }
    if tree.havingClause then sub.approx = "HAVING" end
    if tree.limitOffset or (tree.limitCount and not (tree.limitCount.A_Const and (tree.limitCount.A_Const.ival or {}).ival)) then
      sub.approx = "LIMIT or OFFSET"
    end
    for _, item in ipairs(tree.fromClause or {}) do
      local problem = from_item(item, level, sub, cx)
      if problem then return nil, problem end
    end
    if tree.whereClause then table.insert(sub.conds, compile.coerce(compile.expr(tree.whereClause, level, cx), "bool")) end
    local problem = targets_of(tree, level, sub, cx)
    if problem then return nil, problem end
    sub.level = level
    return sub
  end

  local function scalar(sub)
    if sub.union then return opaque "a scalar UNION" end
    local target = sub.targets[1]
    if not target then return opaque "a subquery without a column" end
    target = target.t == "null" and compile.coerce(target, "text") or target
    if sub.fold == "array" then return { k = "arraysub", t = "array:" .. target.t, sub = sub, target = target } end
    if sub.fold == "count" and not sub.approx then return { k = "count", t = "int", sub = sub } end
    if sub.aggregate and sub.fold ~= "one" then return opaque "an aggregate" end
    if #sub.from == 0 and #sub.conds == 0 and not sub.approx and not sub.aggregate then return target end
    return { k = "scalar", t = target.t, sub = sub, target = target }
  end
  compile.scalar = scalar

  --- x IN (subquery): a row of it with x as its target.
  local function membership(test, sub)
    if sub.union then return { k = "or", t = "bool", args = { membership(test, sub.union[1]), membership(test, sub.union[2]) } } end
    if sub.aggregate and sub.fold ~= "one" then return opaque("an aggregate", "bool") end
    local tests = {}
    local items = test.k == "row" and test.items or { test }
    for i, item in ipairs(items) do
      if not sub.targets[i] then return opaque("a subquery with too few columns", "bool") end
      tests[i] = compile.equal(item, sub.targets[i])
    end
    return { k = "exists", t = "bool", sub = sub, tests = tests }
  end

  local function exists(sub)
    if sub.union then return { k = "or", t = "bool", args = { exists(sub.union[1]), exists(sub.union[2]) } } end
    -- There is a row whatever the conditions say, but for their errors.
    if sub.aggregate then return sub.approx and opaque("HAVING", "bool") or { k = "const", t = "bool", v = true, sub = sub } end
    return { k = "exists", t = "bool", sub = sub }
  end

  function compile.sublink(c, scope, cx)
    local test = c.testexpr and compile.expr(c.testexpr, scope, cx)
    local sub, problem = compile.select(c.subselect.SelectStmt, scope, cx)
    if not sub then return opaque(problem) end
    if c.subLinkType == "EXISTS_SUBLINK" then return exists(sub) end
    if c.subLinkType == "EXPR_SUBLINK" then return scalar(sub) end
    if c.subLinkType == "ARRAY_SUBLINK" and not sub.union and not sub.aggregate and sub.targets[1] then
      local target = compile.coerce(sub.targets[1], sub.targets[1].t == "null" and "text" or sub.targets[1].t)
      return { k = "arraysub", t = "array:" .. target.t, sub = sub, target = target }
    end
    if c.subLinkType == "ANY_SUBLINK" then
      local name = not c.operName and "=" or compile.system_name(compile.names(c.operName), cx, "operator")
      if name ~= "=" then return opaque("ANY of a subquery with another operator", "bool") end
      return membership(test, sub)
    end
    return opaque("the construct " .. c.subLinkType)
  end

  --- Is the function of this name certainly neither an aggregate nor set-returning?
  function compile.is_scalar(names, cx)
    local own = compile.own_function(names, cx)
    if own then return own.language == "sql" or own.language == "plpgsql" end
    local last = names[#names]
    return (#names == 1 or names[1] == "pg_catalog") and (functions.known(last) or last == "unnest" or last == "string_to_table"
      or last == "current_setting" or last == "pg_has_role" or last == "array_position")
  end

  function compile.returns_set(names, cx)
    local own = compile.own_function(names, cx)
    if own then return own.returns_set == true end
    local last = names[#names]
    return (last == "unnest" or last == "string_to_table" or SETS[last] == true) and (#names == 1 or names[1] == "pg_catalog")
  end
end
