-- packs.routing.matrix: StaticMatrix files, each mistake in them, and what is not in them.
local matrix = require "packs.routing.matrix"
local hash = require "engine.hash"
local failure = require("raised").failure

local HEADER = "from_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters\n"
local ROWS = "48.2082,16.3738,48.2200,16.4000,312,2410\n48.22,16.4,48.2082,16.3738,330.5,2455.25\n"
local GOOD = "# version: vienna-2024.1\n" .. HEADER .. ROWS

describe("a StaticMatrix", function()
  local STEPHANSDOM, PRATER = { lat = 48.2082, lng = 16.3738 }, { lat = "48.2200", lng = "16.40" }

  it("has its version, the SHA-256 of its content and each pair as written", function()
    local m = matrix.parse(GOOD)
    assert.equal("vienna-2024.1", m.version)
    assert.equal(hash.sha256(GOOD), m.sha256)
    assert.equal(2, m.rows)
    assert.same({ duration_seconds = 312, distance_meters = 2410, source = "matrix" }, m:travel(STEPHANSDOM, PRATER))
    assert.same({ duration_seconds = 330.5, distance_meters = 2455.25, source = "matrix" }, m:travel(PRATER, STEPHANSDOM))
    assert.equal("integer", math.type(m:travel(STEPHANSDOM, PRATER).duration_seconds))
  end)

  it("takes CR LF, a last line without an end, and a version that is given beside it", function()
    assert.equal(2, matrix.parse((GOOD:gsub("\n", "\r\n"))).rows)
    assert.equal(2, matrix.parse((GOOD:gsub("\n$", ""))).rows)
    assert.equal("x", matrix.parse(HEADER .. ROWS, { version = "x" }).version)
    assert.equal("vienna-2024.1", matrix.parse(GOOD, { version = "vienna-2024.1", sha256 = hash.sha256(GOOD) }).version)
  end)

  it("knows a point however its zeros are written, up to seven digits, and no nearer ones", function()
    local m = matrix.parse("# version: 1\n" .. HEADER .. "48.2000001,-16.3,0,0,1,2\n")
    assert.equal(1, m:travel({ lat = "48.2000001", lng = "-16.300" }, { lat = 0, lng = 0 }).duration_seconds)
    assert.equal(1, m:travel({ lat = 48.2000001, lng = -16.3 }, { lat = 0.0, lng = "-0" }).duration_seconds)
    assert.equal("matrix_missing_pair", failure(m.travel, m, { lat = 48.2, lng = -16.3 }, { lat = 0, lng = 0 }).code)
  end)

  it("is from a point to itself zero, said or not", function()
    local m = matrix.parse(GOOD)
    assert.same({ duration_seconds = 0, distance_meters = 0, source = "same" }, m:travel(PRATER, PRATER))
    local said = matrix.parse("# version: 1\n" .. HEADER .. "1,2,1,2,0,0\n")
    assert.equal("matrix", said:travel({ lat = 1, lng = 2 }, { lat = 1, lng = 2 }).source)
  end)

  it("gives no answer for a pair that it has not, unless the fallback is allowed", function()
    local e = failure(function() return matrix.parse(GOOD):travel({ lat = 48.1, lng = 16.1 }, PRATER) end)
    assert.equal("matrix_missing_pair", e.code)
    assert.equal("matrix vienna-2024.1 has no way from 48.1,16.1 to 48.22,16.4", e.message)
    assert.is_string(e.fix)
    local travel = matrix.parse(GOOD, { fallback = true }):travel({ lat = 48.1, lng = 16.1 }, PRATER)
    assert.equal("haversine", travel.source)
    assert.equal(math.floor(travel.distance_meters / (30 / 3.6) + 0.5), travel.duration_seconds)
  end)

  it("measures great circles: a quarter of the equator, pole to pole, Vienna to Graz", function()
    local quarter = math.pi / 2 * matrix.EARTH_RADIUS_M
    assert.is_true(math.abs(matrix.haversine(0, 0, 0, 90) - quarter) < 1e-3)
    assert.is_true(math.abs(matrix.haversine(90, 0, -90, 123) - 2 * quarter) < 1e-3)
    assert.is_true(math.abs(matrix.haversine(0, -90, 0, 90) - 2 * quarter) < 1e-3)
    assert.is_true(math.abs(matrix.haversine(48.2082, 16.3738, 47.0707, 15.4395) - 144700) < 500)
    assert.equal(0, matrix.haversine(48, 16, 48, 16))
  end)

  local V = "# version: 1\n"
  for _, case in ipairs {
    { "a changed file", GOOD, "matrix_hash", nil, nil, { sha256 = ("0"):rep(64) } },
    { "no version", HEADER .. ROWS, "matrix_version" },
    { "another version", GOOD, "matrix_version", 1, 12, { version = "vienna-2024.2" } },
    { "a version that is none", "# version: a b\n" .. HEADER .. ROWS, "matrix_version", 1, 12 },
    { "no header", V .. ROWS, "matrix_header", 2, 1 },
    { "a byte order mark", "\u{feff}" .. GOOD, "matrix_text", 1, 1 },
    { "another header", V .. "from_lat,from_lng,to_lat,to_lng,distance_meters,duration_seconds\n" .. ROWS, "matrix_header", 2, 1 },
    { "no row", V .. HEADER, "matrix_empty" },
    { "nothing", "", "matrix_empty" },
    { "a field too few", V .. HEADER .. "1,2,3,4,5\n", "matrix_fields", 3, 10 },
    { "a field too many", V .. HEADER .. "1,2,3,4,5,6,7\n", "matrix_fields", 3, 13 },
    { "an empty line", V .. HEADER .. "\n" .. ROWS, "matrix_fields", 3, 1 },
    { "a quoted field", V .. HEADER .. '"1",2,3,4,5,6\n', "matrix_coordinate", 3, 1 },
    { "a blank", V .. HEADER .. "1, 2,3,4,5,6\n", "matrix_coordinate", 3, 3 },
    { "a latitude beyond the pole", V .. HEADER .. "90.0000001,2,3,4,5,6\n", "matrix_coordinate", 3, 1 },
    { "a longitude beyond the date line", V .. HEADER .. "90,2,-90,-180.1,5,6\n", "matrix_coordinate", 3, 10 },
    { "too many digits", V .. HEADER .. "1.00000001,2,3,4,5,6\n", "matrix_coordinate", 3, 1 },
    { "a point without digits", V .. HEADER .. "1.,2,3,4,5,6\n", "matrix_coordinate", 3, 1 },
    { "four digits before the point", V .. HEADER .. "0482,2,3,4,5,6\n", "matrix_coordinate", 3, 1 },
    { "an exponent", V .. HEADER .. "1e1,2,3,4,5,6\n", "matrix_coordinate", 3, 1 },
    { "a plus sign", V .. HEADER .. "1,+2,3,4,5,6\n", "matrix_coordinate", 3, 3 },
    { "a negative duration", V .. HEADER .. "1,2,3,4,-5,6\n", "matrix_amount", 3, 9 },
    { "no distance", V .. HEADER .. "1,2,3,4,5,\n", "matrix_amount", 3, 11 },
    { "NaN", V .. HEADER .. "1,2,3,4,nan,6\n", "matrix_amount", 3, 9 },
    { "a hexadecimal number", V .. HEADER .. "1,2,3,4,0x5,6\n", "matrix_amount", 3, 9 },
    { "a duration of ten digits", V .. HEADER .. "1,2,3,4,1000000000,6\n", "matrix_amount", 3, 9 },
    { "a way from a point to itself", V .. HEADER .. "1,2,1,2,5,6\n", "matrix_same", 3, 9 },
    { "a pair twice", V .. HEADER .. "1,2,3,4,5,6\n1.0,2,3,4,5,6\n", "matrix_duplicate", 4, 1 },
    { "a zero byte", V .. HEADER .. "1,2,3,4,5,6\0\n", "matrix_text", 3, 12 },
    { "a carriage return inside", V .. HEADER .. "1,2,3\r,4,5,6\n", "matrix_text", 3, 6 },
    { "a letter that is none of ASCII", V .. HEADER .. "1,2,3,4,5,６\n", "matrix_text", 3, 11 },
    { "a line without end", V .. HEADER .. ("1"):rep(201) .. "\n", "matrix_line", 3, 201 },
    { "a second version", V .. V .. HEADER .. ROWS, "matrix_header", 2, 1 },
  } do
    local what, bytes, code, line, column, options = table.unpack(case, 1, 6)
    it("is refused for " .. what, function()
      local e = failure(matrix.parse, bytes, options)
      assert.same({ code, line, column }, { e.code, e.line, e.column })
      if line then assert.is_truthy(e.message:find(("line %d, column %d: expected "):format(line, column), 1, true), e.message) end
      assert.is_nil(e.message:find "[%c\127]", "the message shows what it must not")
    end)
  end

  it("is asked for points only", function()
    local m = matrix.parse(GOOD)
    for _, lat in ipairs { "x", 91, -90.5, 0 / 0, math.huge, true, {} } do
      assert.equal("matrix_point", failure(m.travel, m, { lat = lat, lng = 0 }, { lat = 0, lng = 0 }).code)
    end
    assert.equal("matrix_point", failure(m.travel, m, { lat = 0 }, { lat = 0, lng = 0 }).code)
  end)
end)
