--- The roster solver on weeks of the published size, and canonical JSON with its hash beside Python's and lua-cjson.
package.path = "tests/bench/?.lua;tests/support/?.lua;" .. package.path
local auditor = require "roster_auditor"
local hash = require "engine.hash"
local json = require "engine.json"
local weeks = require "weeks"

local packs = {}

-- What is published of the week of 1,385 tours: 142 to 145 drivers in 30 to 45 s.
local PUBLISHED = { drivers = 145, fewest = 142, seconds = 30, most = 45 }
local SEEDS, FULL_TIME, SPARE = 9, 2400, 1.02
local LARGE, LARGE_SECONDS = 5000, 30

--- One plan, held to the auditor and to CBC's bound: drivers, bounds, who works full time, the longest week, and how long it took on one
--- core.
local function solved(bench, request)
  bench.write("week.json", hash.canonical(request))
  local command = "cd %s && bash -c 'TIMEFORMAT=\"%%U %%S\"; time taskset -c 0 %s/roster-solver <week.json >plan.json' 2>&1"
  local user, system = bench.capture(command:format(bench.scratch, bench.build)):match "^(%S+) (%S+)$"
  local plan = bench.read_json "plan.json"
  local problem = auditor.problem(request, plan)
  assert(not problem, problem)
  local second = json.decode(bench.capture(("python3 tests/support/roster_bound.py %s/week.json"):format(bench.scratch)))
  local cbc = second.bound
  assert(second.optimal and plan.lower_bound <= cbc and cbc <= plan.drivers,
    ("bound %d, CBC's %d, %d drivers"):format(plan.lower_bound, cbc, plan.drivers))
  local minutes, of, full, most, total = {}, {}, 0, 0, 0
  for _, t in ipairs(request.instances) do
    of[t.id], total = t.end_min - t.start_min, total + t.end_min - t.start_min
  end
  for _, a in ipairs(plan.assignments) do minutes[a.driver_id] = (minutes[a.driver_id] or 0) + of[a.tour_instance_id] end
  for _, sum in pairs(minutes) do
    full, most = full + (sum >= FULL_TIME and 1 or 0), math.max(most, sum)
  end
  return { drivers = plan.drivers, bound = plan.lower_bound, cbc = cbc, full = full, enough = total >= SPARE * FULL_TIME * plan.drivers,
    most = most / 60, seconds = tonumber(user) + tonumber(system) }
end

local function range(list, key, format)
  local low, high = math.huge, -math.huge
  for _, r in ipairs(list) do low, high = math.min(low, r[key]), math.max(high, r[key]) end
  low, high = format:format(low), format:format(high)
  return low == high and low or low .. "–" .. high
end

--- Who works full time in weeks with hours enough for all of its drivers, and how many weeks that are.
local function full_time(list)
  local sum, drivers, n = 0, 0, 0
  for _, r in ipairs(list) do
    if r.enough then sum, drivers, n = sum + r.full, drivers + r.drivers, n + 1 end
  end
  return n == 0 and "no week" or ("%.1f %% of %d week%s"):format(100 * sum / drivers, n, n == 1 and "" or "s")
end

local function row(shape, list, peer)
  local seconds, at, over = {}, 0, 0
  for i, r in ipairs(list) do
    seconds[i] = r.seconds
    at, over = at + (r.drivers == r.bound and 1 or 0), over + (r.drivers == r.bound + 1 and 1 or 0)
  end
  table.sort(seconds)
  local middle = seconds[(#seconds + 1) // 2]
  print(("| %s | %s | %s | %s | %d / %d / %d | %s | %s | %.2f s | %.2f s | %.4f |"):format(shape, range(list, "drivers", "%d"),
    range(list, "bound", "%d"), range(list, "cbc", "%d"), at, over, #list - at - over, full_time(list), range(list, "most", "%.1f"),
    middle, seconds[#seconds], middle / peer))
end

--- 27 weeks of 1,385 tours, and one of 5,000.
function packs.roster(bench)
  if not bench.wants "Roster solver" then return end
  print "\n## Roster solver: 27 weeks of 1,385 tours, and one of 5,000\n"
  print(("Nine seeds of each demand shape, one core (`taskset -c 0`), processor time; each plan is held to an auditor that shares no code "
    .. "with the solver (tests/support/roster_auditor.lua). The bound is what the solver proves: no legal plan has fewer drivers. CBC's "
    .. "is what an integer program says that shares no code with it either (tests/support/roster_bound.py): never below the solver's, "
    .. "never above the drivers, or this ends. Full time is 40 h or more, counted in weeks whose hours are enough for it with 2 %% to "
    .. "spare. The peer is the published figure, not measured here: %d to %d drivers in %d to %d s, of which the shortest time "
    .. "counts."):format(PUBLISHED.fewest, PUBLISHED.drivers, PUBLISHED.seconds, PUBLISHED.most))
  print("\n| weeks | drivers | proven bound | CBC's bound | at bound / one more / above | full time | most hours | median | longest "
    .. "| × peer |")
  print "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
  print(("| published, 1 week | %d–%d | | | | | | %d s | %d s | peer |"):format(PUBLISHED.fewest, PUBLISHED.drivers, PUBLISHED.seconds,
    PUBLISHED.most))
  for _, shape in ipairs(weeks.SHAPES) do
    local list = {}
    for seed = 1, SEEDS do list[seed] = solved(bench, weeks.request(shape, seed)) end
    row(("%s, %d weeks"):format(shape.name, SEEDS), list, PUBLISHED.seconds)
  end
  local large = { solved(bench, weeks.request(weeks.SHAPES[1], 1, LARGE)) }
  row(("%s, %d tours (aim: %d s)"):format(weeks.SHAPES[1].name, LARGE, LARGE_SECONDS), large, PUBLISHED.seconds)
end

--- A document of about 10 MB with what plans hold: texts, whole numbers, a few fractions.
local function document()
  local list = {}
  for i = 1, 67000 do
    list[i] = { tour_instance_id = ("Mo-%04d-%04d-%06d"):format(i % 1440, (i + 270) % 1440, i),
      driver_id = ("Fahrer ä %05d"):format(i % 9973), day = i % 7 + 1, block_id = ("B%d"):format(i // 3),
      block_type = "2er-split", hours = (i % 37) / 4, note = json.null }
  end
  return { assignments = json.array(list), seed = 94 }
end

-- Each prints its seconds of processor time, and the hash where it makes one.
local SCRIPTS = {
  ["bytes.py"] = [[
import hashlib, json, sys, time
text = open("document.json", "rb").read()
started = time.process_time()
value = json.loads(text)
out = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
digest = hashlib.sha256(out).hexdigest()
print(time.process_time() - started, digest)
]],
  ["bytes.lua"] = [[
local hash = require "engine.hash"
local f = assert(io.open("document.json", "rb"))
local text = f:read "a"
local started = os.clock()
local digest = hash.of_json(text)
print(os.clock() - started, digest)
]],
  ["table.lua"] = [[
local hash, json = require "engine.hash", require "engine.json"
local f = assert(io.open("document.json", "rb"))
local value = json.decode(f:read "a")
collectgarbage()
local started = os.clock()
local digest = hash.of(value)
print(os.clock() - started, digest)
]],
  -- What lua-cjson lacks for canonical JSON is the order of keys: they are sorted beside it, and nothing is joined or hashed.
  ["peer.lua"] = [[
local cjson = require "cjson"
local f = assert(io.open("document.json", "rb"))
local value = cjson.decode(f:read "a")
local function sort_keys(t)
  if #t > 0 then
    for _, v in ipairs(t) do
      if type(v) == "table" then sort_keys(v) end
    end
    return
  end
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    if type(t[key]) == "table" then sort_keys(t[key]) end
  end
end
collectgarbage()
local started = os.clock()
local text = cjson.encode(value)
sort_keys(value)
print(os.clock() - started, #text)
]],
}

--- Seconds of two scripts, one after the other in each round; both say the same hash where the first has one.
local function beside(bench, a, b, same)
  local seconds, said = { {}, {} }, {}
  for round = 1, bench.runs do
    for i, command in ipairs { a, b } do
      local value, digest = bench.capture(("cd %s && %s"):format(bench.scratch, command)):match "^(%S+)%s+(%S+)$"
      seconds[i][round], said[i] = assert(tonumber(value)), digest
    end
  end
  assert(not same or said[1] == said[2], "two hashes of one document: " .. tostring(said[1]) .. ", " .. tostring(said[2]))
  local ratios = {}
  for round = 1, bench.runs do ratios[round] = seconds[2][round] / seconds[1][round] end
  return bench.median(seconds[1]), bench.median(seconds[2]), bench.median(ratios)
end

local function compare(bench, title, text, names, commands, same)
  local peer, own, ratio = beside(bench, commands[1], commands[2], same)
  print(("\n## %s\n\n%s\n"):format(title, text))
  print "| what | processor time, median | × peer, median | peer ÷ this |"
  print "|---|---:|---:|---:|"
  print(("| %s | %.1f ms | peer | |"):format(names[1], peer * 1000))
  print(("| %s | %.1f ms | %.3f | %.1f |"):format(names[2], own * 1000, ratio, 1 / ratio))
end

--- Canonical JSON (RFC 8785) and SHA-256 of a document of 10 MB.
function packs.json(bench)
  if not bench.wants "Canonical JSON" then return end
  local text = hash.canonical(document())
  -- Not the canonical order and with blanks, so that there is something to do.
  bench.write("document.json", (text:gsub('"tour_instance_id":("[^"]*")}', '"aa": 1, "tour_instance_id" : %1 }')))
  for name, script in pairs(SCRIPTS) do bench.write(name, script) end
  local lua = ("LUA_CPATH='%s/modules/?.so;;' lua5.4 "):format(bench.build)
  local size = ("a document of %.1f MB"):format(#text / 1e6)
  compare(bench, "Canonical JSON: bytes to hash", ("From the bytes of %s to its canonical bytes and their SHA-256; both say the same hash. "
    .. "Reading the file and the interpreter's start are not counted."):format(size),
    { "Python `json.loads`, `json.dumps(sort_keys)`, `hashlib`", "`hash.of_json(text)`" },
    { "python3 bytes.py", lua .. "bytes.lua" }, true)
  compare(bench, "Canonical JSON: table to hash", ("From the Lua table of %s to canonical bytes and their SHA-256. The peer encodes "
    .. "without order or hash; the keys are sorted beside it, as canonical JSON would need them."):format(size),
    { "lua-cjson `encode`, and `table.sort` of every object's keys", "`hash.of(value)`" },
    { lua .. "peer.lua", lua .. "table.lua" }, false)
end

return packs
