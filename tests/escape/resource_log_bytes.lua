-- What: log lines of a megabyte without end
-- Gate: ERROR event_flood|gate_cpu|gate_timeout
-- Audit: -
local line = ("x"):rep(1 << 20)
while true do ctx:log(line) end
