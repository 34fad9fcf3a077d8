-- What: names of modules that are none, or not a script's
-- Gate: ERROR script_capability!
-- Audit: PASS
local names = { "", ".", "..", "../roster", "/etc/passwd", "internal.runner", "internal.prepare", "engine.db", "engine.http", "engine.store",
  "engine.exec", "engine", "engine.", "engine.hash.x", "a/b", "a\0b", "a..b", "Roster", ("a"):rep(5000), "json\n", "engine.json.so" }
for _, name in ipairs(names) do
  if pcall(require, name) then escaped("require gave " .. name:sub(1, 40)) end
end
for _, value in ipairs { 1, true, {}, print, setmetatable({}, { __tostring = function() return "internal.runner" end }) } do
  if pcall(require, value) then escaped("require took a " .. type(value)) end
end
