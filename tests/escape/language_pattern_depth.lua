-- What: patterns too deep, too long, broken
-- Gate: PASS
-- Audit: PASS
local long = ("x"):rep(1 << 20)
for _, p in ipairs { ("(x"):rep(300), ("(.-)"):rep(40), "%", "[", "[^", "%b", "%f", "(", "x)", "%1", "(()%1", "[a-%", "%g(", "x*)" } do
  if pcall(string.find, long, p) and p ~= "x)" then escaped(p:sub(1, 20)) end
end
if pcall(string.match, long, ("x?"):rep(300000)) then escaped("a pattern of 300000 items") end
if pcall(string.gsub, "x", "x", "%2") then escaped("a capture that is not there") end
