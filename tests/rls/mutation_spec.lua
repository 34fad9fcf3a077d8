-- The mutation score of gate 1 on cases of the corpus that hold: those in which something besides the policies decides, so that breaking
-- the one alone changes nothing. `lua5.4 tests/rls/mutate.lua` runs all of them.
package.path = "tests/rls/support/?.lua;tests/lua/support/?.lua;" .. package.path
local corpus = require "corpus"

local CASES = { "canonical", "check_true_column_grants", "materialised_view_hidden", "not_granted", "restrictive_tenant",
  "shared_rows_read_only", "view_filtered_barrier", "view_invoker" }

describe("the mutation score of the clean case", function()
  local runs

  setup(function()
    local only = {}
    for _, name in ipairs(CASES) do only["clean/" .. name] = true end
    runs = corpus.run { only = only, mutate = true }
  end)

  for _, name in ipairs(CASES) do
    it(name .. " is 100 %", function()
      local r = assert(runs["clean/" .. name], "it was not run")
      assert.same({}, r.problems)
      local m = assert(r.mutation, "no mutation")
      assert.is_nil(m.problem)
      assert.same({}, m.survived)
      assert.same({}, m.impossible)
      assert.equal(100, m.score)
      assert.is_true(m.mutants >= 7, ("%d mutants"):format(m.mutants))
    end)
  end
end)
