-- What: an error object with a __name of a megabyte
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error(setmetatable({}, { __name = ("n"):rep(1 << 20) }))
