-- What: a refusal that is caught, and everything that could have said it changed before
-- Gate: -
-- Operation: FAIL
-- Audit: -
ctx.fail, ctx.check, ctx.skip = function() end, function() end, function() end
rawset(_G, "error", function() end)
rawset(_G, "pairs", function() return function() end end)
require("errors").raise = function() end
pcall(ctx.refuse, ctx, "escaped", { object = "x" })
pcall(ctx.unchanged, ctx, "never mind")
pcall(ctx.step, ctx, "after", function() print("FORGED") end)
