-- Suspends a tenant: its key works no more. --resume lets it begin again, as onboarding: to be active it has to pass the gates and
-- go_live anew.
--
--   gate-engine run suspend --tenant acme --reason "wrong depot data" --dry-run
--   gate-engine run suspend --tenant acme --reason "wrong depot data"
--   gate-engine run suspend --tenant acme --reason "data corrected" --resume
local operation = require "operation"
local lifecycle = require "lifecycle"

return operation.define {
  api     = 1,
  id      = "suspend",
  name    = "Suspend a tenant",
  purpose = "Suspends a tenant with a reason, or lets it begin again",
  pass    = "The tenant's status is changed",
  needs   = { db = { "operator" } },
  options = {
    reason = { type = "string", required = true, help = "why; kept with the event" },
    resume = { type = "boolean", default = false, help = "let it begin again, as onboarding" },
  },

  failures = lifecycle.failures {
    reason_blank = { text = "What is done to tenant %s needs a reason", fix = "Give it with --reason" },
  },

  run = function(ctx)
    local db, code = ctx.db.operator, ctx.tenant.code
    if ctx.options.reason:find "^%s*$" then ctx:refuse("reason_blank", { object = code }) end
    local row = lifecycle.tenant(ctx)
    if row.status == "archived" then ctx:refuse("tenant_archived", { object = code }) end
    local wanted = ctx.options.resume and "onboarding" or "suspended"
    if row.status == wanted or (ctx.options.resume and row.status == "active") then
      lifecycle.tell(ctx)
      return ctx:unchanged("the tenant is " .. row.status)
    end

    ctx:step(("Change %s from %s to %s"):format(code, row.status, wanted), function()
      lifecycle.as_tenant(db, row.id, function(tx)
        lifecycle.lock(ctx, tx, row)
        tx:exec("update core.tenants set status = $2, updated_at = now() where id::text = $1", row.id, wanted)
        lifecycle.note(tx, row.id, ctx.options.resume and "resumed" or "suspended", {
          detail = { from = row.status, reason = ctx.options.reason } })
      end)
    end)
    lifecycle.tell(ctx)
  end,
}
