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

--- Days of 1 January 1970 to a date "YYYY-MM-DD" (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
local function days_of(date)
  local y, m, d = date:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)$"
  y, m, d = math.tointeger(tonumber(y)), math.tointeger(tonumber(m)), math.tointeger(tonumber(d))
  if not y then error("roster: expected a date such as 2024-01-01, got " .. tostring(date), 3) end
  if m <= 2 then y = y - 1 end
  local era = y // 400
  local yoe = y - era * 400
  local doy = (153 * (m + (m > 2 and -3 or 9)) + 2) // 5 + d - 1
  return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
end

--- The plan of exactly n weeks before, out of plan.history (needs = { history = … }); nil where that week was not locked. The weeks
--- in plan.history are the last locked ones, which need not follow each other.
---@param plan table
---@param n integer  1: last week
---@return table|nil
function roster.weeks_before(plan, n)
  local monday = days_of(plan.week.days[1].date) - 7 * n
  for _, week in ipairs(plan.history or {}) do
    if days_of(week.week.days[1].date) == monday then return week end
  end
  return nil
end

--- Is it night work: more than two hours between 23:00 and 06:00 (German Working Hours Act, ArbZG § 2 (3) and (4))?
---@param assignment table
---@return boolean
function roster.night(assignment)
  return roster.night_minutes(assignment) > 120
end

return roster
