--- StaticMatrix: travel times and distances between points, locked in a file, so that a routing plan can be made again tomorrow.
--
-- Whitelist only. A file that differs from this grammar in one byte is refused with line and column; nothing is repaired or guessed.
--
--   file     [ "# version: " ID NL ] HEADER NL { row NL } row [ NL ]          NL is LF or CR LF
--   HEADER   from_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters
--   row      LAT,LNG,LAT,LNG,AMOUNT,AMOUNT      no quotes, no blanks
--   LAT,LNG  decimal degrees (WGS 84), at most 7 digits after the point; AMOUNT  a number that is not negative, at most 3 digits after it
--   ID       [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 characters
--
-- Points are compared as written, in units of 1e-7 degrees (about a centimetre), so that "48.2" and "48.20" are one point and no
-- rounding of a processor makes two of it. Needs no capability.

local errors = require "errors"

local M = {}

--- Limits of the grammar. A file beyond them is refused, never cut.
M.LIMITS = { max_bytes = 64 * 1024 * 1024, max_rows = 2000000, max_line_bytes = 200 }

local HEADER = "from_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters"
local FIELDS = { "from_lat", "from_lng", "to_lat", "to_lng", "duration_seconds", "distance_meters" }
local UNIT = 10000000 -- of a degree
local MOST = { 90 * UNIT, 180 * UNIT }

--- Mean radius of the Earth in metres (IUGG: R1 = (2a + b) / 3 of GRS 80).
M.EARTH_RADIUS_M = 6371008.8
--- Speed of the fallback, metres in a second: 30 km/h.
M.FALLBACK_SPEED = 30 / 3.6

---@class routing.Travel
---@field duration_seconds number
---@field distance_meters number
---@field source "matrix"|"same"|"haversine"  where it comes from

local function fail(code, line, column, expected, found, fix)
  local place = line and ("line %d, column %d: "):format(line, column) or ""
  errors.raise { code = code, line = line, column = column, fix = fix,
    message = ("matrix: %sexpected %s, found %s"):format(place, expected, found) }
end

--- Foreign bytes as a message may show them.
local function shown(text)
  if text == "" then return "nothing" end
  local cut = text:sub(1, 40):gsub("[^ -~]", function(c) return ("\\x%02x"):format(c:byte()) end)
  return '"' .. cut .. (#text > 40 and "…" or "") .. '"'
end

--- "-16.3738" in units of 1e-7 degrees, an integer; nil where it is not written so.
local function degrees(text)
  local sign, whole, point, fraction = text:match("^(%-?)(%d%d?%d?)(%.?)(%d*)$")
  if not whole or #fraction > 7 or (point == "") ~= (fraction == "") then return nil end
  local units = math.tointeger(whole) * UNIT + (fraction ~= "" and math.tointeger(fraction .. ("0"):rep(7 - #fraction)) or 0)
  return sign == "-" and -units or units
end

--- "812" or "812.5" as a number, an integer where it is whole; nil where it is not written so.
local function amount(text)
  local whole, point, fraction = text:match("^(%d+)(%.?)(%d*)$")
  if not whole or #whole > 9 or #fraction > 3 or (point == "") ~= (fraction == "") then return nil end
  if fraction:find("[1-9]") then return tonumber(text) end
  return math.tointeger(whole)
end

local function key_of(from_lat, from_lng, to_lat, to_lng)
  return ("%d,%d,%d,%d"):format(from_lat, from_lng, to_lat, to_lng)
end

local function from_of(key)
  local lat, lng = key:match "^(%-?%d+),(%-?%d+),"
  return math.tointeger(lat), math.tointeger(lng)
end

--- Lines of the file with their numbers, without their ends.
local function lines_of(bytes)
  local at, number = 1, 0
  return function()
    if at > #bytes then return nil end
    local stop = bytes:find("\n", at, true)
    local line = bytes:sub(at, (stop or #bytes + 1) - 1)
    if stop and line:sub(-1) == "\r" then line = line:sub(1, -2) end
    at, number = (stop or #bytes) + 1, number + 1
    return number, line
  end
end

local function check_line(number, line)
  if #line > M.LIMITS.max_line_bytes then
    fail("matrix_line", number, M.LIMITS.max_line_bytes + 1, ("a line of at most %d bytes"):format(M.LIMITS.max_line_bytes), "a longer one")
  end
  local odd = line:find("[^ -~]")
  if odd then fail("matrix_text", number, odd, "printable ASCII", shown(line:sub(odd, odd))) end
end

--- The six fields of a row and the column each begins at.
local function split(number, line)
  local fields, columns, at = {}, {}, 1
  for field in (line .. ","):gmatch("([^,]*),") do
    fields[#fields + 1], columns[#columns + 1] = field, at
    at = at + #field + 1
  end
  if #fields ~= #FIELDS then
    fail("matrix_fields", number, columns[#FIELDS + 1] or #line + 1, "6 fields with commas between them", ("%d"):format(#fields))
  end
  return fields, columns
end

local function read_row(number, line)
  local fields, columns = split(number, line)
  local row = {}
  for i, name in ipairs(FIELDS) do
    if i <= 4 then
      row[i] = degrees(fields[i])
      local most = MOST[(i - 1) % 2 + 1]
      if not row[i] then
        fail("matrix_coordinate", number, columns[i], name .. " in decimal degrees such as 48.2082 or -16.3738", shown(fields[i]))
      elseif row[i] < -most or row[i] > most then
        fail("matrix_coordinate", number, columns[i], ("%s from -%d to %d"):format(name, most // UNIT, most // UNIT), shown(fields[i]))
      end
    else
      row[i] = amount(fields[i])
      if not row[i] then
        fail("matrix_amount", number, columns[i], name .. " as a number such as 812 or 812.5, not negative", shown(fields[i]))
      end
    end
  end
  if row[1] == row[3] and row[2] == row[4] and (row[5] ~= 0 or row[6] ~= 0) then
    fail("matrix_same", number, columns[5], "0,0 from a point to itself", ("%s,%s"):format(fields[5], fields[6]))
  end
  return row
end

local function check_version(version, number, column)
  if type(version) ~= "string" or #version > 64 or not version:find("^%w[%w._-]*$") then
    fail("matrix_version", number, column, "a version id ([A-Za-z0-9][A-Za-z0-9._-]*, at most 64 characters)",
      type(version) == "string" and shown(version) or "none",
      'give the file a first line "# version: ID", or name the version where it is configured')
  end
  return version
end

local Matrix = {}
Matrix.__index = Matrix

---@class routing.MatrixOptions
---@field version string?   the version id; the file's own first line must agree where it has one
---@field sha256 string?    the content's SHA-256, 64 hexadecimal digits, as it was pinned
---@field fallback boolean? estimate pairs that are missing by the great circle and 30 km/h (default: they are errors)

--- Reads a StaticMatrix.
---@param bytes string             the file's content
---@param options routing.MatrixOptions?
---@return routing.Matrix          with fields version, sha256, rows (how many), fallback
--- Errors, all with line and column where there is a place: matrix_size, matrix_hash, matrix_version, matrix_header, matrix_line,
--- matrix_text, matrix_fields, matrix_coordinate, matrix_amount, matrix_same, matrix_duplicate, matrix_empty.
function M.parse(bytes, options)
  options = options or {}
  if type(bytes) ~= "string" then fail("matrix_size", nil, nil, "the content as a string", type(bytes)) end
  if #bytes > M.LIMITS.max_bytes then
    fail("matrix_size", nil, nil, ("at most %d bytes"):format(M.LIMITS.max_bytes), ("%d"):format(#bytes))
  end
  local self = setmetatable({ pairs_ = {}, rows = 0, fallback = options.fallback == true }, Matrix)
  self.sha256 = require("hash").sha256(bytes)
  if options.sha256 and options.sha256 ~= self.sha256 then
    fail("matrix_hash", nil, nil, "the SHA-256 " .. tostring(options.sha256), self.sha256,
      "find out who changed the file; pin the new hash only when the change is meant")
  end
  local seen_header = false
  for number, line in lines_of(bytes) do
    check_line(number, line)
    local version = number == 1 and line:match("^# version: (.*)$")
    if version then
      self.version = check_version(version, 1, 12)
    elseif not seen_header then
      if line ~= HEADER then fail("matrix_header", number, 1, "the header " .. HEADER, shown(line)) end
      seen_header = true
    else
      self:add(number, read_row(number, line))
    end
  end
  if self.rows == 0 then fail("matrix_empty", nil, nil, "a header and at least one row", "none") end
  if options.version and self.version and options.version ~= self.version then
    fail("matrix_version", 1, 12, "the version " .. shown(tostring(options.version)), shown(self.version))
  end
  self.version = self.version or check_version(options.version)
  return self
end

--- A matrix without any row, all ways of which are estimated.
---@return routing.Matrix  without sha256: there is no file
function M.estimated()
  return setmetatable({ pairs_ = {}, rows = 0, fallback = true, version = "haversine-30kmh" }, Matrix)
end

function Matrix:add(number, row)
  local key = key_of(row[1], row[2], row[3], row[4])
  local before = self.pairs_[key]
  if before then
    fail("matrix_duplicate", number, 1, "a pair that is not in the file yet", ("one that line %d has"):format(before[3]))
  end
  self.rows = self.rows + 1
  if self.rows > M.LIMITS.max_rows then
    fail("matrix_size", number, 1, ("at most %d rows"):format(M.LIMITS.max_rows), "more")
  end
  self.pairs_[key] = { row[5], row[6], number }
end

--- A point's coordinate as a number of degrees or as text, in units of 1e-7 degrees.
local function units(value, most, name)
  local n
  if type(value) == "string" then
    n = degrees(value)
  elseif math.type(value) == "integer" and value >= -180 and value <= 180 then
    n = value * UNIT
  elseif math.type(value) == "float" and value >= -180 and value <= 180 then
    n = math.floor(value * UNIT + 0.5)
  end
  if not n or n < -most or n > most then
    fail("matrix_point", nil, nil, ("%s in degrees, from -%d to %d"):format(name, most // UNIT, most // UNIT),
      type(value) == "string" and shown(value) or tostring(value))
  end
  return n
end

--- Great-circle distance in metres between two points given in degrees, by the haversine formula (R. W. Sinnott, "Virtues of the
--- Haversine", Sky and Telescope 68(2), 1984).
---@return number
function M.haversine(from_lat, from_lng, to_lat, to_lng)
  local phi1, phi2 = math.rad(from_lat), math.rad(to_lat)
  local half_lat, half_lng = math.sin((phi2 - phi1) / 2), math.sin(math.rad(to_lng - from_lng) / 2)
  local h = half_lat * half_lat + math.cos(phi1) * math.cos(phi2) * half_lng * half_lng
  return 2 * M.EARTH_RADIUS_M * math.asin(math.sqrt(math.min(1, h)))
end

--- How long and how far it is from one point to another. A pair the file has not is an error, unless the fallback is allowed:
--- whole metres of the great circle, whole seconds at 30 km/h.
---@param from {lat: number|string, lng: number|string}
---@param to {lat: number|string, lng: number|string}
---@return routing.Travel
--- Errors: matrix_point, matrix_missing_pair.
function Matrix:travel(from, to)
  local a, b = units(from.lat, MOST[1], "from.lat"), units(from.lng, MOST[2], "from.lng")
  local c, d = units(to.lat, MOST[1], "to.lat"), units(to.lng, MOST[2], "to.lng")
  local found = self.pairs_[key_of(a, b, c, d)]
  if found then return { duration_seconds = found[1], distance_meters = found[2], source = "matrix" } end
  if a == c and b == d then return { duration_seconds = 0, distance_meters = 0, source = "same" } end
  if not self.fallback then
    errors.raise { code = "matrix_missing_pair",
      message = ("matrix %s has no way from %.7g,%.7g to %.7g,%.7g"):format(self.version, a / UNIT, b / UNIT, c / UNIT, d / UNIT),
      fix = "record the pair and pin the new matrix, or allow packs.routing.haversine_fallback" }
  end
  local metres = M.haversine(a / UNIT, b / UNIT, c / UNIT, d / UNIT)
  return { duration_seconds = math.floor(metres / M.FALLBACK_SPEED + 0.5), distance_meters = math.floor(metres + 0.5),
    source = "haversine" }
end

--- Ways of the file, evenly taken in the order of its lines.
---@param most integer
---@return {from: {lat: number, lng: number}, to: {lat: number, lng: number}, duration_seconds: number, distance_meters: number}[]
function Matrix:sample(most)
  local order, wanted = {}, {}
  for _, row in pairs(self.pairs_) do order[#order + 1] = row[3] end
  table.sort(order)
  local n = math.min(#order, most)
  for i = 1, n do wanted[order[(i - 1) * #order // n + 1]] = i end
  local out = {}
  for key, row in pairs(self.pairs_) do
    local place = wanted[row[3]]
    if place then
      local a, b, c, d = key:match "^(%-?%d+),(%-?%d+),(%-?%d+),(%-?%d+)$"
      out[place] = { from = { lat = a / UNIT, lng = b / UNIT }, to = { lat = c / UNIT, lng = d / UNIT }, duration_seconds = row[1],
        distance_meters = row[2] }
    end
  end
  return out
end

--- The points that ways of the matrix begin at, from south to north.
---@return {lat: number, lng: number}[]
function Matrix:points()
  local seen, list = {}, {}
  for key in pairs(self.pairs_) do
    local lat, lng = from_of(key)
    local at = lat .. "," .. lng
    if not seen[at] then
      seen[at] = true
      list[#list + 1] = { lat, lng }
    end
  end
  table.sort(list, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  for i, p in ipairs(list) do list[i] = { lat = p[1] / UNIT, lng = p[2] / UNIT } end
  return list
end

return M
