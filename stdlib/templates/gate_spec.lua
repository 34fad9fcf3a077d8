-- Tests of @ID@.lua, run through the engine on its embedded platform:
--
--   @SPEC_COMMAND@
local testing = require "testing"

describe("@ID@", function()
  it("passes for a tenant that is there", function()
    local gate = testing.run("@ID@.lua", { tenant = "acme" })
    assert.are.equal("PASS", gate.status, gate.log)
    assert.are.equal(1, gate.facts.rows)
  end)

  -- A check that cannot fail proves nothing: break what it looks at, and see.
  it("fails where there are fewer rows than were asked for, and says which tenant's", function()
    local gate = testing.run("@ID@.lua", { tenant = "acme", at_least = 2 })
    assert.are.equal("FAIL", gate.status, gate.log)
    assert.are.equal("too_few_rows", gate.checks[1].class)
    assert.are.equal("acme", gate.checks[1].object)
  end)
end)
