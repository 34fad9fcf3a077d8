--- What a gate script returns: `return gate.define { … }`. The engine checks the table by name, type and line before anything runs.
local gate = {}

---@class gate.Definition
---@field api integer                version of this interface: 1
---@field id string                  [a-z][a-z0-9_]*, the gate's stable name
---@field name string                shown to people
---@field number integer?            its place among the onboarding gates
---@field purpose string             why it stands between onboarding and go-live
---@field pass string?               what a pass says
---@field owner string?              who owns it, printed where it fails
---@field runbook string?            where its runbook is, printed where it fails
---@field needs gate.Needs?          what it may reach; nothing else is reachable
---@field options table<string, gate.Option>?  become command line flags
---@field failures table<string, gate.Failure>?  classes of findings, with their texts
---@field parallel boolean?          may run beside other gates (default true)
---@field run fun(ctx: gate.Context)
---@field recover (fun(ctx: gate.Context, findings: gate.Finding[]))?  changes only inside ctx:apply

---@class gate.Needs
---@field db string[]?         roles: "admin", "app", "operator"
---@field endpoints (string[]|true)?
---@field stores string[]?
---@field commands string[]?
---@field solver boolean?
---@field audits boolean?
---@field auth string[]?

---@class gate.Option
---@field type "string"|"integer"|"number"|"boolean"|"enum"|"path"|"audit"
---@field default any?
---@field default_by table<string, table<string, any>>?  defaults by the choice of another option, an enum: { pack = { routing = "x" } }
---@field min number?
---@field max number?
---@field choices string[]?
---@field access ("read"|"write")?  of a path; default "read"
---@field search string[]?          of a path: directories of the installed tree in which a bare name is looked for
---@field multiple boolean?         the flag may be repeated; the value is a list
---@field required boolean?         the flag must be given
---@field help string?

---@class gate.Failure
---@field text string       with %s for the object
---@field fix string?
---@field severity ("leak"|"advisory"|"note")?

---@class gate.Finding
---@field check string
---@field class string
---@field object string?
---@field detail string?
---@field failure string?  the failure's text
---@field fix string?

--- Declares a gate.
---@param definition gate.Definition
---@return gate.Definition
function gate.define(definition)
  if type(definition) ~= "table" or definition == gate then
    error({ code = "script_shape", fix = "return gate.define { api = 1, id = \"…\", … }",
      message = "gate.define: expected a table, got " .. (definition == gate and "gate: call it with a dot" or type(definition)) }, 2)
  end
  definition.kind = "gate"
  return definition
end

return gate
