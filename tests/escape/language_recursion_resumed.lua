-- What: a full stack in a coroutine, its error left lying
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local function f() return 1 + f() end
coroutine.resume(coroutine.create(f))
