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
  it("name the week before one, across years of 52 and of 53 weeks", function()
    for week, before in pairs { ["2026-W10"] = "2026-W09", ["2026-W11"] = "2026-W10", ["2026-W01"] = "2025-W52", ["2027-W01"] = "2026-W53",
      ["2021-W01"] = "2020-W53", ["2016-W01"] = "2015-W53", ["2025-W01"] = "2024-W52" } do
      assert.equal(before, roster.week_before(week))
      assert.equal(before, roster.week_before { week = { iso = week } })
    end
    for _, none in ipairs { "2026-10", "", {} } do
      assert.has_error(function() roster.week_before(type(none) == "table" and { week = {} } or none) end)
    end
  end)
  it("find the week that lies so many weeks before, across a year's end, and name one that is not there", function()
    local function week(iso, history) return { week = { iso = iso }, history = history } end
    local this = week("2027-W01", { week "2026-W53", week "2026-W51" })
    assert.equal("2026-W53", roster.weeks_before(this, 1).week.iso)
    assert.equal("2026-W51", roster.weeks_before(this, 3).week.iso)
    for n, text in pairs { [2] = "there is no locked plan of 2026-W52, 2 weeks before 2027-W01", [4] = "no locked plan of 2026-W50" } do
      local ok, raised = pcall(roster.weeks_before, this, n)
      assert.same({ false, "history_gap" }, { ok, raised.code })
      assert.is_truthy(tostring(raised):find(text, 1, true), tostring(raised))
    end
    assert.has_error(function() roster.weeks_before(week "2026-W12", 1) end)
  end)
  it("count another night where one is given", function()
    assert.equal(60, roster.night_minutes(work("A", 1, 900, 1380), 1320, 360))
  end)
end)
