-- What: a hundred commands that write without end, and twenty megabytes for each of a hundred that do not read
-- Gate: PASS
-- Audit: -
-- Needs: commands = { "endless", "sleeper" }
local task = require "task"
local list = {}
for i = 1, 100 do list[i] = i end
local refused = 0
task.map(list, 100, function(i)
  local ok, e = pcall(ctx.exec.run, ctx.exec, "endless", { args = { ("x"):rep(1000) }, timeout = 2 })
  if not ok and (e.code == "exec_limit" or e.code == "exec_timeout") then refused = refused + 1 end
end)
if refused ~= 100 then escaped("an endless output was taken") end
