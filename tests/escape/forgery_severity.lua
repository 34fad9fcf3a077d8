-- What: severities that do not exist
-- Gate: FAIL
-- Audit: -
for _, severity in ipairs { "PASS", "none", "", "ADVISORY", "leak\0" } do
  ctx:fail("escaped", { object = "x", severity = severity })
end
