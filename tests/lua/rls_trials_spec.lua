-- Counterexamples of the prover, tried on a real server: what they reach is said, what they do not reach is no leak, and no pass either.
local db = require "engine.db"
local pg = require "pg"
local trials = require "rls.trials"

describe("a counterexample that is tried", function()
  local server, conn, t

  setup(function()
    server = pg.start()
    conn = db.connect(server:options())
    conn:script [[
      create role tried_app login;
      create table items (id int primary key, tenant_id int not null, body text not null check (body <> 'refused'));
      alter table items enable row level security;
      create policy p on items using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int
        or current_setting('app.tenant_id', true) is null);
      grant select, insert, update, delete on items to tried_app]]
    t = { kind = "r", sql = "public.items", estimate = 0, by_column = { id = {}, tenant_id = {}, body = {} } }
  end)

  teardown(function()
    conn:close()
    server:stop()
  end)

  local INSERT = "INSERT INTO items VALUES (7, 2, '%s') ON CONFLICT DO NOTHING;"
  local AS_A = { "SET LOCAL ROLE tried_app;", "SELECT set_config('app.tenant_id', '1', false);" }

  --- Tries one finding. body: of the row; before: what sets the session up.
  local function try(command, statement, before, body, options)
    local steps = { "BEGIN;", INSERT:format(body or "x") }
    table.move(before, 1, #before, #steps + 1, steps)
    table.move({ statement, "ROLLBACK;" }, 1, 2, #steps + 1, steps)
    local f = { class = "policy_leak", commands = { command }, steps = steps, row = { id = 7, tenant_id = 2 } }
    options = options or { superuser = true, max_rows = 100 }
    local opened = 0
    trials.run(function()
      opened = opened + 1
      return db.connect(server:options())
    end, { ["1"] = { f } }, { ["1"] = t }, options)
    assert.equal(0, conn:value "select count(*) from items")
    return f, opened
  end

  it("is said to be, where the row is reached", function()
    local f = try("SELECT", "SELECT * FROM items;", { "-- in a new connection, before app.tenant_id is set", AS_A[1] })
    assert.same({ true, "tried: the row was read" }, { f.reproduced, f.trial })
    f = try("DELETE", "DELETE FROM items;", { AS_A[1] })
    assert.same({ true, "tried: the row was deleted" }, { f.reproduced, f.trial })
  end)

  it("is contradicted by a statement that reaches no row, and by one that is refused", function()
    local f = try("SELECT", "SELECT * FROM items;", AS_A)
    assert.same({ false, "not reproduced: the statement reaches no row" }, { f.reproduced, f.trial })
    f = try("INSERT", "INSERT INTO items VALUES (8, 2, 'x');", AS_A)
    assert.is_false(f.reproduced)
    assert.truthy(f.trial:find("^not reproduced: the server refuses the statement: .*row%-level security"), f.trial)
  end)

  it("stays the proof's word where it cannot be tried", function()
    local f = try("SELECT", "SELECT * FROM items;", AS_A, "refused")
    assert.is_nil(f.reproduced)
    assert.truthy(f.trial:find "^not tried: .*check constraint", f.trial)
    f = try("SELECT", "SELECT * FROM items;", AS_A, nil, { superuser = false, max_rows = 100 })
    assert.same({ nil, "not tried: database.admin is no superuser" }, { f.reproduced, f.trial })
    t.estimate = 101
    f = try("DELETE", "DELETE FROM items;", AS_A)
    t.estimate = 0
    assert.same({ nil, "not tried: the table has more than 100 rows (database.probe.max_rows)" }, { f.reproduced, f.trial })
  end)

  --- Tries findings, each by its statement, and returns what was said of them, and what the server's log says of the transactions.
  local function try_all(statements, bodies)
    local list, said = {}, {}
    for i, statement in ipairs(statements) do
      list[i] = { class = "policy_leak", commands = { statement:match "^%u+" }, row = { id = 7, tenant_id = 2 },
        steps = { "BEGIN;", INSERT:format(bodies[i] or "x"), AS_A[1], statement, "ROLLBACK;" } }
    end
    conn:exec "alter role postgres set log_statement = 'all'"
    local from = #server:log()
    local options = { superuser = true, max_rows = 100 }
    trials.run(function() return db.connect(server:options()) end, { ["1"] = list }, { ["1"] = t }, options)
    conn:exec "alter role postgres reset log_statement"
    for i, f in ipairs(list) do said[i] = f.trial end
    local _, begun = server:log():sub(from):gsub("BEGIN", "")
    return said, begun
  end

  it("shares its transaction with others", function()
    local said, begun = try_all({ "SELECT * FROM items;", "DELETE FROM items;", "UPDATE items SET body = 'y';" }, {})
    assert.same({ "tried: the row was read", "tried: the row was deleted", "tried: the row was changed" }, said)
    assert.equal(1, begun)
  end)

  it("is tried whatever becomes of others", function()
    local said = try_all({ "SELECT * FROM items;", "SELECT * FROM items;", "DELETE FROM items;", "DELETE FROM missing;" },
      { nil, "refused" })
    assert.equal("tried: the row was read", said[1])
    assert.truthy(said[2]:find "^not tried: .*check constraint", said[2])
    assert.equal("tried: the row was deleted", said[3])
    assert.truthy(said[4]:find "^not tried: .*missing", said[4])
  end)

  it("is not contradicted because its row could not be made", function()
    conn:exec "insert into items values (7, 5, 'there')"
    finally(function() conn:exec "truncate items" end)
    local f = { class = "policy_leak", commands = { "SELECT" }, row = { id = 7, tenant_id = 2 },
      steps = { "BEGIN;", INSERT:format "x", AS_A[1], AS_A[2], "SELECT * FROM items;", "ROLLBACK;" } }
    trials.run(function() return db.connect(server:options()) end, { ["1"] = { f } }, { ["1"] = t }, { superuser = true, max_rows = 1 })
    assert.same({ nil, "not tried: a row with the key of its row is there already" }, { f.reproduced, f.trial })
  end)

  it("has passed the policies where a constraint stops it", function()
    local f = try("INSERT", "INSERT INTO items VALUES (7, 2, 'again');", { AS_A[1] })
    assert.same({ true, "tried: the policies let the row through, a constraint alone stops it" }, { f.reproduced, f.trial })
  end)

  it("leaves advisories alone", function()
    local f = { class = "policy_unproven", advisory = true, commands = { "SELECT" }, steps = { "BEGIN;", "SELECT 1;", "ROLLBACK;" } }
    trials.run(function() error "no connection is needed" end, { ["1"] = { f } }, { ["1"] = t }, { superuser = true, max_rows = 1 })
    assert.is_nil(f.trial)
  end)
end)
