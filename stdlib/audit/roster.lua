--- `require "roster"` in a tenant audit: ways to look at a roster plan (stdlib/schema/audit-plan-1.json). Pure; it changes nothing.
local roster = {}

local WEEKDAYS = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" }
local DAY = 1440

local function by_start(a, b)
  if a.start_min ~= b.start_min then return a.start_min < b.start_min end
  return a.tour_instance_id < b.tour_instance_id
end

--- Assignments of each driver.
---@param plan table
---@return table<string, table[]>  driver's key → assignments in order of their start
function roster.by_driver(plan)
  local out = {}
  for _, driver in ipairs(plan.drivers) do out[driver.key] = {} end
  for _, a in ipairs(plan.assignments) do
    out[a.driver_id] = out[a.driver_id] or {}
    table.insert(out[a.driver_id], a)
  end
  for _, list in pairs(out) do table.sort(list, by_start) end
  return out
end

--- Assignments of each day of the week, by the day their tours start on.
---@param plan table
---@return table[][]  seven lists, Monday first, each in order of start
function roster.by_day(plan)
  local out = {}
  for day = 1, 7 do out[day] = {} end
  for _, a in ipairs(plan.assignments) do table.insert(out[a.day], a) end
  for _, list in ipairs(out) do table.sort(list, by_start) end
  return out
end

--- Name of a day.
---@param what integer|table  1 (Monday) to 7, or an assignment
---@return string  "monday" … "sunday"
function roster.weekday(what)
  local day = type(what) == "table" and what.day or what
  local name = WEEKDAYS[day]
  if not name then error("roster.weekday: expected a day from 1 to 7 or an assignment, got " .. tostring(day), 2) end
  return name
end

--- Minutes of a tour that lie at night.
---@param assignment table
---@param from integer?  first minute of the night in its day; 1380 (23:00)
---@param to integer?  first minute after it, in the next day; 360 (06:00)
---@return integer
function roster.night_minutes(assignment, from, to)
  from, to = from or 1380, to or 360
  local minutes = 0
  for day = assignment.start_min // DAY - 1, assignment.end_min // DAY do
    local first = math.max(assignment.start_min, day * DAY + from)
    local last = math.min(assignment.end_min, (day + 1) * DAY + to)
    if last > first then minutes = minutes + last - first end
  end
  return minutes
end

--- Does a year of the ISO calendar have a week 53? It does where it begins or ends on a Thursday (ISO 8601).
local function is_long(year)
  local function last_weekday(y) return (y + y // 4 - y // 100 + y // 400) % 7 end
  return last_weekday(year) == 4 or last_weekday(year - 1) == 3
end

--- Name of the ISO week directly before one.
---@param what string|table  "2026-W10", or a plan
---@return string  "2026-W09"
function roster.week_before(what)
  local iso = type(what) == "table" and what.week.iso or what
  local year, week = tostring(iso):match "^(%d%d%d%d)%-W(%d%d)$"
  if not year then error("roster.week_before: expected an ISO week such as 2026-W10 or a plan, got " .. tostring(iso), 2) end
  year, week = math.tointeger(tonumber(year)), math.tointeger(tonumber(week))
  if week > 1 then return ("%04d-W%02d"):format(year, week - 1) end
  return ("%04d-W%02d"):format(year - 1, is_long(year - 1) and 53 or 52)
end

local gap = { __tostring = function(e) return e.message end }

--- The plan of exactly n weeks before, out of plan.history (needs = { history = … }). The weeks there are the last locked ones, which
--- need not follow each other: where that week was not locked nobody knows who worked in it, and the audit is an ERROR (history_gap).
--- An audit that can do without a week goes over plan.history itself.
---@param plan table
---@param n integer  1: last week
---@return table
function roster.weeks_before(plan, n)
  local iso = plan.week.iso
  for _ = 1, n do iso = roster.week_before(iso) end
  for _, week in ipairs(plan.history or {}) do
    if week.week.iso == iso then return week end
  end
  error(setmetatable({ code = "history_gap",
    message = ("there is no locked plan of %s, %d week%s before %s, to look at"):format(iso, n, n == 1 and "" or "s", plan.week.iso),
    fix = "lock a plan of that week first, or give its plan along with the others" }, gap), 2)
end

--- Is it night work: more than two hours between 23:00 and 06:00 (German Working Hours Act, ArbZG § 2 (3) and (4))?
---@param assignment table
---@return boolean
function roster.night(assignment)
  return roster.night_minutes(assignment) > 120
end

return roster
