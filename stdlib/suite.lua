--- A suite: gates that run together in one report, of which all must pass. It is data and has no code of its own:
---
--- ```lua
--- return require("suite").define {
---   api = 1,
---   id = "go_live",
---   name = "Go-live of a tenant",
---   gates = { "rls_harness", "determinism_proof", "backup_fresh.lua" },
--- }
--- ```
---
--- An id names an installed gate; a path is looked up beside the suite's file, then in the working directory, then in the installed tree.
--- The options of all gates are the suite's: each is given to every gate that declares it. Gates run side by side (--jobs) and are
--- reported in the order written here. No two may have the same id. Only the installed tree approves a tenant: a suite with gates of its
--- own can hold one back, and its pass is no approval.
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
