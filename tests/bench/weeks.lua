--- Weeks of tours for the roster solver's figures: deterministic, with a generator of their own (Park and Miller, "Random number
-- generators: good ones are hard to find", CACM 31:10, 1988), so that they are the same with every Lua.
local json = require "engine.json"

local weeks = {}

-- Monday to Saturday heavy, Sunday light, as the published week.
local DAYS = { 228, 214, 212, 219, 236, 208, 68 }
local TOURS = 1385
local LIMITS = { max_weekly_minutes = 3300, min_rest_minutes = 660, max_span_regular_minutes = 840, max_span_split_minutes = 960 }

--- When tours start: first and last start in minutes, share in percent. All from 04:45 to 19:30.
weeks.SHAPES = {
  { name = "three waves", waves = { { 285, 450, 38 }, { 570, 765, 30 }, { 840, 1170, 32 } } },
  { name = "the whole day alike", waves = { { 285, 1170, 100 } } },
  { name = "morning and evening peaks", waves = { { 285, 465, 34 }, { 480, 825, 30 }, { 840, 1170, 36 } } },
}

--- A solver's request for one week of tours of 4 to 5 hours.
---@param shape {waves: table}
---@param seed integer  of the week; the solver's is always 94
---@param tours integer?  1,385 by default
---@return table
function weeks.request(shape, seed, tours)
  local state = seed * 7919
  local function below(n)
    state = state * 48271 % 2147483647
    return state % n
  end
  local function start()
    local share = below(100)
    for _, wave in ipairs(shape.waves) do
      share = share - wave[3]
      if share < 0 then return wave[1] + 15 * below((wave[2] - wave[1]) // 15 + 1) end
    end
  end
  local list, left = {}, tours or TOURS
  for day, count in ipairs(DAYS) do
    local n = day == #DAYS and left or count * (tours or TOURS) // TOURS
    left = left - n
    for i = 1, n do
      local from = (day - 1) * 1440 + start()
      list[#list + 1] = { id = ("d%d-%04d"):format(day, i), day = day, start_min = from, end_min = from + 240 + 15 * below(5),
        depot = json.null, skill = json.null, split_group = json.null }
    end
  end
  return { pack = "roster", seed = 94, config = LIMITS, instances = json.array(list) }
end

return weeks
