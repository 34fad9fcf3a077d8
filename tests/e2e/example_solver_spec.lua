-- The shipped example of an external solver (GLPK behind `command`) is driven by gates 2 and 3 as any other.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

local CONFIG = support.root .. "/examples/configs/external_solver.conf.lua"

local function run(gate, argv)
  local report = support.tmpdir() .. "/report.json"
  local words = { "run", "gates/" .. gate .. ".lua", "--report", "json=" .. report }
  for _, word in ipairs(argv) do words[#words + 1] = word end
  local r = support.run { argv = words }
  r.gate = json.decode(support.must_read(report)).gates[1]
  return r
end

--- Some 20 tours of four to six hours, the same ones each time.
local function week()
  local lines, state = {}, 5
  local function random(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n
  end
  for i = 1, 20 do
    local hour = 5 + random(11)
    local day = ({ "Mo", "Di", "Mi", "Do", "Fr", "Sa" })[i % 6 + 1]
    lines[i] = ("%s %02d:%02d-%02d:00\n"):format(day, hour, random(2) * 30, hour + 4 + random(3))
  end
  return support.write(support.tmpdir() .. "/week.txt", table.concat(lines))
end

describe("the GLPK example solver", function()
  it("is deterministic", function()
    local r = run("determinism_proof", { "--config", CONFIG, "--runs", "4" })
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("roster-glpk 1", r.gate.facts.solver)
    assert.equal(4, r.gate.facts.identical_runs)
  end)

  it("makes plans that all audits pass, with as few drivers as the reference solver and its bound say", function()
    local split = support.write(support.tmpdir() .. "/split.txt",
      "Mo 06:00-10:00 + 15:00-19:00\nMo 06:00-14:00\nMo 14:30-18:00\nDi 05:00-13:00\n")
    for _, forecast in ipairs { "gurkerl_small", week(), split } do
      local own = run("golden_path_e2e", { "--config", CONFIG, "--dataset", forecast })
      assert.equal(0, own.code, own.stdout .. own.stderr)
      local reference = run("golden_path_e2e", { "--dataset", forecast })
      assert.equal("7 of 7 PASS", own.gate.facts.audits)
      assert.equal(own.gate.facts.drivers, own.gate.facts.lower_bound)
      assert.is_true(own.gate.facts.drivers <= reference.gate.facts.drivers)
      assert.is_true(own.gate.facts.drivers >= reference.gate.facts.lower_bound)
    end
  end)

  it("says what it cannot plan", function()
    local long = support.write(support.tmpdir() .. "/long.txt", "Mo 05:00-21:30\n")
    local r = run("golden_path_e2e", { "--config", CONFIG, "--dataset", long })
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("is in no block that the rules allow", 1, true), r.stdout)
    local full = run("golden_path_e2e", { "--config", CONFIG, "--dataset", "gurkerl_full" })
    assert.equal(1, full.code, full.stdout .. full.stderr)
    assert.is_truthy(full.stdout:find("1385 tours, and this model is for up to 30", 1, true), full.stdout)
  end)
end)
