-- Requests to real servers on the loopback: what is sent, what is followed, what is refused, what overlaps.
local http = require "engine.http"
local kit = require "testkit"
local servers = require "http_server"
local task = require "engine.task"
local failure = require("raised").failure

local SECRET = "s3cr3t-t0ken-of-the-platform"

describe("engine.http", function()
  local server, ports, client
  local serial = 0

  --- A key of its own for every count.
  local function fresh()
    serial = serial + 1
    return "k" .. serial
  end

  local function url(name, scheme)
    return ("%s://127.0.0.1:%d"):format(scheme or "http", ports[name or "plain"])
  end

  local function get(path, options)
    local request = { endpoint = "main", path = path }
    for k, v in pairs(options or {}) do request[k] = v end
    return client:request(request)
  end

  local function count(key)
    return tonumber(get("/count", { query = { key = key }, endpoint = "bare" }).body)
  end

  lazy_setup(function()
    server = servers.start()
    ports = server.ports
  end)

  lazy_teardown(function()
    server.stop()
  end)

  before_each(function()
    client = http.client { endpoints = {
      main = { url = url() },
      bare = { url = url() },
      prefixed = { url = url() .. "/api/v1/" },
      secret = { url = url(), auth = { bearer = SECRET } },
      other = { url = url "other" },
    } }
  end)

  after_each(function()
    client:close()
  end)

  describe("a request", function()
    it("sends method, path, query, headers and body as given", function()
      local r = client:request { endpoint = "main", method = "POST", path = "/a/b", query = { z = 1, a = "x&y=ü", on = true },
        headers = { ["X-One"] = "1", ["X-Empty"] = "" }, body = "\0\1binary" }
      local echo = r.json()
      assert.are.equal(200, r.status)
      assert.are.equal("POST", echo.method)
      assert.are.equal("/a/b?a=x%26y%3D%C3%BC&on=true&z=1", echo.path)
      assert.are.equal("1", echo.headers["x-one"])
      assert.are.equal("", echo.headers["x-empty"])
      assert.are.equal("\0\1binary", echo.body)
      assert.matches("^gate%-engine/", echo.headers["user-agent"])
      assert.is_nil(echo.headers["content-type"])
      assert.is_nil(echo.headers["expect"])
      assert.is_nil(echo.headers["authorization"])
    end)

    it("encodes a table as JSON and reads a JSON answer", function()
      local echo = get("/x", { method = "PUT", json = { a = { 1, 2 }, b = "ü" } }).json()
      assert.are.equal("application/json", echo.headers["content-type"])
      assert.matches('"a":[1,2]', echo.body, 1, true)
    end)

    it("joins the path beneath the endpoint's prefix", function()
      assert.are.equal("/api/v1/table?x=1", client:request { endpoint = "prefixed", path = "/table", query = { x = 1 } }.json().path)
      assert.are.equal("/api/v1", client:request { endpoint = "prefixed" }.json().path)
      assert.are.equal("/x?a=1&b=2", get("/x?a=1", { query = { b = 2 } }).json().path)
      assert.are.equal("/x?k=1&k=2", get("/x", { query = { k = { 1, 2 } } }).json().path)
      assert.are.equal("/%C3%BC%20%7B", get("/ü {").json().path)
    end)

    it("of each method arrives as that method", function()
      for _, method in ipairs { "GET", "OPTIONS", "PUT", "DELETE", "POST", "PATCH" } do
        assert.are.equal(method, get("/x", { method = method }).json().method)
      end
      local head = get("/large?n=5000", { method = "HEAD", max_body = 10 })
      assert.are.same({ 200, "", "5000" }, { head.status, head.body, head.headers["content-length"] })
      assert.are.equal("bad_argument", failure(get, "/x", { method = "get" }).code)
      assert.are.equal("bad_argument", failure(get, "/x", { method = "CONNECT" }).code)
    end)

    it("gives statuses of every class as results", function()
      for _, status in ipairs { 204, 304, 400, 401, 403, 404, 409, 422, 500, 503 } do
        assert.are.equal(status, get("/status", { query = { is = status } }).status)
      end
    end)

    it("gives headers in lower case, repeated ones joined, interim ones left out", function()
      local h = get("/repeated").headers
      assert.are.equal("one, two", h["x-many"])
      assert.are.equal("a=1, b\nc=2", h["set-cookie"])
      assert.are.equal("", h["x-empty"])
      local late = get("/interim")
      assert.are.same({ 200, "ok", "yes" }, { late.status, late.body, late.headers["x-late"] })
      assert.is_nil(late.headers["x-early"])
    end)

    it("gives its timings, which grow in order, and the peer", function()
      local r = get "/x"
      local t = r.timings
      assert.is_true(t.connect > 0 and t.first_byte >= t.connect and t.total >= t.first_byte)
      assert.are.equal(0, t.tls)
      assert.are.equal("127.0.0.1", r.address)
      assert.are.equal(1, r.attempts)
      assert.is_nil(r.certificate)
    end)

    it("sends no cookie back and reads no environment's proxy", function()
      kit.setenv("http_proxy", url "proxy")
      kit.setenv("all_proxy", url "proxy")
      finally(function()
        kit.setenv "http_proxy"
        kit.setenv "all_proxy"
      end)
      get "/repeated"
      local echo = get("/x").json()
      assert.are.equal("plain", echo.server)
      assert.is_nil(echo.headers["cookie"])
    end)

    it("to an unknown endpoint names those there are", function()
      local e = failure(client.request, client, { endpoint = "nope", path = "/" })
      assert.are.equal("http_endpoint", e.code)
      assert.matches("main", e.detail)
    end)

    it("names a misspelt option", function()
      assert.matches('did you mean "timeout"', failure(get, "/x", { timeoot = 1 }).message, 1, true)
    end)
  end)

  describe("an answer", function()
    it("that is no JSON, or JSON with a key twice, raises only when it is read as JSON", function()
      for _, text in ipairs { "<html>", '{"a":1,"a":2}', '{"a":NaN}', "" } do
        local r = get("/text", { query = { is = text } })
        assert.are.equal(text, r.body)
        assert.are.equal("http_protocol", failure(r.json).code)
      end
      assert.are.equal(9007199254740993, get("/text", { query = { is = "9007199254740993" } }).json())
    end)

    it("over max_body is refused, announced or not", function()
      assert.are.equal(100, #get("/large?n=100", { max_body = 100 }).body)
      assert.are.equal("http_too_large", failure(get, "/large?n=101", { max_body = 100 }).code)
      assert.are.equal("http_too_large", failure(get, "/endless", { max_body = 1000000 }).code)
    end)

    it("with too large or too many headers is refused", function()
      assert.are.equal("http_too_large", failure(get, "/headers?n=100&size=1000").code)
      assert.are.equal("http_too_large", failure(get, "/headers?n=300&size=1").code)
      assert.are.equal(200, get("/headers?n=50&size=1000").status)
    end)

    it("that was not asked to be compressed is not inflated", function()
      local r = get "/bomb"
      assert.is_true(#r.body < 10000)
      assert.is_nil(get("/x").json().headers["accept-encoding"])
    end)

    it("that comes byte by byte is put together", function()
      local body = get("/drip?n=5000").body
      assert.are.equal(5000, #body)
      assert.are.equal("\0\1\2\3", body:sub(1, 4))
    end)

    for path, what in pairs { truncated = "cut short", reset = "cut off by a reset", nothing = "empty", garbage = "no HTTP" } do
      it("that is " .. what .. " is an error", function()
        assert.are.equal("http_protocol", failure(get, "/" .. path).code)
      end)
    end

    it("that does not come in time is an error", function()
      local e = failure(get, "/silent", { timeout = 0.1 })
      assert.are.equal("http_timeout", e.code)
      assert.matches('endpoint "main"', e.message, 1, true)
    end)
  end)

  describe("a path", function()
    for title, path in pairs {
      ["naming another host"] = "//evil.example/x",
      ["naming another host by backslashes"] = "\\\\evil.example/x",
      ["with a backslash"] = "/\\evil.example",
      ["that is a URL"] = "http://evil.example/",
      ["that extends the host"] = ".evil.example/",
      ["that turns the host into a user"] = "@evil.example/",
      ["with an at sign"] = "/a@evil.example",
      ["that extends the port"] = "0/",
      ["with a line break"] = "/a\r\nX-Evil: 1",
      ["with a NUL byte"] = "/a\0b",
      ["with a control character"] = "/a\127b",
      ["with a fragment"] = "/a#b",
      ["that climbs"] = "/../admin",
      ["that climbs encoded"] = "/a/%2e%2E/admin",
      ["that climbs half encoded"] = "/a/.%2e",
      ["that stays with a dot"] = "/./a",
      ["with broken encoding"] = "/a%zz",
      ["that ends amid encoding"] = "/a%2",
    } do
      it(title .. " is refused", function()
        local before = count "hits other"
        assert.are.equal("bad_argument", failure(get, path).code)
        assert.are.equal("bad_argument", failure(get, path, { endpoint = "prefixed" }).code)
        assert.are.equal(before, count "hits other")
      end)
    end

    it("may hold what only looks alike", function()
      for _, path in ipairs { "/a/%40b", "/a..b/...", "/a:1/b;c", "/a//b", "/..a;/.b", "/a;.." } do
        assert.are.equal(path, get(path).json().path)
      end
    end)
  end)

  describe("a header", function()
    for title, header in pairs {
      ["value with CR LF"] = { "X-A", "1\r\nX-Evil: 2" },
      ["value with LF"] = { "X-A", "1\nX-Evil: 2" },
      ["value with NUL"] = { "X-A", "1\0" },
      ["name with a colon"] = { "X-A: 1\r\nX-B", "1" },
      ["name with a space"] = { "X A", "1" },
      ["name that is empty"] = { "", "1" },
      ["that names the host"] = { "Host", "evil.example" },
      ["that frames the body"] = { "Content-Length", "0" },
      ["that frames it otherwise"] = { "transfer-encoding", "chunked" },
      ["for the proxy"] = { "Proxy-Authorization", "Basic x" },
    } do
      it(title .. " is refused, in requests and endpoints", function()
        local headers = { [header[1]] = header[2] }
        assert.are.equal("bad_argument", failure(get, "/x", { headers = headers }).code)
        assert.are.equal("bad_argument", failure(http.client, { endpoints = { e = { url = url(), headers = headers } } }).code)
      end)
    end
  end)

  describe("a credential", function()
    it("is sent by the engine, in each of its forms", function()
      local c <close> = http.client { endpoints = {
        bearer = { url = url(), auth = { bearer = SECRET } },
        basic = { url = url(), auth = { basic = "user:pass:word" } },
        header = { url = url(), auth = { header = "X-Api-Key", value = SECRET } },
        userinfo = { url = ("http://us%%40er:p%%3Aw@127.0.0.1:%d"):format(ports.plain) },
        headers = { url = url(), headers = { ["X-Team"] = "ops" } },
      } }
      local function sent(endpoint)
        return c:request { endpoint = endpoint, path = "/x" }.json().headers
      end
      assert.are.equal("Bearer " .. SECRET, sent "bearer".authorization)
      assert.are.equal("Basic dXNlcjpwYXNzOndvcmQ=", sent "basic".authorization)
      assert.are.equal(SECRET, sent "header"["x-api-key"])
      assert.are.equal("Basic dXNAZXI6cDp3", sent "userinfo".authorization)
      assert.are.equal("ops", sent "headers"["x-team"])
      assert.is_nil(sent "headers".authorization)
    end)

    it("cannot be replaced by a request, but left out to send another", function()
      assert.are.equal("bad_argument",
        failure(get, "/x", { endpoint = "secret", headers = { authorization = "Bearer other" } }).code)
      local echo = get("/x", { endpoint = "secret", auth = false, headers = { authorization = "Bearer other" } }).json()
      assert.are.equal("Bearer other", echo.headers.authorization)
      assert.is_nil(get("/x", { endpoint = "secret", auth = false }).json().headers.authorization)
    end)

    it("goes along inside the origin, and to no other by a redirect", function()
      local r = get("/redirect?to=/x", { endpoint = "secret" })
      assert.are.equal("Bearer " .. SECRET, r.json().headers.authorization)
      local before = count "hits other"
      assert.are.equal("http_redirect", failure(get, "/redirect?to=http://{other}/x", { endpoint = "secret" }).code)
      assert.are.equal(before, count "hits other")
    end)

    it("stands in no error, no result and no text of the client", function()
      local c <close> = http.client { endpoints = {
        gone = { url = "http://user:" .. SECRET .. "@127.0.0.1:1", headers = { ["X-K"] = SECRET } },
        slow = { url = url(), auth = { bearer = SECRET } },
      } }
      for _, e in ipairs {
        failure(c.request, c, { endpoint = "gone", path = "/x", headers = { ["x-k"] = "1" } }),
        failure(c.request, c, { endpoint = "gone", path = "/x" }),
        failure(c.request, c, { endpoint = "slow", path = "/silent", timeout = 0.05 }),
        failure(http.client, { endpoints = { e = { url = "ftp://u:" .. SECRET .. "@h/" } } }),
        failure(http.client, { endpoints = { e = { url = "http://u:" .. SECRET .. "@h:99999/" } } }),
        failure(http.client, { endpoints = { e = { url = url(), auth = { bearer = SECRET .. "\n" } } } }),
        failure(http.client, { endpoints = { e = { url = url(), auth = { basic = SECRET } } } }),
        failure(http.client, { endpoints = { e = { url = url(), proxy = "gopher://u:" .. SECRET .. "@h" } } }),
      } do
        for _, field in ipairs { "code", "message", "detail", "fix" } do
          assert.is_nil((e[field] or ""):find(SECRET, 1, true), e.message)
        end
      end
      assert.is_nil(tostring(c):find(SECRET, 1, true))
      assert.are.same({ "gone", "slow" }, (function()
        local names = c:endpoints()
        table.sort(names)
        return names
      end)())
    end)
  end)

  describe("a redirect", function()
    it("inside the origin is followed, relative or absolute", function()
      for _, to in ipairs { "/x", "x", "http://{host}/x", "HTTP://{host}/x", "?to=/x", "/redirect?to=/x" } do
        local r = get("/redirect", { query = { to = to } })
        assert.are.equal(200, r.status, to)
        assert.is_true(r.redirects >= 1)
      end
    end)

    for title, to in pairs {
      ["another port"] = "http://{other}/x",
      ["another host without scheme"] = "//localhost/x",
      ["another scheme"] = "https://{host}/x",
      ["a file"] = "file:///etc/passwd",
      ["no URL"] = "http://[",
      ["a user at the same host"] = "http://evil:pw@{host}/x",
      ["the same host by another name"] = "http://localhost:{other}",
    } do
      it("to " .. title .. " is refused", function()
        local before = count "hits other"
        assert.are.equal("http_redirect", failure(get, "/redirect", { query = { to = to } }).code)
        assert.are.equal(before, count "hits other")
      end)
    end

    it("without end is refused after the number allowed", function()
      assert.are.equal("http_redirect", failure(get, "/loop", { redirects = 3 }).code)
      assert.are.equal(4, count "loop")
    end)

    it("is the answer itself with redirects = 0", function()
      local r = get("/redirect?to=http://{other}/x", { redirects = 0 })
      assert.are.equal(302, r.status)
      assert.matches("^http://", r.headers.location)
      assert.are.equal("moved", r.body)
    end)

    it("keeps or changes the method as its status says", function()
      local expect = { [301] = "GET", [302] = "GET", [303] = "GET", [307] = "POST", [308] = "POST" }
      for status, method in pairs(expect) do
        local echo = get("/redirect", { method = "POST", body = "b", query = { to = "/x", status = status } }).json()
        assert.are.equal(method, echo.method)
        assert.are.equal(method == "POST" and "b" or "", echo.body)
      end
      assert.are.equal("PUT", get("/redirect", { method = "PUT", body = "b", query = { to = "/x", status = 302 } }).json().method)
    end)
  end)

  describe("repeating", function()
    it("gets past a server's failures, and stops at the number allowed", function()
      local key = fresh()
      local r = get("/flaky", { query = { key = key, fail = 2, is = 503 }, retries = 2, backoff = 0 })
      assert.are.same({ 200, "well", 3 }, { r.status, r.body, r.attempts })
      local other = fresh()
      r = get("/flaky", { query = { key = other, fail = 9, is = 500 }, retries = 2, backoff = 0 })
      assert.are.same({ 500, 3 }, { r.status, r.attempts })
      assert.are.equal(3, count(other))
    end)

    it("is not done unasked", function()
      local key = fresh()
      assert.are.equal(503, get("/flaky", { query = { key = key, fail = 1, is = 503 } }).status)
      assert.are.equal(1, count(key))
    end)

    it("is done for 429 with Retry-After, and not without", function()
      local key, other = fresh(), fresh()
      assert.are.equal(200, get("/flaky", { query = { key = key, fail = 1, is = 429, after = 0 }, retries = 1 }).status)
      assert.are.equal(429, get("/flaky", { query = { key = other, fail = 1, is = 429 }, retries = 1, backoff = 0 }).status)
      assert.are.equal(1, count(other))
    end)

    it("takes Retry-After as a date as well", function()
      local key = fresh()
      local r = get("/flaky", { query = { key = key, fail = 1, is = 429, after = "Wed, 21 Oct 2015 07:28:00 GMT" }, retries = 1 })
      assert.are.equal(200, r.status)
    end)

    it("does not wait longer than the request may take", function()
      local key = fresh()
      assert.are.equal(429, get("/flaky", { query = { key = key, fail = 1, is = 429, after = 3600 }, retries = 1, timeout = 5 }).status)
      assert.are.equal(1, count(key))
    end)

    it("is never done after a refusal", function()
      for _, status in ipairs { 400, 401, 403, 404, 409 } do
        local key = fresh()
        assert.are.equal(status, get("/status", { query = { key = key, is = status, after = 0 }, retries = 3, backoff = 0 }).status)
        assert.are.equal(1, count(key))
      end
    end)

    it("is never done for a method that may do harm twice", function()
      for _, method in ipairs { "POST", "PATCH" } do
        local key = fresh()
        get("/flaky", { method = method, query = { key = key, fail = 1, is = 503, after = 0 }, retries = 3, backoff = 0 })
        assert.are.equal(1, count(key))
      end
    end)

    it("is done for one of which it is known that it does none", function()
      local query = { key = fresh(), fail = 1, is = 503, after = 0 }
      assert.are.equal(2, get("/flaky", { method = "POST", query = query, retries = 3, idempotent = true }).attempts)
    end)

    it("is not done after an answer that broke", function()
      assert.are.equal("http_protocol", failure(get, "/reset", { retries = 3, backoff = 0 }).code)
    end)

    it("of a connection that nothing accepts ends with that error", function()
      local c <close> = http.client { endpoints = { gone = { url = "http://127.0.0.1:1" } } }
      assert.are.equal("http_connect", failure(c.request, c, { endpoint = "gone", retries = 2, backoff = 0.001 }).code)
    end)
  end)

  describe("under task.map", function()
    it("requests overlap: none is answered before all have been asked", function()
      local key = fresh()
      local got = task.map({ 1, 2, 3, 4 }, 4, function()
        return get("/meet", { query = { key = key, n = 4 } }).body
      end)
      assert.are.equal("met met met met", table.concat(got, " "))
    end)

    it("each of many gets its own answer, failures among them", function()
      local list = {}
      for i = 1, 120 do list[i] = i end
      local got = task.map(list, 12, function(i)
        if i % 10 == 0 then
          return failure(get, "/truncated").code
        elseif i % 7 == 0 then
          return get("/flaky", { query = { key = fresh(), fail = 1, is = 503 }, retries = 1, backoff = 0.001 }).body
        end
        return get("/x", { query = { i = i } }).json().path
      end)
      for i = 1, 120 do
        assert.are.equal(i % 10 == 0 and "http_protocol" or i % 7 == 0 and "well" or "/x?i=" .. i, got[i])
      end
    end)

    it("one that fails does not leave the others hanging", function()
      local key = fresh()
      local e = failure(task.map, { 1, 2, 3 }, 3, function(i)
        if i == 2 then
          error { code = "mine" }
        end
        return get("/meet", { query = { key = key, n = 9 }, timeout = 20 })
      end)
      assert.are.equal("mine", e.code)
      assert.are.equal(200, get("/x").status)
    end)

    it("a client closed meanwhile ends the requests of all", function()
      local got = task.map({ 1, 2, 3 }, 3, function(i)
        if i == 3 then
          client:close()
          return "closed"
        end
        return failure(get, "/silent").code
      end)
      assert.are.equal("http_closed http_closed closed", table.concat(got, " "))
    end)
  end)

  describe("pinned addresses", function()
    it("are used in place of the name service, with the name in Host", function()
      local c <close> = http.client { endpoints = {
        pinned = { url = ("http://pinned.invalid:%d"):format(ports.plain), resolve = { "127.0.0.1" } } } }
      local echo = c:request { endpoint = "pinned", path = "/redirect?to=/x" }.json()
      assert.are.equal(("pinned.invalid:%d"):format(ports.plain), echo.headers.host)
    end)

    it("are addresses, at least one, and the same for one host", function()
      local u = ("http://pinned.invalid:%d"):format(ports.plain)
      for _, resolve in ipairs { {}, { "localhost" }, { "127.0.0.1", "x" }, { 1 }, { "127.0.0.1:80" }, { "1.2.3.4,5.6.7.8" } } do
        assert.are.equal("bad_argument", failure(http.client, { endpoints = { e = { url = u, resolve = resolve } } }).code)
      end
      assert.are.equal("bad_argument", failure(http.client, { endpoints = {
        a = { url = u, resolve = { "127.0.0.1" } }, b = { url = u .. "/b", resolve = { "127.0.0.2" } } } }).code)
      assert.are.equal("bad_argument", failure(http.client, { endpoints = {
        a = { url = "http://127.0.0.1:1", resolve = { "127.0.0.2" } } } }).code)
    end)
  end)

  it("tells where a URL connects to as libcurl does", function()
    local function target(u)
      local t = http.target(u)
      return ("%s %s %s %s"):format(t.scheme, t.host, t.port, t.address)
    end
    assert.are.equal("https api.example nil false", target "https://user:p%40@api.example/x")
    assert.are.equal("http 127.0.0.1 8080 true", target "http://127.0.0.1:8080")
    assert.are.equal("http ::1 80 true", target "http://[::1]:80/")
    assert.are.equal("socks5h proxy.example 1080 false", target "socks5h://proxy.example:1080")
    for _, u in ipairs { "", "host", "http://", "http://[", "http://u:" .. SECRET .. "@h:99999" } do
      local e = failure(http.target, u)
      assert.are.equal("bad_argument", e.code)
      assert.is_nil(e.message:find(SECRET, 1, true))
    end
  end)

  it("names a proxy that opens no tunnel", function()
    local c <close> = http.client { endpoints = { e = { url = "https://behind.invalid", proxy = url "proxy" } } }
    assert.are.equal("http_proxy", failure(c.request, c, { endpoint = "e", retries = 2, backoff = 0 }).code)
  end)

  it("pins the proxy's host as well", function()
    local proxy = ("http://proxy.invalid:%d"):format(ports.proxy)
    local c <close> = http.client { endpoints = {
      far = { url = "http://far.invalid:8080", proxy = proxy, proxy_resolve = { "127.0.0.1" } } } }
    assert.are.equal("proxy", c:request { endpoint = "far", path = "/x" }.json().via)
  end)

  it("goes through the endpoint's own proxy", function()
    local c <close> = http.client { endpoints = {
      far = { url = "http://far.invalid:8080", proxy = url "proxy", auth = { bearer = SECRET } } } }
    local answer = c:request { endpoint = "far", path = "/x" }.json()
    assert.are.same({ "proxy", "http://far.invalid:8080/x" }, { answer.via, answer.path })
  end)

  describe("TLS", function()
    local function tls(name, options)
      local endpoint = { url = url(name, "https"), ca_file = server.dir .. "/ca.pem" }
      for k, v in pairs(options or {}) do endpoint[k] = v end
      return http.client { endpoints = { e = endpoint } }
    end

    it("with a valid certificate gives the answer and the certificate's days", function()
      local c <close> = tls "good"
      for _ = 1, 2 do -- the second is answered over the same connection
        local r = c:request { endpoint = "e", path = "/x" }
        assert.are.equal(200, r.status)
        assert.is_true(r.certificate.days_left == 19 or r.certificate.days_left == 20)
        assert.matches("good", r.certificate.subject)
        assert.matches("Test CA", r.certificate.issuer)
        assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", r.certificate.not_after)
      end
    end)

    it("takes the authority as text", function()
      local f = assert(io.open(server.dir .. "/ca.pem"))
      local pem = f:read "a"
      f:close()
      local c <close> = http.client { endpoints = { e = { url = url("good", "https"), ca_pem = pem } } }
      assert.are.equal(200, c:request { endpoint = "e" }.status)
    end)

    for name, reason in pairs { expired = "expired", wrong = "wrong_host", lone = "untrusted" } do
      it("with a certificate that is " .. reason .. " fails and says so", function()
        local c <close> = tls(name)
        local before = count("hits " .. name)
        local e = failure(c.request, c, { endpoint = "e", retries = 2, backoff = 0 })
        assert.are.same({ "http_tls", reason }, { e.code, e.reason })
        assert.are.equal(before, count("hits " .. name))
      end)
    end

    it("does not trust the test authority by itself", function()
      local c <close> = http.client { endpoints = { e = { url = url("good", "https") } } }
      assert.are.equal("untrusted", failure(c.request, c, { endpoint = "e" }).reason)
    end)

    it("checks the name against a pinned host", function()
      local u = ("https://pinned.invalid:%d"):format(ports.good)
      local c <close> = http.client { endpoints = { e = { url = u, resolve = { "127.0.0.1" }, ca_file = server.dir .. "/ca.pem" } } }
      assert.are.equal(200, c:request { endpoint = "e" }.status)
      local w <close> = http.client { endpoints = { e = { url = ("https://pinned.invalid:%d"):format(ports.wrong),
        resolve = { "127.0.0.1" }, ca_file = server.dir .. "/ca.pem" } } }
      assert.are.equal("wrong_host", failure(w.request, w, { endpoint = "e" }).reason)
    end)

    it("spoken to a plain server, and the other way round, fails", function()
      local c <close> = tls "plain"
      assert.are.equal("http_tls", failure(c.request, c, { endpoint = "e" }).code)
      local p <close> = http.client { endpoints = { e = { url = url "good" } } }
      assert.are.equal("http_protocol", failure(p.request, p, { endpoint = "e" }).code)
    end)
  end)

  describe("an endpoint", function()
    for title, endpoint in pairs {
      ["without URL"] = {},
      ["of another scheme"] = { url = "ftp://h/" },
      ["that is a file"] = { url = "file:///etc/passwd" },
      ["without host"] = { url = "http:///x" },
      ["with a query"] = { url = "http://h/?a=b" },
      ["with a fragment"] = { url = "http://h/#a" },
      ["with two credentials"] = { url = "http://u:p@h/", auth = { bearer = "x" } },
      ["with half a credential"] = { url = "http://h/", auth = { header = "X-K" } },
      ["with an empty credential"] = { url = "http://h/", auth = { bearer = "" } },
      ["with a misspelt option"] = { url = "http://h/", header = {} },
    } do
      it(title .. " is refused", function()
        local e = failure(http.client, { endpoints = { e = endpoint } })
        assert.is_true(e.code == "bad_argument" or e.code == "http_endpoint", e.code)
      end)
    end
  end)

  it("says clearly that a closed client is closed", function()
    client:close()
    client:close()
    assert.are.equal("http.client (closed)", tostring(client))
    assert.are.equal("http_closed", failure(get, "/x").code)
  end)
end)
