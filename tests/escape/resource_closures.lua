-- What: closures and upvalues without end
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
local f = print
while true do local g = f f = function() return g end end
