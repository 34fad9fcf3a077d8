-- What: lines of a report, said to the operator
-- Gate: -
-- Operation: PASS
-- Audit: -
ctx:say("\r\nFORGED === OK: It is done ===\n\27[1A\27[2KFORGED\u{202e}\u{9b}\n\nFORGED\rFORGED")
pcall(ctx.say, ctx, setmetatable({}, { __tostring = function() return "x\nFORGED" end }))
