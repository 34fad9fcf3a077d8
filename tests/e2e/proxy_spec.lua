-- The way to a service through a proxy: the configuration's, else the environment's; and over IPv6.
package.path = "tests/lua/?.lua;" .. package.path
local http_server = require "support.http_server"
local support = require "e2e.support"

local GATE = [[
return require("gate").define { api = 1, id = "g", name = "G", failures = { odd = { text = "Odd" } }, needs = { endpoints = { "svc" } },
  run = function(ctx)
    ctx:check("c", function() ctx:fact("body", ctx.http:request { endpoint = "svc", path = "/echo" }.body) end)
  end }
]]

describe("the way to a service", function()
  local server, dir = nil, support.tmpdir()

  setup(function()
    server = http_server.start()
    support.write(dir .. "/g.lua", GATE)
  end)
  teardown(function() server.stop() end)

  --- What the service behind `url` answered, or the proxy in its place.
  local function ask(url, env, more)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external",
      database = { admin = { url = "postgresql://a@127.0.0.1:1/x" }, app = { url = "postgresql://b@127.0.0.1:1/x" } },
      endpoints = { svc = { url = %q %s } } }]]):format(url, more or ""))
    local r = support.run { cwd = dir, env = env, argv = { "run", "g.lua", "--verbose", "--tenant", "acme" } }
    r.all = r.stdout .. r.stderr
    assert.is_nil(r.all:find("PLANTED", 1, true), r.all)
    r.via = r.code == 0 and (r.all:find('\\"via\\": \\"proxy\\"', 1, true) or r.all:find('"via": "proxy"', 1, true)) ~= nil
    return r
  end

  local function proxy() return ("http://user:PLANTED@127.0.0.1:%d"):format(server.ports.proxy) end

  for _, name in ipairs { "http_proxy", "all_proxy", "ALL_PROXY" } do
    it("is through the proxy of " .. name, function()
      local r = ask("http://pinned.invalid", { [name] = proxy() })
      assert.is_true(r.via, r.all)
    end)
  end

  it("is through a proxy without a scheme", function()
    assert.is_true(ask("http://pinned.invalid", { http_proxy = ("127.0.0.1:%d"):format(server.ports.proxy) }).via)
  end)

  it("is straight where the environment excepts it, names no proxy for its scheme, or it is this machine", function()
    local here = ("http://127.0.0.1:%d"):format(server.ports.plain)
    assert.is_false(ask(here, { http_proxy = proxy() }).via)
    for _, env in ipairs { { http_proxy = proxy(), no_proxy = "a, .invalid" }, { http_proxy = proxy(), NO_PROXY = "pinned.invalid" },
      { http_proxy = proxy(), no_proxy = "*" }, { HTTP_PROXY = proxy() }, { https_proxy = proxy(), HTTPS_PROXY = proxy() } } do
      local r = ask("http://pinned.invalid", env)
      assert.equal(3, r.code, r.all)
      assert.is_truthy(r.all:find("does not resolve", 1, true) or r.all:find("resolve", 1, true), r.all)
    end
    assert.is_true(ask("http://pinned.invalid", { http_proxy = proxy(), no_proxy = "other.invalid,nned.invalid" }).via)
  end)

  it("is through the configuration's own proxy before the environment's", function()
    local r = ask("http://pinned.invalid", { http_proxy = "http://127.0.0.1:1" }, (", proxy = %q"):format(
      ("http://127.0.0.1:%d"):format(server.ports.proxy)))
    assert.is_true(r.via, r.all)
  end)

  it("is none where the proxy itself is not there: that is told, and nothing of the service", function()
    for _, told in ipairs { { { http_proxy = "http://user:PLANTED@127.0.0.1:1" } }, { {}, ', proxy = "http://127.0.0.1:1"' } } do
      local r = ask("http://pinned.invalid", told[1], told[2])
      assert.equal(3, r.code, r.all)
      assert.is_truthy(r.all:find('endpoint "svc" (http://pinned.invalid:80): its proxy cannot be reached', 1, true), r.all)
      assert.is_truthy(r.all:find("Fix: check the proxy (http_proxy, https_proxy, all_proxy, or the endpoint's own)", 1, true), r.all)
      assert.is_nil(r.all:find("that the service runs", 1, true), r.all)
    end
  end)

  it("is over IPv6 where the address is one", function()
    if not server.ports.six then return pending "this machine has no IPv6" end
    local r = ask(("http://[::1]:%d"):format(server.ports.six))
    assert.equal(0, r.code, r.all)
    assert.is_truthy(r.all:find("six", 1, true), r.all)
  end)
end)
