--- What tells tenants apart in a database, for `gate-engine init`: pairs of a column and a setting which its policies compare. Of those
--- that stand in one policy the prover of gate 1 says which one binds the tables.
local asked = require "rls.asked"
local catalogue = require "rls.catalogue"
local decide = require "rls.decide"
local dialect = require "rls.dialect"
local sql = require "engine.sql"

local axes = {}

local PAIRS_MAX = 8 -- candidates that are proven: each reads the catalogue anew
local AXES_MAX = 3

local USER_SCHEMAS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"

local POLICIES = [[
  select p.polrelid::text as oid, pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check,
         array(select rolname::text from pg_roles where oid = any(p.polroles)) as roles
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where ]] .. USER_SCHEMAS

local FUNCTIONS = [[
  select p.proname as name, {body p} as text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
   where l.lanname in ('sql', 'plpgsql') and p.prokind = 'f' and ]] .. USER_SCHEMAS

local USUAL = { "tenant_id", "org_id", "organization_id", "organisation_id", "account_id", "company_id", "workspace_id", "customer_id",
  "team_id", "tenant", "client_id" }

local function bump(counts, key) counts[key] = (counts[key] or 0) + 1 end

--- Calls fn with the name that each node of a kind ends with.
local function each(node, kind, list, fn)
  for key, value in pairs(node) do
    if type(value) == "table" then
      if key == kind then
        local names = value[list] or {}
        local last = names[#names]
        if last and last.String then fn(last.String.sval) end
      end
      each(value, kind, list, fn)
    end
  end
end

--- The columns and the functions that an expression names.
local function named_in(expression, columns, called)
  local ok, tree = pcall(sql.parse, "select " .. expression)
  if not ok then return end
  each(tree, "ColumnRef", "fields", function(name) columns[name] = true end)
  each(tree, "FuncCall", "funcname", function(name) called[name] = true end)
end

--- An expression, with the bodies of the functions that it calls behind it, and of those that these call.
local function expanded(text, called, bodies)
  local out, seen = { text }, {}
  local function add(name)
    if seen[name] or not bodies[name] then return end
    seen[name] = true
    out[#out + 1] = bodies[name]
    for other in bodies[name]:gmatch "([%w_]+)%s*%(" do add(other) end
  end
  for name in pairs(called) do add(name) end
  return table.concat(out, "\n")
end

--- The settings that a text reads: {[name] = the key of a JSON value, or false}.
local function settings_in(text)
  local out = {}
  for name, at in text:gmatch "current_setting%s*%(%s*'([%w_]+%.[%w_.]+)'()" do
    local rest = text:sub(at, (text:find("current_setting", at, true) or #text + 1) - 1)
    local key = rest:sub(1, 120):match "^[^;]-%->>?%s*'([%w_]+)'"
    out[name] = out[name] or key or false
  end
  return out
end

--- Policies that read a setting, themselves or by functions: {oid, roles, columns, settings}.
---@param conn table
---@return table[]
function axes.policies(conn)
  local bodies, out = {}, {}
  conn:script "set quote_all_identifiers = off"
  for _, f in ipairs(conn:query(dialect.of(conn, FUNCTIONS))) do bodies[f.name] = (bodies[f.name] or "") .. "\n" .. f.text end
  for _, p in ipairs(conn:query(POLICIES)) do
    local columns, called, text = {}, {}, ""
    for _, expression in ipairs { p.using or "true", p.check or "true" } do
      named_in(expression, columns, called)
      text = text .. " " .. expression
    end
    local settings = settings_in(expanded(text, called, bodies))
    if next(settings) then out[#out + 1] = { oid = p.oid, roles = p.roles, columns = columns, settings = settings } end
  end
  return out
end

--- Tables whose rows policies of others ask for: {[table] = {by = the table of one such policy, session = columns that have to be who the
--- session is}}.
---@param conn table
---@param tables table[]   {oid, name, needed}
---@param by_oid table<string, table>
---@return table<table, {by: table, session: table<string, boolean>}>
function axes.asked(conn, tables, by_oid)
  local bodies, out = {}, {}
  for _, f in ipairs(conn:query(dialect.of(conn, FUNCTIONS))) do bodies[f.name] = (bodies[f.name] or "") .. "\n" .. f.text end
  for _, p in ipairs(conn:query(POLICIES)) do
    local own = by_oid[p.oid]
    local list, whole = asked.of((p.using or "") .. " " .. (p.check or ""), bodies, tables, own)
    for _, t in ipairs(list) do
      out[t] = out[t] or { by = own, session = {} }
      for _, column in ipairs(t.needed) do
        if asked.is_session(whole, column, bodies) then out[t].session[column] = true end
      end
    end
  end
  return out
end

--- Pairs that stand in one policy, the most frequent first. "id" is every table's.
local function candidates(by_oid, policies)
  local by_key, list = {}, {}
  for _, p in ipairs(policies) do
    for _, column in ipairs(by_oid[p.oid] and by_oid[p.oid].columns or {}) do
      for setting, key in pairs(column:lower() ~= "id" and p.columns[column] and p.settings or {}) do
        local id = column .. "\0" .. setting
        local pair = by_key[id]
        if not pair then
          pair = { column = column, setting = setting, key = key or nil, policies = 0, tables = {} }
          by_key[id], list[#list + 1] = pair, pair
        end
        pair.policies = pair.policies + 1
      end
    end
  end
  table.sort(list, function(a, b)
    if a.policies ~= b.policies then return a.policies > b.policies end
    -- PostgREST's older settings, one for each claim, stand beside the one that replaced them.
    if (a.key ~= nil) ~= (b.key ~= nil) then return a.key ~= nil end
    return a.column .. a.setting < b.column .. b.setting
  end)
  return list
end

--- What the setting is set to.
---@param pair {key: string?}
---@return string
function axes.value(pair)
  return pair.key and ('{"%s": "{id}"}'):format(pair.key) or "{id}"
end

--- The tables that a pair binds, for the prover: {[oid] = true}.
local function bound_by(conn, pair, role, today)
  local settings = { tenant = { column = pair.column, setting = pair.setting, value = axes.value(pair) } }
  local tables, by_oid = catalogue.read(conn, settings, role, nil, { role })
  local base, out = {}, {}
  for _, t in ipairs(tables) do
    if t.tenant and (t.kind == "r" or t.kind == "p") then base[#base + 1] = t end
  end
  for _, d in ipairs(decide.run(conn, { settings = settings, app = { role = role }, by_oid = by_oid }, base, today)) do
    local v = d.verdicts.SELECT
    if (v.status == "proven" or v.otherwise == "proven") and v.decided_by ~= "no grant" then out[d.table.oid] = true end
  end
  return out
end


--- Of pairs with what they bind, the one that binds most tables which no other binds as yet; the order decides between equals.
local function next_axis(list, taken, bound)
  local best, most
  for _, pair in ipairs(list) do
    local n = 0
    for oid in pairs(pair.tables) do n = n + (bound[oid] and 0 or 1) end
    if not taken[pair.column] and n > (most or 0) then best, most = pair, n end
  end
  return best
end

--- The axes of a database, the one with most tables first. Without any policy that says so: the usual column.
---@param conn table
---@param tables table[]   {oid, columns}
---@param by_oid table<string, table>
---@param policies table[] of axes.policies
---@param role string?     the application's
---@param today string
---@return {column: string, setting: string?, key: string?}[] list, boolean sure  do policies say it?
function axes.find(conn, tables, by_oid, policies, role, today)
  local list, out = candidates(by_oid, policies), {}
  for i = 1, role and math.min(#list, PAIRS_MAX) or 0 do list[i].tables = bound_by(conn, list[i], role, today) end
  local taken, bound = {}, {}
  repeat
    local pair = next_axis(list, taken, bound)
    out[#out + 1] = pair
    for oid in pairs(pair and pair.tables or {}) do bound[oid] = true end
    if pair then taken[pair.column] = true end
  until not pair or #out == AXES_MAX
  if out[1] or list[1] then return out[1] and out or { list[1] }, true end
  local counts, best = {}, nil
  for _, t in ipairs(tables) do
    for _, column in ipairs(t.columns) do
      for _, usual in ipairs(USUAL) do
        if column == usual then bump(counts, column) end
      end
    end
  end
  for column, n in pairs(counts) do
    if not best or n > counts[best] or (n == counts[best] and column < best) then best = column end
  end
  return { best and { column = best } }, false
end

return axes
