-- What: known bug of 5.4.3 (CVE-2021-44647): naming what was called in an error's text
-- Gate: PASS
-- Audit: PASS
for _, text in ipairs { "local x <close> = 4", "for k in nil do end", "for k in {} do end", "local t = {} t.x.y.z()", "return -{}", "return #nil",
  "return {} .. {}", "return nil < 1", "return 2^{}", "local a <close> = setmetatable({}, {__close = 1})", "return ('x')()", "return {} | 1" } do
  local f = load(text)
  if f and pcall(f) then escaped(text) end
end
