-- Works through a share of the corpus: lua5.4 tests/rls/worker.lua TASK.json
--
-- TASK: {host, port, dir, engine, build, gate = should the gate run too?, mutate = only the mutation score of what holds, paths = {…},
-- name = prefix of its databases}. One line of JSON for each run of a case: {case, variant = "" or "+fix", closed = does the server close
-- the leak?, problems = {…}, outcome, finds = {outcome, …}, findings, mutation}.
package.path = "tests/rls/support/?.lua;" .. package.path
local file = assert(io.open(arg[1]))
local text = file:read "a"
file:close()
-- The modules' place is in the task; it has to be known before JSON can be read.
package.cpath = text:match '"build": *"([^"]*)"' .. "/modules/?.so;" .. package.cpath
local case = require "case"
local db = require "engine.db"
local json = require "engine.json"
local mutation = require "mutation"
local paste = require "paste"
local prove = require "prove"
local verdict = require "verdict"

local task = json.decode(text)

local function server(options)
  options.host, options.port = task.host, task.port
  return options
end

local admin = db.connect(server { dbname = "postgres", user = "postgres" })
admin:exec(("create database %s owner app_owner"):format(task.name))
local super = db.connect(server { dbname = task.name, user = "postgres" })

local version = super:value "select current_setting('server_version_num')::integer"

local count = 0

--- What was pasted of the leaks of a case, by its name: the same is pasted where they are closed.
local leaks = {}

--- Pastes what the findings have to reproduce them.
local function paste_all(c, at, findings, fixed)
  for _, f in ipairs(findings) do
    if f.reproduce then
      f.pasted = paste.run(at, at.base, f.reproduce, f.detail or "")
      if not fixed and f.status == "FAIL" and verdict.is_about(c, f) then
        leaks[c.name] = leaks[c.name] or {}
        table.insert(leaks[c.name], f)
      end
    end
  end
end

--- Pastes again, where the leaks are closed, what showed them. Those that are shown still.
local function still_shown(c, at)
  local out = json.array {}
  for _, f in ipairs(leaks[c.name] or {}) do
    local again = paste.run(at, at.base, f.reproduce, f.detail or "")
    if f.pasted.shown and paste.still(f.pasted, again, f.reproduce) then
      out[#out + 1] = { class = f.class, object = f.object, reproduce = f.reproduce, out = again.out }
    end
  end
  return out
end

local function place()
  count = count + 1
  return { server = server, database = task.name, host = task.host, port = task.port, engine = task.engine,
    base = ("%s/%s_%d"):format(task.dir, task.name, count), dir = task.dir }
end

--- Releases before 15 let everybody make objects in the schema public, and those before 14 have no role for a database's owner.
local PUBLIC = version >= 140000 and "pg_database_owner" or "app_owner"
if version < 150000 then
  super:script(("revoke create on schema public from public; alter schema public owner to %s"):format(PUBLIC))
end

--- A database is emptied, which takes a fraction of the time that CREATE DATABASE takes.
local EMPTY = [[
  drop owned by app_user cascade;
  drop owned by app_owner cascade;
  do $$
  declare o record;
  begin
    for o in select format('publication if exists %I', pubname) as what from pg_publication
      union all select format('extension if exists %I cascade', extname) from pg_extension where extname <> 'plpgsql'
      union all select format('server if exists %I cascade', srvname) from pg_foreign_server
      union all select format('schema if exists %I cascade', nspname) from pg_namespace
        where nspname !~ '^pg_' and nspname <> 'information_schema'
    loop
      execute 'drop ' || o.what;
    end loop;
    perform lo_unlink(oid) from pg_largeobject_metadata;
  end $$;
  create schema public authorization {owner};
  grant usage on schema public to public;]]

local EMPTY_FOR = EMPTY:gsub("{owner}", PUBLIC)

--- What is in a database of which nothing was made yet, and in one that was emptied.
local LEFT = [[
  select string_agg(what, ', ') from (
    select 'relation ' || oid::regclass::text as what from pg_class where oid >= 16384
    union all select 'function ' || oid::regprocedure::text from pg_proc where oid >= 16384
    union all select 'type ' || oid::regtype::text from pg_type where oid >= 16384
    union all select 'schema ' || nspname from pg_namespace where oid >= 16384 and nspname <> 'public' and nspname !~ '^pg_(toast_)?temp'
    union all select 'default privileges' from pg_default_acl
    union all select 'large object ' || oid::text from pg_largeobject_metadata
    union all select 'rights on ' || oid::regclass::text from pg_class where oid < 16384 and relacl::text like '%app_user%'
    union all select 'slot ' || slot_name from pg_replication_slots where database = current_database()) x]]

--- Ends the other sessions; with a time to wait for each of them where the server can.
local OTHERS = ("select pg_terminate_backend(pid%s) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()"):format(
  version >= 140000 and ", 10000" or "")

--- Sessions that were closed may still be on their way out, with what they hold.
local function empty(c)
  super:query(OTHERS, task.name)
  for role in (c.head.Roles or ""):gmatch "[%w_]+" do
    if super:value("select 1 from pg_roles where rolname = $1", role) then
      super:script(("drop owned by %s cascade; drop role %s"):format(role, role))
    end
  end
  super:script(EMPTY_FOR)
  local left = super:value(LEFT)
  if left then error("the case leaves behind: " .. left, 0) end
end

local function run(c, fixed)
  local left_out = case.left_out(c, version, fixed)
  if left_out then
    io.write(json.encode { case = c.name, variant = fixed and "+fix" or "", left_out = left_out, problems = json.array {},
      findings = json.array {} }, "\n")
    return
  end
  local out = { case = c.name, variant = fixed and "+fix" or "", problems = json.array {}, findings = json.array {},
    closed = case.is_closed(c, version), about = c.classes }
  for _, find in ipairs(c.finds) do
    for class in pairs(find.classes) do out.about[class] = true end
  end
  local at, shut = place(), fixed or out.closed
  local ok, raised = pcall(function()
    prove.build(c, at, fixed)
    if task.mutate then
      out.mutation = mutation.run(c, at)
      return
    end
    if task.gate then
      local said = verdict.run(c, at)
      out.outcome, out.finds = verdict.judge(c, said, shut)
      json.array(out.finds)
      for i, f in ipairs(said.findings) do out.findings[i] = f end
      paste_all(c, at, said.findings, fixed)
      if fixed then
        out.still, out.again = still_shown(c, at), #(leaks[c.name] or {})
      end
      if said.status == "NONE" then out.output = said.text end
    end
    for i, p in ipairs(prove.attack(c, at, shut)) do out.problems[i] = p end
  end)
  local emptied, why = pcall(empty, c)
  for _, e in ipairs { ok or raised, emptied or why } do
    if e ~= true then out.problems[#out.problems + 1] = type(e) == "table" and e.message or tostring(e) end
  end
  io.write(json.encode(out), "\n")
  io.flush()
end

for _, path in ipairs(task.paths) do
  local ok, c = pcall(case.read, path)
  if not ok then
    local name = path:match "([^/]+/[^/]+)%.sql$"
    io.write(json.encode { case = name, variant = "", problems = { tostring(c) }, findings = json.array {} }, "\n")
  else
    if not task.mutate or c.kind == "clean" then run(c, false) end
    if c.has.fix then run(c, true) end
  end
end
