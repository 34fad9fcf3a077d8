-- What: text that is not UTF-8 in every field
-- Gate: FAIL
-- Audit: FAIL
local evil = "\xff\xfe\x80\xc0\xaf\xed\xa0\x80\xf5"
if ctx then
  ctx:fail("escaped", { object = "x", detail = "y" })
  pcall(ctx.fail, ctx, "escaped", { object = evil, detail = evil, args = { evil } })
  pcall(ctx.fact, ctx, evil, evil)
else
  report:violation { object = evil, detail = evil }
end
