-- The mutation score of gate 1 on each case of the corpus that holds: lua5.4 tests/rls/mutate.lua [PATTERN]
--
-- The cases in clean/, and with their @fix the others whose names hold the pattern (without one: clean/ alone). Each survivor is listed
-- with its reason, and so is each mutant that is no SQL there. Exit 1 below 100 %. Run from the repository's root.
local build = os.getenv "BUILD" or "build"
package.path = "tests/rls/support/?.lua;tests/lua/support/?.lua;" .. package.path
package.cpath = build .. "/modules/?.so;" .. package.cpath
local corpus = require "corpus"

local runs, names = corpus.run { pattern = arg[1] or "/clean/", mutate = true }
local mutants, survived, undecided, impossible, awake, left_out = 0, 0, 0, 0, 0, 0
local function show(name, r)
  local m = r.mutation or { survived = {}, impossible = {}, problem = "not run" }
  local problems = { m.problem, table.unpack(r.problems) }
  print(("%-6s %4s  %s"):format(m.score and ("%.1f"):format(m.score) or "none", m.mutants or "", name))
  for _, s in ipairs(m.survived) do print("       survived    " .. s:sub(1, 1000)) end
  for _, s in ipairs(m.impossible) do print("       impossible  " .. s) end
  for _, p in ipairs(problems) do print("       problem     " .. p:sub(1, 1000)) end
  mutants, survived, impossible = mutants + (m.mutants or 0), survived + #m.survived, impossible + #m.impossible
  undecided = undecided + (m.undecided or 0)
  if m.score == 100 and #problems == 0 then awake = awake + 1 end
end
for _, name in ipairs(names) do
  if runs[name].left_out then
    left_out = left_out + 1
    print(("left out     %s: %s"):format(name, runs[name].left_out))
  else
    show(name, runs[name])
  end
end
print(("%d cases, %d of them at 100 %%; %d mutants, %d not found, %d of these undecided, %d impossible; %d cases left out"):format(
  #names - left_out, awake, mutants, survived, undecided, impossible, left_out))
os.exit(awake > 0 and awake == #names - left_out)
