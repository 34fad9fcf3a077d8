-- An endpoint's URL with a path: no request and no redirect leaves what is beneath it, however a server reads the path.
local http = require "engine.http"
local servers = require "http_server"
local failure = require("raised").failure

describe("an endpoint's prefix", function()
  local server, client

  lazy_setup(function()
    server = servers.start()
    local url = ("http://127.0.0.1:%d"):format(server.ports.plain)
    client = http.client { endpoints = {
      plain = { url = url },
      prefixed = { url = url .. "/api" },
      moving = { url = url .. "/redirect", auth = { bearer = "a-token" } },
    } }
  end)

  lazy_teardown(function()
    client:close()
    server.stop()
  end)

  for title, path in pairs {
    ["dots with parameters"] = "/..;/admin",
    ["encoded dots with encoded parameters"] = "/a/%2e.%3Bx/admin",
    ["encoded slashes"] = "/a%2f..%2F..%2fadmin",
    ["an encoded slash after encoded dots"] = "/%2e%2e%2fx",
    ["encoded backslashes"] = "/a%5C..%5cadmin",
  } do
    it("is not left by " .. title, function()
      for _, endpoint in ipairs { "plain", "prefixed" } do
        assert.are.equal("bad_argument", failure(client.request, client, { endpoint = endpoint, path = path }).code)
      end
    end)
  end

  it("is not left by a redirect", function()
    for _, to in ipairs { "/x", "/redirected", "/redirect/../x", "/redirect/a%2f..%2f..%2fx", "/redirect/..;/x" } do
      local e = failure(client.request, client, { endpoint = "moving", query = { to = to } })
      assert.are.equal("http_redirect", e.code, to)
    end
    local reply = client:request { endpoint = "moving", query = { to = "/redirect/beneath?to=/x&status=200" } }
    assert.are.same({ 200, 1 }, { reply.status, reply.redirects })
  end)
end)
