-- Hostile scripts, one file a way, in tests/escape/: each runs as a gate, as an operation and as a tenant's audit, and ends with the
-- verdict that its first lines state (of an operation the gate's, where no other is stated). Lines that such a script tries to forge
-- begin with FORGED.
--
-- A file is the body of the function that runs. `escaped(what)` reports that something was gained: a finding of the gate, a refusal of
-- the operation, a violation of the audit; that makes it FAIL, so that PASS means that nothing was. Verdicts: STATUS [CLASS|CLASS…][!],
-- "!" where besides nothing may be gained; "-" where the role has no such way, REFUSED [CLASS] where nothing is run (exit 2). "Head" is
-- what an audit says of itself besides.
package.path = "tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local support = require "support"
local http_server = require "support.http_server"
local json = require "engine.json"

-- Seconds for scripts that are expected to be ended for their time. All others get so many that no load of the machine ends them.
local GATE_ENDS_S, AUDIT_ENDS_S, LONG_S = 8, 2, 60

local quote = support.quote
local AS_ROOT = io.popen("id -u"):read "n" == 0
-- Any user but root; the embedded server takes the same user's name for its own.
local PLAIN = { prefix = "setpriv --reuid=65534 --regid=65534 --clear-groups " }

local function files_of(directory)
  local out = {}
  local pipe = assert(io.popen(("ls %s/*.lua"):format(directory)))
  for path in pipe:lines() do
    local text = support.must_read(path)
    local function field(name) return text:match("%-%- " .. name .. ": ([^\n]*)") end
    out[#out + 1] = { name = path:match "([^/]+)%.lua$", path = path, text = text, what = field "What", gate = field "Gate",
      audit = field "Audit", operation = field "Operation" or field "Gate", needs = field "Needs" or "",
      head = field "Head" or "" }
  end
  pipe:close()
  return out
end

local WAYS = files_of "tests/escape"

local GATE = [[
return require("gate").define {
  api = 1, id = "%s", name = "%s", purpose = "tries to get out", pass = "Nothing was gained", needs = { %s },
  failures = { escaped = { text = "Escaped: %%s" } },
  run = function(ctx)
    ctx:check("attack", function()
      local function escaped(what) ctx:fail("escaped", { object = what }) end
      local plan, report = nil, nil
%s
    end)
  end,
}
]]
local OPERATION = [[
return require("operation").define {
  api = 1, id = "%s", name = "%s", purpose = "tries to get out", needs = { %s },
  failures = { escaped = { text = "Escaped: %%s" } },
  run = function(ctx)
    ctx:step("attack", function()
      local function escaped(what) ctx:refuse("escaped", { object = what }) end
      local plan, report = nil, nil
%s
    end)
  end,
}
]]
local AUDIT = [[
return { name = "%s", pack = "roster", %s audit = function(plan, report)
  local function escaped(what) report:violation { object = what } end
  local ctx = nil
%s
end }
]]
-- What an honest gate says between the hostile ones; the other one fails, and must.
local HONEST = [[
return require("gate").define { api = 1, id = "%s", name = "%s", purpose = "an honest gate", failures = { odd = { text = "%%s is odd" } },
  run = function(ctx)
    ctx:check("libraries", function()
      if ("x"):upper() ~= "X" or ("%%d"):format(3) ~= "3" or tostring(nil) ~= "nil" then error("a library was changed") end
      if require("json").encode({ 1 }) ~= "[1]" then error("a module was changed") end
    end)
    ctx:check("number", function() %s end)
  end }
]]

--- "ERROR a|b" against what the report says.
local function agrees(expected, status, classes)
  local wanted, list, strict = expected:match "^(%u+) ?([^%s!]*)(!?)$"
  if wanted ~= status or strict == "!" and classes.escaped then return false end
  if list == "" then return true end
  for one in list:gmatch "[^|]+" do
    if classes[one] then return true end
  end
  return false
end

local function classes_of(gate)
  local out = {}
  for _, c in ipairs(gate.checks) do
    if type(c.class) == "string" then out[c.class] = true end
  end
  return out
end

local function shown(gate)
  local last = gate.checks[#gate.checks] or {}
  return ("%s: %s; last check %s, class %s, %s"):format(gate.status, tostring(gate.summary), tostring(last.name), tostring(last.class),
    tostring(last.detail))
end

--- Nothing a script says may reach the terminal as anything but text inside of the engine's own lines.
local function assert_clean(text)
  assert.is_nil(text:find("[\0-\8\11-\31\127]"), "a control character on the terminal")
  assert.is_nil(text:find("\u{202e}", 1, true), "a direction override on the terminal")
  assert.is_nil(text:find("\u{9b}", 1, true), "a C1 control on the terminal")
  for line in text:gmatch "[^\n]+" do
    assert.is_nil(line:find "^FORGED", "a forged line: " .. line:sub(1, 100))
  end
end

local function assert_nothing_left(state)
  support.assert_gone(state)
  assert.is_nil(support.read "/tmp/gate-engine-escape")
end

--- The entries of limits.scripts for gates that nothing but their time ends.
local function short_lived()
  local out = {}
  for _, way in ipairs(WAYS) do
    if way.gate:find("gate_timeout", 1, true) then out[#out + 1] = ("%s = { wall_s = %d }"):format(way.name, GATE_ENDS_S) end
  end
  return table.concat(out, ", ")
end

--- A saved plan with the two weeks before it.
local function plan_with_history()
  local text, history = support.must_read "tests/fixtures/escape/audit-plan.json", {}
  for i, iso in ipairs { "2023-W52", "2023-W51" } do
    history[i] = json.decode(support.moved_week(text, iso))
  end
  local plan = json.decode(text)
  plan.history = history
  return json.encode(plan)
end

--- A user's world: directories, configuration and suite.
local function world(user, server)
  local dir = support.tmpdir()
  local w = { dir = dir, state = dir .. "/state", store = dir .. "/store", user = user }
  support.shell(("mkdir -p %s/state %s/store %s/outside"):format(dir, dir, dir))
  support.write(dir .. "/outside/passwd", "secret")
  support.shell(("ln -s %s/outside/passwd %s/store/link && ln -s %s/outside %s/store/linked"):format(dir, dir, dir, dir))
  local target = "127.0.0.1:" .. server.ports.plain
  w.trap = "127.0.0.1:" .. server.ports.other
  w.config = support.write(dir .. "/gate-engine.conf.lua", ([[
return {
  platform = "embedded",
  limits = { memory_mb = 64, cpu_s = 2, wall_s = %d, scripts = { %s } },
  endpoints = { svc = { url = "http://%s" } },
  artifacts = { kind = "local", path = "%s/store" },
  commands = {
    endless = { argv = { "/usr/bin/yes" }, wall_s = 4 }, echo = { argv = { "/bin/echo" } }, environment = { argv = { "/usr/bin/env" } },
    sleeper = { argv = { "/bin/sh", "-c", "sleep 86400 & sleep 86400" }, wall_s = 1 },
  },
}]]):format(LONG_S, short_lived(), target, dir))
  local members = {}
  local function member(id, text)
    support.write(dir .. "/gates/" .. id .. ".lua", text)
    members[#members + 1] = ("%q"):format(dir .. "/gates/" .. id .. ".lua")
  end
  member("honest_first", HONEST:format("honest_first", "First", ""))
  for _, way in ipairs(WAYS) do
    if way.gate ~= "-" then
      member(way.name, (GATE:format(way.name, way.name, way.needs, way.text:gsub("@TRAP@", w.trap))))
    end
  end
  member("honest_failing", HONEST:format("honest_failing", "Failing", "ctx:fail('odd', { object = 'seven' })"))
  member("honest_last", HONEST:format("honest_last", "Last", ""))
  w.suite = support.write(dir .. "/suite.lua",
    ([[return require("suite").define { api = 1, id = "hostile", name = "Hostile", gates = { %s } }]]):format(table.concat(members, ", ")))
  w.plan = support.write(dir .. "/audit-plan.json", plan_with_history())
  if user == PLAIN then support.shell(("chown -R 65534:65534 %s"):format(quote(dir))) end
  return w
end

local function run(w, argv)
  local report = w.dir .. "/report.json"
  os.remove(report)
  local words = { "run", argv[1], "--report", "json=" .. report, table.unpack(argv, 2) }
  local result = support.run { argv = words, cwd = w.dir, prefix = w.user.prefix, env = { HOME = w.dir, GATE_ENGINE_STATE = w.state } }
  local text = support.read(report)
  return result, text and json.decode(text) or nil, text
end

--- Runs every way as an operation, four at a time, on a platform that is kept meanwhile. Returns {[name] = {report, text, code}}.
local function run_operations(w)
  local function engine(words)
    return support.run { argv = words, cwd = w.dir, prefix = w.user.prefix, env = { HOME = w.dir, GATE_ENGINE_STATE = w.state } }
  end
  local started = engine { "platform", "start" }
  assert(started.code == 0, started.stderr)
  local made = engine { "platform", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c",
    "insert into core.tenants (code, name) values ('acme', 'acme')" }
  assert(made.code == 0, made.stderr)
  local lines = {}
  for _, way in ipairs(WAYS) do
    if way.operation ~= "-" then
      local base = w.dir .. "/operations/" .. way.name
      support.write(base .. ".lua", (OPERATION:format(way.name, way.name, way.needs, way.text:gsub("@TRAP@", w.trap))))
      -- Whoever only waits is ended by the wall clock; the others on a busy machine by something else, whenever it comes.
      local wall = way.operation:find "gate_timeout" and not way.operation:find "gate_cpu" and 8 or 60
      lines[#lines + 1] = ("%s run %s.lua --tenant acme --config %s --timeout %d --report json=%s.json >%s.out 2>%s.err; echo $? >%s.code")
        :format(quote(support.engine), base, w.config, wall, base, base, base, base)
    end
  end
  local list = support.write(w.dir .. "/operations/list", table.concat(lines, "\0") .. "\0")
  if w.user == PLAIN then support.shell(("chown -R 65534:65534 %s/operations"):format(quote(w.dir))) end
  os.execute(("cd %s && %s env HOME=%s GATE_ENGINE_STATE=%s timeout -k 10 300 xargs -0 -P 4 -I{} sh -c {} <%s"):format(quote(w.dir),
    w.user.prefix or "", quote(w.dir), quote(w.state), quote(list)))
  local stopped = engine { "platform", "stop" }
  assert(stopped.code == 0, stopped.stderr)
  local out = {}
  for _, way in ipairs(WAYS) do
    local base = w.dir .. "/operations/" .. way.name
    local text = support.read(base .. ".json")
    out[way.name] = { report = text and json.decode(text), code = tonumber(support.read(base .. ".code") or ""),
      stdout = support.read(base .. ".out") or "", stderr = support.read(base .. ".err") or "" }
  end
  return out
end

local function describe_role(who, user)
  describe("as " .. who, function()
    local w, server, result, report, text, operations
    local gates = {}
    setup(function()
      support.patience = 400
      server = http_server.start()
      w = world(user, server)
      result, report, text = run(w, { w.suite, "--config", w.config, "--jobs", "3" })
      assert(report, result.stderr)
      for _, gate in ipairs(report.gates) do gates[gate.id] = gate end
      operations = run_operations(w)
    end)
    teardown(function() server.stop() end)

    for _, way in ipairs(WAYS) do
      if way.gate ~= "-" then
        it(("a gate is contained: %s (%s)"):format(way.what, way.name), function()
          local gate = assert(gates[way.name], result.stderr)
          assert.is_true(agrees(way.gate, gate.status, classes_of(gate)), "expected " .. way.gate .. ", found " .. shown(gate))
          for name, limit in pairs(gate.limits) do
            assert.is_true(type(limit.limit) == "number" and limit.limit > 0, name .. " has no limit")
          end
        end)
      end
    end

    it("the honest gates between them have their own verdicts", function()
      for id, expected in pairs { honest_first = "PASS", honest_failing = "FAIL", honest_last = "PASS" } do
        assert.equal(expected, gates[id].status, shown(gates[id]))
      end
    end)

    it("the run fails, approves nothing, and says nothing that it did not mean to", function()
      assert.equal(1, result.code)
      assert.is_false(report.approved)
      assert.is_nil(result.stdout:find("is approved", 1, true))
      assert_clean(result.stdout)
      assert_clean(result.stderr)
      assert.is_nil(text:find("\27", 1, true))
      assert.is_nil(text:lower():find("\\u001b", 1, true), "a control character in the report")
    end)

    it("the failed forgeries say no more when every detail is shown", function()
      for _, name in ipairs { "forgery_fields", "forgery_print", "forgery_check_name", "forgery_check_broken", "language_error_class" } do
        local r = run(w, { w.dir .. "/gates/" .. name .. ".lua", "--config", w.config, "--verbose" })
        assert.is_true(r.code == 0 or r.code == 1 or r.code == 3, r.stderr)
        assert_clean(r.stdout)
        assert_clean(r.stderr)
      end
    end)

    it("no process, no file and no trace outside of its places is left", function()
      assert_nothing_left(w.state)
      assert.equal("secret", support.read(w.dir .. "/outside/passwd"))
      assert.is_nil(support.read(w.dir .. "/outside/new"))
      local pipe = assert(io.popen(("ls -d %s/state/pg/run-* 2>/dev/null"):format(w.dir)))
      assert.equal("", pipe:read "a")
      pipe:close()
    end)

    for _, way in ipairs(WAYS) do
      if way.operation ~= "-" then
        it(("an operation is contained: %s (%s)"):format(way.what, way.name), function()
          local r = operations[way.name]
          assert(r.report, r.stderr)
          local entry = assert(r.report.gates[1], r.stdout .. r.stderr)
          assert.is_true(agrees(way.operation, entry.status, classes_of(entry)), "expected " .. way.operation .. ", found " .. shown(entry))
          assert.equal(({ PASS = 0, FAIL = 1, ERROR = 3 })[entry.status], r.code)
          assert.is_false(r.report.approved)
          assert_clean(r.stdout)
          assert_clean(r.stderr)
        end)
      end
    end

    for _, way in ipairs(WAYS) do
      if way.audit ~= "-" then
        it(("an audit is contained: %s (%s)"):format(way.what, way.name), function()
          local file = support.write(w.dir .. "/audits/" .. way.name .. ".lua", AUDIT:format(way.name, way.head, way.text))
          local seconds = way.audit:find("audit_timeout", 1, true) and AUDIT_ENDS_S or LONG_S
          local r, seen = run(w, { file, "--plan", w.plan, "--timeout", tostring(seconds), "--config", w.config })
          assert(seen, r.stderr)
          if way.audit:find "^REFUSED" then
            assert.same({ 2, way.audit, 0 }, { r.code, "REFUSED " .. tostring(seen.error.code), #seen.gates }, r.stdout .. r.stderr)
            return assert_clean(r.stderr)
          end
          local gate = assert(seen.gates[1], r.stdout .. r.stderr)
          assert.is_true(agrees(way.audit, gate.status, classes_of(gate)), "expected " .. way.audit .. ", found " .. shown(gate))
          assert.equal(({ PASS = 0, FAIL = 1, ERROR = 3 })[gate.status], r.code)
          local limits = 0
          for name, limit in pairs(gate.limits) do
            assert.is_true(type(limit.limit) == "number" and limit.limit > 0, name .. " has no limit")
            limits = limits + 1
          end
          assert.is_true(limits >= 3, "no table of limits")
          assert_clean(r.stdout)
          assert_clean(r.stderr)
        end)
      end
    end
  end)
end

describe("a hostile script", function()
  it("has a file of its own: at least 80 of them, each with what it tries and what comes of it", function()
    assert.is_true(#WAYS >= 80, #WAYS .. " ways")
    for _, way in ipairs(WAYS) do
      for _, field in ipairs { "what", "gate", "operation", "audit" } do
        assert.is_string(way[field], way.path .. " does not say " .. field)
      end
    end
  end)

  if AS_ROOT then
    describe_role("root", {})
    describe_role("a plain user", PLAIN)
  else
    describe_role("a plain user", {})
  end

  it("has the limits that the configuration gives to it alone", function()
    local dir = support.tmpdir()
    support.write(dir .. "/conf.lua", [[return { platform = "embedded", limits = { memory_mb = 128, scripts = {
      small = { memory_mb = 8, wall_s = 7, cpu_s = 5 }, judge = { memory_mb = 16, cpu_s = 3 } } } }]])
    for _, id in ipairs { "small", "usual" } do
      support.write(dir .. "/" .. id .. ".lua", (HONEST:format(id, id, "")))
    end
    support.write(dir .. "/judge.lua", AUDIT:format("judge", "", "report:violation('x')"))
    local function limits_of(argv)
      local r = support.run { argv = { "run", table.unpack(argv) }, cwd = dir }
      local report = json.decode(assert(support.read(dir .. "/r.json"), r.stderr))
      return report.gates[1].limits
    end
    local small = limits_of { "small.lua", "--config", "conf.lua", "--report", "json=r.json" }
    assert.same({ 8 << 20, 7000, 5000 }, { small.memory_bytes.limit, small.wall_ms.limit // 1, small.cpu_ms.limit // 1 })
    local usual = limits_of { "usual.lua", "--config", "conf.lua", "--report", "json=r.json" }
    assert.same({ 128 << 20, 300000, 60000 }, { usual.memory_bytes.limit, usual.wall_ms.limit // 1, usual.cpu_ms.limit // 1 })
    support.write(dir .. "/audit-plan.json", support.must_read "tests/fixtures/escape/audit-plan.json")
    local judge = limits_of { "judge.lua", "--plan", "audit-plan.json", "--config", "conf.lua", "--report", "json=r.json" }
    assert.same({ 16 << 20, 3000 }, { judge["judge.lua memory_bytes"].limit // 1, judge["judge.lua wall_ms"].limit // 1 })
  end)
end)
