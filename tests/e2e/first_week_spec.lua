-- A live tenant's first week on the embedded platform, with real plans in its database and a real HTTP server for health and tickets.
package.path = "tests/support/?.lua;" .. package.path
local support = require "e2e.support"
local json = require "engine.json"
local pilot = require "pilot"

local has = support.has
local WELL = { ["/health"] = { body = { status = "ok" } }, ["/health/live"] = { body = "alive" },
  ["/health/ready"] = { body = { status = "ready", checks = { database = "ok", policy = { status = "up" }, packs = true } } } }

describe("first_week", function()
  local dir, web = support.tmpdir(), support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }
  local server
  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function psql(sql)
    local r = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function configure(more)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded",
      endpoints = { platform = { url = "%s" }, desk = { url = "%s" } }, %s
      evidence = { ledger = "evidence/ledger.jsonl", key = file "key.pem" } }]]):format(server.url, server.url, more or ""))
  end
  local function answer(more)
    local all = {}
    for path, told in pairs(WELL) do all[path] = told end
    for path, told in pairs(more or {}) do all[path] = told end
    server.answer(all)
  end
  local function look(...)
    local r = engine("run", "first_week", "--tenant", "acme", "--page", "pages", "--report", "json=report.json", ...)
    r.report = json.decode((support.must_read(dir .. "/report.json")))
    r.page = support.read(dir .. "/pages/acme.html")
    r.classes = {}
    for _, check in ipairs(r.report.gates[1].checks) do
      if check.class and check.class ~= json.null then r.classes[#r.classes + 1] = check.class end
    end
    return r
  end
  --- Of locked ones as well, which nobody else can.
  local function change_plans(what)
    psql(("alter table public.plan_versions disable trigger guard_plan; update public.plan_versions set %s; "
      .. "alter table public.plan_versions enable always trigger guard_plan"):format(what))
  end
  local function validate(dataset)
    return engine("run", "gates/golden_path_e2e.lua", "--tenant", "acme", "--dataset", dataset).code
  end
  --- Plans as the platform's code paths make them, and as the tenant's own, not a validation's.
  local function solve(dataset)
    local code = validate(dataset)
    psql "update public.forecast_versions set source = 'upload.txt'"
    change_plans "locked_by = 'dispatcher' where locked_by is not null"
    return code
  end

  setup(function()
    server = pilot.start(web)
    assert.equal(0, engine("platform", "start").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    configure()
    assert.equal(0, engine("run", "create_tenant", "--tenant", "acme", "--name", "Acme").code)
  end)
  teardown(function()
    engine("platform", "stop")
    server.stop()
  end)
  before_each(function() answer() end)

  it("is of a live tenant alone, and what it says of another is no word against its go-live", function()
    local r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    r = look()
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "Tenant acme is not live", "its status is onboarding")
    r = engine("run", "go_live", "--tenant", "acme", "--dry-run")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    support.write(dir .. "/first_week.lua", 'return require("gate").define { api = 1, id = "first_week", name = "W", '
      .. 'failures = { x = { text = "x" } }, run = function(ctx) ctx:check("x", function() ctx:fail "x" end) end }')
    assert.equal(1, engine("run", "./first_week.lua", "--tenant", "acme").code)
    r = engine("run", "go_live", "--tenant", "acme", "--dry-run")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "the last run for acme, record ", "ended in FAIL")
  end)

  it("begins with go-live: well, and no solve yet", function()
    local r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    r = engine("run", "go_live", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    r = look()
    assert.equal(0, r.code, r.stdout)
    has(r.stdout, "Day 1: nothing is wrong, 0 solves looked at")
    assert.same({ "no_solve" }, r.classes)
    has(r.page, "First week of acme: day 1", "There is no solve yet.", "the configuration has no tickets", "Nothing is wrong.")
    r = look("--solve-by", "1")
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "Tenant acme has not solved anything yet")
  end)

  it("does not take a validation's plans for the tenant's, locked or not", function()
    assert.equal(0, validate "gurkerl_small")
    assert.equal(1, validate "3er_violation")
    local r = look()
    assert.equal(0, r.code, r.stdout)
    has(r.stdout, "0 solves looked at")
    assert.same({ 0, 2 }, { r.report.gates[1].facts.solves, r.report.gates[1].facts.plans_of_validations })
    psql "update public.forecast_versions set source = 'upload.txt'" -- as one that was locked before forecasts said it
    r = look()
    assert.same({ 1, 1 }, { r.report.gates[1].facts.solves, r.report.gates[1].facts.plans_of_validations })
    change_plans "created_at = '2020-01-01'"
  end)

  it("looks at the first five solves: audits, KPIs, drift", function()
    for _ = 1, 6 do assert.equal(0, solve "gurkerl_small") end
    local r = look()
    assert.equal(0, r.code, r.stdout)
    has(r.stdout, "5 solves looked at")
    has(r.page, "7 of 7 PASS", "coverage 100 %", "0 OK")
    assert.equal(5, select(2, r.page:gsub("7 of 7 PASS", "")))
    support.write(dir .. "/kpis.json", json.encode { expected_kpis = { total_drivers = 1 } })
    r = look("--expected", "kpis.json")
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "KPI total_drivers is critical", "drifts: ")
  end)

  it("finds audits that fail, and what was recorded otherwise than it is", function()
    -- The first plan but locked ones cannot be changed, so one of a failing dataset comes to be the first.
    assert.equal(1, solve "3er_violation")
    psql [[update public.plan_versions p set created_at = (select min(created_at) from public.plan_versions q
        where q.tenant_id = p.tenant_id and q.created_at > (select max(at) from core.tenant_events where event = 'activated'))
        - interval '1 microsecond'
      where status = 'DRAFT'
        and id = (select plan_version_id from public.audit_log where audit = 'fatigue' and status = 'FAIL' order by id desc limit 1)]]
    local r = look()
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "fails its audits", "fatigue (FAIL)")
    has(r.page, "fatigue (FAIL)")
    psql [[insert into public.audit_log (tenant_id, plan_version_id, audit, status) select tenant_id, plan_version_id, audit, 'PASS'
      from public.audit_log where audit = 'fatigue' and status = 'FAIL' order by id desc limit 1]]
    r = look()
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "the platform recorded other audit results than its plan has", "fatigue: recorded PASS, found FAIL", "fails its audits")
    psql [[update public.plan_versions set created_at = '2020-01-01' where status = 'DRAFT']]
    assert.equal(0, look().code)
  end)

  it("finds a platform that is not well, in whatever it says", function()
    for words, told in pairs {
      ["/health/ready is not well"] = { ["/health/ready"] = { body = { checks = { database = "ok", policy = "down" } } } },
      ["policy: down"] = { ["/health/ready"] = { body = { checks = { database = "ok", policy = { status = "down" } } } } },
      ["it answers 503; status degraded"] = { ["/health"] = { status = 503, body = { status = "degraded" } } },
      ['it says "DOWN"'] = { ["/health"] = { body = "DOWN\n" } },
      ["healthy: false"] = { ["/health"] = { body = { healthy = false, ok = true } } },
      ["database: down"] = { ["/health/ready"] = { body = { { name = "database", status = "down" } } } },
      ["it says false"] = { ["/health/live"] = { body = "false" } },
      ["it answers a page"] = { ["/health"] = { body = "<!doctype html><title>Log in</title>" } },
      ["it answers nothing, and not how the platform is"] = { ["/health"] = { body = "" } },
      ["it answers 404"] = { ["/health/live"] = { status = 404 } },
      ["it answers 302"] = { ["/health"] = { status = 302, headers = { Location = "/health/live" } } },
    } do
      answer(told)
      local r = look()
      assert.equal(1, r.code, r.stdout)
      has(r.stdout, words)
      has(r.page, '<li class="bad">Health: /health')
    end
    local file = dir .. "/gate-engine.conf.lua"
    support.write(file, (support.must_read(file):gsub(server.url, "http://127.0.0.1:1", 1)))
    local r = look()
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "nothing accepts the connection")
    configure()
  end)

  it("reads tickets from an endpoint, the tenant's own alone", function()
    configure [[tickets = { endpoint = "desk", path = "/api/tickets", project = "pilot" },]]
    answer { ["/api/tickets"] = { body = { tickets = {
      { id = "T-1", severity = "low", status = "open", title = "Colours" },
      { id = "T-2", severity = "S1", status = "Closed", title = "Was down" },
      { id = "T-9", tenant = "beta", severity = "S1", status = "open", title = "Another's" } } } } }
    local r = look()
    assert.equal(0, r.code, r.stdout)
    assert.same({ "ticket_open" }, r.classes)
    has(r.page, "Colours", "Was down")
    assert.is_nil(r.page:find("Another's", 1, true))
    local asked = server.requests()
    assert.same({ tenant = "acme", project = "pilot" }, asked[#asked].query)
    answer { ["/api/tickets"] = { body = { { id = "T-5", tenant = json.null, severity = "S1", status = "open", title = "Nobody's" } } } }
    r = look()
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "- T-5: S1: Nobody's")
    answer { ["/api/tickets"] = { body = { { id = 7, severity = "huge", status = "open", title = "<script>alert(1)</script>" },
      { id = "T-3", severity = "P2", status = "new", title = "Plans late" } } } }
    r = look()
    assert.equal(1, r.code, r.stdout)
    local way = engine("recover", "first_week", "--tenant", "acme")
    assert.equal(0, way.code, way.stdout .. way.stderr)
    has(way.stdout, "gate-engine run escalate --tenant acme --rule pilot_issue")
    has(r.stdout, "Serious support tickets are open", "- 7: S2 (it says huge, which nobody knows): ", "- T-3: S2: Plans late")
    has(r.page, "&lt;script&gt;alert(1)&lt;/script&gt;")
    assert.is_nil(r.page:find("<script", 1, true))
  end)

  it("is an error where tickets cannot be read: never a pass", function()
    for _, told in ipairs { { status = 500 }, { body = "no JSON" }, { body = { tickets = "none" } }, { body = { error = "x" } },
      { body = { { severity = "S1", status = "open" } } }, { body = { { id = "x", status = "open" } } } } do
      answer { ["/api/tickets"] = told }
      local r = look()
      assert.equal(3, r.code, r.stdout)
      has(r.page, '<li class="bad">Could not be evaluated: tickets</li>')
      assert.is_nil(r.page:find("Nothing is wrong", 1, true))
    end
    configure [[tickets = { file = "none.csv" },]]
    assert.equal(3, look().code)
  end)

  it("reads tickets from a CSV file", function()
    support.write(dir .. "/tickets.csv",
      'tenant,id,severity,status,title\nacme,T-4,high,open,"Plans, ""late"""\nbeta,T-5,S1,open,Another\n')
    configure [[tickets = { file = "tickets.csv" },]]
    local r = look()
    assert.equal(1, r.code, r.stdout)
    has(r.stdout, "- T-4: S2: Plans, \"late\"")
    assert.is_nil(r.stdout:find("T-5", 1, true))
    for _, tenant in ipairs { "ACME", "acme ", " Acme" } do
      support.write(dir .. "/tickets.csv", ("tenant,id,severity,status,title\n%s,T-7,S1,open,Down\n"):format(tenant))
      r = look()
      assert.equal(1, r.code, r.stdout)
      has(r.stdout, "- T-7: S1: Down")
    end
    for _, text in ipairs { "id,severity,status\n", "tenant,id,severity,status\nacme,T-6,S4\n", "",
      "tenant,id,severity,status\n,T-8,S1,open\n", "tenant,id,severity,status\n \t,T-8,S4,open\n" } do
      support.write(dir .. "/tickets.csv", text)
      assert.equal(3, look().code)
    end
    for _, keys in ipairs { [[tickets = { },]], [[tickets = { file = "tickets.csv", endpoint = "desk" },]] } do
      configure(keys)
      local bad = engine("run", "first_week", "--tenant", "acme")
      assert.equal(2, bad.code, bad.stdout)
      has(bad.stderr, "expected either endpoint or file")
    end
    configure()
  end)

  it("leaves a page that is well-formed and needs nothing else", function()
    local r = look()
    assert.equal(0, r.code, r.stdout)
    local parse = "import html5lib, sys; html5lib.HTMLParser(strict=True).parse(open(sys.argv[1]))"
    support.shell(("/usr/bin/python3 -c '%s' %s/pages/acme.html"):format(parse, dir))
    for _, reach in ipairs { "http://", "https://", "<link", "<img", "<script", "url(", "@import" } do
      assert.is_nil(r.page:find(reach, 1, true), reach)
    end
  end)
end)
