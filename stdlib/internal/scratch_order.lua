--- In which order the files of a directory of migrations are carried out, and which of them are left out.
--
-- By name, with numbers compared as numbers at a name's beginning: what golang-migrate, Flyway (V2 before V10, R__ last; its
-- documentation, "Migrations"), dbmate, Prisma and Rails do. Sqitch says it in a plan (sqitchtutorial, "sqitch.plan").

--- "V2.10__x" to {2, 10}, "0003_x" to {3}; then the name itself.
local function version(name)
  local numbers = {}
  for n in (name:match "^[VB]?(%d[%d._]*)" or ""):gmatch "%d+" do numbers[#numbers + 1] = tonumber(n) or 0 end
  return numbers
end

local function name_before(a, b)
  local x, y = version(a), version(b)
  local repeatable_a, repeatable_b = a:find "^R__" ~= nil, b:find "^R__" ~= nil
  if repeatable_a ~= repeatable_b then return repeatable_b end
  for i = 1, math.max(#x, #y) do
    if (x[i] or -1) ~= (y[i] or -1) then return (x[i] or -1) < (y[i] or -1) end
  end
  return a < b
end

--- A directory's files stand where the directory does.
local function before(a, b)
  local x, y = {}, {}
  for part in a:gmatch "[^/]+" do x[#x + 1] = part end
  for part in b:gmatch "[^/]+" do y[#y + 1] = part end
  for i = 1, math.min(#x, #y) do
    if x[i] ~= y[i] then return name_before(x[i], y[i]) end
  end
  return #x < #y
end

--- The changes of a plan of Sqitch in their order: {name, tag}. The tag is the one that stands behind a change which is made again later:
--- its file then has that tag in its name.
local function changes_of(plan)
  local list, last = {}, {}
  for line in plan:gmatch "[^\r\n]+" do
    local tag, name = line:match "^@(%S+)", line:match "^%s*([^%s%%#@]%S*)"
    if tag then
      for _, change in ipairs(list) do change.tag = change.tag or tag end
    elseif name then
      list[#list + 1] = { name = name }
      if last[name] then last[name].again = true end
      last[name] = list[#list]
    end
  end
  return list
end

local function by_plan(store, plan, keys)
  local there, out = {}, {}
  for _, key in ipairs(keys) do there[key] = true end
  local root = plan:match "^(.*/)" or ""
  for _, change in ipairs(changes_of((store:get(plan)))) do
    local file = ("%sdeploy/%s%s.sql"):format(root, change.name, change.again and change.tag and "@" .. change.tag or "")
    -- A file that is not there is asked for all the same: its absence is an error with its name.
    out[#out + 1] = file
    there[file] = nil
  end
  return out, there
end

--- The keys of the files to carry out, in order, and what is to be said of the others.
---@param store table    of the files
---@param is_dir boolean else it is one file, whatever its name
---@return string[] keys, string[] notes
return function(store, is_dir)
  local keys, notes, plan = {}, {}, nil
  for _, info in ipairs(store:list()) do
    if info.key:lower():find "%.sql$" or not is_dir then keys[#keys + 1] = info.key end
    if is_dir and info.key:find "^sqitch%.plan$" then plan = info.key end
  end
  if plan then
    local out, others = by_plan(store, plan, keys)
    for _, key in ipairs(keys) do
      if others[key] then notes[#notes + 1] = ("%s is not deployed by %s, and was left out"):format(key, plan) end
    end
    return out, notes
  end
  local out = {}
  table.sort(keys, before)
  for _, key in ipairs(keys) do
    local base = key:match "[^/]*$"
    if is_dir and (base:find "%.down%.sql$" or base:find "^U%d[^/]*__" or base == "down.sql") then
      notes[#notes + 1] = ("%s is a way back, and was left out"):format(key)
    else
      out[#out + 1] = key
    end
  end
  return out, notes
end
