---@meta

--- `require "task"`: coroutines that wait together. Where one waits for a database, a service or the broker, another goes on.
--- There are no threads: work that does not wait runs one after the other, so a task needs no locks.
---@class gate.task
local task = {}

--- Runs `fn(item, index)` for each item of `list`, at most `n` at a time (1 to 1000), and waits for all of them.
---
--- Items start in order; when each ends depends on what it waits for. A connection of `db` is used by one task at a time: open
--- one per task. `task.map` inside a task works, and its waits overlap with those of the other tasks.
---
--- When a task raises an error, no further ones start, those that wait are cancelled (their wait raises `task_cancelled`; a
--- statement under way is cancelled on the server, and its transaction rolls back), and once all have ended the first error is
--- raised, the same value. A coroutine of the script's own inside a task may wait too, but then nothing else goes on.
---
--- Errors: `bad_argument`; `task_yield` when a task calls coroutine.yield itself; whatever `fn` raises.
---
--- ```lua
--- local squares = task.map({ 1, 2, 3 }, 2, function(item) return item * item end)
--- assert(squares[3] == 9 and squares.n == 3)
--- ```
---@generic T, R
---@param list T[]
---@param n integer most tasks at once
---@param fn fun(item: T, index: integer): R?
---@return R[] results the first result of each call, at its item's place; `n` holds how many items there were
function task.map(list, n, fn) end

--- Waits. In a task the others go on meanwhile. For retries: never for hoping that something has happened by then.
---@param seconds number 0 to 86400
function task.sleep(seconds) end

--- Milliseconds of the monotonic clock, with fraction, from a point of no meaning: only differences say something.
---
--- ```lua
--- local started = task.now()
--- task.sleep(0.01)
--- assert(task.now() - started >= 10)
--- ```
---@return number
function task.now() end

return task
