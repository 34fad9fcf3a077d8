-- What: what a script could get out with is not there at all
-- Gate: PASS
-- Audit: PASS
for _, name in ipairs { "io", "debug", "package", "dofile", "loadfile", "loadstring", "collectgarbage", "getfenv", "setfenv", "module",
  "newproxy", "unpack" } do
  if rawget(_G, name) ~= nil then escaped(name) end
end
local os = rawget(_G, "os") or {}
for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "tmpname", "setlocale" } do
  if os[name] ~= nil then escaped("os." .. name) end
end
if rawget(string, "dump") ~= nil then escaped("string.dump") end
if pcall(function() return ("").dump end) and ("").dump ~= nil then escaped("the method dump") end
