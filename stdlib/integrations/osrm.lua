--- OSRM, where the routing pack is used: it answers in time, and what it answers can be roads between the pack's points.
local errors = require "errors"
local matrix = require "packs.routing.matrix"
local probe = require "integrations.probe"
local client = require "osrm"

local osrm = {}

--- Where no matrix says what the pack's points are: four of the golden routing dataset.
local VIENNA = { { lat = 48.2082, lng = 16.3738 }, { lat = 48.22, lng = 16.4 }, { lat = 48.2113, lng = 16.3842 },
  { lat = 48.1985, lng = 16.3379 } }
local POINTS_MAX, LATENCIES = 8, 20

-- What no road network does: a road shorter than the straight line (points are moved onto roads first), faster or slower than cars are,
-- a way back of another kind, a detour that is quicker than the way itself.
local FAR_FROM_ROADS_M, SLOWEST, FASTEST = 1000, 1 / 3.6, 150 / 3.6
local ASYMMETRY, ASYMMETRY_S, DETOUR, DETOUR_S, AGREE, AGREE_S = 3, 600, 1.01, 10, 1.02, 5
-- The median way of the live service may differ from the matrix's by so much: what is beyond is another map or another profile.
local MATRIX_SHARE = 0.5


local function implausible(text, format, ...)
  errors.raise { code = "osrm_implausible", message = text, detail = format:format(...) }
end

--- The points of the locked matrix, a few of them evenly taken, and the matrix.
local function points_of(ctx, routing)
  if not routing.matrix then return VIENNA, nil end
  local list = ctx.store.matrix:list("")
  local key = type(list[1]) == "table" and list[1].key or list[1]
  local locked = matrix.parse((ctx.store.matrix:get(key)), { sha256 = routing.matrix_sha256 })
  local all, points = locked:points(), {}
  local n = math.min(#all, POINTS_MAX)
  for i = 1, n do points[i] = all[(i - 1) * #all // n + 1] end
  return points, locked
end

local function shown(p) return ("%.7g,%.7g"):format(p.lat, p.lng) end

local function check_pair(points, seen, snapped, i, j)
  local a, b = shown(points[i]), shown(points[j])
  local duration, distance = seen.durations[i][j], seen.distances[i][j]
  if not duration or not distance then implausible("there is no way between two points", "from %s to %s", a, b) end
  local line = matrix.haversine(points[i].lat, points[i].lng, points[j].lat, points[j].lng)
  if distance < (line - snapped[i] - snapped[j]) * 0.99 then
    implausible("the route is not plausible", "from %s to %s: %.0f m, and %.0f m as the crow flies", a, b, distance, line)
  end
  local speed = duration > 0 and distance / duration or math.huge
  if distance > 100 and (speed < SLOWEST or speed > FASTEST) then
    implausible("the route is not plausible", "from %s to %s: distance %.0f m, duration %.0f s", a, b, distance, duration)
  end
  local back = seen.durations[j][i]
  if back and duration > ASYMMETRY * back + ASYMMETRY_S then
    implausible("the route is not plausible", "from %s to %s it takes %.0f s, and back %.0f s", a, b, duration, back)
  end
end

--- Nearest, and the table of all ways; each held to what roads are like.
local function look_at_table(osrm_client, points)
  local snapped = {}
  for i, p in ipairs(points) do
    snapped[i] = osrm_client:nearest(p)
    if snapped[i] > FAR_FROM_ROADS_M then
      implausible("the map is of another region", "the nearest road to %s is %.0f m away", shown(p), snapped[i])
    end
  end
  local seen, n = osrm_client:table(points), #points
  for i = 1, n do
    if seen.durations[i][i] ~= 0 then implausible("the route is not plausible", "from %s to itself", shown(points[i])) end
    for j = 1, n do
      if i ~= j then check_pair(points, seen, snapped, i, j) end
    end
  end
  for i = 1, n do
    for j = 1, n do
      for k = 1, n do
        local way, detour = seen.durations[i][k], seen.durations[i][j] + seen.durations[j][k]
        if way > DETOUR * detour + DETOUR_S then
          implausible("the route is not plausible", "from %s to %s it takes %.0f s, and by way of %s %.0f s", shown(points[i]),
            shown(points[k]), way, shown(points[j]), detour)
        end
      end
    end
  end
  return seen
end

--- Route by route: the same ways as the table has, and how long an answer takes.
local function look_at_routes(ctx, osrm_client, points, seen)
  osrm_client.latencies = {}
  for round = 1, LATENCIES do
    local i = (round - 1) % #points + 1
    local j = (i + round // #points) % #points + 1
    local route = osrm_client:route(points[i], points[j])
    local of_table = seen.durations[i][j]
    if i ~= j and (route.duration > AGREE * of_table + AGREE_S or of_table > AGREE * route.duration + AGREE_S) then
      implausible("route and table disagree", "from %s to %s: %.0f s by route, %.0f s by table", shown(points[i]), shown(points[j]),
        route.duration, of_table)
    end
  end
  for name, share in pairs { p50 = 0.5, p95 = 0.95, max = 1 } do
    ctx:fact("osrm_latency_ms_" .. name, math.floor(client.percentile(osrm_client.latencies, share) * 10 + 0.5) / 10)
  end
end

--- How far the live ways are from the locked ones, as shares of these.
local function look_at_matrix(ctx, locked, points, seen)
  local shares, worst, most = {}, nil, -1
  for i, from in ipairs(points) do
    for j, to in ipairs(points) do
      local ok, way = pcall(locked.travel, locked, from, to)
      if i ~= j and ok and way.source == "matrix" and way.duration_seconds > 0 then
        local share = math.abs(seen.durations[i][j] - way.duration_seconds) / way.duration_seconds
        shares[#shares + 1] = share
        if share > most then most, worst = share, ("from %s to %s"):format(shown(from), shown(to)) end
      end
    end
  end
  if #shares == 0 then return end
  for name, share in pairs { p50 = 0.5, p95 = 0.95, max = 1 } do
    ctx:fact("osrm_off_matrix_percent_" .. name, math.floor(client.percentile(shares, share) * 1000 + 0.5) / 10)
  end
  if client.percentile(shares, 0.5) > MATRIX_SHARE then
    implausible("far from the locked matrix", "half of %d ways differ by more than %.0f %%, most %.0f %% (%s)", #shares,
      MATRIX_SHARE * 100, most * 100, worst)
  end
end

--- The check "osrm".
---@param ctx gate.Context
function osrm.check(ctx)
  local routing = ctx.config.packs and ctx.config.packs.routing
  if not routing then ctx:skip("no routing pack configured", "packs.routing") end
  if not ctx.http then
    errors.raise { code = "config_missing_key", message = "packs.routing is configured, and no key endpoints.osrm: OSRM was not asked",
      fix = "add endpoints = { osrm = { url = … } } to gate-engine.conf.lua, or take packs.routing away" }
  end
  local osrm_client = client.client(probe.watched(ctx), "osrm", { retries = probe.RETRIES })
  local points = VIENNA
  local ok, raised = pcall(function()
    -- Does it answer at all? Where this point is not on its map, that is an answer too.
    local answered, why = pcall(osrm_client.nearest, osrm_client, VIENNA[1])
    if not answered and not (errors.is(why, "osrm_refused") and why.reason == "NoSegment") then error(why, 0) end
    local locked
    points, locked = points_of(ctx, routing)
    local seen = look_at_table(osrm_client, points)
    look_at_routes(ctx, osrm_client, points, seen)
    if locked then look_at_matrix(ctx, locked, points, seen) end
    ctx:fact("osrm_points", #points)
  end)
  probe.tell(ctx, { "osrm" })
  if ok then return end
  local out_of_reach = probe.says(raised)
  local text = errors.is(raised) and (out_of_reach or raised.code:find "^osrm_" and raised.message)
  if not text then error(raised, 0) end
  ctx:fail("osrm_failed", { object = "osrm", args = { text }, detail = out_of_reach and probe.words(raised) or raised.detail,
    reproduce = ("curl \"$OSRM_URL%s?overview=false\""):format(osrm_client:path("route", { points[1], points[2] })) })
end

return osrm
