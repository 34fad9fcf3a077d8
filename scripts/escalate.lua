-- Escalates what the onboarding contract says has to be escalated: a record with an id, a signed webhook to whoever is configured, and a
-- property of the JUnit report. The same said again is the same record.
--
--   gate-engine run escalate --tenant acme --rule gate_failed --from report.json
--   gate-engine run escalate --tenant acme --rule gate_flaky --from report.json
--   gate-engine run escalate --tenant acme --rule pilot_issue --evidence "TICKET-12: plans miss depot Nord" \
--     --missing-check "each depot has its plan" --gates-dir gates/
--   gate-engine run escalate --tenant acme --rule bypass_request --evidence "mail of 2027-01-31 by the customer"
--
-- A request to bypass is put on record and refused: exit 1. There is no option that grants it.
local operation = require "operation"
local escalation = require "escalation"
local hash = require "hash"
local lifecycle = require "lifecycle"

--- Where the text is a rule's only evidence.
local function text_evidence(ctx)
  local text = ctx.options.evidence
  if not text or text:find "^%s*$" then ctx:refuse("evidence_missing", { object = ctx.options.rule }) end
  return text
end

local function from_report(ctx)
  local records = {}
  if not ctx.options.from then ctx:refuse("report_missing", { object = ctx.options.rule }) end
  for i, found in ipairs(escalation.of_report(ctx, ctx.options.rule, (ctx.files.from:get(nil)))) do
    if ctx.options.evidence then found.evidence.note = ctx.options.evidence end
    records[i] = escalation.record(ctx, ctx.options.rule, found.evidence, found.who)
  end
  return records
end

--- The gate file's id: letters of the check's title; of one in another script, which an id cannot have, its hash. nil: it is blank.
local function stub_id(title)
  if title:find "^%s*$" then return nil end
  local word = title:lower():gsub("[^a-z0-9]+", "_"):gsub("^_+", ""):sub(1, 40):gsub("_+$", "")
  return "pilot_" .. (word ~= "" and word or "check_" .. hash.sha256(title):sub(1, 8))
end

local function pilot_issue(ctx, row)
  if row.status ~= "active" then ctx:refuse("not_in_pilot", { object = ctx.tenant.code, detail = "its status is " .. row.status }) end
  local evidence, title = text_evidence(ctx), ctx.options.missing_check
  title = title and title:gsub("[%c%s]+", " ") -- a check's name is one line
  local id = title and stub_id(title)
  if not id or not ctx.options.gates_dir then ctx:refuse("check_missing", { object = ctx.tenant.code }) end
  return escalation.record(ctx, "pilot_issue", { text = evidence, missing_check = title, gate = id }), id, title
end

--- Writes the stub where there is no such file yet, and says whether it did: what somebody has written stays.
local function write_stub(ctx, id, title, record)
  local name = id .. ".lua"
  local ok, list = pcall(function() return ctx.files.gates_dir:list "" end)
  if not ok and list.code ~= "store_missing" then error(list, 0) end -- a dry run makes no directory
  for _, entry in ipairs(ok and list or {}) do
    if entry.key == name then return false end
  end
  ctx:step("Write the stub of the missing check, " .. name, function()
    ctx:artifact("gates_dir", name, escalation.stub(id, title, record))
  end)
  return true
end

--- Records and delivers one; true where there was something to do.
local function escalate(ctx, row, record)
  local db = ctx.db.operator
  local known = escalation.known(db, row.id, record.id)
  if not known then
    ctx:step(("Record %s, %s: %s"):format(record.id, record.severity, record.finding), function()
      escalation.store(db, row.id, record)
    end)
  end
  local due = ctx.webhooks and escalation.due(ctx, row.id, record) or {}
  if #due > 0 then
    ctx:step(("Tell %s of %s"):format(table.concat(due, ", "), record.id), function() escalation.deliver(ctx, row.id, record) end)
  end
  ctx:say(("%s (%s): %s Who: %s"):format(record.id, record.severity, record.action, record.who))
  return not known or #due > 0
end

return operation.define {
  api     = 1,
  id      = "escalate",
  name    = "Escalate",
  purpose = "Puts what has to be escalated on record, and tells who has to act",
  pass    = "It is escalated",
  needs   = { db = { "operator" }, endpoints = true, webhooks = true },
  options = {
    rule          = { type = "enum", required = true, choices = { "gate_failed", "gate_flaky", "pilot_issue", "bypass_request" },
      help = "the row of the escalation table" },
    from          = { type = "path", help = "the JSON report of the run whose gates failed or were flaky" },
    evidence      = { type = "string", help = "what shows it: a ticket, a mail, who asked for what" },
    missing_check = { type = "string", help = "pilot_issue: what a check should have seen, as its title" },
    gates_dir     = { type = "path", access = "write", help = "pilot_issue: where the stub of the missing check is written" },
  },

  failures = lifecycle.failures {
    escalations_missing = { text = "The platform keeps no escalations: %s is not there",
      fix = "Create it as stdlib/platform/migrations/011_escalations.sql does" },
    evidence_missing  = { text = "%s needs evidence", fix = "Say with --evidence what shows it" },
    report_missing    = { text = "%s needs the report of the run",
      fix = "Run the gates with --report json=FILE, and give it with --from FILE" },
    report_unreadable = { text = "%s is no report of gate-engine", fix = "Give what --report json=FILE wrote" },
    report_foreign    = { text = "The report is not of tenant %s", fix = "Give the report of this tenant's run" },
    nothing_found     = { text = "The report of tenant %s has nothing for the rule %s", fix = "Look at its gates' status" },
    not_in_pilot      = { text = "Tenant %s is not in its pilot", fix = "Before go-live a gate that fails is the rule gate_failed" },
    check_missing     = { text = "What the gates did not see of tenant %s has no check",
      fix = "Name it with --missing-check, and where its stub goes with --gates-dir" },
    bypass_refused    = { text = "No exceptions: gates are not bypassed for tenant %s",
      fix = "Fix the issues, then validate again: gate-engine run scripts/all.lua --tenant CODE" },
  },

  run = function(ctx)
    local row = lifecycle.tenant(ctx)
    if not ctx.db.operator:value "select to_regclass('core.escalations')::text" then
      ctx:refuse("escalations_missing", { object = "core.escalations" })
    end
    local rule, records, stub, title = ctx.options.rule, {}, nil, nil
    if rule == "pilot_issue" then
      records[1], stub, title = pilot_issue(ctx, row)
    elseif rule == "bypass_request" then
      records[1] = escalation.record(ctx, rule, { text = text_evidence(ctx) })
    else
      records = from_report(ctx)
    end
    ctx:fact("escalations", records)
    local did = false
    if stub then did = write_stub(ctx, stub, title, records[1]) end
    for _, record in ipairs(records) do did = escalate(ctx, row, record) or did end
    if rule == "bypass_request" then
      local known = escalation.known(ctx.db.operator, row.id, records[1].id) -- a dry run puts nothing there
      ctx:refuse("bypass_refused", { object = ctx.tenant.code,
        detail = ("%s %s on record"):format(records[1].id, known and "is" or "would be") })
    end
    if not did then ctx:unchanged(("%s is on record, and everybody was told"):format(records[1].id)) end
  end,
}
