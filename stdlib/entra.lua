--- Entra ID as an issuer of tokens: discovery, client credentials, signing keys, and what a token has to claim.
---
--- Sources: OpenID Connect Discovery 1.0; RFC 6749 section 4.4 (client credentials); RFC 7517 section 5 (key sets); RFC 7519 section 4.1
--- (claims); Microsoft identity platform, "Access tokens" and "OAuth 2.0 client credentials flow".
local errors = require "errors"
local jose = require "jose"
local json = require "json"

local entra = {}

--- The engine's name for the authority, with the client's id and secret as its credential.
local ISSUER = "auth.entra"

--- Seconds by which clocks may differ.
entra.SKEW = 300

--- Who issues tokens of version 1.0, by the host of the authority: a national cloud has its own
--- (learn.microsoft.com/entra/identity-platform/authentication-national-cloud).
local STS = { ["login.partner.microsoftonline.cn"] = "https://sts.chinacloudapi.cn",
  ["login.chinacloudapi.cn"] = "https://sts.chinacloudapi.cn" }
local STS_ELSEWHERE = "https://sts.windows.net"

--- What a token may be signed with: Entra ID signs with RS256, other issuers with ES256 too.
local ALGORITHMS = { "RS256", "RS384", "RS512", "PS256", "ES256", "ES384" }

---@class entra.Issuer
---@field spec table       auth.entra of the configuration, without its secret
---@field request fun(options: http.request): http.response
---@field clock_ahead integer?  seconds by which this machine's clock is ahead of the issuer's, by its last answer's date
---@field private found table?
---@field private keys table?
local Issuer = {}
Issuer.__index = Issuer

--- The issuer that auth.entra names.
---@param spec table  ctx.auth.entra
---@param request fun(options: http.request): http.response  sends to an endpoint; what it raises goes through
---@return entra.Issuer
function entra.issuer(spec, request)
  return setmetatable({ spec = spec, request = request }, Issuer)
end

local function wrong(code, fix, message, ...)
  errors.raise { code = code, message = message:format(...), fix = fix }
end

--- The path, and the query, of a URL that stands beneath the authority: to no other host does the engine go.
local function beneath(self, url, what)
  local base = self.spec.authority:gsub("/+$", "")
  if type(url) ~= "string" or url:sub(1, #base + 1) ~= base .. "/" then
    local host = type(url) == "string" and url:match "^(https?://[%w.-]+:?%d*)/"
    wrong("entra_discovery", host and ("see auth.entra.authority: a directory of a national cloud has another, such as %s"):format(host)
      or "see auth.entra.authority", "the issuer's %s is not beneath the authority: expected %s/…, found %s", what, base, host or "none")
  end
  local path, after = url:sub(#base + 1):match "^([^?]*)%??(.*)$"
  local query
  for name, value in after:gmatch "([^&=]+)=([^&]*)" do
    query = query or {}
    query[name] = value
  end
  return path, query
end

local function decoded(reply, what)
  local ok, value = pcall(reply.json)
  if not ok or type(value) ~= "table" then
    wrong("entra_answer", "see auth.entra.authority", "the issuer's %s is no JSON object, HTTP status %d", what, reply.status)
  end
  return value
end

local function ask(self, options)
  options.endpoint = ISSUER
  local reply = self.request(options)
  self.clock_ahead = reply.date and os.time() - reply.date or self.clock_ahead
  return reply
end

local function fetch(self, path, query, what)
  local reply = ask(self, { path = path, query = query, auth = false })
  if reply.status ~= 200 then
    wrong("entra_answer", "see auth.entra.authority and auth.entra.tenant",
      "the issuer's %s: expected HTTP status 200, found %d", what, reply.status)
  end
  return decoded(reply, what)
end

--- What the issuer says of itself.
---@return {issuer: string, token_endpoint: string, jwks_uri: string, tid: string}
---Errors: entra_answer, entra_discovery, those of engine.http.
function Issuer:discover()
  if self.found then return self.found end
  local found = fetch(self, "/" .. self.spec.tenant .. "/v2.0/.well-known/openid-configuration", nil, "discovery document")
  local tid = type(found.issuer) == "string" and found.issuer:match "/([^/]+)/v2%.0$"
  local own = self.spec.tenant
  if not tid or tid:find "[{}]" or own:match "^%x+%-%x+%-%x+%-%x+%-%x+$" and tid:lower() ~= own:lower() then
    wrong("entra_discovery", "set auth.entra.tenant to the directory's id", "the issuer of the discovery document is not that of the "
      .. "tenant: expected …/%s/v2.0", own)
  end
  self.found = { issuer = found.issuer, token_endpoint = found.token_endpoint, jwks_uri = found.jwks_uri, tid = tid }
  return self.found
end

local function form(fields)
  local parts = {}
  for _, field in ipairs(fields) do
    parts[#parts + 1] = field[1] .. "=" .. field[2]:gsub("[^%w%-._]", function(c) return ("%%%02X"):format(c:byte()) end)
  end
  return table.concat(parts, "&")
end

--- Asks for a token by client credentials.
---@param audience string
---@param headers table<string, string>?  in place of the client's credential
---@return string? token
---@return string? refusal  why the issuer gives none: "HTTP status 401, invalid_client"
---Errors: entra_answer, entra_discovery, those of engine.http.
function Issuer:token(audience, headers)
  local path, query = beneath(self, self:discover().token_endpoint, "token_endpoint")
  local all = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  for name, value in pairs(headers or {}) do all[name] = value end
  local reply = ask(self, { method = "POST", path = path, query = query, headers = all, auth = headers == nil, idempotent = true,
    body = form { { "grant_type", "client_credentials" }, { "scope", audience:gsub("/+$", "") .. "/.default" } } })
  local status = reply.status
  if status == 400 or status == 401 or status == 403 then
    local ok, body = pcall(reply.json)
    local why = ok and type(body) == "table" and type(body.error) == "string" and body.error:match "^[%w_.-]+$"
    return nil, ("HTTP status %d%s"):format(status, why and ", " .. why or "")
  end
  if status ~= 200 then
    wrong("entra_answer", "see auth.entra, and the issuer's log", "the issuer's token endpoint: expected HTTP status 200, found %d", status)
  end
  local token = decoded(reply, "answer").access_token
  if type(token) ~= "string" then
    wrong("entra_answer", "see auth.entra", "the issuer's answer has no access_token")
  end
  return token
end

--- The key of this id, asked for again once where it is not known: keys are rotated.
---@param kid string
---@return table? jwk
---Errors: entra_answer, entra_discovery, those of engine.http.
function Issuer:key(kid)
  for attempt = 1, 2 do
    if not self.keys or attempt == 2 then
      local path, query = beneath(self, self:discover().jwks_uri, "jwks_uri")
      local set = fetch(self, path, query, "key set").keys
      self.keys = type(set) == "table" and set or {}
    end
    for _, key in ipairs(self.keys) do
      if type(key) == "table" and key.kid == kid then return key end
    end
  end
  return nil
end

local function shown(value)
  if value == nil then return "none" end
  if type(value) == "table" then
    local parts = {}
    for i, v in ipairs(value) do parts[i] = shown(v) end
    return "[" .. table.concat(parts, ", ") .. "]"
  end
  return (tostring(value):sub(1, 120):gsub("%c", "?"))
end

local function one_of(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

--- The audience as both versions of tokens name it: by its URI (v1.0), and by the application's id (v2.0).
local function audiences(audience)
  local id = audience:match "^api://([%x-]+)$"
  return id and { audience, id } or { audience }
end

local function is_for(claim, allowed)
  if type(claim) ~= "table" then return one_of(allowed, claim) end
  for _, one in ipairs(claim) do
    if one_of(allowed, one) then return true end
  end
  return false
end

local function has_roles(claim, roles)
  for _, role in ipairs(roles or {}) do
    if type(claim) ~= "table" or not one_of(claim, role) then return false end
  end
  return true
end

--- What is wrong with a token's claims; an empty list: nothing.
---@param claims table
---@param expected {issuer: string, sts: string?, tid: string, audience: string, roles: string[]?, now: integer}
---  issuer: of tokens of version 2.0; sts: where that of version 1.0 is, default the public cloud's; now: seconds since 1970
---@return {claim: string, expected: string, found: string}[]
function entra.faults(claims, expected)
  local faults = {}
  local function want(ok, claim, what)
    if not ok then faults[#faults + 1] = { claim = claim, expected = what, found = shown(claims[claim]) } end
  end
  local issuers = { expected.issuer, ("%s/%s/"):format(expected.sts or STS_ELSEWHERE, expected.tid) }
  local allowed = audiences(expected.audience)
  local exp, nbf = claims.exp, claims.nbf
  want(one_of(issuers, claims.iss), "iss", table.concat(issuers, " or "))
  want(is_for(claims.aud, allowed), "aud", table.concat(allowed, " or "))
  want(claims.tid == expected.tid, "tid", expected.tid)
  want(type(exp) == "number" and exp > expected.now - entra.SKEW, "exp", ("a time after %d"):format(expected.now - entra.SKEW))
  want(nbf == nil or type(nbf) == "number" and nbf <= expected.now + entra.SKEW, "nbf",
    ("a time not after %d"):format(expected.now + entra.SKEW))
  want(has_roles(claims.roles, expected.roles), "roles", table.concat(expected.roles or {}, ", "))
  return faults
end

--- Does the token hold? An empty list: it does.
---@param token string
---@param audience string
---@param now integer  seconds since 1970
---@return {claim: string, expected: string, found: string}[] faults
---Errors: entra_answer, entra_discovery, those of engine.http.
function Issuer:judge(token, audience, now)
  local function broken(e)
    if not (errors.is(e) and e.code:find "^jose_") then error(e, 0) end
    return { { claim = "signature", expected = "one that holds", found = e.message } }
  end
  local ok, header = pcall(jose.header, token)
  if not ok then return broken(header) end
  header = json.decode(header)
  local key = type(header.kid) == "string" and self:key(header.kid)
  if not key then
    return { { claim = "kid", expected = "a key of the issuer's key set", found = shown(header.kid) } }
  end
  local held, proven, claims = pcall(jose.verify, token, json.encode(key), ALGORITHMS)
  if not held then return broken(proven) end
  local own = self:discover()
  return entra.faults(json.decode(claims), { issuer = own.issuer, sts = STS[self.spec.authority:match "^https://([^/:]+)"],
    tid = own.tid, audience = audience, roles = self.spec.roles, now = now })
end

return entra
