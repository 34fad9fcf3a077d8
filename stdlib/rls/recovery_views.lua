--- What closes a view that reads or writes with its owner's rights, such that the application can go on using it.
--
-- security_invoker asks the application's own rights on what the view reads: where it has none, every statement through the view would be
-- refused. There a view over one table gets the tenant's test into its own text, and one that has it WITH CHECK OPTION. (PostgreSQL
-- manual, CREATE VIEW.)
local axes = require "rls.axes"
local catalogue = require "rls.catalogue"
local errors = require "errors"
local mended = require "rls.mended"
local names = require "rls.names"
local releases = require "rls.releases"
local sql = require "sql"

local recovery_views = {}

--- Why the application could not use the view with its own rights; nil where it could.
local function not_as_invoker(v)
  for _, t in ipairs(v.reads or {}) do
    if not t.may.select then return ("SELECT on %s is not granted to the application"):format(t.label) end
    for _, command in ipairs { "insert", "update", "delete" } do
      if v.may[command] and not t.may[command] then
        return ("%s on %s is not granted to the application"):format(command:upper(), t.label)
      end
    end
  end
  return nil
end

local UNFIT = { "groupClause", "havingClause", "windowClause", "distinctClause", "limitCount", "limitOffset", "valuesLists", "withClause",
  "larg", "intoClause", "sortClause" }

--- Is it a SELECT of one table's rows, one for one?
local function is_simple(definition)
  local ok, tree = pcall(sql.parse, definition)
  local select = ok and #tree.stmts == 1 and tree.stmts[1].stmt.SelectStmt
  if not select or #(select.fromClause or {}) ~= 1 or not select.fromClause[1].RangeVar then return false end
  for _, key in ipairs(UNFIT) do
    if select[key] then return false end
  end
  for _, target in ipairs(select.targetList or {}) do
    local value = target.ResTarget and target.ResTarget.val
    if not (value and value.ColumnRef) then return false end -- what is computed may be an aggregate
  end
  return true, select.whereClause ~= nil
end

--- The view's text with the tenant's test in it; nil where it is not that simple.
local function filtered(conn, v, own)
  local t = v.reads and #v.reads == 1 and v.reads[1]
  local columns = t and own(t)
  if not columns or not t.tenant then return nil end
  local definition
  catalogue.qualified(conn, function() definition = conn:value("select pg_get_viewdef($1::oid)", v.oid):match "^(.-);?%s*$" end)
  local simple, has_where = is_simple(definition)
  if not simple then return nil end
  local text = has_where and definition:gsub("%sWHERE%s(.*)$", function(where)
    return ("\n  WHERE %s AND (%s)"):format(columns, where)
  end) or definition .. "\n  WHERE " .. columns
  local writes = v.may.insert or v.may.update
  return ("CREATE OR REPLACE VIEW %s WITH (security_barrier = true) AS%s%s;"):format(v.sql, text,
    writes and "\n  WITH CASCADED CHECK OPTION" or "")
end

--- What to try, and what was not, and why.
---@param conn table   the admin's
---@param seen table   of rls.harness.look, with `model`
---@param v rls.Table  the view
---@param f {repair: string?}
---@param own fun(t: rls.Table): string?  the tenant's own rows of a table
---@return string? sql, string? why_not
function recovery_views.sql(conn, seen, v, f, own)
  local invoker = f.repair and f.repair:find("security_invoker", 1, true)
  if not invoker and f.class ~= "view_owner_rights" then return f.repair, nil end
  if not releases.has_option("security_invoker", seen.admin.version) then
    invoker = nil
  end
  local why = not_as_invoker(v)
  if invoker and not why then return f.repair, nil end
  local said = why and ("security_invoker would stop the application: %s. "):format(why) or ""
  if v.filtered and (v.may.insert or v.may.update) then
    return ("ALTER VIEW %s SET (check_option = cascaded);"):format(v.sql), said
  end
  local ok, text = pcall(filtered, conn, v, own)
  if not ok and not errors.is(text) then error(text, 0) end
  if ok and text then return text, said end
  return nil, said
end

--- Can the application still read what it read?
---@param conn table  the admin's, in a transaction
---@param role string
---@param v rls.Table
---@return string? refused  the server's words
function recovery_views.refusal(conn, role, v)
  if not v.may.select then return nil end
  local raised
  conn:transaction(function()
    conn:exec("set local role " .. names.ident(role))
    local ok, err = conn:try(("select 1 from %s limit 0"):format(v.sql))
    raised = not ok and (errors.is(err) and err.message or tostring(err)) or nil
  end, { rollback = true })
  return raised
end

--- The test of a policy on the table, else of the axis.
---@param seen table
---@param t rls.Table
---@param otherwise string?
---@return string?
function recovery_views.own(seen, t, otherwise)
  local world = mended.world(seen, t, { using = nil, check = nil }, otherwise)
  return t.tenant and (t.axis or axes.list(seen.settings)[1]) and world.own or nil
end

return recovery_views
