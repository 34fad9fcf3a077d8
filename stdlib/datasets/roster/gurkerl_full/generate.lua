-- Writes input.csv of this dataset to standard output: `lua5.4 generate.lua > input.csv`.
--
-- 1,385 tours in one week, with the shape of the published one (whose forecast is not public): tours of 4 to 5 hours,
-- starts from 04:45 to 19:30, Monday to Saturday heavy, Sunday light. The generator is its own, so that the same seed gives
-- the same file with every Lua: Park and Miller, "Random number generators: good ones are hard to find" (CACM 31:10, 1988),
-- x' = 48271 x mod (2^31 - 1).

local SEED = 94
local DAYS = { { "Mon", 228 }, { "Tue", 214 }, { "Wed", 212 }, { "Thu", 219 }, { "Fri", 236 }, { "Sat", 208 }, { "Sun", 68 } }
-- Three delivery waves: first and last start in minutes, share of the day's tours in percent.
local WAVES = { { 285, 450, 38 }, { 570, 765, 30 }, { 840, 1170, 32 } }
local LENGTHS = { 240, 255, 270, 285, 300 }

local state = SEED

--- A number from 0 to n - 1.
local function below(n)
  state = state * 48271 % 2147483647
  return state % n
end

local function start_time()
  local share = below(100)
  for _, wave in ipairs(WAVES) do
    share = share - wave[3]
    if share < 0 then return wave[1] + 15 * below((wave[2] - wave[1]) // 15 + 1) end
  end
end

local function hm(minute)
  return ("%02d:%02d"):format(minute // 60 % 24, minute % 60)
end

local total = 0
print("day,start_time,end_time,location,qualifications")
for _, day in ipairs(DAYS) do
  local rows = {}
  for i = 1, day[2] do
    local from = start_time()
    rows[i] = ("%s,%s,%s,Vienna,"):format(day[1], hm(from), hm(from + LENGTHS[below(#LENGTHS) + 1]))
  end
  table.sort(rows)
  print(table.concat(rows, "\n"))
  total = total + #rows
end
assert(total == 1385, "the week has " .. total .. " tours")
