--- The escalation table: what each rule means, how its records come to be, and who is told.
local errors = require "errors"
local hash = require "hash"
local json = require "json"
local lifecycle = require "lifecycle"

local escalation = {}

---@type table<string, {severity: string, action: string, who: string, finding: string}>
escalation.RULES = {
  gate_failed = { severity = "S3", finding = "A gate fails", action = "Block go-live. Fix and retry.", who = "the gate's owner" },
  gate_flaky = { severity = "S3", finding = "A gate is flaky", action = "Investigate. Improve test.", who = "the gate's owner" },
  pilot_issue = { severity = "S2", finding = "All gates pass but issues in pilot", action = "Review gates. Add missing checks.",
    who = "the platform team, who writes the missing check" },
  bypass_request = { severity = "S2", finding = "Customer requesting bypass", action = "No exceptions. Fix issues first.",
    who = "the platform team, who tells the customer no" },
}

local FINDINGS_MOST = 10

--- What a report says of one gate, short enough for a record.
local function evidence_of_gate(gate, report, digest)
  local findings, more = {}, 0
  for _, check in ipairs(gate.checks) do
    if check.status == "FAIL" or check.status == "ERROR" then
      if #findings < FINDINGS_MOST then
        local text = check.failure
        if type(text) ~= "string" then text = check.detail end
        findings[#findings + 1] = { check = check.name, status = check.status, class = check.class, text = text, object = check.object }
      else
        more = more + 1
      end
    end
  end
  return { gate = gate.id, status = gate.status, findings = json.array(findings), more = more, started = report.started,
    report_sha256 = digest }
end

local BLOCKING = { gate_failed = { FAIL = true, ERROR = true }, gate_flaky = { FLAKY = true } }

local function is_report(report)
  return type(report) == "table" and report.schema == "gate-engine/report/1" and type(report.gates) == "table"
end

--- The gates of a report that a rule is about, as evidence: one each.
---@param ctx operation.Context
---@param rule "gate_failed"|"gate_flaky"
---@param bytes string  a JSON report of gate-engine
---@return {evidence: table, who: string?}[]
function escalation.of_report(ctx, rule, bytes)
  local ok, report = pcall(json.decode, bytes)
  if not ok or not is_report(report) then
    ctx:refuse("report_unreadable", { object = "--from", detail = not ok and tostring(report) or "it is another kind of document" })
  end
  if report.tenant ~= ctx.tenant.code then
    ctx:refuse("report_foreign", { object = ctx.tenant.code, detail = "it is of " .. tostring(report.tenant) })
  end
  local out = {}
  for _, gate in ipairs(report.gates) do
    if BLOCKING[rule][gate.status] then
      out[#out + 1] = { evidence = evidence_of_gate(gate, report, hash.sha256(bytes)),
        who = type(gate.owner) == "string" and gate.owner or nil }
    end
  end
  if #out == 0 then ctx:refuse("nothing_found", { object = ctx.tenant.code, args = { ctx.tenant.code, rule } }) end
  return out
end

--- A record. Its id is of what it says: the same said again is the same record.
---@param ctx operation.Context
---@param rule string
---@param evidence table
---@param who string?  instead of the rule's
---@return table record
function escalation.record(ctx, rule, evidence, who)
  local of = escalation.RULES[rule]
  return { id = "ESC-" .. hash.of({ tenant = ctx.tenant.code, rule = rule, evidence = evidence }):sub(1, 16), rule = rule,
    severity = of.severity, finding = of.finding, tenant = ctx.tenant.code, evidence = evidence, action = of.action, who = who or of.who }
end

--- Is it on record, and by which endpoints was it taken?
---@return boolean known
---@return table<string, boolean> taken
function escalation.known(db, tenant_id, id)
  return lifecycle.as_tenant(db, tenant_id, function(tx)
    local known = tx:value("select count(*) from core.escalations where tenant_id::text = $1 and id = $2", tenant_id, id) > 0
    local taken = {}
    for _, row in ipairs(tx:query([[select endpoint from core.escalation_deliveries where tenant_id::text = $1 and escalation_id = $2]],
      tenant_id, id)) do taken[row.endpoint] = true end
    return known, taken
  end)
end

--- The endpoints that want it and have not taken it.
---@return string[]
function escalation.due(ctx, tenant_id, record)
  local _, taken = escalation.known(ctx.db.operator, tenant_id, record.id)
  return ctx.webhooks:names { event = "escalation." .. record.rule, skip = taken }
end

--- Puts it on record, once.
function escalation.store(db, tenant_id, record)
  lifecycle.as_tenant(db, tenant_id, function(tx)
    tx:exec([[insert into core.escalations (id, tenant_id, rule, severity, evidence, action, who)
      values ($1, $2::uuid, $3, $4, $5::jsonb, $6, $7) on conflict do nothing]], record.id, tenant_id, record.rule, record.severity,
      hash.canonical(record.evidence), record.action, record.who)
  end)
end

--- Calls the webhooks that have not taken it yet. Raises where one does not: run it again, it calls that one alone.
---@return integer delivered
function escalation.deliver(ctx, tenant_id, record)
  local db = ctx.db.operator
  local _, taken = escalation.known(db, tenant_id, record.id)
  local results = ctx.webhooks:send { event = "escalation." .. record.rule, id = record.id, skip = taken,
    body = hash.canonical { type = "escalation." .. record.rule, data = record } }
  local missed, delivered = {}, 0
  for _, r in ipairs(results) do
    if r.delivered then
      delivered = delivered + 1
      lifecycle.as_tenant(db, tenant_id, function(tx)
        tx:exec([[insert into core.escalation_deliveries (tenant_id, escalation_id, endpoint) values ($1::uuid, $2, $3)
          on conflict do nothing]], tenant_id, record.id, r.endpoint)
      end)
    else
      missed[#missed + 1] = ("%s: %s"):format(r.endpoint, r.detail)
    end
  end
  if #missed > 0 then
    errors.raise { code = "webhook_failed", message = "the escalation is on record, and was not taken by " .. table.concat(missed, "; "),
      fix = "mend the receiver, then run this again: it calls those alone that have not taken it" }
  end
  return delivered
end

--- The file of a gate that lacks its check: an ERROR until somebody writes it, never a pass.
---@param id string     of the gate
---@param title string  of the check
---@param record table
---@return string lua
function escalation.stub(id, title, record)
  local function quoted(text) return (("%q"):format(text):gsub("\\\n", "\\n")) end
  return ([[
-- The check that was missing: escalation %s.
--
--   gate-engine check ./%s.lua
--   gate-engine run ./%s.lua --tenant %s
--
-- It is an ERROR until it is written, so that nobody takes it for a pass. gate-engine doc gate tells what a gate may declare.
local gate = require "gate"

return gate.define {
  api     = 1,
  id      = %s,
  name    = %s,
  purpose = %s,
  needs   = { db = { "admin" } },

  failures = {
    missed_in_pilot = { text = "%%s would have been seen in the pilot", fix = "Say here what to do about it" },
  },

  run = function(ctx)
    ctx:check(%s, function()
      -- Look at what went wrong, and where it does: ctx:fail("missed_in_pilot", { object = "…", detail = "…" })
      error "this check is not written yet"
    end)
  end,
}
]]):format(record.id, id, id, record.tenant, quoted(id), quoted(title), quoted("What the gates did not see: " .. record.id), quoted(title))
end

return escalation
