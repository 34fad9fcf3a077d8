-- A second opinion on roster plans, for tests alone: the rules of the domain written down again, on a minute line painted per driver,
-- and an exhaustive optimum for tiny weeks. It shares no code with the product's audits or its solver.
local auditor = {}

local DAY = 1440

local function types_of(gaps)
  local n = #gaps
  if n == 0 then return "1er" end
  local near, far = true, true
  for _, g in ipairs(gaps) do
    near = near and g >= 30 and g <= 60
    far = far and g >= 240 and g <= 360
  end
  if n == 1 then return near and "2er-reg" or far and "2er-split" or nil end
  return n == 2 and near and "3er-chain" or nil
end

--- What is wrong with one driver's week of tours: a text, or nil.
local function driver_problem(tours, limits, types)
  -- Paint every minute of work; a minute painted twice is an overlap. Rest and gaps are then counted in unpainted minutes.
  local owner, total, first, final = {}, 0, math.huge, 0
  for _, t in ipairs(tours) do
    total = total + t.end_min - t.start_min
    first, final = math.min(first, t.start_min), math.max(final, t.end_min)
    for minute = t.start_min, t.end_min - 1 do
      if owner[minute] then return ("minute %d is worked twice, by %s and %s"):format(minute, owner[minute].id, t.id) end
      owner[minute] = t
    end
  end
  if total > limits.max_weekly_minutes then return ("%d minutes in the week"):format(total) end
  local last, free, block, blocks = nil, 0, nil, {}
  for minute = first, final do
    local t = owner[minute]
    if not t then
      free = free + 1
    elseif t ~= last then
      local day = t.start_min // DAY
      if block and block.day == day then
        block.gaps[#block.gaps + 1] = free
        block.stop = t.end_min
      else
        if block and free < limits.min_rest_minutes then return ("rest of %d minutes before %s"):format(free, t.id) end
        block = { day = day, gaps = {}, start = t.start_min, stop = t.end_min }
        blocks[#blocks + 1] = block
      end
      last, free = t, 0
    end
  end
  local chain_day
  for _, b in ipairs(blocks) do
    local kind = types_of(b.gaps)
    if not kind then return ("block with gaps %s"):format(table.concat(b.gaps, ",")) end
    if types and types[b.day] ~= kind then return ("block said to be %s is %s"):format(tostring(types[b.day]), kind) end
    local span = (kind == "1er" or kind == "2er-reg") and limits.max_span_regular_minutes or limits.max_span_split_minutes
    if b.stop - b.start > span then return ("%s spans %d minutes"):format(kind, b.stop - b.start) end
    if kind == "3er-chain" then
      if chain_day == b.day - 1 then return "3er-chain on two days in a row" end
      chain_day = b.day
    end
  end
end

local function group_problem(request, driver_of)
  local owner = {}
  for _, t in ipairs(request.instances) do
    if type(t.split_group) == "string" then
      owner[t.split_group] = owner[t.split_group] or driver_of[t.id]
      if owner[t.split_group] ~= driver_of[t.id] then return "split group " .. t.split_group .. " has two drivers" end
    end
  end
end

--- What is wrong with a plan: a text, or nil when every rule holds.
---@param request table  as the solver reads it
---@param plan table     as the solver writes it
---@return string|nil
function auditor.problem(request, plan)
  local by_id, driver_of, weeks, types, drivers = {}, {}, {}, {}, 0
  for _, t in ipairs(request.instances) do by_id[t.id] = t end
  local before
  for _, a in ipairs(plan.assignments) do
    local t = by_id[a.tour_instance_id]
    if not t then return "no such tour: " .. tostring(a.tour_instance_id) end
    if driver_of[t.id] then return "assigned twice: " .. t.id end
    if a.day ~= t.day then return "wrong day for " .. t.id end
    local key = a.driver_id .. "\0" .. t.id
    if before and before >= key then return "not sorted at " .. t.id end
    before = key
    driver_of[t.id] = a.driver_id
    if not weeks[a.driver_id] then
      drivers, weeks[a.driver_id], types[a.driver_id] = drivers + 1, {}, {}
    end
    table.insert(weeks[a.driver_id], t)
    local day = t.start_min // DAY
    if a.block_id ~= ("%s-%d"):format(a.driver_id, day + 1) then return "block id " .. a.block_id end
    types[a.driver_id][day] = a.block_type
  end
  for _, t in ipairs(request.instances) do
    if not driver_of[t.id] then return "not assigned: " .. t.id end
  end
  if drivers ~= plan.drivers then return ("says %d drivers, has %d"):format(plan.drivers, drivers) end
  if plan.seed ~= request.seed then return "another seed" end
  if plan.lower_bound < 1 or plan.lower_bound > drivers then return ("a bound of %d for %d drivers"):format(plan.lower_bound, drivers) end
  for id, tours in pairs(weeks) do
    local problem = driver_problem(tours, request.config, types[id])
    if problem then return id .. ": " .. problem end
  end
  return group_problem(request, driver_of)
end

--- The least number of drivers, by trying every way to share the tours out. Only for a handful of tours.
---@param request table
---@return integer|nil  nil when no way is legal
function auditor.optimum(request)
  local tours, best = request.instances, nil
  local weeks, driver_of = {}, {}
  local function place(i)
    if best and #weeks >= best then return end
    if i > #tours then
      for _, week in ipairs(weeks) do
        if driver_problem(week, request.config) then return end
      end
      if not group_problem(request, driver_of) then best = #weeks end
      return
    end
    for d = 1, #weeks + 1 do
      weeks[d] = weeks[d] or {}
      table.insert(weeks[d], tours[i])
      driver_of[tours[i].id] = d
      place(i + 1)
      table.remove(weeks[d])
      if #weeks[d] == 0 then weeks[d] = nil end
    end
  end
  place(1)
  return best
end

return auditor
