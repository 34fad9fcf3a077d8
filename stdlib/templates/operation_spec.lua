-- Tests of @ID@.lua, run through the engine on its embedded platform (a fresh one for each run):
--
--   @SPEC_COMMAND@
local testing = require "testing"

describe("@ID@", function()
  it("refuses a blank name, by its rule", function()
    local operation = testing.run("@ID@.lua", { tenant = "acme", name = "  " })
    assert.are.equal("FAIL", operation.status, operation.log)
    assert.are.equal("name_blank", operation.checks[1].class)
  end)

  it("names its steps in a dry run, and takes none", function()
    local operation = testing.run("@ID@.lua", { tenant = "acme", name = "Another name", dry_run = true })
    assert.are.equal("PASS", operation.status, operation.log)
    assert.are.equal("would", operation.checks[1].step)
  end)

  it("does what it is for", function()
    local operation = testing.run("@ID@.lua", { tenant = "acme", name = "Another name" })
    assert.are.equal("PASS", operation.status, operation.log)
    assert.are.equal("done", operation.checks[1].step)
  end)
end)
