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
      "bin/gate-engine", "lib/gate-engine/gate-audit", "lib/gate-engine/roster-solver", "lib/gate-engine/modules/engine/db.so",
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

  it("does not approve once one of its scripts was changed", function()
    support.shell(("printf '\\n-- changed\\n' >>%s"):format(quote(prefix .. "/share/gate-engine/gates/rls_harness.lua")))
    local r = support.run { argv = { "run", "scripts/all.lua" }, program = prefix .. "/bin/gate-engine" }
    assert.is_nil(r.stdout:find("is approved", 1, true))
    assert.is_truthy(r.stdout:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is NOT approved", 1, true))
  end)
end)
