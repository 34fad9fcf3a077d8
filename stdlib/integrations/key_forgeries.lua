--- Keys that must not open anything, whatever compares them.
local hash = require "hash"

--- Each forgery of a key, with what it is; none is the key itself.
---@param key string      that opens
---@param stored string?  what the platform is known to store in its place
---@return {[1]: string, [2]: string}[]  what it is, the key to show
return function(key, stored)
  local prefix = key:match "^%a+_%a+_" or "" -- as "sk_live_"
  local last = key:sub(-1) == "0" and "1" or "0"
  local all = {
    { "another random key", prefix .. hash.hex(hash.random(math.max(8, (#key - #prefix) // 2))) },
    { "the key with its last character changed", key:sub(1, -2) .. last },
    { "the key without its last character", key:sub(1, -2) },
    { "the key and one character more", key .. "0" },
    { "the key in upper case", key:upper() },
    { "the key in lower case", key:lower() },
    { "an empty key", "" },
    { "a pattern", "%" },
    { "the SHA-256 of the key, which a store may hold", hash.sha256(key) },
    stored and { "what the database stores in place of the key", stored } or nil,
  }
  local out = {}
  for _, case in ipairs(all) do
    if case[2] ~= key then out[#out + 1] = case end
  end
  return out
end
