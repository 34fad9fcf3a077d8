--- Asks a platform's API with a credential, and reads the answer: accepted, refused, or neither.
local errors = require "errors"

local probe = {}

--- How often a request is repeated that got no connection, a 5xx or a 429 which says when to come back: within its own time, after
--- pauses that grow and are partly random. A refusal is an answer, and no request that got one is repeated.
probe.RETRIES = 2

--- Raises: what would have to be known to try is not in the configuration.
---@param key string
---@param fix string
function probe.missing(key, fix)
  errors.raise { code = "config_missing_key", fix = fix,
    message = ("authentication was not tried: the configuration has no %s"):format(key) }
end

--- A service that is out of reach, by the class of the error, in the words of the document.
local SAYS = {
  http_timeout = "timeout", http_connect = "connection refused", http_tls = "TLS failed",
  http_resolve = "name not resolved", resolve_failed = "name not resolved", http_redirect = "redirected elsewhere",
  http_proxy = "refused by the proxy",
  http_too_large = "the answer is too large", http_protocol = "the answer is not HTTP",
}
--- Why TLS failed, by the reason of an http_tls error.
local TLS_SAYS = { expired = "certificate expired", not_yet_valid = "certificate not valid yet", revoked = "certificate revoked",
  wrong_host = "certificate for another name", untrusted = "certificate not trusted", handshake = "no handshake" }

--- A service that is out of reach, in a few words; nil: what was raised says nothing of the kind.
---@param raised any
---@return string?
function probe.says(raised)
  if not errors.is(raised) then return nil end
  local text = SAYS[raised.code]
  if raised.code == "http_tls" then
    local why = TLS_SAYS[rawget(raised, "reason") or ""]
    return why and text .. ": " .. why or text
  end
  if raised.code == "http_proxy" and rawget(raised, "reason") == "unreachable" then return "the proxy is out of reach" end
  if raised.code == "http_protocol" and raised.message:find("the connection broke", 1, true) then return "connection lost" end
  return text
end

--- What a store says when it cannot be used.
local STORE_SAYS = {
  store_missing = "not found", store_denied = "access denied", store_full = "no space left", store_key = "no valid key",
  store_corrupt = "the bytes that came back differ", store_io = "connection refused", store_readonly = "read-only",
  dir_create = "cannot be made", store_bucket = "bucket missing", store_clock = "clock skew", store_signature = "credentials refused",
  store_expired = "credentials expired", store_early = "credentials not valid yet", store_region = "bucket in another region",
  store_busy = "asked too often",
  store_redirect = "redirected elsewhere",
  store_answer = "the answer cannot be read", store_proxy = "refused by the proxy",
}

--- A store that cannot be used, in a few words; nil: what was raised says nothing of the kind.
---@param raised any
---@return string?
function probe.store_says(raised)
  if not errors.is(raised) then return nil end
  local text, status = STORE_SAYS[raised.code], rawget(raised, "status")
  if not text or not status then return text or probe.says(raised) end
  return ("%s (HTTP %d)"):format(raised.code == "store_io" and "server error" or text, status)
end

--- All that an error says of what happened.
---@param raised errors.Error
---@return string
function probe.words(raised)
  return raised.detail and ("%s: %s"):format(raised.message, raised.detail) or raised.message
end

-- Days. A certificate that ends sooner is told of while everything still works.
local CERTIFICATE_DAYS = 14

--- What was seen of the endpoints of a run, by their names.
local SEEN = setmetatable({}, { __mode = "k" })

--- Keeps what an answer says of its connection.
---@param ctx gate.Context
---@param name string  of the service
---@param reply http.response
function probe.watch(ctx, name, reply)
  SEEN[ctx] = SEEN[ctx] or {}
  local seen = SEEN[ctx][name] or {}
  SEEN[ctx][name] = seen
  for time, ms in pairs(reply.timings) do seen[time] = math.max(seen[time] or 0, ms) end
  seen.repeated = (seen.repeated or 0) + reply.attempts - 1
  seen.certificate, seen.address = reply.certificate or seen.certificate, reply.address
end

--- The HTTP capability, which keeps what it sees of the connections.
---@param ctx gate.Context
---@return {request: fun(self: any, options: http.request): http.response}
function probe.watched(ctx)
  return { request = function(_, options)
    local reply = ctx.http:request(options)
    probe.watch(ctx, options.endpoint, reply)
    return reply
  end }
end

--- Tells what was kept, as probe.connection does. Within the check whose services they are.
---@param ctx gate.Context
---@param names string[]
function probe.tell(ctx, names)
  for _, name in ipairs(names) do
    probe.connection(ctx, (name:gsub("%.", "_")), SEEN[ctx] and SEEN[ctx][name])
  end
end

--- A certificate in one line.
---@param cert http.certificate
---@return string
function probe.certificate_says(cert)
  return ("%s, issued by %s, %d days left"):format(cert.subject, cert.issuer, cert.days_left)
end

--- What was seen of a service's connection, as facts: the longest of each time, and the certificate.
---@param ctx gate.Context
---@param name string  of the service
---@param seen table?  times in milliseconds by the names of http.timings, certificate; nil: it has no connection
function probe.connection(ctx, name, seen)
  if not seen then return end
  for _, time in ipairs { "dns", "connect", "tls", "first_byte", "total" } do
    if seen[time] then ctx:fact(("%s_%s_ms"):format(name, time), math.floor(seen[time] * 10 + 0.5) / 10) end
  end
  if seen.address then ctx:fact(name .. "_address", seen.address) end
  if (seen.repeated or 0) > 0 then ctx:fact(name .. "_repeated_requests", seen.repeated) end
  local cert = seen.certificate
  if not cert then return end
  ctx:fact(name .. "_certificate", probe.certificate_says(cert))
  ctx:fact(name .. "_certificate_chain", cert.chain)
  if cert.days_left < CERTIFICATE_DAYS then
    ctx:advise("certificate_ends", { object = name, args = { name, cert.days_left }, detail = cert.subject .. ", " .. cert.not_after })
  end
end

--- Sends a request. A redirect is an answer: what it points to is a login.
---@param ctx gate.Context
---@param options http.request
---@param where string      what is out of reach where nothing answers
---@param reproduce string  how to ask by hand
---@return http.response?   nil: out of reach, and a finding says so
function probe.request(ctx, options, where, reproduce)
  options.redirects, options.timeout, options.retries = 0, 10, probe.RETRIES
  local ok, reply = pcall(ctx.http.request, ctx.http, options)
  if ok then
    probe.watch(ctx, options.endpoint, reply)
    return reply
  end
  local text = probe.says(reply)
  if not text then error(reply, 0) end
  ctx:fail("auth_unreachable", { object = where, args = { text }, detail = probe.words(reply), reproduce = reproduce })
  return nil
end

local REFUSALS = { [401] = true, [403] = true, [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- A redirect is to a login; no other 3xx is one (RFC 9110, 15.4).
---@param status integer
function probe.is_refusal(status) return REFUSALS[status] or false end

--- Raises: an answer that is neither.
---@param status integer
---@param who string
function probe.undecided(status, who)
  errors.raise { code = "auth_undecided", message = ("the platform neither accepted nor refused %s: HTTP status %d"):format(who, status),
    fix = status == 407 and "the proxy on the way wants a login: endpoints.platform.proxy, or http_proxy"
      or status == 429 and "it limits how often it is asked: let the address of this machine ask more often"
      or "expected 2xx, or 401, 403 or a redirect to a login: see endpoints.platform.probe, and the platform's log" }
end

--- Judges the answer to a credential that must open nothing.
---@param ctx gate.Context
---@param status integer
---@param who string
---@param reproduce string
function probe.must_be_refusal(ctx, status, who, reproduce)
  if status >= 200 and status < 300 then
    ctx:fail("auth_accepts_wrong", { object = "endpoints.platform", detail = ("%s was answered, HTTP status %d"):format(who, status),
      reproduce = reproduce })
  elseif not probe.is_refusal(status) then
    probe.undecided(status, who)
  end
end

--- Where a redirect leads, without what a query could hold; nil: it does not say.
---@param reply http.response
---@return string?
function probe.location(reply)
  local to = reply.headers.location
  return to and to:gsub("^(%a[%w+.-]*://)[^/@]*@", "%1"):gsub("[?#].*$", ""):sub(1, 200) or nil
end

--- Judges the answer to the right credential. false: it was refused, and a finding says so.
---@param ctx gate.Context
---@param reply http.response
---@param what string  the credential: "the key"
---@param object string
---@param reproduce string
---@return boolean
function probe.must_be_accepted(ctx, reply, what, object, reproduce)
  local status = reply.status
  if probe.is_refusal(status) then
    local to = status < 400 and probe.location(reply) or nil
    ctx:fail("auth_failed", { object = object, reproduce = reproduce,
      detail = ("the platform refuses %s, HTTP status %d%s"):format(what, status, to and ": it redirects to " .. to or ""),
      fix = to and "Check Entra config or API key; where that is no login, endpoints.platform.url and probe (another scheme, host or path)"
        or nil })
    return false
  end
  if status < 200 or status >= 300 then probe.undecided(status, what) end
  return true
end

return probe
