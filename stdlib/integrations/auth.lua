--- Authentication by API key: the right key is accepted, and every other one is refused. Without the refusals an acceptance means nothing.
local auth_http = require "integrations.auth_http"
local forgeries = require "integrations.key_forgeries"
local hash = require "hash"
local names = require "rls.names"

local auth = {}

local AUTHENTICATE = "select tenant_code, tenant_id::text as tenant_id from platform.authenticate($1)"

local function refused(conn, key)
  return #conn:query(AUTHENTICATE, key) == 0
end

local function check_accepted(ctx, conn, key, where)
  local row = conn:row(AUTHENTICATE, key)
  if not row then
    ctx:fail("auth_failed", { object = where, detail = "the platform does not accept the key",
      reproduce = "gate-engine platform psql -c \"select * from platform.authenticate('<the key>')\"" })
    return false
  end
  if row.tenant_code ~= ctx.tenant.code then
    ctx:fail("auth_failed", { object = where,
      detail = ("the key belongs to the tenant %s, not to %s"):format(row.tenant_code, ctx.tenant.code) })
    return false
  end
  return true
end

local function check_refusals(ctx, conn, key, where)
  for _, case in ipairs(forgeries(key, "sha256:" .. hash.sha256(key))) do
    if not refused(conn, case[2]) then
      ctx:fail("auth_accepts_wrong", { object = where, detail = case[1] .. " was accepted" })
    end
  end
end

--- A key that the configuration gives: as the application would be shown it.
local function configured_key(ctx)
  local conn = ctx.db.app
  if check_accepted(ctx, conn, ctx.auth.api_key, "auth.api_key") then
    check_refusals(ctx, conn, ctx.auth.api_key, "auth.api_key")
  end
end

--- No key is given: one is issued, shown to the platform as the application, revoked and shown again, in a transaction that is rolled back.
local function issued_key(ctx)
  local conn = ctx.db:open("admin")
  local role = ctx.db.app:value("select current_user::text")
  conn:transaction(function()
    local function as_application(fn)
      conn:exec("set local session authorization " .. names.ident(role))
      fn()
      conn:exec("set local session authorization default")
    end
    local key = conn:value("select platform.issue_api_key($1)", ctx.tenant.code)
    local where = "the key issued for " .. ctx.tenant.code
    as_application(function()
      if check_accepted(ctx, conn, key, where) then check_refusals(ctx, conn, key, where) end
    end)
    conn:value("select platform.revoke_api_key($1)", ctx.tenant.code)
    as_application(function()
      if not refused(conn, key) then ctx:fail("auth_accepts_wrong", { object = where, detail = "a revoked key was accepted" }) end
    end)
  end, { rollback = true })
  conn:close()
end

--- The check "auth".
---@param ctx gate.Context
function auth.check(ctx)
  if ctx.platform.kind ~= "embedded" then return auth_http.check(ctx) end
  if ctx.auth.api_key then configured_key(ctx) else issued_key(ctx) end
end

return auth
