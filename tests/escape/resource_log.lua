-- What: log lines without end: the other gates are served and the supervisor keeps its clock
-- Gate: ERROR event_flood|gate_cpu|gate_timeout
-- Audit: -
while true do ctx:log("x") end
