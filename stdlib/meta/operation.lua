---@meta

--- An operation changes something, once, by an operator's will: `return require("operation").define { … }`. It declares itself as a
--- gate does (api, id, name, purpose, needs, options, owner, runbook); its `failures` are the rules by which it refuses.
---
--- Exit codes: 0 done, or nothing to do; 1 refused by a rule; 2 usage, configuration or script error; 3 could not be carried out.
--- With --dry-run steps are named and not taken; outside of steps connections and stores are read-only then, no command and no solver
--- starts, and requests are GET and HEAD alone. Connections of admin and app are read-only in every operation.
---
--- ```lua
--- local code = ctx.tenant.code
--- local name = ctx.db.operator:value("select name from core.tenants where code = $1", code)
--- if not name then ctx:refuse("tenant_unknown", { object = code }) end
--- ctx:step("Rename " .. code, function()
---   ctx.db.operator:exec("update core.tenants set name = $2 where code = $1", code, "A new name")
--- end)
--- ```
---@class operation.Definition
---@field api integer                version of this interface: 1
---@field id string                  [a-z][a-z0-9_]*, the operation's stable name
---@field name string                shown to people
---@field purpose string?            what it is for, in one line
---@field pass string?               what stands behind OK when it was done
---@field owner string?              who to ask
---@field runbook string?            where it is written what to do
---@field tenant ("existing"|"any")?  any: it runs also for a tenant that is not there yet (ctx.tenant.id is nil then); default existing
---@field needs gate.Needs?          what it may reach; "operator" is the database role whose changes stay
---@field options table<string, gate.Option>?  become command line flags
---@field failures table<string, gate.Failure>?  the rules by which it refuses
---@field run fun(ctx: operation.Context)

--- What `run` of an operation is called with: a gate's context, and what is below. A ctx:check in it is a precondition: where it
--- finds something or raises, no step begins any more. What step, refuse and unchanged raise is on record already: a script that
--- catches it changes nothing. ctx:apply, which belongs to recover, raises.
---@class operation.Context: gate.Context
local ctx = {}

--- One change. Returns what fn returns; in a dry run fn is not called and nothing is returned. What fn raises makes the operation an
--- ERROR, and no later step begins, whatever the script does about it.
---@param title string  its own in the operation, in the imperative: "Create the tenant acme"; steps do not contain each other
---@param fn fun(): ...
---@return any ...
---Errors: script_usage (inside a check or another step).
function ctx:step(title, fn) end

--- Says that a rule forbids it, and ends the operation: exit 1. It stands even where the script catches what this raises.
---@param class string  one of the head's failures
---@param fields gate.Finding.fields?
function ctx:refuse(class, fields) end

--- Says that all is as it should be already. An operation that takes no step and says nothing is an error (nothing_done).
---@param reason string  such as "the tenant is active already"
function ctx:unchanged(reason) end

return ctx
