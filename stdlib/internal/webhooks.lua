--- Webhooks of the configuration, signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com, "v1": HMAC-SHA-256 over
--- "id.timestamp.body"): a receiver verifies them with a library of its language.
---
--- A secret of its own for each receiver, and not the key that signs evidence: that one never enters a script's process, and who can
--- verify a webhook by its secret could, with it, make a webhook and nothing else.
local arguments = require "internal.arguments"
local errors = require "internal.raise"

local webhooks = {}

local PREFIX = "whsec_"

--- The key that a secret stands for: base64 behind the specification's prefix, else its bytes.
local function key_of(hash, hook)
  if hook.secret:sub(1, #PREFIX) ~= PREFIX then return hook.secret end
  local ok, key = pcall(hash.unbase64, hook.secret:sub(#PREFIX + 1))
  if ok then return key end
  errors.raise { code = "config_value", message = ("the secret of the webhook to %s is no base64 after %s"):format(hook.endpoint, PREFIX),
    fix = "take it from the receiver as it gives it" }
end

--- What it is told by: an endpoint may have several.
local function name_of(hook) return hook.endpoint .. (hook.path or "") end

local function wants(hook, message)
  if message.skip and message.skip[name_of(hook)] then return false end
  if not hook.events then return true end
  for _, name in ipairs(hook.events) do
    if name == message.event then return true end
  end
  return false
end

--- Calls one receiver. A refusal is a result; it may be called again: the id is the same.
local function call(hash, hook, client, message)
  local at = tostring(os.time())
  local key = key_of(hash, hook)
  local signature = "v1," .. hash.base64(hash.hmac_sha256_raw(key, ("%s.%s.%s"):format(message.id, at, message.body)))
  local ok, answer = pcall(client.request, client, { endpoint = hook.endpoint, method = "POST", path = hook.path, body = message.body,
    timeout = 15, redirects = 0, headers = { ["Content-Type"] = "application/json", ["webhook-id"] = message.id,
      ["webhook-timestamp"] = at, ["webhook-signature"] = signature } })
  if not ok then
    return { endpoint = name_of(hook), delivered = false, detail = errors.is(answer) and answer.message or tostring(answer) }
  end
  return { endpoint = name_of(hook), delivered = answer.status >= 200 and answer.status < 300,
    detail = ("it answers %d"):format(answer.status) }
end

--- Gives ctx its webhooks.
---@param ctx table
---@param job table
---@param client_of fun(name: string): table  an HTTP client of a declared endpoint
function webhooks.add(ctx, job, client_of)
  if not job.webhooks then return end
  local hash = require "engine.hash"
  ctx.webhooks = {}
  function ctx.webhooks.names(self, message)
    arguments.with_colon(self, "ctx.webhooks:names")
    local names = {}
    for _, hook in ipairs(job.webhooks) do
      if wants(hook, message) then names[#names + 1] = name_of(hook) end
    end
    return names
  end
  function ctx.webhooks.send(self, message)
    arguments.with_colon(self, "ctx.webhooks:send")
    if job.mode == "recover" then
      errors.raise { code = "recover_changes", message = "ctx.webhooks:send: a recovery changes nothing by itself",
        fix = "say whom to call: ctx:apply(title, { note = … })" }
    end
    if job.dry_run then
      errors.raise { code = "dry_run", message = "ctx.webhooks:send: a dry run calls nobody", fix = "call inside ctx:step" }
    end
    for _, name in ipairs { "event", "id", "body" } do
      arguments.text("ctx.webhooks:send", name, type(message) == "table" and message[name] or nil,
        'write ctx.webhooks:send{ event = "…", id = "…", body = "…" }')
    end
    local results = {}
    for _, hook in ipairs(job.webhooks) do
      if wants(hook, message) then
        results[#results + 1] = call(hash, hook, client_of(hook.endpoint), message)
      end
    end
    return results
  end
end

return webhooks
