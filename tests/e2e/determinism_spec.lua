-- Gate 2 through the binary: solvers that are wrong on purpose, each turned to its verdict, text and exit code.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "json"
local support = require "support"

local planted = support.build .. "/tests/solvers/planted"

--- A configuration whose solver is the planted one in this mode.
local function config_for(mode, more)
  local words = { ("%q"):format(planted) }
  for word in mode:gmatch "%S+" do words[#words + 1] = ("%q"):format(word) end
  return support.write(support.tmpdir() .. "/gate-engine.conf.lua",
    ("return { solver = { kind = \"command\", argv = { %s }%s } }\n"):format(table.concat(words, ", "), more or ""))
end

---@param options {mode?: string, more?: string, argv?: string[], env?: table, verb?: string, config?: string, cwd?: string}
local function run(options)
  local report = support.tmpdir() .. "/report.json"
  local argv = { options.verb or "run", "gates/determinism_proof.lua", "--report", "json=" .. report }
  local config = options.config or options.mode and config_for(options.mode, options.more)
  if config then
    argv[#argv + 1] = "--config"
    argv[#argv + 1] = config
  end
  for _, word in ipairs(options.argv or {}) do argv[#argv + 1] = word end
  local r = support.run { argv = argv, env = options.env, cwd = options.cwd, prefix = options.prefix }
  local text = support.read(report)
  r.report = text and json.decode(text)
  r.gate = r.report and r.report.gates and r.report.gates[1]
  return r
end

--- The findings of a class.
local function findings(r, class)
  local list = {}
  for _, check in ipairs(r.gate.checks) do
    if check.class == class then list[#list + 1] = check end
  end
  return list
end

local function has(text, wanted)
  assert.is_truthy(text:find(wanted, 1, true), ("expected %q in:\n%s"):format(wanted, text))
end

describe("the determinism proof", function()
  it("passes on the reference solver with the document's words", function()
    local r = run {}
    assert.equal("=== Tenant Onboarding Validation ===\nTenant: demo\n\nGate 2: Determinism Proof\n"
      .. "  ✅ PASS - 3/3 runs produced identical hash\n\n=== OVERALL: 1/1 GATES PASS ===\n", r.stdout)
    assert.equal(0, r.code)
    assert.equal(3, r.gate.facts.identical_runs)
    assert.equal(10, r.gate.facts.instances)
    assert.equal(64, #r.gate.facts.output_hash)
  end)

  it("says with real numbers how many runs there were", function()
    local r = run { argv = { "--runs", "5" } }
    has(r.stdout, "✅ PASS - 5/5 runs produced identical hash")
    assert.equal(5, #r.gate.facts.conditions)
  end)

  it("passes on the week of 1,385 tours, with a plan for all of them", function()
    local r = run { argv = { "--forecast-id", "gurkerl_full" } }
    assert.equal(0, r.code, r.stdout)
    assert.equal(1385, r.gate.facts.instances)
    assert.is_true(r.gate.facts.drivers >= r.gate.facts.lower_bound)
  end)

  it("gives another plan's hash for another forecast, and the same one for the same", function()
    local a, b, full = run {}, run { argv = { "--runs", "2" } }, run { argv = { "--forecast-id", "gurkerl_full", "--runs", "2" } }
    assert.equal(a.gate.facts.output_hash, b.gate.facts.output_hash)
    assert.are_not.equal(a.gate.facts.output_hash, full.gate.facts.output_hash)
    assert.are_not.equal(a.gate.facts.input_hash, full.gate.facts.input_hash)
  end)

  it("records under what each run was made", function()
    local r = run {}
    assert.equal("reference conditions", r.gate.facts.conditions[1])
    for _, part in ipairs { "time zone", "locale", "clock", "working directory", "environment", "malloc fill", "processor" } do
      has(r.gate.facts.conditions[2], part)
    end
    assert.are_not.equal(r.gate.facts.conditions[2], r.gate.facts.conditions[3])
    has(r.gate.facts.limits_of_conditions.clock, "dynamically linked programs only")
  end)

  it("makes every other run beside a busy process", function()
    local r = run {}
    assert.is_nil(r.gate.facts.conditions[2]:find("load", 1, true))
    has(r.gate.facts.conditions[3], "load")
    assert.is_nil(r.gate.facts.not_applied.load)
  end)

  it("reports a condition that cannot be made here, and what it never tries", function()
    local r = run { prefix = "taskset -c 0" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("there is only one processor to choose from", r.gate.facts.not_applied.cpu)
    assert.is_truthy(r.gate.facts.not_tried["statically linked programs that a script starts"])
  end)

  it("skips the matrix lock only because no routing pack is configured", function()
    local skipped
    for _, check in ipairs(run {}.gate.checks) do
      if check.name == "matrix locked" then skipped = check end
    end
    assert.equal("SKIP", skipped.status)
    assert.equal("no routing pack configured", skipped.detail)
  end)

  describe("with a routing pack", function()
    local content = "from_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters\n48.2,16.3,48.3,16.4,900,15000\n"

    local function routing(fields)
      local dir = support.tmpdir()
      support.write(dir .. "/matrix.csv", content)
      return support.write(dir .. "/gate-engine.conf.lua", ("return { packs = { routing = { %s } } }\n"):format(fields))
    end

    it("passes where the matrix is the one that was pinned, and says which it was", function()
      local sum = require("hash").sha256(content)
      local r = run { config = routing(('matrix = "matrix.csv", matrix_sha256 = "%s"'):format(sum)) }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.equal(sum, r.gate.facts.matrix_sha256)
    end)

    it("fails where the matrix is another one", function()
      local r = run { config = routing(('matrix = "matrix.csv", matrix_sha256 = "%s"'):format(("0"):rep(64))) }
      assert.equal(1, r.code, r.stdout .. r.stderr)
      has(r.stdout, "❌ FAIL - OSRM drift detected")
      has(r.stdout, "Fix: Use StaticMatrix instead")
      has(r.stdout, require("hash").sha256(content))
    end)

    it("fails where the matrix is not pinned, or there is none and a live OSRM would be asked", function()
      for _, fields in ipairs { 'matrix = "matrix.csv"', "" } do
        local r = run { config = routing(fields) }
        assert.equal(1, r.code, r.stdout .. r.stderr)
        has(r.stdout, "❌ FAIL - OSRM drift detected")
        has(r.stdout, "travel times are not locked")
      end
    end)

    it("is an error where the matrix is not there", function()
      local r = run { config = routing(('matrix = "other.csv", matrix_sha256 = "%s"'):format(("0"):rep(64))) }
      assert.equal(3, r.code, r.stdout .. r.stderr)
    end)
  end)

  it("accepts an honest solver that is not the reference one", function()
    local r = run { mode = "honest" }
    has(r.stdout, "✅ PASS - 3/3 runs produced identical hash")
    assert.equal(0, r.code)
  end)

  describe("finds a solver that", function()
    for _, case in ipairs {
      { "reads the day from the clock", "clock", "clock" },
      { "reads the time zone", "zone", "time zone" },
      { "depends on the locale", "locale", "locale" },
      { "depends on the size of the environment", "environment", "environment" },
      { "reads the working directory", "cwd", "working directory" },
      { "uses its process id", "pid", "process id" },
      { "walks a set with a seeded hash", "unsorted", "randomness" },
      { "orders by memory address", "address", "address layout" },
      { "reads memory it never wrote", "uninitialised", "uninitialised memory" },
      { "lets threads race", "race", "concurrency", "20" },
    } do
      it(case[1], function()
        local r = run { mode = case[2], argv = { "--runs", case[4] or "5" } }
        assert.equal(1, r.code, r.stdout .. r.stderr)
        assert.equal("FAIL", r.gate.status)
        has(r.stdout, "❌ FAIL - Hash mismatch on run ")
        has(r.stdout, "Fix: Check for randomness sources")
        has(r.stdout, "=== OVERALL: 0/1 GATES PASS ===")
        local found = findings(r, "hash_mismatch")
        assert.is_true(#found >= 1)
        has(found[1].detail, "stage solve, $.assignments[")
        assert.equal(case[3], r.gate.facts.cause, found[1].detail)
      end)
    end

    it("differs in the last digits of a number it does not hash", function()
      local r = run { mode = "float" }
      assert.equal(1, r.code, r.stdout)
      has(r.stdout, "❌ FAIL - Floating point variance")
      has(r.stdout, "Fix: Use Decimal or round consistently")
      has(findings(r, "float_variance")[1].detail, "ulp apart")
      has(findings(r, "float_variance")[1].detail, "$.cost")
    end)

    it("differs in the last digits of a number inside of a hashed text", function()
      local r = run { mode = "float-id" }
      assert.equal(1, r.code, r.stdout)
      has(r.stdout, "❌ FAIL - Floating point variance")
      has(findings(r, "float_variance")[1].detail, "$.assignments[0].block_id")
    end)
  end)

  it("only advises where runs differ in a time stamp that is not hashed", function()
    local r = run { mode = "stamp" }
    assert.equal(0, r.code, r.stdout)
    has(r.stdout, "✅ PASS - 3/3 runs produced identical hash")
    assert.equal("advisory", findings(r, "unhashed_variance")[1].severity)
  end)

  describe("is not satisfied by an identical answer that", function()
    it("leaves a tour out, and names it", function()
      local r = run { mode = "drop" }
      assert.equal(1, r.code)
      has(r.stdout, "❌ FAIL - Solver answer is not a complete plan: tour ")
      has(r.stdout, "is not assigned")
    end)

    it("assigns a tour twice", function()
      local r = run { mode = "double" }
      assert.equal(1, r.code)
      has(r.stdout, "is assigned 2 times")
    end)

    it("is a constant, however right it is for this one forecast", function()
      local answer = support.tmpdir()
      assert.equal(0, run { argv = { "--artifacts", answer } }.code)
      local r = run { mode = "constant " .. answer .. "/run1.json" }
      assert.equal(1, r.code, r.stdout)
      has(r.stdout, "❌ FAIL - Solver answer is not a complete plan: with another seed and forecast, ")
    end)

    it("ignores the seed", function()
      local r = run { mode = "seed" }
      assert.equal(1, r.code, r.stdout)
      has(r.stdout, "with another seed and forecast, the solver was given seed 95 and says it used 94")
    end)
  end)

  describe("is an error, never a pass, when the solver", function()
    for _, case in ipairs {
      { "crashes", "crash", "signal 6" },
      { "ends with an error", "exit", "exit 7" },
      { "prints garbage", "garbage", "not JSON" },
      { "prints nothing", "silent", "not JSON" },
      { "prints 100 MB", "flood", "run 1" },
      { "hangs", "hang", "run 1", ", wall_s = 1" },
      { "crashes in another time zone only", "crash-later", "run 2" },
    } do
      it(case[1], function()
        local r = run { mode = case[2], more = case[4] }
        assert.equal(3, r.code, r.stdout .. r.stderr)
        assert.equal("ERROR", r.gate.status)
        has(r.stdout, "⚠️ ERROR - ")
        has(r.stdout, case[3])
        assert.is_nil(r.stdout:find("PASS -", 1, true))
      end)
    end

    it("is not there", function()
      local r = run { config = support.write(support.tmpdir() .. "/gate-engine.conf.lua",
        'return { solver = { kind = "command", argv = { "/nonexistent/solver" } } }\n') }
      assert.equal(3, r.code, r.stdout)
      has(r.stdout, "/nonexistent/solver")
    end)

    it("says that the forecast cannot be planned, with the tour and the rule", function()
      local r = run { argv = { "--forecast-id", support.write(support.tmpdir() .. "/long.txt", "Mo 05:00-21:30\n") } }
      assert.equal(3, r.code, r.stdout)
      has(r.stdout, "tour Mo-0500-2130-")
      has(r.stdout, "max_span_regular_minutes")
    end)
  end)

  it("refuses a forecast with a line it does not understand", function()
    local r = run { argv = { "--forecast-id", support.write(support.tmpdir() .. "/bad.txt", "Mo 08:00-16:00\nMx 08:00-16:00\n") } }
    assert.equal(3, r.code, r.stdout)
    has(r.stdout, "line 2, column 1: MISSING_DAY")
  end)

  it("works on a forecast of a single tour", function()
    local r = run { argv = { "--forecast-id", support.write(support.tmpdir() .. "/one.txt", "Mo 08:00-16:00\n") } }
    assert.equal(0, r.code, r.stdout)
  end)

  describe("writes", function()
    it("each run's answer as JSON with one assignment a line", function()
      local dir = support.tmpdir() .. "/out"
      assert.equal(0, run { argv = { "--artifacts", dir, "--runs", "2" } }.code)
      local one, two = support.must_read(dir .. "/run1.json"), support.must_read(dir .. "/run2.json")
      assert.equal(one, two)
      assert.equal(10, #json.decode(one).assignments)
      assert.is_nil(support.read(dir .. "/run3.json"))
    end)

    it("the hashes of every stage of every run with DEBUG_DETERMINISM=1, and not without", function()
      local r = run { env = { DEBUG_DETERMINISM = "1" } }
      for n = 1, 3 do
        assert.is_truthy(r.stderr:find(("run %d: parse %%x+, expand %%x+, request %%x+, solve %%x+"):format(n)), r.stderr)
      end
      assert.is_nil(run {}.stderr:find("run 1: parse", 1, true))
    end)
  end)

  describe("'s recovery", function()
    it("writes the runs and their difference, names the cause and what to change", function()
      local dir = support.tmpdir() .. "/out"
      local r = run { verb = "recover", mode = "zone", argv = { "--artifacts", dir } }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      for _, step in ipairs { "Enable debug logging", "export DEBUG_DETERMINISM=1", "Run with verbose output", "--verbose",
        "Compare outputs line by line", "diff run1.json run2.json", "Fix source of randomness", "it reads the time zone",
        "Compute with minutes of the week, never with local time", "Rerun gate" } do
        has(r.stdout, step)
      end
      for _, file in ipairs { "run1.json", "run2.json", "run3.json", "diff-1-2.txt" } do
        assert.is_truthy(support.read(dir .. "/" .. file), file)
      end
      local removed = support.read(dir .. "/diff-1-2.txt"):match "^%- %d+: ([^\n]*)"
      has(support.read(dir .. "/run1.json"), removed)
    end)

    it("has nothing to propose for a gate that passes", function()
      local r = run { verb = "recover" }
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)
  end)

  describe("makes its runs side by side as --jobs says:", function()
    --- A solver that counts how many of itself are at work. After the first run each one of the same seed waits for `together`.
    local function meeting(together)
      local dir = support.tmpdir()
      local program = support.write(dir .. "/solver.py", ([[
import os, select, sys
sys.path.insert(0, %q)
sys.dont_write_bytecode = True
import answer
request, place = answer.read(), %q
mine = os.path.join(place, "at-work-%%d" %% os.getpid())
open(mine, "w").close()
def at_work(): return sum(name.startswith("at-work-") for name in os.listdir(place))
if request["seed"] == 94:
    first = not os.path.exists(place + "/first")
    open(place + "/first", "a").close()
    for _ in range(2000):
        if first or os.path.exists(place + "/met") or at_work() >= %d: break
        select.select([], [], [], 0.01)
    else:
        sys.exit("the others did not come")
    if not first: open(place + "/met", "a").close()
for _ in range(20):
    if at_work() > %d: open(place + "/too-many", "w").close()
    select.select([], [], [], 0.01)
answer.write(request, sorted(request["instances"], key=lambda tour: tour["id"]))
os.remove(mine)
]]):format(support.root .. "/tests/solvers", dir, together, together))
      return dir, support.write(dir .. "/gate-engine.conf.lua",
        ("return { solver = { kind = \"command\", argv = { \"/usr/bin/python3\", %q }, wall_s = 60 } }\n"):format(program))
    end

    for _, jobs in ipairs { 1, 3 } do
      it(("%d at a time"):format(jobs), function()
        local dir, config = meeting(jobs)
        local r = run { config = config, argv = { "--runs", "4", "--jobs", tostring(jobs) } }
        assert.equal(0, r.code, r.stdout .. r.stderr)
        assert.is_nil(support.read(dir .. "/too-many"))
      end)
    end
  end)

  it("refuses fewer than two and more than a hundred runs", function()
    for _, n in ipairs { "1", "101", "x" } do
      assert.equal(2, run { argv = { "--runs", n } }.code)
    end
  end)
end)
