-- What: pcall inside of pcall until nothing is left
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local depth = 0
local function f() depth = depth + 1 return pcall(f) end
f()
if depth > 1000000 then escaped("no end of the depth") end
