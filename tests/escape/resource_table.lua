-- What: a table without end
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
local t = {}
for i = 1, math.huge do t[i] = i end
