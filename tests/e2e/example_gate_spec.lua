-- examples/gates/backup_fresh.lua: the gate of the README, on the embedded platform, through failure and recovery.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"

local GATE = support.root .. "/examples/gates/backup_fresh.lua"

describe("the example gate", function()
  local env, config, done

  local function engine(...)
    return support.run { argv = { ... }, env = env }
  end

  local function sql(text)
    local r = engine("platform", "psql", "-qc", text)
    assert.equal(0, r.code, r.stderr)
  end

  setup(function()
    local dir = support.tmpdir()
    env = { GATE_ENGINE_STATE = dir .. "/state" }
    done = dir .. "/done"
    config = support.write(dir .. "/gate-engine.conf.lua", ([[
      return { platform = "embedded", commands = { ["backup-now"] = { argv = { "/usr/bin/touch", %q } } } }
    ]]):format(done))
    local r = engine("platform", "start")
    assert.equal(0, r.code, r.stderr)
    sql "create schema ops; create table ops.backups (tenant text, finished_at timestamptz)"
  end)

  teardown(function()
    engine("platform", "stop")
  end)

  before_each(function()
    sql "delete from ops.backups"
    os.remove(done)
  end)

  it("stands in the README as it is", function()
    local readme = support.must_read(support.root .. "/README.md")
    assert.is_truthy(readme:find("```lua\n" .. support.must_read(GATE) .. "```\n", 1, true))
  end)

  it("fails where there is no backup, with the fix, the runbook and the owner", function()
    local r = engine("run", GATE, "--config", config)
    assert.equal(1, r.code, r.stderr)
    assert.is_truthy(r.stdout:find([[
Gate: Backup freshness
  ❌ FAIL - Backup of demo is too old
     - demo: none found
     Fix: Run the backup job, then rerun this gate
     Runbook: https://wiki.example/backup
     Owner: platform team
     Recover: gate-engine recover ]], 1, true), r.stdout)
    assert.is_truthy(r.stdout:find("=== OVERALL: 0/1 GATES PASS ===\n$"))
  end)

  it("passes with a recent backup of this tenant", function()
    sql "insert into ops.backups values ('demo', now() - interval '3 hours')"
    local r = engine("run", GATE, "--config", config)
    assert.equal(0, r.code, r.stderr)
    assert.is_truthy(r.stdout:find("  ✅ PASS - Last backup is recent\n", 1, true))
  end)

  it("fails with a backup that is older than its option allows, or of another tenant", function()
    sql "insert into ops.backups values ('demo', now() - interval '3 hours'), ('acme', now())"
    local r = engine("run", GATE, "--config", config, "--max-age-hours", "2")
    assert.equal(1, r.code, r.stderr)
    assert.is_truthy(r.stdout:find("     - demo: 3.0 h\n", 1, true))
  end)

  it("refuses an option out of its range before anything runs", function()
    local r = engine("run", GATE, "--config", config, "--max-age-hours", "0")
    assert.equal(2, r.code)
    assert.is_truthy(r.stderr:find("max-age-hours", 1, true))
  end)

  it("proposes the backup job, and starts it only with --apply", function()
    local r = engine("recover", GATE, "--config", config)
    assert.equal(0, r.code, r.stderr)
    assert.is_truthy(r.stdout:find("Start the backup job", 1, true))
    assert.is_nil(support.read(done))
    r = engine("recover", GATE, "--config", config, "--report", "json=-")
    assert.equal(0, r.code, r.stderr)
    assert.is_truthy(r.stderr:find("Start the backup job", 1, true))
    local report = support.write(support.tmpdir() .. "/report.json", r.stdout)
    support.shell("env -u LD_PRELOAD /usr/bin/python3 tests/support/validate_report.py stdlib/schema/report-1.json "
      .. support.quote(report))
    assert.is_truthy(r.stdout:find('"exit_code": 0', 1, true))
    assert.is_truthy(r.stdout:find('"run": "backup-now"', 1, true))
    r = engine("recover", GATE, "--config", config, "--apply")
    assert.is_truthy(support.read(done), r.stdout .. r.stderr)
    assert.equal(1, r.code, "the gate runs again, and this job makes no backup")
  end)
end)
