-- What: sources nested deeper than any stack
-- Gate: PASS
-- Audit: PASS
local n = 200000
for _, piece in ipairs { "(", "{", "- ", "not ", "function() ", "if true then ", "do ", "a(", "a[", "'x'..", "2^", "~" } do
  if load("return " .. piece:rep(n)) then escaped("compiled " .. piece) end
  if load(piece:rep(n)) then escaped("compiled " .. piece) end
end
if load(("local a <close> = nil;"):rep(300)) then escaped("300 locals") end
if load("local " .. ("a,"):rep(300) .. "a") then escaped("301 names") end
if load("return " .. ("a and "):rep(10) .. ("("):rep(n)) then escaped("parentheses") end
