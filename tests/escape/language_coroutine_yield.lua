-- What: yielding where nobody waits
-- Gate: ERROR script_error
-- Audit: ERROR script_error
coroutine.yield("out")
