-- What: what load compiles sees the same environment and no more
-- Gate: PASS
-- Audit: PASS
local seen = load("return _ENV")()
if seen ~= _G then escaped("load gave another environment") end
if load("return io, debug, package", "=x", "t", {})() then escaped("a library") end
local own = {}
load("x = 1", "=x", "t", own)()
if own.x ~= 1 or rawget(_G, "x") then escaped("an assignment went astray") end
local f = load("local _ENV = ...; return _ENV")
if f(nil) ~= nil then escaped("no environment") end
