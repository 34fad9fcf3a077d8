-- What a person is told of a bug in a script: where, the line, the types of what stands in it, and never a traceback.
local json = require "engine.json"
local support = require "e2e.support"

local run = support.run

local has = support.has

--- Each: the body of a check, what is said of it, and the types told (nil: none, since the message names the value).
local BUGS = {
  { "local hours\n      return hours > ctx.options.max", "attempt to compare number with nil", "(hours: nil, ctx.options.max: number)" },
  { "local row = { a = 'x' }\n      return row.a < row.b", "attempt to compare string with nil", "(row.a: string, row.b: nil)" },
  { "local row = {}\n      return   row.total + 1", "attempt to perform arithmetic on a nil value (field 'total')", "(row.total: nil)" },
  { "local s = 'a'\n      return s + 1", "attempt to add a 'string' with a 'number'", "(s: string)" },
  { "local t = {}\n      return 'x' .. t", "attempt to concatenate a table value (local 't')", "(t: table)" },
  { "local f = {}\n      return f(1)", "attempt to call a table value (local 'f')", nil },
  { "local n\n      return #n", "attempt to get length of a nil value (local 'n')", "(n: nil)" },
  { "local n\n      return n.x", "attempt to index a nil value (local 'n')", "(n: nil)" },
  { "return ctx.tenant.nothing.x", "attempt to index a nil value (field 'nothing')", "(ctx.tenant.nothing: nil)" },
  { "local rows, i = { {} }, 2\n      return rows[i].x", "attempt to index a nil value (field '?')", "(rows[i]: nil, i: number)" },
  { "local rows, i = { {} }, 1\n      return rows[i].a.b", "attempt to index a nil value (field 'a')", "(rows[i].a: nil, i: number)" },
  { "local n = 3\n      n.x = 1", "attempt to index a number value (local 'n')", "(n: number)" },
  { "local n\n      return n:lower()", "attempt to index a nil value (local 'n')", "(n: nil)" },
  { "local w = coroutine.wrap(function() local q; return q.y end)\n      w()", "attempt to index a nil value (local 'q')", nil },
  { "coroutine.yield(1)", "attempt to yield from outside a coroutine", nil, fix = "task.map(list, n, fn)" },
  { "ctx:log('%d rows', 'x')", "ctx:log: bad argument #2 to 'string.format' (number expected, got string)", nil, fix = "%s takes any" },
  { "ctx:log(nil, 3)", "ctx:log: expected a format of string.format before its values, got nothing", nil },
  { "ctx:summary()", "ctx:summary: expected a text, got nothing", nil },
  { "ctx:fact(nil, 3)", "ctx:fact: expected a name, got nothing", nil },
  { "ctx:fact('f', print)", "a function at value", nil, fix = "give nil, booleans" },
  { "ctx:skip()", "ctx:skip: expected a reason, got nothing", nil },
  { "ctx:check('y')", "ctx:check: expected a name and a function, got string and nil", nil, fix = "write ctx:check(" },
  { "ctx:check('y', print, 'group')", "ctx:check: expected a table of options after the function, got \"group\"", nil },
  { "ctx:check('y', print, { gruop = 'x' })", "ctx:check: unknown option \"gruop\"", nil, fix = 'did you mean "group"?' },
  { "ctx:fail('stale', 'object')", "ctx:fail: expected a table of fields after the class, got \"object\"", nil,
    fix = 'write ctx:fail("stale", { object = … })' },
  { "ctx:advise('stale', 'object')", "ctx:fail: expected a table of fields after the class, got \"object\"", nil },
  { "ctx:fail('stale', { args = 'x' })", "ctx:fail: args: expected a list, got \"x\"", nil },
  { "ctx:fail('stale', { severity = 'high' })", 'ctx:fail: severity: expected "leak", "advisory" or "note", got "high"', nil },
  { "ctx:fail('stlae')", "ctx:fail: \"stlae\" is not a class of this script's failures", nil, fix = 'did you mean "stale"?' },
  { "ctx:fail()", "ctx:fail: nothing is not a class of this script's failures", nil },
  { "ctx.solver:solve(nil, {})", "ctx.solver:solve: expected the name of a pack, got nothing", nil },
  { "ctx.solver:solve('roster', { a = print })", "a function at a", nil, fix = "give nil, booleans" },
  { "ctx.solver:solve('roster', { nothing = 1 })", 'request: unknown key "nothing"', nil },
  { "ctx.audits:run(1, print)", "ctx.audits:run: expected an audit's id and a plan, got 1 and a function", nil },
  { "ctx.db.open('admin')", "ctx.db.open is a method: expected a call with a colon, found one with a dot", nil },
  { "return ctx.db.admin:qurey('select 1')", "attempt to call a nil value (method 'qurey')", nil },
  { "local n\n      for i = 1, n do print(i) end", "bad 'for' limit (number expected, got nil)", "(n: nil)" },
  { "local n, t = nil, {}\n      t[n] = 1", "table index is nil", "(n: nil)" },
  { "local t = { 3, 'a' }\n      table.sort(t)", "attempt to compare string with number", "(t: table)" },
  { "return helper.compare(nil)", "attempt to compare number with nil",
    "(hours: nil, max: number)", "helper.lua:4", "return hours >= max" },
  { "return helper.upvalue()", "attempt to perform arithmetic on a nil value (upvalue 'limit')", "(limit: nil)", "helper.lua:6",
    "function M.upvalue() return limit + 1 end" },
  { "return later.look()", "attempt to index a nil value (local 'q')", "(q: nil)", "later.lua:3", "return q.y" },
  { "ctx.db.admin:transaction(function(tx) local q; return tx, q.y end)", "attempt to index a nil value (local 'q')", nil },
  { "require('task').map({ 1 }, 1, function() local q; return q.y end)", "attempt to index a nil value (local 'q')", nil },
  { "return undefined_thing", "undeclared global 'undefined_thing'", nil },
  { "error 'in words'", "in words", nil },
  { "local no\n      assert(no, 'none there')", "none there", nil },
  { "error { code = 'mine', message = 'said so' }", "said so", nil },
  { "ctx.check('x', print)", "ctx.check is a method: expected a call with a colon, found one with a dot", nil },
  { "ctx.db.admin.query('select 1')", "connection:query: expected gate.db.connection (call it with a colon), got string", nil },
  { "ctx.http:request { endpoint = 'x' }", "ctx.http is not declared by this script", nil },
  { "ctx.store.x:get('a')", "ctx.store.x is not declared by this script", nil },
  { "ctx.db.app:query('select 1')", "ctx.db.app is not declared by this script", nil },
  { "ctx:fail('stale', { objetc = 'x' })",
    "expected object, args, detail, fix, reproduce, severity or basis, found objetc", nil },
}

local function script()
  local parts = { [[
local gate = require "gate"
local helper = require "helper"
return gate.define {
  api = 1, id = "bugs", name = "Bugs", needs = { db = { "admin" }, solver = true, audits = true },
  options = { max = { type = "integer", default = 3 } }, failures = { stale = { text = "stale" } },
  run = function(ctx)
    local later = require "later"
    print(helper, later)
]] }
  local line, at = 9, {}
  for i, bug in ipairs(BUGS) do
    local body = bug[1]
    parts[#parts + 1] = ("    ctx:check(%q, function()\n      %s\n    end)\n"):format("bug " .. i, body)
    local _, breaks = body:gsub("\n", "")
    at[i] = line + 1 + breaks
    line = line + 3 + breaks
  end
  parts[#parts + 1] = [[
    local nothing
    nothing.field = 1
  end,
  recover = function(_, findings)
    local n
    return findings[1].check .. n
  end,
}
]]
  return table.concat(parts), at
end

--- Runs a gate whose one check has this body.
local function check_of(body)
  local dir = support.tmpdir()
  support.write(dir .. "/one.lua", ([[return require("gate").define { api = 1, id = "one", name = "One", purpose = "p", pass = "fine",
    failures = { stale = { text = "stale", fix = "f" } }, recover = function(ctx) ctx:apply("x", { note = "n" }) end,
    run = function(ctx) ctx:check("only", function() %s end) end }]]):format(body))
  return run { cwd = dir, "run", "one.lua" }
end

describe("a bug in a script", function()
  local dir, at, checks, result = support.tmpdir(), nil, {}, nil

  setup(function()
    local source
    source, at = script()
    support.write(dir .. "/bugs.lua", source)
    support.write(dir .. "/helper.lua", "local M, limit = {}, nil\nfunction M.compare(hours)\n  local max = 3\n  return hours >= max\nend\n"
      .. "function M.upvalue() return limit + 1 end\nreturn M\n")
    support.write(dir .. "/later.lua", "return { look = function()\n  local q\n  return q.y\nend }\n")
    result = run { cwd = dir, "run", "bugs.lua", "--report", "json=r.json" }
    for _, check in ipairs(json.decode(support.must_read(dir .. "/r.json")).gates[1].checks) do checks[check.name] = check end
  end)

  it("makes each check an ERROR, with one line of text and no traceback", function()
    assert.are.equal(1, result.code, result.stderr)
    assert.is_nil((result.stdout .. result.stderr):find("traceback", 1, true))
    assert.is_nil((result.stdout .. result.stderr):find(dir, 1, true), "files are named from where one stands")
  end)

  for i, bug in ipairs(BUGS) do
    it("is told with its place, line and types: " .. bug[2] .. " #" .. i, function()
      local check = assert(checks["bug " .. i])
      local place = bug[4] or "bugs.lua:" .. at[i]
      local line = bug[5] or bug[1]:match "([^\n]*)$":gsub("^%s+", "")
      has(check.failure, bug[2])
      if bug.fix then has(check.fix, bug.fix) end
      assert.is_nil((check.failure .. check.detail):find("stdlib/", 1, true))
      assert.is_nil(check.failure:find("(bugs.lua:%d+: )%1"))
      assert.is_truthy(check.status == "ERROR" or check.status == "FAIL")
      assert.are.equal(("%s: `%s`%s"):format(place, line, bug[3] and " " .. bug[3] or ""), check.detail)
    end)
  end

  it("is a check that hands back false, a text, or nil and a reason, without a finding", function()
    for body, shown in pairs { ["return false"] = "false", ["return 'failed'"] = '"failed"', ["return nil, 'row 7 is odd'"] = "nothing",
      ["return setmetatable({}, { __eq = print }) == nil"] = "false" } do
      local r = check_of(body)
      assert.equal(3, r.code, r.stdout)
      has(r.stdout, "returned " .. shown .. ": a check passes unless it says what is wrong", "call ctx:fail with a class of failures")
    end
    for _, body in ipairs { "return true", "return nil", "return 0, 'x'", "return", "" } do
      assert.equal(0, check_of(body).code, body)
    end
  end)

  it("is told outside of a check too, and in recover", function()
    has(result.stdout, "attempt to index a nil value (local 'nothing')", ": `nothing.field = 1` (nothing: nil)\n")
    local r = run { cwd = dir, "recover", "bugs.lua" }
    assert.are.equal(3, r.code)
    has(r.stderr, "attempt to concatenate a nil value (local 'n')", "`return findings[1].check .. n` (findings[1].check: string, n: nil)")
    assert.is_nil((r.stdout .. r.stderr):find("traceback", 1, true))
  end)

  it("shows types and no values, which are data of tenants", function()
    support.write(dir .. "/secret.lua", [[
return require("gate").define { api = 1, id = "secret", name = "Secret", run = function(ctx)
  ctx:check("x", function()
    local name = "Erika Mustermann"
    return name < 5
  end)
end }
]])
    local r = run { cwd = dir, "run", "secret.lua" }
    assert.are.equal(3, r.code)
    has(r.stdout, "secret.lua:4: `return name < 5` (name: string)")
    assert.is_nil((r.stdout .. r.stderr):find("Erika", 1, true))
  end)

  it("is told the same way of an audit", function()
    support.write(dir .. "/audit.lua", [[
return { name = "bad", pack = "roster", audit = function(plan, report)
  local limit
  for _, d in ipairs(plan.drivers) do
    if d.minutes > limit then report:violation { object = d.key } end
  end
end }
]])
    local r = run { cwd = dir, "run", "audit.lua", "--plan", support.root .. "/examples/plans/calm_week" }
    assert.are.equal(3, r.code)
    has(r.stdout, "audit.lua:4: attempt to compare nil with number",
      "`if d.minutes > limit then report:violation { object = d.key } end` (d.minutes: number, limit: nil, d.key: string)")
    assert.is_nil(r.stdout:find(dir, 1, true))
  end)
end)

describe("a module that does not load", function()
  it("is told the same way by each require of it", function()
    local dir = support.tmpdir()
    support.write(dir .. "/broken.lua", "local M = {}\nM.x = = 1\nreturn M\n")
    support.write(dir .. "/raises.lua", "require('circle')\nreturn {}\n")
    support.write(dir .. "/circle.lua", "return require 'raises'\n")
    support.write(dir .. "/twice.lua", [[
return require("gate").define { api = 1, id = "twice", name = "Twice", run = function(ctx)
  ctx:check("broken", function()
    pcall(require, "broken")
    require "broken"
  end)
  ctx:check("circle", function()
    pcall(require, "circle")
    require "raises"
  end)
end }
]])
    local r = run { cwd = dir, "run", "twice.lua" }
    assert.are.equal(3, r.code)
    has(r.stdout, "broken.lua:2: unexpected symbol near '='", "module raises requires itself, directly or through another")
    assert.is_nil(r.stdout:find("module broken requires itself", 1, true))
  end)
end)

describe("a suite with two gates of one id", function()
  it("is refused by check and run, naming both", function()
    local dir = support.tmpdir()
    for _, name in ipairs { "a", "b" } do
      support.write(dir .. "/" .. name .. ".lua",
        'return require("gate").define { api = 1, id = "same", name = "Same", run = function(ctx) ctx:check("x", function() end) end }\n')
    end
    support.write(dir .. "/s.lua", 'return require("suite").define { api = 1, id = "s", name = "S", gates = { "a.lua", "b.lua" } }\n')
    local said = 's.lua: gates[2]: expected a gate of another id than "same", found b.lua; a.lua has it too'
    local r = run { cwd = dir, "check", "s.lua" }
    assert.are.equal(2, r.code, r.stdout)
    has(r.stdout, said, "fix: give one of them another id")
    r = run { cwd = dir, "run", "s.lua" }
    assert.are.equal(2, r.code, r.stdout)
    has(r.stderr, said)
  end)
end)

describe("a gate that hands back what functions of Lua hand back when they fail", function()
  for _, returned in ipairs { "false", "nil, 'no answer'" } do
    it("is an ERROR: " .. returned, function()
      local path = support.write(support.tmpdir() .. "/back.lua", ([[
return require("gate").define { api = 1, id = "back", name = "Back", purpose = "returns", pass = "ok",
  failures = { bad = { text = "bad", fix = "mend it" } },
  run = function(ctx)
    ctx:check("first", function() end)
    do return %s end
  end, recover = function() end }]]):format(returned))
      local r = run { "run", path }
      assert.equal(3, r.code, r.stdout)
      has(r.stdout, "the script's function returned " .. (returned == "false" and "false" or "nothing"))
    end)
  end
end)

describe("what a script prints", function()
  it("is shown with --verbose, a line each, without what moves the cursor", function()
    local path = support.write(support.tmpdir() .. "/chatty.lua", [[
return require("gate").define { api = 1, id = "chatty", name = "Chatty", purpose = "prints", pass = "ok",
  failures = { bad = { text = "bad", fix = "mend it" } },
  run = function(ctx)
    ctx:check("talks", function()
      print("a\tb", 1)
      print("two\nlines")
      print()
      print("nul\0behind", "\27[31m")
    end)
  end, recover = function() end }]])
    local r = run { "run", path, "--verbose" }
    local lines = {}
    for line in r.stderr:gmatch "debug: (chatty: [^\n]*)" do lines[#lines + 1] = line end
    assert.same({ "chatty: a b 1", "chatty: two", "chatty: lines", "chatty: nul behind \\x1b[31m" }, lines)
    assert.is_nil(run({ "run", path }).stderr:find("two", 1, true))
  end)
end)
