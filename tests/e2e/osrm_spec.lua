-- Gate 4's OSRM check against a server that speaks OSRM's API from the golden matrix, with faults on demand.
package.path = "tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local http_server = require "support.http_server"
local json = require "engine.json"
local support = require "support"

local MATRIX = support.root .. "/stdlib/datasets/routing/wien_small/matrix.csv"

--- Each: the fault's path, what the failure says, and a part of its detail.
local FAULTS = {
  { "truncated", "connection lost" }, { "login", "the answer cannot be read", "nearest: not JSON" },
  { "e500", "HTTP status 500" }, { "e429", "HTTP status 429" }, { "elsewhere", "redirected elsewhere" },
  { "headers", "the answer is too large" }, { "toobig", "OSRM answered TooBig", "Too many table coordinates" },
  { "region", "the map is of another region", "50000 m away" }, { "island", "there is no way between two points", "from 48." },
  { "fast", "the route is not plausible", "duration" }, { "crow", "the route is not plausible", "as the crow flies" },
  { "oneway", "the route is not plausible", "and back" }, { "detour", "the route is not plausible", "by way of" },
  { "short", "the answer cannot be read", "rows of durations" },
  { "negative", "the answer cannot be read", "expected a number or null as durations[0][1]" },
  { "disagree", "route and table disagree", "by route" }, { "drift", "far from the locked matrix", "differ by more than 50 %" },
  { "stall", "timeout" }, { "drip", "timeout" },
}

describe("gate 4's OSRM check", function()
  local server

  local env = { GATE_ENGINE_STATE = support.tmpdir() .. "/state" }

  setup(function()
    server = http_server.start("osrm_server.py", MATRIX)
    assert.equal(0, support.run({ argv = { "platform", "start" }, env = env }).code)
    support.make_tenants(env, "acme")
  end)
  teardown(function()
    support.run { argv = { "platform", "stop" }, env = env }
    server.stop()
  end)

  local function run(fault, routing)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", packs = { routing = { %s } },
      endpoints = { osrm = { url = "http://127.0.0.1:%d/%s" } } }]]):format(routing or ("matrix = %q"):format(MATRIX),
      server.ports.plain, fault))
    local r = support.run { cwd = dir, env = env,
      argv = { "run", "integrations_contract", "--tenant", "acme", "--only", "osrm", "--report", "json=r.json" } }
    r.gate = json.decode(support.must_read(dir .. "/r.json")).gates[1]
    return r
  end

  it("passes on the matrix's own roads, and says how long answers took and how far they are from the matrix", function()
    local r = run ""
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local facts = r.gate.facts
    assert.equal(8, facts.osrm_points)
    assert.equal(0, facts.osrm_off_matrix_percent_max)
    assert.is_true(facts.osrm_latency_ms_p50 > 0 and facts.osrm_latency_ms_p50 <= facts.osrm_latency_ms_p95
      and facts.osrm_latency_ms_p95 <= facts.osrm_latency_ms_max)
  end)

  it("asks again where the service fails for a moment, and says so", function()
    local r = run "flaky"
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_true(r.gate.facts.osrm_repeated_requests > 8)
  end)

  it("takes points of its own where no matrix is configured", function()
    local r = run("", "")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(4, r.gate.facts.osrm_points)
    assert.is_nil(r.gate.facts.osrm_off_matrix_percent_max)
  end)

  it("is an ERROR where the matrix cannot be read or is not the pinned one", function()
    local broken = support.write(support.tmpdir() .. "/m.csv", "nonsense\n")
    for _, routing in ipairs { ("matrix = %q"):format(broken), ("matrix = %q, matrix_sha256 = %q"):format(MATRIX, ("0"):rep(64)) } do
      local r = run("", routing)
      assert.equal(3, r.code, r.stdout)
      assert.matches("matrix", r.stdout)
    end
  end)

  for _, case in ipairs(FAULTS) do
    it("names what is wrong: " .. case[1], function()
      local r = run(case[1])
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("❌ FAIL - OSRM: " .. case[2] .. "\n", 1, true), r.stdout)
      if case[3] then assert.is_truthy(r.stdout:find(case[3], 1, true), r.stdout) end
      assert.matches('^curl "%$OSRM_URL/route/v1/driving/', r.gate.checks[1].reproduce)
    end)
  end
end)
