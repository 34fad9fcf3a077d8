--- Whose rows does an owner see, with whose rights a view, rule or function acts?
--
-- Row-level security leaves superusers, BYPASSRLS and, without FORCE, a table's owner alone. Whom it binds it binds by the policies that
-- apply to that role, and these need not be the application's: "TO app_owner USING (true)", a restrictive policy for the application
-- alone, a test of current_user. (PostgreSQL manual, section 5.8; CREATE POLICY.)
local arrays = require "rls.arrays"
local combine = require "rls.prover.combine"
local decide = require "rls.decide"

local owners = {}

---@alias rls.Sees "all"|"unsure"|false  every row; not decided; no more than the application does by the policies that bind it

--- What each owner has a right on, and whether row-level security leaves it alone there.
local RIGHTS = [[
  select r.rolname::text as owner, c.oid::text as oid,
         r.rolsuper or r.rolbypassrls or not c.relrowsecurity
           or (pg_has_role(r.oid, c.relowner, 'USAGE') and not c.relforcerowsecurity) as loose,
         has_table_privilege(r.oid, c.oid, 'SELECT') or has_any_column_privilege(r.oid, c.oid, 'SELECT') as select,
         has_table_privilege(r.oid, c.oid, 'INSERT') or has_any_column_privilege(r.oid, c.oid, 'INSERT') as insert,
         has_table_privilege(r.oid, c.oid, 'UPDATE') or has_any_column_privilege(r.oid, c.oid, 'UPDATE') as update,
         has_table_privilege(r.oid, c.oid, 'DELETE') as delete
    from pg_roles r cross join pg_class c where r.rolname = $1 and c.oid::text = any($2)]]

local ROLE = [[
  select r.rolname::text as name, r.rolcreaterole as creates_roles,
         array(select m.rolname::text from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'MEMBER')) as member_of,
         array(select m.rolname::text from pg_roles m where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'USAGE')) as inherits
    from pg_roles r where r.rolname = $1]]

--- What of a policy's text depends on who acts.
local ASKS_WHO = { "current_user", "current_role", "session_user", "pg_has_role", "has_table_privilege", "user" }

local function set_of(list)
  local out = {}
  for _, name in ipairs(list) do out[name] = true end
  return out
end

local function asks_who(text, read, depth)
  text = text:lower()
  for _, word in ipairs(ASKS_WHO) do
    if text:find("%f[%w_]" .. word .. "%f[^%w_]") then return true end
  end
  for name, list in pairs(depth < 4 and read.functions or {}) do
    if text:find(name:lower(), 1, true) then
      for _, f in ipairs(list) do
        if asks_who(f.body or "", read, depth + 1) then return true end
      end
    end
  end
  return false
end

--- Do other policies bind the owner than the application, or the same ones by another test?
local function differs(info, owner, app, read)
  for _, command in ipairs(decide.COMMANDS) do
    for _, phase in ipairs(combine.PHASES[command]) do
      local texts = {}
      for i, role in ipairs { owner, app } do
        local permissive, restrictive = combine.select(info, command, phase, role)
        local text = {}
        for _, list in ipairs { permissive, restrictive } do
          for _, item in ipairs(list) do text[#text + 1] = item.policy.name end
          text[#text + 1] = ""
        end
        texts[i] = table.concat(text, "\0")
      end
      if texts[1] ~= texts[2] then return true end
    end
  end
  for _, p in ipairs(info.policies or {}) do
    if asks_who((p.using or "") .. " " .. (p.check or ""), read, 0) then return true end
  end
  return false
end

---@class rls.Owners
---@field conn table
---@field seen table          of rls.harness.look, with `model`
---@field base rls.Table[]    tenants' base tables
local Owners = {}
Owners.__index = Owners

---@param conn table
---@param seen table        of rls.harness.look, with `model`
---@param base rls.Table[]  tenants' base tables
---@return rls.Owners
function owners.new(conn, seen, base)
  local oids, by_label = {}, {}
  for oid, t in pairs(seen.by_oid) do
    if t.kind == "r" or t.kind == "p" then oids[#oids + 1], by_label[t.label] = oid, t end
  end
  return setmetatable({ conn = conn, seen = seen, base = base, oids = arrays.text(oids), by_label = by_label, rights = {}, roles = {},
    answers = {} }, Owners)
end

function Owners:rights_of(owner)
  local by_oid = self.rights[owner]
  if by_oid then return by_oid end
  by_oid = {}
  for _, row in ipairs(self.conn:query(RIGHTS, owner, self.oids)) do by_oid[row.oid] = row end
  self.rights[owner] = by_oid
  return by_oid
end

--- The owner as the prover wants a role.
function Owners:role_of(owner)
  local role = self.roles[owner]
  if role then return role end
  local row = self.conn:row(ROLE, owner)
  role = { name = owner, login = self.seen.app.login, superuser = false, bypassrls = false,
    member_of = set_of(row.member_of),
    inherits = set_of(row.inherits), creates_roles = row.creates_roles,
    may_create = false, may_temp = false, via = true, may = self:rights_of(owner) }
  self.roles[owner] = role
  return role
end

--- Of a table that is no tenant's: is it shown all of it?
local function of_shared(t, role)
  local permissive, restrictive = combine.select(t, "SELECT", "using", role)
  if #permissive == 0 then return false end
  for _, item in ipairs(#restrictive == 0 and permissive or {}) do
    if item.text == "true" then return "all" end
  end
  return "unsure"
end

local function decided(self, owner, t)
  local read = self.seen.model
  local role = self:role_of(owner)
  if t.scope ~= "tenant" and t.scope ~= "child" then return of_shared(t, role) end
  if not differs(read.tables[t.label], role, read.roles[1], read) then return false end
  self.state = self.state or decide.state(self.conn, self.seen, self.base, read, self.seen.today)
  self.state.caches[owner] = self.state.caches[owner] or {}
  local answer = false
  for _, v in pairs(decide.table(self.state, t, role)) do
    if v.status == "counterexample" and decide.TO_ALL[v.class] then return "all" end
    if v.status ~= "proven" and v.status ~= "trusted" then answer = "unsure" end
  end
  return answer
end

--- What does this owner see of a table, which the application need not?
---@param owner string
---@param t rls.Table
---@return rls.Sees
function Owners:sees(owner, t)
  local right = self:rights_of(owner)[t.oid]
  if not right or not (right.select or right.insert or right.update or right.delete) then return false end
  if right.loose then return "all" end
  if owner == self.seen.app.role then return false end
  local key = owner .. "\0" .. t.oid
  if self.answers[key] == nil then self.answers[key] = decided(self, owner, t) end
  return self.answers[key]
end

--- Does one of these owners see more of it than the policies allow the application?
---@param list table<string, boolean>  owners
---@param t rls.Table
---@return boolean
function Owners:any_sees(list, t)
  for owner in pairs(list) do
    if self:sees(owner, t) then return true end
  end
  return false
end

--- For the prover: are all rows of a table shown to whoever acts as this owner?
---@return fun(label: string, owner: string): boolean
function Owners:showing()
  return function(label, owner)
    local t = self.by_label[label]
    return t ~= nil and self:sees(owner, t) == "all"
  end
end

return owners
