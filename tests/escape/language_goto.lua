-- What: goto without end
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
::again:: goto again
