-- What: known bugs of 5.4.0: the limit of the C stack when a coroutine is entered, a call's frame lost to a collection
-- Gate: ERROR script_stack
-- Audit: ERROR script_stack
local function nest(n) local co = coroutine.wrap(function() if n > 0 then return nest(n - 1) end return ("x"):rep(10) end) return co() end
for n = 1, 250, 7 do pcall(nest, n) end
local function grow(n, ...) if n == 0 then return select("#", ...) end return grow(n - 1, {}, ...) end
for _ = 1, 20 do pcall(grow, 200) end
if pcall(nest, 100000) then escaped("no end of the depth") end
