-- What a call raised, as specs ask for it.
local assert = require "luassert"

local raised = {}

--- fn(...) raises a structured error.
---@return Error e
function raised.failure(fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok, "nothing was raised")
  assert.is_table(e, tostring(e))
  return e
end

--- fn(...) raises this code with exactly this message.
function raised.refused(code, message, fn, ...)
  local e = raised.failure(fn, ...)
  assert.are.equal(code, e.code)
  assert.are.equal(message, e.message)
end

return raised
