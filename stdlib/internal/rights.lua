--- What the configuration's connections may do, for `gate-engine check --connect`: server, TLS, pooler, and the rights that gate 1 needs
--- for each kind of probe. Reads the catalogue, and opens two connections to see whether a pooler is in between.
local json = require "engine.json"
local errors = require "internal.raise"
local pooler = require "rls.pooler"
local releases = require "rls.releases"

local function ident(name) return '"' .. name:gsub('"', '""') .. '"' end

local Report = {}
Report.__index = Report

function Report:say(format, ...) self.lines[#self.lines + 1] = format:format(...) end
function Report:problem(text, fix) self.problems[#self.problems + 1] = { text = text, fix = fix } end

--- Server's version, and what it leaves open.
local function version(report, conn)
  local number = conn:value "select current_setting('server_version_num')::integer"
  local major, minor = number // 10000, number % 10000
  report:say("server: PostgreSQL %d.%d", major, minor)
  for _, hole in ipairs(releases.HOLES) do
    local fixed = hole.fixed[major]
    if fixed and not releases.is_closed(hole, number) then
      report:say("warning: %s (%s): closed in %d.%d", hole.what, hole.cve, major, fixed)
    end
  end
  if major < 14 then report:say("warning: PostgreSQL %d gets no fixes any more", major) end
  return number
end

local function tls(report, name, conn, pooled)
  local row = conn:row [[select s.ssl, s.version, s.cipher, inet_client_addr() is null as socket from pg_stat_activity a
    left join pg_stat_ssl s on s.pid = a.pid where a.pid = pg_backend_pid()]]
  local to = pooled and "between the pooler and the server" or "to the server"
  if row and row.ssl then
    report:say("%s: TLS %s: %s, %s", name, to, row.version, row.cipher)
  elseif row and row.socket then
    report:say("%s: %s: a unix socket", name, to)
  elseif not row or row.ssl == nil then
    report:say("%s: %s: TLS or none, as its login has: after SET ROLE the server does not tell", name, to)
  else
    report:say("%s: %s: no TLS; sslmode=verify-full in the URL asks for it", name, to)
  end
end

local function about_pooler(report, name, mode, assumes)
  report:say("%s: a pooler is in between, in %s mode", name, mode)
  if mode == "session" then return end
  if name == "admin" or assumes then
    report:problem(pooler.refusal(name, mode))
  else
    report:say("%s: a tenant that is set for the session reaches the pool's next client: set_config(…, true) in each transaction", name)
  end
end

--- The tables that canaries go into: those with a tenant column, those whose foreign keys lead there, and the tables of the tenants.
local TABLES = [[
  with recursive own(oid, num) as (
    select a.attrelid, a.attnum from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where a.attname = any($1::text[]) and not a.attisdropped and c.relkind in ('r', 'p') and n.nspname !~ '^pg_'
       and n.nspname <> 'information_schema'
  ), reach(oid) as (
    select oid from own
    union select f.conrelid from pg_constraint f join reach on f.confrelid = reach.oid where f.contype = 'f'
  ), needed(oid) as (
    select oid from reach
    union select f.confrelid from pg_constraint f join own on own.oid = f.conrelid where f.contype = 'f' and f.conkey = array[own.num]
  )
  select c.oid::text as oid, n.nspname as schema, c.relname as name, pg_get_userbyid(c.relowner) as owner, c.relforcerowsecurity as forced,
         c.relrowsecurity as rls, has_schema_privilege(n.oid, 'USAGE') as usage, has_table_privilege(c.oid, 'SELECT') as reads,
         has_table_privilege(c.oid, 'INSERT') as inserts, pg_has_role(c.relowner, 'USAGE') as owns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid in (select oid from needed) order by 2, 3]]

local function columns(tenant)
  local out = {}
  for _, axis in ipairs(tenant[1] and tenant or { tenant }) do out[#out + 1] = axis.column end
  return out
end

local function listed(names)
  local shown = table.concat(names, ", ", 1, math.min(5, #names))
  return #names > 5 and ("%s and %d more"):format(shown, #names - 5) or shown
end

--- What keeps canaries from being written: {text, fix}, nil where nothing does.
local function full_blockers(tables, me)
  local grants, bound = {}, {}
  for _, t in ipairs(tables) do
    local name = ("%s.%s"):format(ident(t.schema), ident(t.name))
    if not (t.usage and t.reads and t.inserts) then grants[#grants + 1] = name end
    local free = me.super or me.bypass or not t.rls or (t.owns and not t.forced)
    if not free then bound[#bound + 1] = name end
  end
  local out = {}
  if #grants > 0 then
    out[#out + 1] = { ("%s may not read and insert: %s"):format(me.name, listed(grants)),
      ("grant select, insert, update, delete on %s to %s"):format(listed(grants), ident(me.name)) }
  end
  if #bound > 0 then
    out[#out + 1] = { ("row-level security binds %s, so that it can write one tenant's canaries only as far as policies let it: %s")
      :format(me.name, listed(bound)), ("alter role %s bypassrls"):format(ident(me.name)) }
  end
  return out
end

--- The kinds of probe that the admin's rights allow.
local function modes(report, conn, app, tenant, number)
  local me = conn:row "select rolname as name, rolsuper as super, rolbypassrls as bypass from pg_roles where rolname = current_user"
  report:say("admin is %s%s", me.name, me.super and ", a superuser" or me.bypass and ", with BYPASSRLS" or ", no superuser")
  local tables = conn:query(TABLES, require("engine.db").array(columns(tenant), "text"))
  if #tables == 0 then
    report:problem(("no table that %s sees has the column %s"):format(me.name, table.concat(columns(tenant), ", ")),
      "check database.tenant.column and the database's name")
    return
  end
  report:say("tenants' tables: %d", #tables)
  report:say("static (catalogue): yes")
  local may = me.super or conn:value(("select pg_has_role($1, '%s')"):format(number >= 160000 and "SET" or "MEMBER"), app)
  if not may then
    report:say("read: no")
    report:say("full: no")
    report:problem(("%s may not assume the application's role %s: nothing can be probed"):format(me.name, app),
      ("grant %s to %s"):format(ident(app), ident(me.name)))
    return
  end
  report:say("read (as %s): yes", app)
  local blockers = full_blockers(tables, me)
  if conn:value "select pg_is_in_recovery()" then
    table.insert(blockers, 1, { "the server is a standby, where no canary can be written",
      "give database.admin the primary's address, or ask for no more with --probe read" })
  end
  report:say("full (canaries): %s", #blockers == 0 and "yes" or "no")
  for _, b in ipairs(blockers) do report:problem(b[1], b[2]) end
  if not me.super then
    report:say("under SET ROLE session_user stays %s: policies that test it are seen as a superuser alone", me.name)
  end
end

---@return {lines: string[], problems: {text: string, fix: string}[]}
return function(ctx, job)
  local report = setmetatable({ lines = json.array {}, problems = json.array {} }, Report)
  local number, who = nil, {}
  for _, name in ipairs(job.input.roles) do
    local spec = job.db[name]
    if spec.missing and name == "operator" then
      report:say("operator: %s is not defined: needed to apply what recover proposes", spec.missing)
    elseif spec.missing then
      report:problem(("%s is not defined"):format(spec.missing), ("add %s to gate-engine.conf.lua"):format(spec.missing))
    else
      local ok, conn = pcall(function() return ctx.db[name] end)
      if not ok then
        local raised = errors.is(conn) and conn or { message = tostring(conn) }
        if spec.role and raised.code == "db_permission" and job.input.gate1 then
          who[name] = spec.role -- which grant is missing, the probe's rights say
        else
          report:problem(("%s: %s%s"):format(name, raised.message, raised.detail and ": " .. raised.detail or ""),
            spec.role and raised.code == "db_permission" and ("grant %s to the role that logs in"):format(ident(spec.role))
              or raised.fix or ("check database.%s"):format(name))
        end
      else
        number = number or version(report, conn)
        who[name] = conn:value "select current_user::text"
        local mode = pooler.mode(conn, function() return ctx.db:open(name) end)
        tls(report, name, conn, mode ~= nil)
        if mode then about_pooler(report, name, mode, spec.role) end
      end
    end
  end
  if job.input.gate1 and who.admin and who.app then
    if who.app == who.admin then
      report:problem(("admin and app are the same role, %s"):format(who.app), "give database.app the role that the application works as")
    end
    local tenant = job.config.database.tenant or {}
    if tenant[1] or tenant.column then
      modes(report, ctx.db.admin, who.app, tenant, number)
    else
      report:problem("database.tenant.column is not defined", "add database.tenant = { column = …, setting = … }")
    end
  end
  return { lines = report.lines, problems = report.problems }
end
