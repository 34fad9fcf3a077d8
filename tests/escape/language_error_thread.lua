-- What: a coroutine raised from a coroutine, inside a handler of its own
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local co = coroutine.create(function() error(coroutine.running()) end)
local _, raised = coroutine.resume(co)
xpcall(error, function() error(raised) end, "x")
error(raised)
