-- engine.task: coroutines that wait together. That waits overlap is proved with locks which only another task releases, never by
-- the clock.
local db = require "engine.db"
local task = require "engine.task"
local pg = require "pg"
local failure = require("raised").failure

local function raised(fn, ...)
  local ok, e = pcall(fn, ...)
  assert.is_false(ok)
  return e
end

describe("engine.task", function()
  local server, admin

  setup(function()
    server = pg.shared()
    admin = db.connect(server:options())
  end)

  teardown(function() admin:close() end)

  local function connect() return db.connect(server:options()) end

  --- Waits (asking the server again and again) until somebody waits for an advisory lock.
  local function until_somebody_waits(conn, key)
    repeat
      local n = conn:value("select count(*) from pg_locks where locktype = 'advisory' and objid = $1 and not granted", key)
    until n > 0
  end

  local function until_held(conn, key)
    repeat
      local n = conn:value("select count(*) from pg_locks where locktype = 'advisory' and objid = $1 and granted", key)
    until n > 0
  end

  describe("map", function()
    it("returns the results in the list's order, whoever was first", function()
      local out = task.map({ 3, 1, 2 }, 3, function(x, i)
        task.sleep(x / 1000)
        return x * 10 + i
      end)
      assert.are.same({ 31, 12, 23, n = 3 }, out)
    end)

    it("of an empty list is an empty list, and nil results leave holes", function()
      assert.are.same({ n = 0 }, task.map({}, 5, print))
      local out = task.map({ 1, 2, 3 }, 2, function(x) if x ~= 2 then return x end end)
      assert.are.same({ [1] = 1, [3] = 3, n = 3 }, out)
    end)

    -- The sandbox refuses it; here nothing does, and what waits must survive it.
    it("ends with an error when a task that waits in a map of its own is closed or resumed by another", function()
      for _, meddle in ipairs { coroutine.close, coroutine.resume } do
        local victim
        local e = raised(task.map, { 1, 2 }, 2, function(i)
          if i == 1 then
            victim = coroutine.running()
            return task.map({ 1 }, 1, function() task.sleep(0.001) end)
          end
          task.sleep(0)
          meddle(victim)
          victim = nil
          collectgarbage()
          task.sleep(0)
        end)
        assert.is_not_nil(e)
      end
    end)

    it("keeps the first of a task's results", function()
      assert.are.same({ "a", n = 1 }, task.map({ 1 }, 1, function() return "a", "b" end))
    end)

    it("never runs more than n at once, and uses all of them", function()
      local now, most = 0, 0
      task.map({ 1, 2, 3, 4, 5, 6, 7 }, 3, function()
        now = now + 1
        most = math.max(most, now)
        task.sleep(0.001)
        now = now - 1
      end)
      assert.are.equal(3, most)
    end)

    it("runs thousands of tasks that do not wait without filling the stack", function()
      local list = {}
      for i = 1, 20000 do list[i] = i end
      assert.are.equal(20000, #task.map(list, 7, function(x) return x end))
      assert.are.equal(20000, #task.map(list, 1000, function(x) task.sleep(0) return x end))
    end)

    it("lets a query wait for a lock that a query of another task releases", function()
      local order = {}
      task.map({ "holder", "waiter" }, 2, function(who)
        local conn <close> = connect()
        if who == "holder" then
          conn:exec "select pg_advisory_lock(101)"
          until_somebody_waits(conn, 101)
          order[#order + 1] = "released"
          conn:exec "select pg_advisory_unlock(101)"
        else
          until_held(conn, 101)
          conn:exec "select pg_advisory_lock(101)"
          order[#order + 1] = "got it"
        end
      end)
      assert.are.same({ "released", "got it" }, order)
    end)

    it("overlaps transactions, pipelines, tries, copies and connecting alike", function()
      local ways = {
        function(c) c:transaction(function(tx) tx:exec "select pg_advisory_xact_lock(102)" end) end,
        function(c) assert.is_true(c:pipeline { { "select pg_advisory_xact_lock(102)" } }[1].ok) end,
        function(c) assert.is_true((c:try "select pg_advisory_xact_lock(102)")) end,
        function(c) c:copy_out "copy (select pg_advisory_xact_lock(102)) to stdout" end,
        function(c) c:script "select pg_advisory_xact_lock(102); select 1" end,
        function(c) assert.are.equal(1, c:query("select pg_advisory_xact_lock(102)").n) end,
      }
      local done = 0
      task.map({ 0, 1, 2, 3, 4, 5, 6 }, 7, function(i)
        local conn <close> = connect()
        if i == 0 then
          conn:exec "select pg_advisory_lock(102)"
          repeat
            local n = conn:value "select count(*) from pg_locks where locktype = 'advisory' and objid = 102 and not granted"
          until n == #ways
          assert.are.equal(0, done)
          conn:exec "select pg_advisory_unlock(102)"
        else
          until_held(conn, 102)
          ways[i](conn)
          done = done + 1
        end
      end)
      assert.are.equal(#ways, done)
    end)

    it("inside a task overlaps with the tasks around it", function()
      local got = task.map({ "inner", "outer" }, 2, function(who)
        if who == "outer" then
          local conn <close> = connect()
          conn:exec "select pg_advisory_lock(103)"
          -- both inner tasks must wait for it, though they are of another map
          repeat
            local n = conn:value "select count(*) from pg_locks where locktype = 'advisory' and objid = 103 and not granted"
          until n == 2
          conn:exec "select pg_advisory_unlock(103)"
          return "released"
        end
        local inner = task.map({ 1, 2 }, 2, function(i)
          local conn <close> = connect()
          until_held(conn, 103)
          conn:exec "select pg_advisory_lock(103)"
          return i
        end)
        return table.concat(inner, "+")
      end)
      assert.are.same({ "1+2", "released", n = 2 }, got)
    end)

    it("three deep gives every result", function()
      local out = task.map({ 1, 2 }, 2, function(a)
        return task.map({ 1, 2 }, 2, function(b)
          return task.map({ 1, 2 }, 2, function(c)
            task.sleep(0.001)
            return a * 100 + b * 10 + c
          end)
        end)
      end)
      assert.are.equal(222, out[2][2][2])
      assert.are.equal(111, out[1][1][1])
    end)

    it("runs where a wait cannot yield, inside a C function of a task", function()
      local out = task.map({ 1, 2 }, 2, function(x)
        return (("x"):gsub("x", function()
          return x .. task.map({ 1 }, 1, function()
            task.sleep(0.001)
            return admin:value "select 7"
          end)[1]
        end))
      end)
      assert.are.same({ "17", "27", n = 2 }, out)
    end)
  end)

  describe("an error in a task", function()
    it("is raised by map as the same value, after the others have ended", function()
      local value, ended = {}, 0
      local ok, e = pcall(task.map, { 1, 2, 3 }, 3, function(x)
        if x == 2 then error(value) end
        local mark <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
        assert.is_table(mark)
        task.sleep(3600)
      end)
      assert.is_false(ok)
      assert.are.equal(value, e)
      assert.are.equal(1, ended, "task 1 was cancelled, task 3 never started")
    end)

    it("cancels a statement on the server and leaves the connection usable", function()
      local conn <close> = connect()
      local cancelled
      local e = failure(task.map, { "waits", "fails" }, 2, function(who)
        if who == "waits" then
          local _, why = pcall(conn.query, conn, "select pg_sleep(3600)")
          cancelled = why
          error(why)
        end
        repeat
          local n = admin:value("select count(*) from pg_stat_activity where pid = $1 and state = 'active'", conn:backend_pid())
        until n == 1
        error { code = "first", message = "the first error" }
      end)
      assert.are.equal("first", e.code)
      assert.are.equal("task_cancelled", cancelled.code)
      assert.are.equal(1, conn:value "select 1")
    end)

    it("cancels every statement of a pipeline", function()
      local conn <close> = connect()
      local sleep = { "select pg_sleep(3600)" }
      failure(task.map, { "waits", "fails" }, 2, function(who)
        if who == "waits" then conn:pipeline { sleep, sleep, sleep } end
        repeat
          local n = admin:value("select count(*) from pg_stat_activity where pid = $1 and state = 'active'", conn:backend_pid())
        until n == 1
        error { code = "first", message = "the first error" }
      end)
      assert.are.equal(1, conn:value "select 1")
    end)

    it("leaves a read-only connection usable, whatever it was doing", function()
      for _, call in ipairs { { "query", "select pg_sleep(0.2)" }, { "copy_out", "copy (select pg_sleep(0.2)) to stdout" },
        { "pipeline", { { "select pg_sleep(0.2)" }, { "select 1" } } }, { "reset_session" } } do
        local conn <close> = db.connect(server:options { readonly = true, role = "pg_monitor" })
        failure(task.map, { "waits", "fails" }, 2, function(who)
          if who == "waits" then conn[call[1]](conn, call[2]) end
          error { code = "first", message = "the first error" }
        end)
        assert.are.equal("pg_monitor", conn:value "select current_user::text", call[1])
      end
    end)

    it("rolls back the transactions of the tasks it cancels", function()
      admin:script "create table public.cancelled (i int)"
      local conn <close> = connect()
      failure(task.map, { "waits", "fails" }, 2, function(who)
        if who == "waits" then
          conn:transaction(function(tx)
            tx:exec "insert into public.cancelled values (1)"
            tx:exec "select pg_sleep(3600)"
          end)
        end
        repeat
          local n = admin:value("select count(*) from pg_stat_activity where pid = $1 and query like '%pg_sleep%' and state = 'active'",
            conn:backend_pid())
        until n == 1
        error { code = "first", message = "the first error" }
      end)
      assert.are.equal(0, conn:value "select count(*) from public.cancelled")
      conn:transaction(function(tx) tx:exec "insert into public.cancelled values (2)" end)
      assert.are.equal(1, admin:value "select count(*) from public.cancelled")
      admin:script "drop table public.cancelled"
    end)

    it("reaches the tasks of a map inside another", function()
      local inner
      local e = failure(task.map, { 1, 2 }, 2, function(x)
        if x == 2 then
          task.sleep(0.001)
          error { code = "first", message = "the first error" }
        end
        local _, why = pcall(task.map, { 1, 2 }, 2, function() task.sleep(3600) end)
        inner = why
      end)
      assert.are.equal("first", e.code)
      assert.are.equal("task_cancelled", inner.code)
    end)

    it("starts no further tasks", function()
      local started = 0
      failure(task.map, { 1, 2, 3, 4 }, 1, function(x)
        started = started + 1
        if x == 2 then error { code = "x", message = "x" } end
      end)
      assert.are.equal(2, started)
    end)

    it("that swallows its cancellation and goes on is waited for", function()
      local went_on = false
      failure(task.map, { 1, 2 }, 2, function(x)
        if x == 2 then error { code = "x", message = "x" } end
        pcall(task.sleep, 3600)
        task.sleep(0.001)
        went_on = true
      end)
      assert.is_true(went_on)
    end)
  end)

  describe("a task", function()
    it("may use coroutines of its own", function()
      local out = task.map({ 1, 2 }, 2, function(x)
        local gen = coroutine.wrap(function()
          for i = 1, 3 do coroutine.yield(x * i + admin:value "select 0") end
        end)
        return gen() + gen() + gen()
      end)
      assert.are.same({ 6, 12, n = 2 }, out)
    end)

    it("that yields by itself is an error", function()
      for _, values in ipairs { {}, { 1 }, { db.null, 1 }, { db.null, 1, 1, 1 } } do
        assert.are.equal("task_yield", failure(task.map, { 1 }, 1, function() coroutine.yield(table.unpack(values)) end).code)
      end
    end)

    it("that uses a connection on which another task waits gets db_busy", function()
      local conn <close> = connect()
      local e
      admin:exec "select pg_advisory_lock(104)"
      task.map({ "waits", "intrudes" }, 2, function(who)
        if who == "waits" then
          conn:exec "select pg_advisory_lock(104)"
          conn:exec "select pg_advisory_unlock(104)"
        else
          until_somebody_waits(admin, 104)
          e = failure(conn.value, conn, "select 1")
          assert.are.equal("db_busy", failure(conn.close, conn).code)
          admin:exec "select pg_advisory_unlock(104)"
        end
      end)
      assert.are.equal("db_busy", e.code)
      assert.are.equal(1, conn:value "select 1")
    end)
  end)

  it("refuses arguments of the wrong kind", function()
    for _, args in ipairs { {}, { 5, 1, print }, { {}, 0, print }, { {}, 1.5, print }, { {}, "1", print }, { {}, 1001, print },
      { {}, 1, 5 } } do
      assert.are.equal("bad_argument", failure(task.map, table.unpack(args)).code)
    end
    for _, seconds in ipairs { -1, "1", 0 / 0, math.huge, {} } do
      assert.are.equal("bad_argument", failure(task.sleep, seconds).code)
    end
  end)

  it("sleep outside a task just waits", function()
    task.sleep(0.001)
    task.sleep(0)
  end)
end)

describe("task.now", function()
  it("never goes back, and goes on while a task sleeps", function()
    local first = task.now()
    assert.are.equal("float", math.type(first))
    task.sleep(0.002)
    local second = task.now()
    assert.is_true(second - first >= 2)
    assert.is_true(task.now() >= second)
  end)
end)
