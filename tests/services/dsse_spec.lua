-- Signed statements and a verifier that is none of ours: sigstore's (npm @sigstore/verify) takes what gate-engine signs and refuses what
-- was touched; gate-engine takes what is signed over sigstore's encoding. Skipped where npm could not be reached (fetch.sh).
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

local has, quote = support.has, support.quote
local fetched = support.build .. "/services"
local missing = support.read(fetched .. "/missing")

local function output_of(command)
  local pipe = assert(io.popen(command .. "; echo $?"))
  local text, code = pipe:read("a"):match "^(.-)(%d+)\n$"
  pipe:close()
  return text, tonumber(code)
end

describe("a signed statement", function()
  local dir = support.tmpdir()
  local function engine(...) return support.run { cwd = dir, ... } end
  local function sigstore(envelope, key)
    return output_of(("node tests/services/dsse_verify.mjs %s %s %s 2>&1"):format(quote(fetched), quote(dir .. "/" .. envelope),
      quote(dir .. "/" .. key)))
  end
  --- it, or aloud why not.
  local function with_npm(name, fn)
    if not missing then return it(name, fn) end
    pending(name .. ": " .. missing:gsub("%s+$", ""))
  end

  setup(function()
    if missing then return end
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded",
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]])
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "other.pem").code)
    support.shell(("cd %s && openssl genpkey -algorithm ed25519 -out openssl.pem && "
      .. "openssl pkey -in openssl.pem -pubout -out openssl.pem.pub")
      :format(quote(dir)))
    local r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    support.write(dir .. "/good.json", support.must_read(dir .. "/evidence/statements/acme-1.json"))
  end)

  with_npm("is taken by sigstore's verifier, and says what the ledger says", function()
    local text, code = sigstore("good.json", "key.pem.pub")
    assert.equal(0, code, text)
    local statement = json.decode(text)
    local record = json.decode((support.must_read(dir .. "/evidence/ledger.jsonl"):match "^[^\n]+"))
    record.hash, record.statement = nil, nil
    assert.same(record, statement.predicate)
    assert.equal("https://in-toto.io/Statement/v1", statement._type)
  end)

  with_npm("is refused by it where its payload, its type, its signature or the key is another", function()
    local envelope = json.decode((support.must_read(dir .. "/good.json")))
    local function altered(change)
      local copy = json.decode(json.encode(envelope))
      change(copy)
      support.write(dir .. "/bad.json", json.encode(copy))
      return sigstore("bad.json", "key.pem.pub")
    end
    for _, change in ipairs {
      function(e) e.payload = (e.payload:sub(1, 1) == "e" and "f" or "e") .. e.payload:sub(2) end,
      function(e) e.payloadType = "application/json" end,
      function(e) e.signatures[1].sig = (e.signatures[1].sig:sub(1, 1) == "A" and "B" or "A") .. e.signatures[1].sig:sub(2) end,
    } do
      local text, code = altered(change)
      assert.equal(1, code, text)
      has(text, "refused: SIGNATURE_ERROR")
    end
    local text, code = sigstore("good.json", "other.pem.pub")
    assert.equal(1, code, text)
    has(text, "refused: PUBLIC_KEY_ERROR")
  end)

  with_npm("of another program, over sigstore's encoding and with a key of openssl's, is taken by verify", function()
    support.write(dir .. "/statement.json", [[{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.org/x/v1",
      "subject": [{"name": "acme", "digest": {"sha256": "]] .. ("0"):rep(64) .. [["}}],
      "predicate": {"tenant": {"code": "acme"}, "at": "2027-01-31T00:00:00Z"}}]])
    local envelope, code = output_of(("node tests/services/dsse_sign.mjs %s %s/statement.json %s/openssl.pem"):format(quote(fetched),
      quote(dir), quote(dir)))
    assert.equal(0, code, envelope)
    support.write(dir .. "/foreign.json", envelope)
    local r = engine("verify", "foreign.json", "--key", "openssl.pem.pub")
    assert.equal(0, r.code, r.stderr)
    has(r.stdout, "foreign.json: valid: signed by ", "tenant acme, 2027-01-31T00:00:00Z")
    assert.equal(1, engine("verify", "foreign.json", "--key", "key.pem.pub").code)
  end)
end)
