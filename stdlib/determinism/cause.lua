--- Which difference between two runs shows in the answer: asked one at a time, after a mismatch.
-- Needs ctx.solver, through the function it is given.

local M = {}

-- Two moments at which the clock stands still: what differs between them, and not at either, is the clock's doing. Merely shifted
-- clocks go on ticking, and two runs in one second look steady when they are not.
local MOMENTS = { "2026-01-05 06:00:00", "2027-08-09 17:30:10" }

---@class determinism.Cause
---@field name string      machine name
---@field text string      what the solver seems to do
---@field fix string       what to change
---@field evidence string  how it was found

local FIXES = {
  ["time zone"] = "Compute with minutes of the week, never with local time",
  locale = "Sort by bytes and format numbers without the locale",
  clock = "Take nothing from the clock: no time stamps in the plan, no seeds from time, limits counted in work and not in seconds",
  ["working directory"] = "Read only the request; no files by relative name",
  environment = "Read only the request; give what decides the plan in it",
  ["hash seeds"] = "Sort before walking a set or dictionary",
  ["malloc fill"] = "Initialise memory before it is read (run the solver under valgrind)",
  ["processor features"] = "Use Decimal or round consistently: arithmetic must not depend on the processor",
  processor = "Do not let the number or kind of processors decide anything",
  ["address layout"] = "Order by content, never by address or by a hash table's order",
  randomness = "Seed the random numbers from the request; use neither process ids nor thread timing",
}

local function cause(name, text, evidence)
  return { name = name, text = text, fix = FIXES[name], evidence = evidence }
end

--- The one answer of several runs under one condition, or nil when they are not one.
local function steady(solve, perturb, tries)
  local first = solve(perturb)
  for _ = 2, tries do
    if solve(perturb) ~= first then return nil end
  end
  return first
end

local function by_clock(solve, tries)
  local a = steady(solve, { faketime = MOMENTS[1] }, tries)
  local b = a and steady(solve, { faketime = MOMENTS[2] }, tries)
  if not b or a == b then return nil end
  return cause("clock", "it reads the clock", ("with the clock standing still, %d runs at one moment agree, and differ from %d at another")
    :format(tries, tries))
end

--- Does it differ between runs under the same conditions? Then by addresses, or by something else.
local function unprovoked(solve, reference, tries)
  local different = 0
  for _ = 1, tries do
    if solve(nil) ~= reference then different = different + 1 end
  end
  if different == 0 then return nil end
  local evidence = ("%d of %d runs under the reference's own conditions differ from it"):format(different, tries)
  if steady(solve, { aslr = false }, tries + 1) then
    return cause("address layout", "it orders by memory address", evidence .. "; with a fixed address layout none do")
  end
  return cause("randomness", "random numbers, process ids or a race",
    evidence .. ", with fixed addresses and a clock that stands still too")
end

--- Why run N differs from run 1.
---@param solve fun(perturb: table?): string  runs the solver once more and returns its output hash
---@param reference string                    hash of run 1
---@param parts determinism.Part[]            of the run that differs
---@param tries integer?                      repeats, 3 by default
---@return determinism.Cause
function M.find(solve, reference, parts, tries)
  tries = tries or 3
  local found = by_clock(solve, tries) or unprovoked(solve, reference, tries)
  if found then return found end
  local single = {}
  for _, part in ipairs(parts) do
    if solve(part.perturb) ~= reference then single[#single + 1] = part end
  end
  if #single == 0 then
    return { name = "unknown", text = "no single condition alone makes a difference",
      fix = "Check for randomness sources", evidence = ("%d conditions tried one by one"):format(#parts) }
  end
  local names = {}
  for i, part in ipairs(single) do names[i] = part.name end
  local evidence = ("changing only the %s changes the answer"):format(table.concat(names, ", or only the "))
  -- Most parts are variables. Who minds one that nobody reads minds the environment as such.
  local shown = single[1]
  for _, part in ipairs(single) do
    if part.name == "environment" then shown = part end
  end
  return cause(shown.name, shown.cause, evidence)
end

return M
