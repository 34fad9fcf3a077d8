-- What: a second check of the same name, to lay a pass over a failure
-- Gate: FAIL
-- Audit: -
escaped("the first one")
ctx:check("attack", function() end)
