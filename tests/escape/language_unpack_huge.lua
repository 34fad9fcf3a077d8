-- What: table.unpack of more than any stack holds
-- Gate: PASS
-- Audit: PASS
for _, n in ipairs { 1 << 62, math.maxinteger, 1 << 31, 10000000 } do
  if pcall(table.unpack, {}, 1, n) then escaped("unpacked " .. n) end
end
if pcall(table.unpack, {}, math.mininteger, math.maxinteger) then escaped("unpacked all") end
if pcall(select, math.mininteger) then escaped("select") end
if pcall(string.char, table.unpack(setmetatable({}, { __index = function() return 256 end }), 1, 100)) then escaped("char 256") end
