-- A tenant that a run makes on a platform which is kept is told of, once; on one of the run's own it goes with it.
local support = require "e2e.support"

local run = support.run

describe("a tenant that is not there", function()
  local dir = support.tmpdir()
  local env = { GATE_ENGINE_STATE = dir .. "/state" }
  local LINE = "gate-engine: the tenant %s was not on the kept platform and has been created (onboarding)"

  local function look(...)
    support.write(dir .. "/g.lua", 'return require("gate").define { api = 1, id = "g", name = "G",\n'
      .. '  run = function(ctx) ctx:check("x", function() assert(ctx.tenant.id) end) end }\n')
    local r = run { cwd = dir, env = env, argv = { "run", "g.lua", ... } }
    assert.are.equal(0, r.code, r.stderr)
    return r.stderr
  end

  teardown(function() run { env = env, "platform", "stop" } end)

  it("is made without a word on a private platform, which is gone after the run", function()
    assert.is_nil(look("--tenant", "acmee"):find("has been created", 1, true))
  end)

  it("is told in one line on a kept one, with those that were there, and only the first time", function()
    assert.are.equal(0, run({ env = env, "platform", "start" }).code)
    local told = look("--tenant", "acme")
    assert.is_truthy(told:find(LINE:format "acme", 1, true), told)
    assert.is_nil(look("--tenant", "acme"):find("has been created", 1, true))
    told = look("--tenant", "acmee")
    assert.is_truthy(told:find(LINE:format "acmee" .. "; before there were: ", 1, true), told)
    assert.is_truthy(told:find("; before there were: [^\n]*acme\n") or told:find("; before there were: [^\n]*acme, ", 1), told)
    local r = run { env = env, "platform", "psql", "-qAtXc", "select status from core.tenants where code = 'acmee'" }
    assert.are.equal("onboarding\n", r.stdout)
  end)
end)

describe("a dry run for a tenant that is not there", function()
  it("on a kept platform says how to make one, and names no file of the engine's", function()
    local env = { GATE_ENGINE_STATE = support.tmpdir() .. "/state" }
    assert.are.equal(0, run({ env = env, "platform", "start" }).code)
    local r = run { env = env, "run", support.root .. "/examples/operations/suspend_pilot.lua",
      "--reason", "x", "--dry-run", "--tenant", "acmee" }
    run { env = env, "platform", "stop" }
    assert.are.equal(2, r.code, r.stderr)
    assert.is_truthy(r.stderr:find("fix: a dry run makes no tenant on a platform that is kept: run a gate for it first", 1, true), r.stderr)
    assert.is_nil(r.stderr:find("stdlib/", 1, true), r.stderr)
    assert.is_nil(r.stdout:find("stdlib/", 1, true), r.stdout)
  end)
end)
