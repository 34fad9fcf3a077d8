-- What: empty lines printed without end
-- Gate: ERROR print_flood|gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
while true do print() end
