---@meta

--- A tenant audit: `return { name = "…", pack = "roster", audit = function(plan, report) … end }`. It sees the language, the plan and
--- pure helpers (`require "roster"`, `require "routing"`); it has no clock, no randomness, no file and no network, so that the same plan
--- always gets the same verdict.
---
--- `needs = { history = 2 }`, from 1 to 8, also gives an audit of pack "roster" the tenant's last locked weeks before the plan's, as
--- plan.history: newest first, history[1] is the last one. Where there are fewer the audit is an ERROR and is not called. A week of which
--- no plan was locked is left out: roster.weeks_before(plan, 1) finds the week before and is an error where it is not there.
---
--- `run AUDIT --plan FILE|DIR` takes the weeks before from the plan itself, else from the other plans of the directory; weeks that have too
--- few before them are reported as SKIP, and at least one must be judged.
---
--- stdlib/schema/audit-plan-1.json describes the plan of a roster in full, audit-plan-routing-1.json that of a routing scenario.
---@class audit.Head
---@field name string
---@field pack "roster"|"routing"    a plan of another pack is an ERROR
---@field purpose string?
---@field needs {history: integer}?  weeks, 1 to 8; of pack "roster" only
---@field audit fun(plan: audit.Plan|audit.RoutingPlan, report: audit.Report)

---@class audit.Plan
---@field pack "roster"
---@field week {iso: string, days: table[], reference: boolean?}  ISO 8601 week and its dates; reference: they stand in, none was named
---@field drivers {key: string, minutes: integer, days: integer[], tours: integer}[]
---@field assignments audit.Assignment[]     sorted by driver, then tour
---@field history audit.Plan[]?              where needs.history asks for it: that many weeks, newest first, without a history of their own

---@class audit.Assignment
---@field driver_id string           a driver's key, stable across weeks
---@field tour_instance_id string
---@field day integer                1 (Monday) to 7: of the tour's start
---@field weekday string             "monday" to "sunday"
---@field date string                "2026-03-02"
---@field start string               local time, "2026-03-02T22:30"
---@field end string                 local time; may be of a later date. `end` is a word of Lua: write a["end"]
---@field start_min integer          minutes since day 1, 00:00
---@field end_min integer            may pass 10080
---@field minutes integer            from start_min to end_min
---@field depot string?
---@field skill string?
---@field split_group string?        both parts of a split shift carry the same one
---@field block_id string            as the plan names it
---@field block_type "1er"|"2er-reg"|"2er-split"|"3er-chain"|"none"  by the tours' times; none: it fits no type
---@field block audit.Block          what the driver does on this day

---@class audit.Block
---@field id string
---@field type "1er"|"2er-reg"|"2er-split"|"3er-chain"|"none"
---@field start_min integer
---@field end_min integer
---@field tours integer

--- A routing plan is of one day. Its minutes count from 00:00 of its date and may pass 1440.
---@class audit.RoutingPlan
---@field pack "routing"
---@field date string               "2026-03-02"
---@field vehicles audit.Vehicle[]  sorted by key
---@field stops audit.Stop[]        sorted by key; those that no route serves too
---@field routes audit.Route[]      sorted by vehicle, then start

---@class audit.Vehicle
---@field key string
---@field depot {lat: number, lng: number}
---@field capacity integer
---@field skills string[]
---@field shift_start_min integer
---@field shift_end_min integer

---@class audit.Stop
---@field key string
---@field place {lat: number, lng: number}
---@field demand integer
---@field skills string[]
---@field window_start_min integer  service begins between these
---@field window_end_min integer
---@field service_min integer       minutes of service

---@class audit.Route
---@field vehicle string            a vehicle's key
---@field start_min integer         leaves its depot
---@field end_min integer           is back there
---@field distance_m integer
---@field visits audit.Visit[]      in driving order

---@class audit.Visit
---@field stop string               a stop's key
---@field arrive_min integer
---@field start_min integer         service begins
---@field leave_min integer
---@field load integer              delivered so far, this stop's included

---@class audit.Report
local report = {}

--- Says what breaks the rule. An audit without violations passes.
---@param violation {object: string, detail: string?}  object: which driver or tour; detail: what was found
function report:violation(violation) end

return report
