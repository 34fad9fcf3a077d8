-- What: objects of a finding that answer every question wrongly
-- Gate: FAIL
-- Audit: FAIL
local mt = { __index = function() return "PASS" end, __len = function() return 0 end, __pairs = function() return nil end,
  __eq = function() return true end, __lt = function() return true end, __le = function() return true end, __name = "PASS" }
local hostile = setmetatable({}, mt)
if ctx then
  ctx:fail("escaped", setmetatable({ object = "o", detail = "d" }, mt))
else
  report:violation(hostile)
  report:violation({ object = hostile, detail = hostile })
end
