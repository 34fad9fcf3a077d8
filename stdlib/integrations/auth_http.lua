--- Authentication against a platform's own API: what proves who calls is answered, and everything like it is refused.
local auth_entra = require "integrations.auth_entra"
local errors = require "errors"
local forgeries = require "integrations.key_forgeries"
local probe = require "integrations.probe"

local M = {}

local KEY = "auth.api_key"

local function curl(ctx, path, header)
  local shown = header and ("-H '%s: '\"$%s\" "):format(ctx.config.api_key_header, ctx.config.api_key_variable) or ""
  return ("curl -si %s\"$PLATFORM_URL%s\""):format(shown, path)
end

local function ask(ctx, path, options)
  options.endpoint, options.path = "platform", path
  return probe.request(ctx, options, "endpoints.platform", curl(ctx, path, true))
end

--- One key that must open nothing. nil: the platform went away.
local function must_refuse(ctx, path, who, headers)
  local reply = ask(ctx, path, { auth = false, headers = headers })
  if reply then probe.must_be_refusal(ctx, reply.status, who, curl(ctx, path, false)) end
  return reply
end

local function check_key(ctx, path)
  local key = ctx.auth.api_key or probe.missing(KEY, 'add auth = { api_key = { value = env "PLATFORM_API_KEY" } }')
  local reply = ask(ctx, path, {})
  if not reply or not probe.must_be_accepted(ctx, reply, "the configured key", KEY, curl(ctx, path, true)) then return end
  if not must_refuse(ctx, path, "who shows no key") then return end
  local refused = 1
  for _, case in ipairs(forgeries(key)) do
    if not must_refuse(ctx, path, case[1], { [ctx.config.api_key_header] = case[2] }) then return end
    refused = refused + 1
  end
  ctx:fact("auth_refusals_tried", refused)
end

--- The check "auth" on a platform with an API.
---@param ctx gate.Context
function M.check(ctx)
  local platform = ctx.config.logins.platform or probe.missing("endpoints.platform",
    'add endpoints = { platform = { url = …, auth = "api_key", probe = "/a/path/behind/the/login" } }')
  local check = platform.auth == "api_key" and check_key or platform.auth == "entra" and auth_entra.check
  if not check then
    errors.raise { code = "auth_not_probed",
      message = 'authentication was not tried: endpoints.platform.auth is neither "api_key" nor "entra"',
      fix = "set endpoints.platform.auth, and what it names in auth" }
  end
  if not platform.probe then
    probe.missing("endpoints.platform.probe", "name a path of the platform that answers nobody who is not logged in")
  end
  check(ctx, platform.probe)
end

return M
