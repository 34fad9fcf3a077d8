--- Mutational fuzz of the StaticMatrix reader: 20,000 damaged files, each of which must be understood or refused with a place, and never
-- raise anything else. What is understood is understood again when it is written out. The seed is fixed, so that a failure comes back:
-- `lua5.4 tests/fuzz/matrix.lua [ROUNDS [SEED]]`.

local matrix = require "packs.routing.matrix"

local rounds, seed = tonumber(arg[1]) or 20000, tonumber(arg[2]) or 94

local HEADER = "from_lat,from_lng,to_lat,to_lng,duration_seconds,distance_meters"
local SEEDS = {
  "# version: v1\n" .. HEADER .. "\n48.2082,16.3738,48.22,16.4,312,2410\n48.22,16.4,48.2082,16.3738,330.5,2455.25\n",
  HEADER .. "\r\n-90,-180,90,180,0,0\r\n0,0,0,0,0,0.000\r\n1.2345678,2,3,4,5,6",
}
local PIECES = {
  "", "\0", "\n", "\r", "\r\n", ",", ",,", '"', " ", "\t", "-", "+", ".", "0", "00", "e1", "0x1", "nan", "inf", "1e400",
  "999999999999999999999",
  "90.0000001", "-0", "# version: x\n", HEADER .. "\n", "\255", "\239\187\191", "\226\128\174", ("1"):rep(300), "%s", "1,2,3,4,5,6\n",
}

local function mutate(bytes)
  for _ = 1, math.random(0, 2) do
    local at, kind = math.random(0, #bytes), math.random(4)
    if kind == 1 then
      bytes = bytes:sub(1, at) .. PIECES[math.random(#PIECES)] .. bytes:sub(at + 1)
    elseif kind == 2 then
      bytes = bytes:sub(1, at) .. bytes:sub(at + math.random(1, 12))
    elseif kind == 3 then
      bytes = bytes:sub(1, at) .. string.char(math.random(0, 255)) .. bytes:sub(at + 2)
    else
      bytes = bytes:sub(1, at) .. bytes:sub(math.random(1, at + 1), at) .. bytes:sub(at + 1)
    end
  end
  return bytes
end

local PLACED = { matrix_header = true, matrix_line = true, matrix_text = true, matrix_fields = true, matrix_coordinate = true,
  matrix_amount = true, matrix_same = true, matrix_duplicate = true }

local function promise(m, bytes)
  assert(m.rows > 0 and #m.sha256 == 64 and m.version)
  for line in bytes:gmatch("[^\r\n]+") do
    local a, b, c, d, duration, distance = line:match("^([%d.-]+),([%d.-]+),([%d.-]+),([%d.-]+),([%d.]+),([%d.]+)$")
    if a then
      local travel = m:travel({ lat = a, lng = b }, { lat = c, lng = d })
      assert(math.abs(tonumber(a)) <= 90 and math.abs(tonumber(b)) <= 180, "a point that is none")
      assert(travel.duration_seconds == tonumber(duration) and travel.distance_meters == tonumber(distance), "another amount")
      assert(travel.duration_seconds >= 0 and travel.distance_meters >= 0)
    end
  end
end

math.randomseed(seed)
local understood = 0
for round = 1, rounds do
  local bytes = mutate(SEEDS[math.random(#SEEDS)])
  local ok, m = pcall(matrix.parse, bytes, { version = not bytes:find("^# version") and "v1" or nil })
  local fine, problem = pcall(function()
    if ok then
      promise(m, bytes)
      understood = understood + 1
    else
      assert(type(m) == "table" and type(m.code) == "string" and m.code:find("^matrix_"), "raised " .. tostring(m))
      assert(not PLACED[m.code] or (m.line >= 1 and m.column >= 1), "no place")
      assert(not m.message:find("[%c\127]"), "a control character in the message")
    end
  end)
  if not fine then
    io.stderr:write(("fuzz matrix: round %d of seed %d failed: %s\n%q\n"):format(round, seed, tostring(problem), bytes))
    os.exit(1)
  end
end
assert(understood > 0 and understood < rounds, "every matrix was treated alike: nothing was tested")
print(("fuzz matrix: %d files, %d understood, the others refused"):format(rounds, understood))
