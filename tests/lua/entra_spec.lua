-- What a token of Entra ID has to claim, and keys that are rotated. The whole against a real issuer: tests/services/entra_spec.lua.
local entra = require "entra"
local jose = require "jose"
local json = require "json"

local TID = "11111111-2222-3333-4444-555555555555"
local ISS = "https://login.microsoftonline.com/" .. TID .. "/v2.0"
local APP = "99999999-8888-7777-6666-555555555555"
local NOW = 1800000000

local function claims(changes)
  local out = { iss = ISS, aud = "api://" .. APP, tid = TID, exp = NOW + 600, nbf = NOW, roles = { "A", "B" } }
  for k, v in pairs(changes or {}) do out[k] = v ~= json.null and v or nil end
  return out
end

local function wrong(changes)
  local names = {}
  for i, f in ipairs(entra.faults(claims(changes), { issuer = ISS, tid = TID, audience = "api://" .. APP, roles = { "A" }, now = NOW })) do
    names[i] = f.claim
  end
  return table.concat(names, " ")
end

describe("a token's claims", function()
  it("hold in both forms of Entra ID, and within five minutes of clock skew", function()
    for _, good in ipairs { {}, { iss = "https://sts.windows.net/" .. TID .. "/" }, { aud = APP }, { aud = { "x", APP } },
      { exp = NOW - 299, nbf = NOW + 300 }, { nbf = json.null } } do
      assert.equal("", wrong(good))
    end
  end)

  it("are named where they do not", function()
    local none = json.null
    for _, case in ipairs { { "iss", ISS .. "/" }, { "iss", none }, { "iss", "https://sts.windows.net/" .. TID }, { "iss", { ISS } },
      { "aud", none }, { "aud", "api://" .. APP .. "/" }, { "aud", {} }, { "aud", { "x" } }, { "aud", 7 }, { "tid", none },
      { "tid", TID:upper() .. "x" }, { "exp", none }, { "exp", NOW - 300 }, { "exp", tostring(NOW + 600) }, { "exp", true },
      { "nbf", NOW + 301 }, { "nbf", "0" }, { "roles", none }, { "roles", { "B" } }, { "roles", "A" } } do
      assert.equal(case[1], wrong { [case[1]] = case[2] })
    end
    assert.equal("iss aud tid exp roles", wrong { iss = none, aud = none, tid = none, exp = none, nbf = none, roles = none })
  end)
end)

describe("an issuer", function()
  local keys = {}
  for _, kid in ipairs { "old", "new" } do
    local key = json.decode(jose.generate "ES256")
    key.kid = kid
    keys[kid] = key
  end

  local function public(key) return { kty = key.kty, crv = key.crv, x = key.x, y = key.y, kid = key.kid } end

  --- Who answers with these key sets, one after the other; and how often it was asked for one.
  local function issuer_at(authority, tenant, ...)
    local sets, asked = { ... }, 0
    local self = entra.issuer({ tenant = tenant, authority = authority }, function(o)
      if o.path:find("openid-configuration", 1, true) then
        assert.equal("/" .. tenant .. "/v2.0/.well-known/openid-configuration", o.path)
        return { status = 200, json = function()
          return { issuer = authority .. "/" .. TID .. "/v2.0", jwks_uri = authority .. "/keys?appid=1",
            token_endpoint = "https://login.elsewhere.example/token" }
        end }
      end
      asked = asked + 1
      assert.are.same({ "/keys", "1", false }, { o.path, o.query.appid, o.auth })
      return { status = 200, json = function() return { keys = sets[math.min(asked, #sets)] } end }
    end)
    return self, function() return asked end
  end

  local function issuer(...) return issuer_at("https://login.microsoftonline.com", TID, ...) end

  local function signed(kid, changes)
    return jose.sign(json.encode { alg = "ES256", kid = kid }, json.encode(claims(changes)), json.encode(keys[kid]))
  end

  local function judged(self, token)
    local faults = self:judge(token, "api://" .. APP, NOW)
    return faults[1] and faults[1].claim
  end

  it("is asked for its keys once, and once more for each that is not known", function()
    local self, asked = issuer({ public(keys.old) }, { public(keys.old), public(keys.new) })
    assert.is_nil(judged(self, signed "old"))
    assert.is_nil(judged(self, signed "old"))
    assert.equal(1, asked())
    assert.is_nil(judged(self, signed "new"))
    assert.equal(2, asked())
    local without = issuer({ public(keys.old) })
    assert.equal("kid", judged(without, signed "new"))
    assert.equal("kid", judged(issuer({}), jose.sign('{"alg":"ES256"}', "{}", json.encode(keys.old))))
    local mixed = public(keys.old)
    mixed.kid = "new"
    assert.equal("signature", judged(issuer({ mixed }), signed "new"))
    assert.equal("signature", judged(issuer({}), "no token"))
  end)

  it("issues tokens in the name of its own cloud, for a tenant by its id or by a domain's name", function()
    for authority, sts in pairs { ["https://login.microsoftonline.com"] = "https://sts.windows.net",
      ["https://login.microsoftonline.us"] = "https://sts.windows.net",
      ["https://login.partner.microsoftonline.cn"] = "https://sts.chinacloudapi.cn" } do
      for _, tenant in ipairs { TID, "contoso.onmicrosoft.com" } do
        local self = issuer_at(authority, tenant, { public(keys.old) })
        assert.is_nil(judged(self, signed("old", { iss = authority .. "/" .. TID .. "/v2.0" })))
        assert.is_nil(judged(self, signed("old", { iss = sts .. "/" .. TID .. "/" })))
        assert.equal("iss", judged(self, signed("old", { iss = "https://login.example/" .. TID .. "/v2.0" })))
        assert.equal("tid", judged(self, signed("old", { iss = sts .. "/" .. TID .. "/", tid = APP })))
      end
    end
    local china = issuer_at("https://login.partner.microsoftonline.cn", TID, { public(keys.old) })
    assert.equal("iss", judged(china, signed("old", { iss = "https://sts.windows.net/" .. TID .. "/" })))
  end)

  it("is asked for tokens beneath the authority alone", function()
    local ok, e = pcall(issuer({}).token, (issuer({})), "api://" .. APP)
    assert.is_false(ok)
    assert.equal("entra_discovery", e.code)
    assert.matches("found https://login.elsewhere.example$", e.message)
    assert.matches("such as https://login.elsewhere.example$", e.fix)
  end)
end)
