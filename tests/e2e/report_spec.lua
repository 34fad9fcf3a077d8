-- What a run leaves for people and machines: text, JSON, JUnit, exit codes, on every way out.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

local quote = support.quote

local FORMATS = { "json", "junit", "sarif", "markdown", "tap", "html", "github" }

--- The shipped schema accepts the file.
local function assert_json(path)
  assert(os.execute(("/usr/bin/python3 tests/support/validate_report.py %s %s"):format(
    quote(support.root .. "/stdlib/schema/report-1.json"), quote(path))), "bad JSON report")
end

--- Every format is read by a reader of its own, and says what the others say.
local function assert_valid(r)
  local more = {}
  for i = 3, #FORMATS do more[#more + 1] = quote(r[FORMATS[i]]) end
  assert_json(r.json)
  assert(os.execute(("xmllint --noout --relaxng tests/support/junit.rng %s 2>/dev/null"):format(quote(r.junit))), "bad JUnit report")
  local pipe = assert(io.popen(("/usr/bin/python3 tests/support/validate_formats.py %s %s 2>&1"):format(quote(r.json),
    table.concat(more, " "))))
  local said = pipe:read "a"
  assert(pipe:close(), said)
end

--- Runs with a report in each format.
local function reported(t)
  local dir = support.tmpdir()
  local argv, files = table.move(t.argv, 1, #t.argv, 1, {}), {}
  for _, format in ipairs(FORMATS) do
    files[format] = dir .. "/report." .. format
    argv[#argv + 1] = "--report"
    argv[#argv + 1] = format .. "=" .. files[format]
  end
  local result = support.run { argv = argv, env = t.env, cwd = t.cwd }
  for format, file in pairs(files) do result[format] = file end
  return result
end

local function expected(tenant)
  return ([[
=== Tenant Onboarding Validation ===
Tenant: X

Gate 1: RLS Harness
  ✅ PASS - No cross-tenant leaks detected

Gate 2: Determinism Proof
  ✅ PASS - 3/3 runs produced identical hash

Gate 3: Golden Path E2E
  ✅ PASS - All stages completed successfully

Gate 4: Integrations Contract
  ✅ PASS - All integrations verified

=== OVERALL: 4/4 GATES PASS ===
Tenant X is approved for pilot.
]]):gsub("X", tenant)
end

--- A script of its own, in a directory of its own.
local function script(text)
  return support.write(support.tmpdir() .. "/own.lua", text)
end

local function gate(body, more)
  return script(([[
    return require("gate").define {
      api = 1, id = "own", name = "Own gate", purpose = "a test", pass = "Fine", %s
      failures = { odd = { text = "%%s is odd", fix = "Make it even" } },
      run = function(ctx) %s end,
    }]]):format(more or "", body))
end

describe("the configuration's owners", function()
  local function run(dataset)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded",
      gates = { golden_path_e2e = { owner = "planning team", runbook = "https://wiki.example/gate3" } } }]])
    return reported { cwd = dir, argv = { "run", "golden_path_e2e", "--dataset", dataset } }
  end

  it("stand with a gate of this program's in every report of a run that fails", function()
    local r = run "3er_violation"
    assert.are.equal(1, r.code, r.stdout .. r.stderr)
    assert_valid(r)
    support.has(r.stdout, "     Runbook: https://wiki.example/gate3\n     Owner: planning team\n")
    local shown = json.decode(support.must_read(r.json)).gates[1]
    assert.same({ "planning team", "https://wiki.example/gate3" }, { shown.owner, shown.runbook })
    support.has(support.must_read(r.junit), '<property name="owner" value="planning team" />',
      '<property name="runbook" value="https://wiki.example/gate3" />')
    support.has(support.must_read(r.html), "<dt>Owner</dt><dd>planning team</dd>", "<dt>Runbook</dt><dd>https://wiki.example/gate3</dd>")
    support.has(support.must_read(r.markdown), "**Owner:** planning team", "**Runbook:** ")
  end)

  it("are no matter where it passes, and a key that is none is refused", function()
    local r = run "gurkerl_small"
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_nil((r.stdout .. support.must_read(r.junit) .. support.must_read(r.html)):find("planning team", 1, true))
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", 'return { gates = { rls_harness = { owners = "x" } } }')
    r = support.run { cwd = dir, argv = { "run", "golden_path_e2e" } }
    assert.are.equal(2, r.code)
    support.has(r.stderr, "gates.rls_harness", "owners")
  end)
end)

describe("a run of scripts/all.lua", function()
  it("has what each gate used of what it may use in every format but the annotations", function()
    local dir = support.tmpdir()
    support.write(dir .. "/own.lua", [[return require("gate").define { api = 1, id = "own", name = "Own", purpose = "p", pass = "fine",
      run = function(ctx) ctx:check("x", function() print(("x"):rep(100)) end) end }]])
    local r = reported { argv = { "run", "own.lua", "--verbose" }, cwd = dir }
    assert_valid(r)
    local limits = json.decode(support.must_read(r.json)).gates[1].limits
    for _, name in ipairs { "memory_bytes", "wall_ms", "cpu_ms", "printed_bytes", "events", "event_bytes" } do
      local b = limits[name]
      assert(b.current and b.current <= b.peak and b.peak <= b.limit, name .. " " .. json.encode(b))
    end
    assert(limits.memory_bytes.current > 0)
    local peak, limit = ("%.0f bytes"):format(limits.printed_bytes.peak), ("%.1f MB"):format(limits.printed_bytes.limit / (1 << 20))
    support.has(r.stdout, "budget: printed_bytes: current " .. peak .. ", peak " .. peak .. ", limit " .. limit)
    support.has(support.must_read(r.junit), ('<property name="budget printed_bytes" value="current %s, peak %s, limit %s" />'):format(
      peak, peak, limit))
    support.has(support.must_read(r.tap), "    # budget printed_bytes: current " .. peak .. ", peak " .. peak)
    support.has(support.must_read(r.html), ("<tr><td>printed_bytes</td><td>%s</td><td>%s</td><td>%s</td></tr>"):format(peak, peak, limit))
    support.has(support.must_read(r.markdown), ("| Own | printed&#95;bytes | %s | %s | %s |"):format(peak, peak, limit))
    assert.same(limits, json.decode(support.must_read(r.sarif)).runs[1].properties.budgets.own)
  end)

  it("prints the expected text to the letter, for the tenant that was named", function()
    local r = reported { argv = { "run", "scripts/all.lua", "--tenant", "acme" } }
    assert.equal(expected "acme", r.stdout)
    assert.equal(0, r.code)
    assert_valid(r)
    assert.is_truthy(support.must_read(r.json):find('"approved": true', 1, true))
  end)

  it("serves the tenant demo when none is named", function()
    local r = support.run { "run", "scripts/all.lua" }
    assert.equal(expected "demo", r.stdout)
    assert.equal(0, r.code)
  end)

  it("names its target first on standard error", function()
    local r = support.run { "run", "scripts/all.lua" }
    assert.is_truthy(r.stderr:match "^[^\n]*embedded")
  end)

  it("gives standard output to a report that asks for it, and the text to standard error", function()
    local r = support.run { "run", "scripts/all.lua", "--report", "json=-" }
    assert.equal(0, r.code)
    assert.equal("{", r.stdout:sub(1, 1))
    assert.is_truthy(r.stderr:find("=== OVERALL: 4/4 GATES PASS ===\nTenant demo is approved for pilot.\n", 1, true))
    assert_json(support.write(support.tmpdir() .. "/report.json", r.stdout))
  end)

  it("shows checks, and why one was skipped, only when verbose", function()
    local r = support.run { "run", "scripts/all.lua", "--verbose" }
    assert.equal(0, r.code)
    assert.is_truthy(r.stdout:find "\n     SKIP  [^\n]*\n           [^\n]+")
    assert.is_truthy(r.stdout:find "\n     PASS  ")
  end)
end)

describe("a report", function()
  it("holds every finding, with ten of them in the text", function()
    local r = reported { argv = { "run", gate [[
      ctx:check("numbers are even", function()
        for i = 1, 12 do ctx:fail("odd", { object = "n" .. i, detail = "found " .. i, reproduce = "select " .. i }) end
      end)]] } }
    assert.equal(1, r.code)
    assert.is_truthy(r.stdout:find([[
  ❌ FAIL - n1 is odd
     - n1: found 1
]], 1, true))
    assert.is_truthy(r.stdout:find("     - n10: found 10\n     and 2 more in the report\n     Fix: Make it even\n", 1, true))
    assert.is_truthy(r.stdout:find("=== OVERALL: 0/1 GATES PASS ===\n$"))
    assert.is_truthy(support.must_read(r.json):find('"n12 is odd"', 1, true))
    assert.is_truthy(support.must_read(r.junit):find("select 12", 1, true))
    assert_valid(r)
  end)

  it("is an error for a gate that checked nothing", function()
    local r = reported { argv = { "run", gate "local _ = ctx" } }
    assert.equal(3, r.code)
    assert.is_truthy(r.stdout:find("⚠️ ERROR - ", 1, true))
    assert_valid(r)
  end)

  it("is an error for a gate that crashes, beside what it had found", function()
    local r = reported { argv = { "run", gate [[
      ctx:check("first", function() end)
      error("lost my way")]] } }
    assert.equal(3, r.code)
    assert.is_truthy(r.stdout:find("lost my way", 1, true))
    assert_valid(r)
    assert.is_truthy(support.must_read(r.junit):find('errors="1"', 1, true))
  end)

  it("is written for a usage error too, and turns nothing green", function()
    local r = reported { argv = { "run", "scripts/all.lua", "--tenant", "no good" } }
    assert.equal(2, r.code)
    assert.equal("", r.stdout)
    assert_valid(r)
    assert.is_truthy(support.must_read(r.junit):find('errors="1"', 1, true))
  end)

  it("is written for a script that does not load", function()
    local r = reported { argv = { "run", script "return {" } }
    assert.equal(2, r.code)
    assert_valid(r)
  end)

  it("makes hostile text harmless in every form", function()
    local r = reported { argv = { "run", gate [=[
      ctx:check("numbers <are> \"even\"", function()
        ctx:fail("odd", { object = "\27[31m\0<x>&", detail = "]]><![CDATA[ \u{202e}" })
        ctx:fail("odd", { args = { "<script>" }, object = "@someone #12 | `x`", reproduce = "select 1\n````\n# no heading\n<img src=x>",
          detail = "# Head\n* item\n|a|b|\n![x](http://x.example/y) www.x.example\nok 1 - forged\n  ...\n1..1 # SKIP" })
      end)
      ctx:check("ok \\ # SKIP of \"tests\"", function() end)]=] } }
    assert.equal(1, r.code)
    assert.is_nil(r.stdout:find("\27", 1, true))
    assert_valid(r)
  end)

  it("gives a runner of continuous integration no command", function()
    local r = reported { argv = { "run", gate [=[
      ctx:log("::error::logged\n##vso[task.complete result=Succeeded]")
      ctx:check("::notice::check", function()
        ctx:fail("odd", { args = { "\n::warning::args" }, object = "::error::object", detail = "a\n  ::stop-commands::x\n##[group]y",
          reproduce = "::add-mask::x\n##teamcity[testFinished]" })
      end)]=] }, }
    assert.equal(1, r.code)
    for _, text in ipairs { r.stdout, r.stderr, support.must_read(r.markdown), support.must_read(r.tap), support.must_read(r.json) } do
      assert.is_nil(("\n" .. text):find "\n%s*::")
      for _, mark in ipairs { "##[", "##vso[", "##teamcity[" } do assert.is_nil(text:find(mark, 1, true)) end
    end
    assert_valid(r)
  end)

  it("that cannot be written takes the pass away", function()
    local own = gate [[ctx:check("fine", function() end)]]
    local r = support.run { "run", own, "--report", "json=/proc/report.json" }
    assert.equal(3, r.code)
    assert.is_truthy(r.stderr:find("/proc/report.json", 1, true))
    assert.equal(2, support.run({ "run", own, "--report", "json=/nonexistent/dir/report.json" }).code)
    assert.equal(3, support.run({ argv = { "run", own }, stdout = "/dev/full" }).code)
    assert.equal(0, support.run({ "run", own }).code)
  end)

  it("has no colour in a pipe", function()
    local r = support.run { argv = { "run", gate [[ctx:check("fine", function() end)]] }, env = { TERM = "xterm" } }
    assert.is_nil(r.stdout:find("\27", 1, true))
    assert.is_nil(r.stderr:find("\27", 1, true))
  end)
end)
