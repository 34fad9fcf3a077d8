-- What: a function that calls itself without end
-- Gate: ERROR script_error|script_memory
-- Audit: ERROR script_error|script_memory
local function f() return 1 + f() end
f()
