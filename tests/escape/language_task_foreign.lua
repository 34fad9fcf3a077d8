-- What: a task of task.map is closed and resumed by another, while C functions wait on its stack
-- Gate: PASS
-- Audit: -
-- Needs: db = { "app" }
local task = require "task"
local function attempt(on, wait)
  local victim
  task.map({ 1, 2 }, 2, function(i)
    if i == 1 then
      victim = coroutine.running()
      return wait()
    end
    repeat task.sleep(0) until victim
    local ok, resumed = pcall(on, victim)
    if ok and resumed then escaped("a task was reached by another") end
    for k = 1, 20000 do local _ = { k } end
    task.sleep(0.01)
  end)
end
for _, on in ipairs { coroutine.close, coroutine.resume, function(co) return coroutine.wrap(function() return coroutine.resume(co) end)() end } do
  attempt(on, function() task.sleep(0.05) end)
  attempt(on, function() task.map({ 1, 2 }, 2, function() task.sleep(0.05) end) end)
  local conn = ctx.db:open("app")
  attempt(on, function() conn:query("select pg_sleep(0.05)") end)
  attempt(on, function() conn:transaction(function() conn:query("select pg_sleep(0.05)") end) end)
  if conn:value("select 1") ~= 1 then escaped("the connection is broken") end
  conn:close()
end
-- One's own coroutines are one's own, in tasks too.
local sum = 0
task.map({ 1, 2, 3 }, 3, function(x)
  local co = coroutine.create(function(a) local b = coroutine.yield(a) return b end)
  coroutine.resume(co, x)
  local _, b = coroutine.resume(co, 10)
  task.sleep(0)
  sum = sum + b
  coroutine.close(coroutine.create(print))
end)
if sum ~= 30 then escaped("own coroutines: " .. sum) end
