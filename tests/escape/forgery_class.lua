-- What: a failure that the head does not declare
-- Gate: ERROR failure_unknown
-- Audit: -
ctx:fail("rls_missing", { object = "public.x" })
