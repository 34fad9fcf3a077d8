-- What: a chunk without an environment
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local _ENV = nil
x = 1
