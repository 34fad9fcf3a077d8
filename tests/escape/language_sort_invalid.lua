-- What: comparators that contradict themselves
-- Gate: PASS
-- Audit: PASS
local function fresh() local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end return t end
pcall(table.sort, fresh(), function() return true end)
pcall(table.sort, fresh(), function(a, b) return a ~= b end)
local n = 0
pcall(table.sort, fresh(), function() n = n + 1 return n % 2 == 0 end)
pcall(table.sort, fresh(), function() error("in the middle") end)
local t = fresh()
pcall(table.sort, t, function(a, b) t[1], t[#t] = nil, nil return a < b end)
if pcall(table.sort, setmetatable({}, { __len = function() return math.maxinteger end })) then escaped("sorted 2^63") end
