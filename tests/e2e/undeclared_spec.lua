-- What a gate's head does not declare, and what is said on purpose: each reached under pcall is an ERROR of its check.
local json = require "engine.json"
local support = require "e2e.support"

local has = support.has

--- Each: what reaches for it, and the fix.
local WAYS = {
  { "ctx.db.operator", 'needs: db = { "operator" }' }, { 'ctx.db:open("operator")', "add it to needs.db" },
  { 'ctx.db:open("app", { user = "postgres" })', "readonly, only_tls, application_name, connect_timeout or statement_timeout_ms" },
  { "ctx.http", 'endpoints = { "NAME" }' }, { "ctx.exec", 'commands = { "NAME" }' }, { "ctx.solver", "solver = true" },
  { "ctx.audits", "audits = true" }, { "ctx.evidence", "evidence = true" }, { "ctx.auth.api_key", 'auth = { "api_key" }' },
  { 'ctx.http:request({ endpoint = "other", path = "/" })', "name it in the head's needs.endpoints", "two", "http_endpoint" },
  { 'ctx.exec:run("other", {})', "add it to needs.commands", "two", "exec_not_declared" },
  { 'ctx.solver:solve("other", {})', "add it to needs.commands", "two", "exec_not_declared" },
  { "ctx.store.other", 'stores = { "other" }' }, { "ctx.files.other", 'other = { type = "path" }' },
}

--- Of the second gate: what it has is not what it reaches for.
local SOME = 'endpoints = { "svc" }, commands = { "say" }, solver = true'

describe("a capability that the head does not declare", function()
  local dir, checks = support.tmpdir(), {}

  local function gate(needs, of, more)
    local parts = { ('return require("gate").define { api = 1, id = "g%s", name = "G", needs = { %s },\n'):format(of or "", needs),
      '  options = { given = { type = "path" } }, run = function(ctx)\n' }
    for i, way in ipairs(WAYS) do
      if way[3] == of then
        parts[#parts + 1] = ("  ctx:check(%q, function() pcall(function() local _ = %s end) end)\n"):format("way " .. i, way[1])
      end
    end
    parts[#parts + 1] = more
    parts[#parts + 1] = "end }\n"
    support.write(dir .. "/g.lua", table.concat(parts))
    support.write(dir .. "/gate-engine.conf.lua", [[return { platform = "embedded", endpoints = { svc = { url = "http://127.0.0.1:1" } },
      commands = { say = { argv = { "/bin/cat" } } } }]])
    local r = support.run { cwd = dir, "run", "g.lua", "--report", "json=r.json" }
    assert.are.equal(3, r.code, r.stdout)
    for _, check in ipairs(json.decode(support.must_read(dir .. "/r.json")).gates[1].checks) do checks[check.name] = check end
  end

  setup(function()
    gate(SOME, "two", "")
    local parts = { '  ctx:check("declared", function() ctx.db.app:value "select 1" end)\n' }
    parts[#parts + 1] = '  ctx:check("nil", function() assert(ctx.nothing == nil) end)\n'
    parts[#parts + 1] = '  ctx:check("words", function()\n'
    parts[#parts + 1] = '    require("errors").raise { code = "mine", message = "my words", fix = "do it" }\n  end)\n'
    parts[#parts + 1] = '  ctx:check("not given", function() ctx.files.given:get("x") end)\n'
    gate('db = { "app" }', nil, table.concat(parts))
  end)

  for i, way in ipairs(WAYS) do
    it("is an ERROR of the check that reaches for it, though it is caught: " .. way[1], function()
      local check = checks["way " .. i]
      assert.are.equal("ERROR", check.status)
      assert.are.equal(way[4] or "not_declared", check.class)
      has(check.fix, way[2])
      has(check.detail, "g.lua:")
    end)
  end

  it("takes nothing from what is declared, and a field that means nothing is nil", function()
    assert.are.equal("PASS", checks.declared.status)
    assert.are.equal("PASS", checks["nil"].status)
  end)

  it("is an ERROR of the gate where it is a module of the engine's", function()
    support.write(dir .. "/g.lua", [[return require("gate").define { api = 1, id = "g", name = "G", run = function(ctx)
      ctx:check("a", function() pcall(require, "engine.db") end) end }]])
    local r = support.run { cwd = dir, "run", "g.lua" }
    assert.are.equal(3, r.code, r.stdout)
    has(r.stdout, "engine.db is a capability, not a module, and the script went on without it", "Fix: declare it in needs")
  end)

  it("is told apart from an option that is declared and was not given", function()
    assert.are.equal("option_not_given", checks["not given"].class)
    has(checks["not given"].fix, "look at ctx.options.given first")
  end)

  it("shows no source of what a script raised on purpose", function()
    assert.are.equal("my words", checks.words.failure)
    assert.is_true(checks.words.detail == nil or checks.words.detail == json.null, tostring(checks.words.detail))
    assert.are.equal("do it", checks.words.fix)
  end)
end)
