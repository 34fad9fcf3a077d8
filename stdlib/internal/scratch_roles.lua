--- Roles of a scratch copy: which ones a schema names, and its role statements, as the engine's superuser carries them out.
---
--- No text of the schema's own runs with a superuser's rights here: statements are made from what the parser read.
local roles = {}

--- Who, by the usual names, is a superuser or has BYPASSRLS where the schema comes from. A dump does not say so, and to take such an
--- owner for one whom row-level security binds would hide leaks.
roles.STRONG = { postgres = true, supabase_admin = true, service_role = true, rdsadmin = true, cloudsqladmin = true, azuresu = true }

--- Settings that a role or the database may start its sessions with here.
local SETTINGS = { search_path = true, role = true, row_security = true, statement_timeout = true, lock_timeout = true, timezone = true,
  idle_in_transaction_session_timeout = true, default_transaction_read_only = true, default_transaction_isolation = true,
  plpgsql_check_asserts = true }

local function ident(name) return '"' .. name:gsub('"', '""') .. '"' end
local function literal(value) return "'" .. tostring(value):gsub("'", "''"):gsub("\\", "\\\\") .. "'" end

roles.ident = ident

--- What comes nearest to a superuser and cannot leave the database: row-level security does not bind it, and it may use every table.
---@param name string
---@return string[] sql
function roles.strong(name)
  return { ("alter role %s BYPASSRLS"):format(ident(name)),
    ("grant pg_read_all_data, pg_write_all_data to %s"):format(ident(name)) }
end

local function is_own(name) return name == "gate_engine_scratch" or name == "gate_owner" end

--- Calls fn with every role a tree names; others: is there a CURRENT_USER or SESSION_USER?
local function each_role(node, fn)
  local others = false
  for _, value in pairs(node) do
    if type(value) == "table" then
      if value.roletype == "ROLESPEC_CSTRING" and value.rolename then
        fn(value.rolename)
      elseif value.roletype and value.roletype ~= "ROLESPEC_PUBLIC" then
        others = true
      end
      others = each_role(value, fn) or others
    end
  end
  return others
end

--- Collects the roles that a statement names. Returns whether it also means whoever runs it, and the engine's own role that it names.
---@param kind string  e.g. "GrantStmt"
---@param tree table
---@param named table<string, boolean>
---@return boolean others, string? own
function roles.collect(kind, tree, named)
  local own
  local function add(name)
    if is_own(name) then own = name elseif name:sub(1, 3) ~= "pg_" then named[name] = true end
  end
  local others = each_role({ tree }, add)
  if kind == "CreateRoleStmt" then add(tree.role) end
  if kind == "GrantRoleStmt" then
    for _, r in ipairs(tree.granted_roles or {}) do add(r.AccessPriv.priv_name) end
  end
  return others, own
end

--- The value of an option: present and not false.
local function is_on(option)
  local arg = option.arg
  if not arg then return true end
  local value = arg.Boolean and arg.Boolean.boolval or arg.Integer and arg.Integer.ival
  return value == true or (math.type(value) == "integer" and value ~= 0)
end

local ATTRIBUTES = { inherit = "INHERIT", createrole = "CREATEROLE", createdb = "CREATEDB", bypassrls = "BYPASSRLS",
  isreplication = "REPLICATION", canlogin = "LOGIN", superuser = "BYPASSRLS" }

--- What else a role may do is given when everything is loaded, so that the schema itself cannot use it.
local LATE = { createrole = true, bypassrls = true, isreplication = true, superuser = true, createdb = true }

local function role_options(name, options, out)
  for _, o in ipairs(options or {}) do
    local d = o.DefElem
    local word = ATTRIBUTES[d.defname]
    if word then
      local on = is_on(d)
      local sql = ("alter role %s %s%s"):format(ident(name), on and "" or "NO", word)
      table.insert(LATE[d.defname] and out.late or out.now, sql)
      if d.defname == "superuser" and on then
        table.insert(out.late, roles.strong(name)[2])
        out.notes[#out.notes + 1] = ("role %s is a superuser there; here it has BYPASSRLS and every table"):format(name)
      end
    elseif d.defname == "addroleto" or d.defname == "rolemembers" or d.defname == "adminmembers" then
      for _, r in ipairs(d.arg and d.arg.List and d.arg.List.items or {}) do
        local other = r.RoleSpec.rolename
        local group, member = name, other
        if d.defname == "addroleto" then group, member = other, name end
        table.insert(out.now, ("grant %s to %s"):format(ident(group), ident(member)))
      end
    end
  end
end

--- The text of a SET clause's value.
local function setting_value(setstmt)
  local parts = {}
  for _, a in ipairs(setstmt.args or {}) do
    local c = a.A_Const or (a.TypeCast and a.TypeCast.arg and a.TypeCast.arg.A_Const) or {}
    local v = c.sval and (c.sval.sval or "") or c.ival and (c.ival.ival or 0) or c.fval and c.fval.fval
      or c.boolval and tostring(c.boolval.boolval or false)
    if v == nil then return nil end
    parts[#parts + 1] = literal(v)
  end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

local function setting(whom, setstmt, out)
  local name = setstmt.name or ""
  if not (name:find(".", 1, true) or SETTINGS[name:lower()]) or name:find '[^%w_.]' then
    out.notes[#out.notes + 1] = ("left out: ALTER %s SET %s"):format(whom, name)
    return
  end
  local quoted = name:gsub("[^.]+", ident)
  local value = setstmt.kind == "VAR_SET_VALUE" and setting_value(setstmt)
  if value then
    table.insert(out.now, ("alter %s set %s to %s"):format(whom, quoted, value))
  elseif setstmt.kind == "VAR_RESET" or setstmt.kind == "VAR_SET_DEFAULT" then
    table.insert(out.now, ("alter %s reset %s"):format(whom, quoted))
  else
    out.notes[#out.notes + 1] = ("left out: ALTER %s SET %s"):format(whom, name)
  end
end

local MAKERS = {}

function MAKERS.CreateRoleStmt(tree, out)
  if tree.stmt_type == "ROLESTMT_USER" then table.insert(out.now, "alter role " .. ident(tree.role) .. " LOGIN") end
  role_options(tree.role, tree.options, out)
end

function MAKERS.AlterRoleStmt(tree, out)
  local name = tree.role and tree.role.rolename
  if name then role_options(name, tree.options, out) end
end

function MAKERS.AlterRoleSetStmt(tree, out)
  local name = tree.role and tree.role.rolename
  if name then setting("role " .. ident(name), tree.setstmt, out) end
end

function MAKERS.AlterDatabaseSetStmt(tree, out) setting('database "scratch"', tree.setstmt, out) end

function MAKERS.GrantRoleStmt(tree, out)
  for _, g in ipairs(tree.granted_roles or {}) do
    for _, r in ipairs(tree.grantee_roles or {}) do
      local group, member = g.AccessPriv.priv_name, r.RoleSpec.rolename
      if member then
        local sql = tree.is_grant and ("grant %s to %s"):format(ident(group), ident(member))
          or ("revoke %s from %s"):format(ident(group), ident(member))
        table.insert(group:sub(1, 3) == "pg_" and out.late or out.now, sql)
      end
    end
  end
end

function MAKERS.DropRoleStmt(tree, out)
  for _, r in ipairs(tree.roles or {}) do
    local name = r.RoleSpec and r.RoleSpec.rolename
    if name then table.insert(out.now, "drop role if exists " .. ident(name)) end
  end
end

local ON_DATABASE = { connect = true, create = true, temporary = true, temp = true }

--- Rights on the database, which has another name here.
function MAKERS.GrantStmt(tree, out)
  local rights = {}
  for _, p in ipairs(tree.privileges or {}) do
    local name = p.AccessPriv.priv_name:lower()
    if ON_DATABASE[name] then rights[#rights + 1] = name end
  end
  local what = tree.privileges and table.concat(rights, ", ") or "all"
  for _, g in ipairs(what ~= "" and tree.grantees or {}) do
    local role = g.RoleSpec
    local whom = role.roletype == "ROLESPEC_PUBLIC" and "public" or role.rolename and ident(role.rolename)
    if whom then
      table.insert(out.now, tree.is_grant and ("grant %s on database scratch to %s%s"):format(what, whom,
        tree.grant_option and " with grant option" or "") or ("revoke %s on database scratch from %s"):format(what, whom))
    end
  end
end

function MAKERS.AlterOwnerStmt(tree, out)
  local name = tree.newowner and tree.newowner.rolename
  if name then table.insert(out.late, "alter database scratch owner to " .. ident(name)) end
end

local function of_database(tree) return (tree.objtype or tree.objectType) == "OBJECT_DATABASE" end

--- What a statement on roles or on the database becomes: SQL for now, SQL for the end, notes. nil: it is neither.
---@return {now: string[], late: string[], notes: string[]}?
function roles.statements(kind, tree)
  local make = MAKERS[kind]
  if not make or (kind == "GrantStmt" or kind == "AlterOwnerStmt") and not of_database(tree) then return nil end
  local out = { now = {}, late = {}, notes = {} }
  make(tree, out)
  return out
end

return roles
