local json = require "engine.json"
local support = require "e2e.support"

local run = support.run

local has = support.has

--- Every example in the annotations of stdlib/meta: {place, code}.
local function examples()
  local out = {}
  for path in io.popen("ls stdlib/meta/*.lua"):lines() do
    local number, code, place = 0, nil, nil
    for line in io.lines(path) do
      number = number + 1
      if line == "--- ```lua" then
        code, place = {}, ("%s:%d"):format(path, number)
      elseif line == "--- ```" and code then
        out[#out + 1] = { place, table.concat(code, "\n") }
        code = nil
      elseif code then
        code[#code + 1] = line:match "^%-%-%- ?(.*)$"
      end
    end
    assert(code == nil, path .. ": an example without an end")
  end
  return out
end

--- Runs an example of operations as the body of one.
local function run_operation(code)
  local dir = support.tmpdir()
  support.write(dir .. "/example.lua", ([[
return require("operation").define {
  api = 1, id = "example", name = "Example", needs = { db = { "operator" } },
  failures = { tenant_unknown = { text = "There is no tenant %%s" } },
  run = function(ctx)
%s
  end,
}]]):format(code))
  local r = run { cwd = dir, "run", "example.lua" }
  assert.are.equal(0, r.code, r.stdout .. r.stderr)
  has(r.stdout, "DONE - Rename demo")
end

--- Runs an example of recoveries as the recovery of a gate, which passes after it.
local function run_recovery(code)
  local dir = support.tmpdir()
  support.write(dir .. "/example.lua", ([[
return require("gate").define {
  api = 1, id = "example", name = "Example", needs = { db = { "admin", "operator" } }, failures = { nameless = { text = "no name" } },
  run = function(ctx)
    ctx:check("name", function()
      local name = ctx.db.admin:value("select name from core.tenants where code = $1", ctx.tenant.code)
      if name ~= "Acme" then ctx:fail "nameless" end
    end)
  end,
  recover = function(ctx)
%s
  end,
}]]):format(code))
  local r = run { cwd = dir, "recover", "example.lua", "--apply" }
  assert.are.equal(0, r.code, r.stdout .. r.stderr)
  has(r.stdout, "1/1 GATES PASS")
end

describe("doc", function()
  it("lists its topics, shows each of them, and exits 0", function()
    local list = run { "doc" }
    assert.are.equal(0, list.code)
    local n = 0
    for topic in list.stdout:gmatch "\n  ([%w-]+) " do
      local r = run { "doc", topic }
      assert.are.equal(0, r.code, r.stderr)
      assert.is_true(#r.stdout > 100, topic)
      assert.is_nil(r.stdout:find("@", 1, true) and r.stdout:find("---@", 1, true))
      n = n + 1
    end
    assert.is_true(n >= 15, list.stdout)
  end)

  it("shows what the annotations, the configuration's schema and the gates say", function()
    has(run({ "doc", "ctx" }).stdout, "\nctx:fail(class, fields)\n", "    class string  one of the head's failures\n", "failure_unknown")
    has(run({ "doc", "db" }).stdout, "\nconnection:query(sql, ...)\n", "returns gate.db.rows", "db_permission")
    has(run({ "doc", "hash" }).stdout, "hash.sha256(bytes)")
    has(run({ "doc", "audit" }).stdout, "report:violation(violation)", "assignments audit.Assignment[]")
    has(run({ "doc", "config" }).stdout, "  database.admin.url: ", "  limits.memory_mb: ", "default \"embedded\"")
    has(run({ "doc", "checks" }).stdout, "rls_harness: RLS Harness\n", "  hash_mismatch\n      Hash mismatch on run %s\n",
      "      fix: Check for randomness sources\n")
    has(run({ "doc", "exit-codes" }).stdout, "3 a gate could not be evaluated")
  end)

  it("names the nearest topic for one that is misspelt, with exit 2", function()
    local r = run { "doc", "cxt" }
    assert.are.equal(2, r.code)
    assert.are.equal("", r.stdout)
    has(r.stderr, 'there is no topic "cxt"', 'did you mean "ctx"?')
    assert.are.equal(2, run({ "doc", "db", "http" }).code)
  end)

  it("makes a manual page that names every verb and flag, and no line of it is a request by accident", function()
    local r = run { "doc", "man" }
    assert.are.equal(0, r.code)
    for line in run({ "--help" }).stdout:match("Verbs:\n(.-)\n\n"):gmatch "[^\n]+" do
      has(r.stdout, ".B " .. line:match "^  (%a+) ")
    end
    has(r.stdout, ".TH GATE\\-ENGINE 1", ".B \\-\\-trace", ".SH EXIT STATUS")
    for line in r.stdout:gmatch "[^\n]+" do
      assert.is_truthy(line:find "^[^.']" or line:find "^%.T[HP]" or line:find "^%.SH " or line:find "^%.B ", line)
    end
  end)

  it("answers a word that is no topic with the nearest one, the topic that tells of it, or the one that has the function", function()
    for word, fix in pairs { rooster = 'did you mean "roster"?', routin = 'did you mean "routing"?',
      context = "gate-engine doc ctx tells of it",
      needs = "gate-engine doc gate tells of it", ["ctx:apply"] = "gate-engine doc ctx has ctx:apply(title, step)",
      by_driver = "gate-engine doc roster has roster.by_driver(plan)",
      ["routing.clock"] = "gate-engine doc routing has routing.clock(minute)",
      nothing = "gate-engine doc lists the topics" } do
      local r = run { "doc", word }
      assert.are.equal(2, r.code)
      has(r.stderr, 'there is no topic "' .. word .. '"', fix)
    end
    has(run({ "doc", "roster" }).stdout, "roster.by_driver(plan)", "roster.weekday(what)")
    has(run({ "doc", "routing" }).stdout, "routing.by_vehicle(plan)", "routing.clock(minute)")
  end)

  it("has examples that run as they stand there", function()
    local dir = support.tmpdir()
    local parts = { [[
local gate = require "gate"
local json, hash, sql, task = require "json", require "hash", require "sql", require "task"
local _ = { json, hash, sql, task }
return gate.define {
  api = 1, id = "examples", name = "Examples", needs = { db = { "admin" }, stores = { "artifacts" } },
  run = function(ctx)
]] }
    local found = examples()
    assert.is_true(#found >= 8)
    for _, example in ipairs(found) do
      local place, code = example[1], example[2]
      if place:find("operation", 1, true) then
        run_operation(code)
      elseif code:find("ctx:apply", 1, true) then
        run_recovery(code)
      elseif code:find("ctx:check", 1, true) then
        parts[#parts + 1] = code
      else
        parts[#parts + 1] = ("    ctx:check(%q, function()\n%s\n    end)"):format(place, code)
      end
    end
    parts[#parts + 1] = "  end,\n}\n"
    support.write(dir .. "/examples.lua", table.concat(parts, "\n"))
    local r = run { cwd = dir, "run", "examples.lua", "--verbose" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "1/1 GATES PASS")
  end)
end)

describe("explain", function()
  it("lists every class that an installed gate may find, by gate and name", function()
    local r = run { "explain" }
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, "gates/rls_harness.lua:\n", "  rls_missing ", "RLS policy missing on table %s", "  osrm_drift ")
  end)

  it("says of a class what it means, how it is exploited and how it is closed", function()
    local r = run { "explain", "policy_escape_setting" }
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, "policy_escape_setting (leak; gates/rls_harness.lua)", "Fix:", "set_config")
  end)

  it("explains what the engine itself says, in words of its own", function()
    local source = support.must_read "engine/run/cli_explain_errors.c"
    local named = 0
    for class in source:gmatch '\n    {"([%l_]+)",' do
      named = named + 1
      local r = run { "explain", class }
      assert.are.equal(0, r.code, r.stderr)
      assert(r.stdout:find("^" .. class .. " %(%u+; any gate or audit%)\n\nSays:  .+\nFix:   .+"), r.stdout)
      local command = ([[grep -rqE '"%s"' engine stdlib --include=*.c --include=*.lua --exclude=cli_explain_errors.c]]):format(class)
      assert(os.execute(command), class .. " is no code of the engine's")
    end
    assert(named > 30, named)
  end)

  it("explains every ERROR of gate 1, each of which names a way out where it is raised", function()
    local pipe = assert(io.popen "ls stdlib/rls/*.lua stdlib/rls/rules/*.lua gates/rls_harness.lua")
    local known, found, raised = support.must_read "engine/run/cli_explain_isolation.c", 0, 0
    local own = support.must_read "engine/run/cli_explain_errors.c"
    for path in pipe:lines() do
      local text = support.must_read(path)
      for at, body in text:gmatch "errors%.raise%s*()(%b{})" do
        local where = ("%s:%d"):format(path, select(2, text:sub(1, at):gsub("\n", "")) + 1)
        raised = raised + 1
        assert.truthy(body:find("fix%s*="), where)
        for code in (body:match "code = ([^\n,]*)" or ""):gmatch '"([%l_]+)"' do
          local named = ('{"%s",'):format(code)
          assert.truthy(known:find(named, 1, true) or own:find(named, 1, true) or code == "config_unknown_name", where .. ": " .. code)
        end
      end
    end
    pipe:close()
    for class in known:gmatch '\n    {"([%l_]+)",' do
      found = found + 1
      local r = run { "explain", class }
      assert(r.stdout:find("^" .. class .. " %(ERROR; gates/rls_harness.lua%)\n\nSays:  .+\nFix:   .+"), r.stdout .. r.stderr)
    end
    assert(found > 25 and raised > 30, found .. ", " .. raised)
  end)

  it("explains what a hostile audit ends with", function()
    local report = support.tmpdir() .. "/r.json"
    local script = support.write(support.tmpdir() .. "/greedy.lua", [[return { name = "greedy", pack = "roster", audit = function()
      local t = {}
      for i = 1, 1 << 40 do t[i] = ("x"):rep(1 << 20) .. i end
    end }]])
    run { "run", script, "--plan", support.root .. "/examples/plans/night_week", "--report", "json=" .. report }
    local class = json.decode(support.must_read(report)).gates[1].checks[1].class
    assert.equal(0, run({ "explain", class }).code, class)
  end)

  it("explains every class of gate 1", function()
    for class, failure in pairs(require("rls.classes").failures()) do
      assert.is_string(failure.fix, class)
      assert.is_true(type(failure.explain) == "string" and #failure.explain > 60, class)
    end
  end)

  it("answers a class that does not exist with the nearest and exit 2", function()
    local r = run { "explain", "rls_mising" }
    assert.are.equal(2, r.code)
    has(r.stderr, 'has a class "rls_mising"', 'did you mean "rls_missing"?')
    assert.are.equal(2, run({ "explain", "a", "b" }).code)
  end)
end)
