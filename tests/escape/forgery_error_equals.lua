-- What: an error that says it equals everything, the mark of an orderly end too
-- Gate: ERROR
-- Audit: ERROR
error(setmetatable({}, { __eq = function() return true end }))
