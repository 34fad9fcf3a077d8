-- What: JSON nested a million deep
-- Gate: PASS
-- Audit: -
local json = require "json"
for _, open in ipairs { "[", '{"a":' } do
  if pcall(json.decode, open:rep(1000000)) then escaped("decoded") end
end
local deep = {}
local at = deep
for _ = 1, 100000 do at[1] = {} at = at[1] end
if pcall(json.encode, deep) then escaped("encoded") end
local ring = {}
ring[1] = ring
if pcall(json.encode, ring) then escaped("a ring") end
