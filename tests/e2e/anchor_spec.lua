-- evidence.anchor: the ledger's head in the artifact store, against who can put an older state of the ledger in its place, head and all.
local support = require "e2e.support"
local json = require "engine.json"

local has, quote = support.has, support.quote

local MARKED = [[return require("gate").define { api = 1, id = "marked", name = "Marked", options = { fail = { type = "boolean" } },
  failures = { odd = { text = "Odd" } }, run = function(ctx)
    ctx:check("c", function() if ctx.options.fail then ctx:fail "odd" end end) end }]]

describe("the ledger's anchor", function()
  local state, dir, store = support.tmpdir() .. "/state", support.tmpdir(), support.tmpdir()
  local env = { GATE_ENGINE_STATE = state }
  --- The object of the store that is the anchor; there is one alone.
  local function anchor()
    local pipe = assert(io.popen("ls " .. quote(store) .. "/gate-engine-anchors/*"))
    local names = pipe:read "a"
    pipe:close()
    assert.is_truthy(names:match "^[^\n]*/ledger%.jsonl%-%x+%.json\n$", names)
    return (names:gsub("\n", ""))
  end

  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function configure(anchored, artifacts)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", artifacts = %s,
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem", %s } }]]):format(
      artifacts or ('{ kind = "local", path = %q }'):format(store), anchored and 'anchor = "artifacts"' or ""))
  end
  local function records()
    local out = {}
    for line in support.must_read(dir .. "/evidence/ledger.jsonl"):gmatch "[^\n]+" do out[#out + 1] = json.decode(line) end
    return out
  end
  --- Puts the state of the evidence that was kept under `name` back in its place.
  local function keep(name) support.shell(("rm -rf %s/%s; cp -r %s/evidence %s/%s"):format(dir, name, quote(dir), quote(dir), name)) end
  local function put_back(name) support.shell(("cd %s && rm -rf evidence && cp -r %s evidence"):format(quote(dir), name)) end

  setup(function()
    support.write(dir .. "/marked.lua", MARKED)
    assert.equal(0, engine("platform", "start").code)
    support.make_tenants(env, "beta")
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    configure(true)
  end)
  teardown(function() engine("platform", "stop") end)

  it("is made with the first record, and knows the last one from then on", function()
    local r = engine("run", "./marked.lua", "--tenant", "beta")
    assert.equal(0, r.code, r.stderr)
    has(r.stderr, "the ledger has no anchor in the artifact store yet")
    r = engine("run", "./marked.lua", "--tenant", "beta")
    assert.equal(0, r.code, r.stderr)
    assert.is_nil(r.stderr:find("no anchor", 1, true))
    local head, all = json.decode((support.must_read(anchor()))), records()
    assert.same({ #all, all[#all].hash }, { head.seq, head.hash })
  end)

  it("is no approval's and no go-live's where an older state was put back, which without it hides a run that failed", function()
    assert.equal(0, engine("run", "create_tenant", "--tenant", "acme", "--name", "Acme").code)
    local r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    keep "older"
    assert.equal(1, engine("run", "./marked.lua", "--tenant", "acme", "--fail").code)
    r = engine("run", "go_live", "--tenant", "acme", "--dry-run")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    local n = #records()
    put_back "older"
    configure(false)
    assert.equal(0, engine("run", "go_live", "--tenant", "acme", "--dry-run").code)
    configure(true)
    put_back "older"

    r = engine("run", "go_live", "--tenant", "acme")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "❌ REFUSED - The ledger, which should speak for tenant acme, is not the one that its anchor knows",
      "was cut short or put back: its anchor knows record " .. n, "Fix: restore the ledger from a copy that has that record",
      "=== REFUSED ===")
    has(r.stderr, "was cut short or put back") -- and so the refusal cannot be put on record
    r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stdout, "Tenant acme is NOT approved")
    assert.equal("onboarding", (engine("platform", "psql", "-X", "-qAt", "-c",
      "select status from core.tenants where code = 'acme'").stdout:gsub("\n", "")))
  end)

  it("finds a ledger that was written anew", function()
    put_back "older"
    support.shell(("rm -rf %s/evidence"):format(quote(dir)))
    local r = engine("run", "./marked.lua", "--tenant", "acme")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stderr, "was begun anew: the artifact store knows ", "delete gate-engine-anchors/ledger.jsonl-")
    configure(false)
    for _ = 1, 12 do assert.equal(0, engine("run", "./marked.lua", "--tenant", "acme").code) end
    configure(true)
    for _ = 1, 2 do
      r = engine("run", "./marked.lua", "--tenant", "acme")
      assert.equal(3, r.code, r.stdout .. r.stderr)
      has(r.stderr, "was begun anew: the artifact store knows ")
    end
    -- Meant to begin anew, it does once the operator has said so in the store.
    local known = anchor()
    local held = support.must_read(known)
    os.remove(known)
    assert.equal(0, engine("run", "./marked.lua", "--tenant", "acme").code)
    os.remove(anchor())
    support.write(known, held)
  end)

  it("is of one ledger: another of the same name keeps its own in the same store", function()
    put_back "older"
    local other = support.tmpdir()
    support.shell(("cp %s/*.lua %s/key.pem %s/"):format(quote(dir), quote(dir), quote(other)))
    local function there(...) return support.run { cwd = other, env = env, ... } end
    local r = there("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(1, there("run", "./marked.lua", "--tenant", "acme", "--fail").code)
    r = there("run", "./marked.lua", "--tenant", "beta")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    -- What nobody signed of the first record, which names the ledger, cannot make it another one, elsewhere neither.
    local moved = support.tmpdir()
    support.shell(("cp -r %s/. %s/"):format(quote(other), quote(moved)))
    support.shell(("/usr/bin/python3 tests/support/forge.py %s/evidence %s"):format(quote(moved), quote [[
del records[1:]
(directory / "statements" / last["statement"]["file"]).rename(directory / "statements" / "x.json"); last["statement"]["file"] = "x.json"]]))
    assert.equal(0, support.run { cwd = moved, env = env, "verify", "evidence/ledger.jsonl" }.code)
    r = support.run { cwd = moved, env = env, "verify" }
    assert.equal(1, r.code, r.stdout)
    has(r.stderr, "was cut short or put back: its anchor knows record 3, it ends with 1")
    assert.is_nil(r.stdout:find("valid", 1, true), r.stdout)
    r = support.run { cwd = moved, env = env, "run", "go_live", "--tenant", "acme", "--dry-run" }
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "is not the one that its anchor knows")
    support.shell(("rm %s"):format(quote(store) .. "/gate-engine-anchors/ledger.jsonl-$(/usr/bin/python3 -c " .. quote(([[
import hashlib, json
r = json.loads(open("%s/evidence/ledger.jsonl").readline()); del r["hash"], r["statement"]
print(hashlib.sha256(json.dumps(r, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()[:32])]]):format(other))
      .. ").json"))
  end)

  it("is an ERROR where it cannot be read, or the store not be reached", function()
    put_back "older"
    support.write(anchor(), "{}")
    local r = engine("run", "./marked.lua", "--tenant", "acme")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stderr, "is no head of a ledger")
    configure(true, '{ kind = "s3", endpoint = "http://127.0.0.1:1", bucket = "b", access_key_id = "a", '
      .. 'secret_access_key = env "HOME" }')
    r = engine("run", "./marked.lua", "--tenant", "acme")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stderr, "the ledger's anchor in the artifact store cannot be reached")
  end)
end)
