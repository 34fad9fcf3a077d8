-- What: known bug of 5.4.4: wrong code for constants in bitwise operations of a function with very many constants
-- Gate: PASS
-- Audit: PASS
local text = { "local x, y = ... local t = {" }
for i = 1, 400 do text[#text + 1] = ("%d.25,"):format(i) end
text[#text + 1] = "} return 123456789 & x, x | 987654321, 1122334455667788 ~ x, x & y, 55555555 & (x + y), (x | y) & 77777777 end"
local f = assert(load((table.concat(text):gsub(" end$", ""))))
for _, pair in ipairs { { 0, 0 }, { -1, 5 }, { 0x7fffffffffffffff, 3 }, { 12345, 67890 } } do
  local x, y = pair[1], pair[2]
  local a, b, c, d, e, g = f(x, y)
  local k1, k2, k3, k4, k5 = 123456789, 987654321, 1122334455667788, 55555555, 77777777
  if a ~= k1 & x or b ~= x | k2 or c ~= k3 ~ x or d ~= x & y or e ~= k4 & (x + y) or g ~= (x | y) & k5 then
    escaped(("%d and %d gave %s %s %s %s %s %s"):format(x, y, a, b, c, d, e, g))
  end
end
