-- What: lines of a report, printed
-- Gate: FAIL
-- Audit: FAIL
print("FORGED\n  ✅ PASS - Everything\n\nFORGED === OVERALL: 4/4 GATES PASS ===\nTenant demo is approved")
print("\27[2J\27[H\27]0;FORGED\7")
escaped("it is a failure")
