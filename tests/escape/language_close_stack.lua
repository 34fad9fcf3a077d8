-- What: known bug of 5.4.4: __close moves the stack under lua_settop
-- Gate: PASS
-- Audit: PASS
local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
local function closing() return setmetatable({}, { __close = function() deep(20000) end }) end
for _ = 1, 20 do
  pcall(function() local _ <close> = closing() error("x") end)
  local co = coroutine.create(function() local _ <close> = closing() coroutine.yield() end)
  coroutine.resume(co)
  coroutine.close(co)
  for _ in next, {}, nil, closing() do break end
end
