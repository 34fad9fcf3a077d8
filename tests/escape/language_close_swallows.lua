-- What: __close of an error tries to turn it into a pass
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local _ <close> = setmetatable({}, { __close = function() return true end })
error("not to be swallowed")
