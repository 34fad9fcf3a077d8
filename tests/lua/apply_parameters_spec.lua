-- Which parameters a statement names: what the server would take for one, and nothing that only looks like one.
local apply = require "internal.apply"

describe("the highest parameter of a statement", function()
  local CASES = {
    { "select 1", 0 }, { "select $1", 1 }, { "select $2, $10, $3", 10 }, { "$1", 1 },
    { "select '$1', $2 -- $3\n, $1", 2 }, { "select 'it''s $3', $1", 1 }, { "select E'\\'$3', $1", 1 }, { "select e'\\\\', $2", 2 },
    { 'select "$4"', 0 }, { "select $$ $4 $$, $1", 1 }, { "select $a$ $4 $$ $5 $a$, $1", 1 }, { "select a$1", 0 }, { "select a$1$b", 0 },
    { "select /* $4 /* $5 */ $6 */ $1", 1 }, { "select 3 - $1 / $2", 2 }, { "select '$1", 0 }, { "select /* $1", 0 }, { "select $$ $1", 0 },
    { "select $1$2", 2 }, { "-- $1", 0 }, { "select E'\\", 0 },
  }
  for _, case in ipairs(CASES) do
    it("of " .. case[1] .. " is " .. case[2], function() assert.are.equal(case[2], apply.highest_parameter(case[1])) end)
  end
end)
