-- Signed tokens: RFC 7515's own examples, keys of openssl, and everything that must not pass for a signature.
local hash = require "engine.hash"
local jose = require "engine.jose"
local json = require "engine.json"

local PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

--- RFC 7515, appendices A.2 and A.3.
local RS256 = {
  token = "eyJhbGciOiJSUzI1NiJ9." .. PAYLOAD .. ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    .. "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcO"
    .. "Ln6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe"
    .. "77Rw",
  key = { kty = "RSA", e = "AQAB", n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4"
    .. "QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca"
    .. "pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" },
}
local ES256 = {
  token = "eyJhbGciOiJFUzI1NiJ9." .. PAYLOAD
    .. ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
  key = { kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
}

local ALL = { "RS256", "RS384", "RS512", "PS256", "ES256", "ES384" }

local function part(text) return hash.base64(text, "url") end

--- The key with members changed; false takes one away.
local function changed(key, changes)
  local out = {}
  for k, v in pairs(key) do out[k] = v end
  for k, v in pairs(changes) do out[k] = v or nil end
  return out
end

local function refused(code, token, key, algs)
  local ok, e = pcall(jose.verify, token, json.encode(key), algs or ALL)
  assert.is_false(ok, "it passed")
  assert.equal(code, e.code, tostring(e))
  assert.is_nil(tostring(e):find(PAYLOAD:sub(1, 16), 1, true))
  return e
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

describe("engine.jose", function()
  it("holds RFC 7515's examples", function()
    for _, case in ipairs { RS256, ES256 } do
      local header, claims = jose.verify(case.token, json.encode(case.key), ALL)
      assert.equal(header, jose.header(case.token))
      assert.equal("joe", json.decode(claims).iss)
    end
  end)

  it("refuses each token that was changed, cut or is none", function()
    for _, case in ipairs { RS256, ES256 } do
      local head, body, signature = case.token:match "^(.-)%.(.-)%.(.*)$"
      local mid = #signature // 2
      local other = signature:sub(mid, mid) == "A" and "B" or "A"
      refused("jose_signature", head .. "." .. part '{"iss":"jim"}' .. "." .. signature, case.key)
      refused("jose_signature", head .. "." .. body .. "." .. signature:sub(1, mid - 1) .. other .. signature:sub(mid + 1), case.key)
      refused("jose_signature", head .. "." .. body .. ".", case.key)
      refused("jose_signature", head .. "." .. body .. "." .. part(("\0"):rep(case == ES256 and 64 or 256)), case.key)
      refused("jose_signature", head .. "." .. body .. "." .. part "short", case.key)
      for _, none in ipairs { "", ".", "..", head, head .. "." .. body, case.token .. ".x", case.token .. "=", head .. ".!." .. signature,
        part "[]" .. "." .. body .. "." .. signature, part '{"alg":"RS256","alg":"RS256"}' .. "." .. body .. "." .. signature,
        head .. "." .. part "7" .. "." .. signature, ("a"):rep(64 * 1024 + 1) } do
        refused("jose_token", none, case.key)
      end
    end
  end)

  it("takes no algorithm that the caller did not name", function()
    local body, pem = PAYLOAD, jose.pem(json.encode(RS256.key))
    local function mac(key)
      local input = part '{"alg":"HS256"}' .. "." .. body
      return input .. "." .. part(hash.hmac_sha256_raw(key, input))
    end
    assert.is_truthy(refused("jose_alg", part '{"alg":"none"}' .. "." .. body .. ".", RS256.key).message:find("found none", 1, true))
    assert.is_truthy(refused("jose_alg", mac(pem), RS256.key).message:find("found HS256", 1, true))
    refused("jose_alg", mac(json.encode(RS256.key)), { kty = "oct", k = part(pem) })
    refused("jose_alg", part '{"alg":"None"}' .. "." .. body .. ".", RS256.key)
    refused("jose_alg", part '{"typ":"JWT"}' .. "." .. body .. ".", RS256.key)
    refused("jose_alg", part '{"alg":["RS256"]}' .. "." .. body .. ".", RS256.key)
    refused("jose_alg", RS256.token, RS256.key, { "ES256" })
    local own = jose.generate "RS256"
    refused("jose_token", jose.sign('{"alg":"RS256","crit":["exp"]}', "{}", own), json.decode(own))
    for _, wrong in ipairs { {}, { "none" }, { "HS256" }, { "RS256", 7 } } do
      local ok, e = pcall(jose.verify, RS256.token, json.encode(RS256.key), wrong)
      assert.is_false(ok)
      assert.equal("bad_argument", e.code)
    end
  end)

  it("takes no key that is none for the algorithm", function()
    for _, key in ipairs { ES256.key, changed(RS256.key, { n = false }), changed(RS256.key, { n = "AQAB" }),
      changed(RS256.key, { e = "AQ" }),
      changed(RS256.key, { e = "Ag" }), changed(RS256.key, { n = "*" }), changed(RS256.key, { alg = "RS384" }),
      changed(RS256.key, { use = "enc" }), changed(RS256.key, { kty = "oct" }), {} } do
      refused("jose_key", RS256.token, key)
    end
    for _, key in ipairs { RS256.key, changed(ES256.key, { crv = "P-384" }), changed(ES256.key, { x = ES256.key.y }),
      changed(ES256.key, { y = false }), changed(ES256.key, { x = "AQAB" }) } do
      refused("jose_key", ES256.token, key)
    end
  end)

  it("signs what it holds, under that key and no other", function()
    for _, alg in ipairs(ALL) do
      local key = jose.generate(alg)
      local token = jose.sign(('{"alg":"%s","kid":"k"}'):format(alg), '{"a":1}', key)
      local header, claims = jose.verify(token, key, { alg })
      assert.are.same({ alg = alg, kid = "k" }, json.decode(header))
      assert.equal('{"a":1}', claims)
      refused("jose_signature", token, json.decode(jose.generate(alg)), { alg })
      assert.is_false((pcall(jose.sign, ('{"alg":"%s"}'):format(alg), "{}", json.encode(changed(json.decode(key), { d = false })))))
    end
  end)

  it("agrees with openssl on keys and signatures", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    for _, alg in ipairs { "RS256", "RS512" } do
      local key = jose.generate(alg)
      local input, signature = jose.sign(('{"alg":"%s"}'):format(alg), "{}", key):match "^(.*)%.(.-)$"
      write(dir .. "/pem", jose.pem(key))
      write(dir .. "/input", input)
      write(dir .. "/signature", hash.unbase64(signature, "url"))
      assert(os.execute(("cd %s && openssl dgst -sha%s -verify pem -signature signature input >/dev/null"):format(dir, alg:sub(3))))
    end
    for _, alg in ipairs { "ES256", "ES384" } do
      write(dir .. "/pem", jose.pem(jose.generate(alg)))
      assert(os.execute(("openssl pkey -pubin -pubcheck -noout -in %s/pem >/dev/null"):format(dir)))
    end
    os.execute("rm -r " .. dir)
    assert.is_false((pcall(jose.pem, '{"kty":"oct","k":"AQAB"}')))
  end)
end)
