-- Connecting, losing and closing, against real servers.
local db = require "engine.db"
local pg = require "pg"
local failure = require("raised").failure

local PASSWORD = "s3cret/p@ss word"

--- Every text of an error, so that a secret cannot hide in a field nobody looks at.
local function all_text(e)
  local out = { tostring(e) }
  for _, v in pairs(e) do out[#out + 1] = tostring(v) end
  return table.concat(out, "\n")
end

describe("engine.db", function()
  local server

  setup(function()
    server = pg.start({}, { "local all locked scram-sha-256", "local all unlisted reject" })
    local admin <close> = db.connect(server:options())
    admin:script(("create role locked login password '%s'; create role unlisted login; create role plain login;"
      .. "create role worker; create role other; grant worker to plain;"):format(PASSWORD))
  end)

  teardown(function() server:stop() end)

  describe("connect", function()
    it("takes a URL, and what else is given wins over it", function()
      local url = ("postgresql:///postgres?host=%s&user=plain&application_name=from_url"):format(server.host)
      local conn <close> = db.connect { url = url }
      assert.are.same({ u = "plain", a = "from_url" }, conn:row "select current_user::text as u, current_setting('application_name') as a")
      local other <close> = db.connect { url = url, user = "postgres", application_name = "mine" }
      assert.are.same({ u = "postgres", a = "mine" }, other:row "select current_user::text as u, current_setting('application_name') as a")
    end)

    it("calls itself gate-engine where no name is given", function()
      local conn <close> = db.connect(server:options())
      assert.are.equal("gate-engine", conn:value "select current_setting('application_name')")
    end)

    it("starts the session with the given settings, which RESET returns to", function()
      local conn <close> = db.connect(server:options { options = { ["app.x"] = "a b\\c 'd'", work_mem = "1MB", enable_seqscan = false } })
      assert.are.equal("a b\\c 'd'", conn:value "select current_setting('app.x')")
      assert.are.equal("off", conn:value "select current_setting('enable_seqscan')")
      conn:exec "set work_mem = '2MB'"
      conn:exec "reset work_mem"
      assert.are.equal("1MB", conn:value "select current_setting('work_mem')")
    end)

    it("keeps the settings a URL brings beside its own", function()
      local url = ("postgresql:///postgres?host=%s&user=plain&options=-c%%20work_mem%%3D1MB"):format(server.host)
      local conn <close> = db.connect { url = url, readonly = true, statement_timeout_ms = 1234 }
      assert.are.equal("1MB", conn:value "select current_setting('work_mem')")
      assert.are.equal("1234ms", conn:value "select current_setting('statement_timeout')")
      assert.are.equal("on", conn:value "select current_setting('default_transaction_read_only')")
    end)

    it("reads time stamps right though the database's DateStyle is another", function()
      local admin <close> = db.connect(server:options())
      admin:exec "alter role plain set datestyle = 'German'"
      local conn <close> = db.connect(server:options { user = "plain" })
      admin:exec "alter role plain reset datestyle"
      assert.are.equal("2027-01-31T00:00:00Z", conn:value "select timestamptz '2027-01-31 00:00+00'")
    end)

    it("takes on a role, and again after reset_session", function()
      local conn <close> = db.connect(server:options { user = "plain", role = "worker" })
      assert.are.equal("worker", conn:value "select current_user::text")
      conn:exec "reset role"
      assert.are.equal("plain", conn:value "select current_user::text")
      conn:reset_session()
      assert.are.equal("worker", conn:value "select current_user::text")
      assert.are.equal("plain", conn:value "select session_user::text")
    end)

    it("has the server look for its end, after reset_session too, unless that is settled already", function()
      local CHECK = "show client_connection_check_interval"
      local conn <close> = db.connect(server:options { user = "plain" })
      assert.are.equal("1s", conn:value(CHECK))
      conn:exec "reset client_connection_check_interval"
      assert.are.equal("0", conn:value(CHECK))
      conn:reset_session()
      assert.are.equal("1s", conn:value(CHECK))
      local settled <close> = db.connect(server:options { options = { client_connection_check_interval = "7s" } })
      assert.are.equal("7s", settled:value(CHECK))
    end)

    it("fails where the role may not be taken on, or is not there", function()
      local e = failure(db.connect, server:options { user = "plain", role = "other" })
      assert.are.equal("db_permission", e.code)
      assert.are.equal("42501", e.sqlstate)
      assert.are.equal("22023", failure(db.connect, server:options { user = "plain", role = "nobody" }).sqlstate)
    end)

    it("logs in with a password", function()
      local conn <close> = db.connect(server:options { user = "locked", password = PASSWORD })
      assert.are.equal("locked", conn:value "select session_user::text")
    end)

    it("says db_auth for a wrong and a missing password, and never shows one", function()
      local wrong = failure(db.connect, server:options { user = "locked", password = "wrong-" .. PASSWORD })
      assert.are.equal("db_auth", wrong.code)
      assert.matches("locked", wrong.message, 1, true)
      assert.not_matches("wrong-", all_text(wrong), 1, true)
      assert.are.equal("db_auth", failure(db.connect, server:options { user = "locked" }).code)
    end)

    it("says db_auth for a user the server does not know or does not let in", function()
      assert.are.equal("db_auth", failure(db.connect, server:options { user = "nobody" }).code)
      assert.are.equal("db_auth", failure(db.connect, server:options { user = "unlisted" }).code)
    end)

    it("says db_connect for a database that is not there, a server that is not there, a host that has none", function()
      assert.are.equal("db_connect", failure(db.connect, server:options { dbname = "nothing" }).code)
      local e = failure(db.connect, server:options { host = server.dir .. "/nowhere" })
      assert.are.equal("db_connect", e.code)
      assert.matches("nowhere", e.message, 1, true)
      assert.is_string(e.fix)
      assert.are.equal("db_connect", failure(db.connect, { hostaddr = "127.0.0.1", port = 1, user = "x", dbname = "x" }).code)
    end)

    it("does not show the password of a URL it cannot read or connect with", function()
      for _, url in ipairs { "postgresql://u:hunter22@[::1", "postgresql://u:hunter22@h:1?nonsense=1", "postgresql://u:hunter22%zz@h/",
        "host=x password='hunter22", "postgresql://u:hunter22@127.0.0.1:1/d", "user=u password=hunter22 host=/nonexistent" } do
        local e = failure(db.connect, { url = url })
        assert.are.equal("db_connect", e.code)
        assert.not_matches("hunter22", all_text(e), 1, true)
      end
    end)

    it("gives up on a server that never answers", function()
      local stopped <close> = setmetatable({}, { __close = function() server:signal "CONT" end })
      server:signal "STOP"
      local e = failure(db.connect, server:options { connect_timeout = 0.2 })
      assert.are.equal("db_connect", e.code)
      assert.matches("0.2 s", e.message, 1, true)
      assert.is_table(stopped)
    end)

    it("refuses options it does not know and values of the wrong kind", function()
      local e = failure(db.connect, { hots = "x" })
      assert.are.equal("bad_argument", e.code)
      assert.matches('"host"', e.message, 1, true)
      assert.are.equal("bad_argument", failure(db.connect, server:options { port = "5432" }).code)
      assert.are.equal("bad_argument", failure(db.connect, server:options { connect_timeout = 0 }).code)
      assert.are.equal("bad_argument", failure(db.connect, server:options { options = { x = {} } }).code)
      assert.are.equal("bad_argument", failure(db.connect, server:options { dbname = "a\0b" }).code)
      assert.are.equal("bad_argument", failure(db.connect).code)
    end)
  end)

  describe("a connection", function()
    it("tells its server's parameters and its backend", function()
      local conn <close> = db.connect(server:options())
      assert.matches("^%d+", conn:parameter "server_version")
      assert.is_nil(conn:parameter "no_such_parameter")
      assert.are.equal(conn:value "select pg_backend_pid()", conn:backend_pid())
    end)

    it("shows whether it is open, and can be closed twice", function()
      local conn = db.connect(server:options())
      assert.matches("^db.connection %(backend %d+%)$", tostring(conn))
      assert.is_true(conn:is_open())
      conn:close()
      conn:close()
      assert.is_false(conn:is_open())
      assert.are.equal("db.connection (closed)", tostring(conn))
    end)

    it("raises db_closed from every method once closed", function()
      local conn = db.connect(server:options())
      conn:close()
      for _, call in ipairs { { "query", "select 1" }, { "row", "select 1" }, { "value", "select 1" }, { "exec", "select 1" },
        { "try", "select 1" }, { "script", "select 1" }, { "pipeline", {} }, { "transaction", print }, { "copy_out", "copy x to stdout" },
        { "copy_in", "copy x from stdin", "" }, { "reset_session" }, { "notices" }, { "parameter", "x" }, { "backend_pid" } } do
        assert.are.equal("db_closed", failure(conn[call[1]], conn, table.unpack(call, 2)).code, call[1])
      end
    end)

    it("ends its session when closed, collected or left", function()
      local admin <close> = db.connect(server:options())
      local function gone(pid)
        repeat local n = admin:value("select count(*) from pg_stat_activity where pid = $1", pid) until n == 0
        return true
      end
      local first = db.connect(server:options())
      local pid = first:backend_pid()
      first:close()
      assert.is_true(gone(pid))
      do
        local left <close> = db.connect(server:options())
        pid = left:backend_pid()
      end
      assert.is_true(gone(pid))
      first = db.connect(server:options())
      pid = first:backend_pid()
      first = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.is_true(gone(pid))
    end)

    it("does not let a script reach or change its metatable", function()
      local conn <close> = db.connect(server:options())
      assert.is_false(getmetatable(conn))
      assert.is_false(pcall(setmetatable, conn, {}))
    end)

    it("names what it was called with when called without a colon", function()
      local conn <close> = db.connect(server:options())
      local e = failure(conn.query, "select 1")
      assert.are.equal("bad_argument", e.code)
      assert.matches("connection:query", e.message, 1, true)
    end)
  end)

  describe("a connection that is lost", function()
    it("says db_lost with the server's reason when its session is terminated, and from then on", function()
      local admin <close> = db.connect(server:options())
      local conn <close> = db.connect(server:options())
      admin:value("select pg_terminate_backend($1, 10000)", conn:backend_pid())
      local e = failure(conn.query, conn, "select 1")
      assert.are.equal("db_lost", e.code)
      assert.are.equal("57P01", e.sqlstate)
      assert.matches("terminating connection", e.detail, 1, true)
      assert.is_false(conn:is_open())
      assert.are.equal("db.connection (lost)", tostring(conn))
      assert.are.equal("db_lost", failure(conn.value, conn, "select 1").code)
      assert.are.equal("db_lost", failure(conn.try, conn, "select 1").code)
    end)

    it("says db_lost when the server crashes under a statement, a script, a pipeline and a copy", function()
      for _, call in ipairs { { "query", "select pg_terminate_backend(pg_backend_pid())" },
        { "try", "select pg_terminate_backend(pg_backend_pid())" },
        { "script", "select 1; select pg_terminate_backend(pg_backend_pid()); select 2" },
        { "pipeline", { { "select 1" }, { "select pg_terminate_backend(pg_backend_pid())" }, { "select 2" } } },
        { "copy_out", "copy (select pg_terminate_backend(pg_backend_pid())) to stdout" } } do
        local conn <close> = db.connect(server:options())
        assert.are.equal("db_lost", failure(conn[call[1]], conn, call[2]).code, call[1])
        assert.is_false(conn:is_open())
      end
    end)

    it("inside a transaction does not mask the first error, nor pass for a commit", function()
      local conn <close> = db.connect(server:options())
      local first = { code = "mine", message = "the first error" }
      local e = failure(conn.transaction, conn, function(tx)
        pcall(tx.query, tx, "select pg_terminate_backend(pg_backend_pid())")
        error(first)
      end)
      assert.are.equal(first, e)
      local other <close> = db.connect(server:options())
      e = failure(other.transaction, other, function(tx)
        pcall(tx.query, tx, "select pg_terminate_backend(pg_backend_pid())")
        return "done"
      end)
      assert.are.equal("db_lost", e.code)
    end)

    it("a server that is gone is db_lost, then db_connect, and back again after its start", function()
      local own = pg.start()
      local conn <close> = db.connect(own:options())
      own:stop { keep = true }
      assert.are.equal("db_lost", failure(conn.query, conn, "select 1").code)
      assert.are.equal("db_connect", failure(db.connect, own:options()).code)
      own:launch()
      local again <close> = db.connect(own:options())
      assert.are.equal(1, again:value "select 1")
      own:stop()
    end)
  end)
end)
