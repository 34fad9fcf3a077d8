-- Writes a file of this dataset to standard output, from the repository's root with the paths that the Lua specs run with:
--   lua5.4 stdlib/datasets/routing/wien_small/generate.lua input.json|matrix.csv
--
-- Ten stops in the middle of Vienna between the depot (48.2082, 16.3738) and 48.2200, 16.4000, four-hour windows between 08:00 and 16:00,
-- three vehicles of capacity 100. The ways are not measured: the great circle and a third more for the streets, at 24 km/h and a minute
-- for each way out of the depot, so that there and back differ.

local matrix = require "packs.routing.matrix"

local DEPOT = { "48.2082", "16.3738" }
-- id, latitude, longitude, demand, minutes of service, window, skills
local STOPS = {
  { "W01", "48.2091", "16.3791", 25, 10, "08:00", "12:00" }, { "W02", "48.2113", "16.3842", 30, 10, "08:00", "12:00" },
  { "W03", "48.2127", "16.3765", 20, 5, "08:00", "12:00", "cool" }, { "W04", "48.2139", "16.3893", 15, 15, "08:00", "12:00" },
  { "W05", "48.2148", "16.3814", 30, 10, "10:00", "14:00" }, { "W06", "48.2162", "16.3931", 25, 10, "10:00", "14:00" },
  { "W07", "48.2171", "16.3858", 20, 5, "12:00", "16:00", "cool" }, { "W08", "48.2184", "16.3969", 35, 10, "12:00", "16:00" },
  { "W09", "48.2193", "16.3901", 15, 15, "12:00", "16:00" }, { "W10", "48.2200", "16.4000", 20, 10, "12:00", "16:00" },
}

local files = {}

files["input.json"] = function()
  local function skills(name) return name and ('["%s"]'):format(name) or "[]" end
  print('{\n  "name": "wien_small",\n  "date": "2026-03-02",')
  print(('  "depots": [{"id":"wien","lat":%s,"lng":%s}],\n  "vehicles": ['):format(DEPOT[1], DEPOT[2]))
  for i = 1, 3 do
    print(('    {"id":"V%d","depot":"wien","capacity":100,"shift":["07:30","17:00"],"skills":%s}%s'):format(i,
      skills(i == 1 and "cool" or nil), i < 3 and "," or "\n  ],"))
  end
  print('  "stops": [')
  for i, s in ipairs(STOPS) do
    print(('    {"id":"%s","lat":%s,"lng":%s,"demand":%d,"service_min":%d,"window":["%s","%s"],"skills":%s}%s'):format(s[1], s[2], s[3],
      s[4], s[5], s[6], s[7], skills(s[8]), i < #STOPS and "," or "\n  ]\n}"))
  end
end

files["matrix.csv"] = function()
  local places = { DEPOT }
  for i, s in ipairs(STOPS) do places[i + 1] = { s[2], s[3] } end
  print("# version: wien-small-1\nfrom_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters")
  for i, from in ipairs(places) do
    for k, to in ipairs(places) do
      if i ~= k then
        local metres = math.floor(matrix.haversine(tonumber(from[1]), tonumber(from[2]), tonumber(to[1]), tonumber(to[2])) * 4 / 3 + 0.5)
        local seconds = (metres * 3600 + 12000) // 24000 + (i == 1 and 60 or 0)
        print(("%s,%s,%s,%s,%d,%d"):format(from[1], from[2], to[1], to[2], seconds, metres))
      end
    end
  end
end

local write = files[arg[1]] or error("name one of input.json and matrix.csv")
write()
