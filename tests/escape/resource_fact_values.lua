-- What: facts of millions of values: three bytes of text each, and a hundred of the supervisor's memory
-- Gate: ERROR event_flood|value_size|frame_too_large
-- Audit: -
local one, list = {}, {}
for i = 1, 100000 do list[i] = one end
for i = 1, 400 do pcall(ctx.fact, ctx, "fact " .. i, list) end
