-- What: numbers that JSON does not have, keys that it does not take, a fact without a name
-- Gate: ERROR bad_argument
-- Audit: -
for _, value in ipairs { 0 / 0, math.huge, -math.huge, print, coroutine.create(print), { [1.5] = 1 }, { [true] = 1 } } do
  if pcall(ctx.fact, ctx, "odd", value) and type(value) == "function" then escaped("a function") end
end
pcall(ctx.fact, ctx, nil, 1)
pcall(ctx.fact, ctx, {}, 1)
