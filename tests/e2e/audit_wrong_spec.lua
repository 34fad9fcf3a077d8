-- Audits and plans that are wrong: what is said of each names what was expected, what was found, and the way out; none of them is a pass.
local support = require "e2e.support"

local run = support.run

local has = support.has

local NIGHTS = support.root .. "/examples/plans/night_week"

describe("an audit that is wrong", function()
  local dir = support.tmpdir()

  local function audit(body, head)
    support.write(dir .. "/a.lua",
      ('return { name = "a", pack = "roster", %s audit = function(plan, report)\n  %s\nend }\n'):format(head or "",
      body))
    return run { cwd = dir, "run", "a.lua", "--plan", NIGHTS }
  end

  local BODIES = {
    { "return false", "the function audit: expected it to return nothing, found false returned", "call report:violation {" },
    { "return #plan.drivers < 100", "found true returned" },
    { "return { 'x' }", "found a table returned" },
    { "report:violation { objet = 'x' }", 'report:violation: unknown option "objet"; did you mean "object"?', code = 1 },
    { "pcall(report.violation, report, { detial = 'x' })", "❌ FAIL - Audit a: FAIL", code = 1 },
    { "report.violation { object = 'x' }", "expected gate.audit.report (call it with a colon), got table" },
    { "for _ in ipairs(plan.driver) do report:violation 'x' end", "(plan.driver: nil)" },
  }
  for _, case in ipairs(BODIES) do
    it("is no pass: " .. case[1], function()
      local r = audit(case[1])
      assert.are.equal(case.code or 3, r.code, r.stdout)
      has(r.stdout, table.unpack(case, 2))
    end)
  end

  it("keeps the memory limit of its own where the run has a time limit of its own", function()
    support.write(dir .. "/limits.lua", "return { limits = { memory_mb = 64, scripts = { a = { memory_mb = 8 } } } }")
    support.write(dir .. "/a.lua",
      'return { name = "a", pack = "roster", audit = function() local t = {} for i = 1, 2000000 do t[i] = i end end }')
    for _, more in ipairs { { "--config", "limits.lua" }, { "--config", "limits.lua", "--timeout", "60" } } do
      local r = run { cwd = dir, "run", "a.lua", "--plan", NIGHTS, table.unpack(more) }
      assert.are.equal(3, r.code, r.stdout)
      has(r.stdout, "its memory limit of 8 MB")
    end
  end)

  it("is told by check what an audit has", function()
    for text, parts in pairs {
      ['return { id = "a", name = "a", pack = "roster", audit = print }'] = {
        "a.lua:1: id: expected a key that is known", "fix: leave it out: an audit has no id" },
      ['return { name = "a", pack = "roster", audit = print, run = print }'] = { "fix: an audit has audit = function(plan, report)" },
      ['return { name = "a", pack = "roster", aduit = print }'] = { "fix: an audit has name, pack, and audit = function(plan, report)" },
    } do
      support.write(dir .. "/a.lua", text)
      local r = run { cwd = dir, "check", "a.lua" }
      assert.are.equal(2, r.code)
      has(r.stdout, table.unpack(parts))
    end
  end)
end)

describe("a plan that is wrong", function()
  local dir = support.tmpdir()

  it("is named, with what is expected", function()
    support.write(dir .. "/a.lua", 'return { name = "a", pack = "roster", audit = function() end }\n')
    support.write(dir .. "/x.json", "{}")
    support.write(dir .. "/y.json", "not")
    support.write(dir .. "/texts/readme.txt", "x")
    support.shell("mkdir " .. dir .. "/none")
    for plan, parts in pairs {
      ["x.json"] = { 'x.json: pack: expected "roster" or "routing", found nothing', "golden_path_e2e --artifacts DIR writes" },
      ["y.json"] = { "y.json: the plan is not JSON: line 1", "golden_path_e2e --artifacts DIR writes" },
      none = { "expected audit-plan.json, or plans of several weeks (2026-W10.json, …), in the directory", "found nothing" },
      texts = { "found no file whose name ends in .json", "writes DIR/audit-plan.json" },
    } do
      local r = run { cwd = dir, "run", "a.lua", "--plan", plan }
      assert.are.equal(3, r.code, r.stderr)
      has(r.stdout, table.unpack(parts))
    end
  end)
end)
