-- Gate 4's auth check against a platform's API behind a key, with logins that let in whom they must not.
package.path = "tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local http_server = require "support.http_server"
local json = require "engine.json"
local support = require "support"

local KEY = "Sk_Live_0123456789abcdefPLANTED9"

--- Each: the fault's path, the exit code, and what is shown.
local CASES = {
  { "everybody", 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted", "who shows no key was answered, HTTP status 200" },
  { "anonymous", 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted", "who shows no key was answered" },
  { "prefix", 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted", "the key with its last character changed was answered" },
  { "case", 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted", "the key in upper case was answered" },
  { "pattern", 1, "❌ FAIL - Auth flow failed: a wrong credential is accepted", "a pattern was answered" },
  { "nobody", 1, "❌ FAIL - Auth flow failed: token invalid", "the platform refuses the configured key, HTTP status 401" },
  { "stall", 1, "❌ FAIL - Auth flow failed: timeout" },
  { "broken", 3, "⚠️ ERROR - the platform neither accepted nor refused the configured key: HTTP status 500" },
  { "unchanged", 3, "⚠️ ERROR - the platform neither accepted nor refused who shows no key: HTTP status 304" },
  { "limited", 3, "⚠️ ERROR - the platform neither accepted nor refused who shows no key: HTTP status 429", "let the address" },
}

describe("gate 4's auth check", function()
  local server

  setup(function() server = http_server.start("platform_server.py", KEY) end)
  teardown(function() server.stop() end)

  --- The configuration is of an external platform whose database nobody asks.
  local function run(endpoint, auth)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external",
      database = { admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" } },
      endpoints = { %s }, auth = { %s } }]]):format(endpoint, auth or 'api_key = { value = env "TEST_KEY" }'))
    local r = support.run { cwd = dir, env = { TEST_KEY = KEY },
      argv = { "run", "integrations_contract", "--tenant", "acme", "--only", "auth", "--verbose", "--trace", "--report", "json=r.json" } }
    local text = support.must_read(dir .. "/r.json")
    local all = (r.stdout .. r.stderr .. text):lower()
    assert.is_nil(all:find("planted", 1, true), "the key is shown")
    r.gate = json.decode(text).gates[1]
    return r
  end

  local function platform(fault)
    return ('platform = { url = "http://127.0.0.1:%d", auth = "api_key", probe = "/%s/me" }'):format(server.ports.plain, fault)
  end

  it("passes where the key is answered and ten others are not, by a refusal or a redirect to a login", function()
    for _, fault in ipairs { "api", "login" } do
      local r = run(platform(fault))
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.equal(10, r.gate.facts.auth_refusals_tried)
    end
  end)

  it("says where a platform that redirects the right key redirects it to, without what the address could hold", function()
    local r = run(platform "moved")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("the platform refuses the configured key, HTTP status 301: it redirects to https://new.example/api\n", 1,
      true), r.stdout)
    assert.is_truthy(r.stdout:find("Fix: Check Entra config or API key; where that is no login, endpoints.platform.url", 1, true), r.stdout)
    assert.is_truthy(r.gate.checks[1].reproduce:find("\"$TEST_KEY\"", 1, true), r.gate.checks[1].reproduce)
  end)

  it("asks again where the platform is busy for a moment, and says so", function()
    local r = run(platform "flaky")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(10, r.gate.facts.auth_refusals_tried)
    assert.equal(22, r.gate.facts.platform_repeated_requests)
  end)

  it("asks once where it is refused", function()
    assert.is_nil(run(platform "nobody").gate.facts.platform_repeated_requests)
  end)

  for _, case in ipairs(CASES) do
    it("names what is wrong: " .. case[1], function()
      local r = run(platform(case[1]))
      assert.equal(case[2], r.code, r.stdout .. r.stderr)
      for i = 3, #case do assert.is_truthy(r.stdout:find(case[i], 1, true), r.stdout) end
    end)
  end

  it("gives a script all of auth.entra but the client's secret", function()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "external",
      database = { admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" } },
      auth = { entra = { tenant = "t", client_id = "the client", client_secret = env "TEST_KEY", audience = "api://x" } } }]])
    support.write(dir .. "/g.lua", [[return require("gate").define { api = 1, id = "g", name = "G", purpose = "p", pass = "ok",
      needs = { auth = { "entra" } }, failures = { seen = { text = "seen" } },
      run = function(ctx)
        ctx:check("secret", function()
          ctx:fact("client", ctx.auth.entra.client_id)
          if ctx.auth.entra.client_secret ~= nil then ctx:fail("seen", { detail = "the script has the secret" }) end
        end)
      end }]])
    local r = support.run { cwd = dir, env = { TEST_KEY = KEY }, argv = { "run", "g.lua", "--tenant", "acme", "--report", "json=r.json" } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("the client", json.decode(support.must_read(dir .. "/r.json")).gates[1].facts.client)
  end)

  it("names a platform that is not there", function()
    local r = run('platform = { url = "http://127.0.0.1:1", auth = "api_key", probe = "/me" }')
    assert.equal(1, r.code, r.stdout .. r.stderr)
    assert.is_truthy(r.stdout:find("❌ FAIL - Auth flow failed: connection refused", 1, true), r.stdout)
  end)

  it("is an ERROR that names the key where the configuration says too little to try it", function()
    for _, case in ipairs { { "", "endpoints.platform" }, { 'platform = { url = "http://127.0.0.1:1" }', "endpoints.platform.auth" },
      { 'platform = { url = "http://127.0.0.1:1", auth = "api_key" }', "endpoints.platform.probe" } } do
      local r = run(case[1])
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("authentication was not tried", 1, true), r.stdout)
      assert.is_truthy(r.stdout:find(case[2], 1, true), r.stdout)
    end
  end)
end)
