-- An adapter of your own: how gate 3 drives a platform which has neither the reference platform's functions nor its API.
--
--   return { platform = "external", adapter = "adapters/own_functions.lua", validation_tenant = "gate-validation", … }
--
-- It returns a function, which is given host = { pack, tenant = { code, id }, db, open, http, solve_s } and returns a table of the
-- functions that stdlib/platform/adapter.lua describes. A platform's refusal is raised as an error with its own code in `sqlstate` or
-- `status`. A run with it approves only where the file is pinned: evidence = { scripts = { ["own_functions.lua"] = "SHA-256" } }.
--
-- This one is for a platform that is like the reference platform but for its lock, which it asks for in a statement of its own.
local embedded = require "platform.adapter_embedded"
local errors = require "errors"

return function(host)
  local adapter = embedded.new { pack = host.pack, db = host.db, open = host.open, tenant_id = host.tenant.id,
    tenant_code = host.tenant.code }

  function adapter.lock_plan(plan, who)
    local status = host.db:value("select platform.lock_plan($1::uuid, $2::uuid, $3)", host.tenant.id, plan, "own: " .. who)
    if status ~= "LOCKED" then
      errors.raise { code = "stage", message = ("the platform answers %s to a lock"):format(tostring(status)),
        fix = "Look into the platform's log" }
    end
    return status
  end

  function adapter.left_behind() return "a locked plan in " .. host.tenant.code end
  return adapter
end
