-- What: an address in any text
-- Gate: -
-- Audit: PASS
if pcall(string.format, "%p", {}) then escaped("%p") end
for _, v in ipairs { {}, print, coroutine.create(print), report, setmetatable({}, { __name = "mine" }) } do
  for _, text in ipairs { tostring(v), ("%s"):format(v), ("%-10.30s"):format(v) } do
    if text:find("0x") or text:find("%x%x%x%x%x%x") then escaped(text) end
  end
end
local _, message = pcall(error, {})
if tostring(message):find("0x") then escaped("an error's text") end
