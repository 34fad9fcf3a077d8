-- connection:transaction: what is committed, what is not, and which error is told.
local db = require "engine.db"
local task = require "engine.task"
local pg = require "pg"
local failure = require("raised").failure

describe("connection:transaction", function()
  local server, conn

  setup(function()
    server = pg.shared()
    conn = db.connect(server:options())
    conn:script "create schema tx; create table tx.t (i int); create table tx.d (i int unique deferrable initially deferred)"
  end)

  teardown(function()
    conn:script "drop schema tx cascade"
    conn:close()
  end)

  before_each(function() conn:script "truncate tx.t, tx.d" end)

  local function rows() return conn:value "select coalesce(string_agg(i::text, ',' order by i), '') from tx.t" end
  local function add(c, i) c:exec("insert into tx.t values ($1)", i) end
  local function boom() error({ code = "mine", message = "boom" }) end

  it("commits, and returns what the function returns", function()
    local a, b, c = conn:transaction(function(tx)
      assert.are.equal(conn, tx)
      add(tx, 1)
      return "x", nil, 3
    end)
    assert.are.same({ "x", 3 }, { a, c })
    assert.is_nil(b)
    assert.are.equal("1", rows())
    assert.are.equal(0, select("#", conn:transaction(function() end)))
  end)

  it("rolls back on an error and raises the very same value", function()
    local value = setmetatable({}, {})
    local ok, e = pcall(conn.transaction, conn, function(tx)
      add(tx, 1)
      error(value)
    end)
    assert.is_false(ok)
    assert.are.equal(value, e)
    assert.are.equal("", rows())
    for _, other in ipairs { "text", 5, false } do
      ok, e = pcall(conn.transaction, conn, function() error(other, 0) end)
      assert.is_false(ok)
      assert.are.equal(other, e)
    end
    assert.are.equal("query canceled", (select(2, pcall(conn.transaction, conn, function() error("query canceled", 0) end))))
  end)

  it("with rollback = true keeps nothing and returns the values all the same", function()
    assert.are.equal(1, conn:transaction(function(tx)
      add(tx, 1)
      return tx:value "select count(*) from tx.t"
    end, { rollback = true }))
    assert.are.equal("", rows())
  end)

  it("with rollback = true keeps nothing even if SQL inside tries to commit", function()
    for _, sql in ipairs { "commit", "END", "  /* x */ Commit -- y", "commit and chain", "begin", "start transaction", "rollback",
      "abort", "rollback work", "prepare transaction 'gate_test'", ";commit" } do
      local e = failure(conn.transaction, conn, function(tx)
        add(tx, 1)
        tx:exec(sql)
      end, { rollback = true })
      assert.are.equal("db_transaction", e.code, sql)
      assert.are.equal("", rows(), sql)
      conn:transaction(function(tx)
        add(tx, 1)
        assert.are.equal("db_transaction", failure(tx.try, tx, sql).code)
        assert.are.equal("db_transaction", failure(tx.pipeline, tx, { { sql } }).code)
      end, { rollback = true })
      assert.are.equal("", rows(), sql)
    end
  end)

  it("allows savepoints of SQL's own", function()
    conn:transaction(function(tx)
      tx:exec "savepoint a"
      add(tx, 1)
      tx:exec "rollback to savepoint a"
      tx:exec "ROLLBACK WORK TO a"
      tx:exec "release a"
      add(tx, 2)
    end)
    assert.are.equal("2", rows())
  end)

  it("says db_transaction when a script inside ended it, though the error is caught", function()
    for _, sql in ipairs { "commit", "commit; begin", "rollback", "rollback; begin; insert into tx.t values (9)" } do
      local e = failure(conn.transaction, conn, function(tx)
        assert.are.equal("db_transaction", failure(tx.script, tx, sql).code, sql)
        return "all is well"
      end)
      assert.are.equal("db_transaction", e.code, sql)
      assert.are.equal("", rows(), sql)
      assert.are.equal(1, conn:value "select 1")
    end
  end)

  it("nested is a savepoint: an inner failure undoes the inner part alone", function()
    conn:transaction(function(tx)
      add(tx, 1)
      assert.are.equal("mine", failure(tx.transaction, tx, function()
        add(tx, 2)
        tx:transaction(function() add(tx, 3) end)
        boom()
      end).code)
      tx:transaction(function() add(tx, 4) end)
      tx:transaction(function() add(tx, 5) end, { rollback = true })
    end)
    assert.are.equal("1,4", rows())
  end)

  it("nested after a failed statement goes on in the outer one", function()
    conn:transaction(function(tx)
      add(tx, 1)
      assert.are.equal("22012", failure(tx.transaction, tx, function() tx:exec "select 1/0" end).sqlstate)
      add(tx, 2)
    end)
    assert.are.equal("1,2", rows())
  end)

  it("does not commit what the server has given up, and says so", function()
    local e = failure(conn.transaction, conn, function(tx)
      add(tx, 1)
      pcall(tx.exec, tx, "select 1/0")
      return "done"
    end)
    assert.are.equal("db_aborted", e.code)
    assert.are.equal("", rows())
    conn:transaction(function(tx)
      add(tx, 1)
      e = failure(tx.transaction, tx, function() pcall(tx.exec, tx, "select 1/0") end)
      add(tx, 2)
    end)
    assert.are.equal("db_aborted", e.code)
    assert.are.equal("1,2", rows())
  end)

  it("with rollback = true minds no failed statement", function()
    assert.are.equal("done", conn:transaction(function(tx)
      pcall(tx.exec, tx, "select 1/0")
      return "done"
    end, { rollback = true }))
  end)

  it("raises what COMMIT itself fails with", function()
    local e = failure(conn.transaction, conn, function(tx) tx:exec "insert into tx.d values (1), (1)" end)
    assert.are.equal("23505", e.sqlstate)
    assert.are.equal("COMMIT", e.query)
    assert.are.equal(0, conn:value "select count(*) from tx.d")
  end)

  it("takes isolation and readonly, which belong to the outermost", function()
    conn:transaction(function(tx)
      assert.are.equal("serializable", tx:value "show transaction_isolation")
      assert.are.equal("on", tx:value "show transaction_read_only")
      assert.are.equal("25006", select(2, tx:try "insert into tx.t values (1)").sqlstate)
    end, { isolation = "serializable", readonly = true })
    conn:transaction(function(tx)
      assert.are.equal("bad_argument", failure(tx.transaction, tx, print, { isolation = "serializable" }).code)
    end)
    assert.are.equal("bad_argument", failure(conn.transaction, conn, print, { isolation = "none" }).code)
    assert.are.equal("bad_argument", failure(conn.transaction, conn, print, { rolback = true }).code)
    assert.are.equal("bad_argument", failure(conn.transaction, conn).code)
  end)

  it("refuses to begin where SQL has begun one", function()
    conn:exec "begin"
    assert.are.equal("db_transaction", failure(conn.transaction, conn, function() end).code)
    conn:exec "rollback"
  end)

  it("whose connection is closed inside tells the first error, or that nothing was committed", function()
    local one = db.connect(server:options())
    assert.are.equal("mine", failure(one.transaction, one, function(tx)
      tx:close()
      boom()
    end).code)
    one = db.connect(server:options())
    assert.are.equal("db_closed", failure(one.transaction, one, function(tx)
      add(tx, 1)
      tx:close()
    end).code)
    assert.are.equal("", rows())
  end)

  it("works across the waits of tasks, each on a connection of its own", function()
    local out = task.map({ 1, 2, 3, 4 }, 4, function(i)
      local c <close> = db.connect(server:options())
      return c:transaction(function(tx)
        add(tx, i)
        local ok, e = pcall(tx.transaction, tx, function()
          add(tx, i * 10)
          boom()
        end)
        assert.is_false(ok)
        assert.are.equal("mine", e.code)
        add(tx, i * 100)
        return i
      end, { rollback = i == 4 })
    end)
    assert.are.same({ 1, 2, 3, 4, n = 4 }, out)
    assert.are.equal("1,2,3,100,200,300", rows())
  end)

  it("works in a coroutine of the script's own, and inside a C function, where nothing can yield", function()
    local wrapped = coroutine.wrap(function() return conn:transaction(function(tx) add(tx, 1) return "w" end) end)
    assert.are.equal("w", wrapped())
    local results = task.map({ 1 }, 1, function()
      return (("x"):gsub("x", function()
        return conn:transaction(function(tx)
          add(tx, 2)
          return "done"
        end)
      end))
    end)
    assert.are.equal("done", results[1])
    assert.are.equal("1,2", rows())
  end)

  it("belongs to its task: another one gets db_busy", function()
    local inside, e = false, nil
    task.map({ "owner", "other" }, 2, function(who)
      if who == "owner" then
        conn:transaction(function()
          inside = true
          repeat task.sleep(0) until not inside
        end)
      else
        repeat task.sleep(0) until inside
        e = failure(conn.query, conn, "select 1")
        inside = false
      end
    end)
    assert.are.equal("db_busy", e.code)
    assert.matches("inside a transaction of another task", e.message, 1, true)
  end)
end)
