-- What: an error text of ten megabytes
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error(("x"):rep(10 << 20))
