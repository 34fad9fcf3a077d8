-- A recovery: what it does by itself changes nothing, and the command that leads to it is of what was run.
local http_server = (function()
  package.path = "tests/lua/?.lua;" .. package.path
  return require "support.http_server"
end)()
local json = require "engine.json"
local support = require "e2e.support"

local has = support.has

local GATE = [[
return require("gate").define { api = 1, id = "g", name = "G", failures = { odd = { text = "Odd" }, hint = { text = "Hint",
    severity = "advisory" } },
  needs = { db = { "app", "admin" }, stores = { "artifacts" }, commands = { "touch" }, endpoints = { "svc" } },
  options = { out = { type = "path", access = "write", help = "where to" } },
  run = function(ctx)
    ctx:check("odd", function() ctx:fail "odd" end)
    ctx:check("hint", function() ctx:advise "hint" end)
  end,
  recover = function(ctx)
    %s
    ctx:apply("Say", { note = "told" })
  end }
]]

--- Each changes something by itself, and what it is refused with.
local CHANGES = {
  { 'ctx.exec:run("touch", {})', "ctx.exec:run: a recovery changes nothing by itself", 'propose it: ctx:apply(title, { run = "NAME" })' },
  { 'ctx.store.artifacts:put("k", "v")', 'cannot put "k": the store is open for reading only' },
  { 'ctx.http:request { endpoint = "svc", method = "POST", path = "/echo" }', "ctx.http:request: POST: a recovery changes nothing" },
  { 'ctx.db.app:exec "create temporary table t (a int)"', "read-only transaction", "inside connection:transaction" },
  { 'ctx.db.admin:exec "create table public.pwned ()"', "read-only transaction" },
}

describe("a recovery", function()
  local dir, server = support.tmpdir(), nil

  setup(function() server = http_server.start() end)
  teardown(function() server.stop() end)

  local function engine(body, ...)
    support.write(dir .. "/g.lua", GATE:format(body))
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", artifacts = { kind = "local", path = %q },
      endpoints = { svc = { url = "http://127.0.0.1:%d" } }, commands = { touch = { argv = { "/bin/touch", %q } } } }]]):format(
      dir .. "/store", server.ports.plain, dir .. "/touched"))
    return support.run { cwd = dir, ... }
  end

  for _, case in ipairs(CHANGES) do
    it("is refused what would change something, with --apply and without: " .. case[1], function()
      for _, flag in ipairs { "--dry-run", "--apply" } do
        local r = engine(case[1], "recover", "g.lua", flag)
        assert.are.equal(3, r.code, r.stdout .. r.stderr)
        has(r.stderr, table.unpack(case, 2))
      end
      assert.is_nil(io.open(dir .. "/touched"))
      assert.is_nil(io.open(dir .. "/store/k"))
    end)
  end

  it("may look: a GET, a query, a transaction that is rolled back", function()
    local r = engine([[assert(ctx.http:request({ endpoint = "svc", path = "/echo" }).status == 200)
      ctx.db.admin:transaction(function(tx) tx:exec "create table public.pwned ()" end)
      assert(ctx.db.app:value "select 1" == 1)]], "recover", "g.lua")
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
  end)

  local function line(...)
    local r = engine("", "run", ...)
    assert.are.equal(1, r.code, r.stdout .. r.stderr)
    return r.stdout:match "Recover: ([^\n]*)"
  end

  it("is led to by a command that can be pasted, of what was run", function()
    assert.are.equal("gate-engine recover g.lua --tenant demo", line "g.lua")
    assert.are.equal("gate-engine recover g.lua --tenant demo --strict", line("g.lua", "--strict", "--out", "x"))
    support.shell(("cp %s/g.lua %s/rls_harness; cp %s/g.lua %s/-w.lua"):format(dir, dir, dir, dir))
    assert.are.equal("gate-engine recover ./rls_harness --tenant demo", line "./rls_harness")
    assert.are.equal("gate-engine recover ./-w.lua --tenant demo", line "./-w.lua")
    assert.are.equal(0, support.run({ cwd = dir, "recover", "./-w.lua" }).code)
  end)
end)

describe("a suite", function()
  it("reads nothing but Lua files, so that it shows no line of another one", function()
    local dir = support.tmpdir()
    support.write(dir .. "/secret.txt", "db_password = hunter2-secret\n")
    support.write(dir .. "/su/s.lua", 'return require("suite").define { api = 1, id = "s", name = "S", gates = { "../secret.txt" } }\n')
    for _, verb in ipairs { "run", "check" } do
      local r = support.run { cwd = dir, verb, "su/s.lua" }
      assert.are.equal(2, r.code)
      has(r.stdout .. r.stderr, 'expected a file whose name ends in .lua, or a gate\'s id, found "../secret.txt"')
      assert.is_nil((r.stdout .. r.stderr):find("hunter2", 1, true))
    end
  end)

  it("tells each tenant's audit apart in the text", function()
    local dir = support.tmpdir()
    for _, name in ipairs { "first", "second" } do
      support.write(dir .. "/" .. name .. ".lua", ([[return { name = %q, pack = "roster", audit = function(plan, report)
        report:violation { object = "of " .. %q } end }]]):format(name, name))
    end
    -- One that calls itself as another would be told apart by.
    support.write(dir .. "/third.lua", ([[return { name = %q, pack = "roster", audit = function() end }]]):format(
      "second (" .. dir .. "/second.lua)"))
    support.write(dir .. "/fourth.lua", [[return { name = "second", pack = "roster", audit = function() end }]])
    local r = support.run { "run", "golden_path_e2e", "--audit", dir .. "/first.lua", "--audit", dir .. "/third.lua", "--audit",
      dir .. "/second.lua", "--audit", dir .. "/fourth.lua", "--report", "json=" .. dir .. "/r.json" }
    assert.are.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "❌ FAIL - Audit first: FAIL\n     - of first\n",
      ("❌ FAIL - Audit second (%s/second.lua): FAIL\n     - of second\n"):format(dir))
    local seen = {}
    for _, check in ipairs(json.decode(support.must_read(dir .. "/r.json")).gates[1].checks) do seen[check.name] = check.status end
    assert.are.equal("FAIL", seen[("Audit second (%s/second.lua)"):format(dir)])
    assert.are.equal("PASS", seen[("Audit second (%s/second.lua) (%s/third.lua)"):format(dir, dir)])
  end)
end)
