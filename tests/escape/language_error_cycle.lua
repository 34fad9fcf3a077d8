-- What: an error object that contains itself in each field
-- Gate: ERROR script_error
-- Audit: ERROR script_error
local e = {}
e.code, e.message, e.detail, e.fix, e.where = e, e, e, e, e
error(e)
