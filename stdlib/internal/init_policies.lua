--- What policies compare: which column with which session setting, themselves or by the functions they call.
local dialect = require "rls.dialect"

local policies = {}

local USER_SCHEMAS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"

local POLICIES = [[
  select p.polrelid::text as oid, coalesce(pg_get_expr(p.polqual, p.polrelid), '') as using,
         coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as checks,
         array(select rolname::text from pg_roles where oid = any(p.polroles)) as roles
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where ]] .. USER_SCHEMAS

local FUNCTIONS = [[
  select p.proname::text as name, left({body p}, 20000) as text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang where l.lanname in ('sql', 'plpgsql') and p.prokind = 'f' and ]] .. USER_SCHEMAS

--- Deepest calls that are followed.
local DEPTH = 4

--- A function's text with those of the functions that it calls; "" where none of them reads a setting.
local function reader(bodies)
  local known = {}
  local function read(name, depth)
    if known[name] then return known[name] end
    known[name] = ""
    local text = bodies[name]
    for called in text:gmatch "([%w_]+)\"?%s*%(" do
      if bodies[called] and called ~= name and depth < DEPTH then text = text .. " ; " .. read(called, depth + 1) end
    end
    known[name] = text:find("current_setting", 1, true) and text:sub(1, 100000) or ""
    return known[name]
  end
  return function(text)
    local out = text
    for called in text:gmatch "([%w_]+)\"?%s*%(" do
      if bodies[called] then out = out .. " ; " .. read(called, 1) end
    end
    return out
  end
end

--- The settings a text reads: {name, key}, key where it is read by a key of a JSON value.
local function settings_in(text)
  local out, from = {}, 1
  while true do
    local _, to, name = text:find("current_setting%s*%(%s*'([%w_]+%.[%w_.]+)'", from)
    if not to then return out end
    local rest = text:sub(to + 1, to + 120)
    rest = rest:sub(1, (rest:find("current_setting", 1, true) or #rest + 1) - 1)
    out[#out + 1] = { name = name, key = rest:match "^[^;]-%->>?%s*'([%w_]+)'" }
    from = to + 1
  end
end

--- The identifiers of an expression that are no calls and stand in no literal.
local function identifiers(text)
  local out = {}
  text = text:gsub("'[^']*'", " "):gsub('"([^"]+)"', function(name)
    out[name] = true
    return " "
  end)
  for name, next_to in text:gmatch "%f[%w_]([%a_][%w_]*)%f[^%w_](%s*%(?)" do
    if not next_to:find("(", 1, true) then out[name] = true end
  end
  return out
end

--- The parts of a condition between its ANDs and ORs.
local function atoms(text)
  local out = {}
  for part in (text:gsub("%f[%w_]AND%f[^%w_]", "\0"):gsub("%f[%w_]OR%f[^%w_]", "\0") .. "\0"):gmatch "(%Z*)\0" do out[#out + 1] = part end
  return out
end

local function bump(counts, key) counts[key] = (counts[key] or 0) + 1 end

---@param conn table
---@param by_oid table<string, {columns: string[]}>
---@return {oid: string, roles: string[]}[] list  those that read a setting
---@return {columns: table<string, integer>, settings: table<string, table<string, integer>>, keys: table<string, string>} pairs
function policies.read(conn, by_oid)
  local rows, bodies
  conn:transaction(function()
    conn:exec "set local quote_all_identifiers = off"
    rows, bodies = conn:query(POLICIES), {}
    for _, f in ipairs(conn:query(dialect.of(conn, FUNCTIONS))) do bodies[f.name] = (bodies[f.name] or "") .. " " .. f.text end
  end, { rollback = true })
  local expand = reader(bodies)
  local list, found = {}, { columns = {}, settings = {}, keys = {} }
  local function note(p, atom)
    local named, read = identifiers(atom), settings_in(expand(atom))
    for _, column in ipairs(#read > 0 and by_oid[p.oid] and by_oid[p.oid].columns or {}) do
      if named[column] and column ~= "id" then
        bump(found.columns, column)
        found.settings[column] = found.settings[column] or {}
        for _, s in ipairs(read) do
          bump(found.settings[column], s.name)
          found.keys[s.name] = found.keys[s.name] or s.key
        end
      end
    end
  end
  for _, p in ipairs(rows) do
    for _, text in ipairs { p.using, p.checks } do
      for _, atom in ipairs(atoms(text)) do note(p, atom) end
    end
    if expand(p.using .. " " .. p.checks):find("current_setting", 1, true) then list[#list + 1] = p end
  end
  return list, found
end

return policies
