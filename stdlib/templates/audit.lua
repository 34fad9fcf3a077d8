-- @ID@: a tenant audit. It sees one saved plan and says what is wrong with it; it can reach nothing else.
--
-- Usage:
--   gate-engine check ./@ID@.lua                          what is wrong with it, without running it
--   gate-engine run ./@ID@.lua --plan DIR                 on the plan that golden_path_e2e --artifacts DIR has written
--   audits = { "@ID@.lua" } in gate-engine.conf.lua       on every plan, before it is locked
--
-- Output of a violation:
--   ❌ FAIL - Audit @NAME@: FAIL
--      - D007: 7 days of work, at most 6
--
-- gate-engine doc audit tells what a plan holds. With needs = { history = 2 } beside pack, plan.history has the two locked weeks before
-- the plan's, newest first; --plan then takes a directory of several weeks.
local roster = require "roster"

local MOST_DAYS = 6

return {
  name = "@NAME@",
  pack = "roster",
  audit = function(plan, report)
    for driver, assignments in pairs(roster.by_driver(plan)) do
      local days, worked = 0, {}
      for _, a in ipairs(assignments) do
        if not worked[a.day] then
          worked[a.day] = true
          days = days + 1
        end
      end
      if days > MOST_DAYS then
        report:violation { object = driver, detail = ("%d days of work, at most %d"):format(days, MOST_DAYS) }
      end
    end
  end,
}
