-- What: a skip whose proof is no text
-- Gate: ERROR skip_not_proven|script_error|value_type|bad_argument
-- Audit: -
ctx:skip({}, {})
