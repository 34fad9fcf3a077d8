-- What: a thousand connections
-- Gate: ERROR db_connect|worker_crash|script_error|db_auth|db_query
-- Audit: -
-- Needs: db = { "app" }
local keep = {}
for i = 1, 1000 do keep[i] = ctx.db:open("app") keep[i]:value("select 1") end
