-- A script of one's own that bears the name or id of one of the four gates is not that gate, and every format says so.
local json = require "engine.json"
local support = require "e2e.support"

local run = support.run

local has = support.has

local function gate(id, name, number, passes)
  return ([[
return require("gate").define { api = 1, id = %q, name = %q, number = %d, pass = "No cross-tenant leaks detected",
  failures = { leak = { text = "leak" } },
  run = function(ctx) ctx:check("x", function() if not %s then ctx:fail "leak" end end) end }
]]):format(id, name, number, passes ~= false and "true" or "false")
end

local FORMATS = { "json", "junit", "sarif", "markdown", "html", "tap", "github" }

describe("a script that looks like one of the four gates", function()
  local dir = support.tmpdir()
  local path = dir .. "/gates/rls_harness.lua"

  local function reports(script)
    local argv = { "run", script }
    for _, format in ipairs(FORMATS) do
      argv[#argv + 1] = "--report"
      argv[#argv + 1] = ("%s=%s/r.%s"):format(format, dir, format)
    end
    return run { cwd = dir, argv = argv }
  end

  it("is marked in the text and in every report, with its path, whether it passes or fails", function()
    for _, passes in ipairs { true, false } do
      support.write(path, gate("rls_harness", "RLS Harness", 1, passes))
      local r = reports "gates/rls_harness.lua"
      assert.are.equal(passes and 0 or 1, r.code, r.stderr)
      has(r.stdout, "Gate: RLS Harness (not the gate that ships with gate-engine: " .. path .. ")\n")
      assert.is_nil(r.stdout:find("Gate 1", 1, true))
      for _, format in ipairs(FORMATS) do
        local text = support.must_read(("%s/r.%s"):format(dir, format)):gsub("&#95;", "_")
        has(text, "not the gate that ships with gate-engine", "/gates/rls_harness.lua")
      end
      local one = json.decode(support.must_read(dir .. "/r.json")).gates[1]
      assert.is_false(one.shipped)
      assert.are.equal(json.null, one.number)
      has(one.lookalike, path)
    end
  end)

  it("is known by its id, by its name however it is written, and as a copy", function()
    support.shell("cp gates/determinism_proof.lua " .. support.quote(dir .. "/copy.lua"))
    support.write(dir .. "/id.lua", gate("golden_path_e2e", "Something else", 7))
    support.write(dir .. "/name.lua", gate("mine", "GATE 4:  integrations-contract", 4))
    for _, name in ipairs { "copy.lua", "id.lua", "name.lua" } do
      local r = run { cwd = dir, "run", name, "--report", "json=r.json" }
      has(r.stdout, "(not the gate that ships with gate-engine: " .. dir .. "/" .. name .. ")")
    end
  end)

  it("does not count as one of the four: a suite of them does not approve", function()
    local names = {
      { "rls_harness", "RLS Harness" }, { "determinism_proof", "Determinism Proof" }, { "golden_path_e2e", "Golden Path E2E" },
      { "integrations_contract", "Integrations Contract" } }
    for i, one in ipairs(names) do support.write(("%s/%s.lua"):format(dir, one[1]), gate(one[1], one[2], i)) end
    support.write(dir .. "/all.lua", [[return require("suite").define { api = 1, id = "all", name = "Tenant Onboarding Validation",
      gates = { "./rls_harness.lua", "./determinism_proof.lua", "./golden_path_e2e.lua", "./integrations_contract.lua" } }]])
    local r = run { cwd = dir, "run", "all.lua", "--report", "json=r.json" }
    assert.are.equal(0, r.code, r.stderr)
    local _, marked = r.stdout:gsub("%(not the gate that ships with gate%-engine: ", "")
    assert.are.equal(4, marked, r.stdout)
    has(r.stdout, "Tenant demo is NOT approved")
    assert.is_false(json.decode(support.must_read(dir .. "/r.json")).approved)
  end)

  it("is no gate that bears another name, and no gate that ships", function()
    support.write(dir .. "/own.lua", gate("own", "Our own gate", 5))
    for name, shipped in pairs { ["own.lua"] = false, ["integrations_contract"] = true } do
      os.remove(dir .. "/integrations_contract.lua")
      local r = run { cwd = dir, "run", name, "--report", "json=r.json" }
      assert.is_nil(r.stdout:find("not the gate that ships", 1, true))
      local one = json.decode(support.must_read(dir .. "/r.json")).gates[1]
      assert.are.equal(shipped, one.shipped)
      assert.are.equal(json.null, one.lookalike)
    end
  end)
end)
