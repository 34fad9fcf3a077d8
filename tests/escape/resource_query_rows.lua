-- What: a query whose result is gigabytes, held outside of Lua
-- Gate: ERROR script_memory|db_query|db_lost|out_of_memory|worker_crash|gate_timeout|gate_cpu|db_connect|db_memory
-- Audit: -
-- Needs: db = { "admin" }
ctx.db.admin:query("select repeat('x', 1000000) || i from generate_series(1, 4000) i")
