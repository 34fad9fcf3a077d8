local support = require "e2e.support"

local run = support.run

local has = support.has

local function lacks(text, ...)
  for _, part in ipairs { ... } do
    assert.is_nil(text:find(part, 1, true), ("expected no %q in:\n%s"):format(part, text))
  end
end

-- A PATH without luacheck; the tests need timeout(1).
local bare = support.tmpdir()
support.shell("ln -s $(command -v timeout) " .. bare .. "/timeout")

--- Checks one script, without luacheck.
local function check(source)
  local dir = support.tmpdir()
  support.write(dir .. "/s.lua", source)
  return run { cwd = dir, env = { PATH = bare }, "check", "s.lua" }
end

--- A gate with this head and this body of its one check.
local function gate(head, body)
  return ([[
local gate = require "gate"
return gate.define {
  api = 1, id = "s", name = "S", %s
  recover = function(ctx) ctx:apply("x", { note = "y" }) end,
  run = function(ctx)
    ctx:check("x", function()
%s
    end)
  end,
}
]]):format(head, body)
end

local ALL = 'needs = { db = { "app" }, stores = { "artifacts" }, commands = { "backup-now" }, endpoints = { "osrm" } },'

describe("check, of a script's source,", function()
  it("finds every capability that is used and not declared, by line, with the nearest name or where to add it", function()
    local r = check(gate(ALL, [[
      ctx.db.admin:query("select 1")
      ctx.db.ap:query("select 1")
      local more = ctx.db:open("operator")
      ctx.store.artefacts:put("k", "v")
      ctx.http:request { endpoint = "orsm", path = "/" }
      ctx.exec:run("backup-nwo")
      ctx.solver:solve("roster", {})
      ctx.audits:list()
      ctx:apply("t", { run = "restart" })
      return ctx.auth.api_key, more]]))
    assert.are.equal(2, r.code)
    has(r.stdout, "s.lua:7: ctx.db.admin is used, and needs does not declare it\n  fix: add \"admin\" to needs.db\n",
      's.lua:8: ctx.db.ap is used', 'fix: did you mean "app"?', "s.lua:9: ctx.db.operator is used",
      's.lua:10: ctx.store.artefacts is used', 'did you mean "artifacts"?', 's.lua:11: the endpoint "orsm" is used',
      'did you mean "osrm"?', 's.lua:12: the command "backup-nwo"', 'did you mean "backup-now"?', "s.lua:13: ctx.solver is used",
      "s.lua:14: ctx.audits is used", 's.lua:15: the command "restart"', "s.lua:16: ctx.auth is used")
    lacks(r.stdout, "ok (")
  end)

  it("follows the context under the name that run gives it", function()
    local r = check([[
return require("gate").define { api = 1, id = "s", name = "S", run = function(c)
  c:check("x", function() c.db.admin:query("select 1") end)
  local ctx2 = { db = { nothing = { query = print } } }
  ctx2.db.nothing.query()
end }
]])
    assert.are.equal(2, r.code)
    has(r.stdout, "s.lua:2: ctx.db.admin is used")
    lacks(r.stdout, "s.lua:4")
  end)

  it("finds classes of findings, options, fields and methods that do not exist", function()
    local head = 'options = { max_hours = { type = "integer", default = 1, help = "h" } }, failures = { stale = { text = "%s" } },'
    local r = check(gate(head, [[
      ctx:fail("stlae", { object = ctx.options.max_huors })
      ctx:advise("other")
      ctx:chekc("y", print)
      print(ctx.tennant, ctx.files.max_hours)
      local f = ctx.fail]]))
    assert.are.equal(2, r.code)
    has(r.stdout, "s.lua:11: note: ctx.fail is read and not called: what it is given is not checked here")
    has(r.stdout, 's.lua:7: the failure "stlae" is not declared\n  fix: did you mean "stale"?',
      's.lua:7: the option "max_huors" is not declared\n  fix: did you mean "max_hours"?', 's.lua:8: the failure "other" is not declared',
      's.lua:9: ctx has no method "chekc"\n  fix: did you mean "check"?', 's.lua:10: ctx has no field "tennant"',
      "s.lua:10: ctx.files.max_hours: expected an option of type path, found one of type integer")
  end)

  it("takes the first line of a program for no Lua", function()
    local path = support.write(support.tmpdir() .. "/first.lua", "#!/usr/bin/env -S gate-engine run\n" ..
      'return { name = "first", pack = "roster", audit = function(plan) assert(plan) end }\n')
    local r = support.run { "check", path }
    assert.are.equal(0, r.code, r.stdout)
  end)

  it("finds globals that are not there and those that are made, and takes no local for one", function()
    local r = check(gate("", [[
      total = 1
      print(misssing)
      io.open("x")
      os.execute("x")
      os.getenv("x")
      function helper() end]]))
    assert.are.equal(2, r.code)
    has(r.stdout, 's.lua:7: assignment to the global "total"\n  fix: declare it with local', 's.lua:8: scripts have no global "misssing"',
      's.lua:9: scripts have no global "io"\n  fix: declare needs = { stores = { "artifacts" } }', "s.lua:10: scripts have no os.execute",
      "s.lua:11: scripts have no os.getenv", 's.lua:12: scripts have no global "helper"')
    local fine = check(gate("", [[
      local a <const>, b = 1, 2
      local function rec(n) return n == 0 and 0 or rec(n - 1) end
      for i = 1, rec(2) do for k, v in pairs({ a = i, b = b, ["c"] = a }) do print(k, v, i) end end
      while a > 1 do local c = 1; print(c) end
      repeat local done = true until done
      if a then local x = 1; print(x) elseif b then local y = 2; print(y) else local z = 3; print(z) end
      local t = { key = 1, fn = function(q, ...) return q, ... end }
      function t.method(p) return p end
      function t:other() return self.key .. a end
      goto out
      ::out::
      print(os.time(), string.format("%%d", a), math.pi, table.unpack(t), utf8.char(65), _VERSION, t.io, t.missing)]]))
    assert.are.equal(0, fine.code, fine.stdout)
    has(fine.stdout, "s.lua: ok (gate s)")
  end)

  it("holds audits to what audits have", function()
    local r = check('return { name = "A", pack = "roster", audit = function(plan, report)\n'
      .. '  return os.time(), math.random(), plan, report\nend }\n')
    assert.are.equal(2, r.code)
    has(r.stdout, 's.lua:2: audits have no global "os"', "s.lua:2: audits have no math.random")
  end)

  it("holds audits to the earlier weeks that they ask for", function()
    local function audit(head, body)
      return check('return { name = "A", pack = "roster",\n' .. head .. "\naudit = function(p, report)\n" .. body .. "\nend }\n")
    end
    for _, use in ipairs { "return p.history[1]", "local q = p return q.history", 'return p["history"]',
      "local function weeks(plan) return plan.history end return weeks(p)" } do
      local r = audit("", "local week = p.week\nreport:violation(week)\n" .. use)
      assert.are.equal(2, r.code, use)
      has(r.stdout, "s.lua:6: plan.history is used, and needs.history is not declared\n  fix: add needs = { history = 2 }")
    end
    local r = audit("", "local roster = require 'roster'\nreturn report, roster.weeks_before(p, 1)")
    assert.are.equal(2, r.code)
    has(r.stdout, "s.lua:5: roster.weeks_before is used, and needs.history is not declared")
    for _, use in ipairs { "return p.history, report", "return require('roster').weeks_before(p, 1), report",
      "local function walk(v) return v end return walk(p), report", "local q = p return q.history, report" } do
      assert.are.equal("s.lua: ok (audit s)\n", audit("needs = { history = 2 },", use).stdout, use)
    end
    assert.are.equal("s.lua: ok (audit s)\n", audit("", "local calendar = {} return calendar.history, p, report").stdout)
    for _, use in ipairs { "return p.week, report", "local roster = require 'roster' return roster.by_driver(p), report" } do
      local idle = audit("needs = { history = 2 },", use)
      assert.are.equal(0, idle.code)
      has(idle.stdout, 's.lua:2: note: the need "history" is declared and not used', "s.lua: ok (audit s)")
    end
    for value, found in pairs { ["0"] = "0", ["-1"] = "-1", ["1e9"] = "1000000000", ['"2"'] = '"2"', ["{}"] = "an empty table" } do
      r = audit("needs = { history = " .. value .. " },", "return p.history, report")
      assert.are.equal(2, r.code)
      has(r.stdout, "s.lua:2: needs.history: expected a whole number from 1 to 8, found " .. found)
    end
    r = check('return { name = "A", pack = "routing",\nneeds = { history = 2 }, audit = function(p) return p.history end }\n')
    assert.are.equal(2, r.code)
    has(r.stdout, 's.lua:2: needs.history: expected no history for an audit of pack "routing"', "fix: remove needs.history")
  end)

  it("knows what operations have that gates have not, and the other way round", function()
    local function operation(body)
      return check(([[
return require("operation").define {
  api = 1, id = "s", name = "S", failures = { rule = { text = "no" } },
  run = function(ctx)
    %s
  end,
}
]]):format(body))
    end
    local r = operation [[ctx:step("a", function() ctx.db.operator:exec("x") end)
    ctx:refuse("rlue")
    ctx:refuze("rule")
    ctx:apply("t", { run = "x" })]]
    assert.are.equal(2, r.code)
    has(r.stdout, 's.lua:4: ctx.db.operator is used, and needs does not declare it\n  fix: add "operator" to needs.db',
      's.lua:5: the failure "rlue" is not declared\n  fix: did you mean "rule"?',
      's.lua:6: ctx has no method "refuze"\n  fix: did you mean "refuse"?',
      "s.lua:7: ctx:apply belongs to recover: an operation changes things itself\n  fix: do it inside ctx:step")
    lacks(r.stdout, "takes no step", "ctx:step belongs", "the gate has no recover")
    r = operation [[if ctx.options then ctx:refuse("rule") end ctx:unchanged("so")]]
    assert.are.equal(0, r.code, r.stdout)
    has(r.stdout, "note: the operation takes no step", "s.lua: ok (operation s)")
    r = check(gate("", "      ctx:step('a', print) ctx:refuse('x') ctx:unchanged('y')"))
    assert.are.equal(2, r.code)
    has(r.stdout, "s.lua:7: ctx:step belongs to operations", "ctx:refuse belongs to operations", "ctx:unchanged belongs to operations")
    r = check('return require("operation").define { api = 1, id = "s", name = 7, recover = print, tenant = "some" }\n')
    assert.are.equal(2, r.code)
    has(r.stdout, "s.lua:1: name: expected", "s.lua:1: recover: ", "tenant: expected", "run: expected")
  end)

  it("notes what is declared and not used and a gate without recover, and does not fail for it", function()
    local r = check('local gate = require "gate"\nreturn gate.define { api = 1, id = "s", name = "S",\n' .. ALL .. '\n'
      .. 'options = { idle = { type = "string", help = "i" } }, failures = { never = { text = "x" } },\n'
      .. "run = function(ctx) ctx:check('x', function() end) end }\n")
    assert.are.equal(0, r.code, r.stdout)
    has(r.stdout, 's.lua:3: note: the role "app" is declared and not used', 'note: the store "artifacts"', 'note: the command "backup-now"',
      'note: the endpoint "osrm"', 's.lua:4: note: the option "idle" is declared and not used',
      's.lua:4: note: the failure "never" is declared and never raised', "note: the gate has no recover", "s.lua: ok (gate s)")
  end)

  it("finds an option that nobody reads, though its name stands elsewhere as a word", function()
    local head = 'local gate = require "gate"\nreturn gate.define { api = 1, id = "s", name = "S", recover = print,\n'
      .. 'options = { depth = { type = "integer", default = 1, help = "depth" } }, failures = { x = { text = "x" } },\n'
    local r = check(head .. 'run = function(ctx) ctx:check("x", function() ctx:fail("x", { detail = "depth" }) end) end }\n')
    has(r.stdout, 's.lua:3: note: the option "depth" is declared and not used', "s.lua: ok")
    for _, body in ipairs { "local o = ctx.options; return o.depth",
      "for k in pairs(ctx.options) do print(k) end", "return ctx['options'].depth",
      "return look(ctx)" } do
      r = check("local look = setmetatable({}, { __call = function(_, c) return c.options.depth end })\n" .. head
        .. 'run = function(ctx) ctx:check("x", function() print(look); ' .. body .. " end) end }\n")
      lacks(r.stdout, "is declared and not used")
    end
  end)

  it("takes for used what a module uses, or what is reached through another variable", function()
    local dir = support.tmpdir()
    support.write(dir .. "/s.lua", [[
local gate = require "gate"
local helper = require "helper"
local CLASS = { bad = "wrong_answer" }
return gate.define { api = 1, id = "s", name = "S",
  needs = { db = { "app", "admin" } }, options = { depth = { type = "integer", default = 1, help = "d" } },
  failures = { wrong_answer = { text = "x" }, from_module = { text = "y" } },
  recover = function(ctx) ctx:apply("x", { note = "y" }) end,
  run = function(ctx)
    local options = ctx.options
    for _, role in ipairs { "app" } do print(ctx.db[role]) end
    ctx:check("x", function() helper.look(ctx); if options.depth > 3 then ctx:fail(CLASS.bad) end end)
  end }
]])
    support.write(dir .. "/helper.lua", 'return { look = function(c) if not c.db.admin then c:fail("from_module") end end }\n')
    local r = run { cwd = dir, env = { PATH = bare }, "check", "s.lua" }
    assert.are.equal("s.lua: ok (gate s)\n", r.stdout)
  end)

  it("has nothing to say of what is installed, nor of the examples", function()
    local scripts = { "check" }
    for path in io.popen("ls gates/*.lua scripts/*.lua examples/gates/*.lua examples/operations/*.lua"):lines() do
      scripts[#scripts + 1] = support.root .. "/" .. path
    end
    local r = run { argv = scripts, env = { PATH = bare } }
    assert.are.equal(0, r.code, r.stdout)
    assert.is_nil(r.stdout:find("%.lua:%d"), r.stdout)
  end)

  it("adds what luacheck says where it is installed, as notes, whatever its configuration in the working directory", function()
    local dir = support.tmpdir()
    local bin = support.tmpdir()
    support.write(dir .. "/.luacheckrc", "error('read')\n")
    support.write(dir .. "/s.lua", gate("", "      local idle = 1"))
    if os.execute("command -v luacheck >/dev/null") then
      local r = run { cwd = dir, "check", "s.lua" }
      assert.are.equal(0, r.code, r.stdout)
      has(r.stdout, "s.lua:7: note: luacheck, column 13-16: unused variable 'idle'", "s.lua: ok (gate s)")
    end
    -- One that never says anything, and one that is none, change nothing.
    support.write(bin .. "/luacheck", "#!/bin/sh\nexit 7\n")
    support.shell("chmod 755 " .. bin .. "/luacheck")
    local r = run { cwd = dir, env = { PATH = bin .. ":/usr/bin:/bin" }, "check", "s.lua" }
    assert.are.equal(0, r.code)
    assert.are.equal("s.lua: ok (gate s)\n", r.stdout)
  end)
end)
