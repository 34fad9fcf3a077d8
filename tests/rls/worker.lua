-- Works through a share of the corpus: lua5.4 tests/rls/worker.lua TASK.json
--
-- TASK: {host, port, dir, engine, build, gate = should the gate run too?, paths = {…}, name = prefix of its databases}. One line of JSON
-- for each run of a case: {case, variant = "" or "+fix", problems = {…}, outcome, findings}.
package.path = "tests/rls/support/?.lua;" .. package.path
local file = assert(io.open(arg[1]))
local text = file:read "a"
file:close()
-- The modules' place is in the task; it has to be known before JSON can be read.
package.cpath = text:match '"build": *"([^"]*)"' .. "/modules/?.so;" .. package.cpath
local case = require "case"
local db = require "engine.db"
local json = require "engine.json"
local prove = require "prove"
local verdict = require "verdict"

local task = json.decode(text)

local function server(options)
  options.host, options.port = task.host, task.port
  return options
end

local admin = db.connect(server { dbname = "postgres", user = "postgres" })

local count = 0

local function place()
  count = count + 1
  local name = ("%s_%d"):format(task.name, count)
  admin:exec(("create database %s owner app_owner"):format(name))
  return { server = server, database = name, host = task.host, port = task.port, engine = task.engine, dir = task.dir }
end

--- Roles are the cluster's: those of a case go with its database, so that it can be built again.
local function drop(c, at)
  local made = c.head.Roles
  if not made then return end
  -- A session that was closed may still hold a replication slot.
  admin:query("select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1", at.database)
  admin:exec(("drop database %s with (force)"):format(at.database))
  for role in (made or ""):gmatch "[%w_]+" do admin:exec("drop role if exists " .. role) end
end

local function run(c, fixed)
  local out = { case = c.name, variant = fixed and "+fix" or "", problems = json.array {}, findings = json.array {} }
  local at = place()
  local ok, raised = pcall(function()
    prove.build(c, at, fixed)
    if task.gate then
      local said = verdict.run(c, at)
      out.outcome, out.status = verdict.judge(c, said, fixed), said.status
      for i, f in ipairs(said.findings) do out.findings[i] = f end
      if said.status == "NONE" then out.output = said.text end
    end
    for i, p in ipairs(prove.attack(c, at, (c.kind == "leaky" or c.kind == "advisory") and not fixed)) do out.problems[i] = p end
  end)
  local dropped, why = pcall(drop, c, at)
  for _, e in ipairs { ok or raised, dropped or why } do
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
    run(c, false)
    if c.has.fix then run(c, true) end
  end
end
