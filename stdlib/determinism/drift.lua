--- How far a live OSRM is from the locked matrix. A plan is made with the matrix alone, so that what differs is no failure of the proof: it
--- says that the matrix grows old, and what a plan made with the live service would have wandered by.
-- Needs the endpoint "osrm".

local client = require "osrm"
local errors = require "errors"

local M = {}

--- Ways that are looked at, taken evenly over the file.
M.WAYS = 40
--- The share by which one in twenty ways may differ before it is told.
M.SHARE = 0.10

local function shown(p) return ("%.7g,%.7g"):format(p.lat, p.lng) end

local function percent(share) return math.floor(share * 1000 + 0.5) / 10 end

--- Each way's difference, as a share of the locked one.
---@param osrm osrm.Client
---@param ways table[]  of Matrix:sample()
---@return number[] shares
---@return table|nil worst  {way, seconds}
---@return table[] gone     ways that the live service has not
local function differences(osrm, ways)
  local shares, worst, most, gone = {}, nil, -1, {}
  for _, way in ipairs(ways) do
    local ok, live = pcall(osrm.route, osrm, way.from, way.to)
    if ok then
      local share = math.abs(live.duration - way.duration_seconds) / math.max(way.duration_seconds, 1)
      shares[#shares + 1] = share
      if share > most then most, worst = share, { way = way, seconds = live.duration } end
    elseif errors.is(live, "osrm_refused") and (live.reason == "NoRoute" or live.reason == "NoSegment") then
      gone[#gone + 1] = way
    else
      error(live, 0)
    end
  end
  return shares, worst, gone
end

--- Inside a check: samples the matrix against the endpoint "osrm", states the differences as facts, and tells what is too far.
---@param ctx table
---@param locked routing.Matrix
---Errors: those of osrm.lua and of ctx.http; a service that was not reached is no agreement.
function M.check(ctx, locked)
  local osrm = client.client(ctx.http, "osrm")
  local ways = locked:sample(M.WAYS)
  local shares, worst, gone = differences(osrm, ways)
  ctx:fact("osrm_drift_ways", #ways)
  for _, way in ipairs(gone) do
    ctx:advise("osrm_drift", { object = locked.version,
      detail = ("the live service has no way from %s to %s, which the matrix has"):format(shown(way.from), shown(way.to)) })
  end
  if #shares == 0 then return end
  local p50, p95, most = client.percentile(shares, 0.5), client.percentile(shares, 0.95), client.percentile(shares, 1)
  ctx:fact("osrm_drift_percent", { p50 = percent(p50), p95 = percent(p95), max = percent(most) })
  if p95 > M.SHARE then
    ctx:advise("osrm_drift", { object = locked.version,
      detail = ("%d ways of the live service differ from the locked ones by p50 %.1f %%, p95 %.1f %%, max %.1f %%: from %s to %s it takes "
        .. "%.0f s there, and %.0f s in the matrix"):format(#shares, percent(p50), percent(p95), percent(most), shown(worst.way.from),
          shown(worst.way.to), worst.seconds, worst.way.duration_seconds),
      fix = "Use StaticMatrix instead: plans do, and are not touched; record a new one (gate-engine recover … --strict --artifacts DIR) "
        .. "when roads have changed" })
  end
end

return M
