-- What: lengths that lie
-- Gate: PASS
-- Audit: PASS
local liar = setmetatable({}, { __len = function() return math.maxinteger end })
pcall(table.insert, liar, 1)
if pcall(table.insert, liar, 1, "x") and false then escaped("?") end
if pcall(table.remove, setmetatable({}, { __len = function() return "x" end })) then escaped("a length that is a string") end
if pcall(table.insert, {}, 5, "x") then escaped("position out of bounds") end
if pcall(table.pack) ~= true then escaped("pack") end
