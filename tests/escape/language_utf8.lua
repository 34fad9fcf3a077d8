-- What: known bug of 5.4.4: utf8.codes over broken text, and positions out of bounds
-- Gate: PASS
-- Audit: PASS
for _, text in ipairs { "\xff", "a\x80", "\xc3", "\xf8\x88\x80\x80\x80", "ab\x80\x80" } do
  if pcall(function() for _ in utf8.codes(text) do end end) and text ~= "ab\x80\x80" and text ~= "a\x80" then escaped("codes") end
end
if pcall(utf8.codepoint, "abc", 1, 1 << 62) then escaped("codepoint") end
if pcall(utf8.char, -1) or pcall(utf8.char, 1 << 31) then escaped("char") end
if pcall(utf8.offset, "abc", 1, 1 << 62) then escaped("offset") end
