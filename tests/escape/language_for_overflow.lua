-- What: numeric for at the edges of integers ends
-- Gate: PASS
-- Audit: PASS
local n = 0
for _ = math.maxinteger - 1, math.maxinteger do n = n + 1 if n > 5 then break end end
for _ = math.mininteger + 1, math.mininteger, -1 do n = n + 1 if n > 5 then break end end
for _ = math.maxinteger, math.mininteger, math.mininteger do n = n + 1 if n > 9 then break end end
if n ~= 6 then escaped("looped " .. n .. " times") end
if pcall(function() for _ = 1, 2, 0 do break end end) then escaped("a step of 0") end
