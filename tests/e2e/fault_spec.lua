-- Memory that runs out: each allocation of a whole run fails once, alone or with all that follow (tests/fault/sweep.lua). Whatever is not
-- as without the fault must be an error that says so: never a pass, a crash, half a report, or something left behind.
--
-- `make test` tries a sample of each sweep, `make fault` every allocation.
package.path = "tests/e2e/?.lua;tests/fault/?.lua;" .. package.path
local support = require "support"
local sweep = require "sweep"
local json = require "engine.json"

local only = os.getenv "FAULT_ONLY"

local GATE = [[
local json, hash = require "json", require "hash"
return require("gate").define {
  api = 1, id = "%s", name = "%s gate", purpose = "a test", pass = "All is well", needs = { %s },
  options = { limit = { type = "integer", default = 3, help = "a number" } },
  failures = { odd = { text = "%%s is odd", fix = "make it even" } },
  recover = function(ctx) ctx:apply("Make it even", { note = "by hand" }) end,
  run = function(ctx)
    ctx:check("json", function()
      local text = json.encode { a = { 1, 2.5, "x" }, b = json.null }
      if json.decode(text).a[2] ~= 2.5 then error("json") end
      ctx:fact("text", text)
    end)
    ctx:check("hash", function()
      ctx:fact("sum", hash.sha256("abc"))
      ctx:fact("list", { 1, 2, { x = "y" } })
    end)
    ctx:check("skipped", function() ctx:skip("no such pack", "packs.routing") end)
    ctx:check("told", function() ctx:fail("odd", { object = "seven", detail = "7 %% 2 = 1", severity = %s }) end)
    %s
    ctx:log("nearly there")
  end,
}
]]
local CONFIG = [[return { platform = "external", limits = { memory_mb = 64 },
  commands = { say = { argv = { "/bin/cat" } } } }]]

local function files(list)
  return function(dir)
    for name, text in pairs(list) do
      support.write(dir .. "/" .. name, text)
    end
  end
end

local PASSING = GATE:format("first", "First", "", '"advisory"', "")
local FAILING = GATE:format("second", "Second", "", "nil", "")
local BOTH = { ["a.lua"] = PASSING, ["b.lua"] = FAILING, ["gate-engine.conf.lua"] = CONFIG, ["pair.lua"] =
  [[return require("suite").define { api = 1, id = "pair", name = "Pair", gates = { "a.lua", "b.lua" } }]] }
local COMMANDS = GATE:format("commands", "Commands", 'commands = { "say" }', '"advisory"',
  [[ctx:check("command", function() ctx:fact("said", ctx.exec:run("say", { stdin = "hello" }).stdout) end)]])
local AUDIT = support.root .. "/examples/audits/max_two_nights.lua"
local PLAN = support.root .. "/examples/plans/night_week"
local SUNDAYS = support.root .. "/examples/audits/three_sundays.lua"
local WEEKS = support.root .. "/examples/plans/sunday_weeks"

-- The check of the installed tree is no case: with a library preloaded nothing is approved, so that it is not made.

--- The installed tree with the audit program that is linked with the library; outside of any working directory.
local function tree_for_audits()
  local dir = support.tmpdir()
  support.shell(([[mkdir -p %s/bin %s/share %s/lib/gate-engine && cp %s %s/bin/ && cp %s/tests/fault/gate-audit %s/lib/gate-engine/ &&
    cp %s/roster-solver %s/routing-solver %s/gate-recorder %s/perturb.so %s/lib/gate-engine/ &&
    ln -s %s/modules %s/lib/gate-engine/modules &&
    ln -s %s %s/share/gate-engine]]):gsub("%%s", {}):format(dir, dir, dir, support.engine, dir, support.build, dir, support.build,
    support.build, support.build, support.build, dir, support.build, dir, support.root, dir))
  return dir .. "/bin/gate-engine", dir .. "/lib/gate-engine/gate-audit"
end
local audited_engine, inner_audit = tree_for_audits()

--- What the broker sends to gate-audit.
local function audit_request(dir)
  local request = json.encode { source = support.must_read(AUDIT), path = "max_two_nights.lua", memory = 64 << 20, helpers = {} }
  local plan = support.must_read(PLAN .. "/audit-plan.json")
  return support.write(dir .. "/request", string.pack(">I4I4", #request, #plan) .. request .. plan)
end

--- gate-audit speaks frames, and exits 112 (base/mem.h) where it cannot.
local function judge_verdict(r)
  if r.code == 112 and r.stdout == "" then return nil end
  if r.code ~= 0 then return "exit " .. r.code end
  local length, rest = string.unpack(">I4I4", r.stdout)
  local verdict = json.decode(r.stdout:sub(9))
  if length ~= #r.stdout - 8 or rest ~= 0 then return "a frame that is cut off" end
  if verdict.status ~= "ERROR" or verdict.error.code ~= "out_of_memory" then return "the verdict " .. r.stdout:sub(9) end
end

local CASES = {
  { "version", { argv = { "version" }, setup = files {} } },
  { "version, the process that loads libraries", { argv = { "version" }, setup = files {}, process = 1 } },
  { "help", { argv = { "help", "run" }, setup = files {} } },
  { "list", { argv = { "list" }, setup = files {} } },
  { "doc", { argv = { "doc", "ctx" }, setup = files {} } },
  { "new gate", { argv = { "new", "gate", "mine" }, setup = files {}, before = function(dir)
    os.remove(dir .. "/work/mine.lua")
    os.remove(dir .. "/work/mine_spec.lua")
  end } },
  { "check", { argv = { "check", "a.lua" }, setup = files(BOTH) } },
  { "check, the loader", { argv = { "check", "a.lua" }, setup = files(BOTH), process = 1 } },
  { "check of a suite", { argv = { "check", "pair.lua" }, setup = files(BOTH) } },
  { "check with problems", { argv = { "check", "a.lua" }, code = 2,
    setup = files { ["a.lua"] = PASSING:gsub('ctx:log%("nearly there"%)', 'ctx.http:get("x") ctx:fail("even") undeclared = 1') } } },
  { "a passing gate", { argv = { "run", "a.lua", "--tenant", "acme" }, setup = files(BOTH) } },
  { "a passing gate, verbose and traced", { argv = { "run", "a.lua", "--tenant", "acme", "--verbose", "--trace", "--limit", "4" },
    setup = files(BOTH) } },
  { "a passing gate, the loader of the configuration",
    { argv = { "run", "a.lua", "--tenant", "acme" }, setup = files(BOTH), process = 2 } },
  { "a passing gate, its worker", { argv = { "run", "a.lua", "--tenant", "acme", "--report", "json=r.json" }, reports = { "r.json" },
    setup = files(BOTH), process = 3 } },
  { "a failing gate with a JSON report", { argv = { "run", "b.lua", "--tenant", "acme", "--report", "json=r.json" }, code = 1,
    reports = { "r.json" }, setup = files(BOTH) } },
  { "a suite with all reports", { argv = { "run", "pair.lua", "--tenant", "acme", "--report", "json=r.json", "--report", "junit=r.xml" },
    code = 1, reports = { "r.json", "r.xml" }, setup = files(BOTH) } },
  { "a suite with all reports, its second worker", { argv = { "run", "pair.lua", "--tenant", "acme", "--jobs", "1",
    "--report", "json=r.json", "--report", "junit=r.xml" }, code = 1, reports = { "r.json", "r.xml" }, setup = files(BOTH), process = 6 } },
  { "a gate with a command", { argv = { "run", "c.lua", "--tenant", "acme" },
    setup = files { ["c.lua"] = COMMANDS, ["gate-engine.conf.lua"] = CONFIG } } },
  { "a gate with a command, its worker", { argv = { "run", "c.lua", "--tenant", "acme" }, process = 3, setup =
    files { ["c.lua"] = COMMANDS, ["gate-engine.conf.lua"] = CONFIG } } },
  { "--only", { argv = { "run", "b.lua", "--tenant", "acme", "--only", "json,hash", "--report", "json=r.json" }, reports = { "r.json" },
    setup = files(BOTH) } },
  { "recover", { argv = { "recover", "b.lua", "--tenant", "acme", "--report", "json=r.json" }, reports = { "r.json" },
    setup = files(BOTH) } },
  { "recover, its worker", { argv = { "recover", "b.lua", "--tenant", "acme" }, setup = files(BOTH), process = 4 } },
  { "a configuration with errors", { argv = { "run", "a.lua", "--tenant", "acme", "--report", "json=r.json", "--report", "junit=r.xml" },
    code = 2, reports = { "r.json", "r.xml" },
    setup = files { ["a.lua"] = PASSING, ["gate-engine.conf.lua"] =
      'return { platform = "external", limitz = {}, database = { app = 3 } }' } } },
  { "a wrong flag", { argv = { "run", "a.lua", "--tenant", "acme", "--report", "json=r.json", "--tennant", "x" }, code = 2,
    reports = { "r.json" }, setup = files(BOTH) } },
  { "an audit", { argv = { "run", AUDIT, "--plan", PLAN, "--report", "json=r.json" },
    code = 1, reports = { "r.json" }, setup = files {} } },
  { "an audit, gate-audit in its run", { program = audited_engine, inside = inner_audit, argv = { "run", AUDIT, "--plan", PLAN,
    "--report", "json=r.json" }, code = 1, reports = { "r.json" }, setup = files {} } },
  { "an audit of several weeks", { argv = { "run", SUNDAYS, "--plan", WEEKS, "--report", "json=r.json" },
    code = 1, reports = { "r.json" }, setup = files {} } },
  { "an audit of several weeks, gate-audit in its run", { program = audited_engine, inside = inner_audit, argv = { "run", SUNDAYS,
    "--plan", WEEKS, "--report", "json=r.json" }, code = 1, reports = { "r.json" }, setup = files {} } },
  { "gate-audit alone", { program = support.build .. "/tests/fault/gate-audit", argv = {}, setup = files {},
    stdin = audit_request(support.tmpdir()), judge = judge_verdict } },
}

-- On a database a run takes long: fewer of them, and the state directory is looked at from above, for the server writes in it.
local RLS = { "run", "gates/rls_harness.lua", "--only", "coverage", "--report", "json=r.json" }
local AS_ROOT = io.popen("id -u"):read "n" == 0

for _, entry in ipairs {
  { "a gate on a database", { argv = RLS, samples = 6 } },
  -- a plain user's server is started without a thing being allocated: only as root does it change its user first
  { "a gate on a database, what starts its server", { argv = RLS, process = 2, samples = 3, root = true } },
  { "a gate on a database, the worker that prepares it", { argv = RLS, process = 3, samples = 3 } },
  { "a gate on a database, its worker", { argv = RLS, process = 4, samples = 5 } },
  -- its report has measured latencies: the text alone is the same in two runs
  { "the full validation", { argv = { "run", "scripts/all.lua" }, reports = {}, samples = 3 } },
} do
  local case = entry[2]
  case.setup, case.reports, case.depth = files {}, case.reports or { "r.json" }, 2
  if AS_ROOT or not case.root then CASES[#CASES + 1] = entry end
end

describe("memory that runs out", function()
  for _, entry in ipairs(CASES) do
    local name, case = entry[1], entry[2]
    if not only or name:find(only) then
      it("is an error, never a pass, a crash or half a report: " .. name, function()
        if case.inside and support.build:find "asan" then
          pending "a sanitizer's runtime stands before the library that is linked in"
          return
        end
        local problems, tried, calls = sweep.run(case)
        if os.getenv "FAULT_TRACE" then io.stderr:write(("%s: %d of %d, %d problems\n"):format(name, tried, calls, #problems)) end
        assert(#problems == 0, table.concat(problems, "\n"))
      end)
    end
  end
end)
