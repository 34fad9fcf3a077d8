local support = require "e2e.support"

local run = support.run

local SCRIPT = [[
local gate = require "gate"
local db = require "engine.db"
return gate.define {
  api = 1, id = "traced", name = "Traced",
  needs = { db = { "admin", "app" }, stores = { "artifacts" } },
  options = { out = { type = "path", access = "write", help = "where" } },
  failures = { shown = { text = "%s" } },
  run = function(ctx)
    ctx:check("works", function()
      local rows = ctx.db.admin:query("select n\n  from generate_series(1, $1::int) n", 3)
      assert(rows.n == 3 and rows[3].n == 3)
      assert(ctx.db.admin:value("select $1::text", "parameter-of-a-tenant") == "parameter-of-a-tenant")
      assert(ctx.db.admin:value("select 'hunter2secret'") == "hunter2secret")
      local got = ctx.db.admin:transaction(function(tx)
        assert(tx:exec("create temporary table t (n int)") == 0)
        local ok, affected = tx:try("insert into t values (1), (2)")
        assert(ok and affected == 2)
        local refused, why = tx:try("insert into nowhere values (1)")
        assert(not refused and why.sqlstate == "42P01", "an expected refusal is data")
        local out = tx:pipeline { { "select 1" }, { "selekt" } }
        assert(out[1].ok and not out[2].ok)
        return tx:value("select count(*) from t")
      end, { rollback = true })
      assert(got == 2)
      local again <close> = ctx.db:open("app")
      assert(again:is_open() and again:backend_pid() > 0)
      local ok, why = pcall(function() return ctx.db.app:query("select nothing") end)
      assert(not ok and why.code == "db_query" and why.sqlstate == "42703", "the error is the one the server gave")
      ctx.store.artifacts:put("trace/key", "bytes")
      assert(ctx.store.artifacts:get("trace/key") == "bytes")
      assert(ctx.store.artifacts:delete("trace/key"))
    end)
  end,
}
]]

local function has(text, ...)
  for _, pattern in ipairs { ... } do
    assert.is_truthy(text:find(pattern), ("expected %q in:\n%s"):format(pattern, text))
  end
end

describe("--trace", function()
  local dir = support.tmpdir()
  support.write(dir .. "/traced.lua", (SCRIPT:gsub('local db = require "engine.db"\n', "")))
  support.write(dir .. "/gate-engine.conf.lua", 'return { mail = { url = env "MAIL_URL" } }\n')
  local env = { MAIL_URL = "smtp://gate:hunter2secret@127.0.0.1:25" }

  it("shows each query with its rows and time, each store call, on standard error, and changes nothing of what a script sees", function()
    local r = run { cwd = dir, env = env, "run", "traced.lua", "--trace" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stderr, "trace: traced: %[works%] db%.admin connects: done, %d+%.%d%d ms\n",
      "db%.admin:query: 3 rows, %d+%.%d%d ms: select n from generate_series%(1, %$1::int%) n\n",
      "db%.admin:try: 2 rows, [%d.]+ ms: insert into t",
      "db%.admin:try: refused with db_query %(SQLSTATE 42P01%), [%d.]+ ms: insert into nowhere",
      "db%.admin:pipeline 1: 1 row", "db%.admin:pipeline 2: refused with db_query", "db%.admin:transaction: ended",
      "db%.app:query: raised db_query %(SQLSTATE 42703%), [%d.]+ ms: select nothing\n",
      "store%.artifacts:put: 5 bytes, [%d.]+ ms: trace/key\n", "store%.artifacts:get: 5 bytes", "store%.artifacts:delete: removed")
    assert.is_nil(r.stdout:find("trace", 1, true))
  end)

  it("shows no value of a parameter, and no secret", function()
    local r = run { cwd = dir, env = env, "run", "traced.lua", "--trace" }
    assert.is_nil(r.stderr:find("parameter-of-a-tenant", 1, true))
    assert.is_nil(r.stderr:find("hunter2secret", 1, true), r.stderr)
    has(r.stderr, "select '%*%*%*'")
  end)

  it("is silent when it is not asked for", function()
    local r = run { cwd = dir, env = env, "run", "traced.lua" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_nil(r.stderr:find("trace", 1, true))
  end)

  it("shows what the solver did, and every gate passes under it", function()
    local r = run { "run", "scripts/all.lua", "--trace" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stderr, "trace: determinism_proof: %[runs identical%] command solver:roster: exit 0")
  end)

  it("shows no secret, wherever one was put", function()
    support.write(dir .. "/planted.lua", [[
return require("gate").define { api = 1, id = "planted", name = "Planted",
  needs = { db = { "admin" }, endpoints = { "shop" }, commands = { "cat" }, stores = { "artifacts" } },
  run = function(ctx)
    ctx:check("planted", function()
      ctx.db.admin:value("select $1::text", "PLANTED-parameter")
      ctx.db.admin:query("select 'PLANTED-literal' as x, 'it''s PLANTED-doubled', E'a\\'PLANTED-escaped', $q$ it's PLANTED-dollar $q$, 1")
      ctx.db.admin:transaction(function(tx) tx:script("select 'PLANTED-long" .. ("x"):rep(5000) .. "'") end)
      pcall(function() ctx.db.admin:query("select * from nothing where password = 'PLANTED-refused' and 1 = 2") end)
      pcall(function()
        ctx.http:request { endpoint = "shop", path = "/a/b?token=PLANTED-path", query = { key = "PLANTED-query" },
          headers = { ["X-Y"] = "PLANTED-header" }, json = { p = "PLANTED-body" }, timeout = 1 }
      end)
      pcall(function() ctx.http:request { endpoint = "shop", path = "/conf/PLANTED-config", timeout = 1 } end)
      ctx.exec:run("cat", { stdin = "PLANTED-stdin" })
      ctx.store.artifacts:put("key/PLANTED-config", "PLANTED-value")
      ctx.store.artifacts:delete("key/PLANTED-config")
    end)
  end }
]])
    local conf = support.write(dir .. "/planted.conf.lua", [[
return { platform = "embedded", commands = { cat = { argv = { "/bin/cat", "-", "PLANTED-argv" } } },
  endpoints = { shop = { url = "http://user:PLANTED-url@127.0.0.1:9/", headers = { ["X-Key"] = env "PLANTED" } } } }
]])
    local r = run { cwd = dir, env = { PLANTED = "PLANTED-config" }, "run", "planted.lua", "--config", conf, "--trace", "--verbose" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stderr, "select '%*%*%*' as x, '%*%*%*''%*%*%*', E'%*%*%*', '%*%*%*', 1\n", "password = '%*%*%*' and 1 = 2\n",
    "http shop GET /a/b: raised http_connect",
      "command cat: exit 1", "store%.artifacts:put: 13 bytes, [%d.]+ ms: key/%*%*%*\n")
    assert.is_nil((r.stdout .. r.stderr):find("PLANTED-", 1, true), r.stderr)
  end)
end)
