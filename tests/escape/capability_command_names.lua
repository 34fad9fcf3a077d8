-- What: commands that are not declared, and what a command may be given
-- Gate: ERROR bad_argument|exec_not_declared!
-- Audit: -
-- Needs: commands = { "echo", "environment" }
for _, name in ipairs { "endless", "/bin/sh", "../echo", "solver:roster", "", "echo\0", "ECHO" } do
  if pcall(ctx.exec.run, ctx.exec, name, {}) then escaped(name) end
end
local ok, reply = pcall(ctx.exec.run, ctx.exec, "environment", { perturb = { env = { GATE = "x" } } })
if ok and reply.stdout:find("DATABASE_URL", 1, true) then escaped("the engine's environment") end
