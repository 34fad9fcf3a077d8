--- The layers that a service stands on, each looked at in its turn: its name, its port, TLS, the protocol, who is let in. The first that
--- does not hold explains what is above it.
local database_tls = require "integrations.database_tls"
local errors = require "errors"
local probe = require "integrations.probe"

local M = {}

---@class integrations.Layer
---@field name string
---@field holds boolean?
---@field broken boolean?
---@field detail string?

--- The layers up to the one that is broken, which holds none above it.
---@param names string[]
---@param broken string?
---@param detail string?                  of the broken one
---@param told table<string, string>?     of those that hold
local function up_to(names, broken, detail, told)
  local out, found = {}, false
  for i, name in ipairs(names) do
    local is_broken = name == broken
    out[i] = { name = name, broken = is_broken or nil, holds = not found and not is_broken or nil,
      detail = is_broken and detail or nil }
    if out[i].holds and told then out[i].detail = told[name] end
    found = found or is_broken
  end
  return out
end

local function text_of(raised)
  if not errors.is(raised) then return tostring(raised) end
  local more = raised.detail and ("%s (%s)"):format(raised.message, raised.detail) or raised.message
  local says = probe.store_says(raised)
  return says and says .. ": " .. more or more
end

--- Which of name, port, TLS and HTTP an HTTP client's error is of; nil: of none.
local function http_layer(raised)
  local code, detail = raised.code, raised.detail or ""
  if code == "http_resolve" or code == "resolve_failed" then return "name" end
  if code == "http_connect" or code == "http_proxy" then return "port" end
  if code == "http_tls" then return "TLS" end
  if code == "http_timeout" then
    local connecting = detail:find("onnection timed out", 1, true) or detail:find("onnection timeout", 1, true)
    return detail:find("SSL", 1, true) and "TLS" or connecting and "port" or "HTTP"
  end
  return code:find "^http_" and "HTTP" or nil
end

--- What TLS showed, where it was looked at.
local function of_tls(certificate)
  return certificate and { TLS = probe.certificate_says(certificate) } or nil
end

local function http_names(url)
  return url:find "^https:" and { "name", "port", "TLS", "HTTP", "auth" } or { "name", "port", "HTTP", "auth" }
end

local function look_at_http(ctx, endpoint, path, url)
  local names = http_names(url)
  local ok, reply = pcall(ctx.http.request, ctx.http, { endpoint = endpoint, path = path, redirects = 0, timeout = 10 })
  if not ok then
    if not errors.is(reply) then error(reply, 0) end
    return up_to(names, http_layer(reply) or "HTTP", text_of(reply))
  end
  local status, told = ("HTTP status %d"):format(reply.status), of_tls(reply.certificate)
  if reply.status >= 500 or reply.status == 429 then return up_to(names, "HTTP", status, told) end
  if probe.is_refusal(reply.status) then return up_to(names, "auth", status, told) end
  return up_to(names, nil, nil, told)
end

local function look_at_store(ctx, url)
  local names = url and http_names(url) or { "directory", "list" }
  if url then names[#names + 1] = "bucket" end
  local ok, raised = pcall(function() ctx.store.artifacts:list(("gate-engine/%s/"):format(ctx.tenant.code)) end)
  local opened, seen = pcall(function() return ctx.store.artifacts:seen() end)
  local told = opened and seen and of_tls(seen.certificate) or nil
  if ok then return up_to(names, nil, nil, told) end
  if not errors.is(raised) then error(raised, 0) end
  if not url then
    local missing = raised.code == "store_missing" or raised.code == "dir_create"
    return up_to(names, missing and "directory" or "list", text_of(raised))
  end
  local layer = http_layer(raised)
  if not layer then
    local of = { store_signature = "auth", store_denied = "auth", store_expired = "auth", store_early = "auth", store_clock = "auth",
      store_bucket = "bucket",
      store_region = "bucket", store_missing = "bucket" }
    layer = of[raised.code] or "HTTP"
  end
  return up_to(names, layer, text_of(raised), told)
end

--- TLS is named where it is used, or is what failed: a connection may do without it.
local function look_at_database(ctx, role)
  local names = { "name", "port", "login", "query" }
  local ok, conn = pcall(ctx.db.open, ctx.db, role)
  if not ok then
    if not errors.is(conn) then error(conn, 0) end
    local text = text_of(conn)
    local layer = conn.code == "resolve_failed" and "name" or conn.code == "db_auth" and "login"
      or database_tls.is_tls(conn) and "TLS" or conn.sqlstate and "login" or "port"
    if layer == "TLS" then
      local certificate = database_tls.shown(ctx, role)
      table.insert(names, 3, "TLS")
      if certificate then text = text .. "; it shows " .. probe.certificate_says(certificate) end
    end
    return up_to(names, layer, text)
  end
  local tls = conn:tls()
  if tls.used then table.insert(names, 3, "TLS") end
  local answered, raised = pcall(conn.value, conn, "select 1")
  pcall(conn.close, conn)
  return up_to(names, not answered and "query" or nil, not answered and text_of(raised) or nil, of_tls(tls.certificate))
end

local function look_at_mail(ctx)
  local names = { "name", "port", "TLS", "login", "SMTP" }
  local ok, raised = pcall(ctx.mail.probe, ctx.mail)
  if ok then return up_to(names, nil, nil, of_tls(raised.certificate)) end
  if not errors.is(raised) then error(raised, 0) end
  local of = { resolve_failed = "name", mail_connect = "port", mail_timeout = "port", mail_tls = "TLS", mail_auth = "login" }
  return up_to(names, of[raised.code] or "SMTP", text_of(raised))
end

--- The services that the configuration names, each with what looks at its layers.
---@param ctx gate.Context
---@return {name: string, kind: string, look: fun(): integrations.Layer[]}[]
function M.services(ctx)
  local known, out = ctx.config.services, {}
  for _, name in ipairs(ctx.config.endpoints) do
    local spec, login = known.endpoints[name], ctx.config.logins[name] or {}
    if spec then
      local path = login.probe or "/"
      out[#out + 1] = { name = ("%s (%s)"):format(name, spec.url), kind = "http", url = spec.url, path = path, variables = name,
        header = spec.auth == "api_key" and ctx.config.api_key_header or nil, key = ctx.config.api_key_variable,
        look = function() return look_at_http(ctx, name, path, spec.url) end }
      if spec.auth == "entra" then out[#out].variables = "auth.entra" end
    end
  end
  local entra = known.entra
  if entra and entra.url then
    local path = ("/%s/v2.0/.well-known/openid-configuration"):format(entra.tenant)
    out[#out + 1] = { name = ("Entra ID (%s)"):format(entra.url), kind = "http", url = entra.url, path = path, variables = "auth.entra",
      look = function() return look_at_http(ctx, "auth.entra", path, entra.url) end }
  end
  local store = known.store
  out[#out + 1] = { name = ("artifact store (%s)"):format(store.url or store.path or store.kind), kind = store.kind, store = store,
    variables = store.kind, look = function() return look_at_store(ctx, store.url) end }
  for _, role in ipairs { "app", "admin" } do
    local database = known.databases[role]
    out[#out + 1] = { name = ("database as %s"):format(role), kind = "database", database = database, variables = database and "database",
      look = function() return look_at_database(ctx, role) end }
  end
  if known.mail then
    out[#out + 1] = { name = ("mail server (%s)"):format(known.mail), kind = "mail", url = known.mail, variables = "mail",
      look = function() return look_at_mail(ctx) end }
  end
  return out
end

return M
