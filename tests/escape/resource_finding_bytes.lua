-- What: findings of a megabyte each
-- Gate: FAIL
-- Audit: FAIL
local text = ("x"):rep(1 << 20)
for _ = 1, 500 do escaped(text) end
