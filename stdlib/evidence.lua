--- The evidence that go-live asks for, as an operation sees it. The engine judges it (engine/run/evidence_judge.c: the codes are its own);
--- this says what each answer means.
local ledger = require "ledger"

local evidence = {}

local VALIDATE = "Validate again: gate-engine run scripts/all.lua --tenant CODE"
local RESTORE = "Restore the ledger, its .head and statements/ from a copy, or begin a new ledger and validate again"

local FAILURES = {
  evidence_none = { text = "Tenant %s has no evidence of having passed", fix = VALIDATE },
  evidence_partial = { text = "Tenant %s passed in part alone", fix = VALIDATE },
  evidence_failed = { text = "Tenant %s failed its last run", fix = "Fix what it found, then validate again" },
  evidence_error = { text = "The last run for tenant %s could not be evaluated", fix = "Fix what kept it, then validate again" },
  evidence_unsigned = { text = "The evidence of tenant %s is not signed", fix = VALIDATE },
  evidence_statement_missing = { text = "The signed statement about tenant %s is missing", fix = RESTORE },
  evidence_statement_edited = { text = "The signed statement about tenant %s was edited or replaced", fix = RESTORE },
  evidence_signature = { text = "The signature of the statement about tenant %s does not hold", fix = VALIDATE },
  evidence_key_unknown = { text = "The statement about tenant %s is signed by a key that is not trusted", fix = VALIDATE },
  evidence_key_revoked = { text = "The statement about tenant %s is signed by a revoked key", fix = VALIDATE },
  evidence_edited = { text = "The ledger does not say of tenant %s what was signed", fix = RESTORE },
  evidence_incomplete = { text = "The evidence of tenant %s is not complete", fix = VALIDATE },
  evidence_resumed = { text = "The evidence of tenant %s counts answers of a run that broke off", fix = VALIDATE },
  evidence_tenant = { text = "The evidence is of another tenant that had the code %s", fix = VALIDATE },
  evidence_target = { text = "The evidence of tenant %s is of another platform", fix = VALIDATE },
  evidence_schema = { text = "The schema was changed since tenant %s passed", fix = VALIDATE },
  evidence_config = { text = "The configuration was changed since tenant %s passed", fix = VALIDATE },
  evidence_scripts = { text = "Tenant %s passed with other scripts than these", fix = VALIDATE },
  evidence_stale = { text = "The evidence of tenant %s is too old", fix = VALIDATE },
  evidence_future = { text = "The evidence of tenant %s is of a time that is not yet", fix = VALIDATE },
  evidence_install = { text = "Tenant %s cannot go live by what is installed here",
    fix = "Install gate-engine as it was built: go-live by changed scripts proves nothing" },
  evidence_anchor = { text = "The ledger, which should speak for tenant %s, is not the one that its anchor knows", fix = RESTORE },
  evidence_moved = { text = "A run for tenant %s was put on record meanwhile", fix = "Look at it, then run go_live again" },
  evidence_used = { text = "The evidence of tenant %s has made it active before", fix = VALIDATE },
  ledger_broken = { text = "The ledger, which should speak for tenant %s, was edited", fix = RESTORE },
  ledger_truncated = { text = "The ledger, which should speak for tenant %s, was cut short", fix = RESTORE },
  ledger_rewritten = { text = "The ledger, which should speak for tenant %s, was replaced", fix = RESTORE },
}

--- The failures of an operation that demands evidence; `own` is added to them.
---@param own table<string, gate.Failure>
---@return table<string, gate.Failure>
function evidence.failures(own)
  local out = {}
  for class, failure in pairs(FAILURES) do out[class] = failure end
  for class, failure in pairs(own) do out[class] = failure end
  return out
end

--- The evidence that the tenant passed all four gates; refuses where it does not hold. Needs: evidence.
---@param ctx operation.Context
---@return {seq: integer, hash: string, at: string, statement: string} proof  the ledger's record, and the SHA-256 of its statement
function evidence.demand(ctx)
  local answer = ctx.evidence
  if answer.refused then ctx:refuse(answer.refused, { object = ctx.tenant.code, detail = answer.detail, fix = answer.fix }) end
  return answer
end

--- Puts the activation on record in the transaction that makes it, where the ledger is in the database; refuses where a run for the tenant
--- was put on record since the evidence was judged. Of a ledger in a file the engine's supervisor adds it afterwards.
---@param ctx operation.Context
---@param tx gate.db.connection
---@param proof gate.Context.evidence  what demand gave
---@param activation {tenant_id: string, event: string, at: string}
function evidence.activate(ctx, tx, proof, activation)
  if not proof.ledger then return end
  local code = ctx.tenant.code
  ledger.head(tx)
  if ledger.has_moved(tx, code, proof.ledger.seq) then ctx:refuse("evidence_moved", { object = code }) end
  ledger.append(tx, { at = activation.at, kind = "activation", status = "active", tenant = { code = code, id = activation.tenant_id },
    event = activation.event, activated = activation.at, evidence = proof.statement, target = proof.ledger.target })
end

return evidence
