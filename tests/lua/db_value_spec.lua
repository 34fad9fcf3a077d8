-- Conversions between PostgreSQL and Lua, each decided once, each tried both ways against a real server.
local db = require "engine.db"
local json = require "engine.json"
local pg = require "pg"

describe("engine.db values", function()
  local conn

  setup(function()
    conn = db.connect(pg.shared():options())
  end)

  teardown(function() conn:close() end)

  --- What the server makes of a parameter, as text.
  local function sent(cast, value)
    return conn:value("select $1::" .. cast .. "::text", value)
  end

  local function got(expression) return conn:value("select " .. expression) end

  local function failure(fn, ...)
    local ok, e = pcall(fn, ...)
    assert.is_false(ok)
    assert.is_table(e, tostring(e))
    return e
  end

  describe("integers", function()
    it("int2, int4, int8 and oid become Lua integers", function()
      for _, cast in ipairs { "int2", "int4", "int8", "oid" } do
        local v = got("42::" .. cast)
        assert.are.equal(42, v)
        assert.are.equal("integer", math.type(v))
      end
    end)

    it("the ends of int8 arrive and leave exactly", function()
      assert.are.equal(math.maxinteger, got "9223372036854775807::int8")
      assert.are.equal(math.mininteger, got "(-9223372036854775808)::int8")
      assert.are.equal("9223372036854775807", sent("int8", math.maxinteger))
      assert.are.equal("-9223372036854775808", sent("int8", math.mininteger))
    end)
  end)

  describe("floats", function()
    it("float8 becomes a float and comes back with every bit", function()
      for _, x in ipairs { 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -2.5, 3.0 } do
        local v = conn:value("select $1::float8", x)
        assert.are.equal(x, v)
        assert.are.equal("float", math.type(v))
      end
    end)

    it("infinities and NaN travel both ways", function()
      assert.are.equal(math.huge, got "'Infinity'::float8")
      assert.are.equal(-math.huge, conn:value("select $1::float8", -math.huge))
      local nan = conn:value("select $1::float8", 0 / 0)
      assert.are_not.equal(nan, nan)
    end)

    it("a float without a fraction can be sent to an integer column", function()
      assert.are.equal("3", sent("int4", 3.0))
    end)
  end)

  describe("booleans", function()
    it("true and false become booleans and come back as such", function()
      assert.is_true(got "true")
      assert.is_false(got "false")
      assert.are.equal("true", sent("bool", true))
      assert.are.equal("false", sent("bool", false))
    end)
  end)

  describe("NULL", function()
    it("becomes nil, and no field of the row", function()
      assert.is_nil(got "null::int4")
      assert.is_nil(next(conn:row "select null::text as x"))
    end)

    it("is sent by nil, in the middle and at the end, and by db.null", function()
      assert.are.equal(3, conn:value("select num_nulls($1::int, $2::int, $3::int, $4::int)", nil, 1, db.null, nil))
    end)

    it("no row is nil as well", function()
      assert.is_nil(conn:value "select 1 where false")
      assert.is_nil(conn:row "select 1 where false")
    end)
  end)

  describe("numeric", function()
    it("a whole number that fits int64 becomes an integer, whatever its scale", function()
      for text, expected in pairs { ["5"] = 5, ["5.000"] = 5, ["-0.0"] = 0, ["9223372036854775807"] = math.maxinteger,
        ["-9223372036854775808"] = math.mininteger } do
        local v = got("'" .. text .. "'::numeric")
        assert.are.equal(expected, v)
        assert.are.equal("integer", math.type(v), text)
      end
    end)

    it("a number that a float is exactly becomes a float", function()
      for text, expected in pairs { ["0.5"] = 0.5, ["-1.25"] = -1.25, ["0.0009765625"] = 2.0 ^ -10,
        ["100000000000000000000"] = 1e20, ["9223372036854775808"] = 2.0 ^ 63 } do
        local v = got("'" .. text .. "'::numeric")
        assert.are.equal(expected, v)
        assert.are.equal("float", math.type(v), text)
      end
    end)

    it("any other becomes a decimal which keeps every digit", function()
      for _, text in ipairs { "0.1", "0.10", "12345678901234567890", "-9223372036854775809", "0.15", "1e-30", ("9"):rep(100) } do
        local v = got("'" .. text .. "'::numeric")
        assert.are.equal("userdata", type(v), text)
        assert.are.equal(text == "1e-30" and "0.000000000000000000000000000001" or text, tostring(v))
        assert.are.equal(tostring(v), sent("numeric", v))
      end
    end)

    it("NaN and the infinities become floats", function()
      local nan = got "'NaN'::numeric"
      assert.are_not.equal(nan, nan)
      assert.are.equal(math.huge, got "'Infinity'::numeric")
      assert.are.equal(-math.huge, got "'-Infinity'::numeric")
    end)
  end)

  describe("a decimal", function()
    local function decimal(text) return got("'" .. text .. "'::numeric") end

    it("compares exactly with decimals", function()
      assert.is_true(decimal "0.1" < decimal "0.10000000000000000000000000001")
      assert.is_false(decimal "0.1" < decimal "0.10")
      assert.is_true(decimal "0.1" <= decimal "0.10")
      assert.is_true(decimal "0.1" == decimal "0.10")
      assert.is_true(decimal "-0.2" < decimal "0.1")
      assert.is_true(decimal "-12.3" < decimal "-2.3")
    end)

    it("compares exactly with integers, where a float would not tell the difference", function()
      assert.is_true(math.maxinteger < decimal "9223372036854775807.1")
      assert.is_false(decimal "9223372036854775807.1" < math.maxinteger)
      assert.is_true(decimal "-9223372036854775808.1" < math.mininteger)
      assert.is_true(decimal "9223372036854775806.9" <= math.maxinteger)
      assert.is_true(decimal "0.1" < 1)
    end)

    it("compares exactly with floats", function()
      assert.is_true(decimal "0.1" < 0.1, "the float 0.1 is a little more than a tenth")
      assert.is_true(0.3 < decimal "0.3", "the float 0.3 is a little less than three tenths")
      assert.is_true(decimal "0.1" < math.huge)
      assert.is_true(-math.huge < decimal "0.1")
      assert.is_false(decimal "0.1" < 0 / 0)
      assert.is_false(decimal "0.1" >= 0 / 0)
    end)

    it("reckons as the nearest float", function()
      local d = decimal "0.1"
      assert.are.equal(0.1 + 1, d + 1)
      assert.are.equal(1 - 0.1, 1 - d)
      assert.are.equal(0.1 * 0.1, d * d)
      assert.are.equal(0.1 / 2, d / 2)
      assert.are.equal(-0.1, -d)
      assert.are.equal(0.1, d:tonumber())
    end)

    it("is joined to text with all its digits", function()
      assert.are.equal("0.1 h", decimal "0.1" .. " h")
      assert.are.equal("about 0.10", "about " .. decimal "0.10")
    end)

    it("is not compared with text", function()
      assert.are.equal("bad_argument", failure(function() return decimal "0.1" < "1" end).code)
    end)
  end)

  describe("text", function()
    it("travels both ways as UTF-8, with quotes and newlines", function()
      local s = "Zoë 'quoted' \"too\"\n\\x — €𝄞"
      assert.are.equal(s, conn:value("select $1::text", s))
    end)

    it("with a NUL byte is refused before it is sent", function()
      local e = failure(conn.value, conn, "select $1::text", "a\0b")
      assert.are.equal("bad_argument", e.code)
      assert.matches("$1", e.message, 1, true)
      assert.matches("db.bytea", e.fix, 1, true)
    end)

    it("is what uuid, date, interval and enums become", function()
      assert.are.equal("6f1c1f5e-0000-4000-8000-000000000001", got "'6f1c1f5e-0000-4000-8000-000000000001'::uuid")
      assert.are.equal("2027-01-31", got "date '2027-01-31'")
      assert.are.equal("01:30:00", got "interval '90 min'")
      assert.are.equal("2027-01-31 12:00:00", got "timestamp '2027-01-31 12:00:00'")
    end)
  end)

  describe("bytea", function()
    it("becomes the bytes and db.bytea sends them, all 256", function()
      local all = {}
      for i = 0, 255 do all[#all + 1] = string.char(i) end
      local bytes = table.concat(all)
      assert.are.equal(bytes, conn:value("select $1::bytea", db.bytea(bytes)))
      assert.are.equal("", conn:value("select $1::bytea", db.bytea ""))
    end)

    it("is read in the server's escape format too", function()
      conn:transaction(function()
        conn:exec "set local bytea_output = 'escape'"
        assert.are.equal("a\\b\0\255", conn:value("select $1::bytea", db.bytea "a\\b\0\255"))
      end)
    end)
  end)

  describe("json", function()
    it("json and jsonb become tables, with null as db.null", function()
      for _, cast in ipairs { "json", "jsonb" } do
        local v = got([['{"a": [1, 2.5, "x", null, true], "b": {}}']] .. "::" .. cast)
        assert.are.same({ 1, 2.5, "x", db.null, true }, v.a)
        assert.is_nil(next(v.b))
        assert.are.equal(db.null, json.null)
      end
    end)

    it("scalars are decoded as well", function()
      assert.are.equal(5, got "'5'::jsonb")
      assert.are.equal("x", got [['"x"'::json]])
      assert.are.equal(db.null, got "'null'::jsonb")
    end)

    it("db.json sends tables, empty arrays and nested ones", function()
      assert.are.equal('{"a": [1, 2], "b": {"c": null}}', sent("jsonb", db.json { a = { 1, 2 }, b = { c = db.null } }))
      assert.are.equal("{}", sent("jsonb", db.json {}))
      assert.are.equal("[]", sent("jsonb", db.json(json.array {})))
      assert.are.equal("[]", sent("jsonb", db.json(got "'[]'::jsonb")))
    end)

    it("a number that Lua cannot hold is an error which says how to read it", function()
      local e = failure(got, "'{\"a\": 123456789012345678901234567890}'::jsonb")
      assert.are.equal("db_value", e.code)
      assert.matches("::text", e.fix, 1, true)
      assert.are.equal(1, got "1", "the connection goes on")
    end)

    it("what JSON does not have is refused by db.json with its path", function()
      local e = failure(db.json, { a = { 0 / 0 } })
      assert.are.equal("value_number", e.code)
      assert.matches("a[1]", e.message, 1, true)
    end)
  end)

  describe("timestamptz", function()
    it("becomes RFC 3339 in UTC whatever the session's zone is", function()
      for zone, _ in pairs { UTC = 1, ["Asia/Kolkata"] = 1, ["America/St_Johns"] = 1, ["Africa/Monrovia"] = 1 } do
        conn:transaction(function()
          conn:value("select set_config('TimeZone', $1, true)", zone)
          assert.are.equal("2027-01-31T23:30:15.25Z", got "timestamptz '2027-02-01 05:00:15.25+05:30'", zone)
          assert.are.equal("1901-12-31T23:59:59Z", got "timestamptz '1901-12-31 23:59:59+00'", zone)
          assert.are.equal("2024-02-29T00:00:00.000001Z", got "timestamptz '2024-02-29 00:00:00.000001+00'", zone)
        end)
      end
    end)

    it("what RFC 3339 does not have stays as PostgreSQL writes it", function()
      assert.are.equal("infinity", got "timestamptz 'infinity'")
      assert.are.equal("0044-03-15 12:00:00+00 BC", got "timestamptz '0044-03-15 12:00:00+00 BC'")
      assert.are.equal("10000-01-01 00:00:00+00", got "timestamptz '10000-01-01 00:00:00+00'")
    end)

    it("a session whose DateStyle was changed gets an error, not a guess", function()
      local e
      conn:transaction(function()
        conn:exec "set local datestyle = 'SQL, DMY'"
        e = failure(got, "now()")
      end)
      assert.are.equal("db_value", e.code)
      assert.matches("DateStyle", e.fix, 1, true)
    end)

    it("an RFC 3339 text is understood by the server", function()
      assert.are.equal("2027-01-31 11:00:00+00", sent("timestamptz", "2027-01-31T12:00:00+01:00"))
    end)
  end)

  describe("arrays", function()
    it("become lists of converted elements, NULL as db.null", function()
      assert.are.same({ 1, db.null, 3 }, got "array[1, null, 3]::int4[]")
      assert.are.same({ true, false }, got "array[true, false]")
      assert.are.same({ 0.5, 2 }, got "array[0.5, 2]::numeric[]")
      assert.are.same({ "2027-01-31T00:00:00Z" }, got "array[timestamptz '2027-01-31 00:00+00']")
      assert.are.same({ { a = 1 } }, got [[array['{"a": 1}'::jsonb] ]])
      assert.are.same({ "\0\1" }, got [[array['\x0001'::bytea] ]])
    end)

    it("of texts keep commas, quotes, braces, backslashes and the word NULL", function()
      local list = { "a,b", 'say "x"', "{}", "back\\slash", "NULL", "", " ", "é" }
      assert.are.same(list, conn:value("select $1::text[]", db.array(list)))
    end)

    it("of more dimensions become nested lists and come back as such", function()
      assert.are.same({ { 1, 2 }, { 3, 4 } }, got "'{{1,2},{3,4}}'::int[]")
      assert.are.equal("{{1,2},{3,4}}", sent("int[]", db.array { { 1, 2 }, { 3, 4 } }))
    end)

    it("with other bounds are lists all the same", function()
      assert.are.same({ 7, 8 }, got "'[0:1]={7,8}'::int[]")
    end)

    it("that are empty come back as empty lists, and as JSON arrays", function()
      local v = got "'{}'::int[]"
      assert.are.equal(0, #v)
      assert.are.equal("[]", sent("jsonb", db.json(v)))
      assert.are.equal("{}", sent("int[]", db.array {}))
    end)

    it("db.array sends NULLs, numbers, booleans, bytes and JSON", function()
      assert.are.equal("{1,NULL,3}", sent("int[]", db.array { 1, db.null, 3 }))
      assert.are.equal("{t,f}", sent("bool[]", db.array { true, false }))
      assert.are.same({ "\0\255" }, conn:value("select $1::bytea[]", db.array { db.bytea "\0\255" }))
      assert.are.same({ { a = "x" } }, conn:value("select $1::jsonb[]", db.array { db.json { a = "x" } }))
    end)

    it("db.array names the element type where the SQL does not", function()
      assert.are.same({ 1, 2 }, conn:value("select $1", db.array({ 1, 2 }, "int8")))
      assert.are.equal("uuid[]", conn:value("select pg_typeof($1)::text", db.array({}, "uuid")))
      assert.are.equal("bad_argument", failure(db.array, {}, "mood").code)
    end)

    it("db.array refuses holes and named keys", function()
      assert.are.equal("bad_argument", failure(db.array, { 1, nil, 3 }).code)
      assert.are.equal("bad_argument", failure(db.array, { a = 1 }).code)
    end)

    it("work as a set to look in", function()
      assert.are.equal(2, conn:value("select count(*) from generate_series(1, 9) i where i = any($1)", db.array { 3, 5, 77 }))
    end)
  end)

  describe("a parameter", function()
    it("that is a table or a function is refused with the way to send it", function()
      for _, v in ipairs { {}, print, coroutine.create(print), io.stdout } do
        local e = failure(conn.query, conn, "select $1::text", v)
        assert.are.equal("bad_argument", e.code)
      end
      assert.matches("db.json", failure(conn.query, conn, "select $1::text", {}).fix, 1, true)
    end)

    it("is never read as SQL", function()
      local evil = "'; drop table x; --"
      assert.are.equal(evil, conn:value("select $1::text", evil))
    end)
  end)

  describe("rows", function()
    it("carry their number, their columns in order and what was affected", function()
      local rows = conn:query "select i as b, 'x' as a from generate_series(1, 3) i"
      assert.are.equal(3, rows.n)
      assert.are.equal(3, #rows)
      assert.are.equal(3, rows.affected)
      assert.are.same({ "b", "a" }, rows.columns)
      assert.are.same({ b = 3, a = "x" }, rows[3])
    end)

    it("of no column and of no row are empty lists", function()
      assert.are.equal(0, conn:query("select 1 as x where false").n)
      assert.are.same({ "x" }, conn:query("select 1 as x where false").columns)
      assert.are.equal(1, conn:query("select").n)
      assert.are.equal(0, conn:query("").n)
    end)

    it("by the hundred thousand arrive complete", function()
      local rows = conn:query "select i, repeat('x', 50) as t from generate_series(1, 100000) i"
      assert.are.equal(100000, rows.n)
      assert.are.equal(100000, rows[100000].i)
    end)

    it("with a megabyte of text travel both ways", function()
      local s = ("0123456789abcdef"):rep(65536)
      assert.are.equal(s, conn:value("select $1::text", s))
    end)
  end)
end)
