-- What: a statement that never ends
-- Gate: ERROR gate_timeout
-- Audit: -
-- Needs: db = { "admin" }
ctx.db.admin:query("select pg_sleep(100000)")
