local routing = dofile "stdlib/audit/routing.lua"

describe("an audit's routing helpers", function()
  local plan = { vehicles = { { key = "V1" }, { key = "V2" } }, routes = {
    { vehicle = "V1", start_min = 900, end_min = 1000 }, { vehicle = "V1", start_min = 480, end_min = 600 },
    { vehicle = "V9", start_min = 480, end_min = 600 } } }

  it("give each vehicle's routes in order, none for one that stays, and those of one that is not in the plan", function()
    local by_vehicle = routing.by_vehicle(plan)
    assert.same({ 480, 900 }, { by_vehicle.V1[1].start_min, by_vehicle.V1[2].start_min })
    assert.same({ 0, 1 }, { #by_vehicle.V2, #by_vehicle.V9 })
  end)

  it("do not change the plan", function()
    routing.by_vehicle(plan)
    assert.same({ 900, 480, 480 }, { plan.routes[1].start_min, plan.routes[2].start_min, plan.routes[3].start_min })
  end)

  it("show minutes as clocks, past midnight too", function()
    for minute, clock in pairs { [0] = "00:00", [485] = "08:05", [1080] = "18:00", [1439] = "23:59", [1440] = "24:00",
      [1505] = "25:05" } do
      assert.equal(clock, routing.clock(minute))
    end
  end)

  it("refuse what is no minute of the day", function()
    for _, none in ipairs { -1, 18.5, "480", false } do
      local ok, raised = pcall(routing.clock, none)
      assert.is_false(ok)
      assert.is_truthy(raised:find("routing.clock: expected whole minutes of at least 0, got " .. tostring(none), 1, true), raised)
    end
    assert.has_error(function() routing.clock() end)
  end)
end)
