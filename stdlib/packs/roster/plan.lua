--- Roster plans: the solver's request and answer, their hashes, and the plan as tenant audits see it.
-- Pure: needs no capability.

local audits = require "packs.roster.audits"
local errors = require "errors"
local expand = require "packs.roster.expand"
local hash = require "hash"
local json = require "json"

local M = {}

--- Seed when neither dataset nor option names one.
M.DEFAULT_SEED = 94

--- Week of a plan whose dataset names none: its Monday is the first of January, so dates are easy to read back.
M.REFERENCE_WEEK = "2024-W01"

local FIELDS = { "driver_id", "tour_instance_id", "day", "block_id", "block_type" }
local WEEKDAYS = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" }

local function bad(message, detail)
  errors.raise { code = "plan_invalid", message = message, detail = detail,
    fix = "The plan must be {assignments = [{driver_id, tour_instance_id, day, block_id, block_type}]}, every tour one of the forecast's" }
end

--- Whole minutes from a config's hours.
local function minutes(hours, key)
  local value = type(hours) == "number" and math.tointeger(hours * 60)
  if not value or value <= 0 then
    errors.raise { code = "config_value",
      message = ("packs.roster.%s: expected hours above 0 that are whole minutes, got %s"):format(key, tostring(hours)),
      fix = "Correct the key in gate-engine.conf.lua" }
  end
  return value
end

--- The audits' and solver's limits from the pack's config.
---@param config table?  packs.roster of the config: max_weekly_hours, min_rest_hours, max_span_regular, max_span_split, all hours
---@return table limits  minutes, keys of audits.DEFAULTS. Errors: config_value.
function M.limits(config)
  local keys = {
    max_weekly_hours = "max_weekly_minutes", min_rest_hours = "min_rest_minutes",
    max_span_regular = "max_span_regular_minutes", max_span_split = "max_span_split_minutes",
  }
  local limits = {}
  for hours_key, key in pairs(keys) do
    local hours = config and config[hours_key]
    if hours == json.null then hours = nil end
    limits[key] = hours == nil and audits.DEFAULTS[key] or minutes(hours, hours_key)
  end
  return limits
end

--- The document a roster solver reads.
---@param instances table[]  from packs.roster.expand
---@param seed integer
---@param limits table  from limits()
---@return table
function M.request(instances, seed, limits)
  local config = {}
  for key in pairs(audits.DEFAULTS) do config[key] = limits[key] end
  return { pack = "roster", seed = seed, config = config, instances = expand.export(instances) }
end

--- Hash of what decides the solver's answer besides the forecast.
---@param seed integer
---@param limits table
---@param solver {name: string, version: string}
---@return string sha256
function M.solver_config_hash(seed, limits, solver)
  local config = {}
  for key in pairs(audits.DEFAULTS) do config[key] = limits[key] end
  return hash.of { seed = seed, config = config, solver = { name = solver.name, version = solver.version } }
end

--- Assignments with exactly the five hashed fields, sorted by driver, then tour.
---@param list table[]
---@return table[]  a new list. Errors: plan_invalid.
function M.sorted(list)
  if type(list) ~= "table" then bad("assignments: expected a list, got " .. type(list)) end
  local out, n = {}, 0
  for key in pairs(list) do
    if math.type(key) ~= "integer" then bad("assignments: expected a list, found the key " .. tostring(key)) end
    n = n + 1
  end
  for i = 1, n do
    local a, copy = list[i], {}
    if type(a) ~= "table" then bad(("assignments[%d]: expected an object"):format(i)) end
    for _, field in ipairs(FIELDS) do
      local value = a[field]
      local right = field == "day" and math.type(value) == "integer" or field ~= "day" and type(value) == "string" and value ~= ""
      if not right then
        bad(("assignments[%d].%s: expected %s, got %s"):format(i, field, field == "day" and "a day number" or "a text", type(value)))
      end
      copy[field] = value
    end
    out[i] = copy
  end
  table.sort(out, function(a, b)
    for _, field in ipairs(FIELDS) do
      if a[field] ~= b[field] then return a[field] < b[field] end
    end
    return false
  end)
  return out
end

--- Hash of a plan: RFC 8785 of its sorted assignments.
---@param assignments table[]
---@return string sha256
function M.output_hash(assignments)
  return hash.of(json.array(M.sorted(assignments)))
end

local function count_drivers(assignments)
  local seen, n = {}, 0
  for _, a in ipairs(assignments) do
    if not seen[a.driver_id] then seen[a.driver_id], n = true, n + 1 end
  end
  return n
end

--- Each assignment names a tour of the forecast and that tour's day.
local function check_tours(assignments, instances)
  local by_id = {}
  for _, t in ipairs(instances) do by_id[t.id] = t end
  for _, a in ipairs(assignments) do
    local tour = by_id[a.tour_instance_id]
    if not tour then bad(("driver %s is assigned tour %s, which the forecast does not have"):format(a.driver_id, a.tour_instance_id)) end
    if tour.day ~= a.day then
      bad(("tour %s is on day %d, its assignment to %s says day %d"):format(tour.id, tour.day, a.driver_id, a.day))
    end
  end
end

--- A solver's block claims: a block id belongs to one driver and day, a driver has one block a day.
local function check_blocks(assignments)
  local owner, block_of = {}, {}
  for _, a in ipairs(assignments) do
    local key = ("%s day %d"):format(a.driver_id, a.day)
    if (owner[a.block_id] or key) ~= key then bad(("block %s is used by %s and by %s"):format(a.block_id, owner[a.block_id], key)) end
    if (block_of[key] or a.block_id) ~= a.block_id then bad(("%s has two blocks, %s and %s"):format(key, block_of[key], a.block_id)) end
    owner[a.block_id], block_of[key] = key, a.block_id
  end
end

local function whole(value)
  return math.type(value) == "integer" and value or nil
end

--- The plan from a solver's answer, checked against the forecast's instances.
---@param output table  what the solver wrote (protocol: solver, drivers, lower_bound, seed, assignments)
---@param instances table[]
---@param seed integer  the seed that was asked for
---@return table plan  {drivers, lower_bound|nil, seed, output_hash, assignments (sorted), solver = {name, version}}.
---  Errors: plan_invalid.
function M.from_solver(output, instances, seed)
  if type(output) ~= "table" then bad("the solver's answer is not an object") end
  local solver = output.solver
  if type(solver) ~= "table" or type(solver.name) ~= "string" or type(solver.version) ~= "string" then
    bad("the solver's answer does not say solver.name and solver.version")
  end
  local list = M.sorted(output.assignments)
  check_tours(list, instances)
  check_blocks(list)
  local drivers = count_drivers(list)
  if output.drivers ~= drivers then
    bad(("the solver says %s drivers, its assignments name %d"):format(tostring(output.drivers), drivers))
  end
  if output.seed ~= seed then
    bad(("the solver was given seed %d and says it used %s"):format(seed, tostring(output.seed)))
  end
  local bound = whole(output.lower_bound)
  if bound and bound > drivers then
    bad(("the solver says at least %d drivers are needed and uses %d"):format(bound, drivers))
  end
  return { drivers = drivers, lower_bound = bound, seed = seed, output_hash = M.output_hash(list), assignments = list,
    solver = { name = solver.name, version = solver.version } }
end

--- The plan from a dataset's plan.json, which replaces a solver's. What it claims besides its assignments is worked out anew.
---@param document table  {assignments, lower_bound?, …}
---@param instances table[]
---@param seed integer
---@return table plan  as from_solver(), solver.name "injected". Errors: plan_invalid.
function M.injected(document, instances, seed)
  if type(document) ~= "table" then bad("plan.json is not an object") end
  local list = M.sorted(document.assignments)
  check_tours(list, instances)
  return { drivers = count_drivers(list), lower_bound = whole(document.lower_bound), seed = seed,
    output_hash = M.output_hash(list), assignments = list, solver = { name = "injected", version = "plan.json" } }
end

--- The plan in the published shape (artifact plan.json).
---@param plan table
---@return table
function M.export(plan)
  return { drivers = plan.drivers, lower_bound = plan.lower_bound == nil and json.null or plan.lower_bound, seed = plan.seed,
    output_hash = plan.output_hash, assignments = json.array(M.sorted(plan.assignments)) }
end

--- Days of 1 January 1970 to a civil date, and back (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
local function days_from_civil(y, m, d)
  if m <= 2 then y = y - 1 end
  local era = y // 400
  local yoe = y - era * 400
  local doy = (153 * (m + (m > 2 and -3 or 9)) + 2) // 5 + d - 1
  return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
end

local function civil_from_days(z)
  z = z + 719468
  local era = z // 146097
  local doe = z - era * 146097
  local yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
  local doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
  local mp = (5 * doy + 2) // 153
  local m = mp + (mp < 10 and 3 or -9)
  return yoe + era * 400 + (m <= 2 and 1 or 0), m, doy - (153 * mp + 2) // 5 + 1
end

--- Monday of an ISO week, in days since 1970-01-01 (ISO 8601: week 1 holds 4 January).
local function monday_of(week)
  local y, w = tostring(week):match("^(%d%d%d%d)%-W(%d%d)$")
  y, w = math.tointeger(tonumber(y)), math.tointeger(tonumber(w))
  local monday
  if y then
    local function first(year)
      local jan4 = days_from_civil(year, 1, 4)
      return jan4 - (jan4 + 3) % 7
    end
    monday = first(y) + (w - 1) * 7
    if w < 1 or monday >= first(y + 1) then monday = nil end
  end
  if not monday then
    errors.raise { code = "plan_week", message = ("%s is not an ISO week such as 2024-W01"):format(tostring(week)),
      fix = "Correct `week` in manifest.json" }
  end
  return monday
end

--- Is this a week that there is?
---@param week string  ISO week "YYYY-Www". Errors: plan_week.
function M.check_week(week)
  monday_of(week)
end

local function date_text(days)
  return ("%04d-%02d-%02d"):format(civil_from_days(days))
end

--- One joined assignment of the audit plan; its block and block type are worked out from the times, "none" where they fit no type.
local function joined(a, tour, block, monday)
  local function clock(minute) return ("%sT%02d:%02d"):format(date_text(monday + minute // 1440), minute // 60 % 24, minute % 60) end
  local function null(v)
    if v == nil then return json.null end
    return v
  end
  return {
    driver_id = a.driver_id, tour_instance_id = tour.id, day = tour.day, block_id = a.block_id, block_type = block.type or "none",
    weekday = WEEKDAYS[tour.day], date = date_text(monday + tour.day - 1),
    start = clock(tour.start_min), ["end"] = clock(tour.end_min), start_min = tour.start_min, end_min = tour.end_min,
    minutes = tour.end_min - tour.start_min, depot = null(tour.depot), skill = null(tour.skill), split_group = null(tour.split_group),
    block = { id = a.block_id, type = block.type or "none", start_min = block.start_min, end_min = block.end_min, tours = #block.tours },
  }
end

--- The plan as tenant audits see it (artifact audit-plan.json; schema: stdlib/schema/audit-plan-1.json).
---@param plan table  {assignments, …}
---@param instances table[]
---@param opts {week: string?, tenant: string?}?  ISO week "YYYY-Www"; when left out the dates are those
---  of M.REFERENCE_WEEK, which is said in week.reference: it stands in for one that nobody knows
---@return table  {schema, pack, week = {iso, days, reference?}, drivers = {{key, minutes, days, tours}}, assignments}.
---  Errors: plan_week, audit_input.
function M.audit_plan(plan, instances, opts)
  local known = opts and opts.week
  local week_name = known or M.REFERENCE_WEEK
  local monday = monday_of(week_name)
  local week = audits.week(plan.assignments, instances)
  local drivers, block_of = {}, {}
  for i, d in ipairs(week.drivers) do
    local days = {}
    for k, block in ipairs(d.blocks) do
      days[k] = block.day
      block_of[d.id .. "\0" .. block.day] = block
    end
    drivers[i] = { key = d.id, minutes = d.minutes, days = json.array(days), tours = #d.tours }
  end
  local list = {}
  for _, a in ipairs(M.sorted(plan.assignments)) do
    local tour = week.by_id[a.tour_instance_id]
    if tour then list[#list + 1] = joined(a, tour, block_of[a.driver_id .. "\0" .. tour.day], monday) end
  end
  local days = {}
  for day = 1, 7 do days[day] = { day = day, weekday = WEEKDAYS[day], date = date_text(monday + day - 1) } end
  return {
    schema = "gate-engine/audit-plan/1", pack = "roster", week = { iso = week_name, days = days, reference = not known or nil },
    drivers = json.array(drivers), assignments = json.array(list),
  }
end

return M
