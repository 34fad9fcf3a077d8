--- The page of a tenant's first week: one HTML file that needs nothing else.
local page = {}

local STYLE = [[
:root{color-scheme:light dark;--bad:#b3261e;--warn:#8a5300;--good:#146c2e;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{margin-bottom:0}table{border-collapse:collapse;width:100%}caption{text-align:left}.wide{overflow-x:auto}.many{min-width:48rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}td:last-child{overflow-wrap:anywhere}
.bad{color:var(--bad);font-weight:600}.warn{color:var(--warn)}.good{color:var(--good)}
@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--warn:#ffc166;--good:#7bd88f}}
@media(max-width:30rem){body{padding:.5rem}th,td{padding:.3rem .25rem}}
@media print{body{max-width:none}}]]

local ESCAPED = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Text as HTML, whatever is in it.
local function html(value)
  return (tostring(value):gsub("[&<>\"']", ESCAPED):gsub("[%z\1-\8\11\12\14-\31\127]", "\u{FFFD}"))
end

local function cell(value, class)
  return class and ('<td class="%s">%s</td>'):format(class, html(value)) or ("<td>%s</td>"):format(html(value))
end

--- Wide ones are scrolled by themselves, by keys too.
local function table_of(caption, heads, rows)
  local out = { ('<div class="wide" role="region" tabindex="0" aria-label="%s"><table%s><caption>'):format(html(caption),
    #heads > 5 and ' class="many"' or ""), html(caption), "</caption><thead><tr>" }
  for _, head in ipairs(heads) do out[#out + 1] = ('<th scope="col">%s</th>'):format(html(head)) end
  out[#out + 1] = "</tr></thead><tbody>"
  for _, row in ipairs(rows) do out[#out + 1] = "<tr>" .. table.concat(row) .. "</tr>" end
  out[#out + 1] = "</tbody></table></div>"
  return table.concat(out)
end

local function section(title, body) return ("<section><h2>%s</h2>%s</section>"):format(html(title), body) end

--- What an area says that could not be evaluated, or was not asked.
local function missing(area)
  if area.error then return ('<p class="bad">Could not be evaluated: %s</p>'):format(html(area.error)) end
  if area.skipped then return ("<p>Not asked: %s</p>"):format(html(area.skipped)) end
end

local function health_of(area)
  local rows = {}
  for i, one in ipairs(area.list or {}) do
    rows[i] = { cell(one.path), cell(one.status or "–"), cell(one.ms and ("%.1f ms"):format(one.ms) or "–"),
      cell(one.problem or "well", one.problem and "bad" or "good") }
  end
  return table_of("The platform's endpoints, asked just now", { "Path", "Status", "Time", "Says" }, rows)
end

local LEVEL = { OK = "good", WARNING = "warn", ALERT = "bad", INCIDENT = "bad", CRITICAL = "bad", UNKNOWN = "warn" }

local function solves_of(area)
  if #(area.list or {}) == 0 then return "<p>There is no solve yet.</p>" end
  local rows = {}
  for i, one in ipairs(area.list) do
    local worst = {}
    for _, k in ipairs(one.judged or {}) do
      if k.level == "WARNING" or k.level == "CRITICAL" then worst[#worst + 1] = ("%s %s"):format(k.kpi, k.detail) end
    end
    local drift = one.drift
    rows[i] = { cell(one.at), cell(one.id), cell(one.pack), cell(one.status),
      cell(#one.failed == 0 and ("%d of %d PASS"):format(one.passed, #one.recorded) or table.concat(one.failed, ", "),
        #one.failed == 0 and "good" or "bad"),
      cell(one.kpis and ("%d drivers, coverage %s %%, at most %s h"):format(one.kpis.total_drivers, one.kpis.coverage,
        one.kpis.max_weekly_hours) or "–"),
      cell(#worst == 0 and (one.judged and "within" or "–") or table.concat(worst, "; "), #worst == 0 and "good" or "warn"),
      cell(drift and ("%s %s"):format(drift.score, drift.level) or "–", drift and LEVEL[drift.level] or nil) }
  end
  return table_of("The first solves since go-live", { "When", "Plan", "Pack", "Status", "Audits", "KPIs", "Thresholds", "Drift" }, rows)
end

local function tickets_of(area)
  if #(area.list or {}) == 0 then return "<p>There are no tickets.</p>" end
  local rows = {}
  for i, t in ipairs(area.list) do
    rows[i] = { cell(t.id), cell(t.severity .. (t.unknown and (" (it says %s)"):format(t.called) or ""),
      t.open and t.severity <= "S2" and "bad" or nil), cell(t.status), cell(t.opened or "–"), cell(t.title) }
  end
  return table_of("Support tickets of this tenant", { "Ticket", "Severity", "Status", "Opened", "Title" }, rows)
end

--- The page.
---@param week {code: string, day: integer, since: string, now: string, problems: string[], health: table, solves: table, tickets: table}
---  areas: {list} or {error} or {skipped}
---@return string html
function page.render(week)
  local title = ("First week of %s: day %d"):format(week.code, week.day)
  local out = { '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1"><title>', html(title), "</title><style>", STYLE,
    "</style></head><body><main><h1>", html(title), "</h1><p>",
    html(("Live since %s, looked at %s."):format(week.since, week.now)), "</p>" }
  local problems = table.move(week.problems, 1, #week.problems, 1, {})
  for _, name in ipairs { "health", "solves", "tickets" } do
    if week[name].error then problems[#problems + 1] = ("Could not be evaluated: %s"):format(name) end
  end
  if #problems == 0 then
    out[#out + 1] = '<p class="good">Nothing is wrong.</p>'
  else
    out[#out + 1] = "<ul>"
    for _, problem in ipairs(problems) do out[#out + 1] = ('<li class="bad">%s</li>'):format(html(problem)) end
    out[#out + 1] = "</ul>"
  end
  out[#out + 1] = section("Health", missing(week.health) or health_of(week.health))
  out[#out + 1] = section("Solves", missing(week.solves) or solves_of(week.solves))
  out[#out + 1] = section("Tickets", missing(week.tickets) or tickets_of(week.tickets))
  out[#out + 1] = "</main></body></html>\n"
  return table.concat(out)
end

return page
