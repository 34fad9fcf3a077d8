--- WITH queries and views put where they are named: part of rls.prover.statements.
--
-- What a WITH query reads is read where the statement names it, as a subquery in FROM (PostgreSQL manual, section 7.8: a SELECT that
-- nothing names is not run). RECURSIVE, renamed columns, and rows of one that writes are left as they are, which the prover does not
-- read.
local sql = require "sql"

local with = {}

--- Views upon views that are looked through.
local MOST = 8

local function bound(env, name, query)
  local inner = {}
  for key, value in pairs(env) do inner[key] = value end
  inner[name] = query
  return inner
end

local inline

--- Takes a statement's WITH away. Returns what its names stand for, and the statements in it that write; nil where that is not possible.
local function bind(statement, env, writes)
  local clause = statement.withClause
  if not clause then return env end
  if clause.recursive then return nil end
  for _, item in ipairs(clause.ctes or {}) do
    local cte = item.CommonTableExpr
    local kind, query = next(cte.ctequery)
    if cte.aliascolnames then return nil end
    if not inline(cte.ctequery, env, writes) then return nil end
    if kind ~= "SelectStmt" then table.insert(writes, cte.ctequery) end
    env = bound(env, cte.ctename, kind == "SelectStmt" and query or false)
  end
  statement.withClause = nil
  return env
end

--- Replaces the names in a part of a tree. False: it holds a WITH that stays.
function inline(node, env, writes)
  for key, value in pairs(node) do
    if type(value) == "table" then
      local inner = env
      if value.withClause then inner = bind(value, env, writes) end
      if not inner then return false end
      local named = key == "RangeVar" and not value.schemaname and inner[value.relname]
      if named then
        node.RangeVar = nil
        node.RangeSubselect = { subquery = { SelectStmt = named }, alias = value.alias or { aliasname = value.relname } }
        return true
      elseif named == false and key == "RangeVar" and inner[value.relname] == false then
        return false
      end
      if not inline(value, inner, writes) then return false end
    end
  end
  return true
end

--- Rewrites a statement's tree in place.
---@param stmt table  {SelectStmt = …}
---@return boolean done, table[] writes  statements in WITH that write, each like stmt
function with.inline(stmt)
  local writes = {}
  return inline(stmt, {}, writes), writes
end

--- Puts what views are made of where they are named, in place.
---@param node table                   a tree
---@param bodies table<string, string>  by label, the text of their query
---@param depth integer?
function with.views(node, bodies, depth)
  for _, value in pairs(node) do
    if type(value) == "table" then
      local named = value.RangeVar
      local body = named and named.schemaname and bodies[named.schemaname .. "." .. named.relname]
      local ok, tree = pcall(sql.parse, body or "")
      local query = body and (depth or 0) < MOST and ok and tree.stmts and tree.stmts[1] and tree.stmts[1].stmt.SelectStmt
      if query then
        value.RangeVar = nil
        value.RangeSubselect = { subquery = { SelectStmt = query }, alias = named.alias or { aliasname = named.relname } }
        with.views(query, bodies, (depth or 0) + 1)
      else
        with.views(value, bodies, depth)
      end
    end
  end
end

return with
