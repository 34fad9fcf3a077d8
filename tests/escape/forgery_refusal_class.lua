-- What: a refusal by a rule that is not there, caught
-- Gate: -
-- Operation: ERROR failure_unknown
-- Audit: -
pcall(ctx.refuse, ctx, setmetatable({}, { __tostring = function() return "escaped" end }))
