-- What: what ends an operation, kept and raised again to cut a step short
-- Gate: -
-- Operation: FAIL
-- Audit: -
local _, mark = pcall(ctx.refuse, ctx, "escaped", { object = "x" })
error(mark, 0)
