-- The mutation score: what gate 1 finds when the schema is broken in each way that matters.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"

local TABLE = [[
CREATE TABLE items (id bigint generated always as identity primary key, org_id int not null, name text not null default 'x');
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE items FORCE ROW LEVEL SECURITY;
CREATE POLICY t ON items TO shop USING ((org_id)::text = current_setting('app.tenant'::text, true));
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE items TO shop;
CREATE VIEW items_view WITH (security_invoker = true) AS SELECT * FROM items;
GRANT SELECT ON items_view TO shop;
]]

local function gate(words)
  local file = support.tmpdir() .. "/report.json"
  local argv = { "run", "gates/rls_harness.lua", "--mutate", "--report", "json=" .. file }
  table.move(words, 1, #words, #argv + 1, argv)
  local result = support.run { argv = argv }
  result.report = json.decode(support.must_read(file))
  result.facts = result.report.gates[1].facts
  return result
end

local function scratch(text, more)
  local words = { "--schema", support.write(support.tmpdir() .. "/dump.sql", text), "--app-role", "shop", "--tenant-column", "org_id",
    "--tenant-setting", "app.tenant" }
  table.move(more or {}, 1, #(more or {}), #words + 1, words)
  return gate(words)
end

describe("the mutation score", function()
  it("is 100 % on the reference platform, and stands in text and report", function()
    local r = gate {}
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(100, r.facts.mutation_score, r.stdout)
    assert.is_nil(r.facts.mutants_survived)
    assert.is_true(r.facts.mutants > 100)
    assert.truthy(r.stdout:find(("mutation score %d/%d"):format(r.facts.mutants, r.facts.mutants), 1, true), r.stdout)
  end)

  it("is 100 % on a clean schema's scratch copy, a view of the invoker among it", function()
    local r = scratch(TABLE)
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.same({ 100, nil }, { r.facts.mutation_score, r.facts.mutants_survived }, r.stdout)
    local nullable = scratch((TABLE:gsub("int not null", "int")))
    assert.equal(r.facts.mutants + 1, nullable.facts.mutants, "OR org_id IS NULL")
  end)

  it("leaves out restrictive policies that change nothing, and finds those that do", function()
    local r = scratch(TABLE .. "CREATE POLICY r ON items AS RESTRICTIVE TO shop USING (id > 0);")
    assert.equal(100, r.facts.mutation_score, r.stdout .. json.encode(r.facts))
    r = scratch((TABLE:gsub("CREATE POLICY t ON items TO shop USING", "CREATE POLICY w ON items TO shop USING (true);\n"
      .. "CREATE POLICY t ON items AS RESTRICTIVE TO shop USING")))
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local dropped
    for _, s in ipairs(r.facts.mutants_survived or {}) do dropped = dropped or s:find("policy_dropped", 1, true) end
    assert.is_nil(dropped, json.encode(r.facts))
  end)

  it("names what survives where the gate does not look", function()
    local dir = support.tmpdir()
    support.shell(("cp -r %s/stdlib %s/stdlib"):format(support.quote(support.root), support.quote(dir)))
    local path = dir .. "/stdlib/rls/rules/roles.lua"
    local blind, n = support.must_read(path):gsub("pg_execute_server_program = true", "", 1)
    assert.equal(1, n)
    support.write(path, blind)
    local r = scratch(TABLE, { "--stdlib", dir .. "/stdlib" })
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.is_true(r.facts.mutation_score < 100)
    assert.truthy(json.encode(r.facts.mutants_survived):find("member_of_pg_execute_server_program (shop): no check fails", 1, true))
    local found
    for _, c in ipairs(r.report.gates[1].checks) do
      local survived = c.class == "mutant_survived" and c.severity == "advisory"
      found = found or (survived and c.reproduce:find("GRANT pg_execute_server_program TO", 1, true))
    end
    assert.truthy(found)
    assert.equal(1, scratch(TABLE, { "--stdlib", dir .. "/stdlib", "--strict" }).code)
  end)

  it("breaks no database of the user's", function()
    local dir = support.tmpdir()
    support.write(dir .. "/c.lua", [[return { platform = "external", database = { admin = { host = "/nowhere", dbname = "x", user = "y" },
      app = { role = "shop" }, tenant = { column = "org_id", setting = "app.tenant" } } }]])
    local r = gate { "--config", dir .. "/c.lua", "--tenant", "acme", "--only", "mutation" }
    assert.equal(3, r.code)
    assert.truthy(r.stdout:find("expected a scratch copy, found a database of yours", 1, true), r.stdout)
  end)
end)
