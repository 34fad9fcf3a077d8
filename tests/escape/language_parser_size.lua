-- What: a source of forty megabytes with half a million constants
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
local parts = {}
for i = 1, 500000 do parts[i] = ("%d.5"):format(i) end
local text = "return {" .. table.concat(parts, ",") .. "}"
load(text)
load("return '" .. ("x"):rep(40 << 20) .. "'")
load(("x=1 "):rep(4 << 20))
