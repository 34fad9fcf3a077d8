-- What: known bugs of 5.4.1 to 5.4.4: generic for with more values, and its closing value at break
-- Gate: PASS
-- Audit: PASS
local f = load("for x in 1, 2, 3, 4, 5 do end")
if f then pcall(f) end
local closed = 0
local value = setmetatable({}, { __close = function() closed = closed + 1 end })
for i = 1, 3 do
  for _ in next, { 1 }, nil, value do if i > 1 then break end end
end
if closed ~= 3 then escaped(("closed %d times of 3"):format(closed)) end
