-- What a run was started with: limits that are too low for it, descriptors that are closed, a path that is long.
local support = require "e2e.support"
local has = support.has

local PLAN = support.root .. "/examples/plans/calm_week"

local function audit(path, body)
  return support.write(path, ([[return { name = "kept", pack = "roster", audit = function(plan, report) %s end }]]):format(body))
end

local function run(script, more)
  more.argv = { "run", script, "--plan", PLAN, table.unpack(more.argv or {}) }
  return support.run(more)
end

describe("a run", function()
  it("gives an audit's verdict whatever the length of its path: weak tables hold what they have", function()
    local dir, seen = support.tmpdir(), {}
    for _, name in ipairs { "a.lua", ("p"):rep(60) .. ".lua", ("d/"):rep(40) .. "a.lua" } do
      local r = run(audit(dir .. "/" .. name, [[
        local weak, n = setmetatable({}, { __mode = "v" }), 0
        for i = 1, 20000 do weak[i] = { i } end
        for _ in pairs(weak) do n = n + 1 end
        report:violation { object = "kept", detail = n }]]), { prefix = "" })
      assert.equal(1, r.code, r.stderr)
      seen[#seen + 1] = r.stdout
    end
    has(seen[1], "kept: 20000")
    assert.same({ seen[1], seen[1], seen[1] }, seen)
  end)

  it("says of keys without an order the same words whatever their addresses are", function()
    local r = run(audit(support.tmpdir() .. "/a.lua", "for _ in pairs { [print] = 1, [report] = 2, [true] = 3 } do end"), {})
    assert.equal(3, r.code)
    has(r.stdout, "pairs: keys other than strings and numbers have no order that is the same in every run")
  end)

  it("is refused where the stack is too small for it, and by name", function()
    local script = audit(support.tmpdir() .. "/a.lua", "")
    local r = run(script, { prefix = "ulimit -s 96;" })
    assert.equal(3, r.code)
    has(r.stderr, "the stack may have 96 KB, and at least 256 KB are needed", "ulimit -s 8192")
    assert.equal(0, run(script, { prefix = "ulimit -S -s 96;" }).code, "a limit that can be lifted is")
  end)

  it("leaves no half report where files may not grow, and does not pass", function()
    local dir = support.tmpdir()
    local script = audit(dir .. "/a.lua", "")
    local r = run(script, { prefix = "ulimit -f 0;", stdout = "/dev/null", argv = { "--report", "json=" .. dir .. "/r.json" } })
    assert.equal(3, r.code)
    local left = io.popen("ls -A " .. support.quote(dir)):read "a"
    assert.equal("a.lua\n", left)
  end)

  it("does not pass where its text goes nowhere, whichever descriptors are closed", function()
    local script = audit(support.tmpdir() .. "/a.lua", "")
    for _, closed in ipairs { ">&-", "<&- >&-", "<&- >&- 2>&-" } do
      local program = support.write(support.tmpdir() .. "/closed.sh", ("exec %s \"$@\" %s\n"):format(support.quote(support.engine), closed))
      local _, how, code = os.execute(("cd %s && GATE_ENGINE_STATE=%s timeout 60 sh %s run %s --plan %s 2>/dev/null"):format(
        support.quote(support.tmpdir()), support.quote(support.state), support.quote(program), support.quote(script), support.quote(PLAN)))
      assert.same({ "exit", 3 }, { how, code }, closed)
    end
  end)
end)
