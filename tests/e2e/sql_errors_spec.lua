-- What the server says of a statement reaches who wrote it: SQLSTATE, objects and hint, in every place where an error is shown.
local json = require "engine.json"
local support = require "e2e.support"

local run = support.run

local has = support.has

--- Each: the body of a check, the failure, the detail before the place, the fix (nil: none).
local CASES = {
  { [[ctx.db.admin:query "select coed from core.tenants"]], 'column "coed" does not exist',
    '[SQLSTATE 42703] hint: Perhaps you meant to reference the column "tenants.code".' },
  { [[ctx.db.admin:transaction(function(tx) tx:exec "insert into core.tenants (code, name) values ('demo', 'x')" end)]],
    'duplicate key value violates unique constraint "tenants_code_key"',
    "Key (code)=(demo) already exists. [SQLSTATE 23505, table core.tenants, constraint tenants_code_key]" },
  { [[ctx.db.admin:exec "insert into core.tenants (code, name) values ('d2', 'x')"]], "cannot execute INSERT in a read-only transaction",
    "[SQLSTATE 25006]", "try what changes something inside connection:transaction, whose end takes it back" },
  { [[ctx.db.admin:transaction(function(tx) tx:exec "insert into core.tenants (code, status) values ('d2', 'onboarding')" end)]],
    'null value in column "name" of relation "tenants" violates not-null constraint', "[SQLSTATE 23502, table core.tenants, column name]" },
  { [[ctx.db.admin:value "select nothing(1)"]], "function nothing(integer) does not exist",
    "[SQLSTATE 42883] hint: No function matches the given name and argument types. You might need to add explicit type casts." },
  { [[ctx.db.admin:value "select 1 from tenantz"]], 'relation "tenantz" does not exist', "[SQLSTATE 42P01]",
    "name the table with its schema (core.tenants)" },
  { [[ctx.db.admin:value("select $1::int, $2::int", 1)]], 'bind message supplies 1 parameters, but prepared statement "" requires 2',
    "[SQLSTATE 08P01]", "give as many values after the statement as it names parameters", code = "db_query" },
  { [[ctx.db.admin:transaction(function(tx) tx:script "select 1; selct 2" end)]], 'syntax error at or near "selct"', "[SQLSTATE 42601]" },
  { [[require("task").map({ 1 }, 1, function() ctx.db.admin:exec "select coed from core.tenants" end)]], 'column "coed" does not exist',
    "[SQLSTATE 42703] hint: Perhaps" },
  { [[local ok, why = ctx.db.admin:try "select coed from core.tenants"
      error(tostring(why) .. tostring(ok))]], 'db_query: column "coed" does not exist [SQLSTATE 42703]; hint: Perhaps you meant', "" },
}

describe("a statement that the server refuses", function()
  local dir, checks, result = support.tmpdir(), {}, nil

  setup(function()
    local parts = { 'return require("gate").define { api = 1, id = "g", name = "G", needs = { db = { "admin" } }, run = function(ctx)\n' }
    for i, case in ipairs(CASES) do
      parts[#parts + 1] = ("  ctx:check(%q, function()\n      %s\n    end)\n"):format("case " .. i, case[1])
    end
    support.write(dir .. "/g.lua", table.concat(parts) .. "end }\n")
    result = run { cwd = dir, "run", "g.lua", "--verbose", "--trace", "--report", "json=r.json", "--report", "html=r.html" }
    for _, check in ipairs(json.decode(support.must_read(dir .. "/r.json")).gates[1].checks) do checks[check.name] = check end
  end)

  for i, case in ipairs(CASES) do
    it("is told with what the server said: " .. case[2] .. " #" .. i, function()
      local check = assert(checks["case " .. i], result.stdout)
      has(check.failure, case[2])
      has(check.detail, case[3], "g.lua:")
      assert.are.equal(case.code or check.class, check.class)
      if case[4] then has(check.fix, case[4]) end
      has(result.stdout, case[3])
    end)
  end

  it("is told so by every format and by --trace, and without its values where a trace masks them", function()
    has(support.must_read(dir .. "/r.html"), "SQLSTATE 23505, table core.tenants, constraint tenants_code_key")
    has(result.stderr, "[case 1] db.admin:query: raised db_query (SQLSTATE 42703)", "db.admin:try: refused with db_query (SQLSTATE 42703)")
  end)

  it("is told so of a recovery and of an operation", function()
    support.write(dir .. "/rec.lua", [[
return require("gate").define { api = 1, id = "g", name = "G", needs = { db = { "admin", "operator" } }, failures = { x = { text = "x" } },
  run = function(ctx) ctx:check("x", function() ctx:fail "x" end) end,
  recover = function(ctx) ctx:apply("x", { sql = "select coed from core.tenants" }) end }
]])
    local r = run { cwd = dir, "recover", "rec.lua", "--apply" }
    assert.are.equal(3, r.code)
    has(r.stderr, "[SQLSTATE 42703] hint: Perhaps you meant")
    support.write(dir .. "/op.lua", [[
return require("operation").define { api = 1, id = "o", name = "O", needs = { db = { "operator" } },
  run = function(ctx) ctx:step("x", function() ctx.db.operator:exec "select coed from core.tenants" end) end }
]])
    r = run { cwd = dir, "run", "op.lua" }
    assert.are.equal(3, r.code)
    has(r.stdout, "[SQLSTATE 42703] hint: Perhaps you meant")
  end)
end)
