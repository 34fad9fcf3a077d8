--- The order in which a directory's migrations run, and which of them are ways back: by their names, with numbers as numbers (as
--- golang-migrate, dbmate and Prisma name them), Flyway's by version with the repeatable ones last, sqitch's by its plan.

--- Leading zeros away, so that the longer number is the greater one whatever its length.
local function number(digits) return (digits:gsub("^0+(%d)", "%1")) end

local function less_number(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

--- Is one path before the other? Where both parts begin with digits, by their number first.
local function before(a, b)
  local x, y = a:gmatch "[^/]+", b:gmatch "[^/]+"
  while true do
    local p, q = x(), y()
    if not p or not q then return p == nil and q ~= nil end
    local m, n = p:match "^%d+", q:match "^%d+"
    m, n = m and number(m), n and number(n)
    if m and n and m ~= n then return less_number(m, n) end
    if p ~= q then return p < q end
  end
end

--- Flyway: V1_2__what.sql, R__what.sql. The version's parts; nil for another name.
local function flyway(base)
  local version = base:match "^V(%d[%d._]-)__" or base:match "^V(%d+)__"
  if not version then return base:find "^R__" and "repeatable" or nil end
  local parts = {}
  for digits in version:gmatch "%d+" do parts[#parts + 1] = number(digits) end
  return parts
end

local function less_version(a, b)
  for i = 1, math.max(#a, #b) do
    local x, y = a[i] or "0", b[i] or "0"
    if x ~= y then return less_number(x, y) end
  end
  return nil
end

local function base_of(key) return key:match "[^/]*$" end

--- Versioned before repeatable; nil where the names do not decide.
local function flyway_before(a, b)
  local x, y = flyway(base_of(a)), flyway(base_of(b))
  if not x or not y then return nil end
  if x == "repeatable" or y == "repeatable" then
    if x == y then return base_of(a) < base_of(b) end
    return y == "repeatable"
  end
  return less_version(x, y)
end

--- The changes of a sqitch plan, in order: {name, tags}, tags being those that come after it.
local function changes_of(plan)
  local list = {}
  for line in (plan .. "\n"):gmatch "%s*(.-)\r?\n" do
    local tag, name = line:match "^@(%S+)", line:match "^([^%%@#%s][^%s]*)"
    if tag then
      for _, c in ipairs(list) do c.tags[#c.tags + 1] = tag end
    elseif name then
      list[#list + 1] = { name = name, tags = {} }
    end
  end
  return list
end

--- What a plan deploys. A change that was reworked later stands in a file with the tag before that.
local function by_plan(dir, plan, present)
  local out, seen = {}, {}
  for _, c in ipairs(changes_of(plan)) do
    local key = ("%sdeploy/%s.sql"):format(dir, c.name)
    for _, tag in ipairs(c.tags) do
      local tagged = ("%sdeploy/%s@%s.sql"):format(dir, c.name, tag)
      if present[tagged] and not seen[tagged] then key = tagged break end
    end
    if present[key] and not seen[key] then out[#out + 1], seen[key] = key, true end
  end
  return out
end

local function is_way_back(base) return base:find "%.down%.sql$" or base:find "^U%d[^/]*__" or base == "down.sql" end

---@param keys string[]  paths of all files
---@param read fun(key: string): string
---@return string[] order  the files that run
---@return string[] left_out
return function(keys, read)
  local order, left_out, present = {}, {}, {}
  for _, key in ipairs(keys) do present[key] = true end
  for _, key in ipairs(keys) do
    local dir = key:match "^(.*/)sqitch%.plan$" or key == "sqitch.plan" and ""
    if dir then order = by_plan(dir, read(key), present) end
  end
  if #order > 0 then
    local runs = {}
    for _, key in ipairs(order) do runs[key] = true end
    for _, key in ipairs(keys) do
      if key:lower():find "%.sql$" and not runs[key] then left_out[#left_out + 1] = key end
    end
    return order, left_out
  end
  for _, key in ipairs(keys) do
    if key:lower():find "%.sql$" then
      local list = is_way_back(base_of(key)) and left_out or order
      list[#list + 1] = key
    end
  end
  table.sort(order, function(a, b)
    local decided = flyway_before(a, b)
    if decided == nil then return before(a, b) end
    return decided
  end)
  return order, left_out
end
