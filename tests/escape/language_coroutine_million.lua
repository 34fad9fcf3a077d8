-- What: a million coroutines at once
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
local all = {}
for i = 1, 1000000 do
  all[i] = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(all[i])
end
