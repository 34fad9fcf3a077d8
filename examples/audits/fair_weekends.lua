-- Weekends are shared fairly: no driver works two weekend days while another driver of the week works none.
--
--   gate-engine run examples/audits/fair_weekends.lua --plan examples/plans/calm_week
local roster = require "roster"

local WEEKEND = { saturday = true, sunday = true }

--- How many different weekend days each driver works.
local function weekend_days(plan)
  local days = {}
  for driver, assignments in pairs(roster.by_driver(plan)) do
    local seen = {}
    days[driver] = 0
    for _, a in ipairs(assignments) do
      if WEEKEND[a.weekday] and not seen[a.day] then
        seen[a.day] = true
        days[driver] = days[driver] + 1
      end
    end
  end
  return days
end

return {
  name = "fair weekends",
  pack = "roster",
  purpose = "Weekend days of any two drivers differ by one at most",

  audit = function(plan, report)
    local days = weekend_days(plan)
    local least = math.huge
    for _, n in pairs(days) do least = math.min(least, n) end
    for driver, n in pairs(days) do
      if n > least + 1 then
        report:violation { object = driver, detail = ("%d weekend days, another driver has %d"):format(n, least) }
      end
    end
  end,
}
