---@meta

--- A tenant audit: `return { name = "…", pack = "roster", audit = function(plan, report) … end }`. It sees the language, the plan and
--- pure helpers (`require "roster"`, `require "routing"`); it has no clock, no randomness, no file and no network, so that the same plan
--- always gets the same verdict. `needs = { history = 2 }` also gives it the two last locked weeks as plan.history, newest first; where
--- there are fewer the audit is an ERROR.
---
--- stdlib/schema/audit-plan-1.json describes the plan of a roster in full, audit-plan-routing-1.json that of a routing scenario.
---@class audit.Plan
---@field pack "roster"|"routing"
---@field week {iso: string, days: table[]}  ISO 8601 week and its dates
---@field drivers {key: string, minutes: integer, days: integer[], tours: integer}[]
---@field assignments audit.Assignment[]     sorted by driver, then tour
---@field history audit.Plan[]?              where needs.history asks for it: history[1] is the last locked week before this one

---@class audit.Assignment
---@field driver_id string           a driver's key, stable across weeks
---@field tour_instance_id string
---@field day integer                1 (Monday) to 7: of the tour's start
---@field date string
---@field start_min integer          minutes since day 1, 00:00
---@field end_min integer            may pass 10080
---@field minutes integer
---@field depot string?
---@field skill string?
---@field block_id string
---@field block_type "1er"|"2er-reg"|"2er-split"|"3er-chain"

---@class audit.Report
local report = {}

--- Says what breaks the rule. An audit without violations passes.
---@param violation {object: string, detail: string?}  object: which driver or tour; detail: what was found
function report:violation(violation) end

return report
