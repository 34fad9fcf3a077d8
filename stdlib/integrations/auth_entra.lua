--- Authentication by tokens of Entra ID: one that holds is answered by the platform, and every forgery of it is refused.
local entra = require "entra"
local errors = require "errors"
local hash = require "hash"
local jose = require "jose"
local json = require "json"
local probe = require "integrations.probe"

local M = {}

local OBJECT = "auth.entra"
local GONE = errors.new { code = "auth_gone", message = "a finding says what is out of reach" } -- raised here, and caught here

local function part(text) return hash.base64(text, "url") end

local function curl(path, token)
  return ("curl -si %s\"$PLATFORM_URL%s\""):format(token and "-H \"Authorization: Bearer $TOKEN\" " or "", path)
end

local function send(ctx, options, where, reproduce)
  return probe.request(ctx, options, where, reproduce) or error(GONE, 0)
end

--- The platform's answer to this Authorization header.
local function ask(ctx, path, authorization)
  return send(ctx, { endpoint = "platform", path = path, headers = authorization and { Authorization = authorization } },
    "endpoints.platform", curl(path, authorization))
end

local function issuer_of(ctx)
  local spec = ctx.auth.entra or probe.missing(OBJECT,
    'add auth = { entra = { tenant = …, client_id = …, client_secret = env "ENTRA_CLIENT_SECRET", audience = … } }')
  return entra.issuer(spec, function(options)
    return send(ctx, options, OBJECT, ("curl -si \"%s/%s/v2.0/.well-known/openid-configuration\""):format(spec.authority, spec.tenant))
  end)
end

--- A token for the platform which holds; nil: a finding says why not.
local function own_token(ctx, issuer)
  local token, refusal = issuer:token(issuer.spec.audience)
  if not token then
    return ctx:fail("auth_failed", { object = OBJECT, detail = "the issuer refuses the client: " .. refusal })
  end
  local faults = issuer:judge(token, issuer.spec.audience, os.time())
  local ahead = issuer.clock_ahead or 0
  for _, f in ipairs(faults) do
    local clock = (f.claim == "exp" or f.claim == "nbf") and math.abs(ahead) > entra.SKEW
    ctx:fail("auth_failed", { object = OBJECT, detail = ("claim %s: expected %s, found %s%s"):format(f.claim, f.expected, f.found,
      clock and ("; this machine's clock is %d s off the issuer's"):format(ahead) or ""),
      fix = clock and "Set this machine's clock: timedatectl, or the time service of the host" or nil })
  end
  return #faults == 0 and token or nil
end

--- Another character that changes a byte, in the middle of a part: a last one may hold bits that belong to none.
local function altered(text)
  local middle = #text // 2
  return text:sub(1, middle - 1) .. (text:sub(middle, middle) == "A" and "B" or "A") .. text:sub(middle + 1)
end

--- The header with members changed; json.null takes none away, it is no header of anybody.
local function headed(header, changes)
  local out = {}
  for k, v in pairs(header) do out[k] = v end
  for k, v in pairs(changes) do out[k] = v end
  return json.encode(out)
end

local function mac(header, payload, key)
  local input = part(header) .. "." .. payload
  return input .. "." .. part(hash.hmac_sha256_raw(key, input))
end

local function public_of(key)
  local all = json.decode(key)
  return { kty = all.kty, n = all.n, e = all.e }
end

--- Tokens made of one that holds, and of what everybody can know: none may open anything.
---@param token string
---@param public string  the key it is signed with, as JSON
local function forgeries(token, public)
  local head, body, signature = token:match "^([^.]*)%.([^.]*)%.([^.]*)$"
  local header = json.decode(hash.unbase64(head, "url"))
  local claims = json.decode(hash.unbase64(body, "url"))
  local payload = json.encode(claims)
  claims.sub, claims.oid = "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"
  local none, tampered = part(headed(header, { alg = "none" })), part(json.encode(claims))
  local pem, hs256 = jose.pem(public), headed(header, { alg = "HS256" })
  local own, own_ec = jose.generate "RS256", jose.generate "ES256"
  return {
    { "a token without its signature", head .. "." .. body .. "." },
    { "an unsigned token (alg none)", none .. "." .. body .. "." },
    { "an unsigned token (alg None)", part(headed(header, { alg = "None" })) .. "." .. body .. "." },
    { "an unsigned token (alg none) with the old signature", none .. "." .. body .. "." .. signature },
    { "a token signed by HS256 with the public key's PEM", mac(hs256, body, pem) },
    { "a token signed by HS256 with the public key's PEM without its last line feed", mac(hs256, body, (pem:gsub("\n$", ""))) },
    { "a token signed by HS256 with the public key's JSON", mac(hs256, body, public) },
    { "a token signed by HS256 with an empty key", mac(hs256, body, "") },
    { "a token with another subject under the old signature", head .. "." .. tampered .. "." .. signature },
    { "a token with an altered signature", head .. "." .. body .. "." .. altered(signature) },
    { "a token signed with the key that its own header brings (jwk)",
      jose.sign(headed(header, { alg = "RS256", jwk = public_of(own) }), payload, own) },
    { "a token signed with an RSA key of our own under the issuer's kid", jose.sign(headed(header, { alg = "RS256" }), payload, own) },
    { "a token signed with an EC key of our own under the issuer's kid", jose.sign(headed(header, { alg = "ES256" }), payload, own_ec) },
  }
end

--- A token of the same issuer for somebody else, where the configuration names somebody.
local function other_token(issuer)
  local other = issuer.spec.other_audience
  if not other then return nil end
  local token, refusal = issuer:token(other)
  if not token then
    errors.raise { code = "auth_not_probed", fix = "let the client have tokens for it, or name another",
      message = "tokens for another audience were not tried: the issuer gives none for auth.entra.other_audience: " .. refusal }
  end
  local faults = issuer:judge(token, issuer.spec.audience, os.time())
  for _, f in ipairs(faults) do
    if f.claim == "aud" then return token end
  end
  errors.raise { code = "auth_not_probed", fix = "name a resource that is not the platform",
    message = "tokens for another audience were not tried: those for auth.entra.other_audience are for the platform too" }
end

--- Genuine tokens that only the configuration can bring: each is refused for the reason it was brought for, or it would prove nothing.
local SUPPLIED = {
  { key = "expired_token", who = "a token that has run out", wrong = { exp = true }, want = "a genuine token for the platform, run out "
    .. "more than 5 minutes ago" },
  { key = "foreign_token", who = "a token of another tenant", wrong = { tid = true, iss = true }, want = "a genuine token for the "
    .. "platform, of another tenant" },
}

--- Adds the supplied tokens to the cases. Roles are nobody's reason here.
local function add_supplied(issuer, cases)
  for _, one in ipairs(SUPPLIED) do
    local token = issuer.spec[one.key]
    if token then
      local meant, other = false, nil
      for _, f in ipairs(issuer:judge(token, issuer.spec.audience, os.time())) do
        if one.wrong[f.claim] then meant = true elseif f.claim ~= "roles" then other = f.claim end
      end
      if not meant or other then
        errors.raise { code = "auth_not_probed", fix = "expected " .. one.want,
          message = ("auth.entra.%s was not tried: %s"):format(one.key, other and "its " .. other .. " is not right either"
            or "nothing is wrong with it") }
      end
      cases[#cases + 1] = { one.who, token }
    end
  end
end

--- What only the configuration can bring, and does not: what was not tried was not refused, and no pass says that it was.
local function refuse_untried(ctx, issuer)
  local untried, keys = {}, {}
  for _, one in ipairs { { "other_audience", "a token of the same issuer for another audience" },
    { SUPPLIED[1].key, SUPPLIED[1].who }, { SUPPLIED[2].key, SUPPLIED[2].who } } do
    if not issuer.spec[one[1]] then
      untried[#untried + 1], keys[#keys + 1] = one[2], "auth.entra." .. one[1]
    end
  end
  ctx:fact("auth_refusals_untried", json.array(untried))
  if #untried > 0 then
    errors.raise { code = "auth_not_probed", message = "it was not tried whether these are refused: " .. table.concat(untried, ", "),
      detail = "every other wrong token was tried", fix = "give the configuration " .. table.concat(keys, ", ")
        .. ": gate-engine doc config says what each is" }
  end
end

--- The issuer itself must not give tokens to who does not know the secret.
local function check_secret(ctx, issuer)
  local id = issuer.spec.client_id:gsub("[^%w%-._]", function(c) return ("%%%02X"):format(c:byte()) end)
  local wrong = "Basic " .. hash.base64(id .. ":" .. hash.hex(hash.random(20)))
  if issuer:token(issuer.spec.audience, { Authorization = wrong }) then
    ctx:fail("auth_accepts_wrong", { object = OBJECT, detail = "the issuer gave a token for a wrong client secret" })
  end
end

--- The forgeries of a token. Where a token opens once, each is of one that nobody has seen: it must not be refused for having been seen.
local function all_forgeries(ctx, issuer, token)
  local function of(one) return forgeries(one, json.encode(issuer:key(json.decode(jose.header(one)).kid))) end
  local cases = of(token)
  for i = 1, issuer.spec.single_use and #cases or 0 do cases[i] = of(own_token(ctx, issuer) or error(GONE, 0))[i] end
  return cases
end

local function try(ctx, path)
  local issuer = issuer_of(ctx)
  local token = own_token(ctx, issuer)
  if not token then return end
  local function is_accepted(who)
    return probe.must_be_accepted(ctx, ask(ctx, path, "Bearer " .. token), who, OBJECT, curl(path, true))
  end
  if not is_accepted "a token that holds" then return end
  local function must_refuse(who, authorization)
    probe.must_be_refusal(ctx, ask(ctx, path, authorization).status, who, curl(path, authorization))
  end
  must_refuse("who shows no token", nil)
  local refused = 1
  if issuer.spec.single_use then
    must_refuse("a token that was shown before", "Bearer " .. token)
    refused, token = refused + 1, own_token(ctx, issuer)
    if not token or not is_accepted "the next token" then return end
  end
  local cases = all_forgeries(ctx, issuer, token)
  local other = other_token(issuer)
  if other then cases[#cases + 1] = { "a token of the same issuer for another audience", other } end
  add_supplied(issuer, cases)
  for _, case in ipairs(cases) do
    must_refuse(case[1], "Bearer " .. case[2])
    refused = refused + 1
  end
  check_secret(ctx, issuer)
  ctx:fact("auth_refusals_tried", refused + 1)
  refuse_untried(ctx, issuer)
end

--- The check "auth" on a platform behind Entra ID.
---@param ctx gate.Context
---@param path string  which only who is logged in may see
function M.check(ctx, path)
  local ok, e = pcall(try, ctx, path)
  if not ok and not rawequal(e, GONE) then error(e, 0) end
end

return M
