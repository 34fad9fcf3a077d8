-- The ledger in the platform's database: the same chain, statements and refusals as in a file, added to by one writer at a time and never
-- changed; go-live's own record is of the transaction that makes the tenant active.
local support = require "e2e.support"
local json = require "engine.json"

local has, quote = support.has, support.quote
local KILLS = tonumber(os.getenv "KILLS" or "12")

local MARKED = [[return require("gate").define { api = 1, id = "marked", name = "Marked", options = { fail = { type = "boolean" } },
  failures = { odd = { text = "Odd" } }, run = function(ctx)
    ctx:check("c", function() if ctx.options.fail then ctx:fail "odd" end end) end }]]

describe("a ledger in the platform's database", function()
  local dir, tmp = support.tmpdir(), support.tmpdir()
  local env = { GATE_ENGINE_STATE = support.tmpdir() .. "/state", TMPDIR = tmp }
  local function engine(...) return support.run { cwd = dir, env = env, ... } end
  local function sql(...)
    local argv = { "platform", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt" }
    for _, text in ipairs { ... } do
      argv[#argv + 1] = "-c"
      argv[#argv + 1] = text
    end
    return engine(table.unpack(argv))
  end
  local function psql(...)
    local r = sql(...)
    assert.equal(0, r.code, r.stderr)
    return (r.stdout:gsub("\n$", ""))
  end
  local function configure(more)
    support.write(dir .. "/gate-engine.conf.lua", ([[return { platform = "embedded", status_file = "tenant-status.json", %s
      evidence = { ledger = "database", key = file "key.pem" } }]]):format(more or ""))
  end
  local function status(code) return psql("select status from core.tenants where code = '" .. code .. "'") end
  local function count(kind) return tonumber((psql("select count(*) from core.ledger where line::jsonb ->> 'kind' = '" .. kind .. "'"))) end
  --- What a superuser can do who takes the triggers away; undone by the returned function.
  local function tamper(statement)
    psql("create table public.kept as select * from core.ledger", "alter table core.ledger disable trigger all", statement)
    return function()
      psql("delete from core.ledger", "insert into core.ledger select * from public.kept order by seq", "drop table public.kept",
        "alter table core.ledger enable trigger all")
    end
  end

  setup(function()
    support.write(dir .. "/marked.lua", MARKED)
    assert.equal(0, engine("platform", "start").code)
    assert.equal(0, engine("evidence", "keygen", "--output", "key.pem").code)
    configure()
    for _, code in ipairs { "acme", "beta" } do
      local r = engine("run", "create_tenant", "--tenant", code, "--name", code)
      assert.equal(0, r.code, r.stdout .. r.stderr)
    end
    local r = engine("run", "scripts/all.lua", "--tenant", "acme")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.equal(1, engine("run", "./marked.lua", "--tenant", "beta", "--fail").code)
    assert.equal(2, engine("run", "no_such_script", "--tenant", "beta").code)
  end)
  teardown(function() engine("platform", "stop") end)

  it("is listed, shown, exported and verified, with the statements in it", function()
    has(engine("evidence", "list").stdout, "     3  ", "acme                 suite     PASS     scripts/all.lua  (approved)",
      "beta                 gate      FAIL     marked.lua", "beta                 refused   ERROR    no_such_script")
    assert.is_nil(engine("evidence", "list", "--tenant", "beta").stdout:find("acme", 1, true))
    assert.equal("acme", json.decode(engine("evidence", "show", "3").stdout).tenant.code)
    assert.equal(psql "select string_agg(line, E'\n' order by seq) from core.ledger" .. "\n", engine("evidence", "export").stdout)
    has(engine("verify").stdout,
      "core.ledger: valid: 5 records, 1 signed statements, head " .. psql "select hash from core.ledger where seq = 5")
  end)

  it("verifies nothing where it is empty and nobody knows better", function()
    local undo = tamper "delete from core.ledger"
    local r = engine("verify")
    undo()
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stderr, "core.ledger: 0 entries: nothing verified")
    assert.is_nil(r.stdout:find("valid", 1, true), r.stdout)
  end)

  it("becomes files that are verified offline", function()
    assert.equal(0, engine("evidence", "export", "--output", "files").code)
    local r = support.run { cwd = support.tmpdir(), "verify", dir .. "/files/ledger.jsonl", dir .. "/files/statements/acme-3.json",
      "--key", dir .. "/key.pem.pub" }
    assert.equal(0, r.code, r.stderr)
    has(r.stdout, "ledger.jsonl: valid: 5 records, 1 signed statements", "acme-3.json: valid: signed by ")
    assert.equal(2, engine("evidence", "export", "--output", "files").code)
    assert.equal(2, engine("evidence", "export", "--output", "other", "--tenant", "acme").code)
  end)

  it("leaves no copy of itself behind", function()
    assert.equal("", (assert(io.popen("ls " .. quote(tmp))):read "a"))
  end)

  it("is added to alone, and only with what follows", function()
    for _, statement in ipairs { "update core.ledger set hash = hash", "delete from core.ledger where seq = 5", "truncate core.ledger" } do
      has(sql(statement).stderr, "core.ledger: records are added and never changed")
    end
    for _, statement in ipairs { "update core.ledger set hash = hash", "delete from core.ledger", "truncate core.ledger" } do
      has(sql("set role platform_admin", statement).stderr, "permission denied for table ledger")
    end
    for _, statement in ipairs { "select from core.ledger", "insert into core.ledger values (6, '', '{}')" } do
      has(sql("set role app_user", statement).stderr, "permission denied for table ledger")
    end
    has(sql("insert into core.ledger select seq + 1, hash, line, statement from core.ledger where seq = 5").stderr,
      "does not follow record 5")
    has(sql("insert into core.ledger select 6, hash, replace(replace(line, prev, hash), '\"seq\":5', '\"seq\":6') from (select *, "
      .. "line::jsonb ->> 'prev' as prev from core.ledger where seq = 5) l").stderr, "record 6 does not have its hash")
    assert.equal("5", psql "select count(*) from core.ledger")
  end)

  it("refuses go-live where the last run failed", function()
    local r = engine("run", "go_live", "--tenant", "beta")
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "the last run for beta, record 4, ended in FAIL")
  end)

  it("refuses go-live, and approves nothing, where a superuser edited it", function()
    for _, attack in ipairs {
      { "update core.ledger set line = replace(line, '\"marked\"', '\"market\"') where seq = 4", "record 4 was edited" },
      { "delete from core.ledger where seq = 4", "record 4 was expected, record 5 found" },
      { "delete from core.ledger where seq = 1", "record 1 was expected, record 2 found" },
      { "update core.ledger set statement = '{}' where seq = 3", "is not the one that was written" },
      { "update core.ledger set statement = null where seq = 3", "the statement of record 3 is not there" },
      { "update core.ledger set line = replace(line, '\"acme-3.json\"', '\"../../x.json\"') where seq = 3", "record 3 was edited" },
    } do
      local undo = tamper(attack[1])
      local r = engine("run", "go_live", "--tenant", "acme")
      local verified = engine("verify")
      undo()
      assert.equal(1, r.code, r.stdout .. r.stderr)
      has(r.stdout, "❌ REFUSED - ", attack[2])
      assert.equal(1, verified.code, verified.stderr)
      has(verified.stderr, attack[2])
      assert.equal("onboarding", status "acme")
    end
    local undo = tamper "update core.ledger set line = replace(line, '\"marked\"', '\"market\"') where seq = 4"
    local r = engine("run", "./marked.lua", "--tenant", "acme")
    undo()
    assert.equal(3, r.code, r.stdout .. r.stderr)
  end)

  it("lets no operation change anything while a link is broken, and names it with the fix", function()
    local before = psql "select md5(string_agg(t::text, ',' order by code)) from core.tenants t"
    local undo = tamper "update core.ledger set line = replace(line, '\"marked\"', '\"market\"') where seq = 4"
    local asked = { { "suspend", "--reason", "x" }, { "configure_pack", "--pack", "routing" }, { "rotate_key", "--request", "broken" },
      { "offboard", "--confirm", "beta" }, { "escalate", "--rule", "bypass_request", "--evidence", "x" },
      { "suspend", "--reason", "x", "--dry-run" } }
    for _, argv in ipairs(asked) do
      local r = engine("run", "--tenant", "beta", table.unpack(argv))
      assert.equal(3, r.code, argv[1] .. r.stdout .. r.stderr)
      has(r.stdout, "ERROR - nothing was done: ", "record 4 was edited", "Fix: restore the ledger")
      assert.equal(1, select(2, r.stderr:gsub("record 4 was edited", "")), r.stderr)
      assert.is_nil(r.stdout:find("DONE", 1, true) or r.stdout:find("WOULD", 1, true), r.stdout)
    end
    assert.equal(3, engine("run", "create_tenant", "--tenant", "gamma", "--name", "G").code)
    undo()
    assert.equal(before, psql "select md5(string_agg(t::text, ',' order by code)) from core.tenants t")
    assert.equal("0", psql "select count(*) from core.tenant_events where request = 'broken'")
  end)

  it("refuses go-live where a run for the tenant is put on record while it goes on", function()
    -- Somebody holds the tenant's row: go-live has judged the evidence, and waits.
    support.shell(([[cd %s; export GATE_ENGINE_STATE=%s TMPDIR=%s; engine=%s; mkfifo hold
      ($engine platform psql -X -q <hold >/dev/null) & exec 9>hold
      echo "begin; select from core.tenants where code = 'acme' for update;" >&9
      ask() { $engine platform psql -X -qAt -c "$1"; }
      until [ "$(ask "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
                      where c.relname = 'tenants' and l.mode = 'RowShareLock'")" = 1 ]; do :; done
      ($engine run go_live --tenant acme >raced 2>&1; echo $? >raced.code) &
      until [ "$(ask "select count(*) from pg_stat_activity
                      where wait_event_type = 'Lock' and query like '%%for update%%'")" = 1 ]; do :; done
      $engine run ./marked.lua --tenant acme --fail >/dev/null 2>&1
      echo "rollback;" >&9; exec 9>&-; wait]]):format(quote(dir), quote(env.GATE_ENGINE_STATE), quote(tmp), quote(support.engine)))
    local text = support.must_read(dir .. "/raced")
    assert.equal("1\n", (support.must_read(dir .. "/raced.code")), text)
    has(text, "❌ REFUSED - A run for tenant acme was put on record meanwhile")
    assert.equal("onboarding", status "acme")
    assert.equal(0, count "activation")
    assert.equal(0, engine("run", "scripts/all.lua", "--tenant", "acme").code)
  end)

  it("takes go-live back where its record cannot be written", function()
    psql [[alter table core.ledger add constraint full_disk check (line not like '%"kind":"activation"%')]]
    assert.equal(0, engine("run", "scripts/all.lua", "--tenant", "acme").code) -- the schema is what go-live finds
    local r = engine("run", "go_live", "--tenant", "acme")
    psql "alter table core.ledger drop constraint full_disk"
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stdout, "full_disk")
    assert.equal("onboarding", status "acme")
    assert.equal("0", psql "select count(*) from core.tenant_events where event = 'activated'")
  end)

  it("holds one activation of six at the same time, written by the transaction that makes it", function()
    assert.equal(0, engine("run", "scripts/all.lua", "--tenant", "acme").code)
    local before = tonumber((psql "select count(*) from core.ledger"))
    local all = {}
    for i = 1, 6 do
      all[i] = ("(%s run go_live --tenant acme >out%d 2>&1; echo $? >code%d) &"):format(quote(support.engine), i, i)
    end
    support.shell(("cd %s; export GATE_ENGINE_STATE=%s TMPDIR=%s; %s wait"):format(quote(dir), quote(env.GATE_ENGINE_STATE), quote(tmp),
      table.concat(all, " ")))
    local done = 0
    for i = 1, 6 do
      local text, code = support.must_read(dir .. "/out" .. i), support.must_read(dir .. "/code" .. i)
      done = done + (text:find("✅ DONE - Change acme", 1, true) and 1 or 0)
      assert.is_true(code == "0\n" or text:find("was changed by somebody else", 1, true) ~= nil, text)
    end
    assert.equal(1, done)
    assert.equal("active", status "acme")
    assert.equal(1, count "activation")
    assert.equal(before + 7, tonumber((psql "select count(*) from core.ledger")))
    assert.equal("t", psql [[select l.xmin = e.xmin and l.xmin = t.xmin from core.ledger l, core.tenant_events e, core.tenants t
      where l.line::jsonb ->> 'kind' = 'activation' and e.event = 'activated' and t.code = 'acme']])
    assert.equal(0, engine("verify").code)
  end)

  it("is not valid where it was emptied or cut, and the tenants' events say by which record somebody went live", function()
    local first = psql "select detail ->> 'record' from core.tenant_events where event = 'activated'"
    for _, statement in ipairs { "delete from core.ledger", "delete from core.ledger where seq >= " .. first } do
      local undo = tamper(statement)
      local left = psql "select count(*) from core.ledger"
      local r = engine("verify")
      undo()
      assert.equal(1, r.code, r.stdout .. r.stderr)
      has(r.stderr, ("core.ledger has %s records, and not record %s, by which tenant acme went live at "):format(left, first),
        "(core.tenant_events)", "fix: restore the ledger")
      assert.is_nil(r.stdout:find("valid", 1, true), r.stdout)
    end
    assert.equal(0, engine("verify").code)
  end)

  it("takes every one of ten runs at the same time", function()
    local before = count "gate"
    local all = {}
    for i = 1, 10 do all[i] = ("%s run ./marked.lua --tenant beta >/dev/null 2>many%d &"):format(quote(support.engine), i) end
    support.shell(("cd %s; export GATE_ENGINE_STATE=%s TMPDIR=%s; %s wait"):format(quote(dir), quote(env.GATE_ENGINE_STATE), quote(tmp),
      table.concat(all, " ")))
    assert.equal(before + 10, count "gate", support.read(dir .. "/many1"))
    assert.equal(0, engine("verify").code)
  end)

  it("holds one activation of a go-live that is killed at any moment", function()
    psql(("insert into core.tenants (code, name) select 't' || n, 't' || n from generate_series(1, %d) n"):format(KILLS))
    -- One validation is enough: the tests' own key signs the same for each tenant, and the records are added as they are.
    assert.equal(0, engine("evidence", "export", "--output", "forged").code)
    local ids = psql "select json_object_agg(code, id) from core.tenants"
    support.shell(("/usr/bin/python3 tests/support/forge.py %s/forged %s"):format(quote(dir), quote(([[
import json
ids = json.loads('%s')
for n in range(1, %d):
    r = copy(last); r["tenant"] = {"code": "t%%d" %% n, "id": ids["t%%d" %% n]}; records.append(r); sign(r, "%s/key.pem")]])
      :format(ids, KILLS + 1, dir))))
    support.shell(([[/usr/bin/python3 - %s %s <<'PY'
import json, pathlib, sys
place, known = pathlib.Path(sys.argv[1]), int(sys.argv[2])
with open(place / "add.sql", "w") as out:
    for line in (place / "ledger.jsonl").read_text().splitlines()[known:]:
        r = json.loads(line)
        out.write("insert into core.ledger values (%%d, '%%s', $l$%%s$l$, $s$%%s$s$);\n"
                  %% (r["seq"], r["hash"], line, (place / "statements" / r["statement"]["file"]).read_text()))
PY]]):format(quote(dir .. "/forged"), psql "select count(*) from core.ledger"))
    local r = engine("platform", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dir .. "/forged/add.sql")
    assert.equal(0, r.code, r.stderr)
    support.shell(([[cd %s; export GATE_ENGINE_STATE=%s TMPDIR=%s; /usr/bin/python3 - %s %d <<'PY'
import os, random, signal, subprocess, sys, time
engine, kills = sys.argv[1], int(sys.argv[2])
def start(n):
    return subprocess.Popen([engine, "run", "go_live", "--tenant", "t%%d" %% n], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
begin = time.monotonic(); assert start(kills).wait() == 0; whole = time.monotonic() - begin
random.seed(94)
for n in range(1, kills):
    p = start(n)
    try:
        p.wait(timeout=1.2 * whole * random.random())
    except subprocess.TimeoutExpired:
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
PY]]):format(quote(dir), quote(env.GATE_ENGINE_STATE), quote(tmp), quote(support.engine), KILLS))
    for n = 1, KILLS do
      local code = "t" .. n
      -- What the database says of the tenant and its ledger is the same at any moment, also before anything is run again.
      assert.equal(status(code) == "active" and "1" or "0", psql(([[select count(*) from core.ledger
        where line::jsonb ->> 'kind' = 'activation' and line::jsonb #>> '{tenant,code}' = '%s']]):format(code)))
      local again = engine("run", "go_live", "--tenant", code)
      assert.equal(0, again.code, again.stdout .. again.stderr)
    end
    assert.equal(KILLS + 1, count "activation")
    assert.equal(tostring(KILLS + 1), psql "select count(*) from core.tenants where status = 'active'")
    assert.equal(0, engine("verify").code)
  end)

  it("has an anchor in the artifact store, which finds records that a superuser took off its end", function()
    local place = support.tmpdir()
    configure(('artifacts = { kind = "local", path = %q },'):format(place))
    support.shell(("sed -i 's/key = file/anchor = \"artifacts\", &/' %s/gate-engine.conf.lua"):format(quote(dir)))
    finally(configure)
    assert.equal(0, engine("run", "./marked.lua", "--tenant", "beta").code)
    assert.equal(1, engine("run", "./marked.lua", "--tenant", "beta", "--fail").code)
    local last = psql "select max(seq) from core.ledger"
    local undo = tamper("delete from core.ledger where seq = " .. last)
    local r = engine("run", "go_live", "--tenant", "beta")
    undo()
    assert.equal(1, r.code, r.stdout .. r.stderr)
    has(r.stdout, "the ledger core.ledger was cut short or put back: its anchor knows record " .. last)
    assert.equal(0, engine("run", "./marked.lua", "--tenant", "beta").code)
  end)

  it("is an ERROR where it cannot be had", function()
    psql "alter table core.ledger rename to elsewhere"
    finally(function() psql "alter table core.elsewhere rename to ledger" end)
    local r = engine("run", "./marked.lua", "--tenant", "beta")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stderr, "core.ledger is not there", "012_ledger.sql")
    r = engine("run", "go_live", "--tenant", "beta")
    assert.equal(3, r.code, r.stdout .. r.stderr)
    assert.equal(3, engine("verify").code)
    assert.equal(3, engine("evidence", "list").code)
    -- A platform that ends with the run keeps nothing.
    r = support.run { cwd = dir, env = { GATE_ENGINE_STATE = support.tmpdir() .. "/state" }, "run", "./marked.lua", "--tenant", "beta" }
    assert.equal(3, r.code, r.stdout .. r.stderr)
    has(r.stderr, "this one ends with the run", "gate-engine platform start")
  end)

  it("asks for database.operator on a platform of one's own", function()
    support.write(dir .. "/external.conf.lua", [[return { platform = "external", database = { admin = { url = "postgresql:///x" } },
      evidence = { ledger = "database" } }]])
    local r = engine("run", "./marked.lua", "--config", "external.conf.lua")
    assert.equal(2, r.code, r.stdout .. r.stderr)
    has(r.stderr, "expected database.operator beside a ledger in the database")
  end)
end)
