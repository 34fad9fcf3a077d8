-- What: string.pack and unpack out of bounds
-- Gate: PASS
-- Audit: PASS
for _, f in ipairs { "i17", "i0", "!3 i4", "s", "c", "c99999999999999999999", "Xz", "z", "x" } do
  if pcall(string.unpack, f, "") then escaped("unpack " .. f) end
end
for _, position in ipairs { 1 << 62, math.maxinteger, 100 } do
  if pcall(string.unpack, "i4", "abcd", position) then escaped("unpack at " .. position) end
end
if pcall(string.packsize, "c" .. (1 << 30) .. "c" .. (1 << 30)) then escaped("packsize") end
if pcall(string.unpack, "s8", ("\xff"):rep(8) .. "x") then escaped("a length of 2^64") end
