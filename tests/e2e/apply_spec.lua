-- ctx:apply: what a step of recovery may be, how it is shown, and that one which says nothing is refused.
local support = require "e2e.support"

local run = support.run

local has = support.has

--- A gate that fails where the tenant's settings name no plan, with a recovery of one step.
local function gate(step, body)
  return ([[
local gate = require "gate"
return gate.define {
  api = 1, id = "g", name = "G", needs = { db = { "admin", "operator" }, commands = { "touch" } },
  failures = { no_plan = { text = "Tenant %%s has no plan" } },
  run = function(ctx)
    ctx:check("plan", function()
      local plan = ctx.db.admin:value("select settings ->> 'plan' from core.tenants where code = $1", ctx.tenant.code)
      if plan ~= "a'b \\ $2;" then ctx:fail("no_plan", { object = ctx.tenant.code, detail = plan }) end
    end)
    %s
  end,
  recover = function(ctx)
    ctx:apply(%s)
  end,
}
]]):format(body or "", step)
end

local CONFIG = 'return { platform = "embedded", commands = { touch = { argv = { "/usr/bin/true" } } } }\n'
local UPDATE = [["Write the plan", { sql = "update core.tenants\n   set settings = ]]
  .. [[settings || jsonb_build_object('plan', $1::text, 'n', $3::int)\n where code = $2;\n",
      params = { "a'b \\ $2;", ctx.tenant.code, 3 } }]]

describe("ctx:apply", function()
  local dir = support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }

  local function engine(step, ...)
    support.write(dir .. "/g.lua", gate(step))
    return run { cwd = dir, env = env, argv = { ... } }
  end

  setup(function()
    support.write(dir .. "/gate-engine.conf.lua", CONFIG)
    local r = run { env = env, "platform", "start" }
    assert.are.equal(0, r.code, r.stderr)
  end)

  teardown(function() run { env = env, "platform", "stop" } end)

  it("gives a statement its parameters, and shows them as what psql takes", function()
    local r = engine(UPDATE, "check", "g.lua")
    has(r.stdout, "g.lua: ok")
    r = engine(UPDATE, "recover", "g.lua")
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, [[
-- 1. Write the plan
PREPARE step AS
update core.tenants
   set settings = settings || jsonb_build_object('plan', $1::text, 'n', $3::int)
 where code = $2;
EXECUTE step('a''b \ $2;', 'demo', 3);
DEALLOCATE step;
]])
    local pasted = support.write(dir .. "/pasted.sql", r.stdout:match "(PREPARE.*DEALLOCATE step;\n)")
    r = engine(UPDATE, "recover", "g.lua", "--apply")
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "1/1 GATES PASS")
    local function psql(...)
      r = run { env = env, argv = { "platform", "psql", "-qAtX", ... } }
      assert.are.equal(0, r.code, r.stderr)
      return r.stdout
    end
    local settings = "select settings - 'contact' from core.tenants where code = 'demo'"
    local applied = psql("-c", settings)
    psql("-c", "update core.tenants set settings = settings - 'plan' - 'n' where code = 'demo'")
    psql("-f", pasted)
    assert.are.equal(applied, psql("-c", settings))
    psql("-c", "update core.tenants set settings = settings - 'plan' - 'n' where code = 'demo'")
  end)

  -- Each: the arguments, and what is said of it: by a dry run, and by `check` where it can be seen in the source.
  local WRONG = {
    { [["t", {}]], "ctx:apply: expected a step with sql, run or note, found none of them", static = "found none of them" },
    { [["t"]], "ctx:apply: expected a title and a table, got string and nil", static = "found none of them" },
    { [["t", { role = "admin" }]], "expected a step with sql, run or note, found none of them", static = "found none of them" },
    { [["t", { note = "" }]], "ctx:apply: note: expected a text, found an empty string" },
    { [["t", { sql = 7 }]], "ctx:apply: sql: expected a text, found a number" },
    { [[nil, { note = "x" }]], "ctx:apply: expected a title and a table, got nil and table" },
    { [["", { note = "x" }]], "ctx:apply: expected a title and a table, got an empty string and table" },
    { [["t", { sql = "select 1", run = "touch" }]], "one step has sql and run: only the first would be carried out",
      static = "one step has sql and run" },
    { [["t", { nte = "x" }]], "ctx:apply: expected sql, params, role, run or note, found nte", static = 'did you mean "note"?' },
    { [["t", { note = "x", params = { 1 } }]], "ctx:apply: params belong to sql, and the step has none",
      static = "params belong to sql" },
    { [["t", { sql = "select 1", params = "x" }]], "ctx:apply: params: expected a list, found a string" },
    { [["t", { sql = "select $1", params = { { 1 } } }]],
      "ctx:apply: params[1]: expected a string, number, boolean or nil, found a table" },
    { [["t", { sql = "select $1", params = { name = 1 } }]], "ctx:apply: params: expected a list, found the key name" },
    { [["t", { sql = "select $1, $2", params = { "x" } }]], "ctx:apply: the statement names $2, and params has 1" },
    { [["t", { sql = "select '$1', $1", params = { 1, 2 } }]], "ctx:apply: the statement names $1, and params has 2" },
    { [["t", { sql = "select $1" }]], "ctx:apply: the statement names $1, and params has none" },
    { [["t", { sql = "select 1", role = "app" }]], 'ctx:apply: role: expected a role of needs.db, found "app"',
      static = "ctx.db.app is used" },
    { [["t", { run = "rm" }]], 'ctx:apply: run: expected a command of needs.commands, found "rm"', static = 'the command "rm" is used' },
  }
  for _, case in ipairs(WRONG) do
    it("refuses ctx:apply(" .. case[1] .. ")", function()
      local r = engine(case[1], "recover", "g.lua")
      assert.are.equal(3, r.code, r.stdout)
      has(r.stderr, case[2], "fix: ")
      r = engine(case[1], "check", "g.lua")
      assert.are.equal(case.static and 2 or 0, r.code, r.stdout)
      if case.static then has(r.stdout, "g.lua:13: ", case.static) end
    end)
  end

  it("takes what a table says that check cannot read, and a statement with $1 in a body", function()
    for _, step in ipairs { [["t", { ["note"] = "x" }]], [["t", (function() return { note = "x" } end)()]],
      [["t", { sql = "do $do$ begin execute 'select $1' using 1; end $do$" }]], [["t", { note = "x", run = "touch" }]],
      [["t", { sql = "select $1::int, $2::bool, $3::text", params = { n = 3, 1.5, true } }]] } do
      local r = engine(step, "check", "g.lua")
      assert.are.equal(0, r.code, r.stdout)
      r = engine(step, "recover", "g.lua")
      assert.are.equal(0, r.code, step .. "\n" .. r.stderr)
    end
    has(engine([["t", { sql = "select $1::int, $2::bool, $3::text", params = { n = 3, 1.5, true } }]], "recover", "g.lua").stdout,
      "EXECUTE step(1.5, true, NULL);")
  end)

  it("belongs to recover: called by run it is an error, not a proposal that nobody sees", function()
    support.write(dir .. "/g.lua", gate([["t", { note = "x" }]], 'ctx:apply("t", { note = "x" })'))
    local r = run { cwd = dir, env = env, "run", "g.lua" }
    has(r.stdout, "ctx:apply was called by run", "Fix: call it in recover = function(ctx, findings)")
    r = run { cwd = dir, env = env, "check", "g.lua" }
    assert.are.equal(2, r.code)
    has(r.stdout, "g.lua:10: ctx:apply is called by run")
  end)

  it("has no checks: what one found there, nobody would be told", function()
    support.write(dir .. "/g.lua", (gate([["t", { note = "x" }]]):gsub("ctx:apply", "pcall(ctx.check, ctx, 'late', error) ctx:apply")))
    local r = run { cwd = dir, env = env, "recover", "g.lua" }
    assert.are.equal(3, r.code, r.stdout)
    has(r.stderr, "ctx:check was called by recover: what it finds there, nobody is told", "fix: check in run")
  end)
end)
