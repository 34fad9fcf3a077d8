-- What: two coroutines that hand over to each other for ever
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
local a = coroutine.wrap(function() while true do coroutine.yield() end end)
while true do a() end
