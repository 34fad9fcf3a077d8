--- Tour templates and instances: what a parsed forecast means, with ids that come from content alone.
--
-- Equal lines are one template with their drivers added up, so that the order of lines, comments and blanks change neither
-- the forecast's hash nor any id. Ids never hold a database key, a line number or a time of today.
-- Pure: needs no capability.

local errors = require "errors"
local hash = require "hash"
local json = require "json"

local M = {}

--- Most instances one forecast may have.
M.MAX_INSTANCES = 100000

local DAY_SHORT = { "Mo", "Di", "Mi", "Do", "Fr", "Sa", "So" }
local DAY_MIN = 1440

--- A short content hash: 12 hex digits tell 100,000 tours apart; a clash is an error in instances(), never silent.
local function short(value)
  return hash.of(value):sub(1, 12)
end

local function null(value)
  if value == nil then return json.null end
  return value
end

--- Key of a split line: the same for both of its parts, and different for lines that differ in anything but their count.
local function span_key(entry)
  local a, b = entry.parts[1], entry.parts[2]
  return "S" .. short {
    day = entry.day, first = { a.start_min, a.end_min }, second = { b.start_min, b.end_min },
    depot = null(entry.depot), skill = null(entry.skill),
  }
end

local function before(a, b)
  if a.start_ts ~= b.start_ts then return a.start_ts < b.start_ts end
  if a.end_ts ~= b.end_ts then return a.end_ts < b.end_ts end
  return a.tour_fingerprint < b.tour_fingerprint
end

--- One part of a line as a template, without its count.
local function template_of(entry, part, group)
  return {
    line_no = entry.line_no, day = entry.day, start_ts = part.start_min, end_ts = part.end_min,
    duration_min = part.end_min - part.start_min, work_hours = (part.end_min - part.start_min) / 60,
    span_group_key = group, depot = entry.depot, skill = entry.skill, count = 0,
    tour_fingerprint = hash.of {
      day = entry.day, start_min = part.start_min, end_min = part.end_min,
      depot = null(entry.depot), skill = null(entry.skill), split = null(group),
    },
  }
end

--- Tour templates of a parsed forecast.
---@param entries table[]  `entries` of packs.roster.parser's result
---@return table[] templates  sorted by start, end, fingerprint; each {line_no (first line), day 1–7, start_ts, end_ts (minutes on
---  the week's line), duration_min, work_hours, span_group_key|nil, tour_fingerprint, count, depot|nil, skill|nil}
function M.templates(entries)
  local by_print, list = {}, {}
  for _, entry in ipairs(entries) do
    local group = entry.parts[2] and span_key(entry) or nil
    for _, part in ipairs(entry.parts) do
      local made = template_of(entry, part, group)
      local known = by_print[made.tour_fingerprint]
      if not known then
        by_print[made.tour_fingerprint], known = made, made
        list[#list + 1] = made
      end
      known.count = known.count + entry.count
    end
  end
  table.sort(list, before)
  return list
end

--- The canonical forecast, which input_hash is made of (domain: SHA-256 over RFC 8785).
---@param templates table[]  from templates()
---@return table
function M.canonical_forecast(templates)
  local list = {}
  for i, t in ipairs(templates) do
    list[i] = {
      day = t.day, start_min = t.start_ts, end_min = t.end_ts, count = t.count,
      depot = null(t.depot), skill = null(t.skill), span_group_key = null(t.span_group_key),
    }
  end
  return { pack = "roster", templates = json.array(list) }
end

--- Hash of the forecast: of what it asks for, not of how it is written.
---@param templates table[]
---@return string sha256  64 hex digits
function M.input_hash(templates)
  return hash.of(M.canonical_forecast(templates))
end

local function instance_of(t, n)
  local function hhmm(minute) return ("%02d%02d"):format(minute // 60 % 24, minute % 60) end
  return {
    id = ("%s-%s-%s-%s-%03d"):format(DAY_SHORT[t.day], hhmm(t.start_ts), hhmm(t.end_ts), t.tour_fingerprint:sub(1, 12), n),
    tour_fingerprint = t.tour_fingerprint, instance_number = n, day = t.day, start_min = t.start_ts, end_min = t.end_ts,
    crosses_midnight = t.end_ts > t.day * DAY_MIN, depot = t.depot, skill = t.skill,
    split_group = t.span_group_key and ("%s-%03d"):format(t.span_group_key, n) or nil,
  }
end

--- One driver's worth of work each: `count` instances of every template, numbered from 1.
---@param templates table[]
---@return table[] instances  in the templates' order; each {id, tour_fingerprint, instance_number, day, start_min, end_min,
---  crosses_midnight, depot|nil, skill|nil, split_group|nil}. The n-th instances of a split line's parts share a split group.
---  Errors: expand_too_many, expand_clash (two templates with one id; cannot happen with templates() unless a hash clashes).
function M.instances(templates)
  local total = 0
  for _, t in ipairs(templates) do total = total + t.count end
  if total > M.MAX_INSTANCES then
    errors.raise { code = "expand_too_many",
      message = ("the forecast asks for %d tours, at most %d are allowed"):format(total, M.MAX_INSTANCES),
      fix = "Split the forecast, or check its driver counts" }
  end
  local list, seen = {}, {}
  for _, t in ipairs(templates) do
    for n = 1, t.count do
      local made = instance_of(t, n)
      if seen[made.id] then
        errors.raise { code = "expand_clash", message = ("two templates give the instance id %s"):format(made.id),
          fix = "Report this forecast: its tours cannot be told apart by their ids" }
      end
      seen[made.id] = true
      list[#list + 1] = made
    end
  end
  return list
end

--- Instances in the published shape (artifact instances.json): no nil, no field beyond the contract's seven.
---@param instances table[]
---@return table[]  {id, day, start_min, end_min, depot, skill, split_group}, absent values JSON null
function M.export(instances)
  local list = {}
  for i, t in ipairs(instances) do
    list[i] = {
      id = t.id, day = t.day, start_min = t.start_min, end_min = t.end_min,
      depot = null(t.depot), skill = null(t.skill), split_group = null(t.split_group),
    }
  end
  return json.array(list)
end

return M
