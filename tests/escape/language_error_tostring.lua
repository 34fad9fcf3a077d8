-- What: an error object whose __tostring never ends: errors are read raw
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error(setmetatable({}, { __tostring = function() while true do end end }))
