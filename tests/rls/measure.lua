-- Measures gate 1 on the corpus: lua5.4 tests/rls/measure.lua [PATTERN] [--proof] [--shrink] [--add]
--
-- Recall, false alarms, and what is missed by class. --proof proves the cases and does not run the gate; --shrink removes from
-- known_misses.txt what is right now; --add writes in it what is wrong now, too. Run from the repository's root; GATE_ENGINE_PG_BIN names
-- another release's server.
local build = os.getenv "BUILD" or "build"
package.path = "tests/rls/support/?.lua;tests/lua/support/?.lua;" .. package.path
package.cpath = build .. "/modules/?.so;" .. package.cpath
local case = require "case"
local corpus = require "corpus"
local verdict = require "verdict"

local KNOWN = "tests/rls/known_misses.txt"

local options, pattern = {}, nil
for _, word in ipairs(arg) do
  if word:sub(1, 2) == "--" then options[word:sub(3)] = true else pattern = word end
end

local function now()
  local pipe = assert(io.popen "date +%s.%3N")
  local seconds = pipe:read "n"
  pipe:close()
  return seconds
end

--- What a run belongs to in the sums.
local function group(name, c)
  if name:find("+fix", 1, true) then return "fixed" end
  if name:find(":", 1, true) then return "finds" end
  return c.kind
end

local function show(names, runs)
  local cases = {}
  for _, path in ipairs(case.list "tests/rls") do
    local c = case.read(path)
    cases[c.name] = c
  end
  local sums, wrong, broken = {}, {}, 0
  for _, name in ipairs(names) do
    local r = runs[name]
    local c = cases[r.case]
    if r.left_out then print(("LEFT OUT %s: %s"):format(name, r.left_out)) end
    for _, p in ipairs(r.problems) do
      broken = broken + 1
      print(("NOT PROVEN %s: %s"):format(name, p))
    end
    if r.outcome and c and not r.closed then
      local g = group(name, c)
      sums[g] = sums[g] or { total = 0 }
      sums[g].total = sums[g].total + 1
      sums[g][r.outcome] = (sums[g][r.outcome] or 0) + 1
      if not verdict.is_right(r.outcome) then
        local find = c.finds[tonumber(r.variant:match "%d+" or 0)]
        local class = (find and find.text or c.head.Class or "none"):match "[%w_]+"
        wrong[#wrong + 1] = { key = g .. class .. name, g = g, class = class, r = r, name = name }
      end
    end
  end
  table.sort(wrong, function(x, y) return x.key < y.key end)
  for _, w in ipairs(wrong) do
    local says = {}
    for _, f in ipairs(w.r.findings) do
      if f.status ~= "PASS" or f.severity then
        says[#says + 1] = ("%s %s %s %s"):format(f.status, f.class or "", f.object or "", f.detail or f.failure or "")
      end
    end
    print(("%-10s %-24s %s\n             %s"):format(w.r.outcome, w.class, w.name,
      table.concat(says, "\n             "):sub(1, 700) .. (w.r.output or "")))
  end
  for _, g in ipairs { "leaky", "advisory", "clean", "fixed", "real", "finds" } do
    local parts = {}
    for outcome, n in pairs(sums[g] or {}) do
      if outcome ~= "total" then parts[#parts + 1] = ("%s %d"):format(outcome, n) end
    end
    table.sort(parts)
    print(("%-9s %3d: %s"):format(g, sums[g] and sums[g].total or 0, table.concat(parts, ", ")))
  end
  local l, c = sums.leaky or { total = 0 }, sums.clean or { total = 0 }
  print(("recall %d/%d (by its class %d), false alarms %d/%d"):format((l.found or 0) + (l.unnamed or 0), l.total, l.found or 0,
    c.alarm or 0, c.total))
  print(("%d runs, %d problems of the corpus itself"):format(#names, broken))
end

--- Is a line of the list, or a run without one, to be changed?
local function is_stale(run, listed)
  local outcome = not run.closed and run.outcome
  return outcome and (verdict.is_right(outcome) or (options.add and not corpus.is_listed(outcome, listed)))
end

--- Lines of the list, kept in their order: those that are right now go, those that are new come in the end.
local function rewrite(names, runs)
  local known = corpus.known(KNOWN)
  local out = {}
  for line in io.lines(KNOWN) do
    local name = line:match "^%s*[%a|]+%s+(%S+)"
    if not (name and known[name] and runs[name] and is_stale(runs[name], known[name])) then out[#out + 1] = line end
  end
  for _, name in ipairs(options.add and names or {}) do
    local outcome = runs[name].outcome
    if is_stale(runs[name], known[name]) and not verdict.is_right(outcome) then out[#out + 1] = ("%-10s %s"):format(outcome, name) end
  end
  local file = assert(io.open(KNOWN, "w"))
  file:write(table.concat(out, "\n"), "\n")
  file:close()
end

local began = now()
local runs, names = corpus.run { pattern = pattern, gate = not options.proof }
show(names, runs)
print(("%.1f s"):format(now() - began))
if options.shrink or options.add then rewrite(names, runs) end
