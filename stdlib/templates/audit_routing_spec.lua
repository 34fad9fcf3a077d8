-- Tests of @ID@.lua on plans made here:
--
--   @SPEC_COMMAND@
local testing = require "testing"

--- A plan in which one vehicle has so many stops.
local function plan_of(n)
  local visits = {}
  for i = 1, n do
    visits[i] = { stop = "S" .. i, arrive_min = 480 + 10 * i, start_min = 480 + 10 * i, leave_min = 485 + 10 * i, load = i }
  end
  return { date = "2026-03-03", vehicles = { { key = "V1" }, { key = "V2" } },
    routes = { { vehicle = "V1", start_min = 480, end_min = 500 + 10 * n, visits = visits } } }
end

describe("@ID@", function()
  it("has nothing to say of a day with as many stops as are allowed", function()
    assert.are.same({}, testing.audit("@ID@.lua", plan_of(24)))
  end)

  -- An audit that cannot fail proves nothing: break its rule, and see.
  it("finds the vehicle that has one more", function()
    local violations = testing.audit("@ID@.lua", plan_of(25))
    assert.are.same({ { object = "V1", detail = "25 stops from 08:00 on, at most 24" } }, violations)
  end)
end)
