-- What: a full stack, whose error a __close replaces before pcall hands it back
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local function f() return 1 + f() end
pcall(function()
  local _ <close> = setmetatable({}, { __close = function() error("another") end })
  f()
end)
