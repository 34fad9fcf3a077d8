--- Who writes rows for the application, besides its own grants: functions with their owner's rights that it may call, those that its
-- writes fire, and views that write with their owner's rights.
--
-- For the rows of other tables that policies ask (rls.prover.written). PostgreSQL manual: CREATE VIEW ("Updatable Views"), 41.5, 39.1.
local arrays = require "rls.arrays"
local catalogue = require "rls.catalogue"
local compile = require "rls.prover.compile"
local fired = require "rls.rules.fired"
local mentions = require "rls.mentions"
local names = require "rls.names"
local reproduce = require "rls.reproduce"

local writers = {}

local ARGUMENT = compile.ARGUMENT
local INSERT, UPDATE = 8, 4

local VIEWS = [[
  select v.oid::text as oid, pg_get_viewdef(v.oid) as body, pg_get_userbyid(v.relowner)::text as owner,
         coalesce((select max(split_part(o, '=', 2)) from unnest(v.reloptions::text[]) o where o like 'check\_option=%'), '') as checked,
         coalesce(v.reloptions::text[] && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1',
           'security_invoker=yes'], false) as invoker, pg_relation_is_updatable(v.oid, false) as bits,
         -- of each command that a rule does something else for, its bit
         (select coalesce(bit_or(1 << w.ev_type::text::int), 0) from pg_rewrite w where w.ev_class = v.oid and w.is_instead
           and w.ev_type <> '1') as rules
    from pg_class v where v.relkind = 'v' and v.oid::text = any($1)]]

local DEFAULTS = [[
  select a.attname::text as name, pg_get_expr(d.adbin, d.adrelid) as text
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid::text = $1
  union all select a.attname::text, '' from pg_attribute a where a.attrelid::text = $1 and a.attidentity <> '']]

local WRITES = { "insert", "update", "merge", "copy" }

--- May a function's text write a table? What it executes may.
local function may_write(f, t)
  if f.language ~= "sql" and f.language ~= "plpgsql" then return false end
  local text = (f.body or ""):lower()
  if f.language == "plpgsql" and text:find "%f[%w_]execute%f[^%w_]" then return true end
  for _, word in ipairs(WRITES) do
    if text:find("%f[%w_]" .. word .. "%f[^%w_]") then return mentions.name(text, t.name) end
  end
  return false
end

--- A function that it calls and that may write the table, which the text of the function itself does not show.
local function writes_by_call(f, read, t, seen)
  seen = seen or { [f] = true }
  local text = (f.body or ""):lower()
  for _, other in ipairs(read.all_functions) do
    if not seen[other] and mentions.call(text, other.name:match "[^.]*$") then
      seen[other] = true
      -- One that the application may call itself is looked at by itself.
      local apart = other.security_definer and other.callable
      if not apart and (may_write(other, t) or writes_by_call(other, read, t, seen)) then return other end
    end
  end
  return nil
end

---@class rls.Writers
---@field conn table
---@field seen table
---@field read rls.Model
local Writers = {}
Writers.__index = Writers

--- Whose rights an owner has on the table: nil where it has none, true where no policy binds it, else the role that policies bind.
function Writers:rights(owner, t)
  local right = self.seen.owners:rights_of(owner)[t.oid]
  if not right or not (right.insert or right.update) then return nil end
  return right.loose and true or self.seen.owners:role_of(owner)
end

function Writers:defaults(t)
  local out = {}
  for _, row in ipairs(self.conn:query(DEFAULTS, t.oid)) do out[row.name] = row.text end
  return out
end

local function arguments(f, model)
  local args = {}
  for i, arg in ipairs(f.args) do
    local value = model.settings[ARGUMENT .. (arg.name and arg.name ~= "" and arg.name or ("$%d"):format(i))]
    args[i] = ("%s::%s"):format(value and names.literal(value) or "NULL", arg.type)
  end
  return table.concat(args, ", ")
end

local function call_sql(f)
  return function(found)
    return ("%s %s(%s);"):format(f.kind == "p" and "CALL" or "SELECT * FROM", f.signature:match "^(.-)%(", arguments(f, found.model))
  end
end

--- The INSERT that fires a trigger; nil for other statements.
local function fire_sql(t, event)
  return function(found)
    if event ~= "INSERT" then return nil end
    local row = t.kind ~= "v" and (found.model.rows[t.label] or {})[1] or {}
    for name in pairs(t.kind == "v" and t.by_column or {}) do row[name] = found.model.settings[ARGUMENT .. "new." .. name] end
    local sql = reproduce.insert(t, row):gsub(" ON CONFLICT DO NOTHING;$", ";")
    return t.kind == "v" and sql:gsub(" OVERRIDING SYSTEM VALUE", "") or sql
  end
end

local function view_sql(v, columns)
  return function(found)
    local row = {}
    for base, name in pairs(columns) do row[name] = found.row[base] end
    return (reproduce.insert(v, row):gsub(" ON CONFLICT DO NOTHING;$", ";"))
  end
end

--- The functions that the application may call.
function Writers:functions(t, out)
  for _, f in ipairs(self.read.all_functions) do
    local event = f.returns == "trigger" or f.returns == "event_trigger"
    local rights = f.security_definer and f.callable and not event and not f.of_extension and self:rights(f.owner, t)
    local other = rights and not may_write(f, t) and writes_by_call(f, self.read, t)
    if rights and (other or may_write(f, t)) then
      out[#out + 1] = { name = f.signature, f = f, by = f.owner, owner = rights ~= true and rights or nil, sql = call_sql(f),
        unread = other and ("it calls %s"):format(other.signature) or nil }
    end
  end
end

--- The functions that triggers run when it writes.
function Writers:triggers(t, out)
  self.fired = self.fired or fired.list(self.conn, { model = self.read, by_oid = self.seen.by_oid })
  for _, at in ipairs(self.fired) do
    local on = self.seen.by_oid[at.rel]
    local rights = may_write(at.f, t) and self:rights(at.f.owner, t)
    if rights then
      out[#out + 1] = { name = ("%s, a trigger's on %s,"):format(at.f.signature, on.label), f = at.f, by = at.f.owner, event = at.event,
        on = on.label, owner = rights ~= true and rights or nil, sql = fire_sql(on, at.event) }
    end
  end
end

--- What a view of one relation is: {alias, from, columns = its own by those of the relation, where}; nil for another one.
local function level_of(body)
  local tree = compile.parse((body:gsub(";%s*$", "")))
  local range = tree and #(tree.fromClause or {}) == 1 and tree.fromClause[1].RangeVar
  if not range then return nil end
  local out = { alias = range.alias and range.alias.aliasname or range.relname, columns = {}, where = tree.whereClause,
    from = (range.schemaname or "") .. "." .. range.relname }
  for _, item in ipairs(tree.targetList or {}) do
    local fields = item.ResTarget.val.ColumnRef and compile.names(item.ResTarget.val.ColumnRef.fields)
    local name = fields and fields[#fields]
    if name then out.columns[name] = item.ResTarget.name or name end
  end
  return out
end

--- The views that the application may write.
function Writers:view_rows()
  if self.views then return self.views end
  self.views, self.by_label = {}, {}
  local oids, some = {}, false
  for oid, v in pairs(self.seen.by_oid) do
    if v.kind == "v" then
      oids[#oids + 1], self.by_label[v.label] = oid, oid
      some = some or v.acts.insert or v.acts.update
    end
  end
  local rows
  catalogue.qualified(self.conn, function() rows = some and self.conn:query(VIEWS, arrays.text(oids)) or {} end)
  for _, row in ipairs(rows) do self.views[row.oid] = row end
  return self.views
end

--- The table beneath a view and how its columns are called there; nil where it is not t.
local function beneath(self, row, t)
  local levels, columns, owner, forced = {}, nil, row.owner, false
  for _ = 1, 8 do
    local level = level_of(row.body)
    if not level then return nil end
    local inner = {}
    for base, name in pairs(level.columns) do
      local outer = not columns and name or columns[name]
      if outer then inner[base] = outer end
    end
    columns = inner
    forced = forced or row.checked == "cascaded"
    local where = (forced or row.checked ~= "") and level.where or nil
    for _, other in ipairs(levels) do other.inner[#other.inner + 1] = level.columns end
    levels[#levels + 1] = { alias = level.alias, where = where, inner = {} }
    owner = row.invoker and owner or row.owner
    if level.from == t.label then return columns, levels, owner end
    row = self.views[self.by_label[level.from] or ""]
    if not row then return nil end
  end
  return nil
end

--- The names of a level's columns, by the columns of the table at the bottom.
local function names_at(level, columns)
  local out = {}
  for base in pairs(columns) do
    local name = base
    for i = #level.inner, 1, -1 do name = name and level.inner[i][name] end
    if name then out[name] = base end
  end
  return out
end

function Writers:views_over(t, out)
  for oid, row in pairs(self:view_rows()) do
    local v = self.seen.by_oid[oid]
    local bits = row.bits & ~row.rules
    local inserts, updates = v.acts.insert and bits & INSERT ~= 0, v.acts.update and bits & UPDATE ~= 0
    local columns, levels, owner
    if (inserts or updates) and not row.invoker then columns, levels, owner = beneath(self, row, t) end
    local rights = columns and self:rights(owner, t)
    if rights then
      for _, level in ipairs(levels) do level.columns = names_at(level, columns) end
      out[#out + 1] = { name = v.label, by = owner, view = { columns = columns, levels = levels, inserts = inserts, oid = oid },
        owner = rights ~= true and rights or nil,
        sql = inserts and view_sql(v, columns) or function() return nil end }
    end
  end
end

--- The views by which the application writes a table as somebody whom its policies do not bind.
---@param conn table  the admin's
---@param seen table  of rls.harness.look, with `owners`
---@param t rls.Table
---@return prover.Writer[]
function writers.views(conn, seen, t)
  seen.writers = seen.writers or setmetatable({ conn = conn, seen = seen }, Writers)
  local all, out = {}, {}
  seen.writers:views_over(t, all)
  for _, w in ipairs(all) do out[#out + 1] = not w.owner and w or nil end
  return out
end

--- For the prover: who writes a table for the application, besides itself.
---@param conn table  the admin's
---@param seen table  of rls.harness.look, with `owners`
---@param read rls.Model
---@return fun(label: string): prover.Writer[]
function writers.of(conn, seen, read)
  local self, by_label, known = setmetatable({ conn = conn, seen = seen, read = read }, Writers), {}, {}
  for _, t in pairs(seen.by_oid) do by_label[t.label] = t end
  return function(label)
    local t = by_label[label]
    if not t then return {} end
    if not known[label] then
      local out = {}
      self:functions(t, out)
      self:triggers(t, out)
      self:views_over(t, out)
      local defaults = #out > 0 and self:defaults(t) or {}
      for _, w in ipairs(out) do w.defaults = defaults end
      known[label] = out
    end
    return known[label]
  end
end

return writers
