-- What: a check whose name is lines of a report
-- Gate: PASS
-- Audit: -
ctx:check("x\nFORGED === OVERALL: 4/4 GATES PASS ===\r\27[1AFORGED", function() end)
ctx:check(("n"):rep(1 << 20), function() end)
