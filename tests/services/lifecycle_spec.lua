-- A tenant's life on a platform that is not the embedded one, by configuration alone: a PostgreSQL with passwords, an operator without
-- superuser, the ledger in a file or in the platform's database. What the four gates found there is made by the tests' own key: they have
-- specs of their own.
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local servers = require "servers"
local support = require "support"

local has, quote = support.has, support.quote

--- Appends, signed, an approval of the embedded ledger as one of the tenant, target and configuration of this ledger's last record.
local APPROVE = [[
import json, pathlib
r = copy([json.loads(l) for l in pathlib.Path("%s").read_text().splitlines()][0])
mine = [x for x in records if x["tenant"].get("id")][-1]
for key in ("tenant", "target", "config_hash", "build_hash", "at"): r[key] = copy(mine[key])
records.append(r); sign(r, "%s")]]

describe("a tenant's life on an external platform", function()
  local postgres, template
  local env = {}
  local dir

  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function lives(code, words, ...)
    local r = engine(...)
    assert.equal(code, r.code, r.stdout .. r.stderr)
    has(r.stdout .. r.stderr, words)
    for _, password in ipairs { "admin-password-1", "operator-password-1", "app-password-1" } do
      assert.is_nil((r.stdout .. r.stderr):find(password, 1, true))
    end
    return r
  end
  local function configure(ledger)
    dir = support.tmpdir()
    support.shell(("cp %s/key.pem %s/key.pem.pub %s/"):format(template, template, dir))
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", status_file = "tenant-status.json",
      database = { admin = { url = env "TEST_ADMIN_URL" }, app = { url = env "TEST_APP_URL" }, operator = { url = env "TEST_OPERATOR_URL" },
        tenant = { column = "tenant_id", setting = "app.current_tenant_id", table = "core.tenants", key = "id", code = "code" } },
      artifacts = { kind = "local", path = "artifacts" }, auth = { api_key = { value = env "TEST_KEY" } },
      evidence = { ledger = %q, key = file "key.pem" } }]]):format(ledger))
  end
  local function status(code) return postgres.sql("select status from core.tenants where code = '" .. code .. "'"):gsub("%s+$", "") end

  --- The approval, in a ledger that is a file, or in files that are then added to the database.
  local function approve(in_database)
    local at = in_database and "forged" or "evidence"
    local known = 0
    if in_database then
      support.shell(("rm -rf %s/%s"):format(dir, at))
      lives(0, "", "evidence", "export", "--output", at)
      support.shell(("mkdir -p %s/%s/statements"):format(dir, at))
      known = tonumber((postgres.sql "select count(*) from core.ledger"))
    else
      support.shell(("mkdir -p %s/evidence/statements"):format(dir))
    end
    support.shell(("/usr/bin/python3 tests/support/forge.py %s/%s %s"):format(dir, at,
      quote(APPROVE:format(template .. "/evidence/ledger.jsonl", dir .. "/key.pem"))))
    if not in_database then return end
    local lines = {}
    for line in support.must_read(dir .. "/forged/ledger.jsonl"):gmatch "[^\n]+" do lines[#lines + 1] = line end
    for i = known + 1, #lines do
      local record = json.decode(lines[i])
      postgres.sql(("insert into core.ledger values (%d, '%s', $l$%s$l$, $s$%s$s$)"):format(record.seq, record.hash, lines[i],
        support.must_read(dir .. "/forged/statements/" .. record.statement.file)))
    end
  end

  setup(function()
    template = support.tmpdir()
    support.write(template .. "/gate-engine.conf.lua",
      [[return { platform = "embedded", evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]])
    assert.equal(0, support.run { cwd = template, "evidence", "keygen", "--output", "key.pem" }.code)
    local r = support.run { cwd = template, "run", "scripts/all.lua", "--tenant", "acme" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    postgres = servers.postgres()
    for path in assert(io.popen "ls stdlib/platform/migrations/*.sql"):lines() do postgres.sql(support.must_read(path)) end
    postgres.sql [[alter role postgres password 'admin-password-1'; alter role app_user password 'app-password-1';
      alter role platform_admin password 'operator-password-1']]
    env.TEST_ADMIN_URL = postgres.url("postgres", "admin-password-1")
    env.TEST_APP_URL = postgres.url("app_user", "app-password-1")
    env.TEST_OPERATOR_URL = postgres.url("platform_admin", "operator-password-1")
    env.TEST_KEY = "planted-api-key-1"
  end)
  teardown(servers.stop_all)

  for _, case in ipairs { { "acme", "evidence/ledger.jsonl" }, { "beta", "database" } } do
    local code, ledger = case[1], case[2]
    it("is led from nothing to archived, with the ledger in " .. ledger, function()
      configure(ledger)
      lives(2, "the tenant " .. code .. " is not in core.tenants", "run", "go_live", "--tenant", code)
      local r = lives(0, "API key of " .. code, "run", "create_tenant", "--tenant", code, "--name", code, "--contact", "ops@x.example")
      local key = r.stdout:match "sk_live_%x+"
      lives(0, "Nothing to do", "run", "create_tenant", "--tenant", code, "--name", code, "--contact", "ops@x.example")
      lives(1, "REFUSED", "run", "create_tenant", "--tenant", code, "--name", "Another", "--contact", "ops@x.example")
      lives(0, "DONE", "run", "configure_pack", "--tenant", code, "--pack", "roster")
      lives(1, "no run of the four gates for " .. code .. " is on record", "run", "go_live", "--tenant", code)
      approve(ledger == "database")
      lives(0, "WOULD - Change " .. code, "run", "go_live", "--tenant", code, "--dry-run")
      assert.equal("onboarding", status(code))
      lives(0, "DONE - Change " .. code .. " from onboarding to active", "run", "go_live", "--tenant", code)
      assert.equal("active", status(code))
      lives(0, "Nothing to do", "run", "go_live", "--tenant", code)
      assert.equal("api_key", json.decode((support.must_read(dir .. "/tenant-status.json"))).tenants[code].auth_mode)
      local second = lives(0, "shown this once", "run", "rotate_key", "--tenant", code, "--request", "R-1").stdout:match "sk_live_%x+"
      assert.is_true(second ~= nil and second ~= key)
      lives(0, "DONE", "run", "suspend", "--tenant", code, "--reason", "wrong data")
      lives(1, "REFUSED", "run", "go_live", "--tenant", code)
      lives(0, "DONE", "run", "suspend", "--tenant", code, "--reason", "mended", "--resume")
      lives(1, "has made it active before", "run", "go_live", "--tenant", code)
      lives(0, "DONE", "run", "offboard", "--tenant", code, "--confirm", code)
      assert.equal("archived", status(code))
      assert.equal("archived", json.decode((support.must_read(dir .. "/tenant-status.json"))).tenants[code].status)
      lives(0, "valid: ", "verify")
      -- Nothing that was made or asked for by name has a secret in it.
      for _, secret in ipairs { key, second, "planted-api-key-1", "operator-password-1" } do
        assert.is_truthy(os.execute(("! grep -rqF %s %s"):format(quote(secret), dir)))
        assert.equal("0", (postgres.sql(("select count(*) from core.ledger where line like '%%%s%%'"):format(secret)):gsub("%s+$", "")))
      end
    end)
  end

  it("does not go on where its record cannot be written, and then nothing is changed", function()
    configure "database"
    -- Before the evidence is made: it is of the schema that go-live finds.
    postgres.sql [[alter table core.ledger add constraint full_disk check (line not like '%"kind":"activation"%') not valid]]
    lives(0, "API key of", "run", "create_tenant", "--tenant", "gamma", "--name", "gamma")
    lives(0, "DONE", "run", "configure_pack", "--tenant", "gamma", "--pack", "roster")
    approve(true)
    lives(3, "full_disk", "run", "go_live", "--tenant", "gamma")
    postgres.sql "alter table core.ledger drop constraint full_disk"
    assert.equal("onboarding", status "gamma")
    lives(1, "is of another schema", "run", "go_live", "--tenant", "gamma")
    lives(0, "", "run", "configure_pack", "--tenant", "gamma", "--pack", "roster")
    approve(true)
    lives(0, "DONE - Change gamma", "run", "go_live", "--tenant", "gamma")
    assert.equal("f", (postgres.sql "select rolsuper from pg_roles where rolname = 'platform_admin'"):gsub("%s+$", ""))
  end)
end)
