-- What: facts named like fields of the report
-- Gate: FAIL
-- Audit: -
for _, name in ipairs { "status", "approved", "checks", "exit_code", "__proto__" } do ctx:fact(name, "PASS") end
escaped("it is a failure")
