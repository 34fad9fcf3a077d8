--- Proves a case on a real server: the exploit of a leaky case works and its fix stops it, the attack of a clean one gets nowhere, and
--- tenant A's own work goes on in all of them.
local case = require "case"
local db = require "engine.db"

local prove = {}

---@class rls.Place
---@field server fun(options: table): table  options for db.connect
---@field database string

local BUILDS = { superuser = true, schema = true, rows = true, fix = true }

local function connect(place, user) return db.connect(place.server { dbname = place.database, user = user }) end

local function enter(conn, c, which)
  for _, pair in ipairs(case.session(c, which)) do
    conn:value("select set_config($1, $2, false)", pair[1], pair[2])
  end
end

--- Runs the schema, and the fix where it is wanted.
---@param c rls.Case
---@param place rls.Place
---@param with_fix boolean
function prove.build(c, place, with_fix)
  for _, s in ipairs(c.sections) do
    if BUILDS[s.name] and (s.name ~= "fix" or with_fix) then
      local conn = connect(place, s.name == "schema" and "app_owner" or "postgres")
      local ok, raised = pcall(conn.script, conn, case.filled(c, s.sql))
      conn:close()
      if not ok then
        error(("%s: @%s at line %d: %s"):format(c.path, s.name, s.line, type(raised) == "table" and raised.message or tostring(raised)), 0)
      end
    end
  end
end

--- Runs a section's statements as a session does, each for itself. {rows, errors}
local function run(conn, c, s)
  local out = { rows = 0, errors = {} }
  if s.name == "copy" then
    local ok, data = pcall(conn.copy_out, conn, case.filled(c, case.statements(s.sql)[1]))
    if ok then out.rows = data:find("B-secret", 1, true) and 1 or 0 else out.errors[1] = data end
    return out
  end
  for _, sql in ipairs(case.statements(s.sql)) do
    local ok, affected, rows = conn:try(case.filled(c, sql))
    out.rows = ok and rows and rows.n or 0
    if not ok then out.errors[#out.errors + 1] = affected end
  end
  return out
end

local function refusals(c)
  local out = {}
  for state in pairs(case.REFUSALS) do out[state] = true end
  for state in (c.head.Refused or ""):gmatch "%w+" do out[state] = true end
  return out
end

--- Who runs a section, on which connection.
local function sessions(c, place)
  local open = {}
  local function get(key, user, which)
    if not open[key] then
      open[key] = connect(place, user)
      if which then enter(open[key], c, which) end
    end
    return open[key]
  end
  local function session(name)
    if name == "look" or name == "meanwhile" then return get("superuser", "postgres") end
    if name == "tenant_b" then return get("b", c.head.App, "B") end
    if name == "control" then return get("control", c.head.App, "A") end
    if name == "pooled" then
      open.a = open.a or connect(place, c.head.App)
      enter(open.a, c, "B")
      open.pooled = true
      return open.a
    end
    if name == "reconnect" then
      if open.a then open.a:close() end
      open.a = connect(place, c.head.App)
      return open.a
    end
    local conn = get("a", c.head.App, "A")
    if open.pooled then
      open.pooled = nil
      enter(conn, c, "A")
    end
    return conn
  end
  local function close()
    for _, conn in pairs(open) do
      if conn ~= true then conn:close() end
    end
  end
  return session, close
end

local ROLES = { control = true, pooled = true, tenant_b = true, meanwhile = true }

--- The attacks of a case: lists of sections. In real/ each @exploit and @attack begins another.
local function attacks(c)
  local out = {}
  for _, s in ipairs(c.sections) do
    if case.TELLS[s.name] or ROLES[s.name] then
      local begins = c.kind == "real" and (s.name == "exploit" or s.name == "attack")
      if #out == 0 or begins then out[#out + 1] = {} end
      table.insert(out[#out], s)
    end
  end
  return out
end

--- Runs one attack. expected: must it work?
local function attack(c, place, sections, expected, problems)
  local rows, last, allowed = 0, nil, refusals(c)
  local session, close = sessions(c, place)
  for _, s in ipairs(sections) do
    local tells = case.TELLS[s.name]
    local out = run(session(s.name), c, s)
    for _, e in ipairs(out.errors) do
      if not (tells and not expected and allowed[e.sqlstate or ""]) then
        problems[#problems + 1] = ("@%s at line %d: %s %s"):format(s.name, s.line, e.sqlstate or "?", e.message or tostring(e))
      end
    end
    if tells then rows, last = out.rows, s end
    if s.name == "control" and out.rows == 0 then
      problems[#problems + 1] = ("@control at line %d: tenant A does not reach its own rows"):format(s.line)
    end
  end
  close()
  if last and (rows > 0) ~= expected then
    problems[#problems + 1] = ("@%s at line %d: %s"):format(last.name, last.line,
      expected and "the exploit reached no row of tenant B" or "the attack reached a row of tenant B")
  end
end

--- Runs what is to be proven of a case.
---@param c rls.Case
---@param place rls.Place
---@param closed boolean  was it built with its @fix, or does the server close the leak?
---@return string[] problems  empty: proven
function prove.attack(c, place, closed)
  local problems = {}
  for _, sections in ipairs(attacks(c)) do
    local works = not closed and (c.kind == "leaky" or c.kind == "advisory" or c.kind == "real")
    for _, s in ipairs(sections) do works = works and s.name ~= "attack" end
    attack(c, place, sections, works, problems)
  end
  return problems
end

return prove
