-- The recovery of gate 4: each service looked at layer by layer, the first broken one named, and commands that need no filling in.
package.path = "tests/services/?.lua;tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local http_server = require "support.http_server"
local servers = require "servers"
local support = require "support"

local KEY = "Sk_Live_0123456789abcdefPLANTED9"

describe("the recovery of gate 4", function()
  local dir, mail_dir, store_dir = support.tmpdir(), support.tmpdir(), support.tmpdir()
  local postgres, mail, store, platform

  setup(function()
    mail = servers.mail(mail_dir)
    support.shell(("cp %s/good.crt %s/server.crt && cp %s/good.key %s/server.key"):format(mail_dir, store_dir, mail_dir, store_dir))
    store = servers.open_store(store_dir)
    platform = http_server.start("platform_server.py", KEY)
    postgres = servers.postgres()
    postgres.sql "create role app_user login password 'PLANTED-password'; alter role postgres password 'PLANTED-password'"
  end)
  teardown(function()
    servers.stop_all()
    platform.stop()
  end)

  --- The recovery under a configuration whose parts can be put in place of those that hold.
  local function recover(c)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external",
      database = { admin = { url = env "ADMIN_URL" }, app = { url = env "APP_URL" }, tenant = { column = "tenant_id", setting = "app.t" } },
      artifacts = { kind = "s3", endpoint = "%s", bucket = "gate", prefix = "p/", ca_file = %q, timeout_s = 2 },
      endpoints = { platform = { url = "%s", auth = "api_key", probe = "/me" } }, auth = { api_key = { value = env "TEST_KEY" } },
      mail = { url = "%s", user = "gate", password = env "MAIL_PASSWORD", ca_file = %q, from = "a@b.example", to = { "c@d.example" } }
      }]]):format(c.store or "https://127.0.0.1:" .. store.port, c.ca or mail_dir .. "/ca.pem",
        c.platform or ("http://127.0.0.1:%d"):format(platform.ports.plain), c.mail or ("smtp://127.0.0.1:%d"):format(mail.ports.starttls),
        mail_dir .. "/ca.pem"))
    local r = support.run { cwd = dir, argv = { "recover", "integrations_contract", "--tenant", "acme" },
      env = { TEST_KEY = c.key or KEY, AWS_ACCESS_KEY_ID = "someone", AWS_SECRET_ACCESS_KEY = "PLANTED-secret", MAIL_PASSWORD =
        c.password or "mail-password-1", ADMIN_URL = postgres.url("postgres", "PLANTED-password"),
        APP_URL = c.app or postgres.url("app_user", "PLANTED-password") } }
    r.all = r.stdout .. r.stderr
    assert.is_nil(r.all:find("PLANTED", 1, true), r.all)
    return r
  end

  local function says(r, ...)
    for _, part in ipairs { ... } do assert.is_truthy(r.all:find(part, 1, true), part .. " in\n" .. r.all) end
  end

  it("says that every layer holds where it does, and has the commands and the variables", function()
    local r = recover {} -- the store accepts whoever asks, which is what is recovered from
    says(r, ("platform (http://127.0.0.1:%d): every layer holds"):format(platform.ports.plain),
      ("artifact store (https://127.0.0.1:%s/gate): every layer holds"):format(store.port), "database as app: every layer holds",
      ("mail server (smtp://127.0.0.1:%d): every layer holds"):format(mail.ports.starttls),
      ("printf 'X-API-Key: %%s' \"$TEST_KEY\" | curl -sSi -H @- 'http://127.0.0.1:%d/me'"):format(platform.ports.plain),
      ("aws s3 ls 's3://gate/p/' --region 'us-east-1' --endpoint-url 'https://127.0.0.1:%s'"):format(store.port),
      ("psql 'postgresql://app_user@127.0.0.1:%s/postgres' -c 'select 1'"):format(postgres.port),
      ("openssl s_client -starttls smtp -connect '127.0.0.1:%d'"):format(mail.ports.starttls),
      "TEST_KEY=***", "AWS_SECRET_ACCESS_KEY=***", "AWS_SESSION_TOKEN is not set")
    assert.is_nil(r.all:find("PLATFORM_API_KEY", 1, true), r.all)
    assert.equal(0, #mail.messages())
  end)

  it("writes commands for a database whose URL has its place after the question mark", function()
    local socket = ("postgresql:///postgres?user=app_user&password=PLANTED-password&host=%s&port=%s"):format(
      postgres.dir:gsub("/", "%%2F"), postgres.port)
    local r = recover { app = socket }
    says(r, "database as app: every layer holds", ("ls -l '%s/.s.PGSQL.%s'"):format(postgres.dir, postgres.port),
      ("psql 'postgresql:///postgres?user=app_user&host=%s&port=%s' -c 'select 1'"):format(postgres.dir:gsub("/", "%%2F"), postgres.port))
    r = recover { app = ("postgresql://app_user:PLANTED-password@/postgres?host=127.0.0.1&port=%s&sslmode=prefer"):format(postgres.port) }
    says(r, "database as app: every layer holds", "getent ahosts '127.0.0.1'", ("/dev/tcp/127.0.0.1/%s"):format(postgres.port),
      ("psql 'postgresql://app_user@/postgres?host=127.0.0.1&port=%s&sslmode=prefer' -c 'select 1'"):format(postgres.port))
    -- Several places, one after the other.
    r = recover { app = ("postgresql://app_user:PLANTED-password@127.0.0.1:1,127.0.0.1:%s/postgres"):format(postgres.port) }
    says(r, "/dev/tcp/127.0.0.1/1", ("/dev/tcp/127.0.0.1/%s"):format(postgres.port))
    assert.is_nil(r.all:find("'nil'", 1, true), r.all)
  end)

  it("says what each server shows of itself: a store, a mail server, a database", function()
    postgres.tls(mail_dir, "good")
    local url = ("%s?sslrootcert=%s/ca.pem&sslmode=verify-full"):format(postgres.url("app_user", "PLANTED-password"), mail_dir)
    local r = recover { app = url }
    postgres.tls(mail_dir, "expired")
    local expired = recover { app = url }
    postgres.tls(mail_dir, nil)
    local _, shown = r.all:gsub("TLS       holds: CN = good, issued by CN = Test CA, 19 days left", "")
    assert.equal(4, shown, r.all) -- the database as admin too, which takes what is offered
    says(expired, "database as app: the first layer that is broken is TLS", "; it shows CN = expired, issued by CN = Test CA, -")
  end)

  --- Each: what is put in place, and the first layer that is broken.
  local CASES = {
    { "a name", { platform = "http://no-such-host.invalid", store = "https://no-such-host.invalid", mail = "smtp://no-such-host.invalid",
      app = "postgresql://app_user@no-such-host.invalid/x" }, "name", "name", "name", "name" },
    { "a port", { platform = "http://127.0.0.1:1", store = "https://127.0.0.1:1", mail = "smtp://127.0.0.1:1",
      app = "postgresql://app_user@127.0.0.1:1/x" }, "port", "port", "port", "port" },
    { "who is let in", { key = "PLANTED-another-key", password = "PLANTED-another" }, "auth", nil, "login", "login", wrong_login = true },
    { "TLS", { ca = "/etc/ssl/certs/ca-certificates.crt", plain_mail = true, ssl = true }, nil, "TLS", "TLS", "TLS" },
  }
  for _, case in ipairs(CASES) do
    it("names " .. case[1] .. " as the first layer that is broken", function()
      local c = {}
      for k, v in pairs(case[2]) do c[k] = v end
      if case.wrong_login then c.app = postgres.url("app_user", "PLANTED-wrong") end
      if c.ssl then c.app = postgres.url("app_user", "PLANTED-password") .. "?sslmode=require" end
      if c.plain_mail then c.mail = ("smtp://127.0.0.1:%d"):format(mail.ports.plain) end
      local r = recover(c)
      for i, service in ipairs { "platform (", "artifact store (", "mail server (", "database as app" } do
        local layer = case[i + 2]
        if layer then
          assert.is_truthy(r.all:match(service:gsub("%p", "%%%0") .. "[^\n]*: the first layer that is broken is " .. layer .. "\n"),
            service .. " in\n" .. r.all)
        end
      end
    end)
  end

  it("names a service that speaks no HTTP, and a bucket that is missing", function()
    store.fault "garbage"
    local r = recover {}
    says(r, "the first layer that is broken is HTTP", "HTTP      BROKEN: the answer is not HTTP")
    store.fault "refuse 404 NoSuchBucket"
    r = recover {}
    says(r, "the first layer that is broken is bucket", "bucket    BROKEN: bucket missing (HTTP 404)")
    store.fault()
  end)
end)
