-- Watches a tenant's first week: the platform's health, its first five solves, its support tickets. It changes nothing; its exit code is
-- for cron (0 all well, 1 something is wrong, 3 something could not be evaluated), its page for people.
--
--   gate-engine run first_week --tenant acme --page reports/
--   gate-engine run first_week --tenant acme --expected kpis.json
--
-- examples/systemd has a timer that runs it each morning.
local errors = require "errors"
local gate = require "gate"
local health = require "first_week.health"
local json = require "json"
local page = require "first_week.page"
local solves = require "first_week.solves"
local tickets = require "first_week.tickets"

--- When the tenant went live, and the day that is today.
local function since_when(ctx)
  local row = ctx.db.admin:row([[select t.status, to_char(e.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as since,
    floor(extract(epoch from now() - e.at) / 86400)::integer + 1 as day,
    to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as now
    from core.tenants t left join lateral (select at from core.tenant_events where tenant_id = t.id and event = 'activated'
      order by id desc limit 1) e on true where t.code = $1]], ctx.tenant.code)
  return row
end

--- What an area says is gathered once, for its check and for the page; what it raises is the check's.
local function gather(area, fn)
  local ok, result = pcall(fn)
  if ok then area.list = result else area.raised, area.error = result, tostring(result) end
end

local function wrong(week, ctx, class, fields, words)
  week.problems[#week.problems + 1] = words
  ctx:fail(class, fields)
end

local function check_health(ctx, week)
  for _, one in ipairs(week.health.list) do
    if one.problem then
      wrong(week, ctx, "health_bad", { object = one.path, detail = one.problem }, ("Health: %s: %s"):format(one.path, one.problem))
    end
  end
end

local function check_solve(ctx, week, one)
  if #one.failed > 0 then
    local text = table.concat(one.failed, ", ")
    wrong(week, ctx, "solve_audit", { object = one.id, detail = text }, ("Solve %s: audits fail: %s"):format(one.id, text))
  end
  if #one.differs > 0 then
    local text = table.concat(one.differs, ", ")
    wrong(week, ctx, "solve_recorded", { object = one.id, detail = text }, ("Solve %s: %s"):format(one.id, text))
  end
  for _, k in ipairs(one.judged or {}) do
    local fields = { object = one.id, args = { one.id, k.kpi }, detail = k.detail }
    if k.level == "CRITICAL" then wrong(week, ctx, "kpi_critical", fields, ("Solve %s: %s %s"):format(one.id, k.kpi, k.detail)) end
    if k.level == "WARNING" then ctx:advise("kpi_warning", fields) end
  end
  local drift = one.drift
  if drift and drift.level ~= "OK" then
    local fields = { object = one.id, args = { one.id, drift.level }, detail = ("score %s of 100"):format(drift.score) }
    if drift.level == "WARNING" then return ctx:advise("drift_warning", fields) end
    wrong(week, ctx, "drift_serious", fields, ("Solve %s: drift %s (%s)"):format(one.id, drift.score, drift.level))
  end
end

local function check_solves(ctx, week)
  if #week.solves.list == 0 then
    local fields = { object = ctx.tenant.code, detail = ("day %d"):format(week.day) }
    if week.day < ctx.options.solve_by then return ctx:advise("no_solve", fields) end
    wrong(week, ctx, "no_solve", fields, ("No solve by day %d"):format(week.day))
  end
  for _, one in ipairs(week.solves.list) do check_solve(ctx, week, one) end
end

local function check_tickets(ctx, week)
  if week.tickets.others > 0 then ctx:fact("tickets_of_others", week.tickets.others) end
  for _, t in ipairs(week.tickets.list) do
    local words = ("Ticket %s (%s): %s"):format(t.id, t.severity, t.title)
    if t.open and t.severity <= "S2" then
      local called = t.unknown and (" (it says %s, which nobody knows)"):format(t.called) or ""
      wrong(week, ctx, "ticket_serious", { object = t.id, detail = ("%s%s: %s"):format(t.severity, called, t.title) }, words)
    elseif t.open then
      ctx:advise("ticket_open", { object = t.id, detail = t.severity .. ": " .. t.title })
    end
  end
end

local function expected_of(ctx)
  if not ctx.options.expected then return nil end
  local document = json.decode((ctx.files.expected:get(nil)))
  return type(document.expected_kpis) == "table" and document.expected_kpis or document
end

local function look(ctx, row)
  local week = { code = ctx.tenant.code, day = row.day, since = row.since, now = row.now, problems = {}, health = {}, solves = {},
    tickets = {} }
  local has_platform = false
  for _, name in ipairs(ctx.config.endpoints) do has_platform = has_platform or name == "platform" end
  if has_platform or ctx.platform.kind ~= "embedded" then
    gather(week.health, function()
      if not has_platform then
        errors.raise { code = "config_missing_key", message = "the platform's health needs endpoints.platform",
          fix = "add endpoints.platform to gate-engine.conf.lua" }
      end
      local list = {}
      for i, path in ipairs(health.PATHS) do list[i] = health.ask(ctx, "platform", path) end
      return list
    end)
  else
    week.health.skipped = "the configuration has no endpoints.platform, and the embedded platform speaks no HTTP"
  end
  gather(week.solves, function()
    local list
    list, week.solves.validations = solves.first(ctx, ctx.tenant.id, row.since, expected_of(ctx))
    return list
  end)
  if ctx.config.tickets then
    gather(week.tickets, function()
      local list
      list, week.tickets.others = tickets.list(ctx)
      return list
    end)
  else
    week.tickets.skipped = "the configuration has no tickets"
  end
  return week
end

--- What an operator does next, by class of failure.
local STEPS = {
  not_live = "Validate the tenant and make it live: gate-engine run scripts/all.lua --tenant %s, then go_live",
  health_bad = "Look at the platform's log and at what it names; S1 where tenants cannot work",
  solve_audit = "Keep that plan from being used. All gates pass and the pilot has an issue: escalate it as pilot_issue",
  solve_recorded = "Find out who changed the plan or its audits: core.tenant_events, public.audit_log.recorded_by",
  kpi_critical = "Compare with what was agreed; --expected FILE says it to this gate",
  drift_serious = "Compare input, solver's configuration and seed with those of the first solve (public.plan_versions)",
  no_solve = "Ask the tenant what keeps it, and whether the onboarding call took place",
  ticket_serious = "gate-engine run escalate --tenant %s --rule pilot_issue --evidence TICKET --missing-check TITLE --gates-dir gates",
}

return gate.define {
  api = 1,
  id = "first_week",
  name = "First Week",
  purpose = "Watch a tenant's first week: health, first solves, KPIs, support tickets",
  pass = "Nothing is wrong",
  needs = { db = { "admin", "app" }, endpoints = true, stores = { "tickets" } },
  options = {
    page = { type = "path", access = "write", help = "directory that gets CODE.html, the page for people" },
    expected = { type = "path", help = "JSON file with expected_kpis; without it the first solve is what is expected" },
    solve_by = { type = "integer", default = 3, min = 1, max = 7, help = "the day from which no solve at all is a failure" },
  },

  failures = {
    not_live = { text = "Tenant %s is not live", fix = "Only a tenant that go_live made active has a first week" },
    health_bad = { text = "%s is not well", fix = "Look at the platform's log; escalate: S1 where tenants cannot work" },
    solve_audit = { text = "Solve %s fails its audits", fix = "Do not publish that plan; find out which input made it so" },
    solve_recorded = { text = "Solve %s: the platform recorded other audit results than its plan has",
      fix = "Find out who changed the plan after its audits, or which version audited it" },
    kpi_critical = { text = "Solve %s: KPI %s is critical", fix = "Compare it with what was agreed with the tenant" },
    kpi_warning = { text = "Solve %s: KPI %s is beyond its warning", severity = "advisory", fix = "Compare it with what was agreed" },
    drift_serious = { text = "Solve %s drifts: %s", fix = "Compare inputs and configuration with those of the first solve" },
    drift_warning = { text = "Solve %s drifts: %s", severity = "advisory", fix = "Watch the next solve" },
    no_solve = { text = "Tenant %s has not solved anything yet", fix = "Ask the tenant what keeps it" },
    ticket_serious = { text = "Serious support tickets are open", fix = "gate-engine run escalate --rule pilot_issue --evidence TICKET" },
    ticket_open = { text = "Support tickets are open", severity = "advisory", fix = "Answer it" },
  },

  run = function(ctx)
    local row = since_when(ctx)
    local live = row and row.status == "active" and row.since
    ctx:check("the tenant is live", function()
      if not live then ctx:fail("not_live", { object = ctx.tenant.code, detail = row and "its status is " .. row.status or nil }) end
    end)
    if not live then return end
    local week = look(ctx, row)
    local function check(name, area, absent, fn)
      ctx:check(name, function()
        if area.skipped then ctx:skip(area.skipped, absent) end
        if area.raised then error(area.raised, 0) end
        fn(ctx, week)
      end)
    end
    check("health", week.health, "endpoints.platform", check_health)
    check("first solves", week.solves, nil, check_solves)
    check("support tickets", week.tickets, "tickets", check_tickets)
    ctx:fact("day", week.day)
    ctx:fact("solves", #(week.solves.list or {}))
    if week.solves.validations then ctx:fact("plans_of_validations", week.solves.validations) end
    ctx:artifact("page", ctx.tenant.code .. ".html", page.render(week))
    ctx:summary(("Day %d: nothing is wrong, %d solves looked at"):format(week.day, #(week.solves.list or {})))
  end,

  recover = function(ctx, findings)
    local told = {}
    for _, f in ipairs(findings) do
      if STEPS[f.class] and not told[f.class] then
        told[f.class] = true
        ctx:apply(("%s: %s"):format(f.check, f.object or f.class), { note = STEPS[f.class]:gsub("%%s", ctx.tenant.code) .. "" })
      end
    end
  end,
}
