-- What: table.concat over 2^62 places that a metamethod fills
-- Gate: ERROR script_memory
-- Audit: ERROR script_memory
local all = setmetatable({}, { __index = function() return ("x"):rep(1000) end, __len = function() return 1 << 62 end })
if pcall(table.concat, {}, "x", 1, 1 << 62) then escaped("nothing was joined") end
return table.concat(all, "y")
