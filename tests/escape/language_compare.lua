-- What: known bug of 5.4.6: comparing texts with zero bytes reads too far
-- Gate: PASS
-- Audit: PASS
local a, b = ("x\0"):rep(1000), ("x\0"):rep(1000) .. "\0"
for i = 1, 1000 do
  local s, t = a:sub(1, i), b:sub(1, i + 1)
  if not (s < t) or t < s or not (s <= t) then escaped("an order that is none") end
end
