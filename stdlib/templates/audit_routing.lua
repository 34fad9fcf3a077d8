-- @ID@: a tenant audit of routing plans. It sees the saved plan of one day and says what is wrong with it; it can reach nothing else.
--
-- Usage:
--   gate-engine check ./@ID@.lua                          what is wrong with it, without running it
--   gate-engine run ./@ID@.lua --plan FILE|DIR            on a saved plan of pack routing
--   audits = { "@ID@.lua" } in gate-engine.conf.lua       on every plan, before it is locked
--
-- Output of a violation:
--   ❌ FAIL - Audit @NAME@: FAIL
--      - V3: 25 stops from 08:00 on, at most 24
--
-- gate-engine doc audit tells what a plan holds.
local routing = require "routing"

local MOST_STOPS = 24

return {
  name = "@NAME@",
  pack = "routing",
  audit = function(plan, report)
    for vehicle, routes in pairs(routing.by_vehicle(plan)) do
      for _, route in ipairs(routes) do
        if #route.visits > MOST_STOPS then
          report:violation { object = vehicle, detail = ("%d stops from %s on, at most %d"):format(
            #route.visits, routing.clock(route.start_min), MOST_STOPS) }
        end
      end
    end
  end,
}
