-- Gate 2 through the binary: small real programs, each with one of the usual reasons for another answer every time. They must be found,
-- the cause named, and the place of the first difference told exactly.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "json"
local support = require "support"

local SOLVERS = support.root .. "/tests/solvers/"

local function words_of(list)
  local words = {}
  for i, word in ipairs(list) do words[i] = ("%q"):format(word) end
  return table.concat(words, ", ")
end

--- A week with a tour for each letter, so that two orders of it are never the same by chance.
local function forecast()
  local lines = {}
  for _, day in ipairs { "Mo", "Di", "Mi", "Do" } do
    for hour = 5, 7 do lines[#lines + 1] = ("%s %02d:00-%02d:00\n"):format(day, hour, hour + 8) end
  end
  return support.write(support.tmpdir() .. "/week.txt", table.concat(lines))
end

---@param argv string[]
---@param options {runs?: integer, more?: string, env?: string, verb?: string}?
local function prove(argv, options)
  options = options or {}
  local dir = support.tmpdir()
  local config = support.write(dir .. "/gate-engine.conf.lua",
    ("return { solver = { kind = \"command\", argv = { %s }, wall_s = 20, env = { PYTHONDONTWRITEBYTECODE = \"1\"%s }%s } }\n")
      :format(words_of(argv), options.env or "", options.more or ""))
  local r = support.run { argv = { options.verb or "run", "gates/determinism_proof.lua", "--config", config, "--forecast-id", forecast(),
    "--runs", tostring(options.runs or 5), "--report", "json=" .. dir .. "/report.json", "--artifacts", dir .. "/out" } }
  local text = support.read(dir .. "/report.json")
  r.gate = text and json.decode(text).gates[1]
  r.dir = dir
  return r
end

local function finding(r, class)
  for _, check in ipairs(r.gate.checks) do
    if check.class == class then return check end
  end
end

--- Run N's list, sorted as it is hashed.
local function run_file(r, number)
  return json.decode(support.must_read(("%s/out/run%s.json"):format(r.dir, number)))
end

--- The first difference of two lists of assignments, worked out here from the run files by another way than the gate's: text by text.
local function first_difference(r, number)
  local a, b = run_file(r, 1).assignments, run_file(r, number).assignments
  for i = 1, math.max(#a, #b) do
    for _, field in ipairs { "block_id", "block_type", "day", "driver_id", "tour_instance_id" } do
      if a[i][field] ~= b[i][field] then
        return ("$.assignments[%d].%s: run 1 has %s, run %s has %s;"):format(i - 1, field, json.encode(a[i][field]), number,
          json.encode(b[i][field]))
      end
    end
  end
end

local function has(text, wanted)
  assert.is_truthy(text:find(wanted, 1, true), ("expected %q in:\n%s"):format(wanted, text))
end

local python = "/usr/bin/python3"

--- A directory with the compiled German locale, which minimal systems do not have.
local function locales()
  local dir = support.tmpdir()
  support.shell(("localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8"):format(dir))
  return dir
end

local function settings()
  return (support.write(support.tmpdir() .. "/solver.ini", "[solver]\n"):gsub("/solver.ini$", ""))
end

--- A directory with a file for each driver.
local function drivers()
  local dir = support.tmpdir()
  for i = 1, 12 do support.write(("%s/D%04d"):format(dir, i), "") end
  return dir
end

describe("the determinism proof names the cause of a solver that", function()
  for _, case in ipairs {
    { "reads the clock", "clock", { python, SOLVERS .. "clock.py" } },
    { "uses its process id", "process id", { "/usr/bin/perl", SOLVERS .. "process_id.pl" } },
    { "walks a set of seeded hashes", "hash order", { python, SOLVERS .. "hash_order.py" } },
    { "walks an unsorted Lua table, and says what seeds it", "hash order", { "/usr/bin/lua5.4", SOLVERS .. "unsorted_set.lua" },
      set = { "address layout", "clock" } },
    { "lets threads race, within a hundred runs", "concurrency", { support.build .. "/tests/solvers/thread_race" }, runs = 100 },
    { "sorts by the locale", "locale", { python, SOLVERS .. "locale_sort.py" },
      env = function() return (', LOCPATH = %q'):format(locales()) end },
    { "reads the time zone", "time zone", { "/bin/sh", SOLVERS .. "time_zone.sh" } },
    { "reads memory it never wrote, within a hundred runs", "uninitialised memory", { support.build .. "/tests/solvers/uninitialised" },
      runs = 100, set = { "malloc fill" } },
    { "reads a file of its working directory", "working directory", { python, SOLVERS .. "cwd.py" },
      more = function() return (', cwd = %q'):format(settings()) end },
    { "reads the environment", "environment", { python, SOLVERS .. "environment.py" } },
    { "takes files as the system lists them", "file order", { python, SOLVERS .. "file_order.py", drivers } },
    { "goes wrong under two conditions together", "time zone + working directory", { python, SOLVERS .. "two_conditions.py" },
      set = { "time zone", "working directory" }, more = function() return (', cwd = %q'):format(settings()) end },
  } do
    it(case[1], function()
      local argv = { table.unpack(case[3]) }
      if type(argv[3]) == "function" then argv[3] = argv[3]() end
      local r = prove(argv, { runs = case.runs, more = case.more and case.more(), env = case.env and case.env() })
      assert.equal(1, r.code, r.stdout .. r.stderr)
      local found = finding(r, "hash_mismatch")
      assert.is_truthy(found, r.stdout .. r.stderr)
      has(r.stdout, "❌ FAIL - Hash mismatch on run ")
      has(found.detail, "stage solve, " .. first_difference(r, found.object:match "^run (%d+)$"))
      assert.equal(case[2], r.gate.facts.cause, found.detail)
      assert.same(case.set or { case[2] }, r.gate.facts.smallest_set, found.detail)
    end)
  end

  it("adds floating-point numbers in the order of a set", function()
    local r = prove { python, SOLVERS .. "float_sum.py" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "❌ FAIL - Floating point variance")
    local found = finding(r, "float_variance")
    local number = found.detail:match ", run (%d+) has"
    local a, b = run_file(r, 1).cost, run_file(r, number).cost
    assert.are_not.equal(a, b)
    has(found.detail, ("stage solve, $.cost: run 1 has %s, run %s has %s ("):format(json.encode(a), number, json.encode(b)))
    assert.equal("floating point", r.gate.facts.cause)
    assert.equal("hash order", r.gate.facts.floating_point_by)
  end)
end)

describe("what cannot be applied is reported, not assumed:", function()
  it("a locale that is not installed", function()
    local r = prove { python, SOLVERS .. "locale_sort.py" }
    has(r.gate.facts.not_applied.locale or "(nothing)", "is not installed")
  end)

  it("clock and file order of a program that is linked statically", function()
    local dir = support.tmpdir()
    support.write(dir .. "/echo.c", [[
#include <stdio.h>
int main(void) {
    for (int c; (c = getchar()) != EOF;) {
    }
    return puts("{\"solver\":{\"name\":\"s\",\"version\":\"1\"},\"seed\":94,\"drivers\":0,\"assignments\":[]}") < 0;
}
]])
    support.shell(("gcc -static -o %s/echo %s/echo.c"):format(dir, dir))
    local r = prove({ dir .. "/echo" }, { runs = 2 })
    has(r.gate.facts.not_applied.faketime, "linked statically")
    has(r.gate.facts.not_applied.order, "linked statically")
    assert.are_not.equal(0, r.code)
  end)
end)

it("a recovery run says the cause as well", function()
  local r = prove({ python, SOLVERS .. "hash_order.py" }, { verb = "recover" })
  assert.equal(0, r.code, r.stdout .. r.stderr)
  has(r.stdout, "it walks a hash table whose order is seeded")
  has(r.stdout, "Sort before walking a set or dictionary")
end)

describe("the determinism proof of a right solver", function()
  it("passes under every shift of the clock where the solver sleeps and waits with time limits", function()
    local r = prove({ python, SOLVERS .. "sleeps.py" }, { runs = 6 })
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_nil(r.gate.facts.not_applied.faketime)
    for number, shift in ipairs { "+3d", "-40d", "+200d", "-3y", "+7h" } do
      local seen = false
      for _, condition in ipairs(r.gate.facts.conditions) do seen = seen or condition:find("clock " .. shift, 1, true) ~= nil end
      assert.is_true(seen, ("shift %d, %s"):format(number, shift))
    end
  end)
end)
