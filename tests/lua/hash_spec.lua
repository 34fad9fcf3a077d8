-- Digests, canonical JSON and signatures as scripts use them. Published vectors of the primitives: tests/c/test_hash.c and
-- test_canon.c.
local hash = require "engine.hash"
local json = require "engine.json"
local raised = require "raised"

local failure, assert_refused = raised.failure, raised.refused

local ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
local EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

describe("engine.hash", function()
  describe("sha256", function()
    it("gives FIPS 180-4's digests as hexadecimal text or as bytes", function()
      assert.are.equal(ABC, hash.sha256 "abc")
      assert.are.equal(EMPTY, hash.sha256 "")
      assert.are.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", hash.sha256(("a"):rep(1000000)))
      assert.are.equal(ABC, hash.hex(hash.sha256_raw "abc"))
      assert.are.equal(32, #hash.sha256_raw "")
    end)

    it("takes strings alone, since 1 and 1.0 would be the same number and other bytes", function()
      assert_refused("bad_argument", "hash.sha256: expected the bytes as a string, got number", hash.sha256, 1)
      assert_refused("bad_argument", "hash.sha256_raw: expected the bytes as a string, got no value", hash.sha256_raw)
      assert_refused("bad_argument", "hash.hmac_sha256: expected the bytes as a string, got nil", hash.hmac_sha256, "k", nil)
      assert_refused("bad_argument", "hash.hmac_sha256_raw: expected the key as a string, got table", hash.hmac_sha256_raw, {}, "x")
    end)
  end)

  it("hmac_sha256 gives RFC 4231's second MAC, and MACs with empty keys", function()
    local mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert.are.equal(mac, hash.hmac_sha256("Jefe", "what do ya want for nothing?"))
    assert.are.equal(mac, hash.hex(hash.hmac_sha256_raw("Jefe", "what do ya want for nothing?")))
    assert.are.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", hash.hmac_sha256("", ""))
  end)

  describe("a stream", function()
    it("hashes its parts as one text", function()
      assert.are.equal(ABC, hash.stream():update("a"):update(""):update("bc"):final())
      assert.are.equal(EMPTY, hash.stream():final())
      assert.are.equal(ABC, hash.hex(hash.stream():update("abc"):final_raw()))
    end)

    it("is finished by final, and says so afterwards", function()
      local stream = hash.stream()
      assert.are.equal("hash.stream", tostring(stream))
      stream:final()
      assert.are.equal("hash.stream (finished)", tostring(stream))
      assert_refused("hash_finished", "stream:update: the stream is finished; make a new one with hash.stream()",
        stream.update, stream, "x")
      assert_refused("hash_finished", "stream:final: the stream is finished; make a new one with hash.stream()",
        stream.final, stream)
      stream:close()
    end)

    it("can be closed, again and by leaving its block", function()
      local kept
      do
        local stream <close> = hash.stream()
        kept = stream:update "x"
      end
      assert.are.equal("hash_finished", failure(kept.update, kept, "y").code)
      kept:close()
      kept:close()
    end)

    it("works only on streams, and hides its metatable", function()
      local stream = hash.stream()
      assert_refused("bad_argument", "stream:update: expected gate.hash.stream (call it with a colon), got string",
        stream.update, "x", "y")
      assert_refused("bad_argument", "stream:close: expected gate.hash.stream (call it with a colon), got table", stream.close, {})
      assert_refused("bad_argument", "stream:update: expected the bytes as a string, got nil", stream.update, stream, nil)
      assert.is_false(getmetatable(stream))
      assert.are.equal(EMPTY, stream:final()) -- an error before changed nothing
    end)
  end)

  describe("canonical", function()
    it("writes values as RFC 8785 does", function()
      assert.are.equal('{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        .. '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
        hash.canonical {
          numbers = { 333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001 },
          string = "€$\15\nA'B\"\\\\\"/",
          literals = { json.null, true, false },
        })
    end)

    it("gives the float 1.0 and the integer 1 the same bytes, and -0.0 those of 0", function()
      assert.are.equal("[1,1,0,0]", hash.canonical { 1, 1.0, 0, -0.0 })
    end)

    it("tells an empty array from an empty object", function()
      assert.are.equal('{"a":[],"b":{}}', hash.canonical { a = json.array(), b = {} })
    end)

    it("refuses integers that a double does not hold, and says what to do", function()
      local e = failure(hash.canonical, { 9007199254740993 })
      assert.are.equal("json_number", e.code)
      assert.are.equal("the integer 9007199254740993 is not one that every JSON reader keeps: a double cannot hold it", e.message)
      assert.are.equal("write it as a string, or keep it within ±9007199254740992", e.fix)
      assert.are.equal("[9007199254740992]", hash.canonical { 9007199254740992 })
    end)

    it("refuses what JSON does not have", function()
      assert_refused("value_number", "a number that JSON does not have (NaN or infinite) at a", hash.canonical, { a = 0 / 0 })
      assert_refused("value_type", "a function at f", hash.canonical, { f = print })
      assert_refused("value_utf8", "text that is not UTF-8 at the value itself", hash.canonical, "\xff")
    end)

    it("is what sha256 of hash.of goes over", function()
      assert.are.equal(hash.sha256 '{"a":[1,2.5],"b":"x"}', hash.of { b = "x", a = { 1, 2.5 } })
      assert.are.equal(hash.sha256 "null", hash.of(nil))
      assert.are.equal("value_type", failure(hash.of, print).code)
    end)

    it("hashes a value of some megabytes while it reads it, which has the same digest", function()
      local list = {}
      for i = 1, 40000 do list[i] = { id = ("Mo-%06d"):format(i), hours = i / 4, name = i % 7 == 0 and "Jürgen" or "x" } end
      local text = hash.canonical { list = list }
      assert.is_true(#text > 1500000)
      assert.are.equal(hash.sha256(text), hash.of { list = list })
      list[40000].name = "\xff"
      assert_refused("value_utf8", "text that is not UTF-8 at list[40000].name", hash.of, { list = list })
    end)

    it("names of several faults the first in the order of the keys", function()
      local value = {}
      for i = 1, 100 do value["k" .. i] = { print } end
      assert_refused("value_type", "a function at k1[1]", hash.of, value)
    end)

    it("does not depend on how a table was made", function()
      local first, second = {}, {}
      for i = 1, 500 do first["k" .. i] = i / 3 end
      for i = 500, 1, -1 do second["k" .. i] = i / 3 end
      assert.are.equal(hash.of(first), hash.of(second))
    end)
  end)

  describe("canonical_json", function()
    it("rewrites a text", function()
      assert.are.equal('{"a":[1,0.5],"b":null}', hash.canonical_json ' { "b" : null, "a" : [ 1.0, 5e-1 ] } ')
    end)

    it("agrees with canonical on what it decodes", function()
      local text = [[{"z":[1,-2.5e-7,"\u00e9\ud83d\ude00"],"a":{"":{}, "x":[]}}]]
      assert.are.equal(hash.canonical(json.decode(text)), hash.canonical_json(text))
    end)

    it("is what sha256 of hash.of_json goes over", function()
      local text = ' { "b" : null, "a" : [ 1.0, 5e-1, "\\u00e4" ] } '
      assert.are.equal(hash.sha256(hash.canonical_json(text)), hash.of_json(text))
      assert.are.equal(hash.of(json.decode(text)), hash.of_json(text))
      assert.are.equal("json_syntax", failure(hash.of_json, "{").code)
      assert_refused("bad_argument", "hash.of_json: expected the JSON text as a string, got table", hash.of_json, {})
    end)

    it("refuses duplicate keys, large integers and what is no JSON", function()
      assert_refused("json_duplicate_key", [[line 1, column 10: duplicate object key near '"a"']],
        hash.canonical_json, '{"a":1,"a":1}')
      assert_refused("json_number",
        "the integer 12345678901234567891 is not one that every JSON reader keeps: a double cannot hold it",
        hash.canonical_json, "[12345678901234567891]")
      assert.are.equal("json_syntax", failure(hash.canonical_json, "{").code)
      assert_refused("bad_argument", "hash.canonical_json: expected the JSON text as a string, got table", hash.canonical_json, {})
    end)
  end)

  it("equal compares bytes and lengths", function()
    assert.is_true(hash.equal("", ""))
    assert.is_true(hash.equal("a\0b", "a\0b"))
    assert.is_false(hash.equal("a\0b", "a\0c"))
    assert.is_false(hash.equal("a", "ab"))
    assert_refused("bad_argument", "hash.equal: expected both values as a string, got nil", hash.equal, "a", nil)
  end)

  it("random gives as many bytes as asked for, up to a mebibyte", function()
    assert.are.equal("", hash.random(0))
    assert.are.equal(1048576, #hash.random(1048576))
    assert.are_not.equal(hash.random(32), hash.random(32))
    for _, n in ipairs { -1, 1048577, 1.5, "4" } do
      assert_refused("bad_argument", "hash.random: expected a number of bytes from 0 to 1048576", hash.random, n)
    end
  end)

  describe("spellings", function()
    it("hex and unhex are inverse", function()
      local all = {}
      for i = 0, 255 do all[#all + 1] = string.char(i) end
      local bytes = table.concat(all)
      assert.are.equal(bytes, hash.unhex(hash.hex(bytes)))
      assert.are.equal(bytes, hash.unhex(hash.hex(bytes):upper()))
      assert.are.equal("00ff", hash.hex "\0\xff")
      assert_refused("hash_text", "hexadecimal text has an odd number of digits, 1", hash.unhex, "a")
      assert_refused("hash_text", "hexadecimal text: byte 2 is no digit from 0 to f", hash.unhex, "0x")
    end)

    it("base64 and unbase64 are inverse in both variants", function()
      for n = 0, 20 do
        local bytes = hash.random(n)
        assert.are.equal(bytes, hash.unbase64(hash.base64(bytes)))
        assert.are.equal(bytes, hash.unbase64(hash.base64(bytes, "url"), "url"))
      end
      assert.are.equal("++//", hash.base64 "\xfb\xef\xff")
      assert.are.equal("--__", hash.base64("\xfb\xef\xff", "url"))
      assert.are.equal("Zg==", hash.base64("f", "standard"))
      assert.are.equal("Zg", hash.base64("f", "url"))
    end)

    it("refuse another spelling of the same bytes, and another variant", function()
      assert_refused("hash_text", "base64 text ends in bits that belong to no byte", hash.unbase64, "Zh==")
      assert_refused("hash_text", "base64 text: byte 3 is not of its alphabet", hash.unbase64, "Zg==", "url")
      assert_refused("bad_argument", 'hash.base64: expected the variant "standard" or "url"', hash.base64, "x", "URL")
      assert_refused("bad_argument", 'hash.unbase64: expected the variant "standard" or "url"', hash.unbase64, "x", true)
    end)
  end)

  describe("Ed25519", function()
    -- RFC 8032 section 7.1, test 3
    local seed = hash.unhex "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
    local public = hash.unhex "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    local signature = hash.unhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
      .. "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")

    it("derives, signs and verifies as RFC 8032 does", function()
      local pair = hash.ed25519_keypair(seed)
      assert.are.equal(public, pair.public)
      assert.are.equal(seed, pair.private)
      assert.are.equal(signature, hash.ed25519_sign(seed, "\xaf\x82"))
      assert.is_true(hash.ed25519_verify(public, "\xaf\x82", signature))
    end)

    it("makes another pair each time, which verifies what it signs and nothing else", function()
      local a, b = hash.ed25519_keypair(), hash.ed25519_keypair()
      assert.are_not.equal(a.private, b.private)
      local sealed = hash.ed25519_sign(a.private, "text")
      assert.are.equal(64, #sealed)
      assert.is_true(hash.ed25519_verify(a.public, "text", sealed))
      assert.is_false(hash.ed25519_verify(a.public, "test", sealed))
      assert.is_false(hash.ed25519_verify(b.public, "text", sealed))
    end)

    it("says no to a signature of another length, and refuses keys of one", function()
      assert.is_false(hash.ed25519_verify(public, "\xaf\x82", ""))
      assert.is_false(hash.ed25519_verify(public, "\xaf\x82", signature .. "\0"))
      assert.is_false(hash.ed25519_verify(public, "\xaf\x82", signature:sub(1, 63)))
      assert_refused("bad_argument", "hash.ed25519_verify: expected a public key of 32 bytes, got 31",
        hash.ed25519_verify, public:sub(2), "x", signature)
      assert_refused("bad_argument", "hash.ed25519_sign: expected a private key of 32 bytes, got 64", hash.ed25519_sign, signature, "x")
      assert_refused("bad_argument", "hash.ed25519_keypair: expected a seed of 32 bytes, got 3", hash.ed25519_keypair, "abc")
    end)
  end)

  it("is what scripts get by require \"hash\", with every function its stub describes", function()
    assert.are.equal(hash, require "hash")
    assert.are.equal(json, require "json")
    for _, noun in ipairs { "hash", "json" } do
      local stub = assert(io.open("stdlib/meta/" .. noun .. ".lua")):read "a"
      local described, module = {}, require("engine." .. noun)
      for name in stub:gmatch("\nfunction " .. noun .. "%.([%w_]+)%(") do
        described[name] = true
        assert.is_function(module[name], name)
      end
      for name, value in pairs(module) do
        assert.is_true(described[name] or type(value) ~= "function", name .. " is not described")
      end
    end
  end)
end)
