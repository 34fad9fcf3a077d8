-- What: a function raised
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error(function() while true do end end)
