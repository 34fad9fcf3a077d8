--- Canary rows: one row for each of two invented tenants in every table that belongs to tenants.
--
-- Values come from the catalogue: types, enums, foreign keys, defaults, and the literals in check constraints. What cannot be
-- made is named, with what to add to database.fixtures. All of it happens in one transaction that is rolled back.
local errors = require "errors"
local hash = require "hash"
local names = require "rls.names"

local canary = {}

local ATTEMPTS = 60

--- A literal for a value that no constraint asks for in particular. n makes it differ from row to row.
local BY_BASE = {
  uuid = function() return names.literal(canary.uuid()) end,
  bool = function() return "false" end,
  json = function() return "'{}'" end,
  jsonb = function() return "'{}'" end,
  bytea = function() return "'\\x00'" end,
  xml = function() return "'<canary/>'" end,
  date = function(n) return ("(date '2001-01-01' + %d)"):format(n) end,
  timestamp = function(n) return ("(timestamp '2001-01-01' + interval '%d hours')"):format(n) end,
  timestamptz = function(n) return ("(timestamptz '2001-01-01 00:00:00Z' + interval '%d hours')"):format(n) end,
  time = function(n) return ("(time '00:00' + interval '%d minutes')"):format(n) end,
  timetz = function() return "timetz '00:00Z'" end,
  interval = function(n) return ("interval '%d minutes'"):format(n) end,
  inet = function(n) return ("inet '192.0.2.%d'"):format(n % 250 + 1) end,
  cidr = function(n) return ("cidr '192.0.2.%d/32'"):format(n % 250 + 1) end,
  macaddr = function() return "macaddr '02:00:00:00:00:01'" end,
  point = function() return "point '(0,0)'" end,
  tsvector = function() return "to_tsvector('canary')" end,
  bit = function() return "B'0'" end,
}

--- A random UUID, version 4 (RFC 9562 section 5.4).
---@return string
function canary.uuid()
  local b = { hash.random(16):byte(1, 16) }
  b[7] = b[7] & 0x0f | 0x40
  b[9] = b[9] & 0x3f | 0x80
  local pair = ("%02x"):rep(2)
  return (pair:rep(2) .. ("-" .. pair):rep(3) .. "-" .. pair:rep(3)):format(table.unpack(b))
end

--- A value of a row as to_jsonb gives it, as a literal.
function canary.literal(value)
  if value == nil or value == require("json").null then return "NULL" end
  if type(value) == "table" then return names.literal(require("json").encode(value)) end
  return names.literal(tostring(value))
end

local function by_type(column, n)
  if column.labels and #column.labels > 0 then return names.literal(column.labels[1]) .. "::" .. column.type end
  local make = BY_BASE[column.base]
  if make then return make(n) end
  if column.category == "N" then return tostring(n) end
  if column.category == "A" then return "'{}'" end
  if column.category == "R" then return "'empty'" end
  if column.category == "S" then
    local text = ("gate-canary-%d-%s"):format(n, hash.hex(hash.random(4)))
    if column.length and #text > column.length then text = text:sub(-column.length) end
    return names.literal(text)
  end
  return nil
end

--- Literals that a check constraint speaks of: values that are likely to satisfy it.
local function candidates(definition)
  local out, seen = {}, {}
  local function add(value)
    if not seen[value] then
      seen[value] = true
      out[#out + 1] = value
    end
  end
  local rest = definition:gsub("'([^']*)'", function(text)
    add(names.literal(text))
    return " "
  end)
  for number in rest:gmatch("%-?%d+%.?%d*") do
    local value = tonumber(number)
    if value then
      add(number)
      if math.type(value) == "integer" then
        add(tostring(value + 1))
        add(tostring(value - 1))
      end
    end
  end
  add("true")
  add("false")
  return out
end

local function key_of(column, length, which)
  if column.base == "uuid" then return canary.uuid() end
  if column.category == "N" then
    local b1, b2, b3 = hash.random(3):byte(1, 3)
    local low, range = 1900000000, 16000000
    if column.base == "int2" then low, range = 30000, 2000 end
    return tostring(low + (b1 * 65536 + b2 * 256 + b3) % range)
  end
  local text = ("gate-canary-%s-%d"):format(hash.hex(hash.random(6)), which)
  return length and text:sub(-length) or text
end

--- The narrowest of the tenant columns decides: what fits it fits the others.
local NARROW = { int2 = 1, int4 = 2, int8 = 3, uuid = 4 }

--- Different keys of `n` invented tenants, of the tenant columns' type.
---@param columns rls.Column[]
---@param n integer
---@return string[]
function canary.keys(columns, n)
  local best, length
  for _, column in ipairs(columns) do
    if not best or (NARROW[column.base] or 9) < (NARROW[best.base] or 9) then best = column end
    if column.length and (not length or column.length < length) then length = column.length end
  end
  local keys, seen = {}, {}
  while #keys < n do
    local key = key_of(best, length, #keys + 1)
    if not seen[key] then
      seen[key] = true
      keys[#keys + 1] = key
    end
  end
  return keys
end

local Maker = {}
Maker.__index = Maker

--- Makes canaries over one open transaction of the admin.
---@param conn table
---@param by_oid table<string, rls.Table>
---@param settings table config.database
---@param enter fun(who: table)?  called before a row is inserted for a tenant: an admin who is bound by RLS sets the tenant there
function canary.maker(conn, by_oid, settings, enter)
  return setmetatable({ conn = conn, by_oid = by_oid, settings = settings, enter = enter, rows = {}, shared = {}, n = 0, making = {},
    refused = {} }, Maker)
end

--- One row of a shared parent: whatever is there, else one that is made.
function Maker:shared_row(t)
  if self.shared[t.oid] then return self.shared[t.oid] end
  local ok, refusal, rows = self.conn:try(("select to_jsonb(x)::text as row from %s x limit 1"):format(t.sql))
  if not ok then self:missing_right(t, refusal) end
  local row = rows[1] and require("json").decode(rows[1].row) or self:insert(t, nil)
  self.shared[t.oid] = row
  return row
end

--- The row that a foreign key of tenant `who` leads to: the canary of a tenant's table, or a shared one.
function Maker:parent(t, who)
  if (t.scope == "tenant" or t.scope == "child" or t.registry) and who then return self:row(t, who) end
  return self:shared_row(t)
end

--- Values that are given by what the row belongs to: its tenant's key and its foreign keys.
function Maker:fixed(t, who)
  local fixed = {}
  for _, fk in ipairs(t.foreign_keys) do
    local parent = self.by_oid[fk.ref]
    local needed = fk == t.parent_key
    for _, column in ipairs(fk.columns) do
      local c = t.by_column[column]
      needed = needed or (c.notnull and not c.has_default and column ~= t.tenant)
    end
    local only_tenant = #fk.columns == 1 and fk.columns[1] == t.tenant
    if parent and parent ~= t and (needed or only_tenant) then
      local row = self:parent(parent, who)
      for i, column in ipairs(fk.columns) do fixed[column] = canary.literal(row[fk.ref_columns[i]]) end
    end
  end
  local mine = t.tenant or t.registry
  if mine and who then fixed[mine] = names.literal(who.key) end
  return fixed
end

local function statement(t, values)
  local columns, literals = {}, {}
  for _, c in ipairs(t.columns) do
    if values[c.name] then
      columns[#columns + 1] = names.ident(c.name)
      literals[#literals + 1] = values[c.name]
    end
  end
  if #columns == 0 then return ("insert into %s default values"):format(t.sql) end
  return ("insert into %s (%s) overriding system value values (%s)")
    :format(t.sql, table.concat(columns, ", "), table.concat(literals, ", "))
end

local function find_constraint(list, name)
  for _, c in ipairs(list) do
    if c.name == name then return c end
  end
  return nil
end

--- All candidates for a column: from every check that names it.
local function column_candidates(t, column)
  local out = {}
  for _, check in ipairs(t.checks) do
    for _, name in ipairs(check.columns) do
      if name == column then
        for _, value in ipairs(candidates(check.definition)) do out[#out + 1] = value end
      end
    end
  end
  return out
end

--- Values that lie in one of the table's partitions: the lower bounds, or the first of a list (CREATE TABLE, "partition_bound_spec").
local function in_partition(t, index)
  local bound = t.partition_bounds[index]
  local list = bound and (bound:match "FROM %((.-)%) TO" or bound:match "IN %((.-)%)$")
  if not list or #t.partition_key == 0 then return nil end
  local out, i = {}, 0
  for value in (list .. ", "):gmatch "(.-), " do
    i = i + 1
    if value ~= "MINVALUE" and t.partition_key[i] then out[t.partition_key[i]] = value end
  end
  return out
end

--- A value of the partition key that no partition takes: the next partition's.
local function adapt_partition(t, values, fixed, tried)
  local at = (tried["a partition"] or 0) + 1
  tried["a partition"] = at
  local bounds = in_partition(t, at)
  if not bounds then return false end
  for column, value in pairs(bounds) do
    if not fixed[column] then values[column] = value end
  end
  return true
end

--- After a refusal: changes values so that the next attempt may do. Returns false when there is nothing left to try.
local function adapt(self, t, values, fixed, tried, refusal)
  local columns
  if refusal.sqlstate == "23514" and not refusal.constraint and t.kind == "p" then
    return adapt_partition(t, values, fixed, tried)
  elseif refusal.sqlstate == "23514" then
    local check = find_constraint(t.checks, refusal.constraint)
    columns = check and check.columns
  elseif refusal.sqlstate == "23505" then
    local unique = find_constraint(t.uniques, refusal.constraint)
    columns = unique and unique.columns
  elseif refusal.sqlstate == "23502" then
    columns = { refusal.column }
  end
  for _, column in ipairs(columns or {}) do
    local c = t.by_column[column]
    if c and not fixed[column] and not c.generated then
      local options = column_candidates(t, column)
      local at = (tried[column] or 0) + 1
      if options[at] then
        tried[column] = at
        values[column] = options[at]
        return true
      end
      if refusal.sqlstate ~= "23514" and not tried[column .. " by type"] then
        tried[column .. " by type"] = true
        self.n = self.n + 1
        values[column] = by_type(c, self.n)
        return values[column] ~= nil
      end
    end
  end
  return false
end

--- First values of a row.
function Maker:values(t, who)
  self.n = self.n + 1
  local values = self:fixed(t, who)
  local fixed = {}
  for column in pairs(values) do fixed[column] = true end
  for _, c in ipairs(t.columns) do
    if not values[c.name] and c.notnull and not c.has_default and not c.generated and c.identity == "" then
      values[c.name] = by_type(c, self.n)
      if not values[c.name] then
        errors.raise { code = "canary_type", message = ("no value can be made for %s.%s of type %s"):format(t.label, c.name, c.type),
          fix = ("add to database.fixtures: [%q] = \"insert into %s … values ({tenant}, …)\""):format(t.label, t.label) }
      end
    end
  end
  return values, fixed
end

--- The right that the admin lacks: to insert at all, or to insert for a tenant that is only invented.
function Maker:missing_right(t, refusal)
  local admin = self.conn:value "select current_user::text"
  local bound = refusal.message:find("row-level security", 1, true)
  errors.raise { code = "admin_right_missing", message = ("no canary row could be inserted into %s"):format(t.label),
    detail = ("%s: the role %s of database.admin %s"):format(refusal.message, admin,
      bound and "is bound by row-level security, whose policies refuse the row" or "lacks the right"),
    fix = bound and ("let database.admin be a superuser or a role with BYPASSRLS (ALTER ROLE %s BYPASSRLS)"):format(names.ident(admin))
      or ("GRANT SELECT, INSERT ON %s TO %s, or let database.admin be the tables' owner or a superuser"):format(t.sql, names.ident(admin)) }
end

--- A trigger may have given the row to somebody else: that nobody sees it as its tenant's would prove nothing.
function Maker:check_owner(t, row, who)
  local mine = t.tenant or t.registry
  if mine and tostring(row[mine]):gsub("%s+$", "") ~= who.key then
    errors.raise { code = "canary_diverted", message = ("no canary row could be inserted into %s"):format(t.label),
      detail = ("a trigger or rule changed its %s"):format(mine),
      fix = ("let the trigger keep a stated %s where database.admin inserts"):format(mine) }
  end
end

--- Inserts one row and returns all its columns. who nil: a row of a shared table.
function Maker:insert(t, who)
  local fixture = self.settings.fixtures and self.settings.fixtures[t.label]
  local values, fixed, tried, refusal = nil, nil, {}, nil
  for _ = 1, ATTEMPTS do
    local sql
    if self.enter and who then self.enter(who) end
    if fixture and who then
      sql = fixture:gsub("{tenant}", function() return names.literal(who.key) end)
    else
      if not values then values, fixed = self:values(t, who) end
      sql = statement(t, values)
    end
    local ok, _, rows = self.conn:try(sql .. (" returning to_jsonb(%s.*)::text as row"):format(names.ident(t.name)))
    if ok and rows and rows[1] then
      local row = require("json").decode(rows[1].row)
      if who then self:check_owner(t, row, who) end
      return row, values
    end
    refusal = not ok and _ or nil
    if fixture or not refusal or not adapt(self, t, values, fixed, tried, refusal) then break end
  end
  if refusal and refusal.sqlstate == "42501" then self:missing_right(t, refusal) end
  return errors.raise { code = "canary_refused", message = ("no canary row could be inserted into %s"):format(t.label),
    detail = refusal and refusal.message or "the insert returned no row: a rule or trigger took it away",
    fix = ("add to database.fixtures: [%q] = \"insert into %s … values ({tenant}, …)\""):format(t.label, t.label) }
end

--- The canary of a tenant in a table, made once.
---@param t rls.Table
---@param who {key: string}
---@return table row
function Maker:row(t, who)
  local mine = self.rows[who.key] or {}
  self.rows[who.key] = mine
  if mine[t.oid] then return mine[t.oid].row end
  if self.making[t.oid .. who.key] then
    errors.raise { code = "canary_cycle", message = ("the foreign keys of %s lead back to itself"):format(t.label),
      fix = ("add to database.fixtures an insert for %s"):format(t.label) }
  end
  local refused = self.refused[t.oid .. who.key]
  if refused then error(refused, 0) end
  self.making[t.oid .. who.key] = true
  local ok, row, values = pcall(self.insert, self, t, who)
  self.making[t.oid .. who.key] = nil
  if not ok then
    self.refused[t.oid .. who.key] = row
    error(row, 0)
  end
  mine[t.oid] = { row = row, values = values }
  return row
end

--- A statement that inserts one more row for a tenant, of values that differ from its canary's.
---@param t rls.Table
---@param who {key: string}
---@return string sql
function Maker:another(t, who)
  local fixture = self.settings.fixtures and self.settings.fixtures[t.label]
  if fixture then return (fixture:gsub("{tenant}", function() return names.literal(who.key) end)) end
  local result
  self.conn:transaction(function()
    local _, values = self:insert(t, who)
    result = statement(t, values)
  end, { rollback = true })
  return result
end

return canary
