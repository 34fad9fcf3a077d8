--- What an operation returns: a script that changes something, once, by an operator's will.
local operation = {}

--- Declares an operation: as a gate, with `run` and without checks.
---@param definition table
---@return table
function operation.define(definition)
  if type(definition) ~= "table" then
    error({ code = "script_shape", message = "operation.define: expected a table, got " .. type(definition) }, 2)
  end
  definition.kind = "operation"
  return definition
end

return operation
