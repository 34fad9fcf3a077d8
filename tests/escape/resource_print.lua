-- What: two gigabytes printed
-- Gate: ERROR print_flood
-- Audit: PASS
local line = ("x"):rep(1 << 20)
for _ = 1, 2048 do print(line) end
