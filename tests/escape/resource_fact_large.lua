-- What: a fact of twenty megabytes, and one that contains itself
-- Gate: ERROR value_size|event_flood|frame_too_large|out_of_memory
-- Audit: -
local t = {}
t.t = t
if pcall(ctx.fact, ctx, "cycle", t) then escaped("a cycle was sent") end
ctx:fact("large", ("x"):rep(20 << 20))
