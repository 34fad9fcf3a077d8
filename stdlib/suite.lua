--- What a suite returns: gates, by id or path, which run together. A suite is data; it has no code of its own.
local suite = {}

---@class suite.Definition
---@field api integer
---@field id string
---@field name string       the report's title
---@field gates string[]    ids or paths, in order

--- Declares a suite.
---@param definition suite.Definition
---@return suite.Definition
function suite.define(definition)
  if type(definition) ~= "table" then
    error({ code = "script_shape", message = "suite.define: expected a table, got " .. type(definition) }, 2)
  end
  definition.kind = "suite"
  return definition
end

return suite
