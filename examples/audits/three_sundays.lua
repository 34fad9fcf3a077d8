-- Nobody works three Sundays in a row.
--
--   gate-engine run examples/audits/three_sundays.lua --plan examples/plans/four_weeks
--
-- Looks at the two weeks before too. Who worked in a week without a locked plan is not known: that is an error and no pass
-- (roster.weeks_before).
local roster = require "roster"

--- Drivers who work on the plan's Sunday.
local function on_sunday(plan)
  local drivers = {}
  for _, a in ipairs(plan.assignments) do
    if a.weekday == "sunday" then drivers[a.driver_id] = true end
  end
  return drivers
end

return {
  name = "no three Sundays in a row",
  pack = "roster",
  purpose = "No driver works three Sundays in a row",
  needs = { history = 2 },

  audit = function(plan, report)
    local last, before = on_sunday(roster.weeks_before(plan, 1)), on_sunday(roster.weeks_before(plan, 2))
    for driver in pairs(on_sunday(plan)) do
      if last[driver] and before[driver] then
        report:violation { object = driver, detail = ("works the Sunday of %s and the two before it"):format(plan.week.iso) }
      end
    end
  end,
}
