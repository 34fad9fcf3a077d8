-- What: a full stack in a coroutine of coroutine.wrap, whose error a __close replaces
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local function f() return 1 + f() end
pcall(coroutine.wrap(function()
  local _ <close> = setmetatable({}, { __close = function() error("another") end })
  f()
end))
