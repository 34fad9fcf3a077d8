-- Suspends a tenant that is in trouble during its pilot, and lets it go on again.
--
--   gate-engine run examples/operations/suspend_pilot.lua --tenant acme --reason "wrong depot data" --dry-run
--   gate-engine run examples/operations/suspend_pilot.lua --tenant acme --reason "wrong depot data"
--   gate-engine run examples/operations/suspend_pilot.lua --tenant acme --resume
--
-- Idempotent: what is suspended is not suspended again. It refuses what would be wrong to do: a tenant that is archived stays so.
local operation = require "operation"

return operation.define {
  api     = 1,
  id      = "suspend_pilot",
  name    = "Suspend a pilot",
  purpose = "Suspends a tenant with a reason, or lets it go on",
  pass    = "The tenant's status is changed",
  owner   = "platform team",
  needs   = { db = { "operator" } },
  options = {
    reason = { type = "string", default = "", help = "why; kept in the tenant's settings" },
    resume = { type = "boolean", default = false, help = "let it go on as what it was" },
  },

  failures = {
    reason_missing  = { text = "A suspension needs a reason", fix = "Give it with --reason" },
    tenant_archived = { text = "Tenant %s is archived", fix = "Nothing changes an archived tenant; create a new one" },
    not_suspended   = { text = "Tenant %s was not suspended by this operation", fix = "Only go-live makes a tenant active" },
  },

  run = function(ctx)
    local db, code = ctx.db.operator, ctx.tenant.code
    local row = db:row("select status, settings -> 'suspended' ->> 'from' as former from core.tenants where code = $1", code)
    if row.status == "archived" then ctx:refuse("tenant_archived", { object = code }) end

    -- It goes on as what it was: a tenant that was never live must not become so by a detour.
    local wanted = "suspended"
    if ctx.options.resume then
      if row.status ~= "suspended" then return ctx:unchanged(("the tenant is %s"):format(row.status)) end
      wanted = row.former or ctx:refuse("not_suspended", { object = code })
    elseif row.status == wanted then
      return ctx:unchanged "the tenant is suspended"
    elseif ctx.options.reason == "" then
      ctx:refuse("reason_missing", { object = code })
    end

    ctx:step(("Change %s from %s to %s"):format(code, row.status, wanted), function()
      db:exec([[update core.tenants set status = $2, settings = case when $2 = 'suspended'
          then settings || jsonb_build_object('suspended', jsonb_build_object('from', status, 'reason', $3::text))
          else settings - 'suspended' end where code = $1]], code, wanted, ctx.options.reason)
    end)
  end,
}
