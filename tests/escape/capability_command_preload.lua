-- What: a library forced into a command through its environment
-- Gate: PASS
-- Audit: -
-- Needs: commands = { "environment" }
for _, name in ipairs { "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "IFS" } do
  local ok, reply = pcall(ctx.exec.run, ctx.exec, "environment", { perturb = { env = { [name] = "/tmp/evil.so" } } })
  if ok and reply.stdout:find(name .. "=/tmp/evil.so", 1, true) then escaped(name) end
end
