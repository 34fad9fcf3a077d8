-- Gate 4 against planted defects: each must turn it to its documented failure, and none may show a secret.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"
local json = require "engine.json"

local GATE = "gates/integrations_contract.lua"

--- Flips one byte of what a process reads from an object of the store.
local SHIM = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int of_store(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    return strstr(path, "bytes.bin") != NULL;
}
ssize_t read(int fd, void *to, size_t n) {
    ssize_t (*real)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t got = real(fd, to, n);
    if (got > 3 && of_store(fd)) ((char *)to)[2] ^= 1;
    return got;
}
]]

describe("gate 4", function()
  local state = support.tmpdir() .. "/state"

  --- Runs a script under a configuration (Lua text or nil) on the kept platform; returns the result and its report.
  local function run(config, script, env)
    local dir = support.tmpdir()
    local argv = { "run", script or GATE, "--tenant", "acme", "--report", "json=" .. dir .. "/report.json" }
    if config then
      argv[#argv + 1] = "--config"
      argv[#argv + 1] = support.write(dir .. "/gate-engine.conf.lua", config)
    end
    env = env or {}
    env.GATE_ENGINE_STATE = state
    local result = support.run { argv = argv, env = env }
    local text = support.must_read(dir .. "/report.json")
    return result, json.decode(text), text
  end

  local function psql(sql)
    local result = support.run { argv = { "platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-q", "-c", sql },
      env = { GATE_ENGINE_STATE = state } }
    assert.equal(0, result.code, result.stderr)
  end

  local function assert_shown(result, code, text)
    assert.equal(code, result.code, result.stdout .. result.stderr)
    assert.truthy(result.stdout:find(text, 1, true), result.stdout)
    assert.truthy(result.stdout:find("=== OVERALL: 0/1 GATES PASS ===", 1, true), result.stdout)
  end

  setup(function()
    assert.equal(0, support.run({ argv = { "platform", "start" }, env = { GATE_ENGINE_STATE = state } }).code)
    support.make_tenants({ GATE_ENGINE_STATE = state }, "acme")
  end)

  teardown(function() support.run { argv = { "platform", "stop" }, env = { GATE_ENGINE_STATE = state } } end)

  it("says how far it is with what is large, on the terminal alone", function()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "external", artifacts = { kind = "local", path = "s" },
      database = { admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" } } }]])
    local function shown(...)
      local r = support.run { cwd = dir, argv = { "run", "integrations_contract", "--tenant", "acme", "--only", "artifact_store",
        "--large-mb", "20", "--report", "json=r.json", ... } }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.is_nil((r.stdout .. support.must_read(dir .. "/r.json")):find("20 MB", 1, true))
      local _, up = r.stderr:gsub("20 MB up %[", "")
      local _, down = r.stderr:gsub("20 MB down %[", "")
      return { up, down, r.stderr:find "20 MB down %[#+%] 100 %%" ~= nil }
    end
    assert.same({ 10, 10, true }, shown "--verbose")
    assert.same({ 0, 0, false }, shown())
  end)

  it("passes on the platform as it is, with OSRM skipped for its reason", function()
    local result, report = run()
    assert.equal(0, result.code, result.stdout .. result.stderr)
    local seen = {}
    for _, check in ipairs(report.gates[1].checks) do seen[check.name] = check end
    assert.equal("PASS", seen.auth.status)
    assert.equal("PASS", seen.artifact_store.status)
    assert.equal("PASS", seen.database.status)
    assert.equal("SKIP", seen.osrm.status)
    assert.equal("no routing pack configured", seen.osrm.detail)
  end)

  it("fails for a configured key that the platform does not accept, and shows it nowhere", function()
    local result, report, text = run [[return { platform = "embedded", auth = { api_key = { value = "sk_live_notthekey0123" } } }]]
    assert_shown(result, 1, "❌ FAIL - Auth flow failed: token invalid")
    assert.truthy(result.stdout:find("Fix: Check Entra config or API key", 1, true), result.stdout)
    assert.equal("auth_failed", report.gates[1].checks[1].class)
    assert.is_nil((result.stdout .. result.stderr .. text):find("notthekey", 1, true))
  end)

  it("fails where the platform accepts whatever key it is shown", function()
    psql [[create or replace function platform.authenticate(p_key text) returns table(tenant_code text, tenant_id uuid)
      language sql stable security definer set search_path = pg_catalog, pg_temp
      as $$ select c.code, c.id from core.tenants c where c.code = 'acme' $$]]
    assert_shown(run(), 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted")
    assert.equal(0, support.run({ argv = { "platform", "reset" }, env = { GATE_ENGINE_STATE = state } }).code)
    support.make_tenants({ GATE_ENGINE_STATE = state }, "acme")
  end)

  it("takes away what a killed run left in the store an hour ago, and nothing else", function()
    local dir = support.tmpdir()
    local old = { "acme/0123456789abcdef/bytes.bin", "acme/0123456789abcdef/empty.bin" }
    local kept = { "acme/fedcba9876543210/bytes.bin", "acme/report.txt", "other/0123456789abcdef/bytes.bin" }
    for i, key in ipairs { old[1], old[2], kept[2], kept[3], kept[1] } do
      support.write(dir .. "/gate-engine/" .. key, "x")
      if i < 5 then support.shell(("touch -d '2 hours ago' %s/gate-engine/%s"):format(dir, key)) end
    end
    local result, report = run(([[return { platform = "embedded", artifacts = { kind = "local", path = %q } }]]):format(dir))
    assert.equal(0, result.code, result.stdout .. result.stderr)
    assert.equal(2, report.gates[1].facts.store_leftovers_removed)
    table.sort(kept)
    local pipe = io.popen(("cd %s/gate-engine && find . -type f | LC_ALL=C sort"):format(dir))
    assert.equal("./" .. table.concat(kept, "\n./") .. "\n", pipe:read "a")
    pipe:close()
  end)

  it("fails where the store returns other bytes", function()
    local dir = support.tmpdir()
    support.write(dir .. "/shim.c", SHIM)
    support.shell(("cc -shared -fPIC -o %s/shim.so %s/shim.c -ldl"):format(dir, dir))
    local result = run(nil, nil, { LD_PRELOAD = dir .. "/shim.so", ASAN_OPTIONS = "verify_asan_link_order=0:detect_leaks=0" })
    assert_shown(result, 1, "❌ FAIL - Artifact store: the bytes that came back differ")
  end)

  it("fails where the store's directory cannot be made", function()
    assert_shown(run [[return { platform = "embedded", artifacts = { kind = "local", path = "/proc/no-store" } }]], 1,
      "❌ FAIL - Artifact store: cannot be made")
  end)

  it("fails where OSRM does not answer", function()
    assert_shown(run [[return { platform = "embedded", packs = { routing = { matrix = "m.csv" } },
      endpoints = { osrm = { url = "http://127.0.0.1:1" } } }]], 1, "❌ FAIL - OSRM: connection refused")
  end)

  it("is an ERROR that names the key where the routing pack has no OSRM", function()
    assert_shown(run [[return { platform = "embedded", packs = { routing = { matrix = "m.csv" } } }]], 3, "no key endpoints.osrm")
  end)

  it("fails for a dead database server, where the other gates are errors", function()
    local result, report, text = run([[return { platform = "external", artifacts = { kind = "local", path = "]] .. support.tmpdir()
      .. [[" }, database = { admin = { url = "postgresql://a:dead-secret@127.0.0.1:1/x" },
        app = { url = "postgresql://b:dead-secret@127.0.0.1:1/x" },
        tenant = { column = "tenant_id", setting = "app.current_tenant_id" } } }]], "scripts/all.lua")
    assert.equal(1, result.code, result.stdout .. result.stderr)
    local status = {}
    for i, gate in ipairs(report.gates) do status[i] = gate.status end
    assert.same({ "ERROR", "ERROR", "ERROR", "FAIL" }, status)
    assert.truthy(result.stdout:find("❌ FAIL - Database pool: connection refused", 1, true), result.stdout)
    assert.is_nil((result.stdout .. result.stderr .. text):find("dead-secret", 1, true))
  end)
end)
