--- Reads a case of the corpus: one schema, what is wrong with it (or looks wrong), and the SQL that proves it.
--
-- A case is a file leaky/NAME.sql, advisory/NAME.sql, clean/NAME.sql or real/NAME.sql. Its head, lines "-- Key: text" (a line that begins
-- with "--   " goes on):
--
--   What      what the schema does, in a sentence or two
--   Class     stable class names a finding may carry, "a|b"; none where nothing is to be reported
--   Object    what the finding is about, "public.items | public.items_view"; every alternative is right
--   Severity  leak, advisory or note; default: leak in leaky/, advisory in advisory/
--   Exploit   how it is exploited (leaky, advisory), or why the look-alike holds (clean)
--   Source    where teams ship it
--   Column, Setting, Value     the tenant column, the tenant setting and its value ("{id}" stands for the tenant); defaults: tenant_id,
--             app.tenant_id, {id}
--   Session   more settings of an application session, "app.scope = org; app.org_ids = {id},x"
--   A, B      the two tenants
--   App       the role the application logs in as (app_user)
--   Roles     roles that the case makes: they are dropped after it
--   Refused   SQLSTATEs with which the attack may end besides those of case.REFUSALS
--   Closed    minor releases from which on the server itself closes the leak, "14.25, 15.20": from there on the case is a look-alike. With
--             the release before, it is what the head says
--   Since     the first major release that has what the case is made of, "15"; on one before it the case is left out
--   FixSince  the same of its @fix alone
--   Finds     of a schema in real/, in place of Class and Object: "class|class object | object; class object": what is known to be wrong
--   Right     of a schema in real/: objects on which no leak may be claimed, "public.a; public.b"
--   Tenant    replaces database.tenant of the gate's configuration, Lua
--   Config    more of the database table of that configuration, Lua
--
-- Sections, "-- @name", run in their order. :'A' and :'B' stand for the tenants, as in psql.
--
--   @superuser   as the server's superuser        @schema     as app_owner, the database's owner
--   @rows        as the superuser: rows of A and B, in which B's say B-secret
--   @control     as the application with tenant A, must return a row: A's own work goes on
--   @pooled      as the application with tenant B, on the connection that @exploit has next
--   @exploit     as the application with tenant A; @attack is the same in a clean case
--   @reconnect   as the application on a new connection, with nothing set
--   @tenant_b    as the application with tenant B, on a connection of its own: what goes on meanwhile
--   @meanwhile   as the superuser
--   @copy        one COPY … TO STDOUT as the application with tenant A: "returns a row" when it holds B-secret
--   @look        as the superuser: what @exploit cannot see of its own effect
--   @fix         as the superuser: closes the leak. The case runs twice, without it and with it after the schema
--
-- In real/ each @exploit and each @attack stands for itself, on a connection of its own, with the @look behind it; elsewhere they go on.
-- The last query of the last @exploit, @attack, @reconnect, @copy or @look returns a row if and only if a row of tenant B was seen or
-- changed (in advisory/: what is to be reported happened). The exploit may RESET the tenant's setting, reconnect, and set any other
-- setting; it never sets the tenant's setting to B (design: the threat model).
local case = {}

---@class rls.Section
---@field name string
---@field sql string
---@field line integer

---@class rls.Case
---@field name string        "leaky/policy_always_true"
---@field kind string        leaky, advisory, clean or real
---@field path string
---@field head table<string, string>
---@field sections rls.Section[]
---@field classes table<string, boolean>
---@field objects string[]
---@field severity string?
---@field has table<string, boolean>  names of its sections
---@field finds rls.Find[]   of real/
---@field right string[]     of real/

---@class rls.Find
---@field text string
---@field classes table<string, boolean>
---@field objects string[]

--- What a refused statement may say: no right (row-level security too), a value the tenant's type does not have, an unknown setting.
case.REFUSALS = { ["42501"] = true, ["22P02"] = true, ["42704"] = true }

local HEADS = { What = true, Class = true, Object = true, Severity = true, Exploit = true, Source = true, Column = true, Setting = true,
  Value = true, Session = true, A = true, B = true, App = true, Roles = true, Refused = true, Tenant = true, Config = true,
  Finds = true, Right = true, Closed = true, Since = true, FixSince = true }
local SECTIONS = { superuser = true, schema = true, rows = true, control = true, pooled = true, exploit = true, attack = true, copy = true,
  reconnect = true, tenant_b = true, meanwhile = true, look = true, fix = true }
--- Sections whose last query tells whether the attack worked.
case.TELLS = { exploit = true, attack = true, reconnect = true, copy = true, look = true }

local DEFAULTS = { Column = "tenant_id", Setting = "app.tenant_id", Value = "{id}", App = "app_user",
  A = "aaaaaaaa-0000-4000-8000-000000000001", B = "bbbbbbbb-0000-4000-8000-000000000002" }

local function read_head(c, line, number, last)
  local key, text = line:match "^%-%- (%u%a*):%s+(.*)$"
  if key then
    assert(HEADS[key], ("%s:%d: no head is called %q"):format(c.path, number, key))
    assert(not c.head[key], ("%s:%d: %s twice"):format(c.path, number, key))
    c.head[key] = text
    return key
  end
  local more = line:match "^%-%-   %s*(.*)$"
  assert(last and more, ("%s:%d: expected \"-- Key: text\" or a section"):format(c.path, number))
  c.head[last] = c.head[last] .. " " .. more
  return last
end

local function read_lines(c, text)
  local number, section, last = 0, nil, nil
  for line in (text .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local name = line:match "^%-%- @(%S+)%s*$"
    if name then
      assert(SECTIONS[name], ("%s:%d: no section is called @%s"):format(c.path, number, name))
      section = { name = name, sql = "", line = number }
      c.sections[#c.sections + 1] = section
      c.has[name] = true
    elseif section then
      section.sql = section.sql .. line .. "\n"
    elseif line:find "%S" then
      last = read_head(c, line, number, last)
    end
  end
end

--- The statements of a text. Strings, quoted names, dollar quotes and comments are passed over; a function's body must be dollar-quoted.
---@param sql string
---@return string[]
function case.statements(sql)
  local out, start, i = {}, 1, 1
  local function add(stop)
    local one = sql:sub(start, stop)
    if one:gsub("%-%-[^\n]*", ""):find "%S" then out[#out + 1] = one end
  end
  while i <= #sql do
    local c = sql:sub(i, i)
    local tag = c == "$" and sql:match("^%$[%w_]*%$", i)
    if tag then
      i = select(2, assert(sql:find(tag, i + #tag, true)))
    elseif c == "'" or c == '"' then
      i = assert(sql:find(c, i + 1, true))
    elseif sql:sub(i, i + 1) == "--" then
      i = (sql:find("\n", i, true) or #sql + 1) - 1
    elseif c == ";" then
      add(i - 1)
      start = i + 1
    end
    i = i + 1
  end
  add(#sql)
  return out
end

--- Does a server close the case's leak by itself?
---@param c rls.Case
---@param version integer  server_version_num
---@return boolean
function case.is_closed(c, version)
  local newest = 0
  for major, minor in (c.head.Closed or ""):gmatch "(%d+)%.(%d+)" do
    major, minor = tonumber(major), tonumber(minor)
    newest = math.max(newest, major)
    if major == version // 10000 then return version % 10000 >= minor end
  end
  return newest > 0 and version // 10000 > newest
end

--- Why a case cannot be run on a server; nil where it can.
---@param c rls.Case
---@param version integer  server_version_num
---@param fixed boolean    with its @fix?
---@return string?
function case.left_out(c, version, fixed)
  local since = math.max(tonumber(c.head.Since or 0), fixed and tonumber(c.head.FixSince or 0) or 0)
  if version // 10000 >= since then return nil end
  return ("it needs PostgreSQL %d, this is %d"):format(since, version // 10000)
end

--- The threat model: the tenant's setting is never set to B.
local function check_threat_model(c)
  local setting = c.head.Setting:gsub("%p", "%%%0")
  for _, s in ipairs(c.sections) do
    for _, sql in ipairs(case.TELLS[s.name] and s.name ~= "look" and case.statements(s.sql) or {}) do
      local sets = sql:find("set_config%s*%(%s*'" .. setting .. "'") or sql:lower():find("^%s*set%s+[%a%s]*" .. setting .. "%f[%W]")
      assert(not (sets and sql:find(":'B'", 1, true)),
        ("%s: @%s at line %d sets %s to tenant B, which the threat model rules out"):format(c.path, s.name, s.line, c.head.Setting))
    end
  end
end

local function classes_of(text)
  local out = {}
  for class in text:gmatch "[%w_]+" do out[class] = true end
  return out
end

local function list_of(text, separator)
  local out = {}
  for item in (text .. separator):gmatch("(.-)" .. separator) do
    item = item:match "^%s*(.-)%s*$"
    if item ~= "" then out[#out + 1] = item end
  end
  return out
end

local function read_expectations(c)
  c.classes, c.objects, c.finds = classes_of(c.head.Class or ""), list_of(c.head.Object or "", " | "), {}
  c.right = list_of(c.head.Right or "", ";")
  for _, text in ipairs(list_of(c.head.Finds or "", ";")) do
    local classes, objects = text:match "^(%S+)%s+(.+)$"
    assert(classes, ("%s: Finds: expected \"class object\", got %q"):format(c.path, text))
    c.finds[#c.finds + 1] = { text = text, classes = classes_of(classes), objects = list_of(objects, " | ") }
  end
  c.severity = c.head.Severity or (c.kind == "leaky" and "leak") or (c.kind == "advisory" and "advisory") or nil
end

local function check(c)
  local h = c.head
  assert(h.What and h.Exploit, c.path .. ": What and Exploit are missing")
  assert(c.has.schema or c.has.superuser, c.path .. ": there is no schema")
  assert(c.has.control, c.path .. ": there is no @control")
  assert(c.kind == "clean" or c.kind == "real" or (h.Class and h.Object), c.path .. ": Class and Object are missing")
  assert(c.kind ~= "real" or #c.finds > 0, c.path .. ": Finds is missing")
  assert((c.kind ~= "leaky" and c.kind ~= "real") or c.has.fix, c.path .. ": a leaky case shows with @fix that its exploit can fail")
  local tells
  for _, s in ipairs(c.sections) do tells = tells or case.TELLS[s.name] end
  assert(tells, c.path .. ": no section tells whether the attack worked")
  check_threat_model(c)
end

---@param path string  ".../leaky/NAME.sql"
---@return rls.Case
function case.read(path)
  local kind, name = path:match "([^/]+)/([^/]+)%.sql$"
  local file = assert(io.open(path))
  local c = { kind = kind, name = kind .. "/" .. name, path = path, head = {}, sections = {}, has = {} }
  read_lines(c, file:read "a")
  file:close()
  for key, value in pairs(DEFAULTS) do c.head[key] = c.head[key] or value end
  read_expectations(c)
  check(c)
  return c
end

--- Paths of all cases, sorted.
---@param root string  tests/rls
---@return string[]
function case.list(root)
  local out = {}
  local pipe = assert(io.popen(("find %s -name '*.sql' | LC_ALL=C sort"):format(root)))
  for path in pipe:lines() do out[#out + 1] = path end
  pipe:close()
  return out
end

--- A text with the tenants put in.
---@param c rls.Case
---@param sql string
---@return string
function case.filled(c, sql)
  return (sql:gsub(":'([AB])'", function(which) return "'" .. c.head[which]:gsub("'", "''") .. "'" end))
end

--- Settings of an application session besides the tenant's, as the head has them.
---@param c rls.Case
---@return table<string, string>
function case.settings(c)
  local out = {}
  for setting, text in (c.head.Session or ""):gmatch "%s*([^=;]-)%s*=%s*([^;]*)" do out[setting] = text end
  return out
end

--- What an application session of a tenant has set: {{setting, value}}.
---@param c rls.Case
---@param which "A"|"B"
---@return string[][]
function case.session(c, which)
  local function value(text) return (text:gsub("{id}", (c.head[which]:gsub("%%", "%%%%")))) end
  local out = { { c.head.Setting, value(c.head.Value) } }
  for setting, text in pairs(case.settings(c)) do out[#out + 1] = { setting, value(text) } end
  return out
end

return case
