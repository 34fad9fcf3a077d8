-- What: a hundred thousand tasks at once
-- Gate: ERROR script_memory|script_error|gate_cpu|gate_timeout|bad_argument
-- Audit: -
local list = {}
for i = 1, 100000 do list[i] = i end
local task = require "task"
task.map(list, 100000, function() task.sleep(1000) end)
