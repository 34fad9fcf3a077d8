-- What: methods of ctx, each misused and each misuse caught
-- Gate: ERROR failure_unknown|bad_argument
-- Audit: -
for _, call in ipairs { { ctx.advise, ctx }, { ctx.skip, ctx }, { ctx.check, ctx, "x" }, { ctx.fact, ctx }, { ctx.log, ctx } } do
  if pcall(table.unpack(call)) then escaped("a misuse was taken") end
end
