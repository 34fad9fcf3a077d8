--- Roster KPIs, their thresholds and the drift score. Advice on a plan; only audits decide whether it may be locked.
-- Pure: needs no capability.

local audits = require "packs.roster.audits"
local thresholds = require "packs.thresholds"

local ratio = thresholds.ratio

local M = {}

--- Full time, in minutes a week.
M.FULL_TIME_MINUTES = 2400

--- Thresholds: `relative` ones are percent away from the expected value (either way), `below` and `above` are absolute.
---@type {kpi: string, kind: "relative"|"below"|"above", warning: number, critical: number}[]
M.THRESHOLDS = {
  { kpi = "total_drivers",    kind = "relative", warning = 5,   critical = 15 },
  { kpi = "fte_ratio",        kind = "below",    warning = 95,  critical = 85 },
  { kpi = "pt_ratio",         kind = "above",    warning = 5,   critical = 15 },
  { kpi = "coverage",         kind = "below",    warning = 100, critical = 95 },
  { kpi = "max_weekly_hours", kind = "above",    warning = 55,  critical = 60 },
  { kpi = "avg_weekly_hours", kind = "relative", warning = 10,  critical = 20 },
  { kpi = "audit_pass_rate",  kind = "below",    warning = 100, critical = 90 },
}

--- KPIs of a plan.
---@param assignments table[]
---@param instances table[]
---@param results table[]  of audits.run
---@return table kpis  total_drivers, full_time_drivers, tours (counts); fte_ratio, pt_ratio, coverage, audit_pass_rate (percent);
---  max_weekly_hours, min_weekly_hours, avg_weekly_hours (hours); blocks = {["1er"] = n, …, none = n}; numbers have two decimals
function M.compute(assignments, instances, results)
  local week = audits.week(assignments, instances)
  local full, total, most, least = 0, 0, 0, nil
  local blocks = { ["1er"] = 0, ["2er-reg"] = 0, ["2er-split"] = 0, ["3er-chain"] = 0, none = 0 }
  for _, d in ipairs(week.drivers) do
    if d.minutes >= M.FULL_TIME_MINUTES then full = full + 1 end
    total, most, least = total + d.minutes, math.max(most, d.minutes), math.min(least or d.minutes, d.minutes)
    for _, block in ipairs(d.blocks) do
      local kind = block.type or "none"
      blocks[kind] = blocks[kind] + 1
    end
  end
  local covered, passed = 0, 0
  for _, t in ipairs(instances) do
    if week.assigned[t.id] and week.assigned[t.id].n == 1 then covered = covered + 1 end
  end
  for _, r in ipairs(results) do
    if r.status == "PASS" then passed = passed + 1 end
  end
  local n = #week.drivers
  return {
    total_drivers = n, full_time_drivers = full, tours = #instances,
    fte_ratio = ratio(full, n, 100), pt_ratio = ratio(n - full, n, 100), coverage = ratio(covered, #instances, 100),
    max_weekly_hours = ratio(most, 60, 1), min_weekly_hours = ratio(least or 0, 60, 1), avg_weekly_hours = ratio(total, 60 * n, 1),
    audit_pass_rate = ratio(passed, #results, 100), blocks = blocks,
  }
end

--- Judge KPIs by the thresholds.
---@param kpis table  of compute()
---@param expected table?  a golden dataset's expected_kpis
---@return table[]  see packs.thresholds
function M.judge(kpis, expected)
  return thresholds.judge(M.THRESHOLDS, kpis, expected)
end

local function part_score(excess, full)
  return math.max(0, math.min(100, excess / full * 100))
end

--- Drift from a golden dataset's expectations: 0.3 drivers + 0.3 coverage + 0.2 fte + 0.2 max hours, each 0 at its expected
--- value and 100 at its critical threshold's distance (15 % drivers, 5 points coverage, 15 points fte, 5 hours).
---@param kpis table
---@param expected table  expected_kpis with total_drivers; coverage, fte_ratio, max_weekly_hours default to 100, 100, 55
---@return {score: number, level: "OK"|"WARNING"|"ALERT"|"INCIDENT", severity: string?, parts: table}
function M.drift(kpis, expected)
  local drivers = expected.total_drivers
  local parts = {
    drivers = drivers == 0 and (kpis.total_drivers == 0 and 0 or 100)
      or part_score(math.abs(kpis.total_drivers - drivers) / drivers * 100, 15),
    coverage = part_score((expected.coverage or 100) - kpis.coverage, 5),
    fte = part_score((expected.fte_ratio or 100) - kpis.fte_ratio, 15),
    max_hours = part_score(kpis.max_weekly_hours - (expected.max_weekly_hours or 55), 5),
  }
  local score = 0.3 * parts.drivers + 0.3 * parts.coverage + 0.2 * parts.fte + 0.2 * parts.max_hours
  local level = score > 50 and "INCIDENT" or score > 25 and "ALERT" or score > 10 and "WARNING" or "OK"
  return { score = math.floor(score * 100 + 0.5) / 100, level = level, severity = level == "INCIDENT" and "S2" or nil, parts = parts }
end

return M
