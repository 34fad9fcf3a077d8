-- go_live killed at any moment: run again it ends with one activation, one record of it, a valid chain and a valid status file.
--
-- KILLS=200 kills so often (30 otherwise); each time another tenant's go-live, after another part of the time that a whole one takes.
local support = require "e2e.support"
local json = require "engine.json"

local quote = support.quote
local KILLS = tonumber(os.getenv "KILLS" or "30")

describe("go_live that is killed", function()
  local dir = support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }
  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function psql(sql)
    local r = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function activations(code)
    local n = 0
    for line in support.must_read(dir .. "/evidence/ledger.jsonl"):gmatch "([^\n]+)\n" do
      local record = json.decode(line)
      if record.kind == "activation" and record.tenant.code == code then n = n + 1 end
    end
    return n
  end

  setup(function()
    assert.equal(0, engine("platform", "start").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded", status_file = "tenant-status.json",
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]])
    support.make_tenants(env, "t0")
    local r = engine("run", "scripts/all.lua", "--tenant", "t0")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    -- One validation is enough: the tests' own key signs the same for each tenant.
    psql(("insert into core.tenants (code, name) select 't' || n, 't' || n from generate_series(1, %d) n"):format(KILLS))
    local ids = psql "select json_object_agg(code, id) from core.tenants"
    support.shell(("/usr/bin/python3 tests/support/forge.py %s/evidence %s"):format(quote(dir), quote(([[
import json
ids = json.loads('%s')
for n in range(1, %d):
    r = copy(last); r["tenant"] = {"code": "t%%d" %% n, "id": ids["t%%d" %% n]}; records.append(r); sign(r, "%s/key.pem")]])
      :format(ids, KILLS + 1, dir))))
  end)
  teardown(function() engine("platform", "stop") end)

  it("goes on where it was, whenever that is", function()
    -- The time of a whole run, in the kernel's own measure, so that the moments are spread over it on any machine; one is left to end.
    support.shell(([[cd %s; export GATE_ENGINE_STATE=%s; /usr/bin/python3 - %s %d <<'PY'
import os, random, signal, subprocess, sys, time
engine, kills = sys.argv[1], int(sys.argv[2])
def start(n):
    return subprocess.Popen([engine, "run", "go_live", "--tenant", "t%%d" %% n], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
begin = time.monotonic(); assert start(0).wait() == 0; whole = time.monotonic() - begin
random.seed(94)
for n in range(1, kills + 1):
    p = start(n)
    try:
        # What a run does last it does near its end: beyond the time of the one that was measured, for a machine that gets slower.
        p.wait(timeout=None if n == kills else 1.5 * whole * random.random())
    except subprocess.TimeoutExpired:
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
PY]]):format(quote(dir), quote(env.GATE_ENGINE_STATE), quote(support.engine), KILLS))
    local before = psql "select count(*) from core.tenants where status = 'active'"
    local text = support.read(dir .. "/tenant-status.json")
    assert.is_truthy(text and json.decode(text).tenants.t0)
    local killed = 0
    for n = 1, KILLS do
      local code = "t" .. n
      local r = engine("run", "go_live", "--tenant", code)
      assert.equal(0, r.code, r.stdout .. r.stderr)
      killed = killed + (r.stdout:find("✅ DONE", 1, true) and 1 or 0)
      assert.equal(1, activations(code), code)
    end
    assert.is_true(killed > 0 and killed < KILLS, "the moments lay all on one side: " .. killed .. " of " .. KILLS .. ", " .. before)
    assert.equal(tostring(KILLS + 1), psql "select count(*) from core.tenant_events where event = 'activated'")
    assert.equal(tostring(KILLS + 1), psql "select count(*) from core.tenants where status = 'active'")
    local r = engine("verify", "evidence/ledger.jsonl")
    assert.equal(0, r.code, r.stderr)
    local tenants = json.decode((support.must_read(dir .. "/tenant-status.json"))).tenants
    for n = 0, KILLS do assert.equal("active", tenants["t" .. n].status) end
  end)
end)
