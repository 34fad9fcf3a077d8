-- What: known bugs of 5.4.0 to 5.4.3: yielding in __close while values are returned
-- Gate: PASS
-- Audit: PASS
local function closing() return setmetatable({}, { __close = function() coroutine.yield("closing") end }) end
local co = coroutine.wrap(function(...)
  local _ <close> = closing()
  local _ <close> = closing()
  return ...
end)
co(1, 2, 3)
co()
local a, b, c = co()
if a ~= 1 or b ~= 2 or c ~= 3 then escaped("values were lost") end
