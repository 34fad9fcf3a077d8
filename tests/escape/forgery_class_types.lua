-- What: classes that are no names
-- Gate: ERROR failure_unknown|script_error
-- Audit: -
for _, class in ipairs { 1, true, {}, setmetatable({}, { __tostring = function() return "escaped" end, __index = function() return {} end }) } do
  if pcall(ctx.fail, ctx, class, {}) then escaped("class " .. type(class)) end
end
ctx:fail(nil)
