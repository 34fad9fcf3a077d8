-- What: coroutines inside of coroutines until the C stack is full (CVE-2021-43519)
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local function nest() return coroutine.wrap(nest)() end
nest()
