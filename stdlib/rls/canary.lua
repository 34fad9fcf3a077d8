--- Canary rows: rows of invented tenants in every table that belongs to tenants.
--
-- Values come from the catalogue: types, enums, foreign keys, defaults, and a search over what constraints speak of. What cannot be
-- made is named, with what to add to database.fixtures. All of it happens in one transaction that is rolled back.
local attempts = require "rls.attempts"
local catalogue = require "rls.catalogue"
local errors = require "errors"
local json = require "json"
local mentions = require "rls.mentions"
local names = require "rls.names"
local said = require "rls.said"
local solve = require "rls.solve"
local values = require "rls.values"

local canary = {}

local ATTEMPTS = 40

---@class rls.Who
---@field key string

local Maker = {}
Maker.__index = Maker

--- Makes canaries over one open transaction of the admin.
---@param conn table
---@param by_oid table<string, rls.Table>
---@param settings table config.database
---@param session table?  whose tenant is set before a row is inserted for it: for an admin who is bound by RLS
---@param own table?      of rls.own_rows: makes rows that their tenant is shown
function canary.maker(conn, by_oid, settings, session, own)
  return setmetatable({ conn = conn, by_oid = by_oid, settings = settings, session = session, own = own, rows = {}, shared = {}, n = 0,
    making = {}, refused = {}, promised = {}, sent = {} }, Maker)
end

function Maker:fixture(t) return self.settings.fixtures and self.settings.fixtures[t.label] end

--- One row of a shared parent: whatever is there, else one that is made.
function Maker:shared_row(t)
  if self.shared[t.oid] then return self.shared[t.oid] end
  local ok, refusal, rows = self.conn:try(("select to_jsonb(x)::text as row from %s x limit 1"):format(t.sql))
  if not ok then self:missing_right(t, refusal) end
  local row = rows[1] and json.decode(rows[1].row) or self:insert(t, nil)
  self.shared[t.oid] = row
  return row
end

local function is_scoped(t) return t.scope == "tenant" or t.scope == "child" or (t.registry and true or false) end

--- The row that a foreign key of tenant `who` leads to: the canary of a tenant's table, or a shared one.
function Maker:parent(t, who)
  if who and (is_scoped(t) or self:fixture(t)) then return self:row(t, who) end
  return self:shared_row(t)
end

local function id_of(t, who) return t.oid .. "\0" .. who.key end

--- The keys that a row will have which is made later, since a deferrable foreign key leads to it.
function Maker:promise(t, who, columns)
  local id = id_of(t, who)
  local promised = self.promised[id] or {}
  self.promised[id] = promised
  for _, column in ipairs(columns) do
    local c = t.by_column[column]
    self.n = self.n + 1
    promised[column] = promised[column] or (column == t.tenant and names.literal(who.key)) or values.by_type(c, self.n, true)
  end
  return promised
end

--- Must a row have something in the columns of this foreign key?
local function is_needed(t, fk)
  if fk == t.parent_key or (#fk.columns == 1 and fk.columns[1] == t.tenant) then return true end
  for _, column in ipairs(fk.columns) do
    local c = t.by_column[column]
    if c.notnull and not c.has_default and column ~= t.tenant then return true end
  end
  return false
end

--- Values that lead to the row of a foreign key. later: rows that are to be made once this one is there.
function Maker:refer(t, fk, who, fixed, later)
  local parent = self.by_oid[fk.ref]
  if parent == t or fk.ref == t.oid then
    -- A row that refers to itself.
    for i, column in ipairs(fk.columns) do
      local c = t.by_column[fk.ref_columns[i]]
      self.n = self.n + 1
      fixed[c.name] = fixed[c.name] or values.by_type(c, self.n, true)
      fixed[column] = fixed[c.name]
    end
  elseif parent and who and is_scoped(parent) and not (self.rows[who.key] or {})[parent.oid]
    and (fk.deferrable or (self.superuser and self.making[id_of(parent, who)])) then
    later.unkept = later.unkept or not fk.deferrable
    local promised = self:promise(parent, who, fk.ref_columns)
    for i, column in ipairs(fk.columns) do fixed[column] = promised[fk.ref_columns[i]] end
    later[#later + 1] = parent
  elseif parent then
    local row = self:parent(parent, who)
    for i, column in ipairs(fk.columns) do fixed[column] = values.literal(row[fk.ref_columns[i]]) end
  end
end

--- Values of the columns that a generated tenant column is made of. Whether it comes out as the key is seen in the row that is made.
function Maker:generate(t, mine, who, fixed)
  t.sources = {}
  for name, literal in pairs(solve.sources(self.conn, t, mine, who.key)) do
    fixed[name] = fixed[name] or literal
    t.sources[#t.sources + 1] = name
  end
  table.sort(t.sources)
end

--- Values that are given by what the row belongs to: its tenant's key and its foreign keys.
function Maker:fixed(t, who, later)
  local fixed = {}
  for column, literal in pairs(who and self.promised[id_of(t, who)] or {}) do fixed[column] = literal end
  for _, fk in ipairs(t.foreign_keys) do
    if is_needed(t, fk) then self:refer(t, fk, who, fixed, later) end
  end
  -- A row that was made on the way may lead back to this one.
  for column, literal in pairs(who and self.promised[id_of(t, who)] or {}) do fixed[column] = literal end
  local mine = t.tenant or t.registry
  if mine and who and t.by_column[mine].generated then
    self:generate(t, mine, who, fixed)
  elseif mine and who then
    fixed[mine] = names.literal(who.key)
  end
  return fixed
end

--- The statement that inserts rows; all of them have the same columns.
local function statement(t, ...)
  local columns, tuples = nil, {}
  for i, row in ipairs { ... } do
    local literals
    columns, literals = {}, {}
    for _, c in ipairs(t.columns) do
      if row[c.name] then
        columns[#columns + 1] = names.ident(c.name)
        literals[#literals + 1] = row[c.name]
      end
    end
    tuples[i] = "(" .. table.concat(literals, ", ") .. ")"
  end
  if #columns == 0 then return ("insert into %s default values"):format(t.sql) end
  return ("insert into %s (%s) overriding system value values %s")
    :format(t.sql, table.concat(columns, ", "), table.concat(tuples, ", "))
end

--- The same as the application may say it: of the columns that are granted, where they are granted one by one.
local function granted(t, row)
  local allowed, out = (t.columns_of or {}).insert, {}
  for column, literal in pairs(row) do out[column] = (not allowed or allowed[column]) and literal or nil end
  return statement(t, out)
end

local function find_constraint(list, name)
  for _, c in ipairs(list) do
    if c.name == name then return c end
  end
  return nil
end

--- Columns that some unique key of the table is made of.
local function unique_columns(t)
  local out = {}
  for _, unique in ipairs(t.uniques) do
    for _, column in ipairs(unique.columns) do out[column] = true end
  end
  return out
end

--- The texts of the functions of a table's triggers, where it is one of these that refuses.
local function trigger_text(conn, t)
  local ok, rows = pcall(conn.query, conn, [[select p.prosrc as body from pg_trigger g join pg_proc p on p.oid = g.tgfoid
    where g.tgrelid = $1::oid and not g.tgisinternal]], t.oid)
  local parts = {}
  for i, row in ipairs(ok and rows or {}) do parts[i] = row.body:lower() end
  return table.concat(parts, "\n")
end

--- Which columns are to be named in a fixture: those that a row must have, and those that a trigger which refuses it looks at.
---@param triggers string?  the text of its triggers' functions
local function fixture_text(t, triggers)
  local columns, places = {}, {}
  for _, c in ipairs(t.columns) do
    local asked = triggers and not c.generated and c.identity == "" and mentions.name(triggers:gsub("new%.", "new. "), c.name)
    if (c.name == t.tenant and not c.generated) or asked
      or (c.notnull and not c.has_default and not c.generated and c.identity == "") then
      columns[#columns + 1] = names.ident(c.name)
      places[#places + 1] = c.name == t.tenant and "{tenant}" or "…"
    end
  end
  return ("add to database.fixtures: [%q] = \"insert into %s (%s) values (%s)\""):format(t.label, t.sql:gsub('"', '\\"'),
    table.concat(columns, ", "):gsub('"', '\\"'), table.concat(places, ", "))
end

--- query_canceled: by statement_timeout.
local SLOW = "57014"

local function too_slow(t, refusal)
  return { code = "canary_slow", message = ("no canary row could be inserted into %s"):format(t.label), detail = refusal.message,
    fix = "see what its triggers wait for, or " .. fixture_text(t) }
end

--- New values where a unique key or an exclusion constraint met a row that is there already.
local function renew(self, t, columns, row, fixed)
  local changed = false
  for _, column in ipairs(columns) do
    local c = t.by_column[column]
    if c and not fixed[column] and not c.generated and not (c.labels and #c.labels > 0) then
      self.n = self.n + 1
      local value = values.by_type(c, self.n + values.random() % 50000, true)
      row[column], changed = value or row[column], changed or value ~= nil
    end
  end
  return changed
end

local ADAPT = {}

--- A CHECK, a domain's CHECK, or no partition for the row.
ADAPT["23514"] = function(self, t, row, fixed, tried, refusal)
  local name = refusal.constraint or "a partition"
  tried[name] = (tried[name] or 0) + 1
  if tried[name] > 3 then return false end
  if not refusal.constraint then return solve.partition(self.conn, t, row, fixed) end
  local check = find_constraint(t.checks, name)
  return check ~= nil and solve.search(self.conn, t, check.columns, row, fixed)
end

ADAPT["23505"] = function(self, t, row, fixed, tried, refusal)
  local unique = find_constraint(t.uniques, refusal.constraint)
  tried["23505"] = (tried["23505"] or 0) + 1
  return tried["23505"] < 8 and unique ~= nil and renew(self, t, unique.columns, row, fixed)
end

ADAPT["23P01"] = function(self, t, row, fixed, tried)
  local columns = {}
  for _, c in ipairs(t.columns) do
    if row[c.name] and (c.category == "R" or c.category == "N" or c.category == "D") then columns[#columns + 1] = c.name end
  end
  tried["23P01"] = (tried["23P01"] or 0) + 1
  return tried["23P01"] < 8 and renew(self, t, columns, row, fixed)
end

ADAPT["23502"] = function(self, t, row, fixed, tried, refusal)
  local c = t.by_column[refusal.column or ""]
  if not c or fixed[c.name] or tried[c.name] then return false end
  tried[c.name] = true
  self.n = self.n + 1
  row[c.name] = values.by_type(c, self.n)
  return row[c.name] ~= nil
end

--- A default that leads to no row.
ADAPT["23503"] = function(self, t, row, fixed, tried, refusal, who)
  local fk = find_constraint(t.foreign_keys, refusal.constraint)
  if not fk or tried[fk.name] then return false end
  tried[fk.name] = true
  local given, later = {}, {}
  self:refer(t, fk, who, given, later)
  local changed = false
  for column, literal in pairs(given) do
    if not fixed[column] then row[column], fixed[column], changed = literal, true, true end
  end
  return changed
end

--- A number too large for its column.
ADAPT["22003"] = function(_, t, row, fixed, tried)
  if tried["22003"] then return false end
  tried["22003"] = true
  for _, c in ipairs(t.columns) do
    if row[c.name] and c.category == "N" and not fixed[c.name] then row[c.name] = tostring(values.random() % 10) end
  end
  return true
end

--- First values of a row.
function Maker:values(t, who, later)
  self.n = self.n + 1
  local row, unique = self:fixed(t, who, later), unique_columns(t)
  local fixed = {}
  for column in pairs(row) do fixed[column] = true end
  for _, c in ipairs(t.columns) do
    if not row[c.name] and c.notnull and not c.has_default and not c.generated and c.identity == "" then
      row[c.name] = values.by_type(c, self.n, unique[c.name])
      if not row[c.name] then
        errors.raise { code = "canary_type", message = ("no value can be made for %s.%s of type %s"):format(t.label, c.name, c.type),
          fix = fixture_text(t) }
      end
    end
  end
  if who and self.own then self.own:complete(t, who, row, fixed) end
  return row, fixed
end

--- The right that the admin lacks: to insert at all, or to insert for a tenant that is only invented.
function Maker:missing_right(t, refusal)
  local admin = self.conn:value "select current_user::text"
  local bound = refusal.message:find("row-level security", 1, true)
  errors.raise { code = "admin_right_missing", message = ("no canary row could be inserted into %s"):format(t.label), bound = bound ~= nil,
    detail = ("%s: the role %s of database.admin %s"):format(said.of(self.conn, refusal), admin,
      bound and "is bound by row-level security, whose policies refuse the row" or "lacks the right"),
    fix = bound and ("let database.admin be a superuser or a role with BYPASSRLS (ALTER ROLE %s BYPASSRLS)"):format(names.ident(admin))
      or ("GRANT SELECT, INSERT ON %s TO %s, or let database.admin be the tables' owner or a superuser"):format(t.sql, names.ident(admin)) }
end

--- A trigger may have given the row to somebody else: that nobody sees it as its tenant's would prove nothing.
local function check_owner(t, row, who)
  local mine = t.tenant or t.registry
  if mine and tostring(row[mine]):gsub("%s+$", "") ~= who.key then
    errors.raise { code = "canary_diverted", message = ("no canary row could be inserted into %s"):format(t.label),
      detail = ("a trigger or rule changed its %s"):format(mine),
      fix = ("let the trigger keep a stated %s where database.admin inserts"):format(mine) }
  end
end

--- Statements that set the tenant, where the admin needs that.
function Maker:enter(who)
  local list = {}
  for i, p in ipairs(self.session and who and self.session:of(who.key) or {}) do
    list[i] = { "select set_config($1, $2, true)", p[1], p[2] }
  end
  return list
end

--- Sends one INSERT, with the tenant set where the admin needs that. The row, or the refusal.
function Maker:send(t, who, sql)
  local list = self:enter(who)
  list[#list + 1] = { sql .. (" returning to_jsonb(%s.*)::text as row"):format(names.ident(t.name)) }
  local out = self.conn:pipeline(list)
  local last = out[#out]
  if not last.ok and (last.error.code == "db_lost" or last.error.code == "db_closed") then error(last.error, 0) end
  if last.ok and last.rows[1] then return json.decode(last.rows[1].row) end
  attempts.note(self.conn, last.error)
  return nil, last.error
end

--- The rows that a fixture's foreign keys lead to; the fixture itself says which of them it needs.
function Maker:parents_of_fixture(t, who)
  for _, fk in ipairs(t.foreign_keys) do
    local parent = self.by_oid[fk.ref]
    if parent and parent.oid ~= t.oid and (is_scoped(parent) or self:fixture(parent)) and not self.making[id_of(parent, who)] then
      local ok, raised = pcall(self.row, self, parent, who)
      if not ok and (not errors.is(raised) or raised.code == "db_lost" or raised.code == "db_closed") then error(raised, 0) end
    end
  end
end

function Maker:fixture_sql(t, who)
  return (self:fixture(t):gsub("{tenant}", function() return names.literal(who.key) end))
end

--- Sends a row, with other values as long as what refuses it says which.
local function send_adapted(self, t, who, row, fixed)
  local tried, made, refusal = {}, nil, nil
  for _ = 1, ATTEMPTS do
    made, refusal = self:send(t, who, row and statement(t, row) or self:fixture_sql(t, who))
    local adapt = refusal and row and ADAPT[refusal.sqlstate or ""]
    if made or not adapt or not adapt(self, t, row, fixed, tried, refusal, who) then break end
  end
  return made, refusal
end

--- The same while neither triggers nor foreign keys are asked, which a superuser may.
local function send_untriggered(self, t, who, row, fixed)
  self.conn:exec "set local session_replication_role = replica"
  local made, refusal = send_adapted(self, t, who, row, fixed)
  self.conn:exec "set local session_replication_role = origin"
  return made, refusal
end

--- Inserts one row and returns all its columns, its values and which of them are fixed. who nil: a row of a shared table.
function Maker:insert(t, who)
  local by_fixture, later = self:fixture(t) and who, {}
  local row, fixed, made, refusal
  if by_fixture then self:parents_of_fixture(t, who) else row, fixed = self:values(t, who, later) end
  if later.unkept then
    made, refusal = send_untriggered(self, t, who, row, fixed)
  else
    made, refusal = send_adapted(self, t, who, row, fixed)
  end
  -- Where a trigger refuses the row, what is asked of it afterwards is still the policies' to say.
  local triggers = not made and who and self.untriggered and not t.plain and refusal
  if triggers and refusal.sqlstate ~= "42501" and refusal.sqlstate ~= "23503" and refusal.sqlstate ~= SLOW then
    made = send_untriggered(self, t, who, row, fixed)
  end
  if made then
    if who then check_owner(t, made, who) end
    return made, row, fixed, later
  end
  if refusal and refusal.sqlstate == "42501" then self:missing_right(t, refusal) end
  if refusal and refusal.sqlstate == SLOW then errors.raise(too_slow(t, refusal)) end
  local by_trigger = not t.plain and (not refusal or (refusal.sqlstate or ""):sub(1, 1) == "P")
  local apart = refusal and refusal.sqlstate == "23514" and not refusal.constraint and t.is_partition
  return errors.raise { code = apart and "canary_elsewhere" or "canary_refused",
    message = ("no canary row could be inserted into %s"):format(t.label),
    detail = refusal and said.of(self.conn, refusal) or "the insert returned no row: a rule or trigger took it away",
    fix = fixture_text(t, by_trigger and trigger_text(self.conn, t) or nil) }
end

--- The canary of a tenant in a table, made once.
---@param t rls.Table
---@param who rls.Who
---@return table row
function Maker:row(t, who)
  local mine, id = self.rows[who.key] or {}, id_of(t, who)
  self.rows[who.key] = mine
  if mine[t.oid] then return mine[t.oid].row end
  if self.making[id] then
    errors.raise { code = "canary_cycle", message = ("the foreign keys of %s lead back to itself"):format(t.label),
      fix = "make one of them DEFERRABLE or its columns nullable, or " .. fixture_text(t) }
  end
  if self.refused[id] then error(self.refused[id], 0) end
  self.making[id] = true
  local ok, row, given, fixed, later = pcall(self.insert, self, t, who)
  self.making[id] = nil
  if not ok then
    self.refused[id] = row
    error(row, 0)
  end
  mine[t.oid] = { row = row, values = given, fixed = fixed }
  for _, parent in ipairs(later or {}) do
    if not self.making[id_of(parent, who)] then self:row(parent, who) end
  end
  return row
end

--- Is all there that a row's foreign keys need, so that it can be sent with others in one round trip?
local function is_ready(self, t, who)
  for _, fk in ipairs(t.foreign_keys) do
    if is_needed(t, fk) then
      local parent = self.by_oid[fk.ref]
      local scoped = parent and (is_scoped(parent) or self:fixture(parent))
      local made = parent and (scoped and (self.rows[who.key] or {})[parent.oid] or not scoped and self.shared[parent.oid])
      if not made then return false end
    end
  end
  return true
end

--- First values of a table's canaries, one for each tenant whose foreign keys are served and that has none yet.
local function ready_rows(self, t, tenants)
  local out = {}
  for _, who in ipairs(tenants) do
    local mine = self.rows[who.key] or {}
    self.rows[who.key] = mine
    if not mine[t.oid] and not self:fixture(t) and not self.sent[id_of(t, who)] and is_ready(self, t, who) then
      self.sent[id_of(t, who)] = true
      local ok, row, fixed = pcall(self.values, self, t, who, {})
      if ok then
        out[#out + 1] = { t = t, who = who, values = row, fixed = fixed }
      elseif attempts.is_fatal(row) then
        error(row, 0)
      end
    end
  end
  return out
end

local function same_columns(a, b)
  for column in pairs(a) do if not b[column] then return false end end
  for column in pairs(b) do if not a[column] then return false end end
  return next(a) ~= nil
end

--- Keeps what a statement returned, where it is what was sent.
local function keep(self, sent, rows)
  if #rows ~= #sent then return end
  for i, one in ipairs(sent) do
    local made = json.decode(rows[i].row)
    if pcall(check_owner, one.t, made, one.who) then
      self.rows[one.who.key][one.t.oid] = { row = made, values = one.values, fixed = one.fixed }
    end
  end
end

--- A row that was not made in time is not waited for again.
local function give_up(self, sent, refusal)
  for _, one in ipairs(sent) do self.refused[id_of(one.t, one.who)] = errors.new(too_slow(one.t, refusal)) end
end

--- Sends the canaries whose foreign keys are served: those that tenants have in one table as one statement. What is refused is left for
--- row(), which looks for other values.
local function send_ready(self, tables, tenants)
  local list, sent = self:enter(tenants[1]), {}
  local before = #list
  local function add(rows)
    local given = {}
    for i, one in ipairs(rows) do given[i] = one.values end
    local t = rows[1].t
    list[#list + 1] = { statement(t, table.unpack(given)) .. (" returning to_jsonb(%s.*)::text as row"):format(names.ident(t.name)) }
    sent[#list] = rows
  end
  for _, t in ipairs(tables) do
    local rows = ready_rows(self, t, tenants)
    if #rows == 2 and same_columns(rows[1].values, rows[2].values) then
      add(rows)
    else
      for _, one in ipairs(rows) do add { one } end
    end
  end
  if #list == before then return false end
  for i, o in ipairs(attempts.send(self.conn, list)) do
    if sent[i] and o.ok then keep(self, sent[i], o.rows) end
    if sent[i] and o.error and o.error.sqlstate == SLOW then give_up(self, sent[i], o.error) end
  end
  return true
end

--- Makes the canaries of many tables, as many as possible in one round trip: parents first, then what refers to them. An admin who needs
--- the tenant set inserts for one after the other.
---@param tables rls.Table[]
---@param tenants rls.Who[]
function Maker:rows_of(tables, tenants)
  local groups = { tenants }
  if self.session then
    groups = {}
    for i, who in ipairs(tenants) do groups[i] = { who } end
  end
  local again = #tenants > 0
  while again do
    again = false
    for _, group in ipairs(groups) do again = send_ready(self, tables, group) or again end
  end
end

--- The rows of fixtures in tables that are no tenants': what policies look up (the members of an organisation) has to be there, and no
--- foreign key leads to it.
---@param tenants rls.Who[]
function Maker:lookups(tenants)
  for _, t in pairs(next(self.settings.fixtures or {}) and self.by_oid or {}) do
    -- Tenants' tables that nobody in the application's role may touch are not probed, and asked nevertheless.
    if self:fixture(t) and (not is_scoped(t) or catalogue.closed(t)) then
      for _, who in ipairs(tenants) do self:row(t, who) end
    end
  end
end

--- A canary that no tenant owns, where the tenant column may be NULL; nil where none can be made.
---@param t rls.Table
---@param like rls.Who  whose canary's values it has
---@return table? row
function Maker:nobodys(t, like)
  local made = self.rows[like.key] and self.rows[like.key][t.oid]
  local c = t.tenant and t.by_column[t.tenant]
  if not c or c.notnull or not made or not made.values or self.session then return nil end
  local row, fixed = {}, {}
  for column, literal in pairs(made.values) do row[column], fixed[column] = literal, made.fixed[column] end
  row[t.tenant], fixed[t.tenant] = nil, true
  local unique = {}
  for column in pairs(unique_columns(t)) do unique[#unique + 1] = column end
  renew(self, t, unique, row, fixed)
  for _ = 1, 3 do
    row[t.tenant] = "NULL"
    local sent, refusal = self:send(t, nil, statement(t, row))
    if sent then return sent[t.tenant] == json.null and sent or nil end
    local adapt = refusal and ADAPT[refusal.sqlstate or ""]
    if not adapt or not adapt(self, t, row, fixed, {}, refusal, like) then return nil end
  end
  return nil
end

--- A statement that inserts one more row for a tenant, of values that differ from its canary's.
---@param t rls.Table
---@param who rls.Who
---@return string sql, table<string, string>? row  its literals; nil for a table with a fixture
function Maker:another(t, who)
  if self:fixture(t) then return self:fixture_sql(t, who) end
  local made = self.rows[who.key][t.oid]
  local row, unique = {}, {}
  for column, literal in pairs(made.values) do row[column] = literal end
  for column in pairs(unique_columns(t)) do
    if row[column] and not row[column]:find("::", 1, true) then unique[#unique + 1] = column end
  end
  renew(self, t, unique, row, made.fixed)
  return granted(t, row), row
end

--- A statement that inserts one more row like a tenant's, of no tenant; nil for a table with a fixture.
---@param t rls.Table
---@param like rls.Who
---@return string? sql
function Maker:orphan(t, like)
  local made = self.rows[like.key][t.oid]
  if not made.values then return nil end
  local row, unique, fixed = {}, {}, { [t.tenant] = true }
  for column, literal in pairs(made.values) do row[column], fixed[column] = literal, made.fixed[column] end
  for column in pairs(unique_columns(t)) do unique[#unique + 1] = column end
  renew(self, t, unique, row, fixed)
  row[t.tenant] = "NULL"
  return granted(t, row)
end

--- A statement that inserts A's row again as another tenant's, where columns beside the tenant's say that it is A's: a member who adds
--- himself to another tenant. nil where there are none.
---@param t rls.Table
---@param who rls.Who    whose canary's values it has
---@param other rls.Who
---@return string? sql
function Maker:transplant(t, who, other)
  local made, mine = self.rows[who.key][t.oid].row, {}
  local named = false
  for _, c in ipairs(t.columns) do
    if not c.generated then
      mine[c.name] = values.literal(made[c.name])
      named = named or (c.name ~= t.tenant and tostring(made[c.name]) == who.key)
    end
  end
  if not named or not t.tenant or t.by_column[t.tenant].generated then return nil end
  mine[t.tenant] = names.literal(other.key)
  return granted(t, mine)
end

--- A statement that inserts a row for a tenant with the key of a row that is there; nil for a table with a fixture.
---@param t rls.Table
---@param who rls.Who
---@param columns string[]  of the key
---@param row table         that has it
---@return string? sql
function Maker:clash(t, who, columns, row)
  local made = self.rows[who.key][t.oid]
  if not made.values then return nil end
  local mine = {}
  for column, literal in pairs(made.values) do mine[column] = literal end
  for _, column in ipairs(columns) do mine[column] = values.literal(row[column]) end
  return granted(t, mine)
end

return canary
