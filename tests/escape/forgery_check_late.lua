-- What: a finding of a coroutine that outlived its check: it counts for the check that runs
-- Gate: FAIL
-- Audit: -
local later
ctx:check("inner", function() later = coroutine.create(function() ctx:fail("escaped", { object = "late" }) end) end)
ctx.late = later
local ok, raised = coroutine.resume(later)
if not ok then error(raised, 0) end
