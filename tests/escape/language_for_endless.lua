-- What: numeric for over all integers
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
for _ = math.mininteger, math.maxinteger do end
