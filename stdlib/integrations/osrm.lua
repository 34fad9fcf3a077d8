--- OSRM, where the routing pack is used: it answers, and what it answers can be a road.
local errors = require "errors"
local json = require "json"

local osrm = {}

--- Two points of the golden routing dataset (lng,lat as OSRM wants them: OSRM HTTP API, "General options").
local FROM, TO = "16.3738,48.2082", "16.4000,48.2200"

local SAYS = {
  http_timeout = "timeout", http_connect = "connection refused", http_tls = "TLS failed",
  http_resolve = "name not resolved", resolve_failed = "name not resolved", http_redirect = "redirected elsewhere",
  http_too_large = "the answer is too large", http_protocol = "the answer is not HTTP",
}

local function fail(ctx, text, detail)
  ctx:fail("osrm_failed", { object = "osrm", args = { text }, detail = detail,
    reproduce = ("curl '$OSRM_URL/route/v1/driving/%s;%s?overview=false'"):format(FROM, TO) })
end

local function ask(ctx)
  return ctx.http:request { endpoint = "osrm", path = ("/route/v1/driving/%s;%s"):format(FROM, TO),
    query = { overview = "false" }, timeout = 10 }
end

--- The check "osrm".
---@param ctx gate.Context
function osrm.check(ctx)
  if not (ctx.config.packs and ctx.config.packs.routing) then
    ctx:skip("no routing pack configured", "packs.routing")
  end
  if not ctx.http then
    errors.raise { code = "config_missing_key", message = "packs.routing is configured, and no key endpoints.osrm: OSRM was not asked",
      fix = "add endpoints = { osrm = { url = … } } to gate-engine.conf.lua, or take packs.routing away" }
  end
  local ok, reply = pcall(ask, ctx)
  if not ok then
    if not (errors.is(reply) and SAYS[reply.code]) then error(reply, 0) end
    return fail(ctx, SAYS[reply.code], reply.message)
  end
  if reply.status ~= 200 then return fail(ctx, ("HTTP status %d"):format(reply.status)) end
  local readable, answer = pcall(json.decode, reply.body)
  if not readable or type(answer) ~= "table" or answer.code ~= "Ok" then
    return fail(ctx, "the answer cannot be read",
      readable and ("code %s"):format(tostring(type(answer) == "table" and answer.code)) or "not JSON")
  end
  local route = type(answer.routes) == "table" and answer.routes[1]
  -- 2.3 km as the crow flies: a road is longer, and not ten times as long.
  if type(route) ~= "table" or type(route.distance) ~= "number" or route.distance < 2000 or route.distance > 25000
    or type(route.duration) ~= "number" or route.duration <= 0 then
    return fail(ctx, "the route is not plausible", type(route) == "table"
      and ("distance %s m, duration %s s"):format(tostring(route.distance), tostring(route.duration)) or "no route")
  end
end

return osrm
