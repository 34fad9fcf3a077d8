-- A connection that rolls back: whatever is done on it, nothing stays.
local db = require "engine.db"
local pg = require "pg"
local failure = require("raised").failure

describe("a connection that rolls back", function()
  local server, conn, own

  setup(function()
    server = pg.shared()
    conn = db.connect(server:options())
    conn:script "create schema rb; create table rb.t (i int); insert into rb.t values (1)"
    conn:exec [[create procedure rb.ends() language plpgsql as $$ begin insert into rb.t values (9); commit; end $$]]
  end)
  teardown(function()
    conn:script "drop schema rb cascade"
    conn:close()
  end)
  before_each(function() own = db.connect(server:options { rollback = true }) end)
  after_each(function() own:close() end)

  local function rows(c) return (c or conn):value "select string_agg(i::text, ',' order by i) from rb.t" end

  it("reads, in every way there is", function()
    assert.are.equal("1", rows(own))
    assert.are.equal("1\n", own:copy_out "copy rb.t to stdout")
    assert.are.equal("1", own:pipeline({ { "select 1/0" }, { "select i::text as i from rb.t" } })[2].rows[1].i)
    assert.are.equal("1", own:pipeline({ { "select i::text as i from rb.t" } }, { atomic = true })[1].rows[1].i)
    assert.is_true((own:try "select 1"))
  end)

  it("does anything inside transaction, and takes it back", function()
    local n = own:transaction(function(tx)
      tx:script "insert into rb.t values (2); create table rb.u ()"
      tx:copy_in("copy rb.t from stdin", "3\n")
      tx:transaction(function() tx:exec "insert into rb.t values (4)" end)
      tx:pipeline({ { "insert into rb.t values (5)" } })
      return rows(tx)
    end, { rollback = false, isolation = "serializable" })
    assert.are.equal("1,2,3,4,5", n)
    assert.are.equal("1", rows())
    assert.is_nil(conn:value "select to_regclass('rb.u')")
    assert.are.equal("25006", failure(own.transaction, own, function(tx) tx:exec "delete from rb.t" end, { readonly = true }).sqlstate)
  end)

  it("says what to do where a statement alone would change something", function()
    local e = failure(own.exec, own, "insert into rb.t values (2)")
    assert.are.equal("db_permission", e.code)
    assert.are.equal("try what changes something inside connection:transaction, whose end takes it back; what is to stay is for another "
      .. "connection", e.fix)
  end)

  it("keeps settings of the session, and nothing that a statement besides did", function()
    own:exec "set work_mem = '5MB'"
    assert.are.equal("5MB", own:value "show work_mem")
    own:pipeline({ { "set work_mem = '6MB'" }, { "reset application_name" } }, { atomic = true })
    assert.are.equal("6MB", own:value "show work_mem")
    own:pipeline({ { "set work_mem = '7MB'" }, { "select lo_create(4712)" } }, { atomic = true })
    assert.are.equal("6MB", own:value "show work_mem")
    own:exec "select lo_create(4712)"
    own:copy_out "copy (select lo_create(4712)) to stdout"
    own:exec "select pg_advisory_lock(4712)"
    assert.are.equal(0, conn:value "select count(*) from pg_largeobject_metadata where oid = 4712")
    assert.is_false(conn:value "select pg_try_advisory_lock(4712)")
  end)

  it("sends nothing that would end the transaction", function()
    for _, sql in ipairs { "begin", "commit", "; /* x */ end", "rollback", "prepare transaction 'x'", "rollback and chain" } do
      assert.are.equal("db_transaction", failure(own.exec, own, sql).code, sql)
      assert.are.equal("db_transaction", failure(own.try, own, sql).code, sql)
      assert.are.equal("db_transaction", failure(own.pipeline, own, { { sql } }).code, sql)
      for _, script in ipairs { sql, "insert into rb.t values (7); " .. sql, "select 'a;b'; -- ; \n" .. sql } do
        assert.are.equal("db_transaction", failure(own.transaction, own, function(tx) tx:script(script) end).code, script)
      end
    end
    assert.are.equal("2D000", failure(own.transaction, own, function(tx) tx:exec "call rb.ends()" end).sqlstate)
    assert.are.equal("25006", failure(own.exec, own, "call rb.ends()").sqlstate)
    assert.are.equal("1", rows())
  end)

  it("takes neither script nor copy_in outside of transaction", function()
    for _, e in ipairs { failure(own.script, own, "select 1"), failure(own.copy_in, own, "copy rb.t from stdin", "2\n") } do
      assert.are.equal("db_permission", e.code)
      assert.are.equal("call it inside connection:transaction, whose end takes everything back", e.fix)
    end
  end)
end)
