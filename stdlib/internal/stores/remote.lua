--- Stores of objects behind HTTP, with the methods that engine.store's handles have (stdlib/meta/store.lua). What one service does
--- differently from another is its driver's: internal.stores.s3, internal.stores.azure.
---
--- Credentials are the HTTP client's, in C: no table here holds one but while the client is made.
local hash = require "engine.hash"
local raise = require "internal.raise"
local text = require "internal.stores.text"

local M = {}

local DRIVERS = { azure = require "internal.stores.azure", s3 = require "internal.stores.s3" }

-- Bytes. S3 takes parts from 5 MiB on, Azure blocks to 4000 MiB; what is not above one part is sent at once.
local PART = 8 << 20
local GET_MAX, KEYS_MAX = 64 << 20, 100000
local TIMEOUT_S, RETRIES = 60, 3 -- the seconds where the configuration says none
-- Seconds. S3 refuses a request whose clock is 15 minutes off, and so does Azure.
local SKEW_S = 15 * 60

local FIX = {
  store_clock = "set this machine's clock: timedatectl, or the time service of the host",
  store_signature = "check the access key and its secret, and that nothing between rewrites the request",
  store_denied = "give these credentials the right to read, write, list and delete under the prefix",
  store_bucket = "create it, or correct artifacts.bucket (Azure: artifacts.container)",
  store_region = "set artifacts.region to the bucket's, and artifacts.endpoint to its region's",
  store_expired = "get new temporary credentials (AWS_SESSION_TOKEN), or a new shared access signature",
  store_proxy = "the proxy on the way wants a login: artifacts.proxy, or http_proxy with user and password in it",
  store_early = "wait, or make it without st: clocks differ",
  store_busy = "the service limits how often it is asked: try again later",
  store_io = "look at the service's own log",
  store_redirect = "set artifacts.endpoint to where the service is; no credential goes where an answer points to",
}

--- What a refusal is, by the service's word for it, else by its status.
local CODES = {
  NoSuchKey = "store_missing", BlobNotFound = "store_missing", ResourceNotFound = "store_missing",
  NoSuchBucket = "store_bucket", ContainerNotFound = "store_bucket", InvalidBucketName = "store_bucket",
  RequestTimeTooSkewed = "store_clock",
  SignatureDoesNotMatch = "store_signature", InvalidAccessKeyId = "store_signature", AuthenticationFailed = "store_signature",
  ExpiredToken = "store_expired", InvalidToken = "store_signature", TokenRefreshRequired = "store_expired",
  AuthorizationHeaderMalformed = "store_region", PermanentRedirect = "store_region", TemporaryRedirect = "store_region",
  AccessDenied = "store_denied", AuthorizationFailure = "store_denied", AuthorizationPermissionMismatch = "store_denied",
  InsufficientAccountPermissions = "store_denied", AccountIsDisabled = "store_denied",
  BadDigest = "store_corrupt", InvalidDigest = "store_corrupt", XAmzContentSHA256Mismatch = "store_corrupt", Md5Mismatch = "store_corrupt",
  SlowDown = "store_busy", ServerBusy = "store_busy", ServiceUnavailable = "store_busy",
  QuotaExceeded = "store_full", EntityTooLarge = "store_too_large", RequestBodyTooLarge = "store_too_large",
}

local function by_status(status)
  if status == 401 or status == 403 then return "store_denied" end
  if status == 404 then return "store_missing" end
  if status == 407 then return "store_proxy" end
  if status == 429 or status == 503 then return "store_busy" end
  if status == 507 then return "store_full" end
  if status >= 300 and status < 400 then return "store_redirect" end
  return status >= 500 and "store_io" or "store_answer"
end

--- Seconds that this machine's clock is ahead of the service's, by the answer's date; nil where it says none.
local function ahead(reply)
  return reply.date and os.time() - reply.date or nil
end

--- What a shared access signature must allow, by the letters of its sp.
local ALLOWS = { { "r", "read" }, { "w", "write" }, { "d", "delete" }, { "l", "list" } }

--- Why credentials are refused that say of themselves when they hold, and for what: by the service's clock, where its answer says it.
---@return string? code
---@return string? told
local function by_themselves(about, reply)
  local now = reply.date or os.time()
  local begins, ends = text.sas_date(about.begins), text.sas_date(about.ends)
  if ends and ends <= now then return "store_expired", ("the shared access signature ended at %s (se)"):format(about.ends) end
  if begins and begins > now then return "store_early", ("the shared access signature begins at %s (st)"):format(about.begins) end
  local lacks = {}
  for _, one in ipairs(ALLOWS) do
    if about.allows and not about.allows:find(one[1], 1, true) then lacks[#lacks + 1] = ("%s (%s)"):format(one[2], one[1]) end
  end
  if #lacks == 0 then return nil, nil end
  return nil, ("the shared access signature does not allow to %s: it has sp=%s"):format(table.concat(lacks, ", "), about.allows)
end

--- Raises what an answer that is no success means.
local function refuse(self, verb, key, reply)
  local word, told = self.driver.refusal(reply)
  local code = word and CODES[word] or by_status(reply.status)
  if code == "store_denied" or code == "store_signature" or code == "store_expired" then
    local off = ahead(reply)
    if self.about then -- such a request bears no date, and this machine's clock is no reason
      local why, words = by_themselves(self.about, reply)
      code, told = why or code, words or told
    elseif code ~= "store_expired" and off and math.abs(off) > SKEW_S then
      code, told = "store_clock", ("this machine's clock is %d s off the service's"):format(off)
    end
  end
  raise.raise { code = code, fix = FIX[code], status = reply.status, word = word,
    message = ("store: cannot %s %q: HTTP status %d%s"):format(verb, key, reply.status, word and " " .. word or ""),
    detail = told and told ~= "" and told:sub(1, 300) or nil }
end

local function check_key(self, key)
  local why = text.key_fault(key, self.prefix)
  if why then
    raise.raise { code = "store_key", message = ("store: no valid key: %s"):format(why),
      fix = 'a relative path, such as "run1/plan.json"' }
  end
  return self.prefix .. key
end

local function check_open(self, verb, writes)
  if self.closed then raise.raise { code = "store_closed", message = ("store:%s: the store is closed"):format(verb) } end
  if writes and self.readonly then
    raise.raise { code = "store_readonly", message = ("store: cannot %s: the store is open for reading only"):format(verb) }
  end
end

--- Sends a request; redirects are answers. What was seen of the connection is kept for those who ask (seen).
local function ask(self, options)
  options.endpoint, options.redirects, options.timeout, options.retries = "store", 0, self.timeout_s, RETRIES
  options.auth = self.signed
  options.max_body = options.max_body or PART + (1 << 20)
  local reply = self.client:request(options)
  local seen = self.seen_
  seen.requests, seen.repeated = seen.requests + 1, seen.repeated + reply.attempts - 1
  seen.certificate, seen.address = reply.certificate or seen.certificate, reply.address
  for name, ms in pairs(reply.timings) do seen[name] = math.max(seen[name] or 0, ms) end
  return reply
end

--- As ask, but anything that is no success is raised.
local function must(self, verb, key, options)
  local reply = ask(self, options)
  if reply.status < 200 or reply.status > 299 then refuse(self, verb, key, reply) end
  return reply
end

local function check_bytes(verb, bytes)
  if type(bytes) ~= "string" then
    raise.raise { code = "bad_argument", message = ("store:%s: expected bytes as a string, got %s"):format(verb, type(bytes)) }
  end
end

local Store, Writer, Reader = {}, {}, {}

--- States of the handles that scripts get; the handles themselves hold nothing.
local STATE = setmetatable({}, { __mode = "k" })

local function handle(methods, name, state)
  local object = setmetatable({}, { __index = methods, __metatable = false, __name = name,
    __tostring = function() return name end, __close = function(o) o:close() end })
  STATE[object] = state
  return object
end

local function state_of(object, verb)
  return STATE[object] or raise.raise { code = "bad_argument", message = ("store:%s: call it with a colon"):format(verb) }
end

-- Writers

function Writer:write(bytes)
  local w = state_of(self, "write")
  check_bytes("write", bytes)
  if w.done then raise.raise { code = "store_closed", message = "store: the writer is closed" } end
  w.size = w.size + #bytes
  w.sum:update(bytes)
  w.waiting[#w.waiting + 1] = bytes
  w.waiting_bytes = w.waiting_bytes + #bytes
  if w.waiting_bytes <= PART then return self end
  local all = table.concat(w.waiting)
  w.upload = w.upload or w.store.driver.begin(w.ask, w.full)
  while #all > PART do -- the last part is left for commit, which may find that it is the only one
    w.store.driver.part(w.ask, w.full, w.upload, all:sub(1, PART))
    all = all:sub(PART + 1)
  end
  w.waiting, w.waiting_bytes = { all }, #all
  return self
end

function Writer:commit()
  local w = state_of(self, "commit")
  if w.done then raise.raise { code = "store_closed", message = "store: the writer is closed" } end
  local rest = table.concat(w.waiting)
  if w.upload then
    w.store.driver.part(w.ask, w.full, w.upload, rest)
    w.store.driver.commit(w.ask, w.full, w.upload)
  else
    w.store.driver.put(w.ask, w.full, rest)
  end
  w.done, w.waiting = true, {}
  return { key = w.key, size = w.size, sha256 = w.sum:final() }
end

--- Lets go of what was not committed.
function Writer:close()
  local w = state_of(self, "close")
  if w.done then return end
  w.done, w.waiting = true, {}
  w.sum:close()
  if w.upload then pcall(w.store.driver.abort, w.ask, w.full, w.upload) end
end

-- Readers

function Reader:read()
  local r = state_of(self, "read")
  if r.size and r.at >= r.size then return nil end
  local headers = { [r.store.driver.RANGE] = ("bytes=%d-%d"):format(r.at, r.at + PART - 1), ["If-Match"] = r.etag }
  local reply = ask(r.store, { path = r.store.driver.path(r.full), headers = headers })
  if reply.status == 416 and r.at == 0 then -- nothing has no first byte
    r.size = 0
    return nil
  end
  if reply.status == 412 then
    raise.raise { code = "store_corrupt", message = ("store: %q was replaced while it was read"):format(r.key) }
  end
  if reply.status ~= 206 and reply.status ~= 200 then refuse(r.store, "get", r.key, reply) end
  local total = reply.status == 200 and #reply.body or math.tointeger(tonumber((reply.headers["content-range"] or ""):match "/(%d+)$"))
  if not total or #reply.body == 0 and total > 0 or reply.status == 200 and r.at > 0 then
    raise.raise { code = "store_answer", message = ("store: cannot get %q: the answer to a request for a range is none"):format(r.key) }
  end
  r.size, r.etag, r.at = total, reply.headers.etag, r.at + #reply.body
  return #reply.body > 0 and reply.body or nil
end

function Reader:close() state_of(self, "close").size = 0 end

-- Stores

function Store:writer(key)
  local s = state_of(self, "writer")
  check_open(s, "put", true)
  local full = check_key(s, key)
  local function asks(options) return must(s, "put", key, options) end
  return handle(Writer, "store.writer", { store = s, key = key, full = full, ask = asks, sum = hash.stream(), size = 0, waiting = {},
    waiting_bytes = 0 })
end

function Store:reader(key)
  local s = state_of(self, "reader")
  check_open(s, "get")
  return handle(Reader, "store.reader", { store = s, key = key, full = check_key(s, key), at = 0 })
end

function Store:put(key, bytes)
  check_bytes("put", bytes)
  local w <close> = Store.writer(self, key)
  w:write(bytes)
  return w:commit()
end

function Store:get(key, options)
  local s = state_of(self, "get")
  check_open(s, "get")
  options = options or {}
  local max = options.max or GET_MAX
  local reply = must(s, "get", key, { path = s.driver.path(check_key(s, key)), max_body = max })
  local info = { key = key, size = #reply.body, sha256 = hash.sha256(reply.body),
    modified = text.http_date(reply.headers["last-modified"]) }
  if options.expect_sha256 and options.expect_sha256 ~= info.sha256 then
    raise.raise { code = "store_corrupt", fix = "find out who changed it; put it again from its source",
      message = ("store: %q is not what was put: expected SHA-256 %s, found %s"):format(key, options.expect_sha256, info.sha256) }
  end
  return reply.body, info
end

function Store:head(key)
  local s = state_of(self, "head")
  check_open(s, "head")
  local reply = ask(s, { method = "HEAD", path = s.driver.path(check_key(s, key)) })
  if reply.status == 404 then return nil end
  if reply.status ~= 200 then refuse(s, "look at", key, reply) end
  return { key = key, size = math.tointeger(tonumber(reply.headers["content-length"] or "")) or 0,
    modified = text.http_date(reply.headers["last-modified"]) }
end

function Store:list(prefix)
  local s = state_of(self, "list")
  check_open(s, "list")
  local out, marker = {}, nil
  repeat
    local entries, following = s.driver.list(function(options) return must(s, "list", prefix or "", options) end,
      s.prefix .. (prefix or ""), marker)
    for _, entry in ipairs(entries) do
      entry.key = entry.key:sub(#s.prefix + 1)
      out[#out + 1] = entry
    end
    if #out > KEYS_MAX then raise.raise { code = "store_too_large", message = ("store: over %d keys"):format(KEYS_MAX) } end
    if following and following == marker then
      raise.raise { code = "store_answer", message = "store: cannot list: a page of the list names itself as the next" }
    end
    marker = following
  until not marker
  table.sort(out, function(a, b) return a.key < b.key end)
  return out
end

function Store:delete(key)
  local s = state_of(self, "delete")
  check_open(s, "delete", true)
  local there = Store.head(self, key) ~= nil
  local reply = ask(s, { method = "DELETE", path = s.driver.path(check_key(s, key)) })
  if reply.status ~= 404 and (reply.status < 200 or reply.status > 299) then refuse(s, "delete", key, reply) end
  return there
end

function Store:close()
  local s = state_of(self, "close")
  s.closed = true
  s.client:close()
end

--- What was seen of the service: {requests=, repeated=, address=, certificate=, ends= (of the credentials), and
--- the longest of each of http.timings}.
function Store:seen()
  local out = {}
  local s = state_of(self, "seen")
  for k, v in pairs(s.seen_) do out[k] = v end
  out.ends = s.about and s.about.ends
  return out
end

local function opened(connect, spec, auth, place)
  return handle(Store, ("store (%s)"):format(spec.kind), { client = connect(place.url, auth or spec.sign), signed = auth ~= false,
    driver = DRIVERS[spec.kind], prefix = place.prefix, readonly = spec.readonly, timeout_s = spec.timeout_s or TIMEOUT_S,
    about = DRIVERS[spec.kind].about(auth or spec.sign), seen_ = { requests = 0, repeated = 0 } })
end

--- Opens a store, and what the check of one needs beside it: the same place with credentials that must be refused, and another tenant's
--- place with the right ones.
---@param spec table  kind, sign (http.auth), place and elsewhere ({url=, prefix=, tenant=}), readonly
---@param connect fun(url: string, auth: http.auth|false): http.client  of one endpoint "store"; auth false: the request sends none
function M.open(spec, connect)
  local store = opened(connect, spec, nil, spec.place)
  local methods = setmetatable({}, { __index = Store, __metatable = false })
  function methods.forged()
    local out = {}
    for _, case in ipairs(DRIVERS[spec.kind].forgeries(spec.sign)) do
      out[#out + 1] = { what = case[1], store = opened(connect, spec, case[2], spec.place) }
    end
    return out
  end
  function methods.elsewhere()
    local other = spec.elsewhere
    if spec.other_tenant and not other then
      raise.raise { code = "config_other_tenant", message = ("artifacts.other_tenant is %s, the tenant itself"):format(spec.other_tenant),
        fix = "name another tenant, whose place must stay closed" }
    end
    return other and { tenant = other.tenant, store = opened(connect, spec, nil, other) } or nil
  end
  return handle(methods, tostring(store), STATE[store])
end

return M
