-- What: a command that writes without end
-- Gate: ERROR exec_limit|exec_timeout
-- Audit: -
-- Needs: commands = { "endless" }
ctx.exec:run("endless", {})
