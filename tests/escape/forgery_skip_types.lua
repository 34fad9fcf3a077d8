-- What: a skip whose proof is no text
-- Gate: ERROR bad_argument
-- Audit: -
ctx:skip({}, {})
