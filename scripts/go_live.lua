-- Makes a tenant active: only on fresh, complete and valid evidence that it passed all four gates. Then it sends the welcome mail with the
-- invitation to the onboarding call, where the configuration has a mail server.
--
--   gate-engine run go_live --tenant acme --call 2027-01-31T10:00:00Z --dry-run
--   gate-engine run go_live --tenant acme --call 2027-01-31T10:00:00Z --contact ops@acme.example
--   gate-engine run go_live --tenant acme --resend
--
-- The engine judges the evidence (ctx.evidence): the ledger's chain, the signed statement, its tenant, target, schema, configuration,
-- build and age. No option skips that. Interrupted anywhere, run it again: the database's row decides, and the ledger and
-- tenant-status.json are brought in line with it. The mail is written in the same transaction (stdlib/outbox.lua).
local operation = require "operation"
local lifecycle = require "lifecycle"
local evidence = require "evidence"
local outbox = require "outbox"
local welcome = require "welcome"

local failures = {
  active_unproven = { text = "Tenant %s is active, and nothing says that it may be",
    fix = "Find out who set its status; set it to suspended, then validate and run go_live" },
}
for class, failure in pairs(welcome.FAILURES) do failures[class] = failure end

--- Returns the event's id; nothing in a dry run.
local function activate(ctx, row, proof, plan)
  local db, code = ctx.db.operator, ctx.tenant.code
  return ctx:step(("Change %s from %s to active"):format(code, row.status), function()
    local id = lifecycle.as_tenant(db, row.id, function(tx)
      lifecycle.lock(ctx, tx, row)
      tx:exec("update core.tenants set status = 'active', updated_at = now() where id::text = $1", row.id)
      local event = lifecycle.note(tx, row.id, "activated", { evidence = proof.statement,
        detail = { record = proof.seq, hash = proof.hash, from = row.status, welcome = welcome.asked(ctx) } })
      evidence.activate(ctx, tx, proof, { tenant_id = row.id, event = event, at = lifecycle.at(tx, event) })
      if plan then outbox.add(tx, row.id, event, welcome.write(ctx, tx, row, plan)) end
      return event
    end)
    if not plan then
      ctx:say "No mail was sent: the configuration has no mail. Tell the tenant how to fetch its key, and agree on the onboarding call."
    end
    return id
  end)
end

return operation.define {
  api     = 1,
  id      = "go_live",
  name    = "Go live",
  purpose = "Makes a tenant active, on evidence that it passed all four gates, and welcomes it",
  pass    = "The tenant is active",
  needs   = { db = { "operator" }, evidence = true, mail = true },
  options = welcome.OPTIONS,

  failures = lifecycle.failures(evidence.failures(outbox.failures(failures))),

  run = function(ctx)
    local db, code = ctx.db.operator, ctx.tenant.code
    local row = lifecycle.tenant(ctx)
    if row.status == "archived" then ctx:refuse("tenant_archived", { object = code }) end
    if ctx.mail then outbox.demand(ctx) end
    if row.status ~= "active" then
      local proof = evidence.demand(ctx)
      if lifecycle.is_used(db, row.id, proof.statement) then
        local raced = lifecycle.tenant(ctx).status ~= row.status
        ctx:refuse(raced and "tenant_raced" or "evidence_used", { object = code, detail = ("record %d of the ledger"):format(proof.seq) })
      end
      local plan = ctx.mail and welcome.prepare(ctx, row) or nil
      if not activate(ctx, row, proof, plan) then -- a dry run
        if plan then ctx:step(("Send the welcome mail to %s"):format(code), function() end) end
        return
      end
    end
    local done = lifecycle.last(db, row.id, "activated")
    if not done then ctx:refuse("active_unproven", { object = code }) end
    if row.status == "active" then welcome.refuse_other(ctx, lifecycle.detail(db, row.id, done.id).welcome) end
    lifecycle.tell(ctx)
    local state = "none"
    if db:value "select to_regclass('core.mail_outbox')::text" then state = outbox.settle(ctx, row.id, done.id) end
    if row.status == "active" and state ~= "done" then
      ctx:unchanged(("the tenant is active since %s%s"):format(done.at, state == "sent" and ", and its welcome mail was sent" or ""))
    end
  end,
}
