-- What: known bug of 5.4.7: a closing variable overwrites the message handler of a thread that is closed
-- Gate: PASS
-- Audit: PASS
local handled = 0
local function closing(n) return setmetatable({}, { __close = function(_, e) local a, b, c, d = 1, 2, 3, 4 error(n + a + b + c + d, 0) end }) end
for n = 1, 200 do
  local co = coroutine.create(function()
    xpcall(function()
      local _ <close> = closing(n)
      local _ <close> = closing(n)
      coroutine.yield()
    end, function(e) handled = handled + 1 return e end)
  end)
  coroutine.resume(co)
  local ok, e = coroutine.close(co)
  if ok or e ~= n + 10 then escaped(("closing gave %s"):format(tostring(e))) end
end
