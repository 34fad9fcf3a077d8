-- Gate 2 beside a live OSRM: how far it is from the locked matrix, and a StaticMatrix recorded from it. OSRM cannot be installed here; what
-- answers is a server of its HTTP API (tests/lua/support/osrm_server.py), with faults on demand, and the client is the real one.
package.path = "tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local hash = require "hash"
local http_server = require "support.http_server"
local json = require "json"
local matrix = require "packs.routing.matrix"
local support = require "support"

local GOLDEN = support.root .. "/stdlib/datasets/routing/wien_small/"

describe("the determinism proof beside a live OSRM", function()
  local server
  setup(function() assert.equal(0, support.run({ "platform", "start" }).code) end)
  teardown(function() support.run { "platform", "stop" } end)
  before_each(function() server = http_server.start("osrm_server.py", GOLDEN .. "matrix.csv") end)
  after_each(function() server.stop() end)

  ---@param options {fault: string?, routing: string?, pack: string?, dataset: string?, verb: string?, argv: string[]?}
  local function run(options)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ('return { packs = { routing = { %s } }, endpoints = { osrm = { url = '
      .. '"http://127.0.0.1:%d/%s" } } }\n'):format(options.routing or "", server.ports.plain, options.fault or ""))
    local argv = { options.verb or "run", "gates/determinism_proof.lua", "--pack", options.pack or "routing", "--forecast-id",
      options.dataset or "wien_small", "--report", "json=r.json" }
    for _, word in ipairs(options.argv or {}) do argv[#argv + 1] = word end
    local r = support.run { argv = argv, cwd = dir }
    local text = support.read(dir .. "/r.json")
    r.gate = text and json.decode(text).gates[1]
    for _, check in ipairs(r.gate and r.gate.checks or {}) do
      if check.name == "matrix beside OSRM" then r.beside = check end
    end
    return r
  end

  --- A scenario of so many stops around the golden depot, without a matrix.
  local function scenario(stops)
    local found = json.decode(support.must_read(GOLDEN .. "input.json"))
    local model, list = found.stops[1], {}
    for i = 1, stops do
      list[i] = {}
      for key, value in pairs(model) do list[i][key] = value end
      list[i].id, list[i].lat, list[i].lng, list[i].demand = ("S%02d"):format(i), (48190 + i) / 1000, (16350 + i % 7) / 1000, 1
    end
    found.stops = json.array(list)
    local dir = support.tmpdir()
    support.write(dir .. "/input.json", json.encode(found))
    return dir
  end

  it("states how far it is from the dataset's matrix", function()
    local r = run {}
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("PASS", r.beside.status)
    assert.equal(40, r.gate.facts.osrm_drift_ways)
    assert.same({ p50 = 0, p95 = 0, max = 0 }, r.gate.facts.osrm_drift_percent)
  end)

  it("tells a drift as an advisory, since plans do not depend on it, and as a failure with --strict", function()
    local r = run { fault = "drift" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.same({ p50 = 100, p95 = 100, max = 100 }, r.gate.facts.osrm_drift_percent)
    assert.same({ "advisory", "OSRM drift detected" }, { r.beside.severity, r.beside.failure })
    support.has(r.beside.detail, "40 ways of the live service differ", "p50 100.0 %, p95 100.0 %, max 100.0 %", "from 48.")
    r = run { fault = "drift", argv = { "--strict" } }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    support.has(r.stdout, "❌ FAIL - OSRM drift detected", "Fix: Use StaticMatrix instead")
  end)

  it("looks at the configuration's matrix where the roster is proven", function()
    local file = GOLDEN .. "matrix.csv"
    local pinned = ("matrix = %q, matrix_sha256 = %q"):format(file, hash.sha256(support.must_read(file)))
    local r = run { pack = "roster", dataset = "gurkerl_small", routing = pinned }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(0, r.gate.facts.osrm_drift_percent.max)
  end)

  it("is an error, never an agreement, where OSRM is not reached or answers what it does not mean", function()
    for _, fault in ipairs { "e500", "login", "truncated" } do
      local r = run { fault = fault }
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.equal("ERROR", r.beside.status)
    end
    server.stop()
    local r = run {}
    assert.same({ 3, "ERROR" }, { r.code, r.beside.status })
    server = http_server.start("osrm_server.py", GOLDEN .. "matrix.csv")
  end)

  it("skips it only where no OSRM is configured", function()
    local dir = support.tmpdir()
    local r = support.run { cwd = dir, argv = { "run", "gates/determinism_proof.lua", "--report", "json=r.json" } }
    assert.equal(0, r.code, r.stdout)
    for _, check in ipairs(json.decode(support.must_read(dir .. "/r.json")).gates[1].checks) do
      if check.name == "matrix beside OSRM" then assert.same({ "SKIP", "no OSRM configured" }, { check.status, check.detail }) end
    end
  end)

  describe("'s recovery", function()
    local function recover(options)
      options.verb, options.dir = "recover", options.dir or support.tmpdir() .. "/out"
      options.argv = { "--artifacts", options.dir, options.more }
      local r = run(options)
      r.matrix, r.dir = support.read(options.dir .. "/matrix.csv"), options.dir
      return r
    end

    it("records the ways of a scenario that has none, and what it says to pin makes the gate pass", function()
      local dataset = scenario(12)
      assert.equal(3, run({ dataset = dataset }).code)
      local r = recover { dataset = dataset }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      support.has(r.stdout, "Use StaticMatrix instead", "recorded 156 ways into DIR/matrix.csv, version osrm-", hash.sha256(r.matrix))
      assert.is_nil(r.stderr:find("recording ways", 1, true))
      local made = matrix.parse(r.matrix, { sha256 = r.stdout:match 'matrix_sha256 = "(%x+)"' })
      assert.equal(156, made.rows)
      local pinned = ("matrix = %q, matrix_sha256 = %q"):format(r.dir .. "/matrix.csv", made.sha256)
      local proven = run { dataset = dataset, routing = pinned }
      assert.equal(0, proven.code, proven.stdout .. proven.stderr)
      assert.equal(made.version, proven.gate.facts.matrix_version)
      assert.is_true(proven.gate.facts.osrm_drift_percent.max < 1) -- a tenth of a second, to which OSRM rounds and this server does not
    end)

    it("goes on where it stopped", function()
      local dataset = scenario(60)
      local broken = recover { dataset = dataset, fault = "third" }
      assert.are_not.equal(0, broken.code)
      assert.is_nil(broken.matrix)
      assert.truthy(support.read(broken.dir .. "/matrix-block-1-2.json"))
      local r = recover { dataset = dataset, dir = broken.dir, more = "--verbose" }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      support.has(r.stdout, "recorded 3660 ways", "(2 blocks had been recorded before)")
      support.has(r.stderr, "Determinism Proof: recording ways [########--------] 50 %", "recording ways [################] 100 %")
      assert.equal(3660, matrix.parse(r.matrix).rows)
      assert.is_nil(support.read(broken.dir .. "/matrix-block-1-2.json"))
    end)

    it("does not take up a block that is damaged or of other points", function()
      local dataset, dir = scenario(60), support.tmpdir() .. "/out"
      assert.are_not.equal(0, recover({ dataset = dataset, fault = "third", dir = dir }).code)
      local block = support.must_read(dir .. "/matrix-block-1-2.json")
      support.write(dir .. "/matrix-block-1-2.json", (block:gsub('"rows":"(%d)', '"rows":"1', 1)))
      local r = recover { dataset = dataset, dir = dir }
      support.has(r.stdout, "(1 blocks had been recorded before)")
      server.stop()
      server, dir = http_server.start("osrm_server.py", GOLDEN .. "matrix.csv"), support.tmpdir() .. "/out"
      assert.are_not.equal(0, recover({ dataset = dataset, fault = "third", dir = dir }).code)
      r = recover { dataset = scenario(61), dir = dir }
      support.has(r.stdout, "recorded 3782 ways", "(1 blocks had been recorded before)")
    end)

    for fault, said in pairs {
      wobble = "OSRM drift detected", region = "the map is of another region", island = "OSRM has no way from", e500 = "HTTP status 500",
    } do
      it("writes no matrix where the service is wrong: " .. fault, function()
        local r = recover { dataset = scenario(5), fault = fault }
        assert.are_not.equal(0, r.code)
        support.has(r.stdout .. r.stderr, said)
        assert.is_nil(r.matrix)
      end)
    end

    it("records the ways between a configured matrix's points anew where it is not the one that was pinned", function()
      local other = ("matrix = %q, matrix_sha256 = %q"):format(GOLDEN .. "matrix.csv", ("0"):rep(64))
      assert.equal(1, run({ pack = "roster", dataset = "gurkerl_small", routing = other }).code)
      local r = recover { pack = "roster", dataset = "gurkerl_small", routing = other }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      support.has(r.stdout, "recorded 110 ways")
    end)

    it("says what it would need", function()
      local r = run { verb = "recover", dataset = scenario(5) }
      support.has(r.stdout, "with --artifacts DIR this recovery records the ways between 6 points")
      r = run { verb = "recover", pack = "roster", dataset = "gurkerl_small" }
      support.has(r.stdout, "nothing says between which points")
    end)
  end)
end)
