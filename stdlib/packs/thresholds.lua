--- KPIs against their thresholds, for every pack. Pure: needs no capability.

local M = {}

---@class packs.Threshold
---@field kpi string
---@field kind "relative"|"below"|"above"  relative: percent away from the expected value, either way; the others are absolute
---@field warning number
---@field critical number

--- Round half away from zero to two decimals, so that a KPI reads, stores and compares alike everywhere. Integers only inside:
--- the value is given as a fraction.
---@param part integer
---@param all integer
---@param scale integer  what the fraction is multiplied with, e.g. 100 for percent
---@return number
function M.ratio(part, all, scale)
  if all == 0 then return 0 end
  local hundredths = (part * scale * 200 + all) // (all * 2)
  return hundredths % 100 == 0 and hundredths // 100 or hundredths / 100
end

--- Level of one KPI. A relative one without an expected value cannot be judged; an absolute one is judged against the
--- expected value where a golden dataset's own lies beyond the threshold (ten tours give nobody a full-time week).
local function level_of(t, found, expected)
  if t.kind == "relative" then
    if not expected then return "UNKNOWN", nil end
    local percent = expected == 0 and (found == 0 and 0 or math.huge) or math.abs(found - expected) / expected * 100
    return percent > t.critical and "CRITICAL" or percent > t.warning and "WARNING" or "OK", percent
  end
  local sign = t.kind == "above" and 1 or -1
  local function beyond(limit) return (found - limit) * sign > 0 and not (expected and (found - expected) * sign <= 0) end
  return beyond(t.critical) and "CRITICAL" or beyond(t.warning) and "WARNING" or "OK", nil
end

--- Judge KPIs by thresholds.
---@param thresholds packs.Threshold[]
---@param kpis table  the found values by name
---@param expected table?  a golden dataset's expected_kpis
---@return table[]  {kpi, level = "OK"|"WARNING"|"CRITICAL"|"UNKNOWN", found, expected?, warning, critical, kind, detail}
function M.judge(thresholds, kpis, expected)
  local out = {}
  for i, t in ipairs(thresholds) do
    local want = expected and expected[t.kpi]
    if type(want) ~= "number" then want = nil end
    local level, percent = level_of(t, kpis[t.kpi], want)
    local detail = t.kind == "relative"
      and (want and ("%s, expected %s (%.1f %% off; warning beyond %s %%, critical beyond %s %%)"):format(kpis[t.kpi], want, percent,
        t.warning, t.critical) or ("%s, no expected value to compare with"):format(kpis[t.kpi]))
      or ("%s (warning %s %s, critical %s %s)"):format(kpis[t.kpi], t.kind, t.warning, t.kind, t.critical)
    out[i] = { kpi = t.kpi, level = level, found = kpis[t.kpi], expected = want, warning = t.warning, critical = t.critical,
      kind = t.kind, detail = detail }
  end
  return out
end

return M
