-- Gate 1's code paths by the application's own statements: real clients through the recorder, to a real server and to pgbouncer.
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local servers = require "servers"
local support = require "support"

local quote = support.quote

local SCHEMA = [[
  create role app_user login password 'app-password-1';
  alter role postgres password 'admin-password-1';
  create table items (id bigserial primary key, tenant_id uuid not null, name text not null);
  create table notes (id bigserial primary key, item_id bigint not null references items, tenant_id uuid not null, body text);
  create table countries (code text primary key);
  alter table items enable row level security;
  alter table items force row level security;
  alter table notes enable row level security;
  alter table notes force row level security;
  create policy t on items using (tenant_id::text = current_setting('app.current_tenant_id', true));
  create policy t on notes using (tenant_id::text = current_setting('app.current_tenant_id', true));
  grant select, insert, update, delete on items, notes, countries to app_user;
  grant usage on all sequences in schema public to app_user;
]]

local PYTEST = { "/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", support.root .. "/tests/services/shop" }
local CLEAN = { "/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not report",
  support.root .. "/tests/services/shop" }

describe("the recorder", function()
  local postgres, app

  setup(function()
    postgres = servers.postgres()
    postgres.sql(SCHEMA)
    app = postgres.url("app_user", "app-password-1")
  end)

  teardown(servers.stop_all)

  local function configuration(extra, app_url)
    return support.write(support.tmpdir() .. "/gate-engine.conf.lua", ([[
      return {
        platform = "external", %s
        database = {
          admin = { url = env "TEST_ADMIN_URL" },
          app = { url = env "TEST_APP_URL" },
          tenant = { column = "tenant_id", setting = "app.current_tenant_id" },
        },
      }]]):format(extra or "")), { TEST_ADMIN_URL = postgres.url("postgres", "admin-password-1"), TEST_APP_URL = app_url or app,
        PYTHONDONTWRITEBYTECODE = "1" }
  end

  local function engine(argv, options)
    options = options or {}
    local path, env = configuration(options.extra, options.app)
    env.GATE_ENGINE_CONFIG = path
    local words = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "code_paths" }
    for _, word in ipairs(argv) do words[#words + 1] = word end
    return support.run { argv = words, env = env }
  end

  --- Runs a command while it is recorded: the run, the recording's path, the report.
  local function record(command, options)
    local dir = support.tmpdir()
    local argv = { "--record", dir .. "/r.jsonl", "--report", "json=" .. dir .. "/report.json" }
    for _, word in ipairs(options and options.flags or {}) do argv[#argv + 1] = word end
    argv[#argv + 1] = "--"
    for _, word in ipairs(command) do argv[#argv + 1] = word end
    local r = engine(argv, options)
    return r, dir .. "/r.jsonl", json.decode(support.must_read(dir .. "/report.json"))
  end

  local function shell(script) return { "/bin/sh", "-euc", script } end

  local function facts(report) return report.gates[1].facts end

  local function found(report)
    local out = {}
    for _, c in ipairs(report.gates[1].checks) do
      if c.status == "FAIL" then out[#out + 1] = c["class"] .. " " .. c.object end
    end
    return table.concat(out, "; ")
  end

  --- A client that states a tenant and reads its items once, so that a recording of it passes.
  local GOOD = [[psql -Xq -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "begin; set local app.current_tenant_id = 'x'; ]]
    .. [[select count(*) from items; commit" >/dev/null]]

  describe("around a test suite", function()
    local r, path, report

    setup(function() r, path, report = record(PYTEST) end)

    it("finds the one path that does not state its tenant", function()
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.equal("set_config_missing select count(*) from notes where body like $1", found(report))
      assert.is_truthy(r.stdout:find("❌ FAIL - set_config not called", 1, true), r.stdout)
      assert.is_truthy(r.stdout:find("application shop, 1 time", 1, true), r.stdout)
    end)

    it("says what it saw", function()
      assert.equal(5, facts(report).recorded_sessions)
      assert.is_true(facts(report).recorded_statements > 60)
    end)

    it("keeps no value of the application's, in the recording or in the report", function()
      local all = support.must_read(path) .. json.encode(report) .. r.stdout .. r.stderr
      assert.is_nil(all:find("confidential-item-name", 1, true))
      assert.is_nil(all:find("urgent", 1, true))
      assert.is_nil(all:find("app-password-1", 1, true))
      assert.is_nil(support.must_read(path):find "%x%x%x%x%x%x%x%x%-%x%x%x%x%-")
    end)
  end)

  describe("around a suite that states its tenant everywhere", function()
    local r, path

    setup(function() r, path = record(CLEAN) end)

    it("passes", function() assert.equal(0, r.code, r.stdout .. r.stderr) end)

    it("makes a recording that passes again, by option and by configuration", function()
      local again = engine { "--recording", path }
      assert.equal(0, again.code, again.stdout .. again.stderr)
      again = engine({}, { extra = ("recording = %q,"):format(path) })
      assert.equal(0, again.code, again.stdout .. again.stderr)
    end)

    local function refused(bytes, what)
      local file = support.write(support.tmpdir() .. "/r.jsonl", bytes)
      local again = engine { "--recording", file }
      assert.equal(3, again.code, again.stdout .. again.stderr)
      assert.is_truthy(again.stdout:find(what, 1, true), again.stdout)
    end

    it("that is refused once it is cut", function()
      local bytes = support.must_read(path)
      refused(bytes:gsub("[^\n]*\n$", ""), "its last line is missing")
      refused(bytes:sub(1, -20), "its last line has no end")
    end)

    it("that is refused once it is edited", function()
      local bytes = support.must_read(path)
      refused((bytes:gsub("insert into notes", "insert into n0tes")), "it was changed")
      local groups = 0
      refused((bytes:gsub('{"t":"group"[^\n]*\n', function(line)
        groups = groups + 1
        return groups == 3 and "" or line
      end)), "its last line counts")
    end)

    it("that is refused by another database", function()
      postgres.sql "create database elsewhere"
      local path2, env = configuration()
      env.TEST_ADMIN_URL = env.TEST_ADMIN_URL:gsub("/postgres$", "/elsewhere")
      env.TEST_APP_URL = env.TEST_APP_URL:gsub("/postgres$", "/elsewhere")
      env.GATE_ENGINE_CONFIG = path2
      local again = support.run { env = env, argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "code_paths",
        "--recording", path } }
      assert.equal(3, again.code, again.stdout .. again.stderr)
      assert.is_truthy(again.stdout:find("the recording is of another database", 1, true), again.stdout)
    end)
  end)

  describe("is an error", function()
    local function an_error(command, what, options)
      local r = record(command, options)
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy((r.stdout .. r.stderr):find(what, 1, true), r.stdout .. r.stderr)
    end

    it("where no tenant's table was touched", function()
      an_error(shell [[psql -Xq "$DATABASE_URL" -c "select * from countries"]], "none touched a tenant's table")
    end)

    it("where tables were touched only by a role that is not bound", function()
      an_error(shell(("psql -Xq postgresql://postgres:admin-password-1@$PGHOST:$PGPORT/postgres?sslmode=disable -c %s")
        :format(quote "select count(*) from items")), "only as postgres")
    end)

    it("where the command fails", function() an_error(shell(GOOD .. "; exit 7"), "the recorded command ended with exit 7") end)

    it("where the command cannot be started", function() an_error({ "/nonexistent/suite" }, "/nonexistent/suite cannot be started") end)

    it("where the recorder is killed; and its recording is worth nothing", function()
      local r, path = record(shell(GOOD .. "; kill -9 $(pgrep -P $PPID -x gate-recorder); " .. GOOD))
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find("the recorder died", 1, true), r.stderr)
      local again = engine { "--recording", path }
      assert.equal(3, again.code, again.stdout .. again.stderr)
      assert.is_truthy(again.stdout:find("the recording is not whole", 1, true), again.stdout)
    end)

    it("of usage where a command stands there and nothing records it", function()
      local r = engine { "--", "true" }
      assert.equal(2, r.code, r.stderr)
      assert.is_truthy(r.stderr:find("add --record FILE", 1, true), r.stderr)
    end)
  end)

  describe("follows", function()
    --- pgbench's script: each of its n statements is recorded once for each of the transactions.
    local function bench(script, n, flags)
      local file = support.write(support.tmpdir() .. "/script.sql", script)
      local r, _, report = record(shell(("pgbench -n -c 50 -j 2 -t 4 %s -f %s postgres >/dev/null"):format(flags, file)))
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.equal(50 * 4 * n, facts(report).recorded_statements)
      assert.equal(51, facts(report).recorded_sessions) -- pgbench looks at the database by one more
    end

    local SCRIPT = "begin;\nselect set_config('app.current_tenant_id', :client_id::text, true);\nselect * from items where name = 'x';\n"
      .. "commit;\n"

    it("fifty clients with simple queries", function() bench(SCRIPT, 4, "-M simple") end)
    it("fifty clients with extended queries", function() bench(SCRIPT, 4, "-M extended") end)
    it("fifty clients with prepared statements", function() bench(SCRIPT, 4, "-M prepared") end)
    it("fifty clients with pipelines", function()
      bench("\\startpipeline\n" .. SCRIPT .. "\\endpipeline\n", 4, "-M extended")
    end)
    it("several statements in one query", function()
      bench("begin\\; set local app.current_tenant_id = 'a'\\; select 1 from items\\; commit\\; select 2;\n", 5, "-M simple")
    end)

    it("COPY of many megabytes both ways, byte for byte, and keeps none of it", function()
      local dir = support.tmpdir()
      local r, path = record(shell((GOOD .. "\n" .. [[
        cd %s
        seq 1 400000 | awk '{ print $1 "\tconfidential-" $1 "-of-a-tenant" }' >in.tsv
        psql -Xq -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "create temp table big (id int, body text)" -c "\copy big from in.tsv" \
          -c "\copy (select * from big order by id) to out.tsv"
        cmp in.tsv out.tsv]]):format(dir)))
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.is_true(#support.must_read(dir .. "/out.tsv") > 10000000)
      assert.is_nil(support.must_read(path):find("confidential", 1, true))
      assert.is_true(#support.must_read(path) < 5000)
    end)

    it("a request to cancel", function()
      local r = record(shell(GOOD .. "; /usr/bin/python3 " .. support.root .. "/tests/services/shop/cancel.py"))
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("clients over a unix socket, until it is interrupted", function()
      local path, env = configuration()
      local dir = support.tmpdir()
      env.GATE_ENGINE_CONFIG = path
      local r = support.run { env = env, prefix = "", program = "/bin/sh", argv = { "-euc", ([[
        %s run gates/rls_harness.lua --tenant acme --only code_paths --record %s/r.jsonl --listen %s &
        until [ -S %s/.s.PGSQL.5432 ]; do :; done
        export DATABASE_URL="postgresql://app_user:app-password-1@/postgres?host=%s"
        %s
        kill -INT $!
        wait $!]]):format(support.engine, dir, dir, dir, dir, GOOD) } }
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.is_nil(support.read(dir .. "/.s.PGSQL.5432"))
      assert.is_truthy(support.must_read(dir .. "/r.jsonl"):find('"t":"end"', 1, true))
    end)

    it("clients that are slow, half-closed, hostile, or of a newer protocol", function()
      local socket = ("postgresql://app_user@/postgres?host=%s&port=%s"):format(postgres.dir, postgres.port)
      local r = record(shell("/usr/bin/python3 " .. support.root .. "/tests/services/shop/raw.py"), { app = socket })
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("a server that restarts", function()
      local r = record(shell(GOOD .. "; " .. postgres.restart .. "; " .. GOOD))
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)
  end)

  it("tells its clients that the server is down, and asks nobody who is not there", function()
    local r = record(shell([[! psql -X "$DATABASE_URL" -c "select 1"; false]]), { app = (app:gsub(":%d+/", ":1/")) })
    assert.equal(3, r.code, r.stdout .. r.stderr)
    local told = "the recording proxy cannot reach the database at 127.0.0.1 port 1: Connection refused"
    assert.is_truthy(r.stderr:find(told, 1, true), r.stderr)
  end)

  describe("between", function()
    it("the application and pgbouncer finds what is left over for the next client", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" })
      local r, _, report = record(shell [[
        psql -Xq "$DATABASE_URL" -c "set app.current_tenant_id = 'x'" -c "select count(*) from items" >/dev/null]],
        { app = bouncer.url("app_user", "app-password-1") })
      assert.equal(1, r.code, r.stdout .. r.stderr)
      assert.equal("context_session_level set app.current_tenant_id = '?'; context_left_over select count(*) from items", found(report))
    end)

    it("the application and pgbouncer passes a suite that states its tenant everywhere", function()
      local bouncer = servers.pgbouncer(postgres, { app_user = "app-password-1" })
      local command = { "/usr/bin/env", "SHOP_POOLED=1", table.unpack(CLEAN) }
      local r = record(command, { app = bouncer.url("app_user", "app-password-1") })
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)
  end)

  describe("and encryption:", function()
    local secure

    setup(function()
      secure = servers.postgres()
      secure.sql(SCHEMA)
      support.shell(([[cd %s/data && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.crt 2>/dev/null \
        && chmod 600 server.key && chown --reference=. server.key server.crt]]):format(secure.dir))
      secure.sql "alter system set ssl = on"
      support.shell(secure.restart)
    end)

    local function secured(url, script)
      local path, env = configuration(nil, url)
      env.TEST_ADMIN_URL = secure.url("postgres", "admin-password-1")
      env.GATE_ENGINE_CONFIG = path
      local file = support.tmpdir() .. "/r.jsonl"
      return support.run { env = env, argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "code_paths", "--record", file,
        "--", "/bin/sh", "-euc", script } }
    end

    local SEES_TLS = GOOD .. [[; test t = "$(psql -XqAt "$DATABASE_URL" -c "select ssl from pg_stat_ssl where pid = pg_backend_pid()")"]]

    it("the server's side is encrypted where the server can, with SCRAM and without channel binding", function()
      local r = secured(secure.url("app_user", "app-password-1"), SEES_TLS)
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end)

    it("its certificate is compared where sslmode says so", function()
      local url = secure.url("app_user", "app-password-1"):gsub("127%.0%.0%.1", "localhost")
      local full = ("?sslmode=verify-full&sslrootcert=%s/data/server.crt"):format(secure.dir)
      local r = secured(url .. full, SEES_TLS)
      assert.equal(0, r.code, r.stdout .. r.stderr)
      r = secured(secure.url("app_user", "app-password-1") .. full, SEES_TLS)
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find("TLS handshake with the database failed: ", 1, true), r.stderr)
    end)

    it("a server without it is refused where sslmode demands it", function()
      local r = record(shell(GOOD), { app = app .. "?sslmode=require" })
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find("offers no TLS, and sslmode demands it", 1, true), r.stderr)
    end)

    it("a client that demands it is told no, and told why", function()
      local r = record(shell(GOOD .. [[; ! PGSSLMODE=require psql -X "host=$PGHOST port=$PGPORT user=app_user" -c "select 1"]]))
      assert.equal(0, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stderr:find("server does not support SSL, but SSL was required", 1, true), r.stderr)
      assert.is_truthy(r.stderr:find("a client left when it was refused TLS", 1, true), r.stderr)
    end)
  end)

  describe("is not needed where the server logs", function()
    local logged, dir

    setup(function()
      logged = servers.postgres()
      logged.sql(SCHEMA)
      for _, setting in ipairs { "logging_collector = on", "log_destination = 'csvlog,jsonlog'", "log_filename = 'statements'",
        "log_statement = 'all'" } do
        logged.sql("alter system set " .. setting)
      end
      support.shell(logged.restart)
      dir = logged.dir .. "/data/log"
    end)

    --- Settings of the server. A new session has them: the postmaster has read them when it starts one.
    local function configure(...)
      for _, setting in ipairs { ... } do logged.sql("alter system set " .. setting) end
      logged.sql "select pg_reload_conf()"
    end

    local function empty() support.shell(("for f in %s/statements*; do : >$f; done"):format(dir)) end

    before_each(empty)

    local marks = 0

    --- Runs it, and waits until the collector has written all of it: the last statement of all is a mark.
    local function suite(command)
      marks = marks + 1
      local mark = ("this_is_mark_%d"):format(marks)
      support.shell(("cd %s && export DATABASE_URL=%s PYTHONDONTWRITEBYTECODE=1; sh -euc %s >/dev/null; "
        .. "psql -Xq \"$DATABASE_URL\" -c 'select 1/0 as %s' 2>/dev/null; "
        .. "until grep -q %s %s/statements.csv && grep -q %s %s/statements.json; do :; done")
        :format(support.tmpdir(), quote(logged.url("app_user", "app-password-1")), quote(command), mark, mark, dir, mark, dir))
    end

    local function words(list)
      local out = {}
      for i, word in ipairs(list) do out[i] = quote(word) end
      return table.concat(out, " ")
    end

    --- Both formats say the same: the code and the findings.
    local function judged()
      local path, env = configuration()
      env.TEST_ADMIN_URL = logged.url("postgres", "admin-password-1")
      env.TEST_APP_URL = logged.url("app_user", "app-password-1")
      env.GATE_ENGINE_CONFIG = path
      local first
      for _, kind in ipairs { "csv", "json" } do
        local out = support.tmpdir()
        support.shell(("cp %s/statements.%s %s/log && chmod 644 %s/log"):format(dir, kind, out, out))
        local r = support.run { env = env, argv = { "run", "gates/rls_harness.lua", "--tenant", "acme", "--only", "code_paths",
          "--recording", out .. "/log", "--report", "json=" .. out .. "/report.json" } }
        local text = support.must_read(out .. "/report.json")
        assert.is_nil(text:find("confidential-item-name", 1, true))
        local now = { code = r.code, found = found(json.decode(text)), out = r.stdout }
        if first then
          assert.same({ first.code, first.found }, { now.code, now.found })
        end
        first = now
      end
      return first
    end

    it("finds the path in csvlog and jsonlog", function()
      suite(words(PYTEST))
      local r = judged()
      assert.equal(1, r.code, r.out)
      assert.equal("set_config_missing select count(*) from notes where body like $1", r.found)
    end)

    it("passes the clean suite", function()
      suite(words(CLEAN))
      local r = judged()
      assert.equal(0, r.code, r.out)
    end)

    it("finds what is left over, and what is set for a transaction that has ended", function()
      suite [[psql -Xq "$DATABASE_URL" -c "set app.current_tenant_id = 'x'" -c "select count(*) from items" ]]
      suite [[psql -Xq "$DATABASE_URL" -c "select set_config('app.current_tenant_id', 'x', true)" -c "select count(*) from notes"]]
      local r = judged()
      assert.equal(1, r.code, r.out)
      assert.equal("context_session_level set app.current_tenant_id = '?'; context_left_over select count(*) from items; "
        .. "set_config_missing select count(*) from notes", r.found)
    end)

    it("reads logs of statements that have ended", function()
      configure("log_statement = 'none'", "log_min_duration_statement = 0")
      suite(words(CLEAN))
      local clean = judged()
      suite [[psql -Xq "$DATABASE_URL" -c "begin" -c "set app.current_tenant_id = 'x'" -c "rollback" -c "select count(*) from items"]]
      local r = judged()
      configure("log_statement = 'all'", "log_min_duration_statement = -1")
      assert.equal(0, clean.code, clean.out)
      assert.equal(1, r.code, r.out)
      assert.is_truthy(r.found:find("set_config_missing select count(*) from items", 1, true), r.found)
    end)

    it("says which settings are missing", function()
      configure "log_statement = 'none'"
      empty()
      suite(words(CLEAN))
      local bytes = support.must_read(dir .. "/statements.csv"):gsub("select 1/0 as this_is_mark_%d+", "")
      local out = support.write(support.tmpdir() .. "/log", bytes)
      local r = engine { "--recording", out }
      configure "log_statement = 'all'"
      assert.equal(3, r.code, r.stdout .. r.stderr)
      assert.is_truthy(r.stdout:find("log_statement = 'all'", 1, true), r.stdout)
    end)
  end)
end)
