--- Computes a node with given settings and rows, as PostgreSQL does: what a counterexample is checked with.
--
-- The result is a value, NULL, functions.ERROR (the server raises one), or functions.UNKNOWN (not computed here). AND and OR stop at
-- the first argument that decides them, left to right; an error before that is an error.
local documents = require "rls.prover.documents"
local functions = require "rls.prover.functions"
local json = require "json"
local sorts = require "rls.prover.sorts"

local evaluate = {}

local NULL, ERROR, UNKNOWN = sorts.NULL, functions.ERROR, functions.UNKNOWN

---@class prover.Model
---@field settings table<string, string>   absent: never set in this session
---@field row table<string, any>           the row that is asked about
---@field rows table<string, table[]>      label → rows of other tables
---@field names {session: string, current: table<string, string>}
---@field member fun(role: string): boolean

local E = {}

local function eval(node, env, m)
  local fn = E[node.k]
  if not fn then return UNKNOWN end
  return fn(node, env, m)
end

--- Is it neither a value nor NULL?
local function broken(v)
  return v == ERROR or v == UNKNOWN
end

function E.const(node)
  return node.v
end

function E.opaque()
  return UNKNOWN
end

function E.col(node, env)
  local row = env[node.row]
  if not row then return UNKNOWN end
  local v = row[node.name]
  if v == nil then return NULL end
  return v
end

function E.setting(node, _, m)
  local v = m.settings[node.name]
  if v == nil then return node.missing_ok and NULL or ERROR end
  return v
end

function E.user(node, _, m)
  if node.name == nil then return UNKNOWN end
  return m.renamed[node.name] or node.name
end

function E.has_role(node, _, m)
  return not m.renamed[node.role] and m.member(node.role)
end

E["fn"] = function(node, env, m)
  local args = {}
  for i, a in ipairs(node.args) do
    local v = eval(a, env, m)
    if broken(v) then return v end
    if v == NULL then return NULL end
    args[i] = v
  end
  return node.f.eval(table.unpack(args))
end

function E.castarray(node, env, m)
  local a = eval(node.a, env, m)
  if broken(a) or a == NULL then return a end
  local items = {}
  for i, v in ipairs(a.items) do
    items[i] = v == NULL and NULL or node.f.eval(v)
    if broken(items[i]) then return items[i] end
  end
  return { items = items }
end

function E.array(node, env, m)
  local items = {}
  for i, item in ipairs(node.items) do
    items[i] = eval(item, env, m)
    if broken(items[i]) then return items[i] end
  end
  return { items = items }
end

--- A member of a JSON document as text (PostgreSQL manual, section 9.16: ->>).
function E.json(node, env, m)
  local text = eval(node.a, env, m)
  if broken(text) or text == NULL then return text end
  local ok, document = pcall(json.decode, text)
  if not ok then return ERROR end
  local v = documents.get(document, node.key)
  if v == nil or v == json.null then return NULL end
  if type(v) == "string" then return v end
  if type(v) == "boolean" or math.type(v) == "integer" then return tostring(v) end
  return UNKNOWN
end

E["not"] = function(node, env, m)
  local v = eval(node.a, env, m)
  if type(v) == "boolean" then return not v end
  return v
end

--- AND for stop = false, OR for stop = true.
local function junction(nodes, stop, env, m)
  local null, unknown = false, false
  for _, node in ipairs(nodes) do
    local v = eval(node, env, m)
    if v == stop and not unknown then return stop end
    if v == ERROR then return unknown and UNKNOWN or ERROR end
    null, unknown = null or v == NULL, unknown or v == UNKNOWN
  end
  if unknown then return UNKNOWN end
  if null then return NULL end
  return not stop
end

E["and"] = function(node, env, m)
  return junction(node.args, false, env, m)
end

E["or"] = function(node, env, m)
  return junction(node.args, true, env, m)
end

local function two(node, env, m)
  local a = eval(node.a, env, m)
  if broken(a) then return a end
  local b = eval(node.b, env, m)
  if broken(b) then return b end
  return nil, a, b
end

E["eq"] = function(node, env, m)
  local problem, a, b = two(node, env, m)
  if problem then return problem end
  if a == NULL or b == NULL then return NULL end
  return a == b
end

E["distinct"] = function(node, env, m)
  local problem, a, b = two(node, env, m)
  if problem then return problem end
  return a ~= b
end

E["nullif"] = function(node, env, m)
  local problem, a, b = two(node, env, m)
  if problem then return problem end
  if a ~= NULL and a == b then return NULL end
  return a
end

E["isnull"] = function(node, env, m)
  local v = eval(node.a, env, m)
  if broken(v) then return v end
  return (v == NULL) ~= (node.neg == true)
end

E["test"] = function(node, env, m)
  local v = eval(node.a, env, m)
  if broken(v) then return v end
  local letter = v == NULL and "N" or (v and "T" or "F")
  return node.mask:find(letter, 1, true) ~= nil
end

function E.coalesce(node, env, m)
  for _, a in ipairs(node.args) do
    local v = eval(a, env, m)
    if v ~= NULL then return v end
  end
  return NULL
end

function E.case(node, env, m)
  for i, condition in ipairs(node.conditions) do
    local v = eval(condition, env, m)
    if broken(v) then return v end
    if v == true then return eval(node.results[i], env, m) end
  end
  return eval(node.results[#node.results], env, m)
end

--- RAISE, and a function that ends without RETURN.
function E.raise() return ERROR end

--- EXCEPTION WHEN of PL/pgSQL. Which errors a handler takes that is not for all of them is not known here.
E["try"] = function(node, env, m)
  local v = eval(node.a, env, m)
  if v == ERROR then return node.sure and eval(node.b, env, m) or UNKNOWN end
  return v
end

function E.strict(node, env, m)
  for _, a in ipairs(node.args) do
    local v = eval(a, env, m)
    if broken(v) or v == NULL then return v end
  end
  return eval(node.a, env, m)
end

--- Calls k(env) for each row of a subquery; k returns true to stop. Returns ERROR or UNKNOWN where that is what comes of it.
local function rows(sub, env, m, k, i)
  i = i or 1
  if sub.approx then return UNKNOWN end
  local row = sub.from[i]
  if not row then
    local v = junction(sub.conds, false, env, m)
    if broken(v) then return v end
    return v == true and k(env) or nil
  end
  if row.unsure then return UNKNOWN end
  local list = m.rows[row.label] or {}
  if row.kind == "unnest" then
    local array = eval(row.array, env, m)
    if broken(array) then return array end
    list = {}
    for j, v in ipairs(array == NULL and {} or array.items) do list[j] = { [next(row.columns)] = v } end
  end
  for _, values in ipairs(list) do
    local inner = setmetatable({ [row] = values }, { __index = env })
    local seen = true
    if row.guard then seen = eval(row.guard, inner, m) end
    if broken(seen) then return seen end
    if seen == true then
      local stop = rows(sub, inner, m, k, i + 1)
      if stop then return stop end
    end
  end
  return nil
end

--- IN of a subquery that gives one row, made of at most one.
local function single_row(node, env, m, count)
  if count == 0 then return node.sub.aggregate and NULL or false end
  local result
  rows(node.sub, env, m, function(inner)
    result = junction(node.tests, false, inner, m)
    return true
  end)
  return result
end

function E.exists(node, env, m)
  local null, count = false, 0
  -- Of several rows an aggregate or LIMIT makes or takes one, and which is not computed here.
  local single = node.tests and (node.sub.aggregate or node.sub.limit)
  local found = rows(node.sub, env, m, function(inner)
    count = count + 1
    if single then return count > 1 and UNKNOWN or nil end
    local v = junction(node.tests or {}, false, inner, m)
    if broken(v) then return v end
    null = null or v == NULL
    return v == true or nil
  end)
  if found ~= nil then return found end
  if single then return single_row(node, env, m, count) end
  if null then return NULL end
  return false
end

function E.count(node, env, m)
  local n = 0
  local problem = rows(node.sub, env, m, function() n = n + 1 end)
  return problem or n
end

--- The targets of all rows, or ERROR or UNKNOWN.
local function targets(node, env, m)
  local list = {}
  local problem = rows(node.sub, env, m, function(inner)
    list[#list + 1] = eval(node.target, inner, m)
    return broken(list[#list]) and list[#list] or nil
  end)
  return problem, list
end

function E.scalar(node, env, m)
  local problem, list = targets(node, env, m)
  if problem then return problem end
  if #list > 1 or (node.sub.aggregate and #list > 0) then return #list == 1 and list[1] or (node.first and UNKNOWN or ERROR) end
  if list[1] == nil then return NULL end
  return list[1]
end

function E.arraysub(node, env, m)
  local problem, list = targets(node, env, m)
  if problem then return problem end
  if #list == 0 and node.sub.aggregate then return NULL end
  if #list > 1 and node.sub.limit then return UNKNOWN end
  return { items = list }
end

function E.any(node, env, m)
  local a = eval(node.a, env, m)
  if broken(a) then return a end
  local array = eval(node.arr, env, m)
  if broken(array) then return array end
  if array == NULL then return NULL end
  local null = a == NULL and #array.items > 0
  for _, v in ipairs(array.items) do
    if v == NULL then null = true elseif a ~= NULL and v == a then return true end
  end
  if null then return NULL end
  return false
end

evaluate.node = eval

-- Errors of planning.

--- Is the node computed without a row?
local function without_rows(node)
  if node.rowless == nil then
    local rowless = node.k ~= "col" and node.k ~= "opaque" and not node.sub
    for key, value in pairs(node) do
      if rowless and key ~= "f" and key ~= "rowless" and type(value) == "table" then
        if value.k then
          rowless = without_rows(value)
        elseif key == "args" or key == "items" or key == "conditions" or key == "results" then
          for _, item in ipairs(value) do rowless = rowless and without_rows(item) end
        end
      end
    end
    node.rowless = rowless
  end
  return node.rowless
end

--- What the planner computes to estimate how many rows a comparison lets through raises its errors before any row is looked at: may that
--- happen here? Branches of CASE are not estimated; the conditions of subqueries are, wherever they stand.
---@param m prover.Model
---@return boolean
function evaluate.plan_error(node, m, lazy)
  if node.k == "try" then return false end
  local function any(list, ...)
    for _, item in ipairs(list or {}) do
      if evaluate.plan_error(item, m, ...) then return true end
    end
    return false
  end
  if not lazy and (node.k == "eq" or node.k == "distinct" or node.k == "any" or node.k == "fn" or node.operands) then
    for _, operand in ipairs(node.args or node.operands or { node.a, node.b or node.arr }) do
      if without_rows(operand) and broken(eval(operand, {}, m)) then return true end
    end
  end
  if not lazy and node.estimated and without_rows(node.estimated) and broken(eval(node.estimated, {}, m)) then return true end
  if node.sub then
    if any(node.sub.conds) or any(node.tests) then return true end
    for _, row in ipairs(node.sub.from) do
      if row.guard and evaluate.plan_error(row.guard, m) then return true end
    end
  end
  local inner = lazy or node.k == "case" or node.k == "coalesce"
  if node.sub == nil and (any(node.args, inner) or any(node.operands, inner)
    or any(node.conditions, true) or any(node.results, true)) then return true end
  for _, key in ipairs { "a", "b", "arr" } do
    if node[key] and evaluate.plan_error(node[key], m, inner or node.k == "nullif") then return true end
  end
  return false
end

return evaluate
