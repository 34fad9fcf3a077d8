-- What: lines to the operator without end
-- Gate: -
-- Operation: ERROR event_flood|gate_cpu|gate_timeout
-- Audit: -
local line = ("x"):rep(1 << 16)
while true do ctx:say(line) end
