-- What: finalisers: refused at once, and without effect where __gc comes later
-- Gate: PASS
-- Audit: PASS
local ran = false
local function finaliser() ran = true end
if pcall(setmetatable, {}, { __gc = finaliser }) then escaped("setmetatable took __gc") end
if pcall(setmetatable, {}, setmetatable({ __gc = false }, {})) then escaped("setmetatable took a false __gc") end
local late = {}
for _ = 1, 1000 do setmetatable({}, late) end
late.__gc = finaliser
for i = 1, 200000 do local _ = { i } end
if ran then escaped("a finaliser ran") end
