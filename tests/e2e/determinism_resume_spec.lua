-- Gate 2 that breaks off goes on where it was: what was finished is taken over, and nothing that could be of another run.
local json = require "engine.json"
local support = require "e2e.support"

local has, quote = support.has, support.quote

-- The reference solver; each start is a line of `starts`. From the sixth on it waits for the file `go`, as a slow one would.
local SLOW = [[
import os, subprocess, sys, time
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/starts", "ab", buffering=0) as f:
    f.write(b"x\n")
    number = f.tell() // 2
request = sys.stdin.buffer.read()
if number > 5:
    while not os.path.exists(here + "/go"): time.sleep(0.02)
import shape
sys.stdout.buffer.write(shape.of(subprocess.run(["%s"], input=request, stdout=subprocess.PIPE, check=True).stdout))
]]

local SAME = "def of(answer): return answer\n"
-- Another plan, and a right one: the names of the drivers are others.
local OTHER = 'def of(answer): return answer.replace(b\'"driver_id":"\', b\'"driver_id":"Z\')\n'

describe("the determinism proof that broke off", function()
  local all = support.state .. "/kept"
  setup(support.platform_start)
  teardown(support.platform_stop)

  --- A solver and its configuration, and nothing kept.
  local function place()
    local dir = support.tmpdir()
    support.shell("rm -rf " .. quote(all))
    support.write(dir .. "/solver.py", SLOW:format(support.build .. "/roster-solver"))
    support.write(dir .. "/shape.py", SAME)
    support.write(dir .. "/gate-engine.conf.lua",
      ("return { solver = { kind = \"command\", argv = { \"/usr/bin/python3\", \"-B\", %q } } }\n"):format(dir .. "/solver.py"))
    return dir
  end

  local function starts(dir)
    local _, n = (support.read(dir .. "/starts") or ""):gsub("\n", "")
    return n
  end

  --- Runs it until five answers are there and others under way, then ends it by this signal.
  local function broken_off(dir, signal, script, argv)
    local words = {}
    for _, word in ipairs(argv or {}) do words[#words + 1] = quote(word) end
    local command = ([[cd %s || exit; export GATE_ENGINE_STATE=%s
      %s run %s --config gate-engine.conf.lua --runs 12 --jobs 2 %s >out 2>&1 & pid=$!
      for i in $(seq 300); do [ -f starts ] && [ "$(wc -l <starts)" -ge 7 ] && break; sleep 0.1; done
      kill -%s $pid; wait $pid; true]]):format(quote(dir), quote(support.state), quote(support.engine),
      quote(script or support.root .. "/gates/determinism_proof.lua"), table.concat(words, " "), signal)
    support.shell(command)
    assert.is_true(starts(dir) >= 7, support.read(dir .. "/out"))
    support.write(dir .. "/go", "")
  end

  local function again(dir, ...)
    local argv = { "run", "gates/determinism_proof.lua", "--config", dir .. "/gate-engine.conf.lua", "--runs", "12", "--jobs", "2", ... }
    return support.gate(argv)
  end

  --- The one series of the state directory.
  local function kept()
    local pipe = assert(io.popen("ls -d " .. quote(all) .. "/*/"))
    local path = pipe:read "l"
    pipe:close()
    return (assert(path, "nothing is kept"):gsub("/$", ""))
  end

  for _, signal in ipairs { "KILL", "INT" } do
    it("goes on after SIG" .. signal .. ", says how many answers are of the earlier run, and makes run 1 again", function()
      local dir = place()
      broken_off(dir, signal)
      support.shell(("test \"$(stat -c %%a %s/1 %s/../key | sort -u)\" = 600"):format(kept(), kept()))
      local before = starts(dir)
      local r = again(dir)
      assert.equal(0, r.code, r.stdout .. r.stderr)
      has(r.stdout, "✅ PASS - 12/12 runs produced identical hash, 4 of them in an earlier run that broke off")
      assert.equal(4, r.gate.taken_over)
      assert.equal(4, r.gate.facts.taken_over)
      has(r.gate.facts.conditions[2], "time zone", ", in the run that broke off")
      assert.is_nil(r.gate.facts.conditions[1]:find("broke off", 1, true))
      assert.equal(before + 8 + 1, starts(dir)) -- run 1, seven that were missing, and the control
      -- Ended, nothing is left to be taken over.
      local whole = again(dir)
      assert.equal(0, whole.gate.facts.taken_over)
      assert.is_nil(whole.gate.taken_over)
    end)
  end

  it("goes on after its time limit", function()
    local dir = place()
    local r = support.run { argv = { "run", "gates/determinism_proof.lua", "--config", dir .. "/gate-engine.conf.lua", "--runs", "12",
      "--jobs", "2", "--timeout", "4" } }
    assert.equal(3, r.code, r.stdout)
    has(r.stdout, "the gate did not end within 4 s")
    support.write(dir .. "/go", "")
    r = again(dir)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_true(r.gate.taken_over >= 1)
  end)

  it("takes no answer that was edited, cut off, put in another's place, or kept under another key", function()
    local dir = place()
    broken_off(dir, "KILL")
    local series = kept()
    -- Four answers beside run 1's; which of 2 to 6 they are depends on who ended first.
    support.shell(([[cd %s && set -- $(ls | grep -v '^1$') && test $# = 4 &&
      sed -i 's/"exit":0/"exit":7/' $1 && truncate -s -9 $2 && cp $3 $4 &&
      truncate -s 9 $3 && echo "$*" >../numbers]]):format(quote(series)))
    local numbers = {}
    for number in support.must_read(all .. "/numbers"):gmatch "%d+" do numbers[#numbers + 1] = number end
    local r = again(dir)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local edited = "it was edited or cut off, or is of another machine or user"
    for i, why in ipairs { edited, edited, "it is cut off", "it is the answer of another run" } do
      has(r.stderr, ("the answer that was kept of run %s is not taken over, and made again: %s"):format(numbers[i], why))
    end
    assert.equal(0, r.gate.facts.taken_over)

    os.remove(dir .. "/go")
    os.remove(dir .. "/starts")
    broken_off(dir, "KILL")
    support.shell("chmod 644 " .. quote(series .. "/../key")) -- which others may have read
    r = again(dir)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stderr, "of run 2 is not taken over, and made again: it was edited or cut off, or is of another machine or user")
    assert.equal(0, r.gate.facts.taken_over)
  end)

  it("takes no answer to another question, or of another program, module, configuration or machine", function()
    local changes = {
      input = function() return "--seed", "95" end,
      program = function(dir)
        support.write(dir .. "/solver.py", SLOW:format(support.build .. "/roster-solver") .. "# another\n")
      end,
      files = function(dir) support.write(dir .. "/shape.py", SAME .. "# another\n") end,
      run = function(dir)
        support.write(dir .. "/gate-engine.conf.lua", (support.must_read(dir .. "/gate-engine.conf.lua"):gsub("{ solver",
          "{ limits = { cpu_s = 50 }, solver")))
      end,
    }
    for part, change in pairs(changes) do
      local dir = place()
      broken_off(dir, "KILL")
      local r = again(dir, change(dir))
      assert.equal(0, r.code, r.stdout .. r.stderr)
      has(r.stderr, "of run 3 is not taken over, and made again: it is of another ")
      local named = r.stderr:match "of run 3 is not taken over, and made again: it is of another ([^\n]*)"
      has(named, part)
      assert.equal(0, r.gate.facts.taken_over, part)
    end
  end)

  it("fails where run 1 is not what it was before, though nothing that it depends on has changed", function()
    local dir = place()
    -- What the program reads and nobody can know of: a file that is no code of its own.
    support.write(dir .. "/shape.py", "exec(open(__file__ + '.txt').read())\n")
    support.write(dir .. "/shape.py.txt", SAME)
    broken_off(dir, "KILL")
    support.write(dir .. "/shape.py.txt", OTHER)
    local r = again(dir)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    local seen = {}
    for _, c in ipairs(r.failed) do seen[c.object] = c end
    has(seen["run 1 of the run that broke off"].detail, "under the same conditions before the run broke off")
    assert.is_truthy(seen["run 2"])
  end)

  it("keeps nothing and takes nothing where it can approve: in a suite every run makes its own answers", function()
    local dir = place()
    support.write(dir .. "/suite.lua",
      'return require("suite").define { api = 1, id = "one", name = "One", gates = { "determinism_proof" } }\n')
    broken_off(dir, "KILL", dir .. "/suite.lua")
    assert.is_nil(support.read(all .. "/key"))
    -- Nor what a gate alone has kept.
    os.remove(dir .. "/go")
    os.remove(dir .. "/starts")
    broken_off(dir, "KILL")
    local report = dir .. "/suite.json"
    local r = support.run { argv = { "run", dir .. "/suite.lua", "--config", dir .. "/gate-engine.conf.lua", "--runs", "12",
      "--report", "json=" .. report } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(0, json.decode((support.must_read(report))).gates[1].facts.taken_over)
  end)

  it("says it aloud and goes on where nothing can be kept", function()
    local dir = place()
    support.write(dir .. "/go", "")
    support.write(all, "in the way")
    local r = again(dir)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stderr, "answers cannot be kept, should this run be interrupted: ")
    os.remove(all)
  end)
end)
