--- Records a StaticMatrix from a live OSRM: all ways between some points, block by block, checked before it is believed.
--
-- Each block is kept as soon as it is there, so that a recording which broke off goes on where it stopped; a block of other points is
-- recorded anew, and one of another service or another day shows when ways are asked for once more at the end. Needs the endpoint
-- "osrm" and a place to write to.

local client = require "osrm"
local errors = require "errors"
local hash = require "hash"
local json = require "json"
local matrix = require "packs.routing.matrix"

local M = {}

--- Points of a block's side: two sides are one table request.
M.BLOCK = client.TABLE_POINTS_MAX // 2
--- Most points of one recording: their ways are as many rows as a matrix may have.
M.POINTS_MAX = 1000
--- Ways that are asked for once more at the end.
M.AGAIN = 20
--- A point farther from the nearest road is none of this map's.
M.FAR_FROM_ROADS_M = 1000

local FIX = "see whether OSRM has the map and the profile of these points, then run the recovery again: it goes on where it stopped"

local function shown(p) return ("%.7g,%.7g"):format(p.lat, p.lng) end

local function fail(code, message)
  errors.raise { code = code, message = message, fix = FIX }
end

--- "141.3", "540": at most one digit, which is what OSRM gives.
local function amount(value)
  return (("%.1f"):format(value):gsub("%.0$", ""))
end

--- One block, from what was kept or from the service.
local function block_of(osrm, place, name, from, to)
  local key = hash.of { from = json.array(from), to = json.array(to), profile = osrm.profile }
  local kept = place.get(name)
  local ok, known = pcall(json.decode, kept or "")
  if ok and type(known) == "table" and known.key == key and type(known.rows) == "string" and known.sha256 == hash.sha256(known.rows) then
    return known.rows, true
  end
  local seen, rows = osrm:block(from, to), {}
  for i, a in ipairs(from) do
    for k, b in ipairs(to) do
      if a.lat ~= b.lat or a.lng ~= b.lng then
        local seconds, metres = seen.durations[i][k], seen.distances[i][k]
        if not seconds or not metres then fail("osrm_no_way", ("OSRM has no way from %s to %s"):format(shown(a), shown(b))) end
        rows[#rows + 1] = ("%.7g,%.7g,%.7g,%.7g,%s,%s\n"):format(a.lat, a.lng, b.lat, b.lng, amount(seconds), amount(metres))
      end
    end
  end
  local text = table.concat(rows)
  place.put(name, hash.canonical { key = key, rows = text, sha256 = hash.sha256(text) })
  return text, false
end

local function check_points(osrm, points)
  if #points < 2 or #points > M.POINTS_MAX then
    fail("osrm_points", ("a matrix is recorded between 2 and %d points, and these are %d"):format(M.POINTS_MAX, #points))
  end
  for _, p in ipairs(points) do
    local metres = osrm:nearest(p)
    if metres > M.FAR_FROM_ROADS_M then
      fail("osrm_far", ("the nearest road to %s is %.0f m away: the map is of another region"):format(shown(p), metres))
    end
  end
end

--- Are ways that are asked for once more still what was recorded?
local function check_again(osrm, made)
  for _, way in ipairs(made:sample(M.AGAIN)) do
    local again = osrm:block({ way.from }, { way.to })
    local seconds, metres = again.durations[1][1], again.distances[1][1]
    if not seconds or amount(seconds) ~= amount(way.duration_seconds) or amount(metres) ~= amount(way.distance_meters) then
      fail("osrm_drift_recording", ("the way from %s to %s was recorded with %s s, and takes %s s now: OSRM drift detected"):format(
        shown(way.from), shown(way.to), amount(way.duration_seconds), seconds and amount(seconds) or "no"))
    end
  end
end

--- Points without those that are there already, in their order.
---@param list {lat: number, lng: number}[]
---@return {lat: number, lng: number}[]
function M.distinct(list)
  local seen, out = {}, {}
  for _, p in ipairs(list) do
    local key = shown(p)
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = { lat = p.lat, lng = p.lng }
    end
  end
  return out
end

--- Records the ways between all points.
---@param http gate.Context.http
---@param points {lat: number, lng: number}[]  distinct
---@param place {get: (fun(name: string): string?), put: fun(name: string, bytes: string), delete: fun(name: string)}  where blocks are kept
---@param tell fun(done: integer, total: integer)  blocks, as they come
---@return {bytes: string, version: string, sha256: string, ways: integer, resumed: integer}
---  Errors: osrm_points, osrm_far, osrm_no_way, osrm_drift_recording, and those of osrm.lua and of ctx.http.
function M.record(http, points, place, tell)
  local osrm = client.client(http, "osrm")
  check_points(osrm, points)
  local sides, parts, names, resumed = {}, {}, {}, 0
  for first = 1, #points, M.BLOCK do
    sides[#sides + 1] = table.move(points, first, math.min(first + M.BLOCK - 1, #points), 1, {})
  end
  for i, from in ipairs(sides) do
    for k, to in ipairs(sides) do
      local name = ("matrix-block-%d-%d.json"):format(i, k)
      local rows, known = block_of(osrm, place, name, from, to)
      parts[#parts + 1], names[#names + 1], resumed = rows, name, resumed + (known and 1 or 0)
      tell(#parts, #sides * #sides)
    end
  end
  local rows = table.concat(parts)
  local version = "osrm-" .. hash.sha256(rows):sub(1, 12)
  local bytes = ("# version: %s\nfrom_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters\n%s"):format(version, rows)
  local sha256 = hash.sha256(bytes)
  local made = matrix.parse(bytes, { version = version, sha256 = sha256 })
  if made.rows ~= #points * (#points - 1) then
    fail("osrm_points", ("%d ways were recorded between %d points, expected %d"):format(made.rows, #points, #points * (#points - 1)))
  end
  check_again(osrm, made)
  for _, name in ipairs(names) do place.delete(name) end
  return { bytes = bytes, version = version, sha256 = sha256, ways = made.rows, resumed = resumed }
end

return M
