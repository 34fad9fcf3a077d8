--- What the names in a statement lead to: tenants' tables, directly, through views, and through functions.
local errors = require "errors"
local dialect = require "rls.dialect"
local statement = require "engine.statement"

local catalogue = {}

--- Functions of the platform: not the system's, not an extension's, no triggers.
local FUNCTIONS = [[
  select n.nspname::text as schema, p.proname::text as name, p.oid::text as oid, l.lanname::text as language,
         {body p} as source,
         p.prosecdef and (r.rolsuper or r.rolbypassrls) as unbound
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
    join pg_roles r on r.oid = p.proowner
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind in ('f', 'p')
     and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
     and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')]]

local ROLES = "select rolname::text as name, rolsuper or rolbypassrls as unbound from pg_roles"

--- Words that a table's name follows.
local BEFORE_TABLE = { from = true, join = true, into = true, update = true, only = true, using = true, truncate = true, copy = true,
  table = true }

---@class code_paths.Function
---@field touches table<string, boolean>  labels of tenants' tables whose rows it reads or writes
---@field early boolean                   it touches one before it has stated the tenant
---@field sets table<string, boolean>     setting → is it set for the transaction alone?
---@field opaque boolean                  what it does cannot be read

---@class code_paths.Catalogue
---@field settings string[]               the tenant's settings
local Catalogue = {}
Catalogue.__index = Catalogue

local function axes(tenant)
  return tenant.setting and { tenant } or tenant
end

local function is_tenants(t) return t.scope == "tenant" or t.scope == "child" end

--- Adds the tenants' tables that a relation is or shows.
local function add_labels(out, t)
  if t.reads then
    for _, read in ipairs(t.reads) do out[read.label] = read end
  elseif is_tenants(t) then
    out[t.label] = t
  end
end

--- The tenants' tables a name leads to. Without a schema every schema is meant: which one the session's search_path says.
---@param schema string?
---@param name string
---@return table<string, table> tables by label
function Catalogue:tables(schema, name)
  local out = {}
  for _, t in ipairs(self.by_name[name] or {}) do
    if not schema or t.schema == schema then add_labels(out, t) end
  end
  return out
end

--- The settings of which one says whose the table's rows are.
---@param t table
---@return string[]
function Catalogue:needed(t)
  local out = {}
  for _, axis in ipairs(axes(self.tenant)) do
    if axis.column and t.by_column and t.by_column[axis.column] then out[#out + 1] = axis.setting end
  end
  return #out > 0 and out or self.settings
end

--- Does row-level security bind the role? One that is not known counts as bound.
function Catalogue:bound(role)
  return not self.unbound[role]
end

--- Words and signs of a normalised text, words folded as the server does.
local function words(text)
  local out, i = {}, 1
  while i <= #text do
    local quoted, behind = text:match('^"([^"]*)"()', i)
    if not quoted then
      quoted, behind = text:match("^([%w_\128-\255$]+)()", i)
      quoted = quoted and quoted:lower()
    end
    if not quoted then quoted, behind = text:sub(i, i), i + 1 end
    if not quoted:find "^%s$" then out[#out + 1] = quoted end
    i = behind
  end
  return out
end

local function merge(into, from)
  for label, t in pairs(from) do into[label] = t end
end

--- One piece of a PL/pgSQL body: a name after FROM, JOIN, INTO …, or in a list of them, is a table's.
function Catalogue:read_piece(text, found, visiting)
  local list = words(text)
  for i, word in ipairs(list) do
    local schema = list[i - 1] == "." and list[i - 2] or nil
    local before = schema and list[i - 3] or list[i - 1]
    if self.by_name[word] and (BEFORE_TABLE[before or ""] or (before == "," and not self.columns[word])) then
      merge(found.touches, self:tables(schema, word))
    end
    if list[i + 1] == "(" and self.functions[word] then self:read_call(schema, word, found, visiting) end
    if word == "execute" then found.opaque = true end
  end
end

function Catalogue:read_call(schema, name, found, visiting)
  local f = self:find_function(schema, name, visiting)
  if not f then return end
  local stated = next(found.sets) ~= nil
  merge(found.touches, f.touches)
  if f.early and not stated then found.early = true end
  for setting, is_local in pairs(f.sets) do found.sets[setting] = is_local end
  if f.opaque then found.opaque = true end
end

local function of_scan(found, scanned)
  for _, c in ipairs(scanned.contexts) do
    if c.setting then found.sets[c.setting] = c["local"] == true end
  end
end

--- Statements in order: what comes before the tenant is stated is early.
function Catalogue:read_body(f, found, visiting)
  local pieces = statement.scan(f.source, { settings = self.settings })
  for _, piece in ipairs(pieces) do
    local stated = next(found.sets) ~= nil
    local mine = { touches = {}, sets = {}, early = false, opaque = false }
    for setting, is_local in pairs(found.sets) do mine.sets[setting] = is_local end
    local ok, tree = false, nil
    if f.language == "sql" then ok, tree = pcall(statement.tree, piece.text) end
    if ok then
      self:read_tree(tree[1], mine, visiting)
    else
      self:read_piece(piece.text, mine, visiting)
    end
    if (next(mine.touches) and not stated and not next(mine.sets)) or mine.early then found.early = true end
    merge(found.touches, mine.touches)
    found.opaque = found.opaque or mine.opaque
    for setting, is_local in pairs(mine.sets) do found.sets[setting] = is_local end
    of_scan(found, piece)
    -- A piece that states the tenant and touches a table at once promises no order.
    if next(mine.touches) and #piece.contexts > 0 and not stated then found.early = true end
  end
end

--- Adds what a statement's tree speaks of.
function Catalogue:read_tree(tree, found, visiting)
  for _, t in ipairs(tree.tables) do merge(found.touches, self:tables(t.schema, t.name)) end
  for _, f in ipairs(tree.functions) do self:read_call(f.schema, f.name, found, visiting) end
end

local function read_function(self, f, visiting)
  local found = { touches = {}, sets = {}, early = false, opaque = false }
  if f.unbound then return found end -- its owner's rights: no setting counts there; the isolation group looks at it
  if f.language ~= "sql" and f.language ~= "plpgsql" then
    found.opaque = f.language ~= "c" and f.language ~= "internal"
    return found
  end
  self:read_body(f, found, visiting)
  if next(found.touches) and not next(found.sets) then found.early = true end
  return found
end

--- What a block of PL/pgSQL does, as a function's body would.
---@param source string
---@return code_paths.Function
function Catalogue:read_block(source)
  return read_function(self, { language = "plpgsql", source = source }, {})
end

--- The tenants' tables that a text which is no whole statement speaks of.
---@param text string
---@return table<string, table> tables by label
function Catalogue:guess(text)
  local found = { touches = {}, sets = {}, early = false, opaque = false }
  self:read_piece(text, found, {})
  return found.touches
end

--- All functions of that name as one; nil where the platform has none.
---@param schema string?
---@param name string
---@return code_paths.Function?
function Catalogue:find_function(schema, name, visiting)
  visiting = visiting or {}
  local out
  for _, f in ipairs(self.functions[name] or {}) do
    if (not schema or f.schema == schema) and not visiting[f] then
      visiting[f] = true
      f.read = f.read or read_function(self, f, visiting)
      visiting[f] = nil
      out = out or { touches = {}, sets = {}, early = false, opaque = false }
      merge(out.touches, f.read.touches)
      merge(out.sets, f.read.sets)
      out.early, out.opaque = out.early or f.read.early, out.opaque or f.read.opaque
    end
  end
  return out
end

--- The function of a FunctionCall message.
function Catalogue:function_name(oid)
  local f = self.by_oid[tostring(oid)]
  return f and f.schema, f and f.name
end

local function group_by_name(list)
  local out = {}
  for _, item in ipairs(list) do
    out[item.name] = out[item.name] or {}
    table.insert(out[item.name], item)
  end
  return out
end

--- Makes a catalogue of what was read already; for the gate, and for tests without a server.
---@param tables rls.Table[]  of catalogue.read
---@param tenant table        database.tenant of the configuration
---@param functions table[]   {schema, name, oid, language, source, unbound}
---@param roles table[]       {name, unbound}
---@return code_paths.Catalogue
function catalogue.new(tables, tenant, functions, roles)
  local self = setmetatable({ tenant = tenant, settings = {}, by_name = group_by_name(tables), functions = group_by_name(functions),
    by_oid = {}, columns = {}, unbound = {} }, Catalogue)
  for _, axis in ipairs(axes(tenant)) do self.settings[#self.settings + 1] = axis.setting end
  if #self.settings == 0 then
    errors.raise { code = "config_missing_key", message = "database.tenant names no setting", fix = "add database.tenant.setting" }
  end
  for _, t in ipairs(tables) do
    for column in pairs(t.by_column or {}) do self.columns[column] = true end
  end
  for _, f in ipairs(functions) do self.by_oid[f.oid or ""] = f end
  for _, r in ipairs(roles) do self.unbound[r.name] = r.unbound or nil end
  return self
end

--- Reads functions and roles beside the tables that are known.
---@param conn table        connection of the admin
---@param tables rls.Table[]
---@param settings table    config.database
---@return code_paths.Catalogue
function catalogue.read(conn, tables, settings)
  return catalogue.new(tables, settings.tenant, conn:query(dialect.of(conn, FUNCTIONS)), conn:query(ROLES))
end

return catalogue
