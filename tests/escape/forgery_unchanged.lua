-- What: "nothing to do", said inside of a step
-- Gate: -
-- Operation: ERROR script_usage
-- Audit: -
pcall(ctx.unchanged, ctx, "FORGED")
