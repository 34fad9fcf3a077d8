-- What: __close raises another error while the first one is on its way
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local a <close> = setmetatable({}, { __close = function() error("second") end })
local b <close> = setmetatable({}, { __close = function() error(setmetatable({}, { __tostring = error })) end })
error("first")
