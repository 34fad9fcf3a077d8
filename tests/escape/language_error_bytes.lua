-- What: an error text that is not UTF-8
-- Gate: ERROR script_error
-- Audit: ERROR script_error
error("\xff\xfe\0\x80 \xed\xa0\x80", 0)
