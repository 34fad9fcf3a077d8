-- What: functions of the engine show neither their upvalues nor their code
-- Gate: PASS
-- Audit: PASS
if rawget(_G, "debug") then escaped("debug") end
if pcall(string.rep, require) then escaped("a function as a string") end
if pcall(load, "return 1", "=x", "t", require) and false then escaped("?") end
if getmetatable(require) or getmetatable(print) then escaped("functions have a metatable") end
if pcall(setmetatable, print, {}) then escaped("a function got a metatable") end
