-- What: the strings' metatable and its methods belong to no script
-- Gate: PASS
-- Audit: PASS
if getmetatable("") ~= false then escaped("the metatable of strings is visible") end
if pcall(setmetatable, "", {}) then escaped("the metatable of strings was replaced") end
local before = ("x").upper
string.upper = function() return "forged" end
string.format = nil
if ("x"):upper() ~= "X" or ("x").upper ~= before then escaped("a method of strings was replaced") end
if pcall(function() local s = "" s.x = 1 end) then escaped("a field of a string was set") end
