-- What: a pattern that backtracks for years in one C call
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
return (("a"):rep(40) .. "b"):find(("a*"):rep(40) .. "c")
