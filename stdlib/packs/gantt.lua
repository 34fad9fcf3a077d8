--- A plan to look at: one HTML page that needs nothing else (no script, no image, no request), with drivers over the week or routes on
--- a map and over the day, and the audits' violations marked. What is wrong is said in words and by a dashed outline, not by colour alone.
-- Pure: needs no capability.

local M = {}

local STYLE = [[
:root{color-scheme:light dark;--ink:#1b1f24;--page:#fff;--soft:#5b6470;--line:#d5dae1;--bad:#b3261e;--good:#1a6f37;
--k0:#7fb2e5;--k1:#8fd0a5;--k2:#e9c46a;--k3:#c9a3e0;--k4:#f2a48f;--k5:#9ad4d6}
@media(prefers-color-scheme:dark){:root{--ink:#e7eaee;--page:#14171b;--soft:#a3acb8;--line:#343b45;--bad:#ff8f86;--good:#63c984;
--k0:#2f5f8f;--k1:#2f6f48;--k2:#7d6420;--k3:#6a4485;--k4:#8a4634;--k5:#2d6a6c}}
body{margin:0 auto;max-width:90rem;padding:1rem;background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.4rem}h2{font-size:1.1rem}svg{display:block;width:100%;height:auto}.chart{overflow-x:auto}.chart>svg{min-width:60rem}
text{fill:var(--ink);font:11px system-ui,sans-serif}.soft{fill:var(--soft);color:var(--soft)}.grid{stroke:var(--line)}
.k0{fill:var(--k0)}.k1{fill:var(--k1)}.k2{fill:var(--k2)}.k3{fill:var(--k3)}.k4{fill:var(--k4)}.k5{fill:var(--k5)}
path.k0{stroke:var(--k0)}path.k1{stroke:var(--k1)}path.k2{stroke:var(--k2)}path.k3{stroke:var(--k3)}path.k4{stroke:var(--k4)}
path.k5{stroke:var(--k5)}path{fill:none!important;stroke-width:2}.window{fill:none;stroke:var(--soft)}
.bad{stroke:var(--bad);stroke-width:2;stroke-dasharray:4 2}text.bad{fill:var(--bad);stroke:none;font-weight:700}
.FAIL,.ERROR{color:var(--bad)}.PASS{color:var(--good)}.key{display:inline-block;width:1em;height:1em;vertical-align:-.15em}
table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line)}
]]
local KEY_STYLE = ".key.k%d{background:var(--k%d)}"

local ENTITY = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Foreign text, for between tags and in attributes.
local function text(value) return (tostring(value):gsub("[&<>\"']", ENTITY)) end

local function clock(minute) return ("%02d:%02d"):format(minute // 60 % 24, minute % 60) end

--- What the audits say of each thing that can be marked: names of drivers, tours, vehicles, stops → the audits, in order.
local function marks_of(audits)
  local marks = {}
  local function mark(name, audit)
    if type(name) ~= "string" and math.type(name) ~= "integer" then return end
    local list = marks[tostring(name)] or {}
    marks[tostring(name)] = list
    if list[#list] ~= audit then list[#list + 1] = audit end
  end
  for _, a in ipairs(audits) do
    for _, v in ipairs(a.violations or {}) do
      for _, key in ipairs { "object", "driver", "vehicle", "stop" } do mark(v[key], a.id) end
      local lists = { v.tours, v.stops }
      for _, block in ipairs(type(v.blocks) == "table" and v.blocks or {}) do lists[#lists + 1] = block.tours end
      for _, list in pairs(lists) do
        for _, name in ipairs(type(list) == "table" and list or {}) do mark(name, a.id) end
      end
    end
  end
  return marks
end

local function bad(marks, name) return marks[name] and table.concat(marks[name], ", ") or nil end

--- A bar with what it is as its tooltip, outlined where an audit names it.
local function bar(x, y, width, height, class, wrong, title)
  return ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s%s"><title>%s%s</title></rect>'):format(x, y, math.max(width, 1),
    height, class, wrong and " bad" or "", text(title), wrong and text(" - FAIL: " .. wrong) or "")
end

local LEFT, WIDTH, ROW = 150, 1400, 18

--- A row's name, with the audits that name it; how many, where their names leave no room.
local function label(y, name, wrong)
  local shown = wrong and ("✗ %s: %s"):format(name, wrong) or tostring(name)
  if wrong and #shown > 26 then shown = ("✗ %s: %d audits"):format(name, select(2, wrong:gsub(",", ",")) + 1) end
  return ('<text x="0" y="%.1f"%s>%s<title>%s</title></text>'):format(y + 13, wrong and ' class="bad"' or "", text(shown),
    text(wrong or name))
end

local function chart(out, height, title, width)
  out[#out + 1] = ('<div class="chart"><svg viewBox="0 0 %d %d" role="img" aria-label="%s">'):format(width or WIDTH, height, text(title))
end

local KINDS = { ["1er"] = 0, ["2er-reg"] = 1, ["2er-split"] = 2, ["3er-chain"] = 3, none = 4 }

local function roster(out, plan, marks)
  local last = 10080
  for _, a in ipairs(plan.assignments) do last = math.max(last, a.end_min) end
  local scale = (WIDTH - LEFT) / last
  local height = 24 + #plan.drivers * ROW
  chart(out, height, ("%d drivers over the week %s"):format(#plan.drivers, plan.week.iso))
  for _, day in ipairs(plan.week.days) do
    local x = LEFT + (day.day - 1) * 1440 * scale
    out[#out + 1] = ('<line class="grid" x1="%.1f" y1="0" x2="%.1f" y2="%d"/><text x="%.1f" y="13">%s %s</text>'):format(x, x, height,
      x + 4, text(day.weekday), text(day.date))
  end
  local rows = {}
  for i, d in ipairs(plan.drivers) do
    rows[d.key] = 20 + (i - 1) * ROW
    out[#out + 1] = label(rows[d.key], d.key, bad(marks, d.key))
  end
  for _, a in ipairs(plan.assignments) do
    local y = rows[a.driver_id]
    if y then
      out[#out + 1] = bar(LEFT + a.start_min * scale, y + 2, a.minutes * scale, ROW - 4, "k" .. (KINDS[a.block_type] or 4),
        bad(marks, a.tour_instance_id), ("%s %s: %s to %s, %s, block %s"):format(a.driver_id, a.weekday, clock(a.start_min),
          clock(a.end_min), a.block_type, a.block_id))
    end
  end
  out[#out + 1] = "</svg></div>\n<p>"
  for _, name in ipairs { "1er", "2er-reg", "2er-split", "3er-chain", "none" } do
    out[#out + 1] = ('<span class="key k%d"></span> %s &#160; '):format(KINDS[name], name == "none" and "no block type" or name)
  end
  out[#out + 1] = "</p>\n"
end

--- Routes where they lead: equirectangular, true to scale at the stops' middle latitude.
local function map(out, plan, marks)
  local points = {}
  for _, v in ipairs(plan.vehicles) do points[#points + 1] = v.depot end
  for _, s in ipairs(plan.stops) do points[#points + 1] = s.place end
  local south, north, west, east = 90, -90, 180, -180
  for _, p in ipairs(points) do
    south, north, west, east = math.min(south, p.lat), math.max(north, p.lat), math.min(west, p.lng), math.max(east, p.lng)
  end
  local squeeze = math.cos(math.rad((south + north) / 2))
  local scale = 560 / math.max((east - west) * squeeze, north - south, 1e-6)
  local function at(p) return 20 + (p.lng - west) * squeeze * scale, 20 + (north - p.lat) * scale end
  local _, bottom = at { lat = south, lng = west }
  chart(out, math.ceil(bottom) + 30, "routes on a map, north is up", 800)
  local depot, place, colour = {}, {}, {}
  for _, v in ipairs(plan.vehicles) do depot[v.key] = v.depot end
  for _, s in ipairs(plan.stops) do place[s.key] = s.place end
  for i, r in ipairs(plan.routes) do
    local way = {}
    local function to(p) way[#way + 1] = p and ("%.1f %.1f"):format(at(p)) or nil end
    to(depot[r.vehicle])
    for _, visit in ipairs(r.visits) do
      to(place[visit.stop])
      colour[visit.stop] = "k" .. (i - 1) % 6
    end
    to(depot[r.vehicle])
    out[#out + 1] = ('<path class="k%d" d="M%s"><title>%s</title></path>'):format((i - 1) % 6, table.concat(way, "L"),
      text(("%s: %d stops, %d m"):format(r.vehicle, #r.visits, r.distance_m)))
  end
  for _, v in ipairs(plan.vehicles) do
    local x, y = at(v.depot)
    out[#out + 1] = ('<rect x="%.1f" y="%.1f" width="10" height="10" class="window"><title>%s</title></rect>'):format(x - 5, y - 5,
      text("depot of " .. v.key))
  end
  for _, s in ipairs(plan.stops) do
    local x, y = at(s.place)
    local wrong = bad(marks, s.key)
    out[#out + 1] = ('<circle cx="%.1f" cy="%.1f" r="5" class="%s%s"/><text x="%.1f" y="%.1f"%s>%s</text>'):format(x, y,
      colour[s.key] or "window", wrong and " bad" or "", x + 8, y + 4, wrong and ' class="bad"' or "",
      text(wrong and ("✗ %s: %s"):format(s.key, wrong) or s.key))
  end
  out[#out + 1] = "</svg></div>\n"
end

local function routing(out, plan, marks)
  map(out, plan, marks)
  local first, last = 1440, 0
  for _, v in ipairs(plan.vehicles) do first, last = math.min(first, v.shift_start_min), math.max(last, v.shift_end_min) end
  for _, r in ipairs(plan.routes) do first, last = math.min(first, r.start_min), math.max(last, r.end_min) end
  local stops = {}
  for _, s in ipairs(plan.stops) do
    stops[s.key] = s
    first, last = math.min(first, s.window_start_min), math.max(last, s.window_end_min)
  end
  first = first // 60 * 60
  local scale = (WIDTH - LEFT) / math.max(last - first, 60)
  local function x_of(minute) return LEFT + (minute - first) * scale end
  chart(out, 24 + #plan.routes * 2 * ROW, ("%d routes over the day %s"):format(#plan.routes, tostring(plan.date)))
  for minute = first, last, 60 do
    out[#out + 1] = ('<line class="grid" x1="%.1f" y1="0" x2="%.1f" y2="%d"/><text x="%.1f" y="13">%s</text>'):format(x_of(minute),
      x_of(minute), 24 + #plan.routes * 2 * ROW, x_of(minute) + 2, clock(minute))
  end
  for i, r in ipairs(plan.routes) do
    local y = 20 + (i - 1) * 2 * ROW
    out[#out + 1] = label(y, r.vehicle, bad(marks, r.vehicle))
    out[#out + 1] = ('<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>'):format(x_of(r.start_min), y + 9, x_of(r.end_min),
      y + 9)
    for _, visit in ipairs(r.visits) do
      local s = stops[visit.stop]
      if s then
        out[#out + 1] = ('<rect class="window" x="%.1f" y="%.1f" width="%.1f" height="4"/>'):format(x_of(s.window_start_min), y + ROW + 2,
          (s.window_end_min - s.window_start_min) * scale)
      end
      out[#out + 1] = bar(x_of(visit.start_min), y + 2, (visit.leave_min - visit.start_min) * scale, ROW - 4, "k" .. (i - 1) % 6,
        bad(marks, visit.stop), ("%s: arrives %s, served %s to %s%s"):format(visit.stop, clock(visit.arrive_min), clock(visit.start_min),
          clock(visit.leave_min), s and (", window %s to %s"):format(clock(s.window_start_min), clock(s.window_end_min)) or ""))
    end
  end
  out[#out + 1] = "</svg></div>\n<p class=\"soft\">Beneath each route: the time windows of its stops.</p>\n"
end

local function verdicts(out, audits)
  out[#out + 1] = "<h2>Audits</h2>\n<table>\n<tr><th>audit</th><th>verdict</th><th>where</th><th>what</th></tr>\n"
  for _, a in ipairs(audits) do
    local list = a.violations or {}
    if #list == 0 then
      out[#out + 1] = ('<tr><td>%s</td><td class="%s">%s</td><td></td><td>%s</td></tr>\n'):format(text(a.id), text(a.status),
        text(a.status), text(type(a.error) == "string" and a.error or ""))
    end
    for _, v in ipairs(list) do
      out[#out + 1] = ('<tr><td>%s</td><td class="%s">%s</td><td>%s</td><td>%s</td></tr>\n'):format(text(a.id), text(a.status),
        text(a.status), text(type(v.object) == "table" and "plan" or v.object or "plan"),
        text(type(v.detail) == "string" and v.detail or ""))
    end
  end
  out[#out + 1] = "</table>\n"
end

--- The page.
---@param plan table    as audits see it (artifact audit-plan.json), of either pack
---@param audits table[]  {id, status, violations = {{object, detail, driver?, tours?, vehicle?, stop?, stops?}}, error?}
---@param title string
---@return string html
function M.page(plan, audits, title)
  local style = { STYLE }
  for k = 0, 5 do style[#style + 1] = KEY_STYLE:format(k, k) end
  local out = { '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    .. '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    .. '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">\n',
    "<title>", text(title), "</title>\n<style>\n", table.concat(style), "</style>\n</head>\n<body>\n<h1>", text(title), "</h1>\n" }
  local marks = marks_of(audits)
  local draw = plan.pack == "routing" and routing or roster
  draw(out, plan, marks)
  verdicts(out, audits)
  out[#out + 1] = "</body>\n</html>\n"
  return table.concat(out)
end

return M
