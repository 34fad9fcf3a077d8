-- Statements of engine.db: what they return, how they fail, and that the connection is usable after each failure.
local db = require "engine.db"
local pg = require "pg"
local failure = require("raised").failure

describe("engine.db", function()
  local server, conn

  setup(function()
    server = pg.shared()
    conn = db.connect(server:options())
    conn:script [[
      create schema s;
      create table s.item (id int primary key, name text not null, constraint short check (length(name) < 10));
      create role reader login;
      grant usage on schema s to reader;
      grant select on s.item to reader;
    ]]
  end)

  teardown(function()
    conn:script "drop schema s cascade; drop role reader"
    conn:close()
  end)

  before_each(function()
    conn:script "truncate s.item; insert into s.item values (1, 'one'), (2, 'two')"
    conn:notices()
  end)

  local function names()
    return conn:value "select coalesce(string_agg(name, ',' order by id), '') from s.item"
  end

  describe("a statement", function()
    it("returns the rows it affected from exec, RETURNING's rows from query", function()
      assert.are.equal(2, conn:exec "update s.item set name = name")
      assert.are.equal(0, conn:exec "delete from s.item where false")
      assert.are.equal(2, conn:exec "select 1 from s.item")
      assert.are.equal(0, conn:exec "set work_mem = '4MB'")
      local rows = conn:query("insert into s.item values ($1, $2) returning id", 3, "three")
      assert.are.same({ id = 3 }, rows[1])
    end)

    it("is one statement: a second one is refused", function()
      local e = failure(conn.query, conn, "select 1; drop table s.item")
      assert.are.equal("42601", e.sqlstate)
      assert.are.equal("one,two", names())
    end)

    it("that is not a string is refused", function()
      assert.are.equal("bad_argument", failure(conn.query, conn).code)
      assert.are.equal("bad_argument", failure(conn.query, conn, 5).code)
      assert.are.equal("bad_argument", failure(conn.query, conn, "select '\0'").code)
    end)

    it("that is a COPY is sent to copy_in and copy_out, comments before it or not", function()
      for _, sql in ipairs { "copy s.item to stdout", "  CoPy(select 1) to stdout", "-- x\n/* /* */ */ copy s.item from stdin" } do
        local e = failure(conn.query, conn, sql)
        assert.are.equal("bad_argument", e.code, sql)
        assert.matches("copy_out", e.fix, 1, true)
      end
      assert.are.equal(1, conn:value "select 1 as copy")
    end)
  end)

  describe("an error of the server", function()
    it("carries what the server says of it", function()
      local e = failure(conn.exec, conn, "insert into s.item values ($1, $2)", 1, "again")
      assert.are.equal("db_query", e.code)
      assert.are.equal("23505", e.sqlstate)
      assert.are.equal("s", e.schema)
      assert.are.equal("item", e.table)
      assert.are.equal("item_pkey", e.constraint)
      assert.matches("(id)=(1)", e.detail, 1, true)
      assert.are.equal("insert into s.item values ($1, $2)", e.query)
      e = failure(conn.exec, conn, "insert into s.item values (7, null)")
      assert.are.equal("name", e.column)
    end)

    it("carries hint and position, and reads well as text", function()
      local e = failure(conn.query, conn, "select nam from s.item")
      assert.are.equal(8, e.position)
      assert.is_string(e.hint)
      assert.matches('^db_query: column "nam" does not exist', tostring(e))
    end)

    it("shows 200 characters of the statement and never half a character", function()
      local e = failure(conn.query, conn, "select '" .. ("é"):rep(300) .. "' from nothing")
      assert.are.equal(200, utf8.len(e.query))
    end)

    it("is db_permission for a missing privilege and for a policy", function()
      local reader <close> = db.connect(server:options { user = "reader" })
      local e = failure(reader.exec, reader, "delete from s.item")
      assert.are.equal("db_permission", e.code)
      assert.are.equal("42501", e.sqlstate)
      assert.is_string(e.fix)
      conn:transaction(function()
        conn:script [[alter table s.item enable row level security; grant insert on s.item to reader;
          create policy nothing on s.item for insert to reader with check (false); set local role reader]]
        local ok, refused = conn:try "insert into s.item values (9, 'x')"
        assert.is_false(ok)
        assert.are.equal("db_permission", refused.code)
      end, { rollback = true })
    end)

    it("leaves the connection usable", function()
      for _ = 1, 3 do
        failure(conn.query, conn, "select 1/0")
        assert.are.equal(1, conn:value "select 1")
      end
    end)
  end)

  describe("a timeout", function()
    it("of the statement is db_timeout, and the connection goes on", function()
      local quick <close> = db.connect(server:options { statement_timeout_ms = 50 })
      local e = failure(quick.query, quick, "select pg_sleep(600)")
      assert.are.equal("db_timeout", e.code)
      assert.are.equal("57014", e.sqlstate)
      assert.are.equal(1, quick:value "select 1")
    end)

    it("of a lock is db_timeout", function()
      local other <close> = db.connect(server:options { options = { lock_timeout = "50ms" } })
      conn:transaction(function()
        conn:exec "lock table s.item"
        assert.are.equal("db_timeout", failure(other.query, other, "select * from s.item").code)
      end)
      assert.are.equal(2, other:query("select * from s.item").n)
    end)
  end)

  describe("try", function()
    it("returns true, the affected rows and the rows", function()
      local ok, affected, rows = conn:try "update s.item set name = 'x' where id = 1 returning id"
      assert.is_true(ok)
      assert.are.equal(1, affected)
      assert.are.same({ id = 1 }, rows[1])
    end)

    it("returns false and the error of a refused statement", function()
      local ok, e = conn:try("select 1/$1", 0)
      assert.is_false(ok)
      assert.are.equal("22012", e.sqlstate)
    end)

    it("inside a transaction leaves what was done before and what comes after", function()
      conn:transaction(function()
        conn:exec "insert into s.item values (3, 'three')"
        assert.is_false((conn:try "insert into s.item values (3, 'again')"))
        assert.is_true((conn:try "insert into s.item values (4, 'four')"))
        assert.is_false((conn:try "select nonsense"))
        conn:exec "insert into s.item values (5, 'five')"
      end)
      assert.are.equal("one,two,three,four,five", names())
    end)

    it("in a transaction that has failed says db_aborted", function()
      failure(conn.transaction, conn, function()
        pcall(conn.exec, conn, "select 1/0")
        local ok, e = conn:try "select 1"
        assert.is_false(ok)
        assert.are.equal("db_aborted", e.code)
      end)
    end)
  end)

  describe("a script", function()
    it("runs several statements and says how many", function()
      assert.are.equal(3, conn:script "insert into s.item values (3, 'x'); ; delete from s.item where id = 1; select 1")
      assert.are.equal("two,x", names())
    end)

    it("undoes all of it when one fails, and says which", function()
      local e = failure(conn.script, conn, "delete from s.item; select 1/0; select 2")
      assert.are.equal("22012", e.sqlstate)
      assert.are.equal(2, e.statement)
      assert.are.equal("one,two", names())
    end)

    it("with a COPY in it is an error and leaves the connection usable", function()
      assert.is_string(failure(conn.script, conn, "copy s.item to stdout; select 1").code)
      assert.are.equal(1, conn:value "select 1")
      assert.is_string(failure(conn.script, conn, "select 1; copy s.item from stdin").code)
      assert.are.equal(1, conn:value "select 1")
      assert.are.equal("one,two", names())
    end)
  end)

  describe("a pipeline", function()
    it("answers each statement at its place", function()
      local out = conn:pipeline { { "select $1::int as x", 7 }, { "update s.item set name = 'y'" }, { "select $1::int", nil, n = 2 } }
      assert.are.equal(3, #out)
      assert.are.same({ x = 7 }, out[1].rows[1])
      assert.are.equal(2, out[2].affected)
      assert.is_true(out[3].ok)
      assert.are.same({}, conn:pipeline {})
    end)

    it("outside a transaction lets each statement stand alone", function()
      local out = conn:pipeline { { "insert into s.item values (3, 'x')" }, { "select 1/0" }, { "insert into s.item values (4, 'y')" } }
      assert.is_true(out[1].ok)
      assert.is_false(out[2].ok)
      assert.are.equal("22012", out[2].error.sqlstate)
      assert.are.equal("select 1/0", out[2].error.query)
      assert.is_true(out[3].ok)
      assert.are.equal("one,two,x,y", names())
    end)

    it("inside a transaction lets each statement stand alone as well, and the transaction decides in the end", function()
      conn:transaction(function()
        local out = conn:pipeline { { "select 1/0" }, { "insert into s.item values (3, 'x')" }, { "insert into s.item values (3, 'x')" },
          { "delete from s.item where id = 1" }, { "select nonsense" } }
        assert.are.same({ false, true, false, true, false }, { out[1].ok, out[2].ok, out[3].ok, out[4].ok, out[5].ok })
        assert.are.equal("two,x", names())
      end, { rollback = true })
      assert.are.equal("one,two", names())
    end)

    it("that is atomic stops at the first failure and undoes what went before", function()
      local out = conn:pipeline({ { "delete from s.item" }, { "select 1/0" }, { "select 1" } }, { atomic = true })
      assert.is_true(out[1].ok)
      assert.are.equal("22012", out[2].error.sqlstate)
      assert.are.equal("db_aborted", out[3].error.code)
      assert.are.equal("one,two", names())
    end)

    it("of thousands of statements with large answers does not lock up", function()
      local list = {}
      for i = 1, 3000 do list[i] = { "select $1::int as i, repeat('x', 4000) as t, $2::text as u", i, ("y"):rep(2000) } end
      local out = conn:pipeline(list)
      assert.are.equal(3000, #out)
      for i = 1, 3000 do assert.are.equal(i, out[i].rows[1].i) end
    end)

    it("with something that is no statement is refused before anything is sent", function()
      assert.are.equal("bad_argument", failure(conn.pipeline, conn, { { "delete from s.item" }, "select 1" }).code)
      assert.are.equal("bad_argument", failure(conn.pipeline, conn, { { "delete from s.item" }, { "select $1", {} } }).code)
      assert.are.equal("bad_argument", failure(conn.pipeline, conn, { { "delete from s.item" }, {} }).code)
      assert.are.equal("one,two", names())
    end)
  end)

  describe("copy", function()
    it("brings rows in and out", function()
      assert.are.equal(2, conn:copy_in("copy s.item from stdin", "3\tthree\n4\tfour\n"))
      assert.are.equal("1\tone\n2\ttwo\n3\tthree\n4\tfour\n", conn:copy_out "copy (select * from s.item order by id) to stdout")
      assert.are.equal(0, conn:copy_in("copy s.item from stdin", ""))
    end)

    it("moves megabytes", function()
      local lines = {}
      for i = 10, 200000 do lines[#lines + 1] = i .. "\tn" .. i end
      local data = table.concat(lines, "\n") .. "\n"
      assert.are.equal(#lines, conn:copy_in("copy s.item from stdin", data))
      assert.are.equal(data, conn:copy_out "copy (select * from s.item where id >= 10 order by id) to stdout")
    end)

    it("that fails in the middle is an error with its line, and leaves the connection usable", function()
      local e = failure(conn.copy_in, conn, "copy s.item from stdin", "3\tx\nnot a number\ty\n")
      assert.are.equal("22P02", e.sqlstate)
      assert.matches("line 2", e.context, 1, true)
      assert.are.equal("22012", failure(conn.copy_out, conn, "copy (select 1/0) to stdout").sqlstate)
      assert.are.equal("one,two", names())
    end)

    it("in the wrong direction or without a COPY is an error", function()
      assert.is_string(failure(conn.copy_in, conn, "copy s.item to stdout", "x").code)
      assert.is_string(failure(conn.copy_out, conn, "copy s.item from stdin").code)
      assert.are.equal("bad_argument", failure(conn.copy_out, conn, "select 1").code)
      assert.are.equal("one,two", names())
    end)
  end)

  describe("notices", function()
    it("are those since the last call, with severity and SQLSTATE", function()
      conn:exec "do $$ begin raise notice 'hello' using hint = 'a hint'; raise warning 'careful'; end $$"
      local list = conn:notices()
      assert.are.equal(2, #list)
      assert.are.same({ severity = "NOTICE", sqlstate = "00000", message = "hello", hint = "a hint" }, list[1])
      assert.are.equal("WARNING", list[2].severity)
      assert.are.equal(0, #conn:notices())
    end)

    it("beyond a thousand are counted", function()
      conn:exec "do $$ begin for i in 1..1200 loop raise notice '%', i; end loop; end $$"
      local list = conn:notices()
      assert.are.equal(1000, #list)
      assert.are.equal(200, list.dropped)
    end)
  end)

  describe("reset_session", function()
    it("forgets settings, prepared statements and temporary tables", function()
      conn:exec "set work_mem = '5MB'"
      conn:exec "create temporary table t ()"
      conn:reset_session()
      assert.are.equal("4MB", conn:value "select current_setting('work_mem')")
      assert.is_nil(conn:value "select to_regclass('pg_temp.t')")
    end)

    it("is refused inside a transaction", function()
      failure(conn.transaction, conn, function() conn:reset_session() end)
      assert.are.equal("25001", failure(conn.transaction, conn, function() conn:reset_session() end).sqlstate)
    end)
  end)

  describe("a read-only connection", function()
    local reader

    before_each(function() reader = db.connect(server:options { readonly = true }) end)
    after_each(function() reader:close() end)

    it("reads, in every way there is", function()
      assert.are.equal(2, reader:value "select count(*) from s.item")
      assert.are.equal("1\tone\n2\ttwo\n", reader:copy_out "copy s.item to stdout")
      assert.is_true((reader:try "select 1"))
      assert.are.equal(2, reader:pipeline({ { "select 1/0" }, { "select count(*) from s.item" } })[2].rows[1].count)
      assert.are.equal(2, reader:transaction(function(tx) return tx:value "select count(*) from s.item" end))
      assert.are.equal("x", reader:value("select set_config('app.a', $1, false)", "x"))
      assert.are.equal("x", reader:value "select current_setting('app.a')", "settings of the session last")
    end)

    it("is refused every change by the server", function()
      for _, sql in ipairs { "insert into s.item values (8, 'x')", "delete from s.item", "create table s.y ()", "truncate s.item",
        "with d as (delete from s.item returning 1) select * from d", "do $$ begin delete from s.item; end $$" } do
        local ok, e = reader:try(sql)
        assert.is_false(ok, sql)
        assert.are.equal("25006", e.sqlstate, sql)
        assert.are.equal("db_permission", e.code)
      end
      assert.are.equal("one,two", names())
    end)

    it("refuses what could carry more than one statement", function()
      assert.are.equal("db_permission", failure(reader.script, reader, "select 1").code)
      assert.are.equal("db_permission", failure(reader.copy_in, reader, "copy s.item from stdin", "3\tx\n").code)
    end)

    -- Each line is tried on a connection of its own; errors on the way do not stop the attempt.
    local attempts = {
      { "set default_transaction_read_only = off", "delete from s.item" },
      { "set session characteristics as transaction read write", "delete from s.item" },
      { "set transaction read write", "delete from s.item" },
      { "select set_config('transaction_read_only', 'off', false)", "delete from s.item" },
      { "begin read write", "delete from s.item", "commit" },
      { "commit", "begin read write", "delete from s.item", "commit" },
      { "commit and chain", "set transaction read write", "delete from s.item", "commit" },
      { "rollback and chain", "set transaction read write", "delete from s.item", "commit" },
      { "start transaction read write", "delete from s.item", "commit" },
      { "reset all", "delete from s.item" },
      { "discard all", "delete from s.item" },
      { "set session authorization default", "delete from s.item" },
      { "savepoint x", "set transaction read write", "delete from s.item", "release x", "commit" },
      { "prepare p as delete from s.item", "execute p" },
      { "do $$ begin commit; set transaction read write; delete from s.item; end $$" },
      { "call s.escape()" },
    }

    it("cannot be made writable by SQL, statement by statement", function()
      conn:exec [[create or replace procedure s.escape() language plpgsql as
        $$ begin commit; set transaction read write; delete from s.item; commit; end $$]]
      for _, lines in ipairs(attempts) do
        local one <close> = db.connect(server:options { readonly = true })
        for _, sql in ipairs(lines) do pcall(one.exec, one, sql) end
        assert.are.equal("one,two", names(), table.concat(lines, "; "))
      end
    end)

    it("cannot be made writable by SQL inside a transaction, a pipeline or try", function()
      for _, lines in ipairs(attempts) do
        local text = table.concat(lines, "; ")
        local list = {}
        for i, sql in ipairs(lines) do list[i] = { sql } end
        local one <close> = db.connect(server:options { readonly = true })
        pcall(one.transaction, one, function(tx)
          for _, sql in ipairs(lines) do pcall(tx.exec, tx, sql) end
        end)
        assert.are.equal("one,two", names(), "in a transaction: " .. text)
        pcall(one.transaction, one, function(tx)
          for _, sql in ipairs(lines) do pcall(tx.try, tx, sql) end
        end)
        assert.are.equal("one,two", names(), "with try in a transaction: " .. text)
        for _, sql in ipairs(lines) do pcall(one.try, one, sql) end
        assert.are.equal("one,two", names(), "with try: " .. text)
        pcall(one.pipeline, one, list)
        assert.are.equal("one,two", names(), "in a pipeline: " .. text)
        pcall(one.pipeline, one, list, { atomic = true })
        assert.are.equal("one,two", names(), "in an atomic pipeline: " .. text)
        pcall(one.transaction, one, function(tx) tx:pipeline(list, { atomic = true }) end)
        assert.are.equal("one,two", names(), "in an atomic pipeline in a transaction: " .. text)
        pcall(one.transaction, one, function(tx) tx:pipeline(list) end)
        assert.are.equal("one,two", names(), "in a pipeline in a transaction: " .. text)
      end
    end)
  end)
end)
