-- What: tenant, mode, options and configuration changed in the script's copy
-- Gate: FAIL
-- Audit: -
ctx.tenant = { code = "other\nFORGED" }
ctx.mode, ctx.options, ctx.config, ctx.platform = "prepare", {}, {}, {}
setmetatable(ctx, { __index = function() return function() end end })
escaped("it is a failure")
