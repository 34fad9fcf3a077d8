-- What: a check inside of a check, an error thrown through both
-- Gate: ERROR script_error
-- Audit: -
ctx:check("inner", function() error("inner") end)
error("outer")
