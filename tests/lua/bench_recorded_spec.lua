-- The peer of gate 1's benchmark: the statements that a run sent, out of the server's log.
package.path = "tests/bench/?.lua;" .. package.path
local recorded = require "rls_recorded"

local function entry(pid, text) return ("2026-11-27 10:00:00.123 UTC [%d] %s\n"):format(pid, (text:gsub("\n", "\n\t"))) end

local LOG = table.concat {
  entry(7, "LOG:  execute <unnamed>: select relname from pg_class"),
  entry(9, "LOG:  statement: set local lock_timeout = '1s'; set local jit = off"),
  entry(9, "LOG:  execute <unnamed>: insert into t (a) values ('x') returning to_jsonb(t.*)::text as row"),
  entry(9, "LOG:  execute <unnamed>: do language plpgsql $gate1$\nbegin\n  foreach query in array array['select ''[1]'' from t']"
    .. "::pg_catalog.text[] loop\nend $gate1$"),
  entry(9, "LOG:  execute <unnamed>: select set_config($1, $2, true)"),
  entry(9, "DETAIL:  parameters: $1 = 'app.tenant_id', $2 = 'k'"),
  entry(9, [=[LOG:  execute <unnamed>: do language plpgsql $gate2$
declare
  jobs constant pg_catalog.jsonb := '[{"q":"delete from t","l":"select count(*) from t where a = ''b''","s":[["app.x","y"]]}]';
begin
  foreach plain_one in array array['select 1 from t',null,'update t set a = ''c''']::pg_catalog.text[] loop
end $gate2$]=]),
  entry(9, "LOG:  execute <unnamed>: select current_setting('gate_engine.attempts', true) as said"),
  entry(9, "ERROR:  do language plpgsql $gate3$"),
  entry(9, "LOG:  execute <unnamed>: ROLLBACK"),
}

describe("what gate 1 sent while it probed", function()
  it("is read from the log, each attempt for itself", function()
    local said = {}
    for i, s in ipairs(recorded.statements(LOG)) do said[i] = s.how .. s.sql end
    assert.same({ "+insert into t (a) values ('x') returning to_jsonb(t.*)::text as row", "-select '[1]' from t",
      "+select set_config('app.tenant_id', 'k', true)", "-select 1 from t",
      "-select set_config('app.x', 'y', true); delete from t; set local session authorization default; "
        .. "select count(*) from t where a = 'b'",
      "-update t set a = 'c'", "+set local session authorization default" }, said)
  end)

  it("is nothing where nothing was probed", function()
    assert.same({}, recorded.statements(entry(7, "LOG:  execute <unnamed>: select relname from pg_class")))
  end)

  it("stands in one block, as literals", function()
    assert.truthy(recorded.block({ { how = "-", sql = "select 'x'" } }):find("array['-select ''x''']", 1, true))
  end)
end)
