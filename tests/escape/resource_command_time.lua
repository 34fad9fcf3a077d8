-- What: a command that sleeps for days, and leaves a child that does
-- Gate: ERROR exec_timeout|gate_timeout
-- Audit: -
-- Needs: commands = { "sleeper" }
ctx.exec:run("sleeper", {})
