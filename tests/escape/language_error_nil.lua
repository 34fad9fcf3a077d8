-- What: nil raised, which looks like success to a careless caller
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error(nil)
