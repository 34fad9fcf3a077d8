--- Loads a user's schema into the database of a scratch server, which is private to the run and goes with it.
---
--- The schema is foreign SQL. Its statements run one at a time as gate_owner, who owns the database and is no superuser. What needs one
--- (roles, their attributes, owners, grants) the superuser does: from statements made of the parser's tree, or from the statement's
--- own text where its kind runs no code of the schema. The server itself is contained by the kernel (pg.h).
local errors = require "internal.raise"
local json = require "engine.json"
local order = require "internal.scratch_order"
local roles = require "internal.scratch_roles"
local split = require "internal.scratch_split"
local sql = require "engine.sql"

local ident = roles.ident

--- Kinds that are refused, with what to do instead.
local REFUSED = {
  CopyStmt = "COPY moves data, and a scratch copy has none: pg_dump --schema-only",
  LoadStmt = "LOAD runs native code",
  AlterSystemStmt = "leave it away: it changes the server",
  CreatedbStmt = "leave it away, or dump without --create: the copy is the database",
  DropdbStmt = "leave it away, or dump without --clean --create: the copy is the database",
  CreateTableSpaceStmt = "leave it away, or dump with --no-tablespaces",
}

--- Kinds that say nothing about who may see what, or that would reach outside.
local LEFT_OUT = { CreateEventTrigStmt = "event trigger", AlterEventTrigStmt = "event trigger", SecLabelStmt = "security label",
  CreateSubscriptionStmt = "subscription", AlterSubscriptionStmt = "subscription", CreateUserMappingStmt = "user mapping",
  AlterUserMappingStmt = "user mapping" }
local SILENT = { CommentStmt = true, CreatePLangStmt = true }

--- Kinds whose text the superuser may run: none of them calls anything.
local BY_SUPERUSER = { AlterOwnerStmt = true, GrantStmt = true, CreatePublicationStmt = true, AlterPublicationStmt = true }

--- After these the search path may be another.
local MOVES_PATH = { VariableSetStmt = true, SelectStmt = true, DoStmt = true, CallStmt = true, AlterRoleSetStmt = true }

--- Extensions which are safe in a superuser's hands and that PostgreSQL does not call trusted.
local EXTENSIONS = { autoinc = true, bloom = true, earthdistance = true, insert_username = true, intagg = true, moddatetime = true,
  pg_freespacemap = true, pg_stat_statements = true, pgrowlocks = true, pgstattuple = true, postgis = true, refint = true, sslinfo = true }

local function fail(s, message, more)
  errors.raise { code = "scratch_statement", message = ("%s:%d: %s"):format(s.file, s.line, message), detail = more and more.detail or nil,
    fix = more and more.fix or "correct the schema, or leave the statement away where it says nothing about access" }
end

--- Reads and parses everything. What libpg_query does not know (a newer server's syntax) has no kind and is the owner's.
local function read_all(ctx, job)
  local store, out = ctx.files.schema, {}
  local keys, notes = order(store, job.scratch.dir)
  for _, key in ipairs(keys) do
    for _, s in ipairs(split(key, (store:get(key)))) do out[#out + 1] = s end
  end
  if #out == 0 then
    errors.raise { code = "scratch_empty", message = "there is no statement in the schema: nothing can be evaluated",
      fix = "name the file that pg_dump --schema-only wrote, or a directory with *.sql files" }
  end
  return out, notes, #keys
end

local function parse(text)
  local ok, tree = pcall(sql.parse, text)
  local stmts = ok and tree.stmts
  if not stmts or #stmts ~= 1 then return nil end
  return next(stmts[1].stmt)
end

local ROLE_WORDS = { "create%s+role%s", "create%s+user%s", "alter%s+role%s", "alter%s+user%s", "grant%s", "revoke%s" }

--- The role statement at the end of a part of a block ("IF … THEN CREATE ROLE x"), and where it begins.
local function role_statement_in(part)
  local low = part:lower()
  for _, word in ipairs(ROLE_WORDS) do
    local at = low:find("%f[%w_]" .. word)
    local kind, tree
    if at then kind, tree = parse(part:sub(at)) end
    if kind and roles.statements(kind, tree) then return at, kind, tree end
  end
  return nil
end

--- A DO block's role statements, and its text without them: it runs as the owner, who may make no role. They are carried out whatever the
--- block's conditions are, which ask whether the role is there.
local function block_without_roles(text, tree)
  local found = {}
  for _, a in ipairs(tree.args or {}) do
    local body = a.DefElem and a.DefElem.defname == "as" and a.DefElem.arg and a.DefElem.arg.String and a.DefElem.arg.String.sval or ""
    local first, last = text:find(body, 1, true)
    if first then
      local new = body:gsub("[^;]+", function(part)
        local at, kind, stmt = role_statement_in(part)
        if not at then return nil end
        found[#found + 1] = { kind = kind, tree = stmt }
        return part:sub(1, at - 1) .. "NULL"
      end)
      text = text:sub(1, first - 1) .. new .. text:sub(last + 1)
    end
  end
  return text, found
end

--- Collects a statement's roles; those of the engine are not the schema's to name.
local function collect(s, kind, tree, named)
  local others, own = roles.collect(kind, tree, named)
  if own then fail(s, "the role " .. own .. " is the scratch copy's own", { fix = "give the role another name" }) end
  return others
end

--- First pass: kinds, roles; what is refused is refused before anything runs.
local function survey(statements)
  local named, made = {}, {}
  for _, s in ipairs(statements) do
    local kind, tree = parse(s.sql)
    s.kind = kind
    if kind then
      if REFUSED[kind] then fail(s, "refused on a scratch copy: " .. kind:gsub("Stmt$", ""), { fix = REFUSED[kind] }) end
      s.others = collect(s, kind, tree, named)
      s.role = roles.statements(kind, tree)
      if kind == "CreateRoleStmt" then made[tree.role] = true end
      if kind == "AlterTableStmt" then
        s.owner_only = true
        for _, c in ipairs(tree.cmds or {}) do s.owner_only = s.owner_only and c.AlterTableCmd.subtype == "AT_ChangeOwner" end
      elseif kind == "DoStmt" then
        local found
        s.blocks = {}
        s.sql, found = block_without_roles(s.sql, tree)
        for _, f in ipairs(found) do
          collect(s, f.kind, f.tree, named)
          if f.kind == "CreateRoleStmt" then made[f.tree.role] = true end
          s.blocks[#s.blocks + 1] = roles.statements(f.kind, f.tree)
        end
      elseif kind == "TransactionStmt" then
        s.transaction = tree.kind
      elseif kind == "CreateExtensionStmt" then
        s.extension = tree.extname
      elseif kind == "CreateFdwStmt" then
        s.wrapper = tree.fdwname
      elseif kind == "VariableSetStmt" then
        s.setting = tree.name
      elseif kind == "CreateFunctionStmt" then
        for _, o in ipairs(tree.options or {}) do
          local d = o.DefElem
          if d.defname == "leakproof" and not (d.arg and d.arg.Boolean and d.arg.Boolean.boolval == false) then s.leakproof = true end
        end
      end
    end
  end
  return named, made
end

local Loader = {}
Loader.__index = Loader

function Loader:note(text) self.notes[#self.notes + 1] = text end

function Loader:roles(named, made)
  local list = {}
  for name in pairs(named) do list[#list + 1] = name end
  table.sort(list)
  for _, name in ipairs(list) do
    self.admin:exec(("create role %s nologin"):format(ident(name)))
    self.admin:exec(("grant %s to gate_owner"):format(ident(name)))
    if not made[name] then
      self.made[#self.made + 1] = name
      for _, text in ipairs(roles.STRONG[name] and roles.strong(name) or {}) do self.late[#self.late + 1] = text end
    end
  end
end

--- What a statement needs of the superuser, in the owner's search path.
function Loader:by_superuser(s, text)
  if not self.path then
    self.path = self.owner:value "select current_setting('search_path')"
    self.admin:value("select set_config('search_path', $1, false)", self.path)
  end
  local ok, raised = pcall(self.admin.exec, self.admin, text)
  if not ok then self:refused(s, raised) end
end

function Loader:refused(s, raised)
  if not errors.is(raised) then error(raised, 0) end
  local detail = raised.detail
  if #self.missing > 0 then
    detail = (detail and detail .. "; " or "") .. "extensions that are not there: " .. table.concat(self.missing, ", ")
  end
  local fix = raised.hint
  if raised.sqlstate == "42501" then
    fix = raised.message:find "permission denied for database"
      and "put GRANT CREATE ON DATABASE … TO the role before its SET ROLE: rights on the database are in no dump"
      or "the schema is loaded by an owner who is no superuser: leave away what needs one"
  end
  fail(s, ("%s (SQLSTATE %s)"):format(raised.message, raised.sqlstate or "?"), { detail = detail, fix = fix })
end

function Loader:extension(s)
  local name = s.extension
  if self.admin:value("select 1 from pg_available_extensions where name = $1", name) == nil then
    if name:find "_fdw$" then return self:wrapper(name) end
    self.missing[#self.missing + 1] = name
    return self:note(("the extension %s is not there"):format(name))
  end
  if name:find "_fdw$" then return self:wrapper(name) end
  local trusted = self.admin:value("select bool_or(trusted) from pg_available_extension_versions where name = $1", name)
  if trusted then return self:run(s) end
  if not EXTENSIONS[name] then
    self.missing[#self.missing + 1] = name
    return self:note(("the extension %s reaches beyond its database, and was left out"):format(name))
  end
  return self:by_superuser(s, s.sql)
end

--- A foreign-data wrapper without a handler: its tables are there, and lead nowhere.
function Loader:wrapper(name)
  self.admin:exec(("create foreign data wrapper %s"):format(ident(name)))
  self.admin:exec(("grant usage on foreign data wrapper %s to gate_owner"):format(ident(name)))
  self:note(("the foreign-data wrapper %s has no handler here"):format(name))
end

--- Only a superuser may call a function LEAKPROOF: the owner makes it without that word.
function Loader:leakproof(s)
  local text, n = s.sql:gsub("%f[%w_][Ll][Ee][Aa][Kk][Pp][Rr][Oo][Oo][Ff]%f[^%w_]", "", 1)
  if n == 0 then return self:run(s) end
  self:run(s, text)
  local which = self.admin:value [[
    select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384 order by age(p.xmin) limit 1]]
  self:by_superuser(s, ("alter function %s leakproof"):format(which))
end

function Loader:run(s, text)
  local ok, raised = pcall(self.owner.exec, self.owner, text or s.sql)
  if MOVES_PATH[s.kind or "SelectStmt"] then self.path = nil end
  if ok then return end
  -- pg_dump sets what its own version knows.
  if s.kind == "VariableSetStmt" and errors.is(raised) and raised.sqlstate == "42704" and s.setting and not s.setting:find("%.") then
    return self:note(("%s:%d: this server does not know the setting %s"):format(s.file, s.line, s.setting))
  end
  self:refused(s, raised)
end

function Loader:role_statement(s)
  for _, text in ipairs(s.now) do self.admin:exec(text) end
  for _, text in ipairs(s.late) do self.late[#self.late + 1] = text end
  for _, text in ipairs(s.notes) do self:note(text) end
end

function Loader:transaction(s)
  if s.transaction == "TRANS_STMT_ROLLBACK" or s.transaction == "TRANS_STMT_ROLLBACK_TO" then
    fail(s, "ROLLBACK on a scratch copy: expected statements that stay", { fix = "leave it away with what it takes back" })
  end
end

function Loader:statement(s)
  local kind = s.kind
  if SILENT[kind] then return nil end
  if LEFT_OUT[kind] then
    self.left_out[#self.left_out + 1] = ("%s:%d: %s"):format(s.file, s.line, LEFT_OUT[kind])
    return nil
  end
  if kind == "TransactionStmt" then return self:transaction(s) end
  if s.role then return self:role_statement(s.role) end
  for _, r in ipairs(s.blocks or {}) do self:role_statement(r) end
  if s.extension then return self:extension(s) end
  if s.wrapper then return self:wrapper(s.wrapper) end
  if s.leakproof then return self:leakproof(s) end
  if (BY_SUPERUSER[kind] or s.owner_only) and not s.others then return self:by_superuser(s, s.sql) end
  return self:run(s)
end

--- A role that the schema does not know has no right: nothing could be found.
local function check_application(name, named)
  if name and named[name] then return end
  local list = {}
  for role in pairs(named) do list[#list + 1] = role end
  table.sort(list)
  errors.raise { code = "scratch_app_unknown",
    message = name and ("the application's role %s is nowhere in the schema: nothing would be granted to it"):format(name)
      or "which role is the application's?",
    detail = #list > 0 and ("roles that the schema names: " .. table.concat(list, ", ")) or "the schema names no role",
    fix = "give --app-role NAME, or database.app = { role = … } in gate-engine.conf.lua" }
end

--- What no OWNER TO gave away is owned by somebody whom row-level security binds. Where a superuser runs the migrations that is not so, and
--- what runs with the owner's rights leaks there.
local UNOWNED = [[
  select (select count(*) from pg_class where relkind in ('r', 'p', 'v', 'm') and relowner = 'gate_owner'::regrole)
       + (select count(*) from pg_proc where proowner = 'gate_owner'::regrole and prosecdef)]]

local SETUP = [[
  create role gate_owner login bypassrls;
  alter database scratch owner to gate_owner;
  alter role gate_owner set statement_timeout = '120s';
  alter role gate_owner set client_min_messages = 'warning']]

---@return {notes: string[], facts: table}
return function(ctx, job)
  local statements, notes, files = read_all(ctx, job)
  local named, made = survey(statements)
  local tenant = job.config.database.tenant or {}
  if not tenant[1] and not (tenant.column and tenant.setting) then
    errors.raise { code = "scratch_tenant_unknown", message = "how does the schema tell tenants apart?",
      fix = "give --tenant-column NAME and --tenant-setting NAME, or database.tenant = { column = …, setting = … } in the configuration" }
  end
  local admin = ctx.db.admin
  admin:script(SETUP)
  local self = setmetatable({ admin = admin, owner = ctx.db.owner, notes = notes, made = {}, late = {}, missing = {}, left_out = {} },
    Loader)
  self:roles(named, made)
  for _, s in ipairs(statements) do self:statement(s) end
  for _, text in ipairs(self.late) do admin:exec(text) end
  check_application(job.config.database.app_role, named)
  self.owner:close()
  admin:script "alter role gate_owner nologin nobypassrls"
  for role in pairs(named) do admin:exec(("revoke %s from gate_owner"):format(ident(role))) end
  admin:exec(("alter role %s login"):format(ident(job.config.database.app_role))) -- its logins are real here
  local unowned = admin:value(UNOWNED)
  if unowned > 0 then
    self:note(("objects without an owner: %d; they belong to a role that row-level security binds, as no superuser's would be")
      :format(unowned))
  end
  if #self.made > 0 then self:note("roles made, without a login: " .. table.concat(self.made, ", ")) end
  for _, text in ipairs(self.left_out) do self:note("left out: " .. text) end
  return { notes = json.array(notes), facts = { files = files, statements = #statements, unowned = unowned, roles = json.array(self.made),
    extensions_missing = json.array(self.missing), left_out = json.array(self.left_out) } }
end
