--- What an operation returns: `return operation.define { … }`, a script that changes something, once, by an operator's will.
local operation = {}

--- Declares an operation: as a gate, with `run` alone. `gate-engine doc operation` shows its fields and what run is given.
---@param definition operation.Definition
---@return operation.Definition
function operation.define(definition)
  if type(definition) ~= "table" then
    error({ code = "script_shape", message = "operation.define: expected a table, got " .. type(definition) }, 2)
  end
  definition.kind = "operation"
  return definition
end

return operation
