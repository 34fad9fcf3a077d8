--- A second opinion on roster plans, for tests: the seven rules by brute force, sharing no code with the pack.
-- It paints minutes and compares all pairs, where the audits sort and sweep. Returns the set of audits which must fail.

local M = {}

--- @param assignments table[] {driver_id, tour_instance_id}
--- @param instances table[]
--- @return table<string, boolean> failed  by audit id
function M.failed(assignments, instances)
  local failed, tour, times, week = {}, {}, {}, {}
  for _, t in ipairs(instances) do
    tour[t.id], times[t.id] = t, 0
  end
  for _, a in ipairs(assignments) do
    if not tour[a.tour_instance_id] then
      failed.coverage = true
    else
      times[a.tour_instance_id] = times[a.tour_instance_id] + 1
      week[a.driver_id] = week[a.driver_id] or {}
      week[a.driver_id][a.tour_instance_id] = true
    end
  end
  for _, n in pairs(times) do
    if n ~= 1 then failed.coverage = true end
  end

  for _, set in pairs(week) do
    local painted, minutes, kinds, spans = {}, 0, {}, {}
    for id in pairs(set) do
      local t = tour[id]
      for m = t.start_min, t.end_min - 1 do
        if painted[m] then failed.overlap = true end
        painted[m] = true
        minutes = minutes + 1
      end
    end
    if minutes > 3300 then failed.weekly_max = true end
    for day = 1, 7 do
      local mine = {}
      for id in pairs(set) do
        if tour[id].day == day then mine[#mine + 1] = tour[id] end
      end
      if #mine > 0 then
        local first, last = math.huge, -math.huge
        for _, t in ipairs(mine) do
          first, last = math.min(first, t.start_min), math.max(last, t.end_min)
        end
        spans[#spans + 1] = { first, last }
        kinds[day] = M.kind(mine)
        local limit = (kinds[day] == "1er" or kinds[day] == "2er-reg") and 840 or 960
        if kinds[day] == "bad" then
          failed.span_split = true
        elseif last - first > limit then
          failed[limit == 840 and "span_regular" or "span_split"] = true
        end
      end
    end
    for day = 1, 6 do
      if kinds[day] == "3er-chain" and kinds[day + 1] == "3er-chain" then failed.fatigue = true end
    end
    for i = 1, #spans do
      for j = i + 1, #spans do
        if spans[j][1] - spans[i][2] < 660 then failed.rest = true end
      end
    end
  end

  local groups = {}
  for _, t in ipairs(instances) do
    if t.split_group and times[t.id] > 0 then
      groups[t.split_group] = groups[t.split_group] or {}
      table.insert(groups[t.split_group], t.id)
    end
  end
  for _, ids in pairs(groups) do
    local someone = false
    for _, set in pairs(week) do
      local all = true
      for _, id in ipairs(ids) do all = all and set[id] end
      someone = someone or all
    end
    if not someone then failed.span_split = true end
  end
  return failed
end

--- The block type by trying every order of the tours: exactly one order may chain them.
function M.kind(tours)
  local function gap(a, b) return b.start_min - a.end_min end
  local function within(g, lo, hi) return g >= lo and g <= hi end
  if #tours == 1 then return "1er" end
  if #tours == 2 then
    for _, p in ipairs { { 1, 2 }, { 2, 1 } } do
      local g = gap(tours[p[1]], tours[p[2]])
      if within(g, 30, 60) then return "2er-reg" end
      if within(g, 240, 360) then return "2er-split" end
    end
  elseif #tours == 3 then
    for _, p in ipairs { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 }, { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } } do
      if within(gap(tours[p[1]], tours[p[2]]), 30, 60) and within(gap(tours[p[2]], tours[p[3]]), 30, 60) then return "3er-chain" end
    end
  end
  return "bad"
end

return M
