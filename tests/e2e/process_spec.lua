-- Processes: signals, kills, limits. Whatever ends a run, nothing of it is left and its reports say what was not evaluated.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"
local json = require "engine.json"

local quote = support.quote

local function run_dirs(state)
  local out = {}
  local pipe = assert(io.popen(("ls -d %s/pg/run-* 2>/dev/null"):format(quote(state))))
  for line in pipe:lines() do out[#out + 1] = line end
  pipe:close()
  return out
end

local function own_script(text)
  return support.write(support.tmpdir() .. "/own.lua", text)
end

local function gate(body, head)
  return own_script(([[
    return require("gate").define {
      api = 1, id = "own", name = "Own gate", purpose = "a test", pass = "Fine", %s
      failures = { odd = { text = "%%s is odd" } },
      run = function(ctx)
        %s
      end,
    }]]):format(head or "", body))
end

local function run(script, ...)
  local file = support.tmpdir() .. "/report.json"
  local result = support.run { argv = { "run", script, "--report", "json=" .. file, ... } }
  return result, json.decode((support.must_read(file)))
end

describe("a signal", function()
  local state = support.tmpdir() .. "/state"
  local function validate(signal, seconds)
    local file = support.tmpdir() .. "/report.json"
    local result = support.run { argv = { "-s", signal, seconds, support.engine, "run", "scripts/all.lua", "--report", "json=" .. file },
      program = "/usr/bin/timeout", env = { GATE_ENGINE_STATE = state } }
    return result, support.read(file)
  end

  setup(function()
    -- makes the template, so that the moments below fall into the run itself
    assert.equal(0, support.run({ argv = { "run", "gates/integrations_contract.lua" }, env = { GATE_ENGINE_STATE = state } }).code)
  end)

  for i, moment in ipairs { "0.02", "0.05", "0.08", "0.11", "0.15", "0.19", "0.25", "0.32", "0.4", "0.5" } do
    for _, signal in ipairs { "INT", "TERM", "KILL" } do
      it(("%s after %s s leaves no process, and the next run passes"):format(signal, moment), function()
        local result, report = validate(signal, moment)
        support.assert_gone(state)
        if signal ~= "KILL" and report then
          local decoded = json.decode(report)
          -- before the scripts are read there is no gate to name, only what ended the run
          assert.is_true(#decoded.gates == 4 or (#decoded.gates == 0 and type(decoded.error) == "table"), report)
          local finished = decoded.status == "PASS"
          assert.equal(finished, decoded.approved)
          assert.is_true(finished or decoded.exit_code == (signal == "INT" and 130 or 143), result.stderr)
        end
        if i % 4 == 0 then
          local again = support.run { argv = { "run", "scripts/all.lua" }, env = { GATE_ENGINE_STATE = state } }
          assert.equal(0, again.code, again.stdout .. again.stderr)
          assert.same({}, run_dirs(state))
        end
      end)
    end
  end

  it("stops a gate that does not want to stop, with what was finished in the report and exit 130", function()
    local script = gate "ctx:check('first', function() end) print('ready') while true do end"
    local file = support.tmpdir() .. "/report.json"
    -- the signal is sent when the gate says how far it is
    local result = support.run { argv = { "-c", ([[
      %s run %s --verbose --report json=%s 2>log & pid=$!
      until grep -q "own: ready" log; do kill -0 $pid || exit 99; done
      kill -INT $pid; wait $pid]]):format(quote(support.engine), quote(script), quote(file)) },
      program = "/bin/bash", env = { GATE_ENGINE_STATE = state } }
    assert.equal(130, result.code, result.stdout .. result.stderr)
    local report = json.decode((support.must_read(file)))
    assert.equal("ERROR", report.gates[1].status)
    assert.equal("first", report.gates[1].checks[1].name)
    assert.equal("PASS", report.gates[1].checks[1].status)
    assert.equal(130, report.exit_code)
    assert.truthy(result.stdout:find("interrupted", 1, true), result.stdout)
    support.assert_gone(state)
  end)
end)

describe("a signal while reports are written", function()
  it("ends a writing that nobody reads: the pipe is full, and its reader stalls", function()
    local dir = support.tmpdir()
    local script = support.write(dir .. "/many.lua", [[
return require("gate").define { api = 1, id = "many", name = "Many", purpose = "x", pass = "ok",
  failures = { bad = { text = "bad %s", fix = "mend it" } },
  run = function(ctx)
    ctx:check("a", function()
      for i = 1, 3000 do ctx:fail("bad", { object = "o" .. i, args = { ("x"):rep(100) } }) end
    end)
  end, recover = function() end }]])
    -- the text goes to standard error before the report that is too long for the pipe
    local r = support.run { argv = { "-c", ([[
      mkfifo pipe; exec 9<>pipe
      %s run %s --report json=- >pipe 2>log & pid=$!
      until grep -q "=== OVERALL" log; do kill -0 $pid || exit 99; done
      kill -TERM $pid; wait $pid]]):format(quote(support.engine), quote(script)) }, program = "/bin/bash", cwd = dir }
    assert.equal(143, r.code, r.stdout .. r.stderr .. support.must_read(dir .. "/log"))
    support.has(support.must_read(dir .. "/log"), "cannot write the report to standard output")
  end)

  it("ends the writing, with each gate's verdict and its first findings in every report", function()
    local dir = support.tmpdir()
    local script = gate [[ctx:check('numbers', function()
      for i = 1, 99999 do ctx:fail('odd', { object = "number " .. i, detail = "the number " .. i .. " is no even number" }) end
    end)]]
    -- A report's new file stands beside the old one from the first moment of rendering on; two seconds' worth of it are asked for.
    local result = support.run { argv = { "-c", ([[
      %s run %s --report sarif=r.sarif --report html=r.html --report junit=r.xml --report tap=r.tap --report json=r.json & pid=$!
      until ls -a | grep -q '^\.tmp-'; do kill -0 $pid || exit 99; done
      kill -TERM $pid; wait $pid]]):format(quote(support.engine), quote(script)) }, program = "/bin/bash", cwd = dir }
    assert.equal(143, result.code, result.stdout .. result.stderr)
    local report = json.decode((support.must_read(dir .. "/r.json")))
    assert.equal("interrupted", report.error.code)
    assert.equal(143, report.exit_code)
    assert.equal("FAIL", report.gates[1].status)
    assert.equal(100, #report.gates[1].checks)
    assert.truthy(support.must_read(dir .. "/r.xml"):find("number 100", 1, true))
    assert.truthy(support.must_read(dir .. "/r.tap"):find("interrupted by signal 15", 1, true))
    assert.truthy(result.stdout:find("interrupted by signal 15", 1, true), result.stdout)
    local left = assert(io.popen("ls -a " .. quote(dir) .. " | grep -c tmp"))
    assert.equal("0", left:read "l")
    left:close()
  end)
end)

describe("preparing", function()
  it("the embedded platform takes no longer than a gate may", function()
    local dir = support.tmpdir()
    local state = dir .. "/state"
    support.shell("mkdir -p " .. quote(state .. "/pg"))
    -- Somebody else is at the template, and does not come to an end.
    local result = support.run { argv = { "run", "gates/rls_harness.lua", "--timeout", "0.3", "--report", "json=r.json" }, cwd = dir,
      env = { GATE_ENGINE_STATE = state }, prefix = "flock " .. quote(state .. "/pg/lock") }
    assert.equal(3, result.code, result.stdout .. result.stderr)
    assert.truthy(result.stdout:find("the embedded platform did not come up within 0.3 s", 1, true), result.stdout)
    assert.equal("prepare_timeout", json.decode((support.must_read(dir .. "/r.json"))).error.code)
    support.assert_gone(state)
  end)
end)

describe("a gate", function()
  --- A configuration that gives a gate of this id half a second; --timeout would give the platform's start no more.
  local function hurried(id)
    return support.write(support.tmpdir() .. "/gate-engine.conf.lua",
      ("return { limits = { scripts = { %s = { wall_s = 0.5 } } } }"):format(id))
  end

  it("that loops for ever is ended by its wall clock, its open check named", function()
    local result, report = run(gate "ctx:check('endless', function() while true do end end)", "--config", hurried "own")
    assert.equal(3, result.code)
    assert.equal("gate_timeout", report.gates[1].checks[#report.gates[1].checks].class)
    assert.truthy(result.stdout:find('the check "endless" was running', 1, true), result.stdout)
  end)

  it("that waits in one C call is ended as well", function()
    local result = run(gate "ctx:check('slow', function() return (('a'):rep(30) .. 'b'):find(('a*'):rep(30) .. 'c') end)",
      "--config", hurried "own")
    assert.equal(3, result.code)
    assert.truthy(result.stdout:find("the gate did not end within 0.5 s", 1, true), result.stdout)
  end)

  it("that runs out of memory is an ERROR, also when it swallows the failure and passes", function()
    local result, report = run(gate "ctx:check('greedy', function() pcall(string.rep, 'x', 1 << 30) end)")
    assert.equal(3, result.code, result.stdout)
    local last = report.gates[1].checks[#report.gates[1].checks]
    assert.equal("script_memory", last.class)
  end)

  it("that checks nothing is an ERROR", function()
    local result = run(gate "")
    assert.equal(3, result.code)
    assert.truthy(result.stdout:find("no check of this gate ran to a pass", 1, true), result.stdout)
  end)

  it("that raises outside of its checks is an ERROR with file and line", function()
    local result = run(gate "ctx:check('fine', function() end)\n error('broken')")
    assert.equal(3, result.code)
    assert.truthy(result.stdout:find("own%.lua:%d+: broken"), result.stdout)
  end)

  it("that raises inside a check is an ERROR of that check, and the gate goes on", function()
    local result, report = run(gate [[ctx:check('bad', function() error({ code = 'mine', message = 'said so' }) end)
      ctx:check('good', function() end)]])
    assert.equal(3, result.code)
    assert.equal("mine", report.gates[1].checks[1].class)
    assert.equal("PASS", report.gates[1].checks[2].status)
  end)

  it("cannot have a skip without proof", function()
    local result, report = run(gate "ctx:check('lazy', function() ctx:skip('no time') end) ctx:check('good', function() end)")
    assert.equal(3, result.code)
    assert.equal("skip_not_proven", report.gates[1].checks[1].class)
  end)

  it("cannot reach what it does not declare", function()
    for _, code in ipairs { "ctx.db.admin:value('select 1')", "ctx.http:request{}", "ctx.store.artifacts:get('x')", "ctx.exec:run('x')",
      "require('engine.db')", "require('internal.runner')", "ctx.solver:solve('roster', {})" } do
      local result = run(gate(("ctx:check('reach', function() %s end)"):format(code)))
      assert.equal(3, result.code, code .. result.stdout)
    end
  end)

  it("is told apart from others of its suite: one crash leaves the rest their verdicts", function()
    local dir = support.tmpdir()
    local function member(id, body)
      support.write(dir .. "/" .. id .. ".lua", ([[return require("gate").define { api = 1, id = %q, name = %q, purpose = "x",
        failures = { odd = { text = "%%s is odd" } }, run = function(ctx) %s end }]]):format(id, id, body))
    end
    member("first", "ctx:check('a', function() end)")
    member("second", "while true do end")
    member("third", "ctx:check('c', function() ctx:fail('odd', { object = 'seven' }) end)")
    local suite = support.write(dir .. "/suite.lua", ([[return require("suite").define { api = 1, id = "mine", name = "Mine",
      gates = { "%s/first.lua", "%s/second.lua", "%s/third.lua" } }]]):format(dir, dir, dir))
    local result, report = run(suite, "--config", hurried "second")
    assert.equal(1, result.code, result.stdout .. result.stderr)
    assert.equal("PASS", report.gates[1].status)
    assert.equal("ERROR", report.gates[2].status)
    assert.equal("FAIL", report.gates[3].status)
    assert.is_false(report.approved)
  end)

  it("that declares a command which the configuration does not define is an ERROR naming the key", function()
    local result, report = run(gate("ctx:check('a', function() end)", 'needs = { commands = { "backup-now" } },'))
    assert.equal(3, result.code, result.stdout)
    local last = report.gates[1].checks[#report.gates[1].checks]
    assert.equal("config_missing_key", last.class)
    assert.truthy(last.failure:find('commands["backup-now"]', 1, true), last.failure)
  end)

  it("of the user's own never approves a tenant, whatever it calls itself", function()
    local result, report = run(gate "ctx:check('a', function() end)")
    assert.equal(0, result.code, result.stdout)
    assert.is_false(report.approved)
    assert.is_nil(result.stdout:find("approved", 1, true))
  end)
end)

describe("a suite of the four gates with another stdlib", function()
  it("passes and does not approve", function()
    local copy = support.tmpdir() .. "/stdlib"
    support.shell(("cp -r %s/stdlib %s"):format(quote(support.root), quote(copy)))
    local result, report = run("scripts/all.lua", "--stdlib", copy)
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.is_false(report.approved)
    assert.is_nil(result.stdout:find("is approved", 1, true))
  end)
end)
