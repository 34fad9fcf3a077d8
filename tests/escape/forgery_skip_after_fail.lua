-- What: a skip laid over a failure
-- Gate: FAIL
-- Audit: -
escaped("it is a failure")
ctx:skip("never mind", "packs.routing")
