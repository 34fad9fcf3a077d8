-- What: a full stack in a coroutine of coroutine.wrap, whose error a __close replaces
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
-- A hundred values below each frame: the stack is full before the memory is.
local function f()
  return 1 + select("#",
    nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    f())
end
pcall(coroutine.wrap(function()
  local _ <close> = setmetatable({}, { __close = function() error("another") end })
  f()
end))
