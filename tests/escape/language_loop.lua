-- What: a loop without end that swallows every error
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
while true do pcall(error, "x") end
