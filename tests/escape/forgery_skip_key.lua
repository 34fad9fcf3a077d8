-- What: a skip proven by a key that no configuration could have
-- Gate: ERROR skip_not_proven
-- Audit: -
ctx:skip("nothing to do", "no.such.key")
