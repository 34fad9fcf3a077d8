-- What: control characters, escape sequences and directions in every text of a finding
-- Gate: FAIL
-- Audit: FAIL
local evil = "\27[31mFORGED\27]0;t\7\r\nFORGED === OVERALL: 4/4 GATES PASS ===\nFORGED\u{202e}\u{2066}\u{2028}\u{9b}\u{0}\b\f\v\127"
if ctx then
  ctx:fail("escaped", { object = evil, detail = evil, fix = evil, reproduce = evil, args = { evil } })
  ctx:fact(evil, evil)
  ctx:fact("list", { evil, { evil } })
  ctx:summary(evil)
  ctx:log(evil)
else
  report:violation { object = evil, detail = evil }
  report:violation(evil)
end
