-- Recording on the embedded platform: what a newcomer can try without a database of their own.
local json = require "engine.json"
local support = require "e2e.support"

local SELECT = "select count(*) from forecast_versions"

describe("run --record on the embedded platform", function()
  local function record(sql, ...)
    local dir = support.tmpdir()
    local argv = { "run", "gates/rls_harness.lua", "--only", "code_paths", "--record", dir .. "/r.jsonl", "--report",
      "json=" .. dir .. "/report.json", "--", "psql", "-Xq", "-v", "ON_ERROR_STOP=1" }
    for _, text in ipairs { sql, ... } do
      argv[#argv + 1] = "-c"
      argv[#argv + 1] = text
    end
    local r = support.run { argv = argv }
    return r, dir .. "/r.jsonl", json.decode(support.must_read(dir .. "/report.json"))
  end

  local TENANT = "set local app.current_tenant_id = '00000000-0000-0000-0000-000000000001'"

  it("passes statements that state their tenant, and keeps watching the platform's own functions", function()
    local r, path, report = record("begin; " .. TENANT .. "; " .. SELECT .. "; commit")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local facts = report.gates[1].facts
    assert.equal(4, facts.recorded_statements)
    assert.is_true(facts.code_paths > 0)
    assert.is_nil(facts.probes, "the probe of the isolation, which was not asked for")
    assert.is_nil(support.must_read(path):find("000000000001", 1, true))
  end)

  it("finds one that does not, with what the command itself says on standard error", function()
    local r = record("begin; " .. TENANT .. "; " .. SELECT .. "; commit", SELECT)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("❌ FAIL - set_config not called\n     - " .. SELECT, 1, true), r.stdout)
    assert.is_nil(r.stdout:find("count", 1, true) and r.stdout:find("^%s*%d+\n"))
  end)

  it("knows that the platform's functions state their tenant themselves", function()
    local r = support.run { "run", "gates/rls_harness.lua", "--only", "code_paths", "--record", support.tmpdir() .. "/r", "--",
      "sh", "-euc", [[
      tenant=$(PGUSER=postgres psql -XqAt -c "select id from core.tenants where code = 'demo'")
      psql -Xq -v ON_ERROR_STOP=1 -c "select platform.create_forecast('$tenant', 'x', '[]', '[]', repeat('0', 64), repeat('0', 64))"]] }
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("does not touch standard output beside the verdict", function()
    local r = support.run { "run", "gates/rls_harness.lua", "--only", "code_paths", "--record", support.tmpdir() .. "/r", "--", "sh", "-c",
      "echo SAID-BY-THE-COMMAND; psql -Xq -c \"begin; " .. TENANT .. "; " .. SELECT .. "; commit\"" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_nil(r.stdout:find("SAID-BY-THE-COMMAND", 1, true))
    assert.is_truthy(r.stderr:find("SAID-BY-THE-COMMAND", 1, true))
  end)

  describe("refuses with exit 2", function()
    local function usage(what, ...)
      local r = support.run { "run", ... }
      assert.equal(2, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find(what, 1, true), r.stderr)
    end

    it("a command that nothing records", function() usage("add --record FILE", "gates/rls_harness.lua", "--", "true") end)
    it("--listen alone", function() usage("--listen belongs to --record", "gates/rls_harness.lua", "--listen", "127.0.0.1:0") end)
    it("a script that looks at no recording", function()
      usage("looks at no recording", "gates/determinism_proof.lua", "--record", "r.jsonl")
    end)
    it("a file in no directory", function() usage("cannot be written", "gates/rls_harness.lua", "--record", "/nonexistent/r.jsonl") end)
    it("both ways at once", function()
      local file = support.write(support.tmpdir() .. "/r", "x")
      usage("contradict each other", "gates/rls_harness.lua", "--record", "r", "--recording", file)
    end)
  end)

  it("is an error with an address that cannot be listened on", function()
    for _, address in ipairs { "nonsense", "127.0.0.1:99999", "/nonexistent/dir", "192.0.2.1:1" } do
      local r = support.run { "run", "gates/rls_harness.lua", "--record", support.tmpdir() .. "/r", "--listen", address, "--", "true" }
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find("listen", 1, true), r.stderr)
    end
  end)

  it("says why a database could not be asked who it is", function()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
      admin = { url = "postgresql://nobody@/none?host=%s/nowhere" }, app = { role = "shop" },
      tenant = { column = "org_id", setting = "app.tenant" } } }]]):format(dir))
    local r = support.run { "run", "gates/rls_harness.lua", "--tenant", "acme", "--config", dir .. "/gate-engine.conf.lua", "--record",
      dir .. "/r", "--", "true" }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    for _, text in ipairs { "the database could not be asked who it is", "cannot connect to database", "No such file or directory" } do
      assert.is_truthy(r.stdout:find(text, 1, true), text .. r.stdout)
    end
  end)

  it("refuses a file that is no recording", function()
    local file = support.write(support.tmpdir() .. "/r", "2027-01-01 LOG: statement: select 1\n")
    local r = support.run { "run", "gates/rls_harness.lua", "--only", "code_paths", "--recording", file }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("neither a recording, nor a csvlog, nor a jsonlog", 1, true), r.stdout)
    support.write(file, "\n")
    r = support.run { "run", "gates/rls_harness.lua", "--only", "code_paths", "--recording", file }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("the file is empty", 1, true), r.stdout)
  end)
end)
