-- What: a recovery's changes in an operation, where they would be told as done
-- Gate: -
-- Operation: ERROR script_usage
-- Audit: -
pcall(ctx.apply, ctx, "FORGED", { sql = "drop table core.tenants", role = "admin" })
