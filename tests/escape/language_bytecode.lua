-- What: bytecode is never loaded, whatever the mode says
-- Gate: PASS
-- Audit: PASS
local header = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8" .. ("\0"):rep(100)
for _, mode in ipairs { "b", "bt", "t" } do
  if load(header, "=x", mode) then escaped("bytecode was loaded with mode " .. mode) end
end
if load(header) then escaped("bytecode was loaded") end
if pcall(load, function() return header end) then escaped("load took a function") end
