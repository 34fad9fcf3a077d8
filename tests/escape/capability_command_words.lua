-- What: arguments of a command that a shell would read
-- Gate: PASS
-- Audit: -
-- Needs: commands = { "echo" }
local evil = { "; touch /tmp/gate-engine-escape", "$(id)", "`id`", "a b", "| cat", "-n\n", "" }
local reply = ctx.exec:run("echo", { args = evil })
if reply.stdout ~= table.concat(evil, " ") .. "\n" then escaped(reply.stdout) end
