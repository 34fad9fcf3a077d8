-- What: known bug of 5.4.4 (CVE-2022-33099): errors while an error is handled
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local function loop(x, y, z) return 1 + loop(x, y, z) end
xpcall(loop, loop)
local function handler(e) return xpcall(error, handler, e) end
xpcall(loop, handler)
error("survived")
