-- What: the environment's metatable is out of reach, undeclared names stay errors
-- Gate: PASS
-- Audit: PASS
if getmetatable(_G) ~= false then escaped("the metatable of _G is visible") end
if pcall(setmetatable, _G, {}) then escaped("the metatable of _G was replaced") end
if pcall(function() return not_there end) then escaped("an undeclared name was read") end
if pcall(function() not_there = 1 end) then escaped("an undeclared name was written") end
if rawget(_G, "io") or rawget(_G, "debug") or rawget(_G, "package") then escaped("a library leaked") end
