-- What: a skip without a reason in the configuration
-- Gate: ERROR skip_not_proven
-- Audit: -
ctx:skip("nothing to do")
