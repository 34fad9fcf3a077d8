-- What: an error object whose fields are made by an endless __index
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error(setmetatable({}, { __index = function() while true do end end, __len = function() while true do end end }))
