-- What: the audit's report is taken apart, replaced, called wrongly: a violation stays one
-- Gate: -
-- Audit: FAIL
report:violation("first")
if getmetatable(report) ~= false then escaped("its metatable") end
pcall(function() report.violation = function() end end)
pcall(function() report.violations = {} end)
pcall(rawset, report, "violation", nil)
pcall(report.violation, nil)
pcall(report.violation, {})
pcall(report.violation, plan)
report = nil
