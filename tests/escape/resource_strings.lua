-- What: strings without end
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
local s = "x"
while true do s = s .. s end
