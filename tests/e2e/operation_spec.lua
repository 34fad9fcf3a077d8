-- Operations: what each end of one looks like (exit code, text, report), and that nothing but a step changes anything.
package.path = "tests/lua/support/?.lua;" .. package.path
local support = require "e2e.support"
local json = require "engine.json"
local db = require "engine.db"
local pg = require "pg"

local HEAD = [[
return require("operation").define {
  api = 1, id = "op", name = "An operation", pass = "It is done", needs = { %s },
  failures = { rule = { text = "The rule forbids %%s", fix = "Ask for another" }, hint = { text = "Mind %%s", severity = "advisory" } },
  run = function(ctx)
%s
  end,
}
]]

local has = support.has

--- Runs a body; returns the result and the report.
local function run(body, options)
  options = options or {}
  local dir = support.tmpdir()
  support.write(dir .. "/op.lua", HEAD:format(options.needs or "", body))
  local argv = { "run", "./op.lua", "--report", "json=report.json", table.unpack(options) }
  local r = support.run { argv = argv, cwd = dir, env = options.env }
  local text = support.read(dir .. "/report.json")
  return r, text and json.decode(text), dir
end

describe("an operation", function()
  it("does its steps in order, says so, exits 0, and approves nothing", function()
    local r, report = run [[ ctx:step("First", function() end) local x = ctx:step("Second", function() return 7 end) ctx:say("got " .. x) ]]
    assert.equal(0, r.code, r.stderr)
    assert.equal("=== An operation ===\nTenant: demo\n\n  ✅ DONE - First\n  ✅ DONE - Second\n  got 7\n\n=== OK: It is done ===\n", r.stdout)
    assert.equal("operation", report.kind)
    assert.equal("PASS", report.status)
    assert.is_false(report.approved)
    assert.same({ "done", "done" }, { report.gates[1].checks[1].step, report.gates[1].checks[2].step })
    assert.is_nil(r.stderr:find("not approved", 1, true))
  end)

  it("starts no platform that it does not need", function()
    local r = run([[ ctx:step("First", function() end) ]], { env = { GATE_ENGINE_STATE = "/proc/nowhere" } })
    assert.equal(0, r.code, r.stderr)
  end)

  it("may have nothing to do, if it says so", function()
    local r, report = run [[ ctx:unchanged("it is so already") ]]
    assert.equal(0, r.code)
    has(r.stdout, "=== OK: Nothing to do: it is so already ===")
    assert.equal("PASS", report.gates[1].status)
  end)

  it("that says nothing is an error", function()
    for _, body in ipairs { "", [[ ctx:say("all is well") ]], [[ ctx:check("looked", function() end) ]] } do
      local r, report = run(body)
      assert.equal(3, r.code, r.stdout)
      assert.equal("nothing_done", report.gates[1].checks[#report.gates[1].checks].class)
      has(r.stdout, "silence is no success", "=== ERROR ===")
    end
  end)

  it("is refused by its rule: exit 1, with text and fix, and takes no further step", function()
    local r, report = run [[ ctx:refuse("rule", { object = "this" }) ctx:step("After", function() print("FORBIDDEN") end) ]]
    assert.equal(1, r.code)
    has(r.stdout, "❌ REFUSED - The rule forbids this", "Fix: Ask for another", "=== REFUSED ===")
    assert.equal("FAIL", report.status)
    assert.equal(1, #report.gates[1].checks)
    assert.is_nil(r.stderr:find("FORBIDDEN", 1, true))
  end)

  it("is refused whatever its refusal says, and whatever the script has made of ctx", function()
    for _, refusal in ipairs {
      [[ctx:refuse("rule", { object = "\xff\xfe", detail = ("x"):rep(1 << 22) .. "\xc3", args = { {}, print, "\x80" } })]],
      [[ctx:refuse("rule", setmetatable({}, { __pairs = error, __index = error }))]],
      [[ctx:refuse("rule", { object = setmetatable({}, { __tostring = error }), fix = setmetatable({}, { __tostring = print }) })]],
      [[ctx:refuse("rule", { object = setmetatable({}, { __tostring = function() ctx:refuse("rule") end }) })]],
      [[ctx:refuse("rule", 7)]], [[ctx:refuse("hint", { severity = "note" })]],
      [[ctx.fail, ctx.check = print, print; ctx:refuse("rule")]],
      [[require("errors").raise = print; ctx:refuse("rule")]],
    } do
      for _, form in ipairs { "%s", "pcall(function() %s end)", "ctx:step('A', function() pcall(function() %s end) end)",
        "ctx:check('a', function() pcall(function() %s end) end)", "pcall(ctx.step, ctx, 'A', function() %s end)" } do
        local body = form:gsub("%%s", function() return refusal end)
        local r, report = run(body .. [[ ctx:step("After", function() print("FORBIDDEN") end)]], { "--verbose" })
        assert.equal(1, r.code, body .. r.stdout)
        assert.equal("FAIL", report.status)
        assert.is_nil(r.stderr:find("FORBIDDEN", 1, true), body)
        assert.is_nil(r.stdout:find("DONE", 1, true), body .. r.stdout)
        has(r.stdout, "=== REFUSED ===")
      end
    end
  end)

  it("fails for a misuse that is caught: what was left out is not told as done", function()
    for _, misuse in ipairs {
      { [[ctx:refuse("other")]], "failure_unknown" }, { [[ctx:refuse()]], "failure_unknown" }, { [[ctx:step("B")]], "script_usage" },
      { [[ctx:step("", function() end)]], "script_usage" }, { [[ctx:step("B\xff", function() end)]], "value_utf8" },
      { [[ctx:step("Before", function() end)]], "check_name" }, { [[ctx:unchanged("x")]], "script_usage" },
      { [[ctx:apply("x", { run = "y" })]], "script_usage" },
      { [[ctx:step("B", function() ctx:apply("x", { note = "y" }) end)]], "script_usage" },
      { [[ctx:step("B", function() ctx:step("C", function() end) end)]], "script_usage" },
      { [[ctx:check("b", function() ctx:skip("x", "no.key") end)]], "skip_not_proven" },
      { [[ctx:check("b", function() error("x") end)]], "script_error" },
      { [[local f = coroutine.wrap(function() ctx:step("B", function() coroutine.yield() end) end) f()]], "step_unfinished" },
    } do
      local r, report = run(([[ctx:step("Before", function() end) pcall(function() %s end)
        pcall(ctx.step, ctx, "After", function() print("FORBIDDEN") end)]]):format(misuse[1]), { "--verbose" })
      assert.equal(3, r.code, misuse[1] .. r.stdout)
      local classes = {}
      for _, check in ipairs(report.gates[1].checks) do classes[check.class or ""] = true end
      assert.is_true(classes[misuse[2]], misuse[1] .. r.stdout)
      assert.equal("done", report.gates[1].checks[1].step)
      assert.is_nil(r.stderr:find("FORBIDDEN", 1, true), misuse[1])
    end
  end)

  it("names each step once, as what it became, and where in the script it failed", function()
    local r = run [[
ctx:step("Fine", function() ctx:check("seen", function() end) end)
ctx:step("Told", function() end)
ctx:step("Broken", function()
  local n = nil + 1
end)]]
    assert.equal(3, r.code)
    has(r.stdout, "  ✅ DONE - Fine\n  ✅ DONE - Told\n  ❌ FAILED - Broken\n  ⚠️ ERROR - ", "op.lua:8: `local n = nil + 1`")
    r = run [[ ctx:step("Half", function() ctx:check("a", function() ctx:advise("hint") ctx:advise("hint") end) ctx:refuse("rule") end) ]]
    assert.equal(1, r.code)
    assert.equal("  ❌ FAILED - Half\n  ❌ REFUSED - The rule forbids ?\n", r.stdout:match("\n\n(.-\n.-\n)"))
  end)

  it("says nothing that could be taken for its verdict, and keeps what it says out of reports", function()
    local r, report = run [[ ctx:say("=== OK: It is done ===\r\n\27[1A=== OK ===\n\n=== OK: It is done ===") ctx:refuse("rule") ]]
    assert.equal(1, r.code)
    assert.is_truthy(r.stdout:find("\n=== REFUSED ===\n$"), r.stdout)
    local lines = 0
    for line in r.stdout:gmatch "[^\n]+" do lines = lines + (line:find "^===" and 1 or 0) end
    assert.equal(2, lines, r.stdout)
    assert.is_nil(json.encode(report):find("It is done", 1, true))
  end)

  it("takes no step that it has printed", function()
    local r, report = run [[
      local text = '{"t":"req","id":1,"op":"step","name":"A"}'
      print(text) print(string.pack("<I4I4", #text, 0) .. text) print(string.pack(">I4I4", #text, 0) .. text)
      print('{"t":"unchanged","reason":"x"}') ]]
    assert.equal(3, r.code)
    assert.equal("nothing_done", report.gates[1].checks[1].class)
    assert.equal(1, #report.gates[1].checks)
  end)

  it("stays refused where the script catches the refusal and goes on", function()
    local r, report = run [[ pcall(ctx.refuse, ctx, "rule", { object = "this" })
      pcall(ctx.step, ctx, "After", function() print("FORBIDDEN") end)
      pcall(ctx.unchanged, ctx, "never mind") ]]
    assert.equal(1, r.code, r.stdout)
    assert.equal("FAIL", report.status)
    assert.is_nil(r.stderr:find("FORBIDDEN", 1, true))
  end)

  it("does no step after a misuse that the script catches, in a check or outside of one", function()
    for _, misuse in ipairs {
      [[ctx:check("before", function() pcall(ctx.fail, ctx, "other", { object = "this" }) end)]],
      [[ctx:check("before", function() pcall(function() ctx:advise("other") end) end)]],
      [[ctx:check("before", function() pcall(ctx.skip, ctx) end)]],
      [[pcall(ctx.fail, ctx, "rule", { object = "this" })]],
      [[pcall(ctx.check, ctx, "before")]],
      [[coroutine.resume(coroutine.create(function() ctx:fail("other") end))]],
    } do
      local r, report = run(misuse .. [[ pcall(ctx.step, ctx, "After", function() print("FORBIDDEN") end)]])
      assert.equal(3, r.code, misuse .. r.stdout)
      assert.equal("ERROR", report.status)
      assert.is_nil(r.stderr:find("FORBIDDEN", 1, true))
    end
  end)

  it("is refused by a check that finds something; an advisory lets it go on, but not with --strict", function()
    local r = run [[ ctx:check("before", function() ctx:fail("rule", { object = "that" }) end)
      ctx:step("After", function() print("FORBIDDEN") end) ]]
    assert.equal(1, r.code)
    assert.is_nil(r.stderr:find("FORBIDDEN", 1, true))
    local body = [[ ctx:check("before", function() ctx:advise("hint", { object = "that" }) end) ctx:step("After", function() end) ]]
    assert.equal(0, run(body).code)
    assert.equal(1, run(body, { "--strict" }).code)
  end)

  it("ends with the first error, what was done before it stands in the report", function()
    local r, report = run [[ ctx:step("First", function() end) pcall(ctx.step, ctx, "Second", function() error("broken") end)
      pcall(ctx.step, ctx, "Third", function() print("FORBIDDEN") end) ]]
    assert.equal(3, r.code)
    has(r.stdout, "✅ DONE - First", "⚠️ ERROR - ", "broken", "=== ERROR ===")
    local checks = report.gates[1].checks
    assert.same({ "done", "failed" }, { checks[1].step, checks[2].step })
    assert.equal(2, #checks)
    assert.is_nil(r.stderr:find("FORBIDDEN", 1, true))
  end)

  it("answers its own misuse with what was expected", function()
    for _, case in ipairs {
      { [[ ctx:step("Outer", function() ctx:step("Inner", function() end) end) ]], "inside a check or another step" },
      { [[ ctx:step(7) ]], "expected a title and a function, got number and nil" },
      { [[ ctx:step("Same", function() end) ctx:step("Same", function() end) ]], "a title of its own" },
      { [[ ctx:unchanged() ]], "expected a reason" },
      { [[ ctx:step("One", function() end) ctx:unchanged("but") ]], "came after a step" },
      { [[ ctx:unchanged("so") ctx:step("One", function() end) ]], "after the word that nothing is to do" },
      { [[ ctx:refuse("other") ]], "is not a class of this script's failures" },
    } do
      local r = run(case[1])
      assert.equal(3, r.code, r.stdout)
      has(r.stdout, case[2])
    end
  end)

  it("shows in a dry run what it would do, and takes no step", function()
    local r, report = run([[ local x = ctx:step("First", function() print("FORBIDDEN") return 1 end) ctx:say(tostring(x)) ]],
      { "--dry-run" })
    assert.equal(0, r.code, r.stdout)
    assert.equal("=== An operation ===\nTenant: demo\n\n  ➖ WOULD - First\n  nil\n\n=== OK: Dry run: nothing was changed ===\n", r.stdout)
    assert.equal("would", report.gates[1].checks[1].step)
    assert.is_nil(r.stderr:find("FORBIDDEN", 1, true))
  end)

  it("names no directory, no request but GET and HEAD and no program into a dry run", function()
    local server = require("lua.support.http_server").start()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded",
      endpoints = { svc = { url = "http://127.0.0.1:%d" } }, commands = { touch = { argv = { "/usr/bin/touch", %q } } } }]])
      :format(server.ports.plain, dir .. "/touched"))
    support.write(dir .. "/op.lua", (HEAD:format([[endpoints = { "svc" }, commands = { "touch" }, solver = true]], [[
      for _, method in ipairs { "GET", "HEAD" } do
        ctx:fact(method, ctx.http:request { endpoint = "svc", path = "/", method = method }.status)
      end
      for name, act in pairs {
        POST = function() ctx.http:request { endpoint = "svc", path = "/", method = "POST" } end,
        PUT = function() ctx.http:request { endpoint = "svc", path = "/", method = "PUT" } end,
        DELETE = function() ctx.http:request { endpoint = "svc", path = "/", method = "DELETE" } end,
        hidden = function()
          ctx.http:request(setmetatable({ endpoint = "svc", path = "/", method = "POST" }, { __index = { method = "GET" } }))
        end,
        command = function() ctx.exec:run("touch", {}) end, solver = function() ctx.solver:solve("roster", {}) end,
      } do
        local ok, e = pcall(act)
        ctx:fact(name, ok and "done" or e.code)
      end
      if ctx.options.out then pcall(ctx.artifact, ctx, "out", "x", "y") end
      ctx:step("Nothing", function() end)]]):gsub("pass =",
      [[options = { out = { type = "path", access = "write", help = "h" } }, pass =]])))
    local r = support.run { cwd = dir, "run", "./op.lua", "--dry-run", "--out", "made/here", "--report", "json=report.json" }
    server.stop()
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.same({ GET = 200, HEAD = 200, POST = "dry_run", PUT = "dry_run", DELETE = "dry_run", hidden = "dry_run", command = "dry_run",
      solver = "dry_run" }, json.decode((support.must_read(dir .. "/report.json"))).gates[1].facts)
    assert.is_falsy(os.execute("test -e " .. support.quote(dir .. "/made")))
    assert.is_nil(support.read(dir .. "/touched"))
  end)

  it("shows in JUnit as skipped what a dry run left out", function()
    local dir = support.tmpdir()
    support.write(dir .. "/op.lua", HEAD:format("", [[ ctx:step("First", function() end) ]]))
    support.run { cwd = dir, "run", "./op.lua", "--dry-run", "--report", "junit=r.xml" }
    has(support.must_read(dir .. "/r.xml"), "<skipped", 'skipped="1"')
    support.shell("xmllint --noout --relaxng tests/support/junit.rng " .. support.quote(dir .. "/r.xml") .. " 2>/dev/null")
  end)

  it("reads the audits that it may run", function()
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua",
      ([[return { platform = "embedded", audits = { %q } }]]):format(support.root .. "/examples/audits/max_two_nights.lua"))
    support.write(dir .. "/op.lua", HEAD:format("audits = true", [[ ctx:say(#ctx.audits.list() .. " audit") ctx:unchanged("x") ]]))
    has(support.run({ cwd = dir, "run", "./op.lua" }).stdout, "  1 audit\n")
  end)

  it("is listed as what it is", function()
    local dir = support.tmpdir()
    support.shell(("mkdir %s/build && cp %s %s/build/ && ln -s %s/modules %s/build/modules")
      :format(dir, support.quote(support.engine), dir, support.quote(support.build), dir))
    support.shell(("cp -r stdlib gates scripts %s/ && cp examples/operations/suspend_pilot.lua %s/scripts/"):format(dir, dir))
    local r = support.run { "list", program = dir .. "/build/gate-engine" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "  suspend_pilot           Suspend a pilot: Suspends a tenant with a reason, or lets it go on "
      .. "(operation: it changes something)\n")
  end)

  it("is refused in a dry run as in a real one", function()
    assert.equal(1, run([[ ctx:refuse("rule") ]], { "--dry-run" }).code)
  end)

  it("has flags of its own kind only", function()
    for _, flags in ipairs { { "--only", "x" }, { "--plan", "." } } do
      assert.equal(2, run([[ ctx:unchanged("x") ]], flags).code)
    end
    local r = support.run { "run", "gates/rls_harness.lua", "--dry-run" }
    assert.equal(2, r.code)
    has(r.stderr, "--dry-run belongs to operations")
  end)

  it("writes every report on every end", function()
    for _, body in ipairs { [[ ctx:step("One", function() end) ]], [[ ctx:refuse("rule") ]], "", [[ while true do end ]] } do
      local dir = support.tmpdir()
      support.write(dir .. "/op.lua", HEAD:format("", body))
      local r = support.run { cwd = dir, "run", "./op.lua", "--report", "json=r.json", "--report", "junit=r.xml", "--timeout", "1" }
      local report = json.decode((support.must_read(dir .. "/r.json")))
      assert.equal(r.code, report.exit_code)
      local xml = support.must_read(dir .. "/r.xml")
      assert.equal(r.code == 0, not xml:find "<failure" and not xml:find "<error")
      support.shell(("python3 tests/support/validate_report.py stdlib/schema/report-1.json %s"):format(support.quote(dir .. "/r.json")))
    end
  end)
end)

describe("an operation on an external platform", function()
  local server
  setup(function()
    server = pg.start()
    local conn = db.connect(server:options())
    conn:script [[create schema core; create table core.tenants (id int primary key, code text, name text); insert into core.tenants
      values (7, 'acme', 'Acme')]]
    conn:close()
  end)
  teardown(function() server:stop() end)

  --- Runs one that renames its tenant, with the operator's connection alone.
  local function rename(tenant, port, ...)
    local dir = support.tmpdir()
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "external", database = {
      operator = { url = "postgresql://postgres@/postgres?host=%s&port=%d" },
      tenant = { column = "tenant_id", setting = "app.t", table = "core.tenants", key = "id", code = "code" } } }]])
      :format(server.host, port))
    support.write(dir .. "/op.lua", HEAD:format([[db = { "operator" }]], [[
      ctx:step("Rename " .. ctx.tenant.id, function()
        ctx.db.operator:exec("update core.tenants set name = 'New' where code = $1", ctx.tenant.code)
      end)]]))
    return support.run { cwd = dir, "run", "./op.lua", "--tenant", tenant, ... }
  end

  it("knows its tenant through the only connection it has, and refuses one that is not there", function()
    local r = rename("acme", server.port, "--dry-run")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "WOULD - Rename 7")
    local conn = db.connect(server:options())
    finally(function() conn:close() end)
    assert.equal("Acme", conn:value "select name from core.tenants")
    assert.equal(0, rename("acme", server.port).code)
    assert.equal("New", conn:value "select name from core.tenants")
    r = rename("acem", server.port)
    assert.equal(2, r.code, r.stdout)
    has(r.stderr, "the tenant acem is not in core.tenants")
  end)

  it("changes nothing where the tenant could not be looked up", function()
    local r = rename("acme", server.port + 1)
    assert.equal(3, r.code, r.stdout)
    has(r.stdout, "=== ERROR ===")
  end)
end)

describe("an operation on a kept platform", function()
  local state = support.tmpdir() .. "/state"
  local env = { GATE_ENGINE_STATE = state }
  local function engine(...) return support.run { argv = { ... }, env = env } end
  local function psql(sql)
    local r = engine("platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql)
    assert.equal(0, r.code, r.stderr)
    return r.stdout:gsub("\n$", "")
  end
  local SUSPEND = "examples/operations/suspend_pilot.lua"

  setup(function()
    local r = engine("platform", "start")
    assert.equal(0, r.code, r.stderr)
    psql "insert into core.tenants (code, name, status) values ('acme', 'Acme', 'onboarding'), ('old', 'Old', 'archived')"
  end)
  teardown(function() engine("platform", "stop") end)

  local function status(code) return psql("select status from core.tenants where code = '" .. code .. "'") end

  it("changes nothing in a dry run, whatever it does outside of its steps", function()
    local before = psql "select md5(string_agg(t::text, ',' order by code)) from core.tenants t"
    for _, body in ipairs {
      [[ ctx.db.operator:exec("update core.tenants set name = 'FORBIDDEN'") ]],
      [[ ctx.db:open("operator", { readonly = false }):exec("update core.tenants set name = 'FORBIDDEN'") ]],
      [[ ctx.store.artifacts:put("x", "y") ]], [[ ctx.exec:run("touch", {}) ]],
      [[ ctx:apply("x", { sql = "update core.tenants set name = 'FORBIDDEN'" }) ]],
    } do
      local dir = support.tmpdir()
      support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", artifacts = { kind = "local", path = %q },
        commands = { touch = { argv = { "/usr/bin/touch", %q } } } }]]):format(dir .. "/store", dir .. "/touched"))
      support.write(dir .. "/op.lua", HEAD:format([[db = { "operator" }, stores = { "artifacts" }, commands = { "touch" }]], body))
      local r = support.run { cwd = dir, env = env, "run", "./op.lua", "--tenant", "acme", "--dry-run" }
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_nil(support.read(dir .. "/touched"))
      assert.is_nil(support.read(dir .. "/store/x"))
    end
    assert.equal(before, psql "select md5(string_agg(t::text, ',' order by code)) from core.tenants t")
  end)

  it("writes as the operator alone", function()
    local dir = support.tmpdir()
    support.write(dir .. "/op.lua", HEAD:format([[db = { "admin", "app", "operator" }]], [[
      ctx:step("Write", function()
        local sql = "update core.tenants set updated_at = updated_at where code = $1"
        ctx:fact("operator", ctx.db.operator:exec(sql, ctx.tenant.code))
        for _, role in ipairs { "admin", "app" } do
          local own <close> = ctx.db:open(role, { readonly = false })
          for name, conn in pairs { [role] = ctx.db[role], [role .. "_opened"] = own } do
            local ok, e = pcall(conn.exec, conn, sql, ctx.tenant.code)
            ctx:fact(name, ok and "changed" or e.code)
          end
        end
      end)]]))
    local r = support.run { cwd = dir, env = env, "run", "./op.lua", "--tenant", "acme", "--report", "json=r.json" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.same({ operator = 1, admin = "db_permission", admin_opened = "db_permission", app = "db_permission",
      app_opened = "db_permission" }, json.decode((support.must_read(dir .. "/r.json"))).gates[1].facts)
  end)

  it("keeps what a step changed before the next one failed", function()
    local dir = support.tmpdir()
    support.write(dir .. "/op.lua", HEAD:format([[db = { "operator" }]], [[
      ctx:step("One", function() ctx.db.operator:exec("update core.tenants set name = 'One' where code = $1", ctx.tenant.code) end)
      ctx:step("Two", function() ctx.db.operator:transaction(function(tx)
        tx:exec("update core.tenants set name = 'Two' where code = $1", ctx.tenant.code)
        ctx:refuse("rule")
      end) end)]]))
    assert.equal(1, support.run({ cwd = dir, env = env, "run", "./op.lua", "--tenant", "acme" }).code)
    assert.equal("One", psql "select name from core.tenants where code = 'acme'")
  end)

  it("creates no tenant, in a dry run or a real one", function()
    local r = engine("run", SUSPEND, "--tenant", "fresh", "--reason", "x", "--dry-run")
    assert.equal(2, r.code, r.stdout)
    assert.equal(2, engine("run", SUSPEND, "--tenant", "fresh", "--resume").code)
    assert.equal("", status "fresh")
  end)

  it("runs for a tenant that is not there where it says tenant = \"any\"", function()
    local dir = support.tmpdir()
    support.write(dir .. "/op.lua", (HEAD:format([[db = { "operator" }]], [[
      if ctx.tenant.id then ctx:refuse("rule", { object = ctx.tenant.code }) end
      ctx:unchanged("there is none") ]]):gsub("pass =", [[tenant = "any", pass =]])))
    local r = support.run { cwd = dir, env = env, "run", "./op.lua", "--tenant", "unheard_of" }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal("", status "unheard_of")
    assert.equal(1, support.run({ cwd = dir, env = env, "run", "./op.lua", "--tenant", "acme" }).code)
  end)

  it("examples/operations/suspend_pilot.lua suspends once, resumes what was, and makes nobody active", function()
    local dry = engine("run", SUSPEND, "--tenant", "acme", "--reason", "wrong data", "--dry-run")
    has(dry.stdout, "➖ WOULD - Change acme from onboarding to suspended")
    assert.equal("onboarding", status "acme")
    assert.equal(1, engine("run", SUSPEND, "--tenant", "acme").code)
    assert.equal(0, engine("run", SUSPEND, "--tenant", "acme", "--reason", "wrong data").code)
    assert.equal("suspended", status "acme")
    has(engine("run", SUSPEND, "--tenant", "acme", "--reason", "again").stdout, "Nothing to do: the tenant is suspended")
    assert.equal(0, engine("run", SUSPEND, "--tenant", "acme", "--resume").code)
    assert.equal("onboarding", status "acme")
    local archived = engine("run", SUSPEND, "--tenant", "old", "--reason", "x")
    assert.equal(1, archived.code)
    has(archived.stdout, "REFUSED - Tenant old is archived")
  end)

  it("that is interrupted says so, with exit 143, and what was done stands in the report", function()
    local dir = support.tmpdir()
    support.write(dir .. "/op.lua", HEAD:format([[db = { "operator" }]], [[
      ctx:step("First", function() ctx.db.operator:exec("select pg_notify('gate_spec', 'done')") end)
      ctx:step("Second", function() ctx.db.operator:exec("select pg_sleep(60)") end) ]]))
    local waiting = "select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()"
    support.shell(([[cd %s; export GATE_ENGINE_STATE=%s; engine=%s
      $engine run ./op.lua --tenant acme --report json=r.json >out 2>err & pid=$!
      until $engine platform psql -qAtc "%s" | grep -q 1; do :; done
      kill -TERM $pid; wait $pid; echo $? >code]]):format(support.quote(dir), support.quote(state), support.quote(support.engine), waiting))
    assert.equal("143\n", support.read(dir .. "/code"))
    local report = json.decode((support.must_read(dir .. "/r.json")))
    assert.equal("ERROR", report.status)
    assert.equal("done", report.gates[1].checks[1].step)
  end)
end)
