-- Makes a tenant active: only on fresh, complete and valid evidence that it passed all four gates.
--
--   gate-engine run go_live --tenant acme --dry-run
--   gate-engine run go_live --tenant acme
--
-- The engine judges the evidence (ctx.evidence): the ledger's chain, the signed statement, its tenant, target, schema, configuration,
-- build and age. No option skips that. Interrupted anywhere, run it again: the database's row decides, and the ledger and
-- tenant-status.json are brought in line with it.
local operation = require "operation"
local lifecycle = require "lifecycle"
local evidence = require "evidence"

return operation.define {
  api     = 1,
  id      = "go_live",
  name    = "Go live",
  purpose = "Makes a tenant active, on evidence that it passed all four gates",
  pass    = "The tenant is active",
  needs   = { db = { "operator" }, evidence = true },

  failures = lifecycle.failures(evidence.failures {
    active_unproven = { text = "Tenant %s is active, and nothing says that it may be",
      fix = "Find out who set its status; set it to suspended, then validate and run go_live" },
  }),

  run = function(ctx)
    local db, code = ctx.db.operator, ctx.tenant.code
    local row = lifecycle.tenant(ctx)
    if row.status == "archived" then ctx:refuse("tenant_archived", { object = code }) end
    if row.status == "active" then
      local done = lifecycle.last(db, row.id, "activated")
      if not done then ctx:refuse("active_unproven", { object = code }) end
      lifecycle.tell(ctx)
      return ctx:unchanged(("the tenant is active since %s"):format(done.at))
    end
    local proof = evidence.demand(ctx)
    if lifecycle.is_used(db, row.id, proof.statement) then
      local raced = lifecycle.tenant(ctx).status ~= row.status
      ctx:refuse(raced and "tenant_raced" or "evidence_used", { object = code, detail = ("record %d of the ledger"):format(proof.seq) })
    end

    ctx:step(("Change %s from %s to active"):format(code, row.status), function()
      lifecycle.as_tenant(db, row.id, function(tx)
        lifecycle.lock(ctx, tx, row)
        tx:exec("update core.tenants set status = 'active', updated_at = now() where id::text = $1", row.id)
        lifecycle.note(tx, row.id, "activated", { evidence = proof.statement,
          detail = { record = proof.seq, hash = proof.hash, from = row.status } })
      end)
      ctx:say "No mail was sent: this version sends none. Tell the tenant how to fetch its key, and agree on the onboarding call."
    end)
    lifecycle.tell(ctx)
  end,
}
