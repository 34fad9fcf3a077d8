-- What: a chain of __index that closes into a ring
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local a, b = {}, {}
setmetatable(a, { __index = b })
setmetatable(b, { __index = a })
return a.x
