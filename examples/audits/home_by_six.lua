-- Every vehicle is back at its depot by 18:00.
--
--   gate-engine run examples/audits/home_by_six.lua --plan examples/plans/vienna_day
local routing = require "routing"

local LATEST = 18 * 60

return {
  name = "home by six",
  pack = "routing",
  purpose = "Every vehicle is back at its depot by 18:00",

  audit = function(plan, report)
    for vehicle, routes in pairs(routing.by_vehicle(plan)) do
      for _, route in ipairs(routes) do
        if route.end_min > LATEST then
          report:violation { object = vehicle, detail = ("back at %s, at the latest %s"):format(routing.clock(route.end_min),
            routing.clock(LATEST)) }
        end
      end
    end
  end,
}
