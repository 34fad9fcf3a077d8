-- What an operator reads for each of the things that go wrong outside (gate 4): every fault by its name, with the words that it must say.
-- No two of one service say the same, and each ends by itself, within its own time.
package.path = "tests/services/?.lua;tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local db = require "engine.db"
local http_server = require "support.http_server"
local servers = require "servers"
local support = require "support"

local CONFIG = [[return { platform = "external",
  database = { admin = { url = env "ADMIN_URL" }, app = { url = env "APP_URL" }, tenant = { column = "tenant_id", setting = "app.t" } },
  artifacts = %s, packs = { %s }, endpoints = { %s }, auth = { %s } }]]

local KEY = "Sk_Live_0123456789abcdefPLANTED9"
local NOBODY = "postgresql://nobody@127.0.0.1:1/x"

--- The artifact store: the fault of open_store.py, what the failure says, a part of its detail.
local STORE = {
  { "wrong secret", "refuse 403 SignatureDoesNotMatch", "credentials refused (HTTP 403)" },
  { "no right", "refuse 403 AccessDenied", "access denied (HTTP 403)" },
  { "expired credentials", "refuse 400 ExpiredToken", "credentials expired (HTTP 400)" },
  { "wrong bucket", "refuse 404 NoSuchBucket", "bucket missing (HTTP 404)" },
  { "wrong region", "refuse 301 PermanentRedirect", "bucket in another region (HTTP 301)" },
  { "clock off", "skew", "clock skew (HTTP 403)", "this machine's clock is " },
  { "500s", "status 500", "server error (HTTP 500)" },
  { "429 with Retry-After", "busy 3600", "asked too often (HTTP 429)" },
  { "redirect to elsewhere", "redirect", "redirected elsewhere (HTTP 307)" },
  { "huge headers", "headers", "the answer is too large" },
  { "not HTTP", "garbage", "the answer is not HTTP" },
  { "closed without an answer", "nothing", "connection lost" },
  { "slow first byte", "slow 30", "timeout" },
  { "drip-fed body", "drip 30", "timeout" },
  { "truncated body", "truncated", "connection lost" },
  { "corrupt bytes", "corrupt", "the bytes that came back differ", "downloaded 256 bytes" },
  { "a login page", "html", "the bytes that came back differ", "uploaded 0 bytes" },
  { "an upload that was not kept", "forgets", "not found (HTTP 404)" },
  { "a list that misses", "lists nothing", "an uploaded object is not listed" },
  { "a list without end", "list without end", "the answer cannot be read", "names itself as the next" },
  { "parts in disorder", "disorder", "the bytes that came back differ", "uploaded 9437184 bytes" },
  { "parts that are not joined", "joins badly", "server error (HTTP 200)", "InternalError" },
  { "a deletion that was not done", "keeps", "a deleted object is still there" },
  { "a proxy that wants a login", "status 407", "refused by the proxy (HTTP 407)" },
  { "no quota left", "refuse 403 QuotaExceeded", "no space left (HTTP 403)" },
}

--- TLS with the store: the certificate of certificates.sh, what the failure says.
local TLS = {
  { "expired certificate", "expired", "TLS failed: certificate expired" },
  { "wrong host name", "wrong", "TLS failed: certificate for another name" },
  { "unknown authority", "lone", "TLS failed: certificate not trusted" },
}

--- TLS with the database: the certificate (nil: it speaks none), the parameters of the URL, what the failure says.
local DATABASE_TLS = {
  { "expired certificate", "expired", "verify-full", "TLS failed: certificate expired", "certificate verify failed" },
  { "wrong host name", "wrong", "verify-full", "TLS failed: certificate for another name" },
  { "unknown authority", "lone", "verify-full", "TLS failed: certificate not trusted", "certificate verify failed" },
  { "no TLS where it should be", nil, "require", "TLS failed: the server offers none" },
  { "no authority to verify with", "good", "verify-full&sslrootcert=/no/such/file.pem", "TLS failed: no authority to verify with" },
}

--- OSRM: the path of osrm_server.py, what the failure says.
local OSRM = {
  { "500s", "e500", "HTTP status 500" }, { "429", "e429", "HTTP status 429" }, { "slow first byte", "stall", "timeout" },
  { "redirect to elsewhere", "elsewhere", "redirected elsewhere" }, { "huge headers", "headers", "the answer is too large" },
  { "truncated body", "truncated", "connection lost" }, { "a login page", "login", "the answer cannot be read" },
}

--- The platform's API: the path of platform_server.py, the exit code, what is said.
local PLATFORM = {
  { "wrong key", "nobody", 1, "❌ FAIL - Auth flow failed: token invalid" },
  { "a login that lets in everybody", "everybody", 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted" },
  { "slow first byte", "stall", 1, "❌ FAIL - Auth flow failed: timeout" },
  { "500s", "broken", 3, "⚠️ ERROR - the platform neither accepted nor refused the configured key: HTTP status 500" },
}

describe("the fault", function()
  local dir, tls_dir, store, tls, osrm, platform = support.tmpdir(), support.tmpdir(), nil, {}, nil, nil
  local postgres

  setup(function()
    store = servers.open_store(dir)
    support.shell("sh tests/lua/support/certificates.sh " .. tls_dir)
    for _, name in ipairs { "expired", "wrong", "lone", "soon" } do
      local own = support.tmpdir()
      support.shell(("cp %s/%s.crt %s/server.crt && cp %s/%s.key %s/server.key"):format(tls_dir, name, own, tls_dir, name, own))
      tls[name] = servers.open_store(own)
    end
    osrm = http_server.start("osrm_server.py", support.root .. "/stdlib/datasets/routing/wien_small/matrix.csv")
    platform = http_server.start("platform_server.py", KEY)
    postgres = servers.postgres()
    postgres.sql "create role app_user login password 'PLANTED-password'; alter role postgres password 'PLANTED-password'"
  end)
  teardown(function()
    servers.stop_all()
    osrm.stop()
    platform.stop()
  end)

  --- Runs one check; c: what of CONFIG is not empty.
  local function run(check, c, ...)
    local at = support.tmpdir()
    support.write(at .. "/gate-engine.conf.lua", CONFIG:format(c.store or '{ kind = "local", path = "s" }', c.osrm and "routing = {}" or "",
      c.osrm and ("osrm = { url = %q }"):format(c.osrm) or c.platform and ("platform = { url = %q, auth = \"api_key\", probe = \"/me\" }")
        :format(c.platform) or "", 'api_key = { value = env "TEST_KEY" }'))
    local r = support.run { cwd = at, argv = { "run", "integrations_contract", "--tenant", "acme", "--only", check, "--verbose", ... },
      env = { TEST_KEY = KEY, AWS_ACCESS_KEY_ID = "someone", AWS_SECRET_ACCESS_KEY = "PLANTED-secret", ADMIN_URL = c.admin or NOBODY,
        APP_URL = c.app or NOBODY } }
    r.all = r.stdout .. r.stderr
    assert.is_nil(r.all:find("PLANTED", 1, true), "a secret is shown")
    return r
  end

  local function says(r, code, ...)
    assert.equal(code, r.code, r.all)
    for _, part in ipairs { ... } do assert.is_truthy(r.stdout:find(part, 1, true), part .. " in\n" .. r.all) end
  end

  local function s3(port, more)
    return ('{ kind = "s3", endpoint = "%s", bucket = "gate", timeout_s = 2 %s }'):format(port, more or "")
  end

  for _, case in ipairs(STORE) do
    it(("%q of the artifact store"):format(case[1]), function()
      store.fault(case[2])
      local r = run("artifact_store", { store = s3("http://127.0.0.1:" .. store.port) }, "--large-mb", "9")
      store.fault()
      says(r, 1, "❌ FAIL - Artifact store: " .. case[3], case[4])
    end)
  end

  for _, case in ipairs(TLS) do
    it(("%q of the artifact store"):format(case[1]), function()
      says(run("artifact_store", { store = s3("https://127.0.0.1:" .. tls[case[2]].port, (', ca_file = "%s/ca.pem"'):format(tls_dir)) }), 1,
        "❌ FAIL - Artifact store: " .. case[3])
    end)
  end

  it('"stopped" of the artifact store', function()
    says(run("artifact_store", { store = s3 "http://127.0.0.1:1" }), 1, "❌ FAIL - Artifact store: connection refused")
  end)

  it('"no such name" of the artifact store', function()
    says(run("artifact_store", { store = s3 "http://no-such-host.invalid" }), 1, "❌ FAIL - Artifact store: name not resolved")
  end)

  it('"no TLS where it should be" of the artifact store', function()
    says(run("artifact_store", { store = s3("https://127.0.0.1:" .. store.port) }), 1, "❌ FAIL - Artifact store: TLS failed: no handshake")
  end)

  it('"wrong credentials are accepted" of the artifact store', function()
    says(run("artifact_store", { store = s3("http://127.0.0.1:" .. store.port) }, "--large-mb", "9"), 1,
      "❌ FAIL - Artifact store: wrong credentials are accepted")
  end)

  it("of a certificate that ends soon is told of, with its name, days and chain, and the times of the connection", function()
    local r = run("artifact_store", { store = s3("https://127.0.0.1:" .. tls.soon.port, (', ca_file = "%s/ca.pem"'):format(tls_dir)) },
      "--large-mb", "9")
    says(r, 1, "The certificate of store ends in 4 days", "store_certificate: CN = soon, issued by CN = Test CA, 4 days left",
      'store_certificate_chain: ["CN = soon"]', "store_address: 127.0.0.1")
    for _, time in ipairs { "connect", "tls", "first_byte", "total" } do assert.matches("store_" .. time .. "_ms: %d", r.stdout) end
  end)

  for _, case in ipairs(OSRM) do
    it(("%q of OSRM"):format(case[1]), function()
      says(run("osrm", { osrm = ("http://127.0.0.1:%d/%s"):format(osrm.ports.plain, case[2]) }), 1, "❌ FAIL - OSRM: " .. case[3])
    end)
  end

  it('"stopped" of OSRM', function() says(run("osrm", { osrm = "http://127.0.0.1:1" }), 1, "❌ FAIL - OSRM: connection refused") end)

  for _, case in ipairs(PLATFORM) do
    it(("%q of the platform's login"):format(case[1]), function()
      says(run("auth", { platform = ("http://127.0.0.1:%d/%s"):format(platform.ports.plain, case[2]) }), case[3], case[4])
    end)
  end

  it('"stopped" of the platform\'s login', function()
    says(run("auth", { platform = "http://127.0.0.1:1" }), 1, "❌ FAIL - Auth flow failed: connection refused")
  end)

  it('"stopped" of the database', function() says(run("database", {}), 1, "❌ FAIL - Database pool: connection refused") end)

  it('"wrong password" of the database', function()
    says(run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = postgres.url("app_user", "PLANTED-wrong") }), 1,
      "❌ FAIL - Database pool: login refused")
  end)

  it('"nobody answers", "no PostgreSQL", "no such database" and "a pooler without its server" of the database', function()
    local admin, password = postgres.url("postgres", "PLANTED-password"), "PLANTED-password"
    local function of(app) return run("database", { admin = admin, app = app }) end
    local smtp = servers.mail(support.tmpdir())
    says(of(("postgresql://app_user@127.0.0.1:%d/x"):format(smtp.ports.plain)), 1, "❌ FAIL - Database pool: the answer is not PostgreSQL's")
    says(of((postgres.url("app_user", password):gsub("/postgres$", "/no_such_database"))), 1, "❌ FAIL - Database pool: database missing",
      'database "no_such_database" does not exist')
    says(of(("postgresql://app_user@127.0.0.1:%s/x"):format(store.port)), 1, "❌ FAIL - Database pool: timeout")
    local nobody = { port = "1" }
    local bouncer = servers.pgbouncer(nobody, { app_user = password }, "server_connect_timeout = 1\nquery_wait_timeout = 3")
    says(of(bouncer.url("app_user", password)), 1, "❌ FAIL - Database pool: no server connection in time",
      "Fix: Look whether the pooler reaches the server")
  end)

  local function over_tls(mode)
    return ("%s?sslrootcert=%s/ca.pem&sslmode=%s"):format(postgres.url("app_user", "PLANTED-password"), tls_dir, mode)
  end

  for _, case in ipairs(DATABASE_TLS) do
    it(("%q of the database"):format(case[1]), function()
      postgres.tls(tls_dir, case[2])
      local r = run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = over_tls(case[3]) })
      postgres.tls(tls_dir, nil)
      says(r, 1, "❌ FAIL - Database pool: " .. case[4], case[5])
      if case[2] == "expired" then says(r, 1, "database_certificate: CN = expired, issued by CN = Test CA, -") end
    end)
  end

  it("of a database's certificate is looked at without a login", function()
    postgres.tls(tls_dir, "expired")
    local function shown(where)
      local looked <close> = db.connect { url = where, only_tls = true }
      assert.equal("db_lost", select(2, pcall(looked.value, looked, "select 1")).code)
      return looked:tls()
    end
    local over = shown(postgres.url("nobody_there", "PLANTED-password"))
    local by_path = shown(("postgresql://nobody_there@/postgres?host=%s&port=%s"):format(postgres.dir, postgres.port))
    postgres.tls(tls_dir, nil)
    assert.same({ "require", "CN = expired", { "CN = expired" } }, { over.mode, over.certificate.subject, over.certificate.chain })
    assert.same({ false }, { by_path.used, by_path.certificate })
    assert.is_nil(support.must_read(postgres.dir .. "/log"):find("nobody_there", 1, true))
  end)

  it("of a database's certificate that ends soon is told of, with its name, days and chain", function()
    postgres.tls(tls_dir, "soon")
    local r = run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = over_tls "verify-full" })
    postgres.tls(tls_dir, nil)
    says(r, 0, "The certificate of database ends in 4 days", "database_certificate: CN = soon, issued by CN = Test CA, 4 days left",
      'database_certificate_chain: ["CN = soon"]', "database_tls: TLSv1.3 TLS_AES_256_GCM_SHA384, sslmode verify-full")
    says(run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = postgres.url("app_user", "PLANTED-password") }), 0,
      "database_tls: none, sslmode prefer")
  end)

  it('"pool exhausted" of the database', function()
    local bouncer = servers.pgbouncer(postgres, { app_user = "PLANTED-password" }, "max_client_conn = 3")
    says(run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = bouncer.url("app_user", "PLANTED-password") }), 1,
      "❌ FAIL - Database pool: exhausted")
  end)

  it('"no server connection in time" of a pool that others use up, by the pooler\'s own last word', function()
    local bouncer = servers.pgbouncer(postgres, { app_user = "PLANTED-password" }, "query_wait_timeout = 2")
    local busy <close> = db.connect { url = bouncer.url("app_user", "PLANTED-password") }
    busy:transaction(function()
      busy:value "select 1"
      says(run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = bouncer.url("app_user", "PLANTED-password") }), 1,
        "❌ FAIL - Database pool: no server connection in time", "query_wait_timeout", "Fix: Look whether the pooler reaches the server")
    end)
  end)

  it('"a tenant that passes to the next client" of the database', function()
    local bouncer = servers.pgbouncer(postgres, { app_user = "PLANTED-password" })
    says(run("database", { admin = postgres.url("postgres", "PLANTED-password"), app = bouncer.url("app_user", "PLANTED-password") }), 1,
      "❌ FAIL - Database pool: tenant context leaks")
  end)
end)
