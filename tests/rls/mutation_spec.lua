-- The mutation score of gate 1 on each case of the corpus that holds: what one of them breaks, the gate sees. `lua5.4 tests/rls/mutate.lua`
-- lists each survivor.
package.path = "tests/rls/support/?.lua;" .. package.path
local case = require "case"
local corpus = require "corpus"

local ROOT = "tests/rls"

describe("the mutation score of the clean case", function()
  local runs

  setup(function() runs = corpus.run { pattern = "/clean/", mutate = true } end)

  for _, path in ipairs(case.list(ROOT)) do
    local name = case.read(path).name
    if name:find "^clean/" then
      it(name .. " is 100 %", function()
        local r = assert(runs[name], "it was not run")
        if r.left_out then pending(r.left_out) end
        assert.same({}, r.problems)
        local m = assert(r.mutation, "no mutation")
        assert.is_nil(m.problem)
        assert.same({}, m.survived)
        assert.same({}, m.impossible)
        assert.equal(100, m.score)
        assert.is_true(m.mutants >= 7, ("%d mutants"):format(m.mutants))
      end)
    end
  end
end)
