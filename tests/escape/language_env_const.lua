-- What: known bug of 5.4.4 (CVE-2022-28805): wrong code where _ENV is a constant
-- Gate: PASS
-- Audit: PASS
for _, text in ipairs { "local _ENV <const> = 11; X = 'hi'", "local _ENV <const> = 1; local function f() return X end return f()",
  "local _ENV <const> = nil; return X.Y.Z" } do
  local f = load(text)
  if f and pcall(f) then escaped(text) end
end
