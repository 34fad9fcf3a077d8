-- Tests of @ID@.lua on plans made here:
--
--   @SPEC_COMMAND@
local testing = require "testing"

--- A plan in which one driver works on these days.
local function plan_of(days)
  local assignments = {}
  for i, day in ipairs(days) do
    local start = (day - 1) * 1440 + 480
    assignments[i] = { driver_id = "D001", tour_instance_id = "t" .. i, day = day, start_min = start, end_min = start + 240,
      block_id = "D001-" .. day, block_type = "1er" }
  end
  return { drivers = { { key = "D001" } }, assignments = assignments }
end

describe("@ID@", function()
  it("has nothing to say of a week with a day off", function()
    assert.are.same({}, testing.audit("@ID@.lua", plan_of { 1, 2, 3, 4, 5, 6 }))
  end)

  -- An audit that cannot fail proves nothing: break its rule, and see.
  it("finds the driver who has none, and counts a day with two tours once", function()
    local violations = testing.audit("@ID@.lua", plan_of { 1, 2, 3, 4, 5, 6, 7, 7 })
    assert.are.same({ { object = "D001", detail = "7 days of work, at most 6" } }, violations)
  end)
end)
