-- What: known bug of 5.4.3: __close that yields while many values are returned mixes them up
-- Gate: PASS
-- Audit: PASS
local function many(...)
  local _ <close> = setmetatable({}, { __close = function() coroutine.yield("closing") local t = {} for i = 1, 50 do t[i] = i end end })
  return ...
end
local co = coroutine.wrap(function(...) return many(...) end)
local list = {}
for i = 1, 100 do list[i] = i end
if co(table.unpack(list)) ~= "closing" then escaped("it did not yield") end
local got = table.pack(co())
if got.n ~= 100 then escaped(got.n .. " values of 100") end
for i = 1, got.n do if got[i] ~= i then escaped("value " .. i) break end end
