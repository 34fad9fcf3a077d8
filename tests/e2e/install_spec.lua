-- `make install`: what was built runs from where it was put, with the source tree out of reach.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"

local quote = support.quote

describe("an installed gate-engine", function()
  local prefix

  setup(function()
    prefix = support.tmpdir() .. "/usr"
    support.shell(("env -u LD_PRELOAD make install PREFIX=%s BUILD=%s >/dev/null")
      :format(quote(prefix), quote(os.getenv "BUILD" or "build")))
  end)

  it("lies where the file system hierarchy wants it", function()
    for _, file in ipairs {
      "bin/gate-engine", "lib/gate-engine/gate-audit", "lib/gate-engine/roster-solver", "lib/gate-engine/routing-solver",
      "lib/gate-engine/perturb.so", "lib/gate-engine/modules/engine/db.so",
      "share/gate-engine/stdlib/gate.lua", "share/gate-engine/gates/rls_harness.lua", "share/gate-engine/scripts/all.lua",
      "share/gate-engine/stdlib/schema/report-1.json", "share/man/man1/gate-engine.1", "share/gate-engine/stdlib/templates/gate.lua",
    } do
      assert(support.read(prefix .. "/" .. file), file .. " is not installed")
    end
    assert.is_nil(support.read(prefix .. "/lib/gate-engine/modules/testkit.so"))
  end)

  it("runs the full validation and approves, by its own scripts", function()
    local r = support.run { argv = { "run", "scripts/all.lua" }, program = prefix .. "/bin/gate-engine" }
    assert.is_truthy(r.stdout:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is approved for pilot.\n$"), r.stderr)
    assert.equal(0, r.code)
  end)

  -- Each of these leaves the installed tree as it found it.
  local function refused(argv, env, before)
    local program = prefix .. "/bin/gate-engine"
    local r
    if before then
      -- The change comes while the gates run, and is taken back before they are through.
      r = { stdout = prefix .. "/out", stderr = prefix .. "/err" }
      local run = ("(GATE_ENGINE_STATE=%s %s run scripts/all.lua >%s 2>%s)"):format(quote(support.state), program, r.stdout, r.stderr)
      local began = ("until grep -q target: %s 2>/dev/null; do kill -0 $pid || exit 1; done"):format(r.stderr)
      support.shell(("rm -f %s; %s & pid=$!; %s; %s; wait"):format(r.stderr, run, began, before))
      r.stdout, r.stderr = support.must_read(r.stdout), support.must_read(r.stderr)
    else
      r = support.run { argv = argv, program = program, env = env }
    end
    assert.is_nil(r.stdout:find("is approved", 1, true))
    assert.is_truthy(r.stdout:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is NOT approved", 1, true), r.stdout .. r.stderr)
    return r.stderr
  end
  local ALL = { "run", "scripts/all.lua" }
  local sanitized = support.build:find "asan" ~= nil

  it("does not approve once a module or a program beside it was exchanged", function()
    for _, file in ipairs { "lib/gate-engine/modules/engine/json.so", "lib/gate-engine/roster-solver", "lib/gate-engine/gate-audit" } do
      local path = quote(prefix .. "/" .. file)
      support.shell(("cp -p %s %s.kept && printf x >>%s"):format(path, path, path))
      local said = refused(ALL)
      support.shell(("mv %s.kept %s"):format(path, path))
      assert.is_truthy(said:find(file:match "modules.*" or file:match "[^/]+$", 1, true), said)
    end
  end)

  it("does not approve with a gate that hides beside its own", function()
    local gates = prefix .. "/share/gate-engine/gates/"
    support.shell(("cp %srls_harness.lua %s.hidden.lua && printf '\\n-- changed\\n' >>%s.hidden.lua"):format(gates, gates, gates))
    local suite = support.write(support.tmpdir() .. "/suite.lua", ([[
return require("suite").define { api = 1, id = "all", name = "All",
  gates = { "%s.hidden.lua", "determinism_proof", "golden_path_e2e", "integrations_contract" } }]]):format(gates))
    refused { "run", suite }
    support.shell(("rm %s.hidden.lua"):format(gates))
  end)

  it("does not approve when a script was changed while the gates ran, and put back", function()
    local file = quote(prefix .. "/share/gate-engine/stdlib/gate.lua")
    local kept = quote(prefix .. "/kept")
    local said = refused(ALL, nil, ("cp -p %s %s; printf x >>%s; cp -p %s %s"):format(file, kept, file, kept, file))
    -- a sanitizer's runtime is loaded before all else, which is told first
    local reason = sanitized and "LD_PRELOAD is set" or "installed files were changed while the gates ran"
    assert.is_truthy(said:find(reason, 1, true), said)
  end)

  it("does not approve when the environment has the dynamic linker load something", function()
    if sanitized then return end
    for _, name in ipairs { "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT" } do
      local said = refused(ALL, { [name] = name == "LD_PRELOAD" and "libm.so.6" or "/nonexistent" })
      assert.is_truthy(said:find(name .. " is set", 1, true), said)
    end
  end)

  it("approves again once all is as it was", function()
    local r = support.run { argv = ALL, program = prefix .. "/bin/gate-engine" }
    assert.is_truthy(r.stdout:find("Tenant demo is approved for pilot.\n$"), r.stderr)
  end)

  it("does not approve once one of its scripts was changed", function()
    support.shell(("printf '\\n-- changed\\n' >>%s"):format(quote(prefix .. "/share/gate-engine/gates/rls_harness.lua")))
    local r = support.run { argv = { "run", "scripts/all.lua" }, program = prefix .. "/bin/gate-engine" }
    assert.is_nil(r.stdout:find("is approved", 1, true))
    assert.is_truthy(r.stdout:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is NOT approved", 1, true))
  end)
end)
