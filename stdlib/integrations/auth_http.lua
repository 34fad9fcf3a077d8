--- Authentication by API key against a platform's own API: the configured key is answered, and every other one is refused.
local errors = require "errors"
local hash = require "hash"

local M = {}

local KEY = "auth.api_key"

local function missing(key, fix)
  errors.raise { code = "config_missing_key", fix = fix,
    message = ("authentication was not tried: the configuration has no %s"):format(key) }
end

--- The path that is asked for, which only who is logged in may see.
local function probed_path(ctx)
  local platform = ctx.config.logins.platform
  if not platform then
    missing("endpoints.platform", 'add endpoints = { platform = { url = …, auth = "api_key", probe = "/a/path/behind/the/login" } }')
  end
  if platform.auth ~= "api_key" then
    errors.raise { code = "auth_not_probed", message = "authentication was not tried: endpoints.platform.auth is not \"api_key\"",
      fix = "this version tries API keys: set endpoints.platform.auth and auth.api_key" }
  end
  if not platform.probe then
    missing("endpoints.platform.probe", "name a path of the platform that answers nobody who is not logged in")
  end
  return platform.probe
end

local SAYS = { http_timeout = "timeout", http_connect = "connection refused", http_tls = "TLS failed", http_resolve = "name not resolved",
  resolve_failed = "name not resolved", http_protocol = "the answer is not HTTP", http_too_large = "the answer is too large" }

local function curl(ctx, path, header)
  local shown = header and ("-H '%s: '\"$PLATFORM_API_KEY\" "):format(ctx.config.api_key_header) or ""
  return ("curl -si %s\"$PLATFORM_URL%s\""):format(shown, path)
end

--- Asks once. A redirect is an answer: what it points to is a login.
local function ask(ctx, path, options)
  options.endpoint, options.path, options.redirects, options.timeout = "platform", path, 0, 10
  local ok, reply = pcall(ctx.http.request, ctx.http, options)
  if ok then return reply.status end
  if not (errors.is(reply) and SAYS[reply.code]) then error(reply, 0) end
  ctx:fail("auth_unreachable", { object = "endpoints.platform", args = { SAYS[reply.code] }, detail = reply.message,
    reproduce = curl(ctx, path, true) })
  return nil
end

local function undecided(status, who)
  errors.raise { code = "auth_undecided", message = ("the platform neither accepted nor refused %s: HTTP status %d"):format(who, status),
    fix = status == 429 and "it limits how often it is asked: let the address of this machine ask more often"
      or "expected 2xx, or 401, 403 or a redirect to a login: see endpoints.platform.probe, and the platform's log" }
end

local function is_refusal(status) return status == 401 or status == 403 or status >= 300 and status < 400 end

--- One credential that must open nothing. nil: the platform went away.
local function must_refuse(ctx, path, who, options)
  local status = ask(ctx, path, options)
  if not status then return nil end
  if status >= 200 and status < 300 then
    ctx:fail("auth_accepts_wrong", { object = "endpoints.platform", detail = ("%s was answered, HTTP status %d"):format(who, status),
      reproduce = curl(ctx, path, false) })
  elseif not is_refusal(status) then
    undecided(status, who)
  end
  return true
end

--- Keys that must not open anything, each for a reason of its own.
local function forgeries(key)
  local last = key:sub(-1) == "0" and "1" or "0"
  return {
    { "another random key", hash.hex(hash.random(math.max(8, #key // 2))) },
    { "the key with its last character changed", key:sub(1, -2) .. last },
    { "the key without its last character", key:sub(1, -2) }, { "the key and one character more", key .. "0" },
    { "the key in upper case", key:upper() }, { "the key in lower case", key:lower() }, { "a pattern", "%" },
    { "the SHA-256 of the key, which a store may hold", hash.sha256(key) },
  }
end

--- The check "auth" on a platform with an API.
---@param ctx gate.Context
function M.check(ctx)
  local path = probed_path(ctx)
  local key = ctx.auth.api_key or missing(KEY, 'add auth = { api_key = { value = env "PLATFORM_API_KEY" } }')
  local status = ask(ctx, path, {})
  if not status then return end
  if is_refusal(status) then
    return ctx:fail("auth_failed", { object = KEY, detail = ("the platform refuses the key, HTTP status %d"):format(status),
      reproduce = curl(ctx, path, true) })
  end
  if status < 200 or status >= 300 then undecided(status, "the configured key") end
  if not must_refuse(ctx, path, "who shows no key", { auth = false }) then return end
  local refused = 1
  for _, case in ipairs(forgeries(key)) do
    if case[2] ~= key then
      if not must_refuse(ctx, path, case[1], { auth = false, headers = { [ctx.config.api_key_header] = case[2] } }) then return end
      refused = refused + 1
    end
  end
  ctx:fact("auth_refusals_tried", refused)
end

return M
