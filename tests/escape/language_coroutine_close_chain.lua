-- What: known bug of 5.4.4: a chain of coroutine.close overflows the C stack
-- Gate: ERROR worker_crash|script_error|gate_cpu|script_memory
-- Audit: ERROR audit_crash|script_error|audit_timeout|script_memory
local co
for _ = 1, 200000 do
  local previous = co
  co = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() coroutine.close(previous) end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  if not previous then previous = coroutine.create(print) end
end
coroutine.close(co)
error("survived")
