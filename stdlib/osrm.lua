--- A client of OSRM's HTTP API (https://project-osrm.org/docs/v5.24.0/api/), which believes no answer before it has looked at it.
---
--- Points are {lat=, lng=} in degrees (WGS 84), durations seconds, distances metres. Needs the endpoint that it is given.
local errors = require "errors"
local json = require "json"

local M = {}

local Client = {}
Client.__index = Client

--- Most points of one table; osrm-routed refuses more than 100 unless it was told otherwise (--max-table-size).
M.TABLE_POINTS_MAX = 100

---@param http gate.Context.http
---@param endpoint string    of the configuration's endpoints
---@param options {profile: string?, timeout: number?, retries: integer?}?  profile: default "driving"; timeout: seconds a request with
---  all that is repeated, default 10; retries: as of http.request, default 0
---@return osrm.Client       with `latencies`: milliseconds of each request that was answered, of its last attempt
function M.client(http, endpoint, options)
  options = options or {}
  return setmetatable({ http = http, endpoint = endpoint, profile = options.profile or "driving", timeout = options.timeout or 10,
    retries = options.retries or 0, latencies = {} }, Client)
end

local function coordinates(points)
  local out = {}
  for i, p in ipairs(points) do out[i] = ("%.7g,%.7g"):format(p.lng, p.lat) end
  return table.concat(out, ";")
end

local function unreadable(what, detail)
  errors.raise { code = "osrm_answer", message = "the answer cannot be read", detail = ("%s: %s"):format(what, detail),
    fix = "see what is between the engine and OSRM: a proxy, a login page" }
end

--- The path of a request, for a person to try it.
---@param service "route"|"table"|"nearest"
---@param points {lat: number, lng: number}[]
---@return string
function Client:path(service, points)
  return ("/%s/v1/%s/%s"):format(service, self.profile, coordinates(points))
end

function Client:ask(service, points, query)
  local reply = self.http:request { endpoint = self.endpoint, path = self:path(service, points), query = query, timeout = self.timeout,
    retries = self.retries }
  self.latencies[#self.latencies + 1] = reply.timings.total
  local readable, answer = pcall(json.decode, reply.body)
  local code = readable and type(answer) == "table" and type(answer.code) == "string" and answer.code or nil
  if code and code ~= "Ok" then
    local text = type(answer.message) == "string" and answer.message or nil
    errors.raise { code = "osrm_refused", message = ("OSRM answered %s"):format(code), detail = text, reason = code }
  end
  if reply.status ~= 200 then
    errors.raise { code = "osrm_status", message = ("HTTP status %d"):format(reply.status), detail = service }
  end
  if not code then unreadable(service, readable and "no code" or "not JSON") end
  return answer
end

local function is_amount(value) return type(value) == "number" and value >= 0 and value < math.huge end

--- The way from one point to another.
---@return {duration: number, distance: number}
---Errors: osrm_refused (with `reason`, OSRM's code: NoRoute, NoSegment, InvalidQuery, …), osrm_status, osrm_answer, and those of http.
function Client:route(from, to)
  local answer = self:ask("route", { from, to }, { overview = "false" })
  local route = type(answer.routes) == "table" and answer.routes[1]
  if type(route) ~= "table" or not is_amount(route.duration) or not is_amount(route.distance) then
    unreadable("route", "expected routes[0].duration and distance as numbers")
  end
  return { duration = route.duration, distance = route.distance }
end

--- How far a point is from the road that OSRM takes it for, in metres.
---@return number
function Client:nearest(point)
  local answer = self:ask("nearest", { point }, { number = "1" })
  local way = type(answer.waypoints) == "table" and answer.waypoints[1]
  if type(way) ~= "table" or not is_amount(way.distance) then unreadable("nearest", "expected waypoints[0].distance as a number") end
  return way.distance
end

local function rectangle(answer, name, n, m)
  local rows = answer[name]
  if type(rows) ~= "table" or #rows ~= n then unreadable("table", ("expected %d rows of %s"):format(n, name)) end
  for i = 1, n do
    if type(rows[i]) ~= "table" or #rows[i] ~= m then
      unreadable("table", ("expected %d numbers in row %d of %s"):format(m, i - 1, name))
    end
    for j = 1, m do
      if rows[i][j] == json.null then
        rows[i][j] = false
      elseif not is_amount(rows[i][j]) then
        unreadable("table", ("expected a number or null as %s[%d][%d]"):format(name, i - 1, j - 1))
      end
    end
  end
  return rows
end

--- The ways between all points.
---@return {durations: (number|false)[][], distances: (number|false)[][]}  [from][to]; false where there is no way
function Client:table(points)
  local answer = self:ask("table", points, { annotations = "duration,distance" })
  return { durations = rectangle(answer, "durations", #points, #points), distances = rectangle(answer, "distances", #points, #points) }
end

local function numbers(from, to)
  local out = {}
  for i = from, to do out[#out + 1] = tostring(i) end
  return table.concat(out, ";")
end

--- The ways from some points to others.
---@param from {lat: number, lng: number}[]
---@param to {lat: number, lng: number}[]  with `from` at most TABLE_POINTS_MAX of them
---@return {durations: (number|false)[][], distances: (number|false)[][]}  [from][to]; false where there is no way
function Client:block(from, to)
  local points = table.move(to, 1, #to, #from + 1, table.move(from, 1, #from, 1, {}))
  local answer = self:ask("table", points, { annotations = "duration,distance", sources = numbers(0, #from - 1),
    destinations = numbers(#from, #points - 1) })
  return { durations = rectangle(answer, "durations", #from, #to), distances = rectangle(answer, "distances", #from, #to) }
end

--- What a share of a list's values is not above (nearest rank); nil of an empty list.
---@param list number[]
---@param share number  0 to 1
---@return number?
function M.percentile(list, share)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(share * #sorted))]
end

return M
