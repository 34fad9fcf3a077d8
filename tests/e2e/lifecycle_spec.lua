-- A tenant's life on the kept platform, by the shipped operations: each does its work once, tells it in a dry run, and is on record.
local support = require "e2e.support"
local json = require "engine.json"

local has = support.has

describe("a tenant's life", function()
  local dir = support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }
  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function run(...)
    local r = engine("run", ...)
    return r.code, r.stdout .. r.stderr
  end
  local function psql(sql)
    local r = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function everything()
    return psql [[select md5(coalesce((select string_agg(t::text, ',' order by id) from core.tenants t), '')
      || coalesce((select string_agg(e::text, ',' order by id) from core.tenant_events e), '')
      || coalesce((select string_agg(s::text, ',') from core.tenant_pack_settings s), '')
      || coalesce((select string_agg(k::text, ',' order by id) from public.tenants k), ''))]]
  end
  --- Does it: as a dry run, which changes nothing; then for good, which changes something; then again, which changes nothing more.
  local function once(words, ...)
    local before = everything()
    local argv = { ... }
    argv[#argv + 1] = "--dry-run"
    local code, text = run(table.unpack(argv))
    assert.equal(0, code, text)
    has(text, "➖ WOULD - " .. words)
    assert.equal(before, everything())
    code, text = run(...)
    assert.equal(0, code, text)
    has(text, "✅ DONE - " .. words)
    local after = everything()
    assert.are_not.equal(before, after)
    local again
    code, again = run(...)
    assert.equal(0, code, again)
    has(again, "Nothing to do: ")
    assert.equal(after, everything())
    return text
  end
  local function refused(words, ...)
    local before = everything()
    local code, text = run(...)
    assert.equal(1, code, text)
    has(text, "❌ REFUSED - ", words)
    assert.equal(before, everything())
  end
  local function works(key)
    return psql(("set role app_user; select count(*) from platform.authenticate('%s')"):format(key)) == "1"
  end
  local keys = {}

  setup(function()
    assert.equal(0, engine("platform", "start").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded", status_file = "tenant-status.json",
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]])
  end)
  teardown(function() engine("platform", "stop") end)

  it("begins with create_tenant: a row, and a key that is shown once and stored as a hash", function()
    local text = once("Create tenant acme and its API key", "create_tenant", "--tenant", "acme", "--name", "Acme Ltd")
    keys[1] = text:match "shown this once: (sk_live_%x+)"
    assert.equal(64 + #"sk_live_", #keys[1])
    assert.is_true(works(keys[1]))
    assert.equal("Acme Ltd|onboarding|{\"packs\": [\"roster\"], \"features\": [\"basic\"]}",
      psql "select name, status, settings from core.tenants where code = 'acme'")
    assert.is_truthy(psql("select api_key from public.tenants where name = 'acme'"):match "^sha256:%x+$")
  end)

  it("refuses the same code with other data, also for a tenant that it did not make", function()
    refused("is there already, with other data", "create_tenant", "--tenant", "acme", "--name", "Acme Limited")
    refused("is there already, with other data", "create_tenant", "--tenant", "acme", "--name", "Acme Ltd", "--pack", "routing")
    psql "insert into core.tenants (code, name) values ('byhand', 'By hand')"
    refused("it was not created by this operation", "create_tenant", "--tenant", "byhand", "--name", "By hand")
    refused("must not be blank", "create_tenant", "--tenant", "gamma", "--name", "  ")
    assert.equal(2, run("create_tenant", "--tenant", "gamma"))
  end)

  it("goes on with configure_pack: the pack's defaults, or a profile that is active and has its hash", function()
    once("Let acme use the pack's defaults for roster", "configure_pack", "--tenant", "acme", "--pack", "roster")
    local hash = require("engine.hash").sha256 '{"max_weekly_hours":48}'
    psql(([[select set_config('app.current_tenant_id', id::text, false) from core.tenants where code = 'acme';
      insert into core.policy_profiles (id, tenant_id, name, version, status, config_json, config_hash)
      select v.id::uuid, t.id, v.name, 1, v.status, '{"max_weekly_hours": 48}', v.hash from core.tenants t,
        (values ('00000000-0000-0000-0000-000000000001', 'strict', 'active', '%s'),
                ('00000000-0000-0000-0000-000000000002', 'draft', 'draft', '%s'),
                ('00000000-0000-0000-0000-000000000003', 'changed', 'active', 'x')) v(id, name, status, hash)
       where t.code = 'acme']]):format(hash, hash))
    local function profile(n)
      return "configure_pack", "--tenant", "acme", "--pack", "roster", "--profile", "00000000-0000-0000-0000-00000000000" .. n
    end
    once("Let acme use profile strict, version 1 for roster", profile(1))
    refused("is not active", profile(2))
    refused("was changed without its hash", profile(3))
    refused("has no policy profile", profile(4))
    local pack = { profile(1) }
    pack[5] = "routing"
    refused("is of another pack", table.unpack(pack))
    once("Let acme use the pack's defaults for routing", "configure_pack", "--tenant", "acme", "--pack", "routing")
    assert.equal('["roster", "routing"]', psql "select settings -> 'packs' from core.tenants where code = 'acme'")
    once("Let acme use the pack's defaults for roster", "configure_pack", "--tenant", "acme", "--pack", "roster")
  end)

  it("may get a new key, and the one before works no more", function()
    local text = once("Replace the API key of acme", "rotate_key", "--tenant", "acme", "--request", "INC-1")
    keys[2] = text:match "shown this once: (sk_live_%x+)"
    assert.is_true(works(keys[2]))
    assert.is_false(works(keys[1]))
    refused("must have a name", "rotate_key", "--tenant", "acme", "--request", " ")
  end)

  it("goes live by five documented commands", function()
    assert.equal(1, run("go_live", "--tenant", "acme"))
    assert.equal(0, run("scripts/all.lua", "--tenant", "acme"))
    once("Change acme from onboarding to active", "go_live", "--tenant", "acme", "--call", "2099-01-31T10:00:00Z")
    refused("The welcome of tenant acme was written when it went live", "go_live", "--tenant", "acme", "--contact", "a@b.example")
    refused("--call: it was 2099-01-31T10:00:00Z", "go_live", "--tenant", "acme", "--call", "2099-02-01T10:00:00Z")
    assert.is_true(works(keys[2]))
    local file = json.decode((support.must_read(dir .. "/tenant-status.json")))
    assert.same({ "active", { "roster", "routing" } }, { file.tenants.acme.status, file.tenants.acme.packs })
  end)

  it("is suspended with a reason, begins again as onboarding, and is active by no other way than go_live", function()
    once("Change acme from active to suspended", "suspend", "--tenant", "acme", "--reason", "wrong data")
    assert.is_false(works(keys[2]))
    refused("has made it active before", "go_live", "--tenant", "acme")
    once("Change acme from suspended to onboarding", "suspend", "--tenant", "acme", "--reason", "mended", "--resume")
    refused("has made it active before", "go_live", "--tenant", "acme")
    assert.equal("onboarding", json.decode((support.must_read(dir .. "/tenant-status.json"))).tenants.acme.status)
  end)

  it("ends with offboard, for good", function()
    refused("is not confirmed", "offboard", "--tenant", "acme", "--confirm", "acne")
    once("Archive acme and make its keys useless", "offboard", "--tenant", "acme", "--confirm", "acme")
    assert.is_false(works(keys[2]))
    refused("Tenant acme is archived", "go_live", "--tenant", "acme")
    refused("Tenant acme is archived", "create_tenant", "--tenant", "acme", "--name", "Acme Ltd")
    refused("Tenant acme is archived", "suspend", "--tenant", "acme", "--reason", "x", "--resume")
    refused("Tenant acme is archived", "rotate_key", "--tenant", "acme", "--request", "INC-2")
    refused("Tenant acme is archived", "configure_pack", "--tenant", "acme", "--pack", "roster")
    assert.equal("archived", json.decode((support.must_read(dir .. "/tenant-status.json"))).tenants.acme.status)
  end)

  it("is told by events that nobody can change, and by a ledger that holds no key", function()
    assert.equal("created,pack_configured,pack_configured,pack_configured,pack_configured,key_rotated,activated,suspended,resumed,archived",
      psql "select string_agg(event, ',' order by id) from core.tenant_events")
    for _, sql in ipairs { "update core.tenant_events set actor = 'x'", "delete from core.tenant_events",
      "truncate core.tenant_events cascade" } do
      local r = engine("platform", "psql", "-X", "-c", sql)
      has(r.stderr, "rows are added and never changed")
    end
    assert.equal(0, engine("verify", "evidence/ledger.jsonl").code)
    local pipe = assert(io.popen(("cat %s/evidence/ledger.jsonl %s/evidence/statements/*"):format(dir, dir)))
    local text = pipe:read "a"
    pipe:close()
    for _, key in ipairs(keys) do assert.is_nil(text:find(key, 1, true)) end
    assert.equal("0", psql "select count(*) from core.tenant_events where detail::text like '%sk_live%'")
  end)

  it("is not verified by a ledger that was emptied, head and all, and none of it goes on by one that is broken", function()
    assert.equal(0, engine("verify").code)
    support.shell(("cd %s && mv evidence kept && mkdir evidence && touch evidence/ledger.jsonl"):format(support.quote(dir)))
    for _ = 1, 2 do -- empty, and not there at all
      local r = engine("verify")
      assert.equal(1, r.code, r.stdout .. r.stderr)
      has(r.stderr, "evidence/ledger.jsonl has 0 records, and not record ", ", by which tenant acme went live at ")
      os.remove(dir .. "/evidence/ledger.jsonl")
    end
    support.shell(("cd %s && rm -r evidence && cp -r kept evidence && sed -i '2 s/acme/acne/' evidence/ledger.jsonl"):format(
      support.quote(dir)))
    local before = everything()
    local code, text = run("create_tenant", "--tenant", "later", "--name", "Later")
    assert.equal(3, code, text)
    has(text, "nothing was done: ", "record 2 was edited", "restore the ledger and its .head from a copy")
    assert.equal(before, everything())
    support.shell(("cd %s && rm -r evidence && mv kept evidence"):format(support.quote(dir)))
  end)
end)
