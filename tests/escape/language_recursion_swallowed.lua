-- What: a full stack, swallowed by xpcall with a handler that says something else
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local function f() return 1 + f() end
xpcall(f, function() return "nothing happened" end)
