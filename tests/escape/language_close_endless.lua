-- What: __close never ends, so that the end of the function never comes
-- Gate: ERROR gate_cpu|gate_timeout
-- Audit: ERROR audit_timeout
local _ <close> = setmetatable({}, { __close = function() while true do end end })
error("first")
