---@meta

--- `require "hash"` (or "engine.hash"): digests, canonical JSON, signatures, random bytes. Pure: any script may use it, no
--- need has to be declared. Digests are lowercase hexadecimal; the _raw forms give the 32 bytes. Strings are bytes; a
--- number is not taken for a string.
---
--- Errors of every call: bad_argument, out_of_memory, hash_failed (OpenSSL could not do it).
---@class engine.hash
local hash = {}

--- SHA-256 (FIPS 180-4).
---
--- ```lua
--- assert(hash.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
--- ```
---@param bytes string
---@return string hex  64 digits
function hash.sha256(bytes) end

--- As sha256, as bytes.
---@param bytes string
---@return string raw  32 bytes
function hash.sha256_raw(bytes) end

--- HMAC-SHA-256 (RFC 2104).
---@param key string  of any length
---@param bytes string
---@return string hex
function hash.hmac_sha256(key, bytes) end

--- As hmac_sha256, as 32 bytes.
---@param key string
---@param bytes string
---@return string raw
function hash.hmac_sha256_raw(key, bytes) end

---@class hash.stream
local stream = {}

--- SHA-256 over parts: hash.stream():update(a):update(b):final().
---@return hash.stream
function hash.stream() end

--- Adds bytes to what is digested.
---@param bytes string
---@return hash.stream self
---Errors: hash_finished.
function stream:update(bytes) end

--- The digest of all parts. The stream is finished then.
---@return string hex
---Errors: hash_finished.
function stream:final() end

--- As final, as 32 bytes.
---@return string raw
function stream:final_raw() end

--- Lets go of a stream that is not wanted any more; may be repeated. A stream can also be a `<close>` variable.
function stream:close() end

--- Canonical JSON (RFC 8785) of a Lua value: the bytes to hash, sign or compare. Tables are read as json.encode does. The
--- float 1.0 and the integer 1 are the same number there and give the same bytes.
---@param value any
---@return string
---Errors: as json.encode, and json_number (an integer beyond 2^53 that a double does not hold).
function hash.canonical(value) end

--- Canonical form of a JSON text.
---@param text string
---@return string
---Errors: as json.decode, and json_number as above.
function hash.canonical_json(text) end

--- The digest of a value: sha256(canonical(value)).
---@param value any
---@return string hex
function hash.of(value) end

--- The digest of the value that a JSON text has: sha256(canonical_json(text)), without a copy of the canonical text.
---@param text string
---@return string hex
---Errors: as hash.canonical_json.
function hash.of_json(text) end

--- Compares two strings in a time that says nothing about where they differ. Strings of different lengths are unequal.
---@param a string
---@param b string
---@return boolean
function hash.equal(a, b) end

--- Random bytes from the operating system's generator.
---@param n integer  0 to 1048576
---@return string
function hash.random(n) end

--- Bytes as hexadecimal digits in lower case, two each.
---@param bytes string
---@return string
function hash.hex(bytes) end

--- Reads hexadecimal text, upper or lower case.
---@param text string
---@return string bytes
---Errors: hash_text (odd length, or a byte that is no digit, with its place).
function hash.unhex(text) end

--- Base64 (RFC 4648): "standard" is section 4 with padding; "url" is section 5 without.
---@param bytes string
---@param variant? "standard"|"url"
---@return string
function hash.base64(bytes, variant) end

--- Reads base64 strictly: no white space, padding as it belongs to the variant, unused bits zero.
---@param text string
---@param variant? "standard"|"url"
---@return string bytes
---Errors: hash_text.
function hash.unbase64(text, variant) end

--- An Ed25519 key pair (RFC 8032), random or from a seed. The private key is the seed.
---@param seed? string  32 bytes
---@return {private: string, public: string} raw  32 bytes each
function hash.ed25519_keypair(seed) end

--- The signature of bytes (RFC 8032, Ed25519; the same each time).
---@param private string  32 bytes
---@param bytes string
---@return string signature  64 bytes
function hash.ed25519_sign(private, bytes) end

--- Is this the key's signature over these bytes? One of another length than 64 is not.
---@param public string  32 bytes
---@param bytes string
---@param signature string
---@return boolean
function hash.ed25519_verify(public, bytes, signature) end

return hash
