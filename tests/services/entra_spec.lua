-- Gate 4's auth check against an issuer of tokens that is no imitation (npm oidc-provider), and a platform that verifies them: properly, or
-- with one of the faults that let forgeries in. Skipped where npm could not be reached (fetch.sh).
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local servers = require "servers"
local support = require "support"

local SECRET = "PLANTED+secret/of:the client~8"
local TID = "11111111-2222-3333-4444-555555555555"

local fetched = support.build .. "/services"
local missing = support.read(fetched .. "/missing")

local faketime = io.popen("ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null"):read "l"

local WRONG = "❌ FAIL - Auth flow failed: a wrong credential is accepted"
local INVALID = "❌ FAIL - Auth flow failed: token invalid"

--- Each: kind of issuer, fault of the platform, exit code, and what is shown.
local CASES = {
  { "good", "everybody", 1, WRONG, "who shows no token was answered, HTTP status 200", "an unsigned token (alg none) was answered" },
  { "good", "anonymous", 1, WRONG, "who shows no token was answered" },
  { "good", "none", 1, WRONG, "an unsigned token (alg none) was answered", "an unsigned token (alg None) was answered" },
  { "good", "hs256", 1, WRONG, "a token signed by HS256 with the public key's PEM was answered" },
  { "good", "empty_key", 1, WRONG, "a token signed by HS256 with an empty key was answered" },
  { "good", "signature", 1, WRONG, "a token without its signature was answered", "another subject under the old signature was answered",
    "a token with an altered signature was answered", "an RSA key of our own under the issuer's kid was answered",
    "an EC key of our own under the issuer's kid was answered" },
  { "good", "audience", 1, WRONG, "a token of the same issuer for another audience was answered" },
  { "good", "embedded_key", 1, WRONG, "a token signed with the key that its own header brings (jwk) was answered" },
  { "good", "nobody", 1, INVALID, "the platform refuses a token that holds, HTTP status 401" },
  { "good", "broken", 3, "⚠️ ERROR - the platform neither accepted nor refused a token that holds: HTTP status 500" },
  { "iss", "api", 1, INVALID, "claim iss: expected http://127.0.0.1:", "found https://login.microsoftonline.com/another/v2.0" },
  { "aud", "api", 1, INVALID, "claim aud: expected api://99999999-8888-7777-6666-555555555555", "found api://another" },
  { "tid", "api", 1, INVALID, "claim tid: expected " .. TID .. ", found 00000000-0000-0000-0000-000000000001" },
  { "exp", "api", 1, INVALID, "claim exp: expected a time after " },
  { "nbf", "api", 1, INVALID, "claim nbf: expected a time not after " },
  { "roles", "api", 1, INVALID, "claim roles: expected Gate.Run, found [Other]" },
  { "unknown", "api", 1, INVALID, "claim kid: expected a key of the issuer's key set, found rsa-1" },
  { "otherkey", "api", 1, INVALID, "claim signature: expected one that holds, found the token's signature is not the key's" },
  { "elsewhere", "api", 3, "⚠️ ERROR - the issuer's token_endpoint is not beneath the authority" },
  { "broken", "api", 3, "⚠️ ERROR - the issuer's discovery document: expected HTTP status 200, found 500" },
}

describe("gate 4's auth check by Entra ID", function()
  local ports

  setup(function()
    if not missing then ports = servers.entra(fetched, SECRET) end
  end)
  teardown(servers.stop_all)

  --- A token as one of an issuer's other clients is given it. An issuer that is broken may need to be asked again.
  local function token_of(client, kind)
    local http <close> = require("engine.http").client { endpoints = { issuer = { url = "http://127.0.0.1:" .. ports.issuer,
      auth = { basic = client .. ":" .. SECRET:gsub("[^%w._-]", function(c) return ("%%%02X"):format(c:byte()) end) } } } }
    for _ = 1, 2 do
      local reply = http:request { endpoint = "issuer", method = "POST", path = ("/%s/%s/v2.0/token"):format(kind or "good", TID),
        headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
        body = "grant_type=client_credentials&scope=api%3A%2F%2F99999999-8888-7777-6666-555555555555%2F.default" }
      if reply.status == 200 then return reply.json().access_token end
    end
  end

  --- Of an issuer, what only the configuration can bring: without one of them the check is an ERROR.
  local function supplied(kind)
    local genuine = { good = true, v1 = true, v2 = true, es256 = true, rotated = true, skew = true, flaky = true }
    kind = genuine[kind] and kind or "good"
    return (', other_audience = "api://another", expired_token = %q, foreign_token = %q'):format(token_of("expired", kind),
      token_of("foreign", kind))
  end

  --- Runs the check; the configuration is of an external platform whose database nobody asks.
  local function run(kind, fault, more, secret, tenant, env)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external",
      database = { admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" } },
      endpoints = { platform = { url = "http://127.0.0.1:%d", auth = "entra", probe = "/%s/me" } },
      auth = { entra = { tenant = "%s", client_id = "gate client", client_secret = env "TEST_SECRET",
        audience = "api://99999999-8888-7777-6666-555555555555", roles = { "Gate.Run" },
        authority = "http://127.0.0.1:%d/%s" %s } } }]]):format(ports.platform, fault, tenant or TID, ports.issuer, kind,
          more or supplied(kind)))
    env = env or {}
    env.TEST_SECRET = secret or SECRET
    local r = support.run { cwd = dir, env = env,
      argv = { "run", "integrations_contract", "--tenant", "acme", "--only", "auth", "--verbose", "--trace", "--report", "json=r.json" } }
    local all = r.stdout .. r.stderr .. support.must_read(dir .. "/r.json")
    for _, hidden in ipairs { "PLANTED", "eyJ" } do
      assert.is_nil(all:find(hidden, 1, true), "a secret or a token is shown")
    end
    r.gate = json.decode(support.must_read(dir .. "/r.json")).gates[1]
    return r
  end

  local function needs_npm(title, fn)
    if missing then it(title, function() pending(missing) end) else it(title, fn) end
  end

  needs_npm("passes where a token that holds is answered and everything like one is not", function()
    for _, case in ipairs { { "good", "api" }, { "good", "login" }, { "v1", "api" }, { "v2", "api" }, { "es256", "api" },
      { "rotated", "api" }, { "skew", "api" }, { "flaky", "api" } } do
      local r = run(case[1], case[2])
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.equal(18, r.gate.facts.auth_refusals_tried)
      assert.same({}, r.gate.facts.auth_refusals_untried)
      -- discovery and keys; the token's first answer was that of the tokens above
      assert.equal(case[1] == "flaky" and 2 or nil, r.gate.facts.auth_entra_repeated_requests)
    end
  end)

  for _, case in ipairs(CASES) do
    needs_npm(("names what is wrong: issuer %s, platform %s"):format(case[1], case[2]), function()
      local r = run(case[1], case[2])
      assert.equal(case[3], r.code, r.stdout .. r.stderr)
      for i = 4, #case do assert.is_truthy(r.stdout:find(case[i], 1, true), case[i] .. "\n" .. r.stdout) end
    end)
  end

  needs_npm("names a clock that is wrong", function()
    assert(faketime, "libfaketime is not installed")
    for ahead, claim in pairs { ["+3h"] = "exp", ["-3h"] = "nbf" } do
      local r = run("good", "api", nil, nil, nil, { LD_PRELOAD = faketime, FAKETIME = ahead })
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.matches("claim " .. claim .. ": expected [^\n]*; this machine's clock is %-?10[78]%d%d s off the issuer's", r.stdout)
    end
  end)

  needs_npm("finds the directory by a domain's name", function()
    local r = run("good", "api", nil, nil, "contoso.example")
    assert.equal(0, r.code, r.stdout .. r.stderr)
  end)

  needs_npm("shows a token again where the platform promises that it opens once", function()
    local once = run("good", "first", supplied "good" .. ", single_use = true") -- nobody else was let in there before
    assert.equal(1, once.code, once.stdout .. once.stderr)
    assert.is_truthy(once.stdout:find("the platform refuses the next token, HTTP status 401", 1, true), once.stdout)
    local r = run("good", "once", supplied "good" .. ", single_use = true")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(19, r.gate.facts.auth_refusals_tried)
    r = run("good", "api", supplied "good" .. ", single_use = true")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("a token that was shown before was answered, HTTP status 200", 1, true), r.stdout)
  end)

  needs_npm("names a wrong secret, and an issuer that is not there", function()
    local r = run("good", "api", nil, "PLANTED-another")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find(INVALID, 1, true), r.stdout)
    assert.is_truthy(r.stdout:find("the issuer refuses the client: HTTP status 401, invalid_client", 1, true), r.stdout)
    local port = ports.issuer
    ports.issuer = 1
    r = run("good", "api", "")
    ports.issuer = port
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("❌ FAIL - Auth flow failed: connection refused", 1, true), r.stdout)
  end)

  needs_npm("tries the expired token and the other tenant's that the configuration brings", function()
    local expired, foreign = token_of "expired", token_of "foreign"
    local function with(fault, one, other)
      return run("good", fault, (', other_audience = "api://another", expired_token = %q, foreign_token = %q'):format(one, other))
    end
    local r = with("api", expired, foreign)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(18, r.gate.facts.auth_refusals_tried)
    for fault, words in pairs { expiry = "a token that has run out was answered", tenant = "a token of another tenant was answered" } do
      r = with(fault, expired, foreign)
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find(words, 1, true), r.stdout)
    end
    local broken = expired:sub(1, -9) .. (expired:sub(-8, -8) == "A" and "B" or "A") .. expired:sub(-7)
    for _, case in ipairs { { foreign, foreign, "auth.entra.expired_token was not tried: its " },
      { token_of "gate%20client", foreign, "auth.entra.expired_token was not tried: nothing is wrong with it" },
      { expired, expired, "auth.entra.foreign_token was not tried: its exp is not right either" },
      { broken, foreign, "auth.entra.expired_token was not tried: its signature is not right either" } } do
      r = with("api", case[1], case[2])
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find(case[3], 1, true), r.stdout)
    end
  end)

  needs_npm("does not take tokens for the platform for those of another audience", function()
    local r = run("good", "api", ', other_audience = "api://99999999-8888-7777-6666-555555555555"')
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("tokens for another audience were not tried", 1, true), r.stdout)
  end)

  needs_npm("is an ERROR where a refusal could not be tried, and the report says which", function()
    local r = run("good", "api", "")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("ERROR - it was not tried whether these are refused: a token of the same issuer for another audience, "
      .. "a token that has run out, a token of another tenant", 1, true), r.stdout)
    assert.is_truthy(r.stdout:find("give the configuration auth.entra.other_audience, auth.entra.expired_token, auth.entra.foreign_token",
      1, true), r.stdout)
    assert.equal(3, #r.gate.facts.auth_refusals_untried)
    r = run("good", "api", ', other_audience = "api://another"' .. (', expired_token = %q'):format(token_of "expired"))
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.same({ "a token of another tenant" }, r.gate.facts.auth_refusals_untried)
  end)
end)
