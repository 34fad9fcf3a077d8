-- --baseline of a gate that is no more than its findings: what counts as known.
local support = require "e2e.support"

local has = support.has

local HEAD = [[
return require("gate").define { api = 1, id = "b", name = "B", failures = { leak = { text = "Leak" } },
  run = function(ctx)
    ctx:check("leaks", function()
%s    end)
  end }
]]

describe("--baseline", function()
  local dir = support.tmpdir()

  --- Runs a gate of these findings, each {object, detail}.
  local function run(findings, ...)
    local lines = {}
    for i, f in ipairs(findings) do lines[i] = ("      ctx:fail(\"leak\", { object = %q, detail = %q })\n"):format(f[1], f[2]) end
    support.write(dir .. "/b.lua", HEAD:format(table.concat(lines)))
    return support.run { cwd = dir, "run", "b.lua", ... }
  end

  local function code(before, now)
    assert.are.equal(1, run(before, "--report", "json=base.json").code)
    return run(now, "--baseline", "base.json").code
  end

  it("knows a finding again whose counts differ", function()
    assert.are.equal(0, code({ { "t", "3 rows of 10" } }, { { "t", "12 rows of 100" } }))
  end)

  it("does not take the number in a name for a count", function()
    assert.are.equal(1, code({ { "t", "policy p1 lets 3 rows through" } }, { { "t", "policy p2 lets 3 rows through" } }))
    assert.are.equal(1, code({ { "t", "by \u{FC}1" } }, { { "t", "by \u{FC}2" } }))
  end)

  it("knows as many of a kind as there were", function()
    local two = { { "t", "1 row" }, { "t", "2 rows" } }
    assert.are.equal(0, code(two, two))
    assert.are.equal(1, code({ { "t", "1 rows" } }, { { "t", "1 rows" }, { "t", "2 rows" } }))
  end)

  it("is refused where it is of another tenant", function()
    assert.are.equal(1, run({ { "t", "x" } }, "--tenant", "acme", "--report", "json=acme.json").code)
    assert.are.equal(0, run({ { "t", "x" } }, "--tenant", "acme", "--baseline", "acme.json").code)
    for _, more in ipairs { {}, { "--tenant", "demo" } } do
      local r = run({ { "t", "x" } }, "--baseline", "acme.json", table.unpack(more))
      assert.are.equal(2, r.code, r.stdout)
      has(r.stderr, "expected a report of tenant demo, found one of tenant acme", "fix: make one of this tenant")
    end
  end)
end)
