--- The seven roster audits, on the week's minute line. Each is needed before a plan may be locked.
--
-- An audit looks at driver, tour and the tour's own times; block ids and block types of a plan are claims and are not used.
-- A block is what one driver does on one day (the day of the tours' starts): its type is worked out here.
-- Rules and boundary values: docs of M.LIST. Pure: needs no capability.

local errors = require "errors"

local M = {}

local WEEK_DAYS = 7
local GAP_MIN, GAP_MAX = 30, 60        -- inside 2er-reg and 3er-chain
local BREAK_MIN, BREAK_MAX = 240, 360  -- inside 2er-split

--- Limits when a config says nothing, in minutes.
M.DEFAULTS = { max_weekly_minutes = 3300, min_rest_minutes = 660, max_span_regular_minutes = 840, max_span_split_minutes = 960 }

--- The audits in the order they are reported: id and rule.
---@type {id: string, rule: string}[]
M.LIST = {
  { id = "coverage",     rule = "each tour instance is assigned exactly once" },
  { id = "overlap",      rule = "no driver works two tours at the same time" },
  { id = "rest",         rule = "at least min_rest_minutes between the end of one daily block and the start of the next" },
  { id = "span_regular", rule = "1er and 2er-reg: at most max_span_regular_minutes from first start to last end" },
  { id = "span_split",   rule = "3er-chain and 2er-split: at most max_span_split_minutes; a split's break is 240 to 360 minutes; "
    .. "every block is one of the four types; the parts of a split shift have one driver" },
  { id = "fatigue",      rule = "no 3er on two consecutive days for one driver" },
  { id = "weekly_max",   rule = "at most max_weekly_minutes of work a week, the sum of tour durations" },
}

local DAY_NAMES = { "Mo", "Di", "Mi", "Do", "Fr", "Sa", "So" }

--- A minute of the week's line for people: "Mo 08:00"; past the week's end it goes on as "Mo+1 02:00".
---@param minute integer
---@return string
function M.at(minute)
  local day = minute // 1440
  local name = day < WEEK_DAYS and DAY_NAMES[day + 1] or DAY_NAMES[day % WEEK_DAYS + 1] .. "+1"
  return ("%s %02d:%02d"):format(name, minute // 60 % 24, minute % 60)
end

local function by_start(a, b)
  if a.start_min ~= b.start_min then return a.start_min < b.start_min end
  if a.end_min ~= b.end_min then return a.end_min < b.end_min end
  return a.id < b.id
end

--- Type of a block from its tours' times, or nil when it is none of the four.
---@param tours table[]  sorted by start
---@return string|nil
---@return string|nil why  what is wrong, where the type is nil
function M.block_type(tours)
  if #tours == 1 then return "1er" end
  if #tours > 3 then return nil, ("%d tours in one block"):format(#tours) end
  local gaps, texts = {}, {}
  for i = 2, #tours do
    gaps[#gaps + 1] = tours[i].start_min - tours[i - 1].end_min
    texts[#texts + 1] = tostring(gaps[#gaps])
  end
  local function chained(gap) return gap >= GAP_MIN and gap <= GAP_MAX end
  if #tours == 2 and chained(gaps[1]) then return "2er-reg" end
  if #tours == 2 and gaps[1] >= BREAK_MIN and gaps[1] <= BREAK_MAX then return "2er-split" end
  if #tours == 3 and chained(gaps[1]) and chained(gaps[2]) then return "3er-chain" end
  return nil, ("%d tours with gaps of %s min"):format(#tours, table.concat(texts, " and "))
end

local function need(ok, what)
  if not ok then
    errors.raise { code = "audit_input", message = "audits: " .. what, fix = "Check the plan's assignments and the tour instances" }
  end
end

--- Tours by id, each checked: an audit of tours without times would find nothing, and nothing found reads as a pass.
local function index_instances(instances)
  need(type(instances) == "table", "instances: expected a list")
  local by_id = {}
  for i, t in ipairs(instances) do
    need(type(t) == "table" and type(t.id) == "string", ("instances[%d]: expected {id, day, start_min, end_min, …}"):format(i))
    need(not by_id[t.id], ("instances[%d]: the id %s appears twice"):format(i, t.id))
    need(math.type(t.start_min) == "integer" and math.type(t.end_min) == "integer" and t.end_min > t.start_min,
      ("tour %s: expected whole minutes with start_min before end_min"):format(t.id))
    need(math.type(t.day) == "integer" and t.day >= 1 and t.day <= WEEK_DAYS, ("tour %s: day: expected 1 to 7"):format(t.id))
    by_id[t.id] = t
  end
  return by_id
end

--- A driver's block of one day from its tours.
local function make_block(driver, day, tours)
  table.sort(tours, by_start)
  local block = { driver = driver, day = day, tours = tours, start_min = tours[1].start_min, end_min = tours[1].end_min }
  for _, t in ipairs(tours) do block.end_min = math.max(block.end_min, t.end_min) end
  block.type, block.why = M.block_type(tours)
  return block
end

--- A driver's week: tours in order of start, blocks in order of day.
local function make_driver(id, tours)
  table.sort(tours, by_start)
  local days, blocks, minutes = {}, {}, 0
  for _, t in ipairs(tours) do
    days[t.day] = days[t.day] or {}
    table.insert(days[t.day], t)
    minutes = minutes + t.end_min - t.start_min
  end
  for day = 1, WEEK_DAYS do
    if days[day] then blocks[#blocks + 1] = make_block(id, day, days[day]) end
  end
  return { id = id, tours = tours, blocks = blocks, minutes = minutes }
end

--- The plan as the audits see it: drivers with their tours and recomputed blocks.
---@param assignments table[]  {driver_id, tour_instance_id, …}; a tour named twice for one driver counts once (coverage reports it)
---@param instances table[]  {id, day, start_min, end_min, split_group?, …}
---@return table week  {drivers = {{id, minutes, tours, blocks = {{day, type|nil, start_min, end_min, tours}}}} sorted by id,
---  by_id, times_assigned = {[id] = drivers}, unknown = assignments of tours that are not there}. Errors: audit_input.
function M.week(assignments, instances)
  local by_id = index_instances(instances)
  need(type(assignments) == "table", "assignments: expected a list")
  local tours_of, order, unknown, assigned = {}, {}, {}, {}
  for i, a in ipairs(assignments) do
    need(type(a) == "table" and type(a.driver_id) == "string" and a.driver_id ~= "" and type(a.tour_instance_id) == "string",
      ("assignments[%d]: expected {driver_id, tour_instance_id, …}"):format(i))
    local tour = by_id[a.tour_instance_id]
    if not tour then
      unknown[#unknown + 1] = a
    else
      local to = assigned[tour.id] or { n = 0, drivers = {} }
      assigned[tour.id] = to
      to.n = to.n + 1
      if not tours_of[a.driver_id] then
        tours_of[a.driver_id] = {}
        order[#order + 1] = a.driver_id
      end
      if not to.drivers[a.driver_id] then
        to.drivers[a.driver_id] = true
        to[#to + 1] = a.driver_id
        table.insert(tours_of[a.driver_id], tour)
      end
    end
  end
  table.sort(order)
  local drivers = {}
  for i, id in ipairs(order) do drivers[i] = make_driver(id, tours_of[id]) end
  return { drivers = drivers, instances = instances, by_id = by_id, assigned = assigned, unknown = unknown }
end

--- A block in a violation.
local function show_block(block)
  local ids = {}
  for i, t in ipairs(block.tours) do ids[i] = t.id end
  return { day = block.day, type = block.type or "none", start_min = block.start_min, end_min = block.end_min, tours = ids }
end

local function block_text(block)
  return ("%s to %s"):format(M.at(block.start_min), M.at(block.end_min))
end

local checks = {}

function checks.coverage(week, _, add)
  for _, t in ipairs(week.instances) do
    local to = week.assigned[t.id]
    if not to then
      add { object = t.id, found = 0, allowed = 1, detail = ("tour %s is not assigned"):format(t.id) }
    elseif to.n > 1 then
      add { object = t.id, driver = to[1], found = to.n, allowed = 1,
        detail = ("tour %s is assigned %d times, to %s"):format(t.id, to.n, table.concat(to, ", ")) }
    end
  end
  for _, a in ipairs(week.unknown) do
    add { object = a.tour_instance_id, driver = a.driver_id, found = "not in the forecast", allowed = "a tour instance",
      detail = ("driver %s is assigned tour %s, which does not exist"):format(a.driver_id, a.tour_instance_id) }
  end
  if #week.instances == 0 then
    add { object = "plan", found = 0, allowed = 1, detail = "there are no tour instances: a plan of nothing covers nothing" }
  end
end

function checks.overlap(week, _, add)
  for _, d in ipairs(week.drivers) do
    local last
    for _, t in ipairs(d.tours) do
      if last and t.start_min < last.end_min then
        add { driver = d.id, found = math.min(last.end_min, t.end_min) - t.start_min, allowed = 0, tours = { last.id, t.id },
          detail = ("tours %s and %s overlap by %d min from %s"):format(last.id, t.id,
            math.min(last.end_min, t.end_min) - t.start_min, M.at(t.start_min)) }
      end
      if not last or t.end_min > last.end_min then last = t end
    end
  end
end

function checks.rest(week, limits, add)
  for _, d in ipairs(week.drivers) do
    local last
    for _, block in ipairs(d.blocks) do
      local rest = last and block.start_min - last.end_min
      if rest and rest < limits.min_rest_minutes then
        add { driver = d.id, blocks = { show_block(last), show_block(block) }, found = rest, allowed = limits.min_rest_minutes,
          detail = ("rest of %d min between %s and %s, at least %d needed"):format(rest, M.at(last.end_min), M.at(block.start_min),
            limits.min_rest_minutes) }
      end
      if not last or block.end_min > last.end_min then last = block end
    end
  end
end

local function too_long(d, block, limit, add)
  local span = block.end_min - block.start_min
  if span > limit then
    add { driver = d.id, blocks = { show_block(block) }, found = span, allowed = limit,
      detail = ("%s of %d min (%s), at most %d allowed"):format(block.type, span, block_text(block), limit) }
  end
end

function checks.span_regular(week, limits, add)
  for _, d in ipairs(week.drivers) do
    for _, block in ipairs(d.blocks) do
      if block.type == "1er" or block.type == "2er-reg" then too_long(d, block, limits.max_span_regular_minutes, add) end
    end
  end
end

--- The two parts of a split shift are one driver's: report each group that is spread out, once.
local function split_groups(week, add)
  local groups, order = {}, {}
  for _, t in ipairs(week.instances) do
    local to = t.split_group and week.assigned[t.id]
    for _, driver in ipairs(to or {}) do
      local g = groups[t.split_group]
      if not g then
        g = { drivers = {}, tours = {} }
        groups[t.split_group] = g
        order[#order + 1] = t.split_group
      end
      g.tours[t.id] = (g.tours[t.id] or 0) + 1
      if g.tours[t.id] == 1 then g.tours[#g.tours + 1] = t.id end
      if not g.drivers[driver] then
        g.drivers[driver] = true
        table.insert(g.drivers, driver)
      end
    end
  end
  for _, id in ipairs(order) do
    local g = groups[id]
    local whole = false  -- a part given to a second driver as well is coverage's finding, not this one's
    for _, driver in ipairs(g.drivers) do
      local holds_all = true
      for _, tour in ipairs(g.tours) do holds_all = holds_all and week.assigned[tour].drivers[driver] == true end
      whole = whole or holds_all
    end
    if not whole then
      table.sort(g.drivers)
      add { object = id, driver = g.drivers[1], tours = g.tours, found = #g.drivers, allowed = 1,
        detail = ("split shift %s is spread over drivers %s"):format(id, table.concat(g.drivers, ", ")) }
    end
  end
end

function checks.span_split(week, limits, add)
  for _, d in ipairs(week.drivers) do
    for _, block in ipairs(d.blocks) do
      if not block.type then
        add { driver = d.id, blocks = { show_block(block) }, found = block.why, allowed = "1er, 2er-reg, 2er-split or 3er-chain",
          detail = ("block %s is none of the four types: %s"):format(block_text(block), block.why) }
      elseif block.type == "3er-chain" or block.type == "2er-split" then
        too_long(d, block, limits.max_span_split_minutes, add)
      end
    end
  end
  split_groups(week, add)
end

function checks.fatigue(week, _, add)
  for _, d in ipairs(week.drivers) do
    for i = 2, #d.blocks do
      local a, b = d.blocks[i - 1], d.blocks[i]
      if a.type == "3er-chain" and b.type == "3er-chain" and b.day == a.day + 1 then
        add { driver = d.id, blocks = { show_block(a), show_block(b) }, found = 2, allowed = 1,
          detail = ("3er-chain on %s and on %s"):format(DAY_NAMES[a.day], DAY_NAMES[b.day]) }
      end
    end
  end
end

function checks.weekly_max(week, limits, add)
  for _, d in ipairs(week.drivers) do
    if d.minutes > limits.max_weekly_minutes then
      local blocks = {}
      for i, block in ipairs(d.blocks) do blocks[i] = show_block(block) end
      add { driver = d.id, blocks = blocks, found = d.minutes, allowed = limits.max_weekly_minutes,
        detail = ("%d min of work in the week (%.2f h), at most %d allowed"):format(d.minutes, d.minutes / 60, limits.max_weekly_minutes) }
    end
  end
end

--- All limits, checked: a missing or senseless limit must not make an audit blind.
local function check_limits(limits)
  local out = {}
  for key, default in pairs(M.DEFAULTS) do
    local value = limits and limits[key]
    if value == nil then value = default end
    need(math.type(value) == "integer" and value > 0, ("limits.%s: expected whole minutes above 0, got %s"):format(key, tostring(value)))
    out[key] = value
  end
  for key in pairs(limits or {}) do need(M.DEFAULTS[key], ("limits.%s: no such limit"):format(tostring(key))) end
  return out
end

--- Run all seven audits, or the one named.
---@param assignments table[]  of the plan: {driver_id, tour_instance_id, …}
---@param instances table[]  every tour instance of the forecast
---@param limits table?  minutes, see M.DEFAULTS; what is left out has its default
---@param only string?  id of a single audit
---@return table[] results  in the order of M.LIST: {id, rule, status = "PASS"|"FAIL", checked = number of tours looked at,
---  violations = {{object, driver?, blocks?, tours?, found, allowed, detail}}}; found and allowed are minutes or counts.
---  Errors: audit_input for a plan or limits that cannot be judged.
function M.run(assignments, instances, limits, only)
  local bounds = check_limits(limits)
  local week = M.week(assignments, instances)
  local results = {}
  for _, audit in ipairs(M.LIST) do
    if only == nil or only == audit.id then
      local violations = {}
      checks[audit.id](week, bounds, function(v)
        v.object = v.object or v.driver
        violations[#violations + 1] = v
      end)
      results[#results + 1] = {
        id = audit.id, rule = audit.rule, status = #violations == 0 and "PASS" or "FAIL", checked = #instances, violations = violations,
      }
    end
  end
  need(#results > 0, ("no audit is called %s"):format(tostring(only)))
  return results
end

return M
