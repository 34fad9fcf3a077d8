-- Go-live: only on evidence that holds. Each attack on it is refused with a message of its own, and makes nobody active.
local support = require "e2e.support"
local json = require "engine.json"

local has, quote = support.has, support.quote
local CONFIG = [[return { platform = "embedded", %s status_file = "tenant-status.json",
  evidence = { ledger = "evidence/ledger.jsonl", %s } }]]
local KEY = [[key = file "key.pem"]]

describe("go_live", function()
  local state = support.tmpdir() .. "/state"
  local base = support.tmpdir()
  local env = { GATE_ENGINE_STATE = state }

  local function engine(dir, ...) return support.run { cwd = dir, env = env, ... } end
  local function psql(sql)
    local r = engine(base, "platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function status(code) return psql("select status from core.tenants where code = '" .. code .. "'") end
  local function configure(dir, more, keys)
    support.write(dir .. "/gate-engine.conf.lua", CONFIG:format(more or "", keys or KEY))
  end
  --- A copy of the directory in which acme has passed; what an attack does to it stays there.
  local function copy()
    local dir = support.tmpdir()
    support.shell(("cp -r %s/. %s/"):format(quote(base), quote(dir)))
    return dir
  end
  local function forge(dir, code)
    support.shell(("/usr/bin/python3 tests/support/forge.py %s/evidence %s"):format(quote(dir), quote(code)))
  end
  --- Runs go_live; it is refused with these words, and the tenant is as it was.
  local function refused(dir, code, ...)
    local before = status(code)
    local r = engine(dir, "run", "go_live", "--tenant", code)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "❌ REFUSED - ", "=== REFUSED ===", ...)
    assert.equal(before, status(code))
    assert.equal("0", psql("select count(*) from core.tenant_events where event = 'activated'"))
    return r
  end

  setup(function()
    assert.equal(0, engine(base, "platform", "start").code)
    assert.equal(0, engine(base, "evidence", "keygen", "--output", "key.pem").code)
    assert.equal(0, engine(base, "evidence", "keygen", "--output", "other.pem").code)
    configure(base)
    for _, code in ipairs { "acme", "beta" } do
      local r = engine(base, "run", "create_tenant", "--tenant", code, "--name", code)
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end
    local r = engine(base, "run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)
  teardown(function() engine(base, "platform", "stop") end)

  it("asks for a ledger and a key: without them it is a configuration error", function()
    local dir = copy()
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded" }]])
    local r = engine(dir, "run", "go_live", "--tenant", "acme")
    assert.equal(2, r.code, r.stdout)
    has(r.stderr, "go-live needs evidence.ledger")
    configure(dir, "", "")
    r = engine(dir, "run", "go_live", "--tenant", "acme")
    assert.equal(2, r.code, r.stdout)
    has(r.stderr, "go-live needs evidence.key")
  end)

  it("has no option that goes round it", function()
    for _, flag in ipairs { "--force", "--skip", "--only", "--baseline", "--yes" } do
      assert.equal(2, engine(copy(), "run", "go_live", "--tenant", "acme", flag, "x").code, flag)
    end
    assert.equal("onboarding", status "acme")
  end)

  -- Each attack: its name, what it does to a copy, and what is said. `code`: the tenant; `config`: keys, evidence's keys.
  local PASSED = "2026-01-01T00:00:00.000Z"
  local attacks = {
    { "no evidence at all", words = "no run of the four gates for beta is on record", code = "beta",
      act = function(dir) support.shell("rm -r " .. quote(dir) .. "/evidence") end },
    { "another tenant's evidence", code = "beta", words = "approves acme" },
    { "another tenant's evidence, put on record as one's own", code = "beta", words = "does not say what was signed",
      forge = [[r = copy(last); r["tenant"]["code"] = "beta"; records.append(r)]] },
    { "another tenant's statement with another tenant's id, signed", words = "is of another tenant: this one was made anew",
      forge = [[last["tenant"]["id"] = records[1]["tenant"]["id"] or "x"; sign(last, "KEY")]] },
    { "an edited record", words = "was edited: its content does not have its hash",
      act = function(dir) support.shell(("sed -i 's/determinism_pr/determinism_xx/' %s/evidence/ledger.jsonl"):format(quote(dir))) end },
    { "an edited record in a chain made anew", words = "does not say what was signed",
      forge = [[last["gates"][0]["summary"] = "better"]] },
    { "a record taken out", words = "record 1 was expected, record 2 found",
      act = function(dir) support.shell(("sed -i 1d %s/evidence/ledger.jsonl"):format(quote(dir))) end },
    { "a truncated ledger", words = "ends with record 2, and its head says that there were 3: it was cut",
      act = function(dir) support.shell(("sed -i '$d' %s/evidence/ledger.jsonl"):format(quote(dir))) end },
    { "a ledger that was emptied", words = "ends with record 0",
      act = function(dir) support.shell((": > %s/evidence/ledger.jsonl"):format(quote(dir))) end },
    { "a ledger without its head", words = "is of record 0, and not the head of this ledger",
      act = function(dir) support.shell(("rm %s/evidence/ledger.jsonl.head"):format(quote(dir))) end },
    { "a missing statement", words = "the statement of record 3 is not there",
      act = function(dir) support.shell(("rm %s/evidence/statements/*"):format(quote(dir))) end },
    { "an edited statement", words = "is not the one that was written",
      act = function(dir) support.shell(("sed -i 's/./&/; s/payload/paylaod/' %s/evidence/statements/*"):format(quote(dir))) end },
    { "an edited statement, put on record", words = "the signature does not fit what it signs",
      forge = [[p = directory / "statements" / last["statement"]["file"]; e = p.read_text()
i = e.index('"sig":"') + 7; p.write_text(e[:i] + ("A" if e[i] != "A" else "B") + e[i+1:]); restate(last)]] },
    { "something else than an envelope, put on record", words = "expected a DSSE envelope",
      forge = [[(directory / "statements" / last["statement"]["file"]).write_text("{}"); restate(last)]] },
    { "a statement by a key that nobody trusts", words = "signed by a key that is not trusted", forge = [[sign(last, "OTHER")]] },
    { "a revoked key", words = "signed by a key that is revoked", revoke = true },
    { "an approval that nobody signed", words = "no statement was signed for it", forge = [[del last["statement"] ]] },
    { "stale evidence", words = "older than evidence.max_age, 24h", forge = ([[last["at"] = "%s"; sign(last, "KEY")]]):format(PASSED) },
    { "evidence of tomorrow", words = "of a time that is not yet", forge = [[last["at"] = "2999-01-01T00:00:00.000Z"; sign(last, "KEY")]] },
    { "evidence without a time", words = "of a time that is not yet", forge = [[last["at"] = "soon"; sign(last, "KEY")]] },
    { "an approval without one of the four", words = "without a pass of golden_path_e2e",
      forge = [[last["gates"] = [g for g in last["gates"] if g["id"] != "golden_path_e2e"]; sign(last, "KEY")]] },
    { "an approval with a gate that failed", words = "without a pass of integrations_contract",
      forge = [[last["gates"][3]["status"] = "FAIL"; sign(last, "KEY")]] },
    { "an approval of gates without checks", words = "without a pass of ", forge = [[last["gates"][1]["checks"] = []; sign(last, "KEY")]] },
    { "an approval that counts answers of a run that broke off", words = "counts answers of determinism_proof which an earlier",
      forge = [[last["gates"][1]["taken_over"] = 5; sign(last, "KEY")]] },
    { "an approval of a partial run", words = "without a pass of the whole suite", forge = [[last["partial"] = True; sign(last, "KEY")]] },
    { "an approval of a single gate", words = "without a pass of the whole suite", forge = [[last["kind"] = "gate"; sign(last, "KEY")]] },
    { "evidence from another server", words = "is of another database server",
      forge = [[last["target"]["system_identifier"] = "1"; sign(last, "KEY")]] },
    { "evidence from another platform", words = "is of another platform",
      forge = [[last["target"]["platform"] = "external"; sign(last, "KEY")]] },
    { "evidence from another database", words = "is of another database",
      forge = [[last["target"]["database"] = "x"; sign(last, "KEY")]] },
    { "evidence of an unknown schema", words = "is of another schema",
      forge = [[last["target"]["schema_hash"] = None; sign(last, "KEY")]] },
    { "evidence by other scripts", words = "is of another build of gate-engine or of its scripts",
      forge = [[last["build_hash"] = "0" * 64; sign(last, "KEY")]] },
    { "another configuration", words = "is of another configuration", config = "packs = { roster = { max_weekly_hours = 60 } }," },
  }
  for _, attack in ipairs(attacks) do
    it("refuses " .. attack[1], function()
      local dir = copy()
      if attack.act then attack.act(dir) end
      if attack.forge then
        forge(dir, (attack.forge:gsub("KEY", dir .. "/key.pem"):gsub("OTHER", dir .. "/other.pem")))
      end
      if attack.config then configure(dir, attack.config) end
      if attack.revoke then
        local record = json.decode((support.must_read(dir .. "/evidence/ledger.jsonl"):match "([^\n]+)\n$"))
        configure(dir, "", KEY .. (", revoked = { [%q] = 'stolen' }"):format(record.statement.keyid))
      end
      refused(dir, attack.code or "acme", attack.words)
    end)
  end

  it("refuses a tenant that passed in part alone", function()
    local dir = copy()
    assert.equal(0, engine(dir, "run", "scripts/all.lua", "--tenant", "beta", "--only", "coverage,isolation").code)
    assert.equal(0, engine(dir, "run", "gates/golden_path_e2e.lua", "--tenant", "beta").code)
    refused(dir, "beta", "beta passed in part alone, last in record 5")
  end)

  it("refuses a tenant whose last run failed, or could not be evaluated", function()
    local dir = copy()
    assert.equal(1, engine(dir, "run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--dataset", "3er_violation").code)
    refused(dir, "acme", "the last run for acme, record 4, ended in FAIL")
    dir = copy()
    assert.equal(3, engine(dir, "run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--timeout", "0.001").code)
    refused(dir, "acme", "the last run for acme, record 4, ended in ERROR: what could not be evaluated is no pass")
  end)

  it("refuses where the schema was changed since", function()
    psql "create table public.made_since (id int)"
    finally(function() psql "drop table public.made_since" end)
    refused(copy(), "acme", "is of another schema: the database was changed since")
  end)

  it("refuses where rights, owners, roles, settings, triggers or functions were changed since", function()
    local CHANGES = {
      { "alter role app_user bypassrls", "alter role app_user nobypassrls" },
      { "alter role app_user set row_security = off", "alter role app_user reset row_security" },
      { "grant platform_owner to app_user", "revoke platform_owner from app_user" },
      { "grant pg_read_all_data to app_user", "revoke pg_read_all_data from app_user" },
      { "grant truncate on core.policy_profiles to app_user", "revoke truncate on core.policy_profiles from app_user" },
      { "grant update (name) on core.tenants to app_user", "revoke update (name) on core.tenants from app_user" },
      { "alter table core.escalations owner to app_user", "alter table core.escalations owner to platform_owner" },
      { "alter function platform.authenticate(text) security invoker", "alter function platform.authenticate(text) security definer" },
      { "alter table core.ledger disable trigger keep_ledger", "alter table core.ledger enable trigger keep_ledger" },
      { "alter database platform set app.current_tenant_id = 'x'", "alter database platform reset app.current_tenant_id" },
      { "alter default privileges grant select on tables to app_user", "alter default privileges revoke select on tables from app_user" },
      { "create policy made_since on core.tenants using (true)", "drop policy made_since on core.tenants" },
      { "grant create on schema core to app_user", "revoke create on schema core from app_user" },
    }
    local function dry() return engine(copy(), "run", "go_live", "--tenant", "acme", "--dry-run") end
    local acls = psql "select string_agg(relname || coalesce(relacl::text, ''), ' ' order by oid) from pg_class where relkind = 'r'"
    for _, change in ipairs(CHANGES) do
      psql(change[1])
      local r = dry()
      psql(change[2])
      assert.is_truthy(r.code == 1 and r.stdout:find("is of another schema: the database was changed since", 1, true),
        change[1] .. "\n" .. r.stdout .. r.stderr)
      assert.equal(0, dry().code, change[2])
    end
    assert.equal(acls, psql "select string_agg(relname || coalesce(relacl::text, ''), ' ' order by oid) from pg_class where relkind = 'r'")
  end)

  it("refuses by changed scripts, another stdlib, or a library that was slipped in", function()
    local dir, tree, build = copy(), support.tmpdir(), support.build
    local program = tree .. "/build/gate-engine"
    support.shell(([[mkdir %s/build && cp %s %s/gate-audit %s/roster-solver %s/routing-solver %s/perturb.so %s/build/ \
      && cp -r %s/modules %s/build/modules \
      && cp -r stdlib gates scripts %s/]]):format(tree, quote(support.engine), build, build, build, build, tree, build, tree, tree))
    local forged = [[{ seq = 1, hash = "x", statement = ("a"):rep(64) }]]
    support.shell(("sed -i 's/evidence.demand(ctx)/%s/' %s/scripts/go_live.lua"):format(forged, tree))
    -- Changed scripts of one's own with the operator's credentials are outside; but they leave no activation in the ledger.
    local r = support.run { program = program, cwd = dir, env = env, "run", "go_live", "--tenant", "acme", "--dry-run" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    support.shell(("cp scripts/go_live.lua %s/scripts/ && echo '-- changed' >> %s/stdlib/lifecycle.lua"):format(tree, tree))
    r = support.run { program = program, cwd = dir, env = env, "run", "go_live", "--tenant", "acme" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "what is installed is not what this gate-engine was built with")
    r = engine(dir, "run", "go_live", "--tenant", "acme", "--stdlib", support.root .. "/stdlib")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "what is installed is not what this gate-engine was built with")
    r = support.run { cwd = dir, env = { GATE_ENGINE_STATE = state, LD_LIBRARY_PATH = "/nowhere" }, "run", "go_live", "--tenant", "acme" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.equal("onboarding", status "acme")
  end)

  it("takes evidence by an earlier key that is still trusted", function()
    local dir = copy()
    configure(dir, "", [[key = file "other.pem", trusted = { file "key.pem.pub" }]])
    assert.equal(0, engine(dir, "run", "go_live", "--tenant", "acme", "--dry-run").code)
    configure(dir, "", [[key = file "other.pem"]])
    refused(dir, "acme", "signed by a key that is not trusted")
  end)

  it("refuses a tenant that somebody set active by hand", function()
    psql "update core.tenants set status = 'active' where code = 'beta'"
    finally(function() psql "update core.tenants set status = 'onboarding' where code = 'beta'" end)
    refused(copy(), "beta", "Tenant beta is active, and nothing says that it may be")
  end)

  it("shows in a dry run what it would do, and does nothing", function()
    local r = engine(copy(), "run", "go_live", "--tenant", "acme", "--dry-run")
    assert.equal(0, r.code, r.stdout)
    has(r.stdout, "➖ WOULD - Change acme from onboarding to active")
    assert.equal("onboarding", status "acme")
  end)

  -- From here on acme goes live: what comes before needs that it has not.
  it("makes the tenant active, once, however many ask at the same time", function()
    support.write(base .. "/tenant-status.json", [[{"tenants": {"zeta": {"status": "suspended", "rls_mode": "mixed"}}}]])
    local all = {}
    for i = 1, 6 do
      all[i] = ("(%s run go_live --tenant acme >out%d 2>&1; echo $? >code%d) &"):format(quote(support.engine), i, i)
    end
    support.shell(("cd %s; export GATE_ENGINE_STATE=%s; %s wait"):format(quote(base), quote(state), table.concat(all, " ")))
    local done = 0
    for i = 1, 6 do
      local text = support.must_read(base .. "/out" .. i)
      local code = tonumber((support.must_read(base .. "/code" .. i)))
      done = done + (text:find("✅ DONE - Change acme", 1, true) and 1 or 0)
      assert.is_true(code == 0 or text:find("was changed by somebody else", 1, true) ~= nil, text)
      if text:find("✅ DONE", 1, true) then has(text, "No mail was sent") end
    end
    assert.equal(1, done)
    assert.equal("active", status "acme")
    assert.equal("1", psql "select count(*) from core.tenant_events where event = 'activated'")
    local activations = 0
    for line in support.must_read(base .. "/evidence/ledger.jsonl"):gmatch "[^\n]+" do
      activations = activations + (json.decode(line).kind == "activation" and 1 or 0)
    end
    assert.equal(1, activations)
    assert.equal(0, engine(base, "verify", "evidence/ledger.jsonl").code)
  end)

  it("writes the status file, and keeps the other tenants in it", function()
    local file = json.decode((support.must_read(base .. "/tenant-status.json")))
    assert.same({ status = "suspended", rls_mode = "mixed" }, file.tenants.zeta)
    local acme = file.tenants.acme
    assert.same({ "active", "enforced", "api_key", "PASS", { "roster" } },
      { acme.status, acme.rls_mode, acme.auth_mode, acme.last_security_smoke.result, acme.packs })
  end)

  it("leaves a status file alone that is none, says so, and mends it when run again", function()
    support.write(base .. "/tenant-status.json", [[{"tenants": {"zeta": {"status": "suspended", "colour": "red"}}}]])
    local r = engine(base, "run", "go_live", "--tenant", "acme")
    assert.equal(3, r.code, r.stdout)
    has(r.stderr, "colour")
    support.write(base .. "/tenant-status.json", [[{"tenants": {}}]])
    assert.equal(0, engine(base, "run", "go_live", "--tenant", "acme").code)
    assert.equal("active", json.decode((support.must_read(base .. "/tenant-status.json"))).tenants.acme.status)
  end)

  it("takes the same evidence no second time: a suspended tenant has to pass anew", function()
    assert.equal(0, engine(base, "run", "suspend", "--tenant", "acme", "--reason", "wrong data").code)
    local r = engine(base, "run", "go_live", "--tenant", "acme")
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "The evidence of tenant acme has made it active before")
    assert.equal("suspended", status "acme")
    assert.equal(0, engine(base, "run", "suspend", "--tenant", "acme", "--reason", "mended", "--resume").code)
    assert.equal("onboarding", status "acme")
    assert.equal(1, engine(base, "run", "go_live", "--tenant", "acme").code)
    assert.equal(0, engine(base, "run", "scripts/all.lua", "--tenant", "acme").code)
  end)

  it("adds what a run left out that was ended right after the database had it", function()
    local function put(from, to)
      support.shell(("mkdir -p %s && cp -r %s/evidence %s/tenant-status.json %s/"):format(to, from, from, to))
    end
    local function activations()
      local _, n = support.must_read(base .. "/evidence/ledger.jsonl"):gsub('"kind":"activation"', "")
      return n
    end
    put(base, base .. "/before")
    assert.equal(0, engine(base, "run", "go_live", "--tenant", "acme").code)
    assert.equal("active", status "acme")
    assert.equal(2, activations())
    put(base .. "/before", base)
    assert.equal(1, activations())
    local r = engine(base, "run", "go_live", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "Nothing to do: the tenant is active since")
    assert.equal(2, activations())
    assert.equal(0, engine(base, "run", "go_live", "--tenant", "acme").code)
    assert.equal(2, activations())
    assert.equal("active", json.decode((support.must_read(base .. "/tenant-status.json"))).tenants.acme.status)
    assert.equal("2", psql "select count(*) from core.tenant_events where event = 'activated'")
    assert.equal(0, engine(base, "verify", "evidence/ledger.jsonl").code)
  end)
end)
