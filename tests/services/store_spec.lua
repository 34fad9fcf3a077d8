-- Gate 4's artifact store against services that are no imitation: OpenStack Swift's S3 API and npm's azurite, both of which verify who
-- asks; and against one that does not. Skipped aloud where they cannot be had.
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local hash = require "engine.hash"
local http = require "engine.http"
local json = require "engine.json"
local remote = require "internal.stores.remote"
local servers = require "servers"
local support = require "support"

local fetched = support.build .. "/services"
local no_npm = support.read(fetched .. "/missing")
local no_swift = not os.execute "command -v swift-proxy-server memcached >/dev/null" and "swift is not installed" or nil
local faketime = io.popen("ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null"):read "l"

local PASSES = "  ✅ PASS - The selected checks passed\n"
local FAILS = "❌ FAIL - Artifact store: "

--- Runs the check; the configuration is of an external platform whose database nobody asks. Nothing secret may be in what it writes.
local function run(artifacts, secrets, more)
  local dir = support.tmpdir()
  support.write(dir .. "/gate-engine.conf.lua", more and more.config or ([[return { platform = "external",
    database = { admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" } },
    artifacts = { %s } }]]):format(artifacts))
  local argv = { "run", "integrations_contract", "--tenant", "acme", "--only", "artifact_store", "--verbose", "--trace", "--report",
    "json=r.json" }
  for _, word in ipairs(more and more.argv or {}) do argv[#argv + 1] = word end
  local env = { LD_PRELOAD = more and more.preload, FAKETIME = more and more.faketime }
  for name, value in pairs(secrets) do env[name] = value end
  local r = support.run { cwd = dir, env = env, argv = argv }
  local report = support.must_read(dir .. "/r.json")
  r.all = r.stdout .. r.stderr
  for name, value in pairs(secrets) do
    if name:find "SECRET" or name:find "KEY$" or name:find "TOKEN" then
      assert.is_nil((r.all .. report):find(value, 1, true), name .. " is shown")
    end
  end
  r.gate = json.decode(report).gates[1]
  return r
end

--- Runs the check with a configuration of examples/configs, with `to` in the place of `from`.
local function with_example(name, env, from, to)
  local config = support.must_read(("%s/examples/configs/%s.conf.lua"):format(support.root, name))
  env.GATE_ADMIN_URL, env.DATABASE_URL = "postgresql://a@127.0.0.1:1/x", "postgresql://b@127.0.0.1:1/x"
  return run("", env, { config = from and config:gsub(from, to) or config })
end

local function passes(r)
  assert.equal(0, r.code, r.all)
  assert.is_truthy(r.stdout:find(PASSES, 1, true), r.all)
  assert.equal(64 << 20, r.gate.facts.store_streamed_bytes)
end

local function fails(r, text)
  assert.equal(1, r.code, r.all)
  assert.is_truthy(r.stdout:find(FAILS .. text, 1, true), r.all)
end

describe("an S3 store that verifies who asks", function()
  local port

  setup(function()
    if not no_swift then port = servers.swift() end
  end)
  teardown(servers.stop_all)

  local function checked(title, fn)
    if no_swift then it(title, function() pending(no_swift) end) else it(title, fn) end
  end

  local function s3(bucket, more)
    return ('kind = "s3", endpoint = "http://127.0.0.1:%s", bucket = %q, prefix = "gate/", %s'):format(port, bucket, more or "")
  end
  local OPERATOR = { AWS_ACCESS_KEY_ID = "test:operator", AWS_SECRET_ACCESS_KEY = "operator-secret-1" }
  local ACME = { AWS_ACCESS_KEY_ID = "test:acme", AWS_SECRET_ACCESS_KEY = "acme-secret-1" }

  checked("passes, with its bucket in the path, and leaves nothing", function()
    local r = run(s3 "gate", OPERATOR)
    passes(r)
    assert.equal(16, r.gate.facts.store_refusals_tried)
    assert.equal("not tried: the credentials are the platform's, for all tenants", r.gate.facts.store_other_tenant)
    assert.is_number(r.gate.facts.store_first_byte_ms)
    local store = remote.open({ kind = "s3", place = { url = ("http://127.0.0.1:%s/gate"):format(port), prefix = "" },
      sign = { sigv4 = { access_key_id = "test:operator", secret_access_key = "operator-secret-1", region = "us-east-1" } } },
      function(url, auth) return http.client { endpoints = { store = { url = url, auth = auth or nil } } } end)
    assert.same({}, store:list "gate/")
  end)

  checked("passes with a tenant's credentials, to which another tenant's bucket is closed", function()
    local r = run(s3("gate-{tenant}", 'other_tenant = "globex"'), ACME)
    passes(r)
    assert.equal("refused", r.gate.facts.store_other_tenant)
  end)

  checked("passes with the example's configuration", function()
    passes(with_example("s3", { AWS_ACCESS_KEY_ID = ACME.AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY = ACME.AWS_SECRET_ACCESS_KEY,
      AWS_ENDPOINT_URL = "http://127.0.0.1:" .. port }))
  end)

  checked("fails for credentials that reach another tenant's bucket", function()
    local r = run(s3("gate-{tenant}", 'other_tenant = "globex"'), OPERATOR)
    fails(r, "another tenant's place is open")
    for _, verb in ipairs { "a download", "a list", "an upload", "a deletion" } do
      assert.is_truthy(r.all:find(("%s at the place of the tenant globex was not refused"):format(verb), 1, true), r.all)
    end
  end)

  checked("is an ERROR where the other tenant has no bucket, or is the tenant itself", function()
    local r = run(s3("gate-{tenant}", 'other_tenant = "initech"'), OPERATOR)
    assert.equal(3, r.code, r.all)
    assert.is_truthy(r.all:find("the store neither did nor refused a download at the place of the tenant initech", 1, true), r.all)
    r = run(s3("gate-{tenant}", 'other_tenant = "acme"'), ACME)
    assert.equal(3, r.code, r.all)
    assert.is_truthy(r.all:find("artifacts.other_tenant is acme, the tenant itself", 1, true), r.all)
  end)

  checked("streams what is larger in no more memory", function()
    local r = run(s3 "gate", OPERATOR, { argv = { "--large-mb", "256" } })
    assert.equal(0, r.code, r.all)
    assert.equal(256 << 20, r.gate.facts.store_streamed_bytes)
    local peak = tonumber(r.all:match "budget: memory_bytes: current [%d.]+ %w+, peak ([%d.]+) MB")
    assert.is_true(peak < 128, ("peak: %.1f MB"):format(peak))
  end)

  checked("signs with a session token, and finds its bucket in the host name", function()
    local r = run(s3 "gate", { AWS_ACCESS_KEY_ID = "test:operator", AWS_SECRET_ACCESS_KEY = "operator-secret-1",
      AWS_SESSION_TOKEN = "PLANTED-session-token" })
    passes(r)
    local store = remote.open({ kind = "s3", place = { url = ("http://gate.s3.test:%s"):format(port), prefix = "host/" },
      sign = { sigv4 = { access_key_id = "test:operator", secret_access_key = "operator-secret-1", region = "us-east-1" } } },
      function(url, auth)
        return http.client { endpoints = { store = { url = url, auth = auth or nil, resolve = { "127.0.0.1" } } } }
      end)
    local names = { "plain", "with space+(and) 'more'", "ü/ß.txt", "a=b&c;d?e%20f" }
    for _, name in ipairs(names) do store:put(name, name) end
    for _, name in ipairs(names) do assert.equal(name, (store:get(name, { expect_sha256 = hash.sha256(name) }))) end
    assert.equal(#names, #store:list "")
    for _, name in ipairs(names) do assert.is_true(store:delete(name)) end
    assert.is_nil(store:head "plain")
  end)

  checked("passes with its bucket in the host name, and by the proxy of the environment", function()
    local proxy = servers.forward_proxy()
    local at = ('kind = "s3", endpoint = "http://s3.test:%s", bucket = "gate", prefix = "gate/", addressing = '):format(port)
    local function through(env, addressing)
      for name, value in pairs(OPERATOR) do env[name] = value end
      return run(at .. addressing, env)
    end
    passes(through({ http_proxy = "http://127.0.0.1:" .. proxy }, '"virtual"'))
    passes(through({ all_proxy = "http://127.0.0.1:" .. proxy }, '"path"'))
    fails(through({ http_proxy = "http://127.0.0.1:" .. proxy, no_proxy = ".s3.test" }, '"virtual"'), "name not resolved")
    fails(through({ http_proxy = "http://127.0.0.1:1" }, '"virtual"'), "the proxy is out of reach")
  end)

  checked("lists more keys than one page holds", function()
    local store = remote.open({ kind = "s3", place = { url = ("http://127.0.0.1:%s/gate"):format(port), prefix = "many/" },
      sign = { sigv4 = { access_key_id = "test:operator", secret_access_key = "operator-secret-1", region = "us-east-1" } } },
      function(url, auth) return http.client { endpoints = { store = { url = url, auth = auth or nil } } } end)
    for i = 1, 1005 do store:put(("k%04d"):format(i), "") end
    local list = store:list ""
    assert.equal(1005, #list)
    assert.equal("k1005", list[1005].key)
  end)

  checked("names what is wrong with the configuration", function()
    local wrong = { AWS_ACCESS_KEY_ID = "test:operator", AWS_SECRET_ACCESS_KEY = "PLANTED-wrong-secret" }
    fails(run(s3 "gate", wrong), "credentials refused (HTTP 403)")
    fails(run(s3 "gate", { AWS_ACCESS_KEY_ID = "test:nobody", AWS_SECRET_ACCESS_KEY = "PLANTED-wrong-secret" }),
      "credentials refused (HTTP 403)")
    fails(run(s3 "gate-globex", ACME), "access denied (HTTP 403)")
    fails(run(s3 "no-such-bucket", OPERATOR), "bucket missing (HTTP 404)")
    fails(run(s3("gate", 'region = "eu-central-1"'), OPERATOR), "bucket in another region (HTTP 400)")
    fails(run('kind = "s3", endpoint = "http://127.0.0.1:1", bucket = "gate"', OPERATOR), "connection refused")
    fails(run('kind = "s3", endpoint = "http://no-such-host.invalid", bucket = "gate"', OPERATOR), "name not resolved")
    fails(run(('kind = "s3", endpoint = "https://127.0.0.1:%s", bucket = "gate"'):format(port), OPERATOR), "TLS failed")
  end)

  checked("keeps the head of a ledger, which an older state of the ledger does not have", function()
    local dir = support.tmpdir()
    support.write(dir .. "/g.lua", [[return require("gate").define { api = 1, id = "g", name = "G", failures = { odd = { text = "Odd" } },
      run = function(ctx) ctx:check("c", function() end) end }]])
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", artifacts = { %s },
      evidence = { ledger = "e/ledger.jsonl", anchor = "artifacts" } }]]):format(s3 "gate"))
    local function engine() return support.run { cwd = dir, env = OPERATOR, argv = { "run", "g.lua", "--tenant", "acme" } } end
    assert.equal(0, engine().code)
    support.shell(("cp -r %s/e %s/older"):format(dir, dir))
    assert.equal(0, engine().code)
    support.shell(("rm -rf %s/e && mv %s/older %s/e"):format(dir, dir, dir))
    local r = engine()
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stderr:find("its anchor knows record 2, it ends with 1", 1, true), r.stderr)
  end)

  checked("names a clock that is wrong", function()
    assert(faketime, "libfaketime is not installed")
    fails(run(s3 "gate", OPERATOR, { preload = faketime, faketime = "+3h" }), "clock skew (HTTP 403)")
  end)
end)

describe("an S3 store that verifies nothing", function()
  local dir = support.tmpdir()
  local store
  setup(function() store = servers.open_store(dir) end)
  teardown(servers.stop_all)

  it("fails for each credential that it accepts", function()
    local r = run(('kind = "s3", endpoint = "http://127.0.0.1:%s", bucket = "gate"'):format(store.port),
      { AWS_ACCESS_KEY_ID = "anyone", AWS_SECRET_ACCESS_KEY = "PLANTED-any-secret" })
    fails(r, "wrong credentials are accepted")
    for _, what in ipairs { "the secret with one character changed", "another random secret", "an access key that does not exist",
      "a request without a signature" } do
      assert.is_truthy(r.all:find("a download with " .. what .. " was not refused", 1, true), r.all)
    end
  end)
end)

describe("an Azure Blob Storage", function()
  local ACCOUNT, KEY, OTHER_KEY = "gateacme", hash.base64 "PLANTED-acme-account-key-0123456", hash.base64 "PLANTED-other-account-key-012345"
  local port

  local function url(path) return ("http://127.0.0.1:%s/%s%s"):format(port, ACCOUNT, path or "") end

  setup(function()
    if no_npm then return end
    port = servers.azurite(fetched, { [ACCOUNT] = KEY, gateother = OTHER_KEY })
    local client <close> = http.client { endpoints = { x = { url = url(), auth = { azure_key = { account = ACCOUNT, key = KEY } } } } }
    for _, container in ipairs { "gate", "acme", "globex" } do
      local reply = client:request { endpoint = "x", method = "PUT", path = "/" .. container, query = { restype = "container" } }
      assert.equal(201, reply.status, reply.body)
    end
  end)
  teardown(servers.stop_all)

  local function checked(title, fn)
    if no_npm then it(title, function() pending(no_npm) end) else it(title, fn) end
  end

  local function azure(container, more)
    return ('kind = "azure", endpoint = %q, account = %q, container = %q, prefix = "gate/", %s'):format(url(), ACCOUNT, container,
      more or "")
  end

  --- A service's shared access signature for a container (learn.microsoft.com: create-service-sas, version 2020-12-06).
  local function sas(container, expiry, start, allows)
    allows = allows or "rwdl"
    local text = table.concat({ allows, start or "", expiry, ("/blob/%s/%s"):format(ACCOUNT, container), "", "", "", "2020-12-06", "c", "",
      "", "", "", "", "", "" }, "\n")
    local signature = hash.base64(hash.hmac_sha256_raw(hash.unbase64(KEY), text))
    return ("sv=2020-12-06&sr=c&sp=%s%s&se=%s&sig=%s"):format(allows, start and "&st=" .. start:gsub(":", "%%3A") or "",
      (expiry:gsub(":", "%%3A")),
      (signature:gsub("[+/=]", { ["+"] = "%2B", ["/"] = "%2F", ["="] = "%3D" })))
  end

  checked("passes with the account's key", function()
    local r = run(azure "gate", { AZURE_STORAGE_KEY = KEY })
    passes(r)
    assert.equal(16, r.gate.facts.store_refusals_tried)
  end)

  checked("passes with a shared access signature, to which another tenant's container is closed", function()
    local r = run(azure("{tenant}", 'other_tenant = "globex"'), { AZURE_STORAGE_SAS_TOKEN = sas("acme", "2199-01-01T00:00:00Z") })
    passes(r)
    assert.equal("refused", r.gate.facts.store_other_tenant)
    assert.equal(12, r.gate.facts.store_refusals_tried)
    assert.equal("2199-01-01T00:00:00Z", r.gate.facts.store_credentials_end)
  end)

  checked("passes with the example's configuration", function()
    passes(with_example("azure", { AZURE_STORAGE_ACCOUNT = ACCOUNT, AZURE_STORAGE_SAS_TOKEN = sas("acme", "2199-01-01T00:00:00Z") },
      'kind = "azure",', ('kind = "azure", endpoint = %q,'):format(url())))
  end)

  checked("fails for an account's key, which reaches every container", function()
    fails(run(azure("{tenant}", 'other_tenant = "globex"'), { AZURE_STORAGE_KEY = KEY }), "another tenant's place is open")
  end)

  checked("names what is wrong with the configuration", function()
    fails(run(azure "gate", { AZURE_STORAGE_KEY = OTHER_KEY }), "access denied (HTTP 403)")
    fails(run(azure "no-such-container", { AZURE_STORAGE_KEY = KEY }), "bucket missing (HTTP 404)")
    local r = run(azure "gate", { AZURE_STORAGE_SAS_TOKEN = sas("gate", "2020-01-01T00:00:00Z") })
    fails(r, "credentials expired (HTTP 403)")
    assert.is_truthy(r.all:find("the shared access signature ended at 2020-01-01T00:00:00Z (se)", 1, true), r.all)
    r = run(azure "gate", { AZURE_STORAGE_SAS_TOKEN = sas("gate", "2199-01-01T00:00:00Z", "2198-01-01") })
    fails(r, "credentials not valid yet (HTTP 403)")
    assert.is_truthy(r.all:find("begins at 2198-01-01 (st)", 1, true), r.all)
    r = run(azure "gate", { AZURE_STORAGE_SAS_TOKEN = sas("gate", "2199-01-01T00:00:00Z", nil, "rl") })
    fails(r, "access denied (HTTP 403)")
    assert.is_truthy(r.all:find("does not allow to write (w), delete (d): it has sp=rl", 1, true), r.all)
    fails(run(azure "gate", { AZURE_STORAGE_SAS_TOKEN = sas("acme", "2199-01-01T00:00:00Z") }), "access denied (HTTP 403)")
    r = run(azure("gate", 'sas = env "AZURE_STORAGE_SAS_TOKEN"'), { AZURE_STORAGE_SAS_TOKEN = "no-signature-at-all" })
    assert.is_truthy(r.all:find("expected a query with sig=", 1, true), r.all)
  end)
end)
