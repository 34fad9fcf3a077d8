-- --repeat: a gate that does not end the same way each time is FLAKY, fails the run and never approves.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"
local json = require "engine.json"

--- A gate that ends as `says` tells for each run: "p" passes, "f" finds something, "e" crashes.
local function place(says)
  local dir = support.tmpdir()
  support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", commands = { turn = { argv = { "/bin/sh", "-c",
    "n=$(cat %s/n 2>/dev/null || echo 0); echo $((n+1)) >%s/n; printf %%d $n" } } } }]]):format(dir, dir))
  support.write(dir .. "/turns.lua", ([[return require("gate").define {
    api = 1, id = "turns", name = "Turns", purpose = "a test", pass = "Fine", needs = { commands = { "turn" } },
    failures = { odd = { text = "It is odd", fix = "Make it even" } },
    run = function(ctx)
      ctx:check("turn", function()
        local n = tonumber(ctx.exec:run("turn", {}).stdout) + 1
        local what = ("%s"):sub(n, n)
        if what == "f" then ctx:fail("odd", { object = "run " .. n }) end
        if what == "e" then error("lost my way") end
      end)
    end }]]):format(says))
  return dir
end

local function repeated(says, ...)
  local dir = place(says)
  local r = support.run { argv = { "run", "turns.lua", "--tenant", "acme", "--repeat", tostring(#says), "--report",
    "json=report.json", "--report", "junit=report.xml", ... }, cwd = dir }
  r.report = json.decode((support.must_read(dir .. "/report.json")))
  r.gate, r.junit = r.report.gates[1], support.must_read(dir .. "/report.xml")
  return r
end

describe("--repeat", function()
  it("calls a gate that passes and fails FLAKY, and shows the run that failed", function()
    local r = repeated "pffp"
    assert.equal(1, r.code)
    assert.same({ "FLAKY", "FLAKY" }, { r.report.status, r.gate.status })
    assert.same({ "PASS", "FAIL", "FAIL", "PASS" }, r.gate.facts["repeat"])
    assert.is_truthy(r.stdout:find("  ❌ FLAKY - 2 of 4 runs passed; run 2 ended in FAIL, and is shown here\n", 1, true))
    assert.is_truthy(r.stdout:find("  ❌ FAIL - It is odd\n     - run 2\n", 1, true))
    assert.is_truthy(r.junit:find('failures="1"', 1, true))
  end)

  it("calls one that passes and crashes FLAKY too", function()
    local r = repeated "ep"
    assert.equal(1, r.code)
    assert.same({ "FLAKY", { "ERROR", "PASS" } }, { r.gate.status, r.gate.facts["repeat"] })
    assert.is_truthy(r.stdout:find("lost my way", 1, true))
  end)

  it("lets the worst decide where no run passed", function()
    local r = repeated "ef"
    assert.equal(1, r.code)
    assert.same({ "FAIL", { "ERROR", "FAIL" } }, { r.gate.status, r.gate.facts["repeat"] })
    r = repeated "ee"
    assert.same({ 3, "ERROR" }, { r.code, r.gate.status })
  end)

  it("passes what passes each time, with the text of one run", function()
    local r = repeated "ppp"
    assert.same({ 0, "PASS", { "PASS", "PASS", "PASS" } }, { r.code, r.gate.status, r.gate.facts["repeat"] })
    assert.is_truthy(r.stdout:find("  ✅ PASS - Fine\n\n=== OVERALL: 1/1 GATES PASS ===\n", 1, true))
  end)

  it("approves a suite that passes each time", function()
    local r = support.run { "run", "scripts/all.lua", "--repeat", "2" }
    assert.equal(0, r.code)
    assert.is_truthy(r.stdout:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is approved for pilot.\n", 1, true))
  end)

  it("takes whole numbers, for gates", function()
    for _, n in ipairs { "0", "-1", "1.5", "many", "1001" } do
      local r = support.run { "run", "scripts/all.lua", "--repeat", n }
      assert.equal(2, r.code)
      assert.is_truthy(r.stderr:find("--repeat: expected a whole number from 1 to 1000, found", 1, true))
    end
    local r = support.run { "run", support.root .. "/examples/audits/max_two_nights.lua", "--plan",
      support.root .. "/examples/plans/night_week", "--repeat", "2" }
    assert.equal(2, r.code)
    assert.is_truthy(r.stderr:find("--repeat belongs to gates", 1, true))
  end)
end)
