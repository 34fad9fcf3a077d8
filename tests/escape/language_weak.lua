-- What: weak tables while memory is short
-- Gate: PASS
-- Audit: PASS
local weak = setmetatable({}, { __mode = "kv" })
for i = 1, 100000 do weak[{ i }] = { i } end
for i = 1, 100000 do weak[i] = setmetatable({}, { __mode = "k" }) end
