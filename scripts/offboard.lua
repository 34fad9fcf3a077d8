-- Ends a tenant's life on the platform: archived for good, its keys useless. Its data stays until the platform's own retention ends it.
--
--   gate-engine run offboard --tenant acme --confirm acme --dry-run
--   gate-engine run offboard --tenant acme --confirm acme
local operation = require "operation"
local lifecycle = require "lifecycle"

return operation.define {
  api     = 1,
  id      = "offboard",
  name    = "Offboard a tenant",
  purpose = "Archives a tenant and makes its keys useless",
  pass    = "The tenant is archived",
  needs   = { db = { "operator" } },
  options = { confirm = { type = "string", required = true, help = "the tenant's code once more: this cannot be undone" } },

  failures = lifecycle.failures {
    not_confirmed = { text = "The offboarding of tenant %s is not confirmed",
      fix = "Repeat its code with --confirm: this cannot be undone" },
  },

  run = function(ctx)
    local db, code = ctx.db.operator, ctx.tenant.code
    if ctx.options.confirm ~= code then ctx:refuse("not_confirmed", { object = code }) end
    local row = lifecycle.tenant(ctx)
    if row.status == "archived" then
      lifecycle.tell(ctx)
      return ctx:unchanged "the tenant is archived"
    end

    ctx:step(("Archive %s and make its keys useless"):format(code), function()
      lifecycle.as_tenant(db, row.id, function(tx)
        lifecycle.lock(ctx, tx, row)
        tx:exec("update core.tenants set status = 'archived', updated_at = now() where id::text = $1", row.id)
        tx:exec("update public.tenants set is_active = false where name = $1", code)
        lifecycle.note(tx, row.id, "archived", { detail = { from = row.status } })
      end)
    end)
    lifecycle.tell(ctx)
  end,
}
