-- Gate 3 through an adapter that the operators wrote: it is run, it is an error where it is no adapter, and it approves only where pinned.
package.path = "tests/e2e/?.lua;" .. package.path
local hash = require "engine.hash"
local json = require "engine.json"
local support = require "support"

local EXAMPLE = support.root .. "/examples/adapters/own_functions.lua"

--- A configuration beside a file with this adapter.
local function config(source, more)
  local dir = support.tmpdir()
  support.write(dir .. "/ours.lua", source)
  return support.write(dir .. "/gate-engine.conf.lua", ('return { adapter = "ours.lua", %s }\n'):format(more or "")), dir
end

local function run(source)
  local file, dir = config(source)
  local r = support.run { argv = { "run", "gates/golden_path_e2e.lua", "--config", file, "--report", "json=" .. dir .. "/report.json",
    "--artifacts", dir .. "/out" } }
  r.gate = json.decode(support.must_read(dir .. "/report.json")).gates[1]
  r.dir = dir
  for _, c in ipairs(r.gate.checks) do r.first = r.first or c.status ~= "PASS" and c or nil end
  return r
end

describe("an adapter of the operators' own", function()
  it("drives the platform, as the shipped example does", function()
    local r = run((support.must_read(EXAMPLE):gsub("function adapter.left_behind", [[
      function adapter.race_lock(plan, names)
        local answers = {}
        for i in ipairs(names) do answers[i] = { ok = true, answer = host.db:value("select platform.lock_plan($1::uuid, $2::uuid, $3)",
          host.tenant.id, plan, names[i]) } end
        return answers
      end
      function adapter.left_behind]])))
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("a locked plan in demo", r.gate.facts.left_behind)
    assert.equal(0, run(support.must_read(EXAMPLE)).code)
  end)

  it("has its failures told as those of the platform", function()
    local r = run((support.must_read(EXAMPLE):gsub("return adapter", 'adapter.read_instances = function() return {} end return adapter')))
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("Stage Expand failed: instances sent and read back: expected 10, found 0", 1, true), r.stdout)
  end)

  for name, case in pairs {
    ["does not parse"] = { "return function(host", "adapter_unreadable" },
    ["raises while it loads"] = { 'error("no")', "adapter_unreadable" },
    ["returns no function"] = { "return {}", "adapter_unreadable" },
    ["makes no table"] = { "return function() return 7 end", "adapter_unreadable" },
    ["lacks functions"] = { "return function() return {} end", "adapter_incomplete" },
    ["is binary"] = { "\27Lua", "adapter_unreadable" },
  } do
    it("that " .. name .. " is an error, never a pass", function()
      local r = run(case[1])
      assert.same({ 3, case[2] }, { r.code, r.first.class }, r.stdout .. r.stderr)
    end)
  end

  it("that is not there is an error of the configuration", function()
    local file = support.write(support.tmpdir() .. "/gate-engine.conf.lua", 'return { adapter = "gone.lua" }\n')
    local r = support.run { "run", "gates/golden_path_e2e.lua", "--config", file }
    assert.equal(2, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stderr:find("gone.lua", 1, true), r.stderr)
  end)

  it("approves only where it is pinned by its very text", function()
    local source = support.must_read(EXAMPLE)
    local function all(pin)
      local file = config(source, pin and ('evidence = { scripts = { ["ours.lua"] = %q } }'):format(pin) or "")
      return support.run { "run", "scripts/all.lua", "--config", file }
    end
    for _, pin in ipairs { false, ("0"):rep(64) } do
      local r = all(pin)
      assert.is_truthy(r.stdout:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is NOT approved", 1, true), r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find("is not pinned", 1, true), r.stderr)
    end
    local r = all(hash.sha256(source))
    assert.is_truthy(r.stdout:find("Tenant demo is approved for pilot.", 1, true), r.stdout .. r.stderr)
  end)
end)
