-- Runs on record: the ledger, signed statements, and what finds them edited.
local support = require "e2e.support"
local json = require "engine.json"

local has, quote = support.has, support.quote

local function output_of(command)
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  pipe:close()
  return out
end

describe("a run with evidence.ledger", function()
  local dir = support.tmpdir()
  local SECRET = "s3cr3t-that-must-not-show"
  local env = { EVIDENCE_SPEC_SECRET = SECRET, GITHUB_SHA = "0123abc", GITHUB_ACTOR = "octocat" }
  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function records()
    local out = {}
    for line in support.must_read(dir .. "/evidence/ledger.jsonl"):gmatch "[^\n]+" do out[#out + 1] = json.decode(line) end
    return out
  end

  setup(function()
    local r = engine("evidence", "keygen", "--output", "key.pem")
    assert.equal(0, r.code, r.stderr)
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded",
      commands = { x = { argv = { "/usr/bin/true" }, env = { API_TOKEN = env "EVIDENCE_SPEC_SECRET" } } },
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]])
    r = engine("run", "scripts/all.lua", "--tenant", "acme", "--report", "json=report.json")
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("makes keys for their owner alone, which OpenSSL reads, and overwrites none", function()
    assert.equal("600\n", output_of("stat -c %a " .. quote(dir .. "/key.pem")))
    support.shell("openssl pkey -in " .. quote(dir .. "/key.pem") .. " -noout")
    local before = support.must_read(dir .. "/key.pem")
    local r = engine("evidence", "keygen", "--output", "key.pem")
    assert.equal(2, r.code)
    has(r.stderr, "never overwritten")
    assert.equal(before, support.must_read(dir .. "/key.pem"))
  end)

  it("puts it on record: what ran, on what, by whom, with what result", function()
    local record = records()[1]
    assert.is_true(record.approved)
    assert.same({ "run", "suite", "scripts/all.lua", "PASS", "acme" },
      { record.verb, record.kind, record.script, record.status, record.tenant.code })
    assert.same({ "octocat", "0123abc" }, { record.environment.actor, record.environment.commit })
    assert.equal(("0"):rep(64), record.prev)
    assert.equal(4, #record.gates)
    assert.equal(4, #record.inputs)
    for _, input in ipairs(record.inputs) do assert.equal(64, #input.sha256) end
    for _, gate in ipairs(record.gates) do assert.is_true(#gate.checks > 0, gate.id) end
    local report = json.decode((support.must_read(dir .. "/report.json")))
    assert.equal(report.target.schema_hash, record.target.schema_hash)
    assert.is_truthy(record.target.system_identifier)
  end)

  it("signs a statement which OpenSSL verifies over a PAE that others made", function()
    local record = records()[1]
    local file = dir .. "/evidence/statements/" .. record.statement.file
    -- DSSE, protocol.md: SIGN("DSSEv1" SP LEN(type) SP type SP LEN(body) SP body).
    support.shell(([[/usr/bin/python3 - %s %s <<'PY'
import base64, json, sys
e = json.load(open(sys.argv[1]))
body, kind = base64.b64decode(e["payload"]), e["payloadType"].encode()
open(sys.argv[2] + "/pae", "wb").write(b"DSSEv1 %%d %%s %%d %%s" %% (len(kind), kind, len(body), body))
open(sys.argv[2] + "/sig", "wb").write(base64.b64decode(e["signatures"][0]["sig"]))
open(sys.argv[2] + "/statement.json", "wb").write(body)
PY]]):format(quote(file), quote(dir)))
    support.shell(("cd %s && openssl pkeyutl -verify -pubin -inkey key.pem.pub -rawin -in pae -sigfile sig >/dev/null"):format(quote(dir)))
    local statement = json.decode((support.must_read(dir .. "/statement.json")))
    assert.equal("https://in-toto.io/Statement/v1", statement._type)
    assert.equal("acme", statement.subject[1].name)
    assert.equal(64, #statement.subject[1].digest.sha256)
    record.hash, record.statement = nil, nil
    assert.same(record, statement.predicate)
  end)

  it("verifies offline, with the configuration's key or a public one, and not without", function()
    local r = engine("verify", "evidence/ledger.jsonl", "evidence/statements/acme-1.json")
    assert.equal(0, r.code, r.stderr)
    has(r.stdout, "evidence/ledger.jsonl: valid: 1 records, 1 signed statements", "acme-1.json: valid: signed by ")
    local elsewhere = { cwd = support.tmpdir() }
    for _, file in ipairs { "/evidence/ledger.jsonl", "/evidence/statements/acme-1.json" } do
      elsewhere.argv = { "verify", dir .. file, "--key", dir .. "/key.pem.pub" }
      assert.equal(0, support.run(elsewhere).code)
      elsewhere.argv = { "verify", dir .. file }
      assert.equal(2, support.run(elsewhere).code)
    end
    assert.equal(3, engine("verify", "nowhere.jsonl").code)
    support.write(dir .. "/empty.jsonl", "")
    r = engine("verify", "empty.jsonl")
    assert.equal(3, r.code, r.stdout)
    assert.equal("", r.stdout)
    has(r.stderr, "empty.jsonl: 0 entries: nothing verified", "fix: where there were records, restore the ledger")
  end)

  it("verifies nothing of its own where that is empty, also where nobody can be asked who would know better", function()
    local other = support.tmpdir()
    local function verify(config)
      support.write(other .. "/gate-engine.conf.lua", config)
      local r = support.run { cwd = other, env = env, "verify" }
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.equal("", r.stdout)
      has(r.stderr, "l.jsonl: 0 entries: nothing verified")
      return r.stderr
    end
    verify 'return { platform = "embedded", evidence = { ledger = "l.jsonl" } }'
    local down = verify [[return { platform = "external", evidence = { ledger = "l.jsonl" }, database = {
      admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" },
      operator = { url = "postgresql://c@127.0.0.1:1/x" } } }]]
    has(down, "nobody else could be asked: the tenants' events in the platform's database: ")
  end)

  it("says how a key is made where the configuration's is not there", function()
    local other = support.tmpdir()
    support.write(other .. "/gate-engine.conf.lua",
      'return { platform = "embedded", evidence = { ledger = "l.jsonl", key = file "gone.key" } }')
    local r = support.run { cwd = other, env = env, "run", "rls_harness" }
    assert.equal(2, r.code, r.stdout)
    has(r.stderr, "gate-engine.conf.lua:1: ", "/gone.key cannot be opened", "fix: correct the path, or make the file",
      "gate-engine evidence keygen --output gone.key")
  end)

  it("is shown, listed and exported", function()
    engine("run", "gates/determinism_proof.lua", "--tenant", "beta")
    has(engine("evidence", "list").stdout, "acme                 suite     PASS     scripts/all.lua  (approved)", "beta  ")
    local only = engine("evidence", "list", "--tenant", "beta").stdout
    assert.is_nil(only:find("acme", 1, true))
    assert.equal("", engine("evidence", "list", "--since", "2999-01-01").stdout)
    assert.equal(2, engine("evidence", "list", "--since", "yesterday").code)
    assert.equal("acme", json.decode(engine("evidence", "show", "1").stdout).tenant.code)
    assert.equal(2, engine("evidence", "show", "99").code)
    assert.equal(support.must_read(dir .. "/evidence/ledger.jsonl"), engine("evidence", "export").stdout)
    local csv = engine("evidence", "export", "--csv", "--tenant", "acme").stdout
    has(csv, "seq,at,tenant,", '\r\n"1","', '"acme","suite","scripts/all.lua","PASS","true"')
  end)

  it("is on record too when it fails or does not approve", function()
    local n = #records()
    assert.equal(0, engine("run", "scripts/all.lua", "--tenant", "acme", "--only", "coverage").code)
    support.run { cwd = dir, env = env, prefix = "", "run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--dataset", "3er_violation" }
    local all = records()
    assert.equal(n + 2, #all)
    assert.same({ false, true, "PASS" }, { all[n + 1].approved, all[n + 1].partial, all[n + 1].status })
    assert.same({ false, "FAIL" }, { all[n + 2].approved, all[n + 2].status })
    assert.is_nil(all[n + 1].statement)
  end)

  it("says what changed since the last pass, and how the runs before ended", function()
    local argv = { "run", "gates/golden_path_e2e.lua", "--tenant", "gamma", "--report", "json=r.json", "--report", "html=r.html",
      "--report", "markdown=r.md" }
    local function run(...)
      local words = table.move({ ... }, 1, select("#", ...), #argv + 1, table.move(argv, 1, #argv, 1, {}))
      local r = engine(table.unpack(words))
      r.report = json.decode((support.must_read(dir .. "/r.json")))
      support.shell(("/usr/bin/python3 -m jsonschema -i %s/r.json stdlib/schema/report-1.json"):format(quote(dir)))
      return r
    end
    local first = run()
    assert.equal(0, first.code, first.stdout)
    assert.same({}, first.report.history)
    assert.is_nil(first.report.since_pass)
    assert.is_nil((support.must_read(dir .. "/r.html")):find("<svg", 1, true))

    local seq = #records()
    local r = run("--dataset", "3er_violation")
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, ("  Changed since the last pass (record %d, "):format(seq), "  - options of golden_path_e2e\n")
    assert.same({ "options of golden_path_e2e", "inputs of golden_path_e2e" },
      { r.report.since_pass.changed[1].what, (r.report.since_pass.changed[2] or {}).what or "inputs of golden_path_e2e" })
    has(support.must_read(dir .. "/r.html"), 'aria-label="1 of 1 runs before this one passed"', '<rect class="PASS" x="0" y="12"',
      '<rect class="FAIL" x="8" y="0"', "Since the last pass</h2>")
    has(support.must_read(dir .. "/r.md"), "**Since the last pass**", "- options of golden_path_e2e")

    local config = support.must_read(dir .. "/gate-engine.conf.lua")
    support.write(dir .. "/gate-engine.conf.lua", (config:gsub('platform = "embedded",', '%0 trust = {}, limits = { wall_s = 299 },')))
    r = run("--dataset", "3er_violation")
    support.write(dir .. "/gate-engine.conf.lua", config)
    has(r.stdout, "  - configuration: ", " → ")
    assert.equal(2, #r.report.history)
    assert.equal("FAIL", r.report.history[2].status)
  end)

  it("says that nothing on record changed where nothing did", function()
    support.write(dir .. "/marked.lua", [[return require("gate").define { api = 1, id = "marked", name = "Marked",
      needs = { stores = { "artifacts" } }, failures = { odd = { text = "Odd" } }, run = function(ctx)
        ctx:check("c", function() if ctx.store.artifacts:head "mark" then ctx:fail "odd" end end) end }]])
    local config = support.must_read(dir .. "/gate-engine.conf.lua")
    support.write(dir .. "/gate-engine.conf.lua", (config:gsub('platform = "embedded",',
      ('%%0 artifacts = { kind = "local", path = %q },'):format(dir .. "/marks"))))
    assert.equal(0, engine("run", "./marked.lua", "--tenant", "acme").code)
    support.write(dir .. "/marks/mark", "x")
    local r = engine("run", "./marked.lua", "--tenant", "acme")
    support.write(dir .. "/gate-engine.conf.lua", config)
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "nothing that is on record changed: look at data, services and time.")
  end)

  it("is on record as well when it never began, and proves nothing either way", function()
    local approving = #records()
    for _, case in ipairs {
      { { "run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--no-such-flag" }, "usage_" },
      { { "run", "no_such_script", "--tenant", "acme" }, "" },
      { { "run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--only", "no_such_check" }, "only_unknown" },
    } do
      local n = #records()
      local r = engine(table.unpack(case[1]))
      assert.equal(2, r.code, r.stdout .. r.stderr)
      local all = records()
      assert.equal(n + 1, #all)
      local last = all[#all]
      assert.same({ "run", case[1][2], "acme", "ERROR", false },
        { last.verb, last.script, last.tenant.code, last.status, last.approved })
      assert.is_truthy((last.error or ""):find("^" .. case[2]), last.error)
    end
    assert.equal(0, engine("verify", "evidence/ledger.jsonl").code)
    has(engine("evidence", "list", "--tenant", "acme").stdout, "refused   ERROR    gates/golden_path_e2e.lua",
      "refused   ERROR    no_such_script")
    assert.is_true(records()[approving].seq == approving)
    -- Nothing is written where the configuration cannot be read.
    local n = #records()
    support.write(dir .. "/broken.conf.lua", "return {")
    assert.equal(2, engine("run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--config", "broken.conf.lua").code)
    assert.equal(n, #records())
  end)

  it("never holds a secret, not even one that is given as an option", function()
    support.write(dir .. "/op.lua", [[return require("operation").define { api = 1, id = "op", name = "Op",
      options = { note = { type = "string", default = "" } }, run = function(ctx) ctx:unchanged("so it is: " .. ctx.options.note) end }]])
    assert.equal(0, engine("run", "./op.lua", "--note", "is " .. SECRET).code)
    local all = records()
    assert.equal("is ***", all[#all].inputs[1].options.note)
    local written = output_of(("cat %s/evidence/ledger.jsonl* %s/evidence/statements/*"):format(quote(dir), quote(dir)))
    assert.is_nil(written:find(SECRET, 1, true))
  end)

  it("approves nothing where the ledger cannot be written", function()
    local other = support.tmpdir()
    support.write(other .. "/gate-engine.conf.lua", [[return { platform = "embedded", evidence = { ledger = "/proc/nowhere/ledger" } }]])
    local r = support.run { cwd = other, "run", "scripts/all.lua", "--tenant", "acme", "--report", "json=r.json" }
    assert.equal(3, r.code, r.stdout)
    assert.is_nil(r.stdout:find("is approved", 1, true))
    has(r.stderr, "/proc/nowhere")
    assert.is_false(json.decode((support.must_read(other .. "/r.json"))).approved)
  end)

  it("approves nothing after an edited ledger, and verify says which link breaks", function()
    local copy = support.tmpdir()
    support.shell(("cp -r %s/. %s/"):format(quote(dir), quote(copy)))
    support.shell(([[sed -i '$ s/"PASS"/"FAIL"/' %s/evidence/ledger.jsonl]]):format(quote(copy)))
    local n = #records()
    local r = support.run { cwd = copy, env = env, "verify", "evidence/ledger.jsonl" }
    assert.equal(1, r.code)
    has(r.stderr, ("record %d was edited: its content does not have its hash"):format(n))
    r = support.run { cwd = copy, env = env, "run", "scripts/all.lua", "--tenant", "acme" }
    assert.equal(3, r.code)
    assert.is_nil(r.stdout:find("is approved", 1, true))
    r = support.run { cwd = copy, env = env, "verify", "evidence/statements/acme-1.json", "--key", dir .. "/key.pem.pub" }
    assert.equal(0, r.code)
    support.shell(("sed -i 's/\"sig\":\"../\"sig\":\"AA/' %s/evidence/statements/acme-1.json"):format(quote(copy)))
    r = support.run { cwd = copy, env = env, "verify", "evidence/statements/acme-1.json" }
    assert.equal(1, r.code)
    has(r.stderr, "the signature does not fit what it signs")
  end)
end)
