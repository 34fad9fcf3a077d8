-- What: a verdict returned instead of earned
-- Gate: FAIL
-- Audit: FAIL
escaped("it is a failure")
if ctx then return { status = "PASS", approved = true } end
plan.status = "PASS"
return { status = "PASS", violations = {} }
