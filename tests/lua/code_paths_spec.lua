-- The state machine of gate 1's code paths, without a server: statements in, findings out.
local catalogue = require "rls.code_paths_catalogue"
local machine = require "rls.code_paths_machine"
local recorded = require "rls.code_paths_recorded"
local statement = require "engine.statement"

local function base(label, scope)
  local schema, name = label:match "^(.*)%.(.*)$"
  return { label = label, schema = schema, name = name, kind = "r", scope = scope or "tenant", by_column = { tenant_id = {}, body = {} } }
end

local items, notes, plans = base "public.items", base "public.notes", base "Ops.Weekly Plans"
local shared = base("public.countries", "unclassified")
shared.by_column.items = {}
local view = { label = "public.open_items", schema = "public", name = "open_items", kind = "v", scope = "child", by_column = {},
  reads = { items, notes } }

local FUNCTIONS = {
  { schema = "public", name = "add_item", oid = "1", language = "plpgsql",
    source = "begin perform set_config('app.tenant', p_tenant::text, true); insert into items(body) values (p_body); end" },
  { schema = "public", name = "list_items", oid = "2", language = "sql", source = "select body from items where body = $1" },
  { schema = "public", name = "late", oid = "3", language = "plpgsql",
    source = "begin delete from notes; perform set_config('app.tenant', p_tenant::text, true); end" },
  { schema = "public", name = "calls_list", oid = "4", language = "plpgsql",
    source = "begin return query select * from list_items('x'); end" },
  { schema = "public", name = "dynamic", oid = "5", language = "plpgsql", source = "begin execute 'delete from ' || p_table; end" },
  { schema = "public", name = "login", oid = "6", language = "sql", source = "select body from items", unbound = true },
  { schema = "public", name = "set_session", oid = "7", language = "sql", source = "select set_config('app.tenant', $1, false)" },
  { schema = "public", name = "body", oid = "8", language = "plpgsql", source = "begin return x.body, items from countries x; end" },
}
local ROLES = { { name = "app_user", unbound = false }, { name = "postgres", unbound = true } }

describe("a session", function()
  local m, cat, last, values

  local function number(value)
    if value == "" then return 0 end
    values[value] = values[value] or value
    return value
  end

  --- One simple query: all its statements, then ReadyForQuery. `failing` is the text of the statement that fails.
  local function query(id, sql, failing)
    local rolled = false
    for _, scanned in ipairs(statement.scan(sql, { settings = cat.settings })) do
      local contexts = {}
      for i, c in ipairs(scanned.contexts) do
        contexts[i] = { setting = c.setting, is_local = c["local"], from = c.from, value = c.value and number(c.value) }
      end
      local fails = failing ~= nil and sql:find(failing, 1, true) ~= nil and scanned.text:find(failing:sub(1, 6), 1, true) ~= nil
      m:statement(id, recorded.shape(cat, scanned), contexts, not fails)
      if not fails then
        if scanned.kind == "begin" then last[id] = "T" end
        if scanned.kind == "commit" or scanned.kind == "rollback" then last[id] = scanned.chain and "T" or "I" end
        if scanned.kind == "rollback_to" then last[id] = "T" end
      else
        rolled = true
        last[id] = last[id] == "T" and "E" or last[id]
        break
      end
    end
    m:ready(id, last[id] or "I", rolled)
  end

  local function run(list, user)
    m:session(1, { user = user or "app_user", application = "shop" })
    for _, sql in ipairs(list) do
      if type(sql) == "table" then query(1, sql[1], sql[1]) else query(1, sql) end
    end
    local out = {}
    for _, f in ipairs(m.order) do
      if f.class ~= "context_literal" then out[#out + 1] = f.class .. (f.severity and ":" .. f.severity or "") end
    end
    return table.concat(out, " ")
  end

  before_each(function()
    cat = catalogue.new({ items, notes, plans, shared, view }, { column = "tenant_id", setting = "app.tenant" }, FUNCTIONS, ROLES)
    m, last, values = machine.new(cat), {}, {}
  end)

  describe("is clean", function()
    local CLEAN = {
      ["with the tenant set in each transaction"] = { "begin", "select set_config('app.tenant', 'a', true)", "select * from items",
        "commit",
        "begin", "select set_config('app.tenant', 'b', true)", "insert into notes(body) values ('x')", "commit" },
      ["in one simple query"] = { "select set_config('app.tenant', 'a', true); select * from items" },
      ["with SET LOCAL"] = { "begin", "set local app.tenant = 'a'", "update items set body = ''", "rollback" },
      ["where only shared tables are touched"] = { "select * from countries", "begin", "select 1", "commit" },
      ["where a table is defined, not touched"] = { "create table x (like items)", "alter table items add y int",
        "explain select * from items" },
      ["through a function that states the tenant first"] = { "select add_item('a', 'x')" },
      ["after such a function, in its transaction"] = { "begin", "select add_item('a', 'x')", "select * from items", "commit" },
      ["through a function with its owner's rights"] = { "select login()" },
      ["where a common table expression has a table's name"] = { "with items as (select 1) select * from items" },
      ["where a savepoint is rolled back to before the tenant changes"] = { "begin", "select set_config('app.tenant', 'a', true)",
        "savepoint s",
        "select set_config('app.tenant', 'b', true)", "rollback to s", "select * from items", "commit" },
      ["with the same tenant set twice"] = { "begin", "select set_config('app.tenant', 'a', true)", "select * from items",
        "select set_config('app.tenant', 'a', true)", "select * from notes", "commit" },
      ["in a DO block that states the tenant"] = { "do $$ begin perform set_config('app.tenant', 'a', true); delete from items; end $$" },
      ["where a refused statement follows a failure"] = { "begin", "select set_config('app.tenant', 'a', true)", { "select bad" },
        "select * from items", "rollback" },
      ["with a function that only names a column like a table"] = { "select body()" },
      ["with COMMIT AND CHAIN and the tenant set again"] = { "begin", "set local app.tenant = 'a'", "select * from items",
        "commit and chain",
        "set local app.tenant = 'b'", "select * from items", "commit" },
    }
    for name, list in pairs(CLEAN) do
      it(name, function()
        assert.equal("", run(list))
        assert.equal(0, #m.unread_order)
      end)
    end
  end)

  describe("misses the tenant", function()
    local MISSING = {
      ["where nobody sets it"] = { "select * from items" },
      ["through a view"] = { "select * from open_items" },
      ["through a quoted name in another schema"] = { 'select * from "Ops"."Weekly Plans"' },
      ["where the transaction that set it has ended"] = { "begin", "select set_config('app.tenant', 'a', true)", "commit",
        "select * from items" },
      ["where is_local is true outside of a transaction"] = { "select set_config('app.tenant', 'a', true)", "select * from items" },
      ["where it was reset in the same transaction"] = { "begin", "set local app.tenant = 'a'", "reset app.tenant", "select * from items",
        "commit" },
      ["where it was set to nothing"] = { "begin", "select set_config('app.tenant', '', true)", "select * from items", "commit" },
      ["where it was rolled back to a savepoint before it"] = { "begin", "savepoint s", "set local app.tenant = 'a'",
        "rollback to savepoint s",
        "select * from items", "commit" },
      ["after COMMIT AND CHAIN"] = { "begin", "set local app.tenant = 'a'", "commit and chain", "select * from items", "commit" },
      ["in COPY"] = { "copy items to stdout" },
      ["in TRUNCATE"] = { "truncate items" },
      ["in MERGE"] = { "merge into items using countries on true when matched then delete" },
      ["in a cursor"] = { "begin", "declare c cursor for select * from items", "commit" },
      ["in EXPLAIN ANALYZE"] = { "explain analyze select * from items" },
      ["in CREATE TABLE AS"] = { "create temp table t as select * from items" },
      ["in a prepared statement, when it is executed"] = { "prepare p as select * from items", "execute p" },
      ["in a DO block"] = { "do $$ begin delete from items; end $$" },
      ["in a subquery"] = { "select (select count(*) from items) from countries" },
      ["in a function"] = { "select * from list_items('x')" },
      ["in a function that a function calls"] = { "select calls_list()" },
      ["in a function that states the tenant too late"] = { "select late('a')" },
      ["where it is set in the same statement"] = { "select set_config('app.tenant', 'a', true), body from items" },
      ["where the statement fails"] = { { "select * from items" } },
      ["where the function that it calls fails"] = { { "select late('a')" } },
      ["where setting it fails"] = { "begin", "savepoint s", { "select set_config('app.tenant', 'a', true)" }, "rollback to s",
        "select * from items", "rollback" },
      ["where the session value was rolled back"] = { "begin", "set local app.tenant = 'a'", "rollback", "select * from items" },
    }
    for name, list in pairs(MISSING) do
      it(name, function() assert.equal("set_config_missing", run(list)) end)
    end

    it("and says why", function()
      run { "select set_config('app.tenant', 'a', true)", "select * from items" }
      local f = m.order[#m.order]
      assert.equal("select * from items", f.statement)
      assert.is_truthy(f.detail:find("public.items; it was set for a transaction that had ended", 1, true), f.detail)
    end)

    it("as an advisory where the role is not bound", function()
      assert.equal("set_config_missing:advisory", run({ "select * from items" }, "postgres"))
      assert.equal(0, m.facts.touches_bound)
    end)

    it("as a leak after that role became the application's", function()
      assert.equal("set_config_missing", run({ "set role app_user", "select * from items" }, "postgres"))
      assert.equal(1, m.facts.touches_bound)
    end)
  end)

  describe("keeps the tenant too long", function()
    it("when it is set for the session", function()
      assert.equal("context_session_level", run { "begin", "select set_config('app.tenant', 'a', false)", "select * from items", "commit" })
    end)

    it("and touches tables with it in a later transaction", function()
      assert.equal("context_session_level context_left_over", run { "set app.tenant = 'a'", "select * from items" })
    end)

    it("also where a function sets it", function()
      assert.equal("context_session_level context_left_over", run { "select set_session('a')", "select * from items" })
    end)

    it("not after DISCARD ALL or RESET", function()
      assert.equal("context_session_level set_config_missing", run { "set app.tenant = 'a'", "discard all", "select * from items" })
      m = machine.new(cat)
      assert.equal("context_session_level set_config_missing", run { "set app.tenant = 'a'", "reset app.tenant", "select * from items" })
    end)

    it("not where the transaction that set it was rolled back", function()
      assert.equal("context_session_level set_config_missing", run { "begin", "set app.tenant = 'a'", "rollback", "select * from items" })
    end)
  end)

  describe("changes the tenant", function()
    it("within a transaction that has touched tables", function()
      assert.equal("context_changed", run { "begin", "set local app.tenant = 'a'", "select * from items", "set local app.tenant = 'b'",
        "select * from items", "commit" })
    end)

    it("harmlessly before any table is touched", function()
      assert.equal("", run { "begin", "set local app.tenant = 'a'", "set local app.tenant = 'b'", "select * from items", "commit" })
    end)
  end)

  it("states a tenant needlessly where the role is not bound", function()
    assert.equal("context_needless", run({ "begin", "set local app.tenant = 'a'", "select * from items", "commit" }, "postgres"))
  end)

  it("is told of literals once for each statement, with the number of values", function()
    run { "begin", "set local app.tenant = 'a'", "commit", "begin", "set local app.tenant = 'b'", "commit" }
    local class, fields, advisory = recorded.told(m.order[1])
    assert.equal("context_literal", class)
    assert.is_true(advisory)
    assert.is_truthy(fields.detail:find("2 different value(s) in 2 statements", 1, true), fields.detail)
    assert.equal("set local app.tenant = '?'", fields.object)
  end)

  describe("cannot be judged", function()
    it("where a statement cannot be read and no tenant is set", function()
      assert.equal("", run { "frobnicate the table" })
      assert.equal(1, #m.unread_order)
    end)

    it("where a function puts SQL together", function()
      run { "select dynamic('items')" }
      assert.equal(1, #m.unread_order)
    end)

    it("where what is executed was prepared unseen", function()
      run { "execute q" }
      assert.equal(1, #m.unread_order)
    end)

    it("but with a tenant set it does not matter", function()
      run { "begin", "set local app.tenant = 'a'", "frobnicate the table", "select dynamic('items')", "commit" }
      assert.equal(0, #m.unread_order)
    end)
  end)

  it("is counted with its transactions and touches", function()
    run { "begin", "set local app.tenant = 'a'", "select * from items", "commit", "select * from countries" }
    assert.same({ statements = 5, transactions = 2, sessions = 1, touches = 1, touches_bound = 1 }, m.facts)
  end)

  it("runs nothing in a transaction of which the server says that it has failed", function()
    m:session(1, { user = "app_user", application = "" })
    query(1, "begin")
    m:ready(1, "E", true)
    query(1, "select * from items")
    assert.equal(0, #m.order)
  end)

  it("does not mix with another", function()
    m:session(2, { user = "app_user", application = "other" })
    query(2, "begin; set local app.tenant = 'a'")
    assert.equal("set_config_missing", run { "select * from items" })
  end)
end)

describe("several axes", function()
  local m, cat
  before_each(function()
    local by_org = base "public.orders"
    by_org.by_column = { org_id = {} }
    cat = catalogue.new({ by_org }, { { column = "org_id", setting = "app.org" }, { column = "partner_id", setting = "app.partner" } },
      {}, ROLES)
    m = machine.new(cat)
    m:session(1, { user = "app_user", application = "" })
  end)

  local function run(sql)
    for _, scanned in ipairs(statement.scan(sql, { settings = cat.settings })) do
      local contexts = {}
      for i, c in ipairs(scanned.contexts) do
        contexts[i] = { setting = c.setting, is_local = c["local"], from = "parameter", value = c.value }
      end
      m:statement(1, recorded.shape(cat, scanned), contexts, true)
    end
    return m.order[1] and m.order[1].class
  end

  it("each count for the tables that have their column", function()
    assert.is_nil(run "begin; set local app.org = 'a'; select * from orders")
  end)

  it("and for no others", function()
    assert.equal("set_config_missing", run "begin; set local app.partner = 'a'; select * from orders")
  end)
end)
