-- What: known bug of 5.4.7: wrong code for indices that are comparisons
-- Gate: PASS
-- Audit: PASS
local t = { [true] = "yes", [false] = "no" }
local a, b = 1, 2
if t[a == b] ~= "no" or t[a < b] ~= "yes" or t[not a] ~= "no" or t[a == b or a < b] ~= "yes" then escaped("read") end
t[a == b], t[a ~= b] = "NO", "YES"
if t[false] ~= "NO" or t[true] ~= "YES" then escaped("written") end
for _, text in ipairs { "return ({})[1 == 1]", "local t = {} t[1 < 2] = 3 return t[true]", "return ('x')[1 ~= 1]", "local t <const> = {} return t[t == t]" } do
  local ok, f = pcall(load, text)
  if ok and f then pcall(f) end
end
