--- The mail server, where the configuration has one: as far as a message would go, through TLS and login, and none is sent.
local errors = require "errors"
local probe = require "integrations.probe"

local mail = {}

local SAYS = { mail_connect = "connection refused", mail_timeout = "timeout", mail_tls = "TLS failed", mail_auth = "login refused",
  mail_deferred = "it takes no mail now", mail_refused = "it takes no mail", mail_broken = "connection lost",
  resolve_failed = "name not resolved" }

--- The check "mail".
---@param ctx gate.Context  with mail
function mail.check(ctx)
  local ok, seen = pcall(ctx.mail.probe, ctx.mail)
  if ok then return probe.connection(ctx, "mail", seen) end
  local text = errors.is(seen) and SAYS[seen.code]
  if not text then error(seen, 0) end
  ctx:fail("mail_failed", { object = "mail", args = { text }, detail = probe.words(seen), fix = seen.fix })
end

return mail
