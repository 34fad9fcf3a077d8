-- What: table.move of 2^62 in one C call
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
table.move({}, 1, 1 << 62, 2)
