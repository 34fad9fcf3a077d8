-- What: a failure of a class that is not declared, caught
-- Gate: ERROR failure_unknown
-- Audit: -
pcall(ctx.fail, ctx, "rls_missing", { object = "x" })
