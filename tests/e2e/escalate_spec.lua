-- The escalation table on the embedded platform: each rule is put on record once, told to a real HTTP server with a signature that an
-- independent implementation verifies, and stands in the JUnit report; a request to bypass is recorded and refused.
package.path = "tests/support/?.lua;" .. package.path
local support = require "e2e.support"
local json = require "engine.json"
local pilot = require "pilot"

local has, quote = support.has, support.quote
local KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" -- base64, as a receiver's library makes it
local VERIFY = [[
import base64, hashlib, hmac, json, sys
r, key = json.load(open(sys.argv[1])), base64.b64decode(sys.argv[2])
h = r["headers"]
told = "%s.%s.%s" % (h["webhook-id"], h["webhook-timestamp"], r["body"])
good = "v1," + base64.b64encode(hmac.new(key, told.encode(), hashlib.sha256).digest()).decode()
sys.exit(0 if hmac.compare_digest(good, h["webhook-signature"]) else 1)
]]

describe("escalate", function()
  local dir, web = support.tmpdir(), support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state", HOOK_SECRET = "whsec_" .. KEY }
  local server
  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function psql(sql)
    local r = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function escalate(rule, ...)
    local r = engine("run", "escalate", "--tenant", "acme", "--rule", rule, "--report", "junit=out.xml", "--report", "json=out.json", ...)
    r.all = r.stdout .. r.stderr
    r.junit = support.read(dir .. "/out.xml") or ""
    if r.code ~= 2 then
      support.shell(("xmllint --noout --relaxng tests/support/junit.rng %s/out.xml 2>/dev/null"):format(quote(dir)))
      r.records = json.decode((support.must_read(dir .. "/out.json"))).gates[1].facts.escalations
    end
    return r
  end
  local function count() return tonumber(psql "select count(*) from core.escalations") end
  local function configure(hooks)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", endpoints = { duty = { url = "%s/duty" },
      second = { url = "%s/second" } }, webhooks = { %s },
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]]):format(server.url, server.url, hooks))
  end

  setup(function()
    server = pilot.start(web)
    server.answer { ["/duty/hook"] = { status = 204 }, ["/second/hook"] = { status = 200 } }
    assert.equal(0, engine("platform", "start").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    configure [[{ endpoint = "duty", path = "/hook", secret = env "HOOK_SECRET" }]]
    assert.equal(0, engine("run", "create_tenant", "--tenant", "acme", "--name", "Acme").code)
    assert.equal(0, engine("run", "create_tenant", "--tenant", "beta", "--name", "Beta").code)
  end)
  teardown(function()
    engine("platform", "stop")
    server.stop()
  end)

  it("puts a gate that fails on record as S3: id, severity, tenant, evidence, action, who", function()
    local r = engine("run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--dataset", "3er_violation", "--report", "json=failed.json",
      "--report", "junit=failed.xml")
    assert.equal(1, r.code, r.stdout)
    has(support.must_read(dir .. "/failed.xml"), 'name="escalation" value="S3 gate_failed: Block go-live. Fix and retry."')
    local dry = escalate("gate_failed", "--from", "failed.json", "--dry-run")
    assert.equal(0, dry.code, dry.all)
    has(dry.stdout, "➖ WOULD - Record ESC-", "➖ WOULD - Tell duty/hook of ESC-")
    assert.equal(0, count())
    assert.same({}, server.requests())
    r = escalate("gate_failed", "--from", "failed.json")
    assert.equal(0, r.code, r.all)
    assert.equal(1, #r.records)
    local record = r.records[1]
    assert.same({ "S3", "gate_failed", "acme", "Block go-live. Fix and retry.", "the gate's owner", "golden_path_e2e", "FAIL" },
      { record.severity, record.rule, record.tenant, record.action, record.who, record.evidence.gate, record.evidence.status })
    has(json.encode(record.evidence.findings), "fatigue")
    has(r.junit, ('name="escalation" value="%s S3 gate_failed: Block go-live. Fix and retry."'):format(record.id))
    assert.equal(record.id .. "|gate_failed|S3|acme|golden_path_e2e", psql [[select e.id, rule, severity, code, evidence ->> 'gate'
      from core.escalations e join core.tenants t on t.id = e.tenant_id]])
  end)

  it("calls the webhook, signed so that Standard Webhooks' rule verifies it, and an edit breaks it", function()
    local requests = server.requests()
    assert.equal(1, #requests)
    local r = requests[1]
    assert.same({ "POST", "/duty/hook", "application/json" }, { r.method, r.path, r.headers["content-type"] })
    local body = json.decode(r.body)
    assert.equal("escalation.gate_failed", body.type)
    assert.equal(r.headers["webhook-id"], body.data.id)
    assert.is_true(math.abs(os.time() - tonumber(r.headers["webhook-timestamp"])) < 3600)
    local function verified(request)
      support.write(dir .. "/request.json", json.encode(request))
      return os.execute(("/usr/bin/python3 -c %s %s/request.json %s"):format(quote(VERIFY), dir, KEY)) == true
    end
    assert.is_true(verified(r))
    r.body = r.body:gsub("S3", "S4")
    assert.is_false(verified(r))
  end)

  it("has nothing to do when the same is said again", function()
    local r = escalate("gate_failed", "--from", "failed.json")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "is on record, and everybody was told")
    assert.equal(1, count())
    assert.equal(1, #server.requests())
  end)

  it("tells a receiver that was down by another run, and those alone that have not taken it", function()
    configure [[{ endpoint = "duty", path = "/hook", secret = env "HOOK_SECRET" },
      { endpoint = "second", path = "/hook", secret = "plain" },
      { endpoint = "second", path = "/never", events = { "escalation.gate_flaky" }, secret = "plain" }]]
    finally(function() server.answer { ["/duty/hook"] = { status = 204 }, ["/second/hook"] = { status = 200 } } end)
    server.answer { ["/duty/hook"] = { status = 204 }, ["/second/hook"] = { status = 503 } }
    local r = escalate("gate_failed", "--from", "failed.json", "--evidence", "seen again")
    assert.equal(3, r.code, r.all)
    has(r.stdout, "✅ DONE - Record ESC-", "was not taken by second/hook: it answers 503")
    assert.equal(2, count())
    server.answer { ["/duty/hook"] = { status = 204 }, ["/second/hook"] = { status = 200 } }
    r = escalate("gate_failed", "--from", "failed.json", "--evidence", "seen again")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "✅ DONE - Tell second/hook of ESC-")
    local paths = {}
    for i, request in ipairs(server.requests()) do paths[i] = request.path end
    assert.same({ "/duty/hook", "/duty/hook", "/second/hook", "/second/hook" }, paths)
    assert.equal(2, count())
    configure [[{ endpoint = "duty", path = "/hook", secret = env "HOOK_SECRET" }]]
  end)

  it("puts a flaky gate on record as S3, and takes no report for what it is not", function()
    local report = json.decode((support.must_read(dir .. "/failed.json")))
    report.gates[1].status, report.gates[1].owner = "FLAKY", "roster team"
    support.write(dir .. "/flaky.json", json.encode(report))
    local r = escalate("gate_flaky", "--from", "flaky.json")
    assert.equal(0, r.code, r.all)
    assert.same({ "S3", "Investigate. Improve test.", "roster team" }, { r.records[1].severity, r.records[1].action, r.records[1].who })
    report.tenant = "beta"
    support.write(dir .. "/foreign.json", json.encode(report))
    support.write(dir .. "/other.json", '{"schema": "something else"}')
    support.write(dir .. "/broken.json", "{")
    local before = count()
    for words, argv in pairs {
      ["The report is not of tenant acme"] = { "gate_flaky", "--from", "foreign.json" },
      ["it is another kind of document"] = { "gate_flaky", "--from", "other.json" },
      ["is no report of gate-engine"] = { "gate_flaky", "--from", "broken.json" },
      ["has nothing for the rule gate_flaky"] = { "gate_flaky", "--from", "failed.json" },
      ["gate_failed needs the report of the run"] = { "gate_failed", "--evidence", "somebody said so" },
      ["bypass_request needs evidence"] = { "bypass_request" },
      ["Tenant acme is not in its pilot"] = { "pilot_issue", "--evidence", "x", "--missing-check", "y", "--gates-dir", "g" },
    } do
      r = escalate(table.unpack(argv))
      assert.equal(1, r.code, r.all)
      has(r.stdout, words)
    end
    assert.equal(before, count())
  end)

  it("puts a request to bypass on record as S2 and refuses it, each time, by whatever option", function()
    local before = count()
    local dry = escalate("bypass_request", "--evidence", "mail of the customer", "--dry-run")
    assert.equal(1, dry.code, dry.all)
    has(dry.stdout, "WOULD - Record ESC-", dry.records[1].id .. " would be on record")
    assert.equal(before, count())
    for _ = 1, 2 do
      local r = escalate("bypass_request", "--evidence", "mail of the customer")
      assert.equal(1, r.code, r.all)
      has(r.stdout, "❌ REFUSED - No exceptions: gates are not bypassed for tenant acme", r.records[1].id .. " is on record",
        "Fix the issues")
      assert.same({ "S2", "No exceptions. Fix issues first." }, { r.records[1].severity, r.records[1].action })
      has(r.junit, "S2 bypass_request: No exceptions. Fix issues first.")
    end
    assert.equal(before + 1, count())
    local help = engine("run", "escalate", "--help").stdout
    for _, option in ipairs { "force", "grant", "allow", "yes", "approve", "skip", "override" } do
      assert.is_nil(help:find("--" .. option, 1, true), option)
      assert.equal(2, engine("run", "escalate", "--tenant", "acme", "--rule", "bypass_request", "--evidence", "x", "--" .. option).code)
    end
    assert.equal("onboarding", psql "select status from core.tenants where code = 'acme'")
  end)

  it("records a request to bypass, and refuses it, where the webhook is down: an error is no grant", function()
    configure [[{ endpoint = "duty", path = "/nowhere", secret = env "HOOK_SECRET" }]]
    local before = count()
    local r = escalate("bypass_request", "--evidence", "a second mail")
    assert.equal(3, r.code, r.all)
    assert.equal(before + 1, count())
    configure [[{ endpoint = "duty", path = "/hook", secret = env "HOOK_SECRET" }]]
    r = escalate("bypass_request", "--evidence", "a second mail")
    assert.equal(1, r.code, r.all)
    assert.equal(before + 1, count())
  end)

  it("puts an issue in the pilot on record as S2, and writes the stub of the missing check, which never passes", function()
    assert.equal(0, engine("run", "scripts/all.lua", "--tenant", "acme").code)
    assert.equal(0, engine("run", "go_live", "--tenant", "acme").code)
    local argv = { "--evidence", "T-12: plans miss Nord", "--gates-dir", "gates", "--missing-check", 'Each depot "Nord"\nhas its plan' }
    local r = escalate("pilot_issue", table.unpack(argv))
    assert.equal(0, r.code, r.all)
    assert.same({ "S2", "Review gates. Add missing checks." }, { r.records[1].severity, r.records[1].action })
    local file = dir .. "/gates/pilot_each_depot_nord_has_its_plan.lua"
    has(support.must_read(file), r.records[1].id)
    local checked = engine("check", file)
    assert.equal(0, checked.code, checked.stdout .. checked.stderr)
    local ran = engine("run", file, "--tenant", "acme")
    assert.equal(3, ran.code, ran.stdout)
    has(ran.stdout, "this check is not written yet")
    support.write(file, "-- somebody's work")
    r = escalate("pilot_issue", table.unpack(argv))
    assert.equal(0, r.code, r.all)
    has(r.stdout, "Nothing to do")
    assert.equal("-- somebody's work", support.read(file))
    for _, title in ipairs { "日本", "Prüfung — ночь" } do
      r = escalate("pilot_issue", "--evidence", title, "--gates-dir", "gates", "--missing-check", title)
      assert.equal(0, r.code, r.all)
      local stub = dir .. "/gates/" .. r.records[1].evidence.gate .. ".lua"
      has(support.must_read(stub), title)
      checked = engine("check", stub)
      assert.equal(0, checked.code, checked.stdout .. checked.stderr)
    end
    assert.equal(1, escalate("pilot_issue", "--evidence", "x", "--gates-dir", "gates", "--missing-check", " ").code)
    r = escalate("pilot_issue", "--evidence", "x")
    assert.equal(1, r.code, r.all)
    has(r.stdout, "has no check", "--missing-check")
  end)

  it("keeps rows as they are, and the secret to itself", function()
    for _, sql in ipairs { "update core.escalations set severity = 'S3'", "delete from core.escalation_deliveries",
      "truncate core.escalations cascade" } do
      has(engine("platform", "psql", "-X", "-c", sql).stderr, "rows are added and never changed")
    end
    assert.is_nil(os.execute(("grep -rqF %s %s/evidence %s/out.json %s/out.xml %s/requests"):format(KEY, dir, dir, dir, web)))
    support.write(dir .. "/gate-engine.conf.lua",
      ('return { platform = "embedded", endpoints = { d = { url = "%s" } }, webhooks = { { endpoint = "d" } } }'):format(server.url))
    local r = engine("run", "escalate", "--tenant", "acme", "--rule", "bypass_request", "--evidence", "x")
    assert.equal(2, r.code, r.stdout)
    has(r.stderr, "webhooks[1].secret")
  end)
end)
