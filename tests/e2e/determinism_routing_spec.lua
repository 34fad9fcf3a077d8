-- Gate 2 through the binary for the routing pack: the reference solver, and solvers that are wrong on purpose.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "json"
local support = require "support"

local DATASET = "stdlib/datasets/routing/wien_small"
local dataset = support.dataset

---@param argv string[]?  in place of the golden dataset's
---@param options {config?: string, verb?: string}?
local function run(argv, options)
  local report = support.tmpdir() .. "/report.json"
  local words = { options and options.verb or "run", "gates/determinism_proof.lua", "--pack", "routing", "--report", "json=" .. report }
  for _, word in ipairs(argv or { "--forecast-id", "wien_small" }) do words[#words + 1] = word end
  if options and options.config then
    words[#words + 1] = "--config"
    words[#words + 1] = options.config
  end
  local r = support.run { argv = words }
  local text = support.read(report)
  r.report = text and json.decode(text)
  r.gate = r.report and r.report.gates and r.report.gates[1]
  return r
end

local function findings(r, class)
  local list = {}
  for _, check in ipairs(r.gate.checks) do
    if check.class == class then list[#list + 1] = check end
  end
  return list
end

--- A configuration whose solver is a shell script around the reference solver ($SOLVER).
local function config_for(script)
  local dir = support.tmpdir()
  local file = support.write(dir .. "/solver", ("#!/bin/sh\nSOLVER=%s/routing-solver\n%s\n"):format(support.build, script))
  support.shell("chmod 755 " .. file)
  return support.write(dir .. "/conf.lua", ('return { solver = { kind = "command", argv = { %q } } }\n'):format(file))
end

local function golden(name) return support.must_read(DATASET .. "/" .. name) end

describe("the determinism proof of the routing pack", function()
  it("passes on the reference solver with the document's words, and names the locked matrix", function()
    local r = run()
    assert.equal("=== Tenant Onboarding Validation ===\nTenant: demo\n\nGate 2: Determinism Proof\n"
      .. "  ✅ PASS - 3/3 runs produced identical hash\n\n=== OVERALL: 1/1 GATES PASS ===\n", r.stdout)
    local manifest, facts = json.decode(golden "manifest.json"), r.gate.facts
    assert.same({ 3, manifest.expected_output_hash, manifest.input_hash, manifest.matrix_sha256, "wien-small-1", true },
      { facts.identical_runs, facts.output_hash, facts.input_hash, facts.matrix_sha256, facts.matrix_version, facts.feasible })
    assert.matches("^routing%-solver ", facts.solver)
    assert.equal("seed 95, 9 stops", facts.control)
  end)

  it("takes wien_small where no forecast is named", function()
    local r = run {}
    assert.same({ 0, 3 }, { r.code, r.gate.facts.identical_runs }, r.stdout .. r.stderr)
  end)

  it("passes in ten runs side by side", function()
    assert.equal(10, run({ "--forecast-id", "wien_small", "--runs", "10" }).gate.facts.identical_runs)
  end)

  it("finds a time that follows the time zone, with its place and cause", function()
    local config = config_for [[if [ -n "$TZ" ]; then $SOLVER | sed 's/"start_s":28571,/"start_s":28570,/'; else $SOLVER; fi]]
    local r = run(nil, { config = config })
    assert.equal(1, r.code)
    local found = findings(r, "hash_mismatch")
    assert.equal("Hash mismatch on run 2", found[1].failure)
    assert.is_truthy(found[1].detail:find("$.routes[1].start_s: run 1 has 28571, run 2 has 28570", 1, true), found[1].detail)
    assert.is_truthy(found[1].detail:find("1 of 3 routes differ", 1, true), found[1].detail)
    assert.equal("gate-engine recover gates/determinism_proof.lua --tenant demo --pack routing --forecast-id wien_small --seed 94 --runs 3 "
      .. "--artifacts DIR", found[1].reproduce)
    assert.is_truthy(found[1].detail:find("it reads the time zone", 1, true), found[1].detail)
  end)

  it("finds that the same answer comes to every question", function()
    local dir = support.tmpdir()
    assert.equal(0, run({ "--forecast-id", "wien_small", "--artifacts", dir }).code)
    local r = run(nil, { config = config_for("cat >/dev/null; tr -d '\\n' <" .. dir .. "/run1.json") })
    assert.equal(1, r.code)
    assert.is_true(#findings(r, "answer_incomplete") > 0)
    assert.matches("with another seed and forecast", findings(r, "answer_incomplete")[1].failure)
  end)

  it("finds an answer that is no plan of this scenario, however often it is the same", function()
    local r = run(nil, { config = config_for [[$SOLVER | sed 's/"stop_id":"W01"/"stop_id":"W02"/']] })
    assert.equal(1, r.code)
    assert.matches("neither in a route nor in unassigned", findings(r, "answer_incomplete")[1].failure)
    r = run(nil, { config = config_for [[cat >/dev/null; echo '{"solver":{"name":"s","version":"1"},"seed":94,"routes":[7]}']] })
    assert.equal(3, r.code)
    assert.matches("the solver's answer is no plan: routes%[0%]", r.stdout)
  end)

  it("fails where travel times are not locked: estimated, or of a file that nothing pins", function()
    local open = golden("input.json"):gsub('"date"', '"haversine_fallback": true, "date"', 1)
    local r = run { "--forecast-id", dataset { ["input.json"] = open } }
    assert.same({ 1, "OSRM drift detected" }, { r.code, findings(r, "osrm_drift")[1].failure })
    assert.matches("110 of 110 ways are estimated", findings(r, "osrm_drift")[1].detail)
    r = run { "--forecast-id", dataset { ["input.json"] = golden "input.json", ["matrix.csv"] = golden "matrix.csv" } }
    assert.equal(1, r.code)
    assert.matches("matrix_sha256", findings(r, "osrm_drift")[1].detail)
  end)

  it("is an error, never a pass, on a scenario that is not understood or is another pack's", function()
    local r = run { "--forecast-id", dataset { ["input.json"] = "{}", ["matrix.csv"] = golden "matrix.csv" } }
    assert.equal(3, r.code)
    assert.matches("input.json, %$.-: MISSING_KEY", r.stdout)
    r = run { "--forecast-id", "gurkerl_small" }
    assert.equal(3, r.code)
    assert.matches("an input of the pack routing is input.json", r.stdout)
  end)

  it("recovers with every run written down, and the difference between two", function()
    local dir = support.tmpdir()
    local config = config_for [[if [ -n "$TZ" ]; then $SOLVER | sed 's/"start_s":28571,/"start_s":28570,/'; else $SOLVER; fi]]
    local r = run({ "--forecast-id", "wien_small", "--artifacts", dir }, { config = config, verb = "recover" })
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(3, #json.decode(support.must_read(dir .. "/run1.json")).routes)
    assert.matches('%-.*"start_s":28571.*%+.*"start_s":28570', support.must_read(dir .. "/diff-1-2.txt"))
  end)
end)
