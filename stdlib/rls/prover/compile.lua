--- From libpg_query's tree of a policy to the nodes that the prover reasons about.
--
-- A node is {k = kind, t = sort, …}. What is not understood becomes {k = "opaque", reason = …}: any value of its type, NULL
-- included. So whatever is proven holds for every meaning that the opaque part may have. Calls that may change the session itself are
-- worse: they make the whole policy undecided (cx.poison).
--
-- Names are resolved as PostgreSQL does: the innermost FROM first, then outwards, then a function's parameters. An operator, function
-- or type that is written with a schema other than pg_catalog is not the one it looks like: functions are read (rls.prover.inline),
-- the rest is opaque. Policies are printed with search_path = pg_catalog, so that there a bare name is pg_catalog's. In the text of a
-- function a bare name is found along the path of the day: that is noted as an assumption, unless the function pins its path or nobody
-- else may create anything.
local builtins = require "rls.prover.builtins"
local combine = require "rls.prover.combine"
local documents = require "rls.prover.documents"
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"
local sql = require "sql"

local compile = {}

local NULL = sorts.NULL

---@class prover.Node
---@field k string
---@field t string

---@class prover.Context
---@field input table        what prover.decide was given
---@field body table?        the function whose text is being read
---@field depth integer      of functions
---@field current_user string
---@field bypass boolean?    the reader is not bound by row-level security; "unknown" where that is not known
---@field assumes table<string, boolean>
---@field poison string?

--- operands: what the server computes for it, which may raise an error while it plans.
function compile.opaque(reason, sort, operands)
  return { k = "opaque", reason = reason, t = sort or "other:unknown", operands = operands }
end
local opaque = compile.opaque

function compile.const(sort, value)
  return { k = "const", t = sort, v = value }
end
local const = compile.const

--- Names as written: {{String = {sval = …}}, …}.
function compile.names(list)
  local out = {}
  for i, item in ipairs(list or {}) do out[i] = item.String and item.String.sval or "*" end
  return out
end

--- Notes that a function's text rests on a name which the session may give another meaning. Where such functions are taken to answer what
--- the attacker likes (input.hijacks), the one that is read is marked, for its caller to put that answer in its place.
local function rests_on(cx, text)
  if cx.input.hijacks and cx.body.replaced then cx.body.replaced = text else cx.assumes[text] = true end
end

--- A bare or pg_catalog name; nil for a name of another schema. A bare one in a function's text is noted.
function compile.system_name(names, cx, what)
  local body = cx.body
  if #names == 2 and names[1] == "pg_catalog" then return names[2] end
  if #names ~= 1 then return nil end
  if body and not body.pinned and what then
    rests_on(cx, ("search_path: %s finds %s %s along the caller's search_path"):format(body.name, what, names[1]))
  elseif body and not body.temp_last and what == "type" then
    rests_on(cx, ("search_path: in %s a temporary type can take the place of %s"):format(body.name, names[1]))
  end
  return names[1]
end

--- A literal without a type takes the sort; another sort stays as it is.
function compile.coerce(node, sort)
  if node.t ~= "null" then return node end
  if node.k == "const" then
    if node.v == NULL then return const(sort, NULL) end
    local value = sorts.parse(sort, node.v)
    if value == nil then return opaque("the literal '" .. node.v .. "' as " .. sort, sort) end
    return const(sort, value)
  end
  return opaque("an expression without a type", sort)
end
local coerce = compile.coerce

--- Both operands with one sort, or nil.
local function matched(a, b)
  if a.t == "null" and b.t == "null" then return coerce(a, "text"), coerce(b, "text") end
  a, b = coerce(a, b.t), coerce(b, a.t)
  if a.t == b.t then return a, b end
  return nil
end

--- a = b, or an opaque truth where equality of the type is not identity of values.
function compile.equal(a, b)
  local x, y = matched(a, b)
  if x and (sorts.identity(x.t)) then return { k = "eq", t = "bool", a = x, b = y } end
  for _, side in ipairs { a, b } do
    if side.k == "opaque" then return opaque(side.reason, "bool", { a, b }) end
  end
  return opaque(("%s = %s"):format(a.t, b.t), "bool", { a, b })
end

function compile.negate(node)
  return { k = "not", t = "bool", a = node }
end
local negate = compile.negate

--- An explicit conversion (PostgreSQL manual, section 4.2.9).
function compile.cast(node, sort)
  if node.t == sort then return node end
  if node.t == "null" then return coerce(node, sort) end
  local f = functions.cast(node.t, sort)
  if f then return { k = "fn", f = f, args = { node }, t = sort } end
  if node.t == "text" and (sort == "other:json" or sort == "other:jsonb") then return { k = "document", t = sort, a = node } end
  local from, to = node.t:match "^array:(.*)$", sort:match "^array:(.*)$"
  local element = from and to and functions.cast(from, to)
  if element then return { k = "castarray", t = sort, a = node, f = element } end
  return opaque(("a conversion from %s to %s"):format(node.t, sort), sort)
end

--- A text read as an enum, whose labels are known from the catalogue; else as compile.cast has it.
function compile.cast_in(node, sort, cx)
  local name = sort:match "^enum:(.*)$"
  local labels = name and node.t == "text" and (cx.input.types or {})[name] and cx.input.types[name].labels
  if not labels then return compile.cast(node, sort) end
  local known = {}
  for _, label in ipairs(labels) do known[label] = true end
  return { k = "fn", t = sort, args = { node }, f = { name = "read:" .. sort, params = { "text" }, ret = sort,
    eval = function(v) return known[v] and v or functions.ERROR end } }
end

local function type_of(name, cx)
  local names = compile.names(name.names)
  local bare = compile.system_name(names, cx, "type")
  local text = bare or table.concat(names, ".")
  if name.arrayBounds then text = text .. "[]" end
  return sorts.of(text, cx.input.types), bare
end

local E = {} -- kind of tree node → function(tree, scope, cx)

function compile.expr(tree, scope, cx)
  local kind, body = next(tree)
  local fn = E[kind]
  if not fn then return opaque("the construct " .. tostring(kind)) end
  return fn(body, scope, cx)
end
local expr = compile.expr

local function exprs(list, scope, cx)
  local out = {}
  for i, item in ipairs(list or {}) do out[i] = expr(item, scope, cx) end
  return out
end

function E.A_Const(c)
  if c.isnull then return const("null", NULL) end
  if c.ival then return const("int", c.ival.ival or 0) end
  if c.boolval then return const("bool", c.boolval.boolval == true) end
  if c.sval then return const("null", c.sval.sval or "") end
  local whole = c.fval and sorts.parse("int", c.fval.fval or "")
  if whole then return const("int", whole) end
  return opaque "a number that is no integer"
end

--- Longest texts of types whose values are all as short.
local LENGTHS = { ["text:uuid"] = 36, ["text:int"] = 20, ["text:bool"] = 5 }

--- The first characters of a text, as a cast to a shorter type leaves them.
function compile.cut(node, length)
  local longest = node.k == "fn" and LENGTHS[node.f.name]
  if longest and longest <= length then return node end
  return { k = "fn", f = functions.find("left", { "text", "int" }), t = "text", args = { node, const("int", length) } }
end

--- Is it as short already: a literal, a role, a column of the type name?
local function is_short(node)
  if node.k == "const" or node.k == "user" then return true end
  local info = node.k == "col" and node.row and node.row.info
  return info and info.columns and info.columns[node.name] and info.columns[node.name].base == "name"
end

function E.TypeCast(c, scope, cx)
  local node = expr(c.arg, scope, cx)
  local sort, bare = type_of(c.typeName, cx)
  local result = compile.cast_in(node, sort, cx)
  if bare == "name" and not is_short(node) then return compile.cut(result, 63) end -- NAMEDATALEN - 1
  local length = c.typeName.typmods and c.typeName.typmods[1].A_Const
  if length and sort == "text" and bare == "varchar" then
    return compile.cut(result, length.ival and length.ival.ival or 0)
  elseif c.typeName.typmods and not sort:find "^other:" then
    return opaque("a type with a modifier", sort)
  end
  return result
end

function E.BoolExpr(c, scope, cx)
  local args = exprs(c.args, scope, cx)
  for i, a in ipairs(args) do args[i] = coerce(a, "bool") end
  if c.boolop == "NOT_EXPR" then return negate(args[1]) end
  return { k = c.boolop == "AND_EXPR" and "and" or "or", t = "bool", args = args }
end

function E.NullTest(c, scope, cx)
  local a = expr(c.arg, scope, cx)
  if a.t:find "^other:.*%." or c.arg.RowExpr then return opaque("IS NULL of a composite value", "bool") end
  return { k = "isnull", t = "bool", a = a, neg = c.nulltesttype == "IS_NOT_NULL" }
end

local TESTS = { IS_TRUE = "T", IS_NOT_TRUE = "FN", IS_FALSE = "F", IS_NOT_FALSE = "TN", IS_UNKNOWN = "N", IS_NOT_UNKNOWN = "TF" }

function E.BooleanTest(c, scope, cx)
  return { k = "test", t = "bool", a = coerce(expr(c.arg, scope, cx), "bool"), mask = TESTS[c.booltesttype] }
end

--- The sort of alternatives of which one is the result.
local function common(nodes)
  local sort = "null"
  for _, n in ipairs(nodes) do if n.t ~= "null" then sort = n.t break end end
  if sort == "null" then sort = "text" end
  for i, n in ipairs(nodes) do
    nodes[i] = coerce(n, sort)
    if nodes[i].t ~= sort then return nil end
  end
  return sort
end

function E.CoalesceExpr(c, scope, cx)
  local args = exprs(c.args, scope, cx)
  local sort = common(args)
  return sort and { k = "coalesce", t = sort, args = args } or opaque "coalesce of several types"
end

function E.CaseExpr(c, scope, cx)
  local conditions, results = {}, {}
  for i, when in ipairs(c.args) do
    local w = when.CaseWhen
    local condition = coerce(expr(w.expr, scope, cx), c.arg and "null" or "bool")
    conditions[i] = c.arg and compile.equal(expr(c.arg, scope, cx), condition) or condition
    results[i] = expr(w.result, scope, cx)
  end
  results[#results + 1] = c.defresult and expr(c.defresult, scope, cx) or const("null", NULL)
  local sort = common(results)
  return sort and { k = "case", t = sort, conditions = conditions, results = results } or opaque "CASE of several types"
end

local USERS = { SVFOP_SESSION_USER = "session", SVFOP_CURRENT_USER = "current", SVFOP_USER = "current", SVFOP_CURRENT_ROLE = "current" }

local function user(which, cx)
  return { k = "user", t = "text", which = which, name = which == "session" and cx.input.role.login or cx.current_user }
end

function E.SQLValueFunction(c, _, cx)
  if USERS[c.op] then return user(USERS[c.op], cx) end
  return opaque(c.op:gsub("^SVFOP_", ""):lower())
end

function E.CollateClause(c, scope, cx)
  local names = compile.names(c.collname)
  local name = names[#names]
  local node = expr(c.arg, scope, cx)
  if (#names == 1 or names[1] == "pg_catalog") and (name == "C" or name == "POSIX" or name == "default") then return node end
  return opaque("COLLATE " .. name, node.t == "text" and "other:collated" or node.t)
end

function E.A_ArrayExpr(c, scope, cx)
  local items = exprs(c.elements, scope, cx)
  local sort = common(items)
  return sort and { k = "array", t = "array:" .. sort, items = items } or opaque "ARRAY of several types"
end

function E.A_Indirection(c, scope, cx)
  expr(c.arg, scope, cx) -- for what it calls
  return opaque "an element or a field"
end

function E.RowExpr(c, scope, cx)
  return { k = "row", t = "other:row", items = exprs(c.args, scope, cx) }
end

function E.ColumnRef(c, scope, cx)
  return compile.column(compile.names(c.fields), scope, cx)
end

function E.ParamRef(c, scope)
  local at = scope
  while at do
    if at.params then return at.params[c.number or 0] or opaque "a parameter" end
    at = at.parent
  end
  return opaque "a parameter"
end

function E.SubLink(c, scope, cx)
  return compile.sublink(c, scope, cx)
end

function E.FuncCall(c, scope, cx)
  return compile.call(c, scope, cx)
end

-- Constructs whose parts may call something, and of which nothing else is known.
local function parts(...)
  local keys = { ... }
  return function(c, scope, cx)
    local operands = {}
    for _, key in ipairs(keys) do
      local part = c[key]
      for _, item in ipairs(part and (part[1] and part or { part }) or {}) do operands[#operands + 1] = expr(item, scope, cx) end
    end
    return opaque("greatest, least or another construct", nil, operands)
  end
end
E.MinMaxExpr = parts "args"

--- The operator's name if it is pg_catalog's.
local function operator(c, cx)
  return compile.system_name(compile.names(c.name), cx, "operator")
end

--- A number of rows compared with none: "some", "none", or nil.
local function counted(name, b)
  if b.k ~= "const" then return nil end
  if (name == ">" and b.v == 0) or (name == ">=" and b.v == 1) or (name == "<>" and b.v == 0) then return "some" end
  return ((name == "=" and b.v == 0) or (name == "<" and b.v == 1)) and "none" or nil
end

--- The member of a document to which the keys lead, as text; nil where they are not known, or one may be a place in an array.
local function extracted(document, keys)
  local path = document.path
  for _, key in ipairs(keys) do
    local v = key
    if type(key) == "table" then v = key.k == "const" and key.v or NULL end
    if type(v) ~= "string" or v:find "^%-?%d+$" then return nil end
    path = documents.join(path, v)
  end
  return #keys > 0 and document.k == "document" and { k = "json", t = "text", a = document.a, key = path } or nil
end
compile.extracted = extracted

local function binary(name, a, b)
  local count = a.k == "count" and counted(name, b)
  if count then
    local some = { k = "exists", t = "bool", sub = a.sub }
    return count == "some" and some or negate(some)
  end
  if name == "=" then return compile.equal(a, b) end
  if name == "<>" then return negate(compile.equal(a, b)) end
  local member = a.k == "document" and b.k == "const" and b.v ~= NULL and (b.t == "null" or b.t == "text")
  if member and name == "->>" then return { k = "json", t = "text", a = a.a, key = documents.join(a.path, b.v) } end
  if member and name == "->" then return { k = "document", t = a.t, a = a.a, path = documents.join(a.path, b.v) } end
  if name == "#>>" and a.k == "document" then
    local path = b.k == "const" and b.t == "null" and b.v ~= NULL and coerce(b, "array:text") or b
    local items = path.k == "array" and path.items or (path.k == "const" and path.t == "array:text" and path.v ~= NULL and path.v.items)
    return extracted(a, items or {}) or opaque "the operator #>>"
  end
  if name == "!~~" then return negate(binary("~~", a, b)) end
  local f = functions.find(name, { a.t, b.t })
  if not f then return opaque("the operator " .. name, name:find "^[<>]=?$" and "bool" or nil, { a, b }) end
  return { k = "fn", f = f, t = f.ret, args = { coerce(a, f.params[1]), coerce(b, f.params[2]) } }
end

--- a && b, a @> b: of a list of expressions each item is looked for in the other array. NULL items are in none. Nil: neither is a list.
local function shared(name, a, b)
  local list, other = b, a
  if name == "&&" and b.k ~= "array" then list, other = a, b end
  if list.k ~= "array" then return nil end
  if other.t == "null" then other = coerce(other, list.t) end
  local sort = list.t:sub(7)
  if other.t ~= list.t or not sorts.identity(sort) then return nil end
  local args = {}
  for i, item in ipairs(list.items) do
    args[i] = { k = "test", t = "bool", mask = "T", a = { k = "any", t = "bool", a = item, arr = other } }
  end
  -- The planner estimates how many rows the operator lets through, and computes the array for that.
  return { k = "case", t = "bool", estimated = other, conditions = { { k = "isnull", t = "bool", a = other } },
    results = { const("bool", NULL), { k = name == "&&" and "or" or "and", t = "bool", args = args } } }
end

--- ROW(…) = ROW(…), part by part.
local function row_equal(a, b)
  local args = {}
  for i, item in ipairs(a.items) do args[i] = compile.equal(item, b.items[i]) end
  return { k = "and", t = "bool", args = args }
end

local A = {}

function A.AEXPR_OP(name, a, b)
  if not a then
    if name == "-" and b.k == "const" and b.t == "int" and b.v ~= NULL then return const("int", -b.v) end
    return opaque("the operator " .. name)
  end
  if name == "<@" then name, a, b = "@>", b, a end
  local common_items = (name == "&&" or name == "@>") and shared(name, a, b)
  if common_items then return common_items end
  if a.k == "row" and b.k == "row" and #a.items == #b.items and name == "=" then return row_equal(a, b) end
  return binary(name, a, b)
end
A.AEXPR_LIKE, A.AEXPR_ILIKE = A.AEXPR_OP, A.AEXPR_OP

function A.AEXPR_DISTINCT(_, a, b)
  local x, y = matched(a, b)
  if not x or not sorts.identity(x.t) then return opaque("IS DISTINCT FROM of " .. a.t, "bool", { a, b }) end
  return { k = "distinct", t = "bool", a = x, b = y }
end

function A.AEXPR_NOT_DISTINCT(name, a, b)
  return negate(A.AEXPR_DISTINCT(name, a, b))
end

function A.AEXPR_NULLIF(_, a, b)
  local x, y = matched(a, b)
  if not x or not sorts.identity(x.t) then return opaque("nullif of " .. a.t, a.t, { a, b }) end
  return { k = "nullif", t = x.t, a = x, b = y }
end

--- a = ANY (array): of a list of expressions, one comparison each.
function A.AEXPR_OP_ANY(name, a, arr)
  if arr.t == "null" then arr = coerce(arr, "array:" .. (a.t == "null" and "text" or a.t)) end
  local sort = arr.t:match "^array:(.*)$"
  if not sort then return opaque(arr.k == "opaque" and arr.reason or "= ANY of " .. arr.t, "bool", { a, arr }) end
  if arr.k == "array" then
    local args = {}
    for i, item in ipairs(arr.items) do args[i] = binary(name, a, item) end
    if #args == 0 then return const("bool", false) end
    return { k = "or", t = "bool", args = args }
  end
  a = coerce(a, sort)
  if name ~= "=" or a.t ~= sort or not sorts.identity(sort) then
    return opaque(name .. " ANY of " .. arr.t, "bool", { a, arr })
  end
  return { k = "any", t = "bool", a = a, arr = arr }
end

function A.AEXPR_OP_ALL(name, a, arr)
  if arr.t == "null" then arr = coerce(arr, "array:" .. (a.t == "null" and "text" or a.t)) end
  if arr.k == "const" and arr.v ~= NULL and arr.t:find "^array:" then
    local items = {}
    for i, v in ipairs(arr.v.items) do items[i] = const(arr.t:sub(7), v) end
    arr = { k = "array", t = arr.t, items = items }
  end
  if arr.k == "array" then
    local args = {}
    for i, item in ipairs(arr.items) do args[i] = binary(name, a, item) end
    if #args == 0 then return const("bool", true) end
    return { k = "and", t = "bool", args = args }
  end
  return opaque(name .. " ALL of " .. arr.t, "bool")
end

local function between(a, low, high)
  return { k = "and", t = "bool", args = { binary(">=", a, low), binary("<=", a, high) } }
end

local LISTS = {
  AEXPR_IN = function(name, a, items)
    local args = {}
    for i, item in ipairs(items) do
      args[i] = A.AEXPR_OP("=", a, item)
      if name == "<>" then args[i] = negate(args[i]) end
    end
    return { k = name == "<>" and "and" or "or", t = "bool", args = args }
  end,
  AEXPR_BETWEEN = function(_, a, items) return between(a, items[1], items[2]) end,
  AEXPR_NOT_BETWEEN = function(_, a, items) return negate(between(a, items[1], items[2])) end,
}

function E.A_Expr(c, scope, cx)
  local a = c.lexpr and expr(c.lexpr, scope, cx)
  if LISTS[c.kind] then
    local name = c.kind == "AEXPR_IN" and operator(c, cx) or ""
    return LISTS[c.kind](name, a, exprs(c.rexpr.List.items, scope, cx))
  end
  local b = expr(c.rexpr, scope, cx)
  local written = table.concat(compile.names(c.name), ".")
  local called = compile.operator_call(c, written, scope, cx)
  if called then return called end
  local name = operator(c, cx)
  if not name then
    if c.kind == "AEXPR_OP" and a and a.t == b.t and compile.equality_of(a.t, cx) == written then
      return { k = "eq", t = "bool", a = a, b = b }
    end
    return opaque("the operator " .. written, "bool")
  end
  if not A[c.kind] then return opaque("the construct " .. c.kind) end
  if cx.foreign_operators and c.kind ~= "AEXPR_OP" then return opaque("an operator from outside pg_catalog", "bool") end
  return A[c.kind](name, a, b)
end

--- The operator that is the equality of an extension's type, with its schema; nil for other sorts.
function compile.equality_of(sort, cx)
  local own = sorts.is_class(sort) and (cx.input.types or {})[sort:match "^class:(.*)$"]
  return own and own.equality or nil
end

--- current_setting of a name that is a literal; names do not depend on case.
local function setting(args)
  local name = args[1] and coerce(args[1], "text")
  local missing = args[2] or const("bool", false)
  if not name or name.k ~= "const" or name.v == NULL or missing.k ~= "const" or missing.v == NULL then
    return opaque("current_setting of a computed name", "text")
  end
  local lower = name.v:lower()
  if not lower:find(".", 1, true) and lower ~= "application_name" then
    return opaque("the server's setting " .. lower, "text")
  end
  return { k = "setting", t = "text", name = lower, missing_ok = missing.v == true }
end

--- pg_has_role of the session's own user and a role that is named.
local function has_role(args, cx)
  local who, role = args[#args == 3 and 1 or 0], args[#args == 3 and 2 or 1]
  role = role and coerce(role, "text")
  local privilege = args[#args] and coerce(args[#args], "text")
  local own = not who or (who.k == "user" and who.name == cx.input.role.name)
  if not own or not role or role.k ~= "const" or role.v == NULL or not cx.input.role.member_of or cx.current_user ~= cx.input.role.name
    or privilege.k ~= "const" or not ({ MEMBER = true, USAGE = true })[tostring(privilege.v):upper()] then
    return opaque("pg_has_role", "bool")
  end
  return { k = "has_role", t = "bool", role = role.v }
end

--- array_position(array, value): NULL where it is not among the items, and a number of which nothing more is said where it is. Two NULLs
--- are the same to it (PostgreSQL manual, section 9.19).
local function array_position(args)
  if #args ~= 2 then return opaque "the function array_position" end
  local among = A.AEXPR_OP_ANY("=", args[2], args[1])
  if among.k == "opaque" then return among end
  local null = { k = "and", t = "bool", args = { { k = "isnull", t = "bool", a = args[2] }, opaque("NULL in an array", "bool") } }
  local found = { k = "or", t = "bool", args = { { k = "test", t = "bool", a = among, mask = "T" }, null } }
  return { k = "case", t = "int", conditions = { found }, results = { opaque("a place in an array", "int"), const("int", NULL) } }
end

local SYSTEM = {
  array_position = array_position,
  current_setting = setting,
  pg_has_role = has_role,
  ["session_user"] = function(_, cx) return user("session", cx) end,
  ["current_user"] = function(_, cx) return user("current", cx) end,
  ["user"] = function(_, cx) return user("current", cx) end,
}

--- A call of a function of pg_catalog.
function compile.system_call(name, args, cx)
  if functions.DANGEROUS[name] and not (cx.reads_runners and builtins.runs(name)) then
    cx.poison = cx.poison or ("it calls %s, which may change the session or run other SQL"):format(name)
    return opaque(name)
  end
  if SYSTEM[name] then return SYSTEM[name](args, cx) end
  if name == "json_extract_path_text" or name == "jsonb_extract_path_text" then
    return extracted(args[1], { table.unpack(args, 2) }) or opaque("the function " .. name)
  end
  local given = {}
  for i, a in ipairs(args) do given[i] = a.t end
  -- A regular expression that is a plain separator.
  local plain = name == "regexp_split_to_array" and #args == 2 and args[2].k == "const" and args[2].v ~= NULL
  if plain and (args[2].v == "" or args[2].v:find "[%^$%.%[%]|()*+?{}\\]") then return opaque("the function " .. name) end
  local f = functions.find(name, given)
  -- The one function here that is not strict: without a separator it gives single characters.
  local separator = name == "string_to_array" and args[2]
  local open = separator and (separator.k ~= "const" or separator.v == NULL)
  if not f or open then return opaque("the function " .. name, nil, args) end
  for i, a in ipairs(args) do args[i] = coerce(a, f.params[i]) end
  return { k = "fn", f = f, t = f.ret, args = args }
end

--- Parses one expression and gives its tree.
---@param text string
---@return table? tree, string? problem
local parsed = {}
function compile.parse(text)
  local known = parsed[text]
  if not known then
    local ok, tree = pcall(sql.parse, text)
    if not ok then
      known = { problem = tostring(tree) }
    elseif #(tree.stmts or {}) ~= 1 or not tree.stmts[1].stmt.SelectStmt then
      known = { problem = "it is not one SELECT" }
    else
      known = { tree = tree.stmts[1].stmt.SelectStmt }
    end
    parsed[text] = known
  end
  return known.tree, known.problem
end

--- The node of a policy's expression, as pg_get_expr prints it.
---@param text string
---@param scope table
---@param cx prover.Context
---@return prover.Node
function compile.policy(text, scope, cx)
  local tree, problem = compile.parse("SELECT " .. text)
  if not tree or #(tree.targetList or {}) ~= 1 or tree.fromClause or tree.whereClause or tree.op ~= "SETOP_NONE" then
    cx.poison = cx.poison or ("it cannot be read: " .. (problem or "it is not one expression"))
    return opaque "an expression that cannot be read"
  end
  compile.scan(tree, cx, {})
  return coerce(expr(tree.targetList[1].ResTarget.val, scope, cx), "bool")
end

compile.bypasses = combine.bypasses

--- What a table's policies ask of the row in scope.
function compile.combine(info, command, phase, scope, cx, each)
  return combine.join(compile, info, command, phase, scope, cx, each)
end

require "rls.prover.query"(compile)
require "rls.prover.program"(compile)
require "rls.prover.inline"(compile)
require "rls.prover.statements"(compile)

return compile
