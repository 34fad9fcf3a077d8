--- Mutational fuzz of the roster forecast's parser: 10,000 damaged forecasts, each of which must be understood or refused, and never
-- raise, hang or lose a line. The seed is fixed, so that a failure comes back: `lua5.4 tests/fuzz/forecast.lua [ROUNDS [SEED]]`.

local parser = require "packs.roster.parser"

local rounds, seed = tonumber(arg[1]) or 10000, tonumber(arg[2]) or 94

local SEEDS = {
  { format = "text", bytes = "# week\nMo 08:00-16:00 3 Fahrer Depot Nord\nDi 06:00-10:00 + 14:00-18:00 2 Fahrer\nSonntag 22:00-06:00\n" },
  { format = "text", bytes = "Fr 05:00-13:00 12 Fahrer Depot Größe\r\nSa 05:00-13:00\r\n" },
  { format = "csv", bytes = 'day,start_time,end_time,location,qualifications\nMon,08:00,16:00,"Depot, Nord",C1\nSunday,22:00,06:00,,\n' },
}
local PIECES = {
  "", "\0", "\n", "\r", "\r\n", "\t", '"', '""', ",", "+", " + ", "-", ":", "24:00", "00:60", "99999999999999999999",
  " Fahrer", "Depot ", "Mo ",
  "\255", "\192\128", "\237\160\128", "\226\128\174", "\239\187\191", ("a"):rep(600), ("(["):rep(200), "#", "-1", "08:00-08:00", "%s%n",
}

local function mutate(bytes)
  for _ = 1, math.random(1, 3) do
    local at, kind = math.random(0, #bytes), math.random(4)
    if kind == 1 then -- insert
      bytes = bytes:sub(1, at) .. PIECES[math.random(#PIECES)] .. bytes:sub(at + 1)
    elseif kind == 2 then -- cut
      bytes = bytes:sub(1, at) .. bytes:sub(at + math.random(1, 12))
    elseif kind == 3 then -- change one byte
      bytes = bytes:sub(1, at) .. string.char(math.random(0, 255)) .. bytes:sub(at + 2)
    else -- repeat a part
      bytes = bytes:sub(1, at) .. bytes:sub(math.random(1, at + 1), at) .. bytes:sub(at + 1)
    end
  end
  return bytes
end

local STATUS = { PASS = true, WARN = true, FAIL = true }

--- What must hold of every answer.
local function promise(result)
  assert(STATUS[result.status], "status " .. tostring(result.status))
  local worst = "PASS"
  for _, line in ipairs(result.lines) do
    assert(STATUS[line.status], "a line's status " .. tostring(line.status))
    if line.status == "FAIL" or worst == "PASS" then worst = line.status end
  end
  for _, issue in ipairs(result.issues) do
    assert(parser.CODES[issue.code], "unknown code " .. tostring(issue.code))
    if parser.CODES[issue.code].status == "FAIL" then worst = "FAIL" end
  end
  assert(worst ~= "FAIL" or result.status == "FAIL", "a line failed and the forecast did not")
  for _, entry in ipairs(result.entries) do
    assert(entry.day >= 1 and entry.day <= 7, "day " .. tostring(entry.day))
    assert(entry.count >= 1 and entry.count <= parser.LIMITS.max_count, "count " .. tostring(entry.count))
  end
end

math.randomseed(seed)
local understood = 0
for round = 1, rounds do
  local from = SEEDS[math.random(#SEEDS)]
  local bytes = mutate(from.bytes)
  local ok, problem = pcall(function()
    local result = parser.parse(bytes, from.format)
    promise(result)
    if result.status ~= "FAIL" then understood = understood + 1 end
  end)
  if not ok then
    io.stderr:write(("fuzz forecast: round %d of seed %d (%s) failed: %s\n%q\n"):format(round, seed, from.format, tostring(problem), bytes))
    os.exit(1)
  end
end
assert(understood > 0 and understood < rounds, "every forecast was treated alike: nothing was tested")
print(("fuzz forecast: %d forecasts, %d understood, the others refused"):format(rounds, understood))
