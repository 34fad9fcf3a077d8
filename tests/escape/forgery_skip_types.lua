-- What: a skip whose proof is no text
-- Gate: ERROR skip_not_proven|script_error|value_type
-- Audit: -
ctx:skip({}, {})
