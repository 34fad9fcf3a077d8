-- The example gates with a recovery, with http and a store, the suite that holds them beside the four, and the CI files.
package.path = "tests/e2e/?.lua;tests/lua/?.lua;" .. package.path
local support = require "support"
local hash = require "engine.hash"
local http_server = require "support.http_server"
local json = require "engine.json"

local EXAMPLES = support.root .. "/examples/"

local has = support.has

describe("the example gates on a kept platform", function()
  local dir = support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }
  local server, config

  local function engine(...) return support.run { argv = { ... }, env = env } end

  setup(function()
    server = http_server.start()
    config = support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded",
      endpoints = { pricing = { url = "http://127.0.0.1:%d" } }, artifacts = { kind = "local", path = %q } }]]):format(
      server.ports.plain, dir .. "/store"))
    support.shell(("mkdir -p %s/store/prices && chmod -R 777 %s/store"):format(dir, dir))
    local r = engine("platform", "start")
    assert.equal(0, r.code, r.stderr)
    support.make_tenants(env, "acme", "prices-3")
  end)
  teardown(function()
    engine("platform", "stop")
    server.stop()
  end)

  it("pass check", function()
    for _, path in ipairs { "gates/price_list.lua", "gates/tenant_contact.lua", "suites/go_live.lua", "operations/suspend_pilot.lua" } do
      local r = support.run { "check", EXAMPLES .. path }
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end
  end)

  it("tenant_contact fails, proposes nothing without an address, and recovers with one", function()
    local GATE = EXAMPLES .. "gates/tenant_contact.lua"
    local r = engine("run", GATE, "--tenant", "acme")
    assert.equal(1, r.code, r.stderr)
    has(r.stdout, "❌ FAIL - Tenant acme has no contact", "- acme: none is set", "Fix: Run its recovery")
    has(engine("recover", GATE, "--tenant", "acme").stdout, "Name a contact of acme")
    local dry = engine("recover", GATE, "--tenant", "acme", "--contact", "o'ps@acme.example")
    has(dry.stdout, "jsonb_build_object('contact', $1::text)", "EXECUTE step('o''ps@acme.example', 'acme');", "Dry run")
    assert.equal(1, engine("run", GATE, "--tenant", "acme").code)
    local applied = engine("recover", GATE, "--tenant", "acme", "--contact", "o'ps@acme.example", "--apply")
    assert.equal(0, applied.code, applied.stdout .. applied.stderr)
    has(applied.stdout, "=== OVERALL: 1/1 GATES PASS ===")
    assert.equal(0, engine("run", GATE, "--tenant", "acme").code)
  end)

  it("price_list names what the service and the store lack, and is an ERROR where the service is not there", function()
    local GATE = EXAMPLES .. "gates/price_list.lua"
    local r = engine("run", GATE, "--tenant", "acme", "--config", config)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "❌ FAIL - No price list for acme", "Fix: Publish one in the pricing service")
    r = engine("run", GATE, "--tenant", "prices-3", "--min-prices", "4", "--config", config)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "The price list of prices-3 is too short", "3 prices, 4 expected", "prices-3: nothing is stored")
    support.write(dir .. "/store/prices/prices-3.json", '{"prices": [10, 11, 12]}')
    r = engine("run", GATE, "--tenant", "prices-3", "--config", config)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    support.write(dir .. "/store/prices/prices-3.json", '{"prices": [10, 11, 99]}')
    has(engine("run", GATE, "--tenant", "prices-3", "--config", config).stdout, "it differs from what the service publishes")
    local gone = support.write(dir .. "/gone.lua", ([[return { platform = "embedded",
      endpoints = { pricing = { url = "http://127.0.0.1:9" } }, artifacts = { kind = "local", path = %q } }]]):format(dir .. "/store"))
    r = engine("run", GATE, "--tenant", "acme", "--config", gone)
    assert.equal(3, r.code, r.stdout .. r.stderr)
  end)

  it("go_live runs them beside the four: one that fails holds the tenant back, and no pass of it approves", function()
    local file = dir .. "/report.json"
    local r = engine("run", EXAMPLES .. "suites/go_live.lua", "--tenant", "acme", "--config", config, "--report", "json=" .. file)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "=== Go-live of our platform ===", "=== OVERALL: 5/6 GATES PASS ===", "Tenant acme is NOT approved")
    local report = json.decode((support.must_read(file)))
    assert.equal(6, #report.gates)
    assert.is_false(report.approved)
  end)

  it("go_live approves where each of its own gates is pinned by its very text", function()
    support.write(dir .. "/store/prices/prices-3.json", '{"prices": [10, 11, 12]}')
    assert.equal(0, engine("recover", EXAMPLES .. "gates/tenant_contact.lua", "--tenant", "prices-3", "--contact", "ops@p.example",
      "--apply").code)
    local function pin(name) return hash.sha256(support.must_read(EXAMPLES .. "gates/" .. name)) end
    local function all(suite, pins)
      local file = support.write(dir .. "/pinned.conf.lua", ([[return { platform = "embedded", evidence = { scripts = %s },
        endpoints = { pricing = { url = "http://127.0.0.1:%d" } }, artifacts = { kind = "local", path = %q } }]]):format(pins,
        server.ports.plain, dir .. "/store"))
      return engine("run", suite, "--tenant", "prices-3", "--config", file)
    end
    local both = '{ ["price_list.lua"] = %q, ["tenant_contact.lua"] = %q }'
    local suite = EXAMPLES .. "suites/go_live.lua"
    for _, pins in ipairs { "{}", ('{ ["price_list.lua"] = %q }'):format(pin "price_list.lua"),
      both:format(pin "price_list.lua", ("0"):rep(64)) } do
      local r = all(suite, pins)
      has(r.stdout, "=== OVERALL: 6/6 GATES PASS ===", "Tenant prices-3 is NOT approved")
      has(r.stderr, "the gate ", "/tenant_contact.lua is not pinned: evidence.scripts[\"tenant_contact.lua\"] = \""
        .. pin "tenant_contact.lua" .. '"')
    end
    local pinned = both:format(pin "price_list.lua", pin "tenant_contact.lua")
    local r = all(suite, pinned)
    has(r.stdout, "=== OVERALL: 6/6 GATES PASS ===", "Tenant prices-3 is approved for pilot.")
    assert.is_nil(r.stderr:find("not approved", 1, true))
    -- Without one of the four there is nothing that pins could make up for.
    local three = support.write(dir .. "/three.lua", (support.must_read(suite):gsub('"rls_harness", ', ""):gsub('"%.%./gates/',
      '"' .. EXAMPLES .. "gates/")))
    has(all(three, pinned).stdout, "=== OVERALL: 5/5 GATES PASS ===", "Tenant prices-3 is NOT approved")
  end)
end)

describe("the example CI files", function()
  --- The shell lines of a file, in order: [] of text.
  local function lines_of(file, program)
    local out = support.tmpdir() .. "/lines.json"
    support.shell(("/usr/bin/python3 -c %s %s >%s"):format(support.quote("import json, sys, yaml\nd = yaml.safe_load(open(sys.argv[1]))\n"
      .. program .. "\nprint(json.dumps(lines))"), support.quote(file), support.quote(out)))
    return json.decode((support.must_read(out)))
  end

  local FILES = {
    ["github-actions.yml"] = "lines = [s['run'] for s in d['jobs']['gates']['steps'] if 'run' in s]",
    ["gitlab-ci.yml"] = "j = d['onboarding gates']\nlines = j['before_script'] + j['script']",
  }
  for name, program in pairs(FILES) do
    it(name .. " is YAML, and its commands do what they say", function()
      local lines, ran = lines_of(EXAMPLES .. "ci/" .. name, program), 0
      local dir = support.tmpdir()
      support.shell(("cp -r gates scripts %s && mkdir %s/build && ln -s %s %s/build/gate-engine"):format(dir, dir, support.engine, dir))
      for _, line in ipairs(lines) do
        support.shell("sh -n -c " .. support.quote(line))
        if line:find("build/gate-engine", 1, true) then
          ran = ran + 1
          support.shell(("cd %s && HOME=%s GATE_ENGINE_STATE=%s sh -c %s >out 2>err")
            :format(dir, dir, dir .. "/state", support.quote(line)))
        end
      end
      assert.equal(2, ran)
      assert.is_truthy(support.must_read(dir .. "/report.xml"):find("<testsuites", 1, true))
      assert.is_true(json.decode((support.must_read(dir .. "/report.json"))).gates[4].status == "PASS")
    end)
  end
end)
