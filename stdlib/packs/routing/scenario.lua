--- A routing scenario: one day's depots, vehicles and stops, from JSON.
--
-- Whitelist only: what is not described here is an issue with its code and the JSON path of what is wrong; nothing is repaired or guessed.
--
--   { "name": TEXT?, "date": "2026-03-02", "haversine_fallback": BOOLEAN?,
--     "depots":   [ { "id": ID, "lat": DEGREES, "lng": DEGREES } ],
--     "vehicles": [ { "id": ID, "depot": ID, "capacity": AMOUNT, "shift": [TIME, TIME], "skills": [ID]? } ],
--     "stops":    [ { "id": ID, "lat": DEGREES, "lng": DEGREES, "demand": AMOUNT?, "service_min": MINUTES?, "window": [TIME, TIME],
--                     "skills": [ID]? } ] }
--
-- ID: 1 to 64 printable characters of ASCII or UTF-8, no blank at its ends. DEGREES: WGS 84, at most 7 digits after the point. AMOUNT:
-- whole, 0 to a million. MINUTES: whole, 0 to 1440. TIME: "HH:MM", to "48:00", counted from the date's 00:00. Service of a stop begins
-- inside its window, both ends included; a vehicle is away inside its shift. haversine_fallback allows that ways which the matrix lacks
-- are estimated. Pure: needs no capability.

local errors = require "errors"
local hash = require "hash"
local json = require "json"

local M = {}

--- Limits of a scenario. What is beyond them is refused, never cut.
M.LIMITS = { max_bytes = 8 * 1024 * 1024, max_stops = 500, max_vehicles = 200, max_depots = 50, max_skills = 64, max_issues = 1000 }

local UNIT = 10000000 -- of a degree
local AMOUNT_MAX, SERVICE_MAX, MINUTE_MAX = 1000000, 1440, 2880

---@class routing.Issue
---@field code string     stable name, e.g. "MISSING_GEO"
---@field path string     JSON path of what is wrong, e.g. "$.stops[3].lat"; indexes count from 0
---@field status "FAIL"|"WARN"
---@field message string  what was expected and what was found

---@class routing.Place
---@field id string
---@field lat number     degrees
---@field lng number
---@field lat_e7 integer  the same in units of 1e-7 degrees
---@field lng_e7 integer

--- What is being read: the issues so far, and the place in the document.
local Reader = {}
Reader.__index = Reader

function Reader:issue(code, path, message, ...)
  if #self.issues < M.LIMITS.max_issues then
    local status = self.warnings[code] and "WARN" or "FAIL"
    self.issues[#self.issues + 1] = { code = code, path = path, status = status, message = message:format(...) }
  end
  return nil
end

--- Foreign bytes as a message may show them.
local function printable(text)
  return (text:gsub("[^ -~]", function(c) return ("\\x%02x"):format(c:byte()) end))
end

--- Foreign values as a message may show them.
local function shown(value)
  if value == nil then return "nothing" end
  if value == json.null then return "null" end
  if type(value) == "table" then return json.is_array(value) and "a list" or "an object" end
  if type(value) ~= "string" then return tostring(value) end
  return '"' .. printable(value:sub(1, 40)) .. (#value > 40 and "…" or "") .. '"'
end

local function absent(value) return value == nil or value == json.null end

local function is_object(value) return type(value) == "table" and not json.is_array(value) end

--- A key in a path: as a name where it is one.
local function join(path, key)
  return key:find("^[%a_][%w_]*$") and #key <= 64 and path .. "." .. key or path .. "[" .. shown(key) .. "]"
end

--- An object with no other keys than these.
function Reader:object(value, path, keys)
  if not is_object(value) then return self:issue("INVALID_TYPE", path, "expected an object, found %s", shown(value)) end
  local unknown = {}
  for key in pairs(value) do
    if not keys[key] then unknown[#unknown + 1] = key end
  end
  table.sort(unknown)
  for _, key in ipairs(unknown) do self:issue("UNKNOWN_KEY", join(path, key), "no such key") end
  return value
end

function Reader:list(value, path, code, most)
  if absent(value) then return self:issue("MISSING_KEY", path, "expected a list, found %s", shown(value)) or {} end
  if type(value) ~= "table" or not (json.is_array(value) or next(value) == nil) then
    return self:issue("INVALID_TYPE", path, "expected a list, found %s", shown(value)) or {}
  end
  if #value == 0 and code then self:issue(code, path, "expected at least one, found none") end
  if #value > most then return self:issue("TOO_MANY", path, "expected at most %d, found %d", most, #value) or {} end
  return value
end

--- A name: printable, of a bounded length, without blanks at its ends, so that two names which look alike are not told apart by one.
local function is_id(value)
  return type(value) == "string" and #value >= 1 and #value <= 64 and utf8.len(value) ~= nil and not value:find("[%c\127]")
    and not value:find("^ ") and not value:find(" $")
end

function Reader:id(value, path)
  if absent(value) then return self:issue("MISSING_KEY", path, "expected an id, found %s", shown(value)) end
  if is_id(value) then return value end
  return self:issue("INVALID_ID", path, "expected 1 to 64 printable bytes without blanks at the ends, found %s", shown(value))
end

--- A whole number in a range; `default` where it may be left out.
function Reader:whole(value, path, most, default)
  if value == nil and default then return default end
  if absent(value) then return self:issue("MISSING_KEY", path, "expected a whole number, found %s", shown(value)) end
  local n = math.type(value) and math.tointeger(value)
  if n and n >= 0 and n <= most then return n end
  return self:issue("INVALID_NUMBER", path, "expected a whole number from 0 to %d, found %s", most, shown(value))
end

--- A coordinate in units of 1e-7 degrees. What has more digits is no double that seven digits give.
function Reader:degrees(value, path, most)
  if absent(value) then return self:issue("MISSING_GEO", path, "expected degrees, found %s", shown(value)) end
  local n = math.type(value) and value == value and math.abs(value) <= most and math.floor(value * UNIT + 0.5)
  if n and n / UNIT == value then return math.tointeger(n) end
  return self:issue("INVALID_COORDINATE", path, "expected degrees from -%d to %d with at most 7 digits after the point, found %s", most,
    most, shown(value))
end

--- The place of an object, or nil.
function Reader:place(object, path)
  if object.lat == nil and object.lng == nil then
    return self:issue("MISSING_GEO", path, "expected lat and lng, found neither")
  end
  local lat, lng = self:degrees(object.lat, path .. ".lat", 90), self:degrees(object.lng, path .. ".lng", 180)
  if not lat or not lng then return nil end
  return { lat = lat / UNIT, lng = lng / UNIT, lat_e7 = lat, lng_e7 = lng }
end

function Reader:time(value, path)
  local hour, minute = (type(value) == "string" and value or ""):match("^(%d%d):(%d%d)$")
  local minutes = hour and math.tointeger(hour) * 60 + math.tointeger(minute)
  if minutes and math.tointeger(minute) <= 59 and minutes <= MINUTE_MAX then return minutes end
  return self:issue("INVALID_TIME_FORMAT", path, 'expected "HH:MM" from 00:00 to 48:00, found %s', shown(value))
end

--- A span of the day: two times, the second not before the first.
function Reader:span(value, path, code)
  if absent(value) then return self:issue("MISSING_KEY", path, "expected two times, found %s", shown(value)) end
  if type(value) ~= "table" or not json.is_array(value) or #value ~= 2 then
    return self:issue("INVALID_TIME_FORMAT", path, "expected a list of two times, found %s", shown(value))
  end
  local from, to = self:time(value[1], path .. "[0]"), self:time(value[2], path .. "[1]")
  if from and to and to < from then
    return self:issue(code, path, "it ends at %s, before it begins at %s", value[2], value[1])
  end
  return from, to
end

--- Skills, sorted, each once.
function Reader:skills(value, path)
  local out, seen = json.array {}, {}
  if value == nil then return out end
  for i, skill in ipairs(self:list(value, path, nil, M.LIMITS.max_skills)) do
    local at = ("%s[%d]"):format(path, i - 1)
    if not is_id(skill) then
      self:issue("INVALID_SKILL", at, "expected 1 to 64 printable bytes, found %s", shown(skill))
    elseif seen[skill] then
      self:issue("DUPLICATE_SKILL", at, "%s is named twice", shown(skill))
    else
      seen[skill] = true
      out[#out + 1] = skill
    end
  end
  table.sort(out)
  return out
end

--- A day of the calendar as "2026-03-02" (proleptic Gregorian).
local function is_date(value)
  local y, m, d = tostring(value):match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if type(value) ~= "string" or not y then return false end
  y, m, d = math.tointeger(y), math.tointeger(m), math.tointeger(d)
  local leap = y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0)
  local days = ({ 31, leap and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 })[m]
  return days ~= nil and d >= 1 and d <= days and y >= 1
end

local READ = {}

function READ.depots(self, object, path)
  if not self:object(object, path, { id = true, lat = true, lng = true }) then return nil end
  local id, place = self:id(object.id, path .. ".id"), self:place(object, path)
  return id and place and { id = id, lat = place.lat, lng = place.lng, lat_e7 = place.lat_e7, lng_e7 = place.lng_e7 }
end

function READ.vehicles(self, object, path)
  if not self:object(object, path, { id = true, depot = true, capacity = true, shift = true, skills = true }) then return nil end
  local id, depot = self:id(object.id, path .. ".id"), self:id(object.depot, path .. ".depot")
  local capacity = self:whole(object.capacity, path .. ".capacity", AMOUNT_MAX)
  local from, to = self:span(object.shift, path .. ".shift", "INVALID_SHIFT")
  local skills = self:skills(object.skills, path .. ".skills")
  if depot and not self.depots[depot] then
    depot = self:issue("UNKNOWN_DEPOT", path .. ".depot", "the scenario has no depot %s", shown(depot))
  end
  if depot then self.depots[depot] = "used" end
  return id and depot and capacity and from and to and { id = id, depot = depot, capacity = capacity, shift_start_min = from,
    shift_end_min = to, skills = skills }
end

function READ.stops(self, object, path)
  if not self:object(object, path, { id = true, lat = true, lng = true, demand = true, service_min = true, window = true, skills = true })
  then return nil end
  local id, place = self:id(object.id, path .. ".id"), self:place(object, path)
  local demand = self:whole(object.demand, path .. ".demand", AMOUNT_MAX, 0)
  local service = self:whole(object.service_min, path .. ".service_min", SERVICE_MAX, 0)
  local from, to = self:span(object.window, path .. ".window", "INVALID_TIME_WINDOW")
  local skills = self:skills(object.skills, path .. ".skills")
  return id and place and demand and service and from and to and { id = id, lat = place.lat, lng = place.lng, lat_e7 = place.lat_e7,
    lng_e7 = place.lng_e7, demand = demand, service_min = service, window_start_min = from, window_end_min = to, skills = skills }
end

--- All things of a kind, sorted by id, each with an id of its own.
function Reader:things(document, kind, most)
  local out, first = {}, {}
  for i, object in ipairs(self:list(document[kind], "$." .. kind, "EMPTY_SCENARIO", most)) do
    local path = ("$.%s[%d]"):format(kind, i - 1)
    local id = is_object(object) and object.id
    if is_id(id) and first[id] then
      self:issue("DUPLICATE_ID", path .. ".id", "%s is the id of %s already", shown(id), first[id])
    elseif is_id(id) then
      first[id] = path
    end
    if kind == "depots" and is_id(id) then self.depots[id] = "known" end
    local thing = READ[kind](self, object, path)
    if thing then out[#out + 1] = thing end
  end
  table.sort(out, function(a, b) return a.id < b.id end)
  return out, first
end

--- What may be meant, but is worth a look.
function Reader:warn(scenario, paths)
  for _, depot in ipairs(scenario.depots) do
    if self.depots[depot.id] ~= "used" then self:issue("UNUSED_DEPOT", paths.depots[depot.id], "no vehicle starts from it") end
  end
  for _, stop in ipairs(scenario.stops) do
    if #stop.skills > 0 then
      local able = false
      for _, vehicle in ipairs(scenario.vehicles) do
        local has, all = {}, true
        for _, skill in ipairs(vehicle.skills) do has[skill] = true end
        for _, skill in ipairs(stop.skills) do all = all and has[skill] == true end
        able = able or all
      end
      if not able then self:issue("NO_VEHICLE_FOR_SKILLS", paths.stops[stop.id] .. ".skills", "no vehicle has all of them") end
    end
  end
end

function Reader:scenario(document)
  if not self:object(document, "$", { name = true, date = true, haversine_fallback = true, depots = true, vehicles = true, stops = true })
  then return nil end
  local fallback = document.haversine_fallback
  if fallback ~= nil and type(fallback) ~= "boolean" then
    self:issue("INVALID_TYPE", "$.haversine_fallback", "expected true or false, found %s", shown(fallback))
  end
  if document.name ~= nil then self:id(document.name, "$.name") end
  if absent(document.date) then
    self:issue("MISSING_KEY", "$.date", "expected a day such as 2026-03-02, found %s", shown(document.date))
  elseif not is_date(document.date) then
    self:issue("INVALID_DATE", "$.date", "expected a day such as 2026-03-02, found %s", shown(document.date))
  end
  local out, paths = { date = document.date, haversine_fallback = fallback == true }, {}
  out.depots, paths.depots = self:things(document, "depots", M.LIMITS.max_depots)
  out.vehicles, paths.vehicles = self:things(document, "vehicles", M.LIMITS.max_vehicles)
  out.stops, paths.stops = self:things(document, "stops", M.LIMITS.max_stops)
  if #self.issues == 0 then self:warn(out, paths) end
  return out
end

--- The document, or nil with the issue that says why there is none.
function Reader:document(bytes)
  if #bytes > M.LIMITS.max_bytes then
    return self:issue("TOO_LARGE", "$", "expected at most %d bytes, found %d", M.LIMITS.max_bytes, #bytes)
  end
  local ok, document = pcall(json.decode, bytes)
  if ok then return document end
  if not errors.is(document) then error(document, 0) end
  local code = document.code == "json_duplicate_key" and "DUPLICATE_KEY" or document.code == "json_utf8" and "INVALID_ENCODING"
    or document.code == "json_number" and "INVALID_NUMBER" or "INVALID_JSON"
  return self:issue(code, "$", "%s", printable(document.message))
end

---@class routing.Scenario
---@field date string
---@field haversine_fallback boolean
---@field depots routing.Place[]  sorted by id, as are the others
---@field vehicles {id: string, depot: string, capacity: integer, shift_start_min: integer, shift_end_min: integer, skills: string[]}[]
---@field stops table[]  routing.Place with demand, service_min, window_start_min, window_end_min, skills

--- Reads a scenario.
---@param bytes string  JSON
---@return {status: "PASS"|"WARN"|"FAIL", issues: routing.Issue[], scenario: routing.Scenario|nil}  scenario is nil where status is FAIL
function M.parse(bytes)
  local reader = setmetatable({ issues = {}, depots = {}, warnings = { UNUSED_DEPOT = true, NO_VEHICLE_FOR_SKILLS = true } }, Reader)
  local document = reader:document(bytes)
  local scenario = #reader.issues == 0 and reader:scenario(document) or nil
  local status = #reader.issues > 0 and "WARN" or "PASS"
  for _, issue in ipairs(reader.issues) do
    if issue.status == "FAIL" then status = "FAIL" end
  end
  return { status = status, issues = reader.issues, scenario = status ~= "FAIL" and scenario or nil }
end

--- The scenario as it is hashed and shown: coordinates in units of 1e-7 degrees, so that no processor's rounding shows.
---@param scenario routing.Scenario
---@return table
function M.canonical(scenario)
  local function copies(list, without)
    local out = {}
    for i, thing in ipairs(list) do
      out[i] = {}
      for key, value in pairs(thing) do
        if not without[key] then out[i][key] = value end
      end
    end
    return json.array(out)
  end
  local degrees = { lat = true, lng = true }
  return { date = scenario.date, haversine_fallback = scenario.haversine_fallback, depots = copies(scenario.depots, degrees),
    vehicles = copies(scenario.vehicles, {}), stops = copies(scenario.stops, degrees) }
end

--- Hash of a scenario: the same for any order of its lists and keys, another for anything else.
---@param scenario routing.Scenario
---@return string sha256
function M.input_hash(scenario)
  return hash.of(M.canonical(scenario))
end

--- Hash of how scenarios are understood, stored beside them.
---@return string sha256
function M.parser_config_hash()
  return hash.of { format = "gate-engine/routing-scenario/1", limits = M.LIMITS }
end

return M
