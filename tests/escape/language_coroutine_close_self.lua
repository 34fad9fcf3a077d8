-- What: closing and resuming what runs
-- Gate: PASS
-- Audit: PASS
local running = coroutine.running()
if pcall(coroutine.close, running) then escaped("closed the running one") end
if coroutine.resume(running) then escaped("resumed the running one") end
local co
co = coroutine.create(function() return coroutine.resume(co) end)
coroutine.resume(co)
if pcall(coroutine.wrap(function() coroutine.close(co) coroutine.close(coroutine.running()) end)) then escaped("closed itself") end
