local roster = dofile "stdlib/audit/roster.lua"

--- An assignment from a day and minutes of that day.
local function work(driver, day, from, to)
  local base = (day - 1) * 1440
  return { driver_id = driver, day = day, tour_instance_id = ("t%d-%d"):format(day, from), start_min = base + from, end_min = base + to }
end

describe("an audit's roster helpers", function()
  local plan = { drivers = { { key = "A" }, { key = "B" } },
    assignments = { work("A", 3, 480, 960), work("A", 1, 480, 960), work("B", 1, 360, 840) } }

  it("give each driver's work in order", function()
    local by_driver = roster.by_driver(plan)
    assert.same({ 2, 1 }, { #by_driver.A, #by_driver.B })
    assert.same({ 1, 3 }, { by_driver.A[1].day, by_driver.A[2].day })
  end)
  it("give each day's work in order, empty days too", function()
    local by_day = roster.by_day(plan)
    assert.equal(7, #by_day)
    assert.same({ "B", "A" }, { by_day[1][1].driver_id, by_day[1][2].driver_id })
    assert.same({ 0, 1 }, { #by_day[2], #by_day[3] })
  end)
  it("do not change the plan", function()
    roster.by_driver(plan)
    assert.same({ 3, 1, 1 }, { plan.assignments[1].day, plan.assignments[2].day, plan.assignments[3].day })
  end)
  it("name days, and refuse what is none", function()
    assert.same({ "monday", "sunday", "wednesday" }, { roster.weekday(1), roster.weekday(7), roster.weekday(plan.assignments[1]) })
    assert.has_error(function() roster.weekday(8) end)
  end)
  for _, case in ipairs {
    { "a day tour", 480, 960, 0 }, { "one that ends at 23:00", 900, 1380, 0 },
    { "one that ends at 01:00", 900, 1500, 120 },
    { "one that ends at 01:01", 900, 1501, 121 }, { "one that starts at 03:59", 239, 600, 121 },
    { "one that starts at 06:00", 360, 800, 0 },
    { "a whole night", 1320, 1800, 420 },
  } do
    it(("count %d minutes of night in %s"):format(case[4], case[1]), function()
      for day = 1, 7, 3 do
        assert.equal(case[4], roster.night_minutes(work("A", day, case[2], case[3])))
        assert.equal(case[4] > 120, roster.night(work("A", day, case[2], case[3])))
      end
    end)
  end
  it("count another night where one is given", function()
    assert.equal(60, roster.night_minutes(work("A", 1, 900, 1380), 1320, 360))
  end)
end)
