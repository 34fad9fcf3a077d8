-- What: a gigabyte printed
-- Gate: ERROR print_flood
-- Audit: PASS
local line = ("x"):rep(1 << 20)
for _ = 1, 1024 do print(line) end
