-- Mail against a real SMTP server: TLS and passwords hold, every outcome is told as what it is, and a tenant that goes live gets one
-- welcome mail, whatever happens in between. KILLS=200 kills go_live so often (20 otherwise).
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local servers = require "servers"
local support = require "support"
local json = require "engine.json"
local smtp = require "engine.mail"

local has, quote = support.has, support.quote
local PASSWORD = "mail-password-1"
local KILLS = tonumber(os.getenv "KILLS" or "20")

local function output_of(command)
  local pipe = io.popen(command)
  local text = pipe:read "a"
  assert(pipe:close(), command .. "\n" .. text)
  return text
end

--- What a mail client sees of a message.
local function read(path) return json.decode(output_of("/usr/bin/python3 tests/services/mail/read.py " .. quote(path) .. " 2>&1")) end

describe("engine.mail", function()
  local dir = support.tmpdir()
  local server
  setup(function() server = servers.mail(dir) end)
  teardown(servers.stop_all)
  before_each(function() server.fault() end)

  local function send(port, more)
    local options = { url = "smtp://127.0.0.1:" .. server.ports[port], user = "gate", password = PASSWORD, ca_file = dir .. "/ca.pem",
      from = "gate@test.example", to = { "ops@acme.example" }, message = "Subject: x\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n", timeout = 3 }
    for k, v in pairs(more or {}) do options[k] = v end
    return smtp.send(options)
  end
  local function fails(code, words, port, more)
    local before = #server.messages()
    local ok, e = pcall(send, port, more)
    assert.is_false(ok)
    assert.equal(code, e.code)
    has(tostring(e), words)
    assert.is_nil(tostring(e):find(PASSWORD, 1, true))
    assert.equal(before, #server.messages())
  end

  it("sends by STARTTLS and by implicit TLS, every byte as it is", function()
    for _, options in ipairs { {}, { url = "smtps://127.0.0.1:" .. server.ports.implicit },
      { url = ("smtp://gate:%s@127.0.0.1:%d"):format(PASSWORD, server.ports.starttls) },
      { url = "smtp://pinned.invalid:" .. server.ports.starttls, resolve = { "127.0.0.1" } } } do
      local r = send("starttls", options)
      assert.same({ "sent", 250 }, { r.outcome, r.reply })
      has(r.detail, "Taken as 94")
      local list = server.messages()
      assert.equal("Subject: x\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n", support.must_read(list[#list]))
    end
  end)

  it("sends nothing without TLS, to another's certificate, an expired or an unknown one", function()
    fails("mail_tls", "offers no TLS", "plain")
    fails("mail_tls", "no alternative certificate subject name matches", "wrong")
    fails("mail_tls", "certificate has expired", "expired")
    fails("mail_tls", "unable to get local issuer certificate", "starttls", { ca_file = dir .. "/lone.crt" })
  end)

  it("says who refused: nobody there, the password, a mailbox that is busy, the message", function()
    fails("mail_connect", "nothing accepts the connection", "starttls", { url = "smtp://127.0.0.1:1" })
    fails("mail_auth", "refuses user or password", "starttls", { password = "another" })
    server.fault "rcpt450"
    fails("mail_deferred", "450 4.2.1 The mailbox is busy", "starttls")
    server.fault "data451"
    fails("mail_deferred", "451 5.7.1 Not today", "starttls")
    server.fault "data554"
    fails("mail_refused", "554 5.7.1 Not today", "starttls")
    server.fault "early"
    fails("mail_broken", "ended before the message was over", "starttls")
  end)

  it("knows what it cannot know: no reply to the end of the message", function()
    for fault, words in pairs { stall = "no reply", cut = "the connection ended", cutlost = "the connection ended" } do
      server.fault(fault)
      local r = send "starttls"
      assert.equal("unknown", r.outcome, fault)
      has(r.detail, words)
    end
  end)

  it("takes no address that could be a command", function()
    for _, address in ipairs { "a@b>\r\nRCPT TO:<c@d", "a@b\nx", "a b@c", "nobody", "a@b@c", "<a@b>", "ä@b" } do
      fails("bad_argument", "expected addresses", "starttls", { to = { address } })
      fails("bad_argument", "expected addresses", "starttls", { from = address })
    end
  end)

  it("seals to RSA and elliptic-curve certificates what openssl opens again, and to nothing else", function()
    support.shell(("cd %s && openssl req -x509 -newkey rsa:3072 -nodes -keyout rsa.key -out rsa.crt -subj /CN=t 2>/dev/null"):format(dir))
    for _, name in ipairs { "rsa", "lone" } do
      support.write(dir .. "/sealed", smtp.seal(support.must_read(("%s/%s.crt"):format(dir, name)), "sk_live_94\n"))
      assert.is_nil(support.must_read(dir .. "/sealed"):find("sk_live", 1, true))
      assert.equal("sk_live_94\n", output_of(("openssl cms -decrypt -inform DER -in %s/sealed -inkey %s/%s.key"):format(dir, dir, name)))
    end
    for _, pem in ipairs { "", "no certificate", support.must_read(dir .. "/rsa.key") } do
      local ok, e = pcall(smtp.seal, pem, "x")
      assert.is_false(ok)
      assert.equal("mail_certificate", e.code)
    end
  end)

  it("asks nobody at the terminal for the password of a certificate that claims to have one", function()
    local text = output_of(("script -qec %s /dev/null </dev/null"):format(quote(([[lua5.4 -e 'local f = io.open "%s"
      print(pcall(require("engine.mail").seal, f:read "a", "x"))']]):format("tests/fuzz/corpus/mail/encrypted"))))
    has(text, "false", "mail_certificate: what the tenant gave is no certificate")
    assert.is_nil(text:find("pass phrase", 1, true), text)
  end)
end)

describe("the welcome mail of go_live", function()
  local dir, post = support.tmpdir(), support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state", MAIL_PASSWORD = PASSWORD }
  local server
  local said = {} -- all that any run printed

  local function engine(...)
    local r = support.run { cwd = dir, env = env, ... }
    r.all = r.stdout .. r.stderr
    said[#said + 1] = r.all
    return r
  end
  local function go_live(code, ...)
    return engine("run", "go_live", "--tenant", code, "--call", "2099-01-31T10:00:00+01:00", "--contact", "ops@" .. code .. ".example", ...)
  end
  local function psql(sql)
    local r = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function state(code)
    return psql(("select t.status || ' ' || coalesce((select m.state from core.mail_outbox m where m.tenant_id = t.id), 'none') "
      .. "from core.tenants t where code = '%s'"):format(code))
  end
  --- The messages to a tenant's contact.
  local function mails(code)
    local list = {}
    for _, path in ipairs(server.messages()) do
      local to = json.decode(support.must_read((path:gsub("eml$", "json")))).to
      if to[1] == "ops@" .. code .. ".example" then list[#list + 1] = path end
    end
    return list
  end
  local function configure(more, timeout)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", status_file = "tenant-status.json",
      mail = { url = "smtp://127.0.0.1:%d", user = "gate", password = env "MAIL_PASSWORD", ca_file = "%s/ca.pem",
        timeout_s = %d, from = "gate@test.example", %s },
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]]):format(server.ports.starttls, post, timeout or 3,
      more or ""))
  end

  setup(function()
    support.shell("chmod 755 " .. quote(post))
    server = servers.mail(post)
    assert.equal(0, engine("platform", "start").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    configure [[to = { "success@test.example" }, fetch = "https://portal.example/keys"]]
    local name = "Ächt & Söhne; Großhandels-Gesellschaft, Wien\r\nBcc: x@y.example"
    local r = engine("run", "create_tenant", "--tenant", "acme", "--name", name, "--contact", "Ops@acme.example")
    assert.equal(0, r.code, r.all)
    r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.all)
    -- One validation is enough: the tests' own key signs the same for each tenant.
    psql(("insert into core.tenants (code, name) select 't' || n, 't' || n from generate_series(0, %d) n"):format(KILLS + 10))
    support.shell(("/usr/bin/python3 tests/support/forge.py %s/evidence %s"):format(quote(dir), quote(([[
import json
ids = json.loads('%s')
for n in range(0, %d):
    r = copy(last); r["tenant"] = {"code": "t%%d" %% n, "id": ids["t%%d" %% n]}; records.append(r); sign(r, "%s/key.pem")]])
      :format(psql "select json_object_agg(code, id) from core.tenants", KILLS + 11, dir))))
  end)
  teardown(function()
    engine("platform", "stop")
    servers.stop_all()
  end)
  before_each(function() server.fault() end)

  it("goes by a server that gate 4 looks at: TLS and login, with the certificate and its days, and no mail", function()
    local argv = { "run", "integrations_contract", "--tenant", "t8", "--only", "mail", "--verbose" }
    local r = engine(table.unpack(argv))
    assert.equal(0, r.code, r.all)
    has(r.stdout, "mail_certificate: CN = good, issued by CN = Test CA, 19 days left")
    assert.same({}, server.messages())
    local file = dir .. "/gate-engine.conf.lua"
    local held = support.must_read(file)
    finally(function() support.write(file, held) end)
    for words, change in pairs { ["TLS failed"] = { "starttls", "plain" }, ["connection refused"] = { "starttls", "none" } } do
      support.write(file, (held:gsub("127.0.0.1:%d+", "127.0.0.1:" .. (server.ports[change[2]] or 1), 1)))
      r = engine(table.unpack(argv))
      assert.equal(1, r.code, r.all)
      has(r.stdout, "❌ FAIL - Mail server: " .. words)
    end
    support.write(file, (held:gsub('env "MAIL_PASSWORD"', '"wrong"')))
    r = engine(table.unpack(argv))
    assert.equal(1, r.code, r.all)
    has(r.stdout, "❌ FAIL - Mail server: login refused")
    has(engine("recover", table.unpack(argv, 2, 4)).stdout, "mail server (smtp://127.0.0.1:")
  end)

  it("is asked for before anything changes: a contact, and a call that is yet to come", function()
    for _, try in ipairs {
      { "No onboarding call is agreed", "--contact", "a@b.example" },
      { "yesterday is no time for an onboarding call", "--contact", "a@b.example", "--call", "yesterday" },
      { "is no time for an onboarding call", "--contact", "a@b.example", "--call", "2099-02-30T10:00:00Z" },
      { "it is over", "--contact", "a@b.example", "--call", "2020-01-31T10:00:00Z" },
      { "there is no address", "--call", "2099-01-31T10:00:00Z" },
      { "is no address that mail can be sent to", "--call", "2099-01-31T10:00:00Z", "--contact", "a@b>\r\nx" },
    } do
      local r = engine("run", "go_live", "--tenant", "t0", table.unpack(try, 2))
      assert.equal(1, r.code, r.all)
      has(r.stdout, "❌ REFUSED - ", try[1])
      assert.equal("onboarding none", state "t0")
    end
    local r = go_live("t0", "--seal-to", dir .. "/key.pem")
    assert.equal(3, r.code, r.all)
    has(r.stdout, "what the tenant gave is no certificate")
    assert.equal("onboarding none", state "t0")
  end)

  it("is shown by a dry run, and not sent", function()
    local r = go_live("acme", "--dry-run")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "➖ WOULD - Change acme from onboarding to active", "➖ WOULD - Send the welcome mail to acme")
    assert.equal("onboarding none", state "acme")
    assert.same({}, server.messages())
  end)

  it("arrives with an invitation to the call, and says how to fetch the key", function()
    local r = engine("run", "go_live", "--tenant", "acme", "--call", "2099-01-31T10:00:00+01:00",
      "--call-place", "https://call.example/acme")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "✅ DONE - Change acme from onboarding to active", "✅ DONE - Send the welcome mail to acme")
    assert.equal("active sent", state "acme")
    local list = server.messages()
    assert.equal(1, #list)
    assert.same({ from = "gate@test.example", to = { "Ops@acme.example", "success@test.example" } },
      json.decode(support.must_read((list[1]:gsub("eml$", "json")))))
    local mail = read(list[1])
    assert.is_true(mail.lines <= 998 and mail.bare == 0)
    assert.same({ "multipart/mixed", "multipart/alternative", "text/plain", "text/calendar" }, mail.types)
    assert.is_nil(mail.headers.bcc)
    has(mail.headers.subject, "Ächt & Söhne; Großhandels-Gesellschaft, Wien")
    has(mail.text, "Your tenant acme is active", "https://portal.example/keys", "Saturday, 31 January 2099, 09:00 UTC, 30 minutes")
    assert.is_nil(mail.text:find("sk_live", 1, true))
    assert.equal("REQUEST", mail.calendar_method)
    local event = mail.event
    assert.same({ "REQUEST", "2099-01-31T09:00:00+00:00", "2099-01-31T09:30:00+00:00", "https://call.example/acme",
      "mailto:gate@test.example" }, { event.method, event.start, event.stop, event.place, event.organizer })
    assert.same({ "mailto:Ops@acme.example", "mailto:success@test.example" }, event.attendees)
    has(event.summary, "Onboarding call: Ächt & Söhne; Großhandels-Gesellschaft, Wien")
  end)

  it("is not sent again by running it again", function()
    local r = engine("run", "go_live", "--tenant", "acme")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "Nothing to do: the tenant is active since", "and its welcome mail was sent")
    assert.equal(1, #server.messages())
  end)

  it("carries a new key, sealed to the certificate that the tenant gave", function()
    support.shell(("cd %s && openssl req -x509 -newkey rsa:3072 -nodes -keyout t1.key -out t1.crt -subj /CN=t1 2>/dev/null"):format(dir))
    local r = go_live("t1", "--seal-to", "t1.crt")
    assert.equal(0, r.code, r.all)
    local list = mails "t1"
    local mail = read(list[1])
    has(mail.text, "sealed to the certificate you gave us")
    assert.same({ "api-key.p7m" }, mail.files)
    local key = output_of(("openssl cms -decrypt -inform DER -in %s.api-key.p7m -inkey %s/t1.key"):format(list[1], dir))
    assert.is_truthy(key:match "^sk_live_%x+$")
    assert.equal("t1", psql(("set role app_user; select tenant_code from platform.authenticate('%s')"):format(key)))
    for _, text in ipairs { r.all, support.must_read(list[1]), support.must_read(dir .. "/evidence/ledger.jsonl"),
      psql "select message from core.mail_outbox" } do
      assert.is_nil(text:find(key, 1, true))
    end
  end)

  it("is not sent again with a key that was replaced since, nor for the first time", function()
    local r = engine("run", "rotate_key", "--tenant", "t1", "--request", "INC-1")
    assert.equal(0, r.code, r.all)
    r = engine("run", "go_live", "--tenant", "t1", "--resend")
    assert.equal(1, r.code, r.all)
    has(r.stdout, "REFUSED - The key that is sealed in the welcome mail to t1 works no more", "rotate_key, request INC-1, replaced it at ")
    assert.equal(1, #mails "t1")
    assert.equal("active sent", state "t1")
    assert.equal(0, engine("run", "go_live", "--tenant", "t1").code)
    server.fault "data451"
    assert.equal(3, go_live("t9", "--seal-to", "t1.crt").code)
    server.fault()
    assert.equal(0, engine("run", "rotate_key", "--tenant", "t9", "--request", "INC-2").code)
    r = engine("run", "go_live", "--tenant", "t9")
    assert.equal(1, r.code, r.all)
    has(r.stdout, "The key that is sealed in the welcome mail to t9 works no more", "suspend --resume, validate, go_live --seal-to")
    assert.equal("active pending", state "t9")
  end)

  it("is what was asked for when the tenant went live: what is asked for otherwise is refused, the same is nothing new", function()
    local before = #server.messages()
    for words, option in pairs {
      ["--contact: it was ops@t1.example"] = { "--contact", "other@t1.example" },
      ["--call: it was 2099-01-31T10:00:00+01:00"] = { "--call", "2099-02-01T10:00:00Z" },
      ["--call-minutes: it was 30"] = { "--call-minutes", "60" },
      ["--call-place: there was none"] = { "--call-place", "room 7" },
      ["--seal-to: it was another certificate"] = { "--seal-to", post .. "/ca.pem" },
    } do
      for _, resend in ipairs { {}, { "--resend" } } do
        local argv = table.move(resend, 1, #resend, 3, table.move(option, 1, 2, 1, {}))
        local r = engine("run", "go_live", "--tenant", "t1", table.unpack(argv))
        assert.equal(1, r.code, r.all)
        has(r.stdout, "REFUSED - The welcome of tenant t1 was written when it went live", words)
      end
    end
    local r = go_live("t1", "--seal-to", "t1.crt")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "Nothing to do: the tenant is active since")
    assert.equal(before, #server.messages())
  end)

  it("waits where the server certainly has not taken it, and goes with the next run", function()
    server.fault "data451"
    local r = go_live "t2"
    assert.equal(3, r.code, r.all)
    has(r.stdout, "✅ DONE - Change t2", "does not take the message now", "451 5.7.1 Not today")
    assert.equal("active pending", state "t2")
    assert.equal("active", json.decode((support.must_read(dir .. "/tenant-status.json"))).tenants.t2.status)
    server.fault()
    r = engine("run", "go_live", "--tenant", "t2")
    assert.equal(0, r.code, r.all)
    has(r.stdout, "✅ DONE - Send the welcome mail to t2")
    assert.equal("active sent", state "t2")
    assert.equal(1, #mails "t2")
  end)

  for fault, n in pairs { cut = 1, cutlost = 0, stall = 0 } do
    local code = ({ cut = "t3", cutlost = "t4", stall = "t5" })[fault]
    it(("says that the outcome is unknown, and sends it again only when told to (%s)"):format(fault), function()
      server.fault(fault)
      local r = go_live(code)
      assert.equal(1, r.code, r.all)
      has(r.stdout, "✅ DONE - Change " .. code, "It is not known whether the welcome mail to " .. code .. " arrived", "--resend")
      assert.equal("active unknown", state(code))
      server.fault()
      for _ = 1, 2 do
        r = engine("run", "go_live", "--tenant", code)
        assert.equal(1, r.code, r.all)
        has(r.stdout, "It is not known whether")
      end
      assert.equal(n, #mails(code))
      r = engine("run", "go_live", "--tenant", code, "--resend")
      assert.equal(0, r.code, r.all)
      assert.equal("active sent", state(code))
      local list = mails(code)
      assert.equal(n + 1, #list)
      for _, path in ipairs(list) do assert.equal(support.must_read(list[1]), support.must_read(path)) end
      assert.equal(psql(("select message_id from core.mail_outbox where recipients[1] = 'ops@%s.example'"):format(code)),
        read(list[1]).headers["message-id"])
    end)
  end

  it("keeps what is unknown unknown where sending it again fails, and takes the operator's word that it arrived", function()
    server.fault "cut"
    assert.equal(1, go_live("t6").code)
    server.fault "data554"
    assert.equal(3, engine("run", "go_live", "--tenant", "t6", "--resend").code)
    assert.equal("active unknown", state "t6")
    server.fault()
    local r = engine("run", "go_live", "--tenant", "t6", "--arrived")
    assert.equal(0, r.code, r.all)
    assert.equal("active sent", state "t6")
    assert.equal(1, #mails "t6")
    -- What was sent stays sent where sending it once more is refused.
    server.fault "data554"
    assert.equal(3, engine("run", "go_live", "--tenant", "t6", "--resend").code)
    server.fault()
    assert.equal("active sent", state "t6")
    assert.equal(0, go_live("t6").code)
  end)

  it("is left alone by another run while one sends it, and unknown once that one was killed", function()
    configure("", 600)
    finally(function() configure "" end)
    server.fault "hold"
    support.shell(([[cd %s && { GATE_ENGINE_STATE=%s MAIL_PASSWORD=%s setsid %s run go_live --tenant t7 --call 2099-01-31T10:00:00Z \
      --contact ops@t7.example >/dev/null 2>&1 & echo $! >pid; }
      timeout 60 sh -c 'until grep -ls ops@t7.example %s/mail/*.json; do kill -0 $(cat pid) || exit 1; done' >/dev/null]]):format(
      quote(dir), quote(env.GATE_ENGINE_STATE), PASSWORD, quote(support.engine), post))
    local r = engine("run", "go_live", "--tenant", "t7")
    assert.equal(1, r.code, r.all)
    has(r.stdout, "The welcome mail to t7 is being sent by another run")
    assert.equal("active sending", state "t7")
    support.shell(("kill -9 $(cat %s/pid)"):format(quote(dir)))
    server.fault()
    -- Its worker dies with it, and the server sees that when it looks at the connection.
    psql "do $$ begin while exists (select from pg_locks where locktype = 'advisory') loop perform pg_sleep(0.01); end loop; end $$"
    r = engine("run", "go_live", "--tenant", "t7")
    assert.equal(1, r.code, r.all)
    has(r.stdout, "It is not known whether the welcome mail to t7 arrived", "the run that sent it was ended before the server's reply")
    assert.equal("active unknown", state "t7")
    assert.equal(1, #mails "t7")
    local record = support.must_read(dir .. "/evidence/ledger.jsonl")
    assert.is_truthy(record:find('"kind":"activation"[^\n]*"code":"t7"'), "no activation on record")
  end)

  it("lets no hand change a message, take a step that is none, or delete it", function()
    for _, sql in ipairs { "update core.mail_outbox set message = 'x'", "update core.mail_outbox set state = 'pending'",
      "delete from core.mail_outbox", "truncate core.mail_outbox" } do
      local r = engine("platform", "psql", "-X", "-qAt", "-c", sql)
      has(r.stderr, "core.mail_outbox: ")
    end
  end)

  it("goes out once by itself and is never lost silently, however often go_live is killed", function()
    support.shell(([[cd %s; export GATE_ENGINE_STATE=%s MAIL_PASSWORD=%s; /usr/bin/python3 - %s %d <<'PY'
import os, random, signal, subprocess, sys, time
engine, kills = sys.argv[1], int(sys.argv[2])
def start(n):
    return subprocess.Popen([engine, "run", "go_live", "--tenant", "t%%d" %% n, "--call", "2099-01-31T10:00:00+01:00",
                             "--contact", "ops@t%%d.example" %% n], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
begin = time.monotonic(); assert start(10).wait() == 0; whole = time.monotonic() - begin
random.seed(94)
for n in range(11, kills + 11):
    p = start(n)
    try:
        p.wait(timeout=whole * random.random())
    except subprocess.TimeoutExpired:
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
PY]]):format(quote(dir), quote(env.GATE_ENGINE_STATE), PASSWORD, quote(support.engine), KILLS))
    local unknown = 0
    for n = 11, KILLS + 10 do
      local code = "t" .. n
      local r = go_live(code)
      local told = state(code)
      if told == "active unknown" then
        unknown = unknown + 1
        assert.equal(1, r.code, r.all)
        has(r.stdout, "It is not known whether")
        assert.is_true(#mails(code) <= 1, code)
      else
        assert.equal(0, r.code, r.all)
        assert.equal("active sent", told)
        assert.equal(1, #mails(code), code)
      end
    end
    print(("# killed %d times: %d outcomes unknown"):format(KILLS, unknown))
    local r = engine("verify", "evidence/ledger.jsonl")
    assert.equal(0, r.code, r.all)
  end)

  it("leaves the password nowhere", function()
    for _, text in ipairs(said) do assert.is_nil(text:find(PASSWORD, 1, true)) end
    assert.is_nil(os.execute(("grep -rqF %s %s/evidence %s/tenant-status.json %s/mail"):format(PASSWORD, dir, dir, post)))
    assert.equal("0", psql(("select count(*) from core.mail_outbox m where m::text like '%%%s%%'"):format(PASSWORD)))
  end)
end)
