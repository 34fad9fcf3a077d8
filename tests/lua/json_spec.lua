-- Strict JSON for scripts: each conversion both ways, and each refusal with its message.
local json = require "engine.json"
local raised = require "raised"

local failure, assert_refused = raised.failure, raised.refused

--- The text reads as the value (types included), and the value is written as the text.
local function assert_both_ways(text, value)
  local got = json.decode(text)
  assert.are.equal(math.type(value) or type(value), math.type(got) or type(got))
  assert.are.same(value, got)
  assert.are.equal(text, json.encode(value))
end

describe("engine.json", function()
  describe("reads and writes", function()
    it("null as json.null, which is no nil", function()
      assert.are.equal(json.null, json.decode "null")
      assert.are.equal("null", json.encode(json.null))
      assert.are.equal("userdata", type(json.null))
      assert.are.equal(json.null, json.decode('{"a":null}').a)
    end)

    it("nil, which JSON does not have, as null", function()
      assert.are.equal("null", json.encode(nil))
    end)

    it("booleans as booleans", function()
      assert_both_ways("true", true)
      assert_both_ways("false", false)
    end)

    it("whole numbers as integers of 64 bits", function()
      assert_both_ways("0", 0)
      assert_both_ways("-7", -7)
      assert_both_ways("9007199254740993", 9007199254740993)
      assert_both_ways("9223372036854775807", math.maxinteger)
      assert_both_ways("-9223372036854775808", math.mininteger)
    end)

    it("numbers with a point or an exponent as floats, in their shortest form", function()
      assert_both_ways("1.0", 1.0)
      assert_both_ways("0.1", 0.1)
      assert_both_ways("-2.5", -2.5)
      assert_both_ways("1e+21", 1e21)
      assert_both_ways("5e-324", 5e-324)
      assert_both_ways("1.7976931348623157e+308", 1.7976931348623157e308)
      assert.are.equal("float", math.type(json.decode "1e2"))
      assert.are.equal("-0.0", json.encode(-0.0))
      assert.are.equal(-math.huge, 1 / json.decode "-0.0")
    end)

    it("strings byte for byte, NUL and escapes included", function()
      assert_both_ways('""', "")
      assert_both_ways([["a\u0000b"]], "a\0b")
      assert_both_ways([["\"\\\b\f\n\r\t\u001f"]], '"\\\b\f\n\r\t\31')
      assert_both_ways('"é€😀/\127"', "é€😀/\127")
      assert.are.equal("é€😀/", json.decode [["\u00e9\u20AC\ud83d\ude00\/"]])
    end)

    it("lists as arrays, keys in order and null in its place", function()
      assert_both_ways("[1,[2,[3]]]", { 1, { 2, { 3 } } })
      local list = json.decode "[1,null,3]"
      assert.are.equal(3, #list)
      assert.are.equal(json.null, list[2])
    end)

    it("tables with names as objects, names sorted by UTF-16 code units", function()
      assert_both_ways('{"a":1,"b":{"c":true}}', { b = { c = true }, a = 1 })
      assert.are.equal('{"":4,"A":1,"a":2,"€":3,"\u{1F600}":5,"\u{FB33}":6}',
        json.encode { A = 1, a = 2, ["€"] = 3, [""] = 4, ["\u{1F600}"] = 5, ["\u{FB33}"] = 6 })
    end)

    it("an empty object as {} and an empty array as [], and both come back as they were", function()
      assert.are.equal("{}", json.encode {})
      assert.are.equal("[]", json.encode(json.array()))
      assert.are.equal('{"a":[],"o":{}}', json.encode(json.decode '{"o":{},"a":[]}'))
    end)

    it("the same value as the same text, however the table was made", function()
      local first, second = {}, {}
      for i = 1, 200 do first["key" .. i] = i end
      for i = 200, 1, -1 do second["key" .. i] = i end
      assert.are.equal(json.encode(first), json.encode(second))
    end)

    it("what it wrote itself, for values of every kind", function()
      local value = { list = { 1, 2.5, "x", { y = json.null } }, text = "ü", flag = false, [""] = {} }
      assert.are.same(value, json.decode(json.encode(value)))
      assert.are.same(value, json.decode(json.encode(value, { indent = 4 })))
    end)
  end)

  describe("encode", function()
    it("indents on request", function()
      assert.are.equal('{\n  "a": [\n    1,\n    2\n  ],\n  "b": {}\n}', json.encode({ a = { 1, 2 }, b = {} }, { indent = 2 }))
      assert.are.equal("[1]", json.encode({ 1 }, {}))
      assert.are.equal("[1]", json.encode({ 1 }, { indent = 0 }))
    end)

    it("reads tables raw: no metamethod runs", function()
      local called = false
      local value = setmetatable({ a = 1 }, {
        __index = function() called = true end,
        __pairs = function() called = true end,
        __len = function() called = true return 7 end,
      })
      assert.are.equal('{"a":1}', json.encode(value))
      assert.is_false(called)
    end)

    it("refuses what JSON does not have, and says where it stands", function()
      assert_refused("value_type", "a function at a.b[2]", json.encode, { a = { b = { 1, print } } })
      assert_refused("value_type", "a thread at the value itself", json.encode, coroutine.create(print))
      assert_refused("value_type", "a userdata at the value itself", json.encode, io.stdout)
      assert_refused("value_number", "a number that JSON does not have (NaN or infinite) at x", json.encode, { x = 0 / 0 })
      assert_refused("value_number", "a number that JSON does not have (NaN or infinite) at [1]", json.encode, { math.huge })
      assert_refused("value_utf8", "text that is not UTF-8 at s", json.encode, { s = "\xff" })
      assert.are.equal("value_key", failure(json.encode, { 1, 2, [4] = 4 }).code)
      assert.are.equal("value_key", failure(json.encode, { [1.5] = 1 }).code)
      assert.are.equal("value_key", failure(json.encode, { 1, a = 1 }).code)
    end)

    it("refuses cycles and nesting over 64 levels", function()
      local cycle = {}
      cycle.self = { cycle }
      assert_refused("value_cycle", "a table that contains itself at self[1]", json.encode, cycle)
      local deep = 1
      for _ = 1, 64 do deep = { deep } end
      assert.are.equal(("["):rep(64) .. "1" .. ("]"):rep(64), json.encode(deep))
      assert.are.equal("value_depth", failure(json.encode, { deep }).code)
    end)

    it("writes a table that stands twice, without a cycle, twice", function()
      local shared = { 1 }
      assert.are.equal('{"a":[1],"b":[1]}', json.encode { a = shared, b = shared })
    end)

    it("refuses options it does not have", function()
      assert_refused("bad_argument", 'json.encode: option "indent": expected an integer from 0 to 16, got 17',
        json.encode, {}, { indent = 17 })
      assert_refused("bad_argument", 'json.encode: unknown option "indnet"; did you mean "indent"?',
        json.encode, {}, { indnet = 1 })
      assert_refused("bad_argument", "json.encode: expected a table of options, got number", json.encode, {}, 2)
    end)
  end)

  describe("decode", function()
    it("refuses what is no JSON text, with line and column", function()
      assert_refused("json_syntax", "line 2, column 3: invalid token near 'x'", json.decode, "[1,\n  x]")
      assert_refused("json_syntax", "line 1, column 0: unexpected token near end of file", json.decode, "")
      assert_refused("json_syntax", "line 1, column 3: end of file expected near '2'", json.decode, "1 2")
      for _, text in ipairs { "NaN", "Infinity", "-", "01", "1.", ".5", "'a'", "{a:1}", "[1,]", '{"a":1,}', "[1", '"\n"', "tru" } do
        assert.are.equal("json_syntax", failure(json.decode, text).code, text)
      end
    end)

    it("refuses a key that comes twice, also in another spelling", function()
      assert_refused("json_duplicate_key", [[line 1, column 15: duplicate object key near '"\u0061"']],
        json.decode, [[{"a":1,"\u0061":2}]])
      assert.are.same({ { a = 1 }, { a = 2 } }, json.decode '[{"a":1},{"a":2}]')
    end)

    it("refuses numbers that would be changed", function()
      assert_refused("json_number", "line 1, column 19: too big integer near '9223372036854775808'",
        json.decode, "9223372036854775808")
      assert.are.equal("json_number", failure(json.decode, "1e999").code)
    end)

    it("refuses ill-formed UTF-8 and lone surrogates", function()
      assert.are.equal("json_utf8", failure(json.decode, '"\xc0\x80"').code)
      assert.are.equal("json_utf8", failure(json.decode, '"\xed\xa0\x80"').code)
      assert.are.equal("json_syntax", failure(json.decode, [["\ud800"]]).code)
      assert.are.equal("json_syntax", failure(json.decode, [["\udc00\ud800"]]).code)
    end)

    it("refuses nesting over 200 levels without running out of stack", function()
      assert.is_table(json.decode(("["):rep(200) .. ("]"):rep(200)))
      assert_refused("json_depth", "the JSON is nested deeper than 200 levels", json.decode, ("["):rep(201) .. ("]"):rep(201))
      assert.are.equal("json_depth", failure(json.decode, ("["):rep(1000000)).code)
      assert.are.equal("json_depth", failure(json.decode, ('{"a":'):rep(201) .. "1" .. ("}"):rep(201)).code)
    end)

    it("takes a string and nothing else", function()
      assert_refused("bad_argument", "json.decode: expected a string, got number", json.decode, 1)
      assert_refused("bad_argument", "json.decode: expected a string, got no value", json.decode)
    end)
  end)

  describe("array", function()
    it("marks the list itself, so that it stays an array when it is emptied", function()
      local list = { 1 }
      assert.are.equal(list, json.array(list))
      assert.are.equal("[1]", json.encode(list))
      list[1] = nil
      assert.are.equal("[]", json.encode(list))
      assert.are.equal(list, json.array(list))
    end)

    it("makes a new one when called without", function()
      assert.are.equal("[]", json.encode(json.array()))
      assert.are_not.equal(json.array(), json.array())
    end)

    it("refuses what is no list", function()
      local message = "json.array: expected a list with the keys 1..n and no others"
      assert_refused("bad_argument", message, json.array, { a = 1 })
      assert_refused("bad_argument", message, json.array, { 1, [3] = 3 })
      assert_refused("bad_argument", message, json.array, { [0] = 1 })
      assert_refused("bad_argument", message, json.array, { [1.5] = 1 })
      assert_refused("bad_argument", "json.array: expected a list, got string", json.array, "x")
      assert_refused("bad_argument", "json.array: the table has a metatable already", json.array, setmetatable({}, {}))
    end)

    it("is told from an object by is_array", function()
      assert.is_true(json.is_array { 1, 2 })
      assert.is_true(json.is_array(json.array()))
      assert.is_true(json.is_array(json.decode "[]"))
      for _, value in ipairs { {}, { a = 1 }, { 1, a = 1 }, { [2] = 2 }, "x", 1, json.null, json.decode "{}" } do
        assert.is_false(json.is_array(value))
      end
      assert.is_false(json.is_array(nil))
    end)
  end)
end)
