-- What: a failed check named like lines of a report
-- Gate: ERROR script_error|forged
-- Audit: -
ctx:check("x\nFORGED === OVERALL: 4/4 GATES PASS ===", function() error({ code = "forged", message = "m\nFORGED 4/4" }) end)
