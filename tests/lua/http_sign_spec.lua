-- Signed requests, computed again from what the server received by the published algorithms; and answers in XML.
local here = debug.getinfo(1, "S").source:match("^@(.*/)")
package.path = here .. "support/?.lua;" .. package.path
local hash = require "engine.hash"
local http = require "engine.http"
local servers = require "http_server"

local SECRET = "PLANTED/secret+of-the-store"
local AZURE_KEY = hash.base64 "PLANTED-azure-key-0123456789"

describe("a signed request", function()
  local server, port

  lazy_setup(function()
    server = servers.start()
    port = server.ports.plain
  end)
  lazy_teardown(function() server.stop() end)

  --- What the server received: header names in lower case.
  local function sent(auth, request)
    local client <close> = http.client { endpoints = { store = { url = ("http://127.0.0.1:%d/bucket"):format(port), auth = auth } } }
    request.endpoint = "store"
    local got = client:request(request).json()
    local headers = {}
    for name, value in pairs(got.headers) do headers[name:lower()] = value end
    got.headers = headers
    return got
  end

  --- AWS Signature Version 4 (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
  local function sigv4(got, secret)
    local auth = got.headers.authorization
    local scope, names = auth:match "Credential=[^/]+/([^,]+), *SignedHeaders=([^,]+)"
    local date, region, service = scope:match "^(%d+)/([^/]+)/([^/]+)/aws4_request$"
    local canonical = {}
    for name in names:gmatch "[^;]+" do canonical[#canonical + 1] = name .. ":" .. (got.headers[name] or "") .. "\n" end
    local path, query = got.path:match "^([^?]*)%??(.*)$"
    local request = table.concat({ got.method, path, query, table.concat(canonical), names, got.headers["x-amz-content-sha256"] }, "\n")
    local text = table.concat({ "AWS4-HMAC-SHA256", got.headers["x-amz-date"], scope, hash.sha256(request) }, "\n")
    local key = "AWS4" .. secret
    for _, part in ipairs { date, region, service, "aws4_request" } do key = hash.hmac_sha256_raw(key, part) end
    return hash.hmac_sha256(key, text), names
  end

  it("of S3 holds the body, the query, the session token and a key of any characters", function()
    local auth = { sigv4 = { access_key_id = "account:user", secret_access_key = SECRET, region = "eu-central-1",
      session_token = "PLANTED-token" } }
    local got = sent(auth, { method = "PUT", path = "/a%20b/%C3%BC%2B%28x%29", body = "hello",
      query = { partNumber = 1, uploadId = "x/y=z" } })
    assert.equal(hash.sha256 "hello", got.headers["x-amz-content-sha256"])
    assert.equal("PLANTED-token", got.headers["x-amz-security-token"])
    assert.equal("application/octet-stream", got.headers["content-type"])
    local signature, names = sigv4(got, SECRET)
    assert.equal(signature, got.headers.authorization:match "Signature=(%x+)")
    assert.is_truthy(got.headers.authorization:find("Credential=account:user/", 1, true))
    for _, name in ipairs { "host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token" } do
      assert.is_truthy(names:find(name, 1, true), names)
    end
    for _, method in ipairs { "GET", "DELETE", "POST" } do
      got = sent(auth, { method = method, path = "/k", headers = method == "GET" and { Range = "bytes=0-9" } or nil })
      assert.equal(sigv4(got, SECRET), got.headers.authorization:match "Signature=(%x+)")
    end
  end)

  it("of Azure holds what the service reads", function()
    local auth = { azure_key = { account = "acct", key = AZURE_KEY } }
    local got = sent(auth, { method = "PUT", path = "/a%20b", body = "hello", query = { comp = "block", blockid = "MDE=" },
      headers = { ["x-ms-blob-type"] = "BlockBlob" } })
    local h = got.headers
    local text = table.concat({ "PUT", "", "", "5", "", "application/octet-stream", "", "", "", "", "", "",
      "x-ms-blob-type:BlockBlob", "x-ms-date:" .. h["x-ms-date"], "x-ms-version:" .. h["x-ms-version"],
      "/acct/bucket/a%20b", "blockid:MDE=", "comp:block" }, "\n")
    assert.equal("SharedKey acct:" .. hash.base64(hash.hmac_sha256_raw(hash.unbase64(AZURE_KEY), text)), h.authorization)
  end)

  it("carries a shared access signature in its query, after its own", function()
    local got = sent({ azure_sas = "?sv=1&sig=PLANTED%2Bsig" }, { path = "/k", query = { comp = "list" } })
    assert.equal("/bucket/k?comp=list&sv=1&sig=PLANTED%2Bsig", got.path)
    got = sent({ azure_sas = "sv=1&sig=PLANTED%2Bsig" }, { path = "/k", auth = false })
    assert.equal("/bucket/k", got.path)
  end)

  it("carries nothing where no credential is wanted", function()
    for _, auth in ipairs { { sigv4 = { access_key_id = "a", secret_access_key = "b", region = "r", session_token = "t" } },
      { azure_key = { account = "a", key = AZURE_KEY } } } do
      local got = sent(auth, { path = "/k", auth = false })
      assert.is_nil(got.headers.authorization)
      assert.is_nil(got.headers["x-amz-security-token"])
      assert.is_nil(got.headers["x-amz-content-sha256"])
    end
  end)

  it("is refused where what signs is no credential, which no message shows", function()
    for _, auth in ipairs { { azure_key = { account = "a", key = "PLANTED not base64" } },
      { azure_key = { account = "a", key = "PLANTED=x" } }, { azure_sas = "sv=1&PLANTED" },
      { sigv4 = { access_key_id = "a", secret_access_key = "PLANTED\r\nX: y", region = "r" } },
      { sigv4 = { access_key_id = "a", secret_access_key = "PLANTED", region = "r:s" } },
      { sigv4 = { access_key_id = "a", secret_access_key = "PLANTED", region = "r" }, bearer = "PLANTED" } } do
      local ok, e = pcall(http.client, { endpoints = { store = { url = "http://127.0.0.1:1", auth = auth } } })
      assert.is_false(ok)
      assert.equal("bad_argument", e.code)
      assert.is_nil(tostring(e):find("PLANTED", 1, true))
    end
  end)
end)

describe("an answer in XML", function()
  local server, client

  lazy_setup(function()
    server = servers.start()
    client = http.client { endpoints = { x = { url = ("http://127.0.0.1:%d"):format(server.ports.plain) } } }
  end)
  lazy_teardown(function()
    client:close()
    server.stop()
  end)

  local function read(text)
    return client:request { endpoint = "x", path = "/same", method = "POST", body = text }.xml()
  end

  it("is a tree of elements", function()
    local root = read '  <?xml version="1.0"?><a:r xmlns:a="u" k="v">x<b>1 &lt; 2</b><c><d/></c>y<b>&#252;</b></a:r>'
    assert.equal("a:r", root.name)
    assert.equal("xy", root.text)
    assert.equal("1 < 2", root[1].text)
    assert.equal("d", root[2][1].name)
    assert.equal("ü", root[3].text)
    assert.equal(3, #root)
  end)

  it("is refused where it is none, declares entities, or is too deep", function()
    for text, why in pairs { [""] = "no element found", ["<a>"] = "no element found", ["<a></b>"] = "mismatched tag",
      ['<!DOCTYPE a [<!ENTITY x "yy">]><a>&x;</a>'] = "it declares a document type", [("<a>"):rep(33)] = "nested too deep",
      ["<html><br></html>"] = "mismatched tag" } do
      local ok, e = pcall(read, text)
      assert.is_false(ok)
      assert.equal("http_protocol", e.code)
      assert.is_truthy(e.message:find(why, 1, true), e.message)
    end
  end)
end)
