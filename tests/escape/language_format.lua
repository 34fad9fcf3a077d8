-- What: string.format at its edges
-- Gate: PASS
-- Audit: PASS
for _, f in ipairs { "%99999s", "%.9999f", "%y", "%", "%ll", "%#######d", "%s%s%s", "%d", "%c%" } do
  if pcall(string.format, f, 1.5) then escaped(f) end
end
if pcall(string.format, "%s", setmetatable({}, { __tostring = function() return {} end })) then escaped("__tostring gave a table") end
if pcall(string.format, "%q", {}) then escaped("%q of a table") end
if pcall(string.format, "%99.99f", -1e308) and #string.format("%99.99f", -1e308) > 600 then escaped("length") end
