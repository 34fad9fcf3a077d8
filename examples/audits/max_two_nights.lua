-- At most two night shifts a week for each driver.
--
--   gate-engine run examples/audits/max_two_nights.lua --plan examples/plans/calm_week
--
-- roster.night says what a night shift is: more than two hours between 23:00 and 06:00.
local roster = require "roster"

local MOST = 2

return {
  name = "max two night shifts",
  pack = "roster",
  purpose = "No driver works more than two night shifts a week",

  audit = function(plan, report)
    for driver, assignments in pairs(roster.by_driver(plan)) do
      local nights = {}
      for _, a in ipairs(assignments) do
        if roster.night(a) then nights[#nights + 1] = roster.weekday(a) end
      end
      if #nights > MOST then
        report:violation { object = driver, detail = ("%d night shifts: %s"):format(#nights, table.concat(nights, ", ")) }
      end
    end
  end,
}
