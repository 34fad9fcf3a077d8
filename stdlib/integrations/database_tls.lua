--- TLS of a database's connection: what it has, what the server shows of itself, and why it failed.
local errors = require "errors"

local M = {}

--- Is it TLS that failed? libpq says so in its own words alone, in English and translated with the names of what failed.
---@param raised any
---@return boolean
function M.is_tls(raised)
  if not errors.is(raised, "db_connect") then return false end
  local words = raised.message .. " " .. tostring(raised.detail)
  return (words:find("SSL", 1, true) or words:find("certificate", 1, true)) ~= nil
end

--- What the server shows though it does not hold, looked at without a login. nil: it shows nothing.
---@param ctx gate.Context
---@param role string
---@return http.certificate?
function M.shown(ctx, role)
  local ok, certificate = pcall(function()
    local looked <close> = ctx.db:open(role, { only_tls = true })
    return looked:tls().certificate
  end)
  return ok and certificate or nil
end

--- Why TLS failed, in a few words.
---@param raised table                    for which is_tls holds
---@param certificate http.certificate?   that the server shows
---@return string
function M.says(raised, certificate)
  local words = raised.message .. " " .. tostring(raised.detail)
  if words:find("does not support SSL", 1, true) then return "TLS failed: the server offers none" end
  if words:find("does not match host name", 1, true) then return "TLS failed: certificate for another name" end
  if words:find("root certificate file", 1, true) then return "TLS failed: no authority to verify with" end
  if words:find("certificate verify failed", 1, true) then
    if certificate and certificate.days_left < 0 then return "TLS failed: certificate expired" end
    if certificate and certificate.not_before > os.date "!%Y-%m-%dT%H:%M:%SZ" then return "TLS failed: certificate not valid yet" end
    return "TLS failed: certificate not trusted"
  end
  return "TLS failed: no handshake"
end

return M
