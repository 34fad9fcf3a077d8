-- What: an object whose text never ends
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: FAIL
local endless = setmetatable({}, { __tostring = function() while true do end end })
if ctx then ctx:fail("escaped", { object = endless }) else report:violation { object = endless, detail = endless } end
