--- Why two runs differ: asked after a mismatch, by making more runs.
--
-- Two questions, by what the reference's own conditions give. Where they give one answer, the smallest set of run N's conditions that
-- changes it is looked for. Where they give several, the smallest set of things held still that leaves one.
-- Needs ctx.solver, through the function it is given.

local perturb = require "determinism.perturb"
local smallest = require "determinism.smallest"

local M = {}

-- Two moments at which the clock stands still: what differs between them, and not at either, is the clock's doing. Merely shifted
-- clocks go on ticking, and two runs in one second look steady when they are not.
local MOMENTS = { 1767592800, 1817832610 } -- 2026-01-05 06:00:00 and 2027-08-09 17:30:10 UTC
-- Runs that have to agree before "they agree" is believed: of a solver with two equally likely answers, this many agree by chance once in
-- 16,384 times.
local SURELY = 15
-- Clocks for runs in which it is not the clock that is held still.
local CLOCKS = { 1767592801, 1764000000, 1800000000 }

---@class determinism.Cause
---@field name string       machine name
---@field text string       what the solver seems to do
---@field fix string        what to change
---@field evidence string   how it was found
---@field smallest string[] the conditions, or what is held still, that together decide it; empty where nothing does

local FIXES = {
  ["time zone"] = "Compute with minutes of the week, never with local time",
  locale = "Sort by bytes and format numbers without the locale",
  clock = "Take nothing from the clock: no time stamps in the plan, no seeds from time, limits counted in work and not in seconds",
  ["working directory"] = "Read only the request; no files by relative name",
  environment = "Read only the request; give what decides the plan in it",
  ["hash order"] = "Sort before walking a set or dictionary",
  ["uninitialised memory"] = "Initialise memory before it is read (run the solver under valgrind)",
  ["processor features"] = "Use Decimal or round consistently: arithmetic must not depend on the processor",
  processor = "Do not let the number or kind of processors decide anything",
  ["file order"] = "Sort the names of a directory before its files are read",
  load = "Count limits in work and not in seconds, and join threads before their results are taken",
  ["address layout"] = "Order by content, never by address or by a hash table's order",
  ["process id"] = "Use the process id for nothing that decides the plan, and for no seed",
  randomness = "Seed the random numbers from the request; use neither process ids nor thread timing",
  concurrency = "Join the threads first and take their results in an order of content, not in the order in which they finish",
}

-- Parts whose name is what is varied, where the cause has a name of its own.
local NAMES = { ["hash seeds"] = "hash order", ["malloc fill"] = "uninitialised memory" }

--- What can be held still, the most particular first: fixed random bytes fix hash seeds too.
local HELD = {
  { name = "process id", text = "it uses its process id", perturb = { pid = 1000 } },
  { name = "hash order", text = "it walks a hash table whose order is seeded",
    perturb = { env = { PYTHONHASHSEED = "1", PERL_HASH_SEED = "1", PERL_PERTURB_KEYS = "0" } } },
  { name = "address layout", text = "it orders by memory address", perturb = { aslr = false } },
  { name = "uninitialised memory", text = "it reads memory it never wrote", perturb = { env = { MALLOC_PERTURB_ = "85" } } },
  { name = "randomness", text = "it takes random numbers", perturb = { random = 1 } },
  { name = "concurrency", text = "it lets threads race", perturb = { threads = 1 } },
  { name = "clock", text = "it reads the clock", perturb = { clock = MOMENTS[1] } },
}

local function cause(name, text, evidence, set)
  return { name = name, text = text, fix = FIXES[name] or "Check for randomness sources", evidence = evidence, smallest = set or { name } }
end

--- The one answer of several runs under one condition, or nil when they are not one.
local function steady(solve, how, tries)
  local first = solve(how)
  for _ = 2, tries do
    if solve(how) ~= first then return nil end
  end
  return first
end

--- A variable that nobody knows: who answers to it answers to the whole environment, and to every condition that is made by variables.
local function by_environment(solve, reference, tries)
  local function with(size) return { env = { GATE_ENGINE_PERTURBATION = ("x"):rep(size) } } end
  if solve(with(1)) == reference and solve(with(1000)) == reference then return nil end
  local a = steady(solve, with(1), tries)
  local b = a and steady(solve, with(1000), tries)
  if not b or (a == reference and b == reference) then return nil end
  if steady(solve, nil, tries) ~= reference then return nil end
  return cause("environment", "it reads the environment, or depends on its size",
    "changing only a variable that nobody reads changes the answer")
end

local function by_clock(solve, tries)
  local a = steady(solve, { clock = MOMENTS[1] }, tries)
  local b = a and steady(solve, { clock = MOMENTS[2] }, tries)
  if not b or a == b then return nil end
  return cause("clock", "it reads the clock", ("with the clock standing still, %d runs at one moment agree, and differ from %d at another")
    :format(tries, tries))
end

local function names_of(parts)
  local names = {}
  for i, part in ipairs(parts) do names[i] = part.name end
  return names
end

--- Do several runs with these held still give one answer? Whatever the clock says, unless it is one of them.
local function holds(solve, set, tries)
  local first
  for k = 1, tries do
    local how = perturb.merge(set) or {}
    how.clock = how.clock or CLOCKS[(k - 1) % #CLOCKS + 1]
    local answer = solve(how)
    first = first or answer
    if answer ~= first then return false end
  end
  return true
end

--- How many of several runs with nothing held but the clock, at another moment each time, give the answer that most of them give.
local function commonest(solve, tries)
  local count, most = {}, 0
  for k = 1, tries do
    local answer = solve { clock = CLOCKS[(k - 1) % #CLOCKS + 1] }
    count[answer] = (count[answer] or 0) + 1
    most = math.max(most, count[answer])
  end
  return most
end

--- The same conditions with the library preloaded that could hold things still, and holds none but the clock, at another moment each
--- time: all that holding would be tried for still varies, and the answer does not. What the library changes of itself is when things
--- happen, so that nothing held afterwards could say more.
local function by_timing(evidence, tries)
  for _, thing in ipairs(HELD) do
    if thing.name == "concurrency" then
      return cause(thing.name, thing.text,
        ("%s; %d runs agree once a library that holds nothing still is preloaded, which changes no more than when things happen")
        :format(evidence, tries))
    end
  end
end

--- What has to be held still for one answer.
---@param more integer  runs that have to agree besides, where several did: a race agrees by luck now and then
local function by_holding(solve, evidence, tries, more)
  for _, thing in ipairs(HELD) do
    if holds(solve, { thing }, tries) and holds(solve, { thing }, more) then
      return cause(thing.name, thing.text, ("%s; with only the %s held still, %d runs agree"):format(evidence, thing.name, tries + more))
    end
  end
  if not holds(solve, HELD, tries) then
    return cause("randomness", "random numbers or a race that cannot be held still from outside",
      evidence .. ", with process id, random bytes, hash seeds, addresses, memory and clock held still and threads one after another too",
      {})
  end
  local names = names_of((smallest.of(HELD, function(set) return holds(solve, set, tries) end)))
  local text = table.concat(names, " + ")
  evidence = ("%s; with %s held still, %d runs agree, and with any of them let go they do not"):format(evidence, text, tries)
  if text == "address layout + clock" then
    return cause("hash order", "it walks a hash table whose order is seeded from the clock and an address, as Lua's is", evidence, names)
  end
  return cause(text, "it depends on " .. table.concat(names, " and "), evidence, names)
end

--- Which of run N's conditions change the answer: one alone, or a smallest set.
local function by_changing(solve, reference, parts, tries)
  local single = {}
  for _, part in ipairs(parts) do
    local flips = true
    for _ = 1, tries do flips = flips and solve(part.perturb) ~= reference end
    if flips then single[#single + 1] = part end
  end
  if #single > 0 then
    local shown = single[1]
    return cause(NAMES[shown.name] or shown.name, shown.cause,
      ("changing only the %s changes the answer"):format(table.concat(names_of(single), ", or only the ")), { shown.name })
  end
  local function flips(set) return solve(perturb.merge(set)) ~= reference end
  if #parts < 2 or not flips(parts) then
    return { name = "unknown", text = "the difference did not come back", smallest = {},
      fix = "Repeat with more runs (--runs 100), and check for randomness sources",
      evidence = ("%d runs as the reference, %d conditions one by one and all of them together gave its answer"):format(tries, #parts) }
  end
  local set, asked = smallest.of(parts, flips)
  local names, texts = names_of(set), {}
  for i, part in ipairs(set) do texts[i] = part.cause end
  return { name = table.concat(names, " + "), text = table.concat(texts, ", and "), smallest = names,
    fix = FIXES[NAMES[names[1]] or names[1]] or "Check for randomness sources",
    evidence = ("changing only the %s changes the answer, and none of them alone does (%d sets tried)"):format(
      table.concat(names, " and the "), asked) }
end

--- Why a solver that is only repeated gives several answers; nil where it gives the reference's alone.
---@param under string  the conditions, in words
local function by_repeating(solve, reference, tries, surely, most, under)
  local different, answers, kinds = 0, {}, 0
  for _ = 1, tries do
    local answer = solve(nil)
    if answer ~= reference then different = different + 1 end
    if not answers[answer] then answers[answer], kinds = true, kinds + 1 end
  end
  if different == 0 then return nil end
  local evidence = ("%d of %d runs %s differ from it"):format(different, tries, under)
  local usual = commonest(solve, surely)
  if kinds > 1 and usual == surely then return by_timing(evidence, surely), evidence end
  local agreements = math.max(surely, math.min(most or SURELY, M.agreements(usual, surely)))
  return by_holding(solve, evidence, agreements, most or SURELY), evidence, kinds
end

--- What shows beside other work alone: a race that is seldom lost otherwise, or seconds that are counted.
local function by_load(solve, reference, tries, surely, most)
  local function loaded(how)
    local with = { load = true }
    for key, value in pairs(how or {}) do with[key] = value end
    return solve(with)
  end
  local found, evidence, kinds = by_repeating(loaded, reference, tries, surely, most,
    "under the reference's own conditions, but beside a busy process,")
  -- One answer, and not the reference's: nothing has to be held still for that one.
  if found and (kinds == 1 or #found.smallest == 0) then
    return cause("load", "its answer depends on how fast it gets on: it counts seconds, or lets threads race", evidence)
  end
  return found
end

--- The conditions that are tried one by one: what load does is asked last.
local function without_load(parts)
  local out = {}
  for _, part in ipairs(parts) do
    if not part.perturb.load then out[#out + 1] = part end
  end
  return out
end

--- Why run N differs from run 1.
---@param solve fun(perturb: table?): string  runs the solver once more and returns its output hash
---@param reference string                    hash of run 1
---@param parts determinism.Part[]            of the run that differs
---@param tries integer?                      runs after which a difference would have shown, 8 by default
---@param most integer?                       runs of one condition there is time for
---@return determinism.Cause
function M.find(solve, reference, parts, tries, most)
  tries = tries or 8
  local surely = math.max(tries, math.min(SURELY, most or SURELY))
  local found = by_environment(solve, reference, surely) or by_clock(solve, surely)
    or by_repeating(solve, reference, tries, surely, most, "under the reference's own conditions")
  if found then return found end
  found = by_changing(solve, reference, without_load(parts), tries)
  return found.name == "unknown" and by_load(solve, reference, tries, surely, most) or found
end

--- How many runs have to agree so that no one in 200 such agreements is luck, where `usual` of `runs` runs give the commonest answer:
--- (u/r)^n < 1/200.
---@param usual integer
---@param runs integer
---@return integer
function M.agreements(usual, runs)
  if usual >= runs then return runs end
  return math.ceil(math.log(1 / 200) / math.log(usual / runs))
end

--- How often a condition has to be tried so that it shows, with 95 in 100, what shows in `different` of `runs` runs: (1 - d/r)^n < 1/20
--- where n = 3 r / d, since (1 - p)^(3/p) < e^-3. At least eight, as long as there is time for `most`.
---@param different integer
---@param runs integer
---@param most integer
---@return integer
function M.tries(different, runs, most)
  return math.min(most, math.max(8, math.ceil(3 * runs / math.max(different, 1))))
end

return M
