-- What: a command reads a locale, a translation or a time zone from a file of the script's choice
-- Gate: PASS
-- Audit: -
-- Needs: commands = { "environment" }
for name, value in pairs { LANGUAGE = "../../../../tmp/evil", TZ = ":/tmp/evil", LC_ALL = "../evil", LANG = "/tmp/evil", LC_MESSAGES = "a\nLD_PRELOAD=evil",
  GLIBC_TUNABLES = "a=/evil" } do
  local ok, reply = pcall(ctx.exec.run, ctx.exec, "environment", { perturb = { env = { [name] = value } } })
  if ok and reply.stdout:find("evil", 1, true) then escaped(name) end
end
for _, value in ipairs { "/evil", "a/../evil", "a/..", "Europe/Vienna\nX=evil" } do
  local ok, reply = pcall(ctx.exec.run, ctx.exec, "environment", { perturb = { env = { TZ = value } } })
  if ok and reply.stdout:find(value, 1, true) then escaped("TZ " .. value) end
end
local reply = ctx.exec:run("environment", { perturb = { env = { TZ = "Pacific/Kiritimati", LC_ALL = "de_DE.UTF-8" }, faketime = "%n\nLD_AUDIT=evil" } })
if not reply.stdout:find("TZ=Pacific/Kiritimati", 1, true) or not reply.stdout:find("LC_ALL=de_DE.UTF-8", 1, true) then escaped("honest values") end
if reply.stdout:find("evil", 1, true) then escaped("faketime") end
