local support = require "e2e.support"

local run = support.run

local has = support.has

--- Runs the command which a new spec names, with the state directory of these tests.
local function run_spec(dir, id)
  local command = support.must_read(dir .. "/" .. id .. "_spec.lua"):match "%-%-   (LUA_PATH=.-)\n"
  local out = dir .. "/busted.out"
  local ok = os.execute(("cd %s && GATE_ENGINE_STATE=%s %s >%s 2>&1"):format(
    support.quote(dir), support.quote(support.state), command, support.quote(out)))
  return ok, support.must_read(out)
end

describe("new", function()
  it("writes a gate that passes check, passes at once on the embedded platform, and whose spec passes", function()
    local dir = support.tmpdir()
    local r = run { cwd = dir, "new", "gate", "backup_fresh" }
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, "backup_fresh.lua\nbackup_fresh_spec.lua\n", "gate-engine check ./backup_fresh.lua", "gate-engine run ./backup_fresh.lua")
    local source = support.must_read(dir .. "/backup_fresh.lua")
    has(source, 'id      = "backup_fresh"', 'name    = "Backup fresh"', "Usage:", "Arguments:", "Output of a pass")
    assert.is_nil((source .. support.must_read(dir .. "/backup_fresh_spec.lua")):find "@%u+@")
    r = run { cwd = dir, "check", "backup_fresh.lua" }
    assert.are.equal("backup_fresh.lua: ok (gate backup_fresh)\n", r.stdout)
    r = run { cwd = dir, "run", "./backup_fresh.lua" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "✅ PASS - Every tenant has its row", "=== OVERALL: 1/1 GATES PASS ===")
    r = run { cwd = dir, "run", "./backup_fresh.lua", "--at-least", "2", "--tenant", "acme" }
    assert.are.equal(1, r.code)
    has(r.stdout, "❌ FAIL - Tenant acme has too few rows", "acme: 1 found, 2 expected", "Fix: Create the tenant, then rerun this gate")
    r = run { cwd = dir, "recover", "./backup_fresh.lua", "--at-least", "2", "--tenant", "acme" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "Look into acme")
    local ok, out = run_spec(dir, "backup_fresh")
    assert.is_true(ok, out)
    has(out, "2 successes / 0 failures / 0 errors")
  end)

  it("writes an audit that passes check, runs on a plan at once, and whose spec passes and can fail", function()
    local dir = support.tmpdir()
    local r = run { cwd = dir, "new", "audit", "day_off" }
    assert.are.equal(0, r.code, r.stderr)
    r = run { cwd = dir, "check", "day_off.lua" }
    assert.are.equal("day_off.lua: ok (audit day_off)\n", r.stdout)
    r = run { cwd = dir, "run", "gates/golden_path_e2e.lua", "--artifacts", "plan" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    r = run { cwd = dir, "run", "./day_off.lua", "--plan", "plan" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    local ok, out = run_spec(dir, "day_off")
    assert.is_true(ok, out)
    has(out, "2 successes / 0 failures / 0 errors")
    support.write(dir .. "/day_off.lua", (support.must_read(dir .. "/day_off.lua"):gsub("MOST_DAYS = 6", "MOST_DAYS = 7")))
    ok, out = run_spec(dir, "day_off")
    assert.is_falsy(ok)
    has(out, "1 success / 1 failure")
  end)

  it("writes an operation that passes check, runs and dry-runs at once, and whose spec passes and can fail", function()
    local dir = support.tmpdir()
    local r = run { cwd = dir, "new", "operation", "rename_tenant" }
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, "rename_tenant.lua\nrename_tenant_spec.lua\n", "gate-engine check ./rename_tenant.lua")
    local source = support.must_read(dir .. "/rename_tenant.lua")
    has(source, 'id      = "rename_tenant"', 'name    = "Rename tenant"', "Usage:", "Arguments:")
    assert.is_nil((source .. support.must_read(dir .. "/rename_tenant_spec.lua")):find "@%u+@")
    r = run { cwd = dir, "check", "rename_tenant.lua" }
    assert.are.equal("rename_tenant.lua: ok (operation rename_tenant)\n", r.stdout)
    -- the output that its head shows is what it prints
    r = run { cwd = dir, "run", "./rename_tenant.lua", "--tenant", "acme", "--name", "Acme" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    local shown = r.stdout:gsub("  Nothing of this stays: [^\n]*\n", "")
    assert.are.equal("=== Rename tenant ===\nTenant: acme\n\n  ✅ DONE - Rename acme\n\n=== OK: The tenant has its new name ===\n", shown)
    for line in shown:gmatch "[^\n]+" do has(source, "--   " .. line) end
    r = run { cwd = dir, "run", "./rename_tenant.lua", "--tenant", "acme", "--name", "Acme", "--dry-run" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "WOULD - Rename acme", "nothing was changed")
    r = run { cwd = dir, "run", "./rename_tenant.lua", "--tenant", "acme", "--name", "acme" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "Nothing to do: the tenant has that name already")
    r = run { cwd = dir, "run", "./rename_tenant.lua", "--tenant", "acme", "--name", " " }
    assert.are.equal(1, r.code, r.stdout .. r.stderr)
    for line in r.stdout:match("\n\n(.-)\n\n"):gmatch "[^\n]+" do has(source, "--   " .. line) end
    r = run { cwd = dir, "run", "./rename_tenant.lua", "--help" }
    assert.are.equal(0, r.code)
    has(r.stdout, "--name", "the tenant's new display name", "--dry-run")
    local ok, out = run_spec(dir, "rename_tenant")
    assert.is_true(ok, out)
    has(out, "3 successes / 0 failures / 0 errors")
    support.write(dir .. "/rename_tenant.lua", (source:gsub("ctx:refuse%(", "print(")))
    ok, out = run_spec(dir, "rename_tenant")
    assert.is_falsy(ok)
    has(out, "2 successes / 1 failure")
  end)

  it("writes an audit of routing plans, which runs on one at once, and whose spec passes and can fail", function()
    local dir = support.tmpdir()
    local r = run { cwd = dir, "new", "audit", "few_stops", "--pack", "routing" }
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, "few_stops.lua\nfew_stops_spec.lua\n",
      "gate-engine run ./few_stops.lua --plan DIR      # DIR is what gate-engine run golden_path_e2e --pack routing")
    assert.is_nil((support.must_read(dir .. "/few_stops.lua") .. support.must_read(dir .. "/few_stops_spec.lua")):find "@%u+@")
    r = run { cwd = dir, "check", "few_stops.lua" }
    assert.are.equal("few_stops.lua: ok (audit few_stops)\n", r.stdout)
    r = run { cwd = dir, "run", "./few_stops.lua", "--plan", support.root .. "/examples/plans/vienna_day" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    support.write(dir .. "/one_stop.lua", (support.must_read(dir .. "/few_stops.lua"):gsub("MOST_STOPS = 24", "MOST_STOPS = 0")))
    r = run { cwd = dir, "run", "./one_stop.lua", "--plan", support.root .. "/examples/plans/vienna_day" }
    assert.are.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "- V2: 1 stops from 12:00 on, at most 0")
    local ok, out = run_spec(dir, "few_stops")
    assert.is_true(ok, out)
    has(out, "2 successes / 0 failures / 0 errors")
    support.write(dir .. "/few_stops.lua", (support.must_read(dir .. "/few_stops.lua"):gsub("MOST_STOPS = 24", "MOST_STOPS = 25")))
    ok, out = run_spec(dir, "few_stops")
    assert.is_falsy(ok)
    has(out, "1 success / 1 failure")
  end)

  it("has a spec's audit see the earlier weeks that it asks for, or says that they are missing", function()
    local dir = support.tmpdir()
    assert.are.equal(0, run({ cwd = dir, "new", "audit", "weeks", "--pack", "roster" }).code)
    local source = support.must_read(dir .. "/weeks.lua"):gsub('pack = "roster",', 'pack = "roster", needs = { history = 1 },')
    support.write(dir .. "/weeks.lua", source)
    local ok, out = run_spec(dir, "weeks")
    assert.is_falsy(ok)
    has(out, "weeks.lua needs 1 earlier weeks, and plan.history has 0")
    local spec = support.must_read(dir .. "/weeks_spec.lua"):gsub("return { drivers", "return { history = { {} }, drivers")
    support.write(dir .. "/weeks_spec.lua", spec)
    ok, out = run_spec(dir, "weeks")
    assert.is_true(ok, out)
  end)

  it("overwrites nothing, and leaves nothing behind where it refuses", function()
    for _, there in ipairs { "mine.lua", "mine_spec.lua" } do
      local dir = support.tmpdir()
      support.write(dir .. "/" .. there, "mine\n")
      local r = run { cwd = dir, "new", "gate", "mine" }
      assert.are.equal(2, r.code)
      has(r.stderr, there .. " is there already", "nothing is overwritten")
      assert.are.equal("", r.stdout)
      assert.are.equal("mine\n", support.read(dir .. "/" .. there))
      local list = io.popen("ls " .. support.quote(dir)):read "a"
      assert.are.equal(there .. "\n", list)
    end
  end)

  it("says what it expected, with exit 2", function()
    for _, case in ipairs {
      { { "new" }, "expected a kind and a name" }, { { "new", "gate" }, "expected a kind and a name" },
      { { "new", "gtae", "x" }, 'did you mean "gate"?' }, { { "new", "gate", "../x" }, 'found "../x"' },
      { { "new", "gate", "Upper" }, "expected a name ([a-z][a-z0-9_]*" }, { { "new", "gate", "a", "b" }, "found 3 words" },
      { { "new", "audit", "a", "--pack", "rooster" }, 'did you mean "roster"?' },
      { { "new", "gate", "a", "--pack", "routing" }, "--pack belongs to audits" },
    } do
      local dir = support.tmpdir()
      local r = run { cwd = dir, argv = case[1] }
      assert.are.equal(2, r.code)
      has(r.stderr, case[2])
      assert.are.equal("", io.popen("ls " .. support.quote(dir)):read "a")
    end
  end)
end)
