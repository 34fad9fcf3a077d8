-- What: a step inside of a step, from a coroutine of its own, caught
-- Gate: -
-- Operation: ERROR script_usage|event_order
-- Audit: -
local inner = coroutine.create(function() ctx:step("inner", function() escaped("a step ran inside of another") end) end)
coroutine.resume(inner)
pcall(ctx.step, ctx, "inner too", function() escaped("a step ran inside of another") end)
