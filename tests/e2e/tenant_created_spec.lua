-- Who makes a tenant: on a platform that is kept create_tenant alone (and a gate for the demonstration's own), so that a code which was
-- misspelt never comes to be; on one of the run's own any run may, and an operation says that nothing of it stays.
local support = require "e2e.support"

local has, run = support.has, support.run

describe("a tenant that is not there", function()
  local dir = support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }
  local CREATED = "was not on the kept platform and has been created (onboarding)"
  local UNSTAYING = "Nothing of this stays: the embedded platform was this run's own and ends with it. "
    .. "To keep one: gate-engine platform start"

  local function engine(...) return run { cwd = dir, env = env, argv = { ... } } end
  local function codes()
    return engine("platform", "psql", "-qAtXc", "select string_agg(code, ' ' order by code) from core.tenants").stdout
  end

  setup(function()
    support.write(dir .. "/g.lua", 'return require("gate").define { api = 1, id = "g", name = "G",\n'
      .. '  run = function(ctx) ctx:check("x", function() assert(ctx.tenant.id) end) end }\n')
  end)
  teardown(function() engine("platform", "stop") end)

  it("is made without a word on a private platform, and an operation there says that nothing stays", function()
    local r = engine("run", "g.lua", "--tenant", "acmee")
    assert.equal(0, r.code, r.stderr)
    assert.is_nil(r.stderr:find(CREATED, 1, true), r.stderr)
    r = engine("run", "create_tenant", "--tenant", "acme", "--name", "Acme")
    assert.equal(0, r.code, r.stderr)
    has(r.stdout, "DONE - Create tenant acme", UNSTAYING)
    r = engine("run", "create_tenant", "--tenant", "acme", "--name", "Acme", "--dry-run")
    assert.is_nil(r.stdout:find("Nothing of this stays", 1, true), r.stdout)
  end)

  it("is no tenant of a kept platform by anything but create_tenant, dry run or not", function()
    assert.equal(0, engine("platform", "start").code)
    local all = {
      { "suspend", "--reason", "x" }, { "configure_pack", "--pack", "roster" }, { "rotate_key", "--request", "x" },
      { "offboard", "--confirm", "acme" }, { "escalate", "--rule", "bypass_request", "--evidence", "x" }, { "go_live" }, { "first_week" },
      { "g.lua" }, { "golden_path_e2e" }, { support.root .. "/scripts/all.lua" },
      { support.root .. "/examples/operations/suspend_pilot.lua", "--reason", "x" } }
    for _, argv in ipairs(all) do
      for _, dry in ipairs { false, true } do
        local asked = { "run", table.unpack(argv) }
        table.move({ "--tenant", "acme", dry and "--dry-run" or nil }, 1, 3, #asked + 1, asked)
        local r = engine(table.unpack(asked))
        local is_gate = argv[1]:find "%.lua$" and not argv[1]:find "suspend" or argv[1] == "first_week" or argv[1] == "golden_path_e2e"
        if not (dry and is_gate) and argv[1] ~= "go_live" then
          assert.equal(2, r.code, argv[1] .. r.stdout .. r.stderr)
          has(r.stderr, "the tenant acme is not in core.tenants", "there is none yet",
            'fix: check --tenant, or create it: gate-engine run create_tenant --tenant acme --name "NAME"')
          assert.is_nil((r.stdout .. r.stderr):find("stdlib/", 1, true), r.stderr)
        else
          assert.not_equal(0, r.code, argv[1])
        end
      end
      assert.equal("\n", codes(), argv[1])
    end
  end)

  it("can be created afterwards, and is there for all of them; the error names those that are", function()
    local r = engine("run", "create_tenant", "--tenant", "acme", "--name", "Acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_nil(r.stdout:find("Nothing of this stays", 1, true), r.stdout)
    assert.equal(0, engine("run", "g.lua", "--tenant", "acme").code)
    has(engine("run", "g.lua", "--tenant", "acmee").stderr, "the tenant acmee is not in core.tenants", "there are: acme")
    assert.equal("acme\n", codes())
  end)

  it("is the demonstration's own where a gate names nobody: told in one line, the first time", function()
    assert.equal(2, engine("run", "suspend", "--reason", "x").code)
    assert.equal("acme\n", codes())
    has(engine("run", "g.lua").stderr, "gate-engine: the tenant demo " .. CREATED)
    assert.is_nil(engine("run", "g.lua").stderr:find("has been created", 1, true))
    assert.equal("acme demo\n", codes())
  end)
end)
