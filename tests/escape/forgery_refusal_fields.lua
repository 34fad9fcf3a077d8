-- What: a refusal whose fields cannot be read, sent or shown
-- Gate: -
-- Operation: FAIL
-- Audit: -
local evil = setmetatable({}, { __tostring = function() error({}) end, __pairs = error, __index = error, __len = error })
pcall(ctx.refuse, ctx, "escaped", setmetatable({ object = "\xff\27[2J\nFORGED", detail = ("\xc3"):rep(1 << 22), fix = evil, reproduce = print,
  args = setmetatable({ evil, "\nFORGED" }, { __index = error, __len = error }) }, { __index = error, __pairs = error }))
