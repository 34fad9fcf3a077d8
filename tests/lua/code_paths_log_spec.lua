-- PostgreSQL's own logs, as version 15 writes them, into the state machine.
local catalogue = require "rls.code_paths_catalogue"
local errors = require "errors"
local hash = require "hash"
local json = require "json"
local recorded = require "rls.code_paths_recorded"

local function t(name)
  return { label = "public." .. name, schema = "public", name = name, kind = "r", scope = "tenant", by_column = { tenant_id = {} } }
end

local cat
local IDENTITY = { system = "7712630482924507686", database = "shop" }

before_each(function()
  cat = catalogue.new({ t "items", t "notes" }, { column = "tenant_id", setting = "app.tenant" }, {}, { { name = "postgres",
    unbound = true } })
end)

local function findings(m)
  local out = {}
  for _, f in ipairs(m.order) do
    if f.class ~= "context_literal" then out[#out + 1] = f.class .. " " .. f.statement end
  end
  return table.concat(out, "; ")
end

--- One entry in both formats. `e` has message, and what differs from the usual.
local line = 0

local function quoted(s) return s and '"' .. s:gsub('"', '""') .. '"' or "" end

local function csv(e)
  line = line + 1
  return table.concat({ "2026-11-27 00:26:37.057 UTC", quoted(e.user or "app_user"), quoted(e.dbname or "shop"), "2783",
    '"127.0.0.1:48812"',
    e.session or "6b08ce3c.adf", line, '"SELECT"', "2026-11-27 00:26:36 UTC", e.vxid or "3/17", "0", e.severity or "LOG",
      e.state or "00000",
    quoted(e.message), quoted(e.detail), "", "", "", "", quoted(e.statement), "", "", quoted(e.application or "web"),
      '"client backend"', "", "0" },
    ",") .. "\n"
end

local function jsonl(e)
  line = line + 1
  local out = json.encode { user = e.user or "app_user", dbname = e.dbname or "shop", pid = 2783, session_id = e.session or "6b08ce3c.adf",
    line_num = line, vxid = e.vxid or "3/17", txid = 0, error_severity = e.severity or "LOG", message = e.message, detail = e.detail,
    statement = e.statement, application_name = e.application or "web", backend_type = "client backend", query_id = 0 }
  return '{"timestamp":"2026-11-27 00:26:37.057 UTC",' .. out:sub(2) .. "\n"
end

--- Reads the entries in both formats; both must say the same.
local function read(entries)
  local results = {}
  for i, format in ipairs { csv, jsonl } do
    local text = {}
    for k, e in ipairs(entries) do text[k] = format(e) end
    local m, source, state = recorded.read(table.concat(text), cat, IDENTITY)
    results[i] = { found = findings(m), facts = m.facts, state = state, order = m.order }
    assert.equal(i == 1 and "csvlog" or "jsonlog", source)
  end
  assert.equal(results[1].found, results[2].found)
  assert.same(results[1].facts, results[2].facts)
  return results[1]
end

local function statement(sql, vxid, more)
  local e = { message = "statement: " .. sql, vxid = vxid }
  for k, v in pairs(more or {}) do e[k] = v end
  return e
end

local function execute(sql, vxid, detail)
  return { message = "execute <unnamed>: " .. sql, vxid = vxid, detail = detail }
end

describe("a log", function()
  it("tells transactions by BEGIN and COMMIT and by their numbers", function()
    local r = read { statement("begin", "3/17"), statement("set local app.tenant = 'a'", "3/17"), statement("select * from items", "3/17"),
      statement("commit", "3/17"), statement("select * from notes", "3/18") }
    assert.equal("set_config_missing select * from notes", r.found)
    assert.equal(2, r.facts.transactions)
  end)

  it("tells an implicit transaction's end by the next one's number", function()
    local r = read { statement("select set_config('app.tenant', 'a', true)", "3/17"), statement("select * from items", "3/18") }
    assert.equal("set_config_missing select * from items", r.found)
  end)

  it("gives the values of parameters", function()
    local r = read { execute("BEGIN", "3/17"),
      execute("select set_config('app.tenant', $1, $2)", "3/17", "parameters: $1 = 'it''s, a', $2 = 't'"),
      execute("select * from items where a = $1", "3/17", "parameters: $1 = 'x'"), execute("COMMIT", "3/17") }
    assert.equal("", r.found)
  end)

  it("and so tells one tenant from another", function()
    local function tenant(value)
      return execute("select set_config('app.tenant', $1, true)", "3/17", ("parameters: $1 = '%s'"):format(value))
    end
    local touch = execute("select * from items", "3/17")
    assert.equal("", read({ execute("BEGIN", "3/17"), tenant "a", touch, tenant "a", touch }).found)
    assert.equal("context_changed select set_config('app.tenant', $1, true)", read({ execute("BEGIN", "3/17"), tenant "a", touch,
      tenant "b",
      touch }).found)
  end)

  it("reads texts of several lines with quotes and commas", function()
    local r = read { statement("select *\n  from items, \"notes\"\n where a = 'x, \"y\"'", "3/17") }
    assert.equal("set_config_missing select * from items, \"notes\" where a = '?'", r.found)
    assert.is_nil(r.order[1].detail:find("x, ", 1, true))
  end)

  it("knows what failed", function()
    local r = read { statement("begin", "3/17"), statement("set app.tenant = 'a'", "3/17"),
      { severity = "ERROR", state = "42501", message = "no", statement = "set app.tenant = 'a'", vxid = "3/17" },
        statement("rollback", "3/17"),
      statement("select * from items", "3/18") }
    assert.equal("set_config_missing select * from items", r.found)
  end)

  it("reads statements that are logged when they have ended", function()
    local function ended(sql, vxid) return { message = "duration: 0.123 ms  statement: " .. sql, vxid = vxid } end
    assert.equal("", read({ ended("begin", "3/17"), ended("set local app.tenant = 'a'", "3/17"), ended("select * from items", "3/17"),
      ended("commit", "3/0") }).found)
    local r = read { ended("begin", "3/17"), ended("set app.tenant = 'a'", "3/17"), ended("rollback", "3/0"),
      ended("select * from items", "3/0"), { severity = "ERROR", message = "no", statement = "select * from notes", vxid = "3/19" } }
    assert.equal("context_session_level set app.tenant = '?'; set_config_missing select * from items; "
      .. "set_config_missing select * from notes", r.found)
  end)

  it("leaves out other databases, this engine's own sessions, and what is fetched from a portal", function()
    local r = read { statement("select * from items", "3/17", { dbname = "other" }), statement("select * from items", "3/18",
      { application = "gate-engine" }), { message = "execute fetch from S_1/C_1: select * from items" },
      { message = "connection authorized: user=app_user" }, statement("select 1", "3/20") }
    assert.equal("", r.found)
    assert.equal(1, r.facts.statements)
    assert.equal(1, r.state.own)
  end)

  it("keeps sessions apart", function()
    local r = read { statement("begin", "3/17"), statement("set local app.tenant = 'a'", "3/17"),
      statement("select * from items", "4/1", { session = "other.1" }), statement("select * from notes", "3/17") }
    assert.equal("set_config_missing select * from items", r.found)
  end)

  it("without a statement says which settings it needs", function()
    local ok, e = pcall(read, { { message = "connection authorized: user=app_user" } })
    assert.is_false(ok)
    assert.is_true(errors.is(e, "log_without_statements"))
    assert.is_truthy(e.fix:find("log_statement = 'all'", 1, true))
  end)
end)

describe("a recording", function()
  local function written(lines, change)
    local header = { format = "gate-engine/recording/1", database = "shop", system_identifier = IDENTITY.system,
      settings = json.array { "app.tenant" } }
    for k, v in pairs(change or {}) do header[k] = v end
    local text = { '{"format":"' .. header.format .. '",' .. json.encode(header):sub(2):gsub('"format":"[^"]*",?', "") .. "\n" }
    for _, l in ipairs(lines) do text[#text + 1] = json.encode(l) .. "\n" end
    local body = table.concat(text)
    return body, body .. json.encode { t = "end", lines = #text, sha256 = hash.sha256(body) } .. "\n"
  end

  local LINES = {
    { t = "session", s = 1, user = "app_user", database = "shop", application = "web", replication = false },
    { t = "shape", q = 1, text = "select * from items" },
    { t = "group", s = 1, st = json.array { { q = 1, ok = true } }, tx = "I" },
    { t = "gone", s = 1 },
  }

  local function code_of(text)
    local ok, e = pcall(recorded.read, text, cat, IDENTITY)
    assert.is_false(ok)
    return e.code
  end

  it("is read where it is whole", function()
    local _, whole = written(LINES)
    local m, source = recorded.read(whole, cat, IDENTITY)
    assert.equal("recording", source)
    assert.equal("set_config_missing select * from items", findings(m))
  end)

  it("is refused where it is not", function()
    local body, whole = written(LINES)
    assert.equal("recording_broken", code_of(body))
    assert.equal("recording_broken", code_of(whole:sub(1, -2)))
    assert.equal("recording_broken", code_of((whole:gsub("from items", "from notes"))))
    assert.equal("recording_broken", code_of((whole:gsub('{"s":1,"t":"gone"}\n', ""))))
    assert.equal("recording_broken", code_of((whole:gsub('"t":"gone"', '"t":"went"'))))
    assert.equal("recording_broken", code_of((select(2, written { LINES[1], LINES[3] }))))
    assert.equal("recording_broken", code_of((select(2, written { LINES[2], LINES[3] }))))
    assert.equal("recording_broken", code_of((select(2, written { LINES[1], { t = "group", s = 1 } }))))
  end)

  it("is refused of another database, server, setting or format", function()
    assert.equal("recording_foreign", code_of((select(2, written(LINES, { database = "other" })))))
    assert.equal("recording_foreign", code_of((select(2, written(LINES, { system_identifier = "1" })))))
    assert.equal("recording_foreign", code_of((select(2, written(LINES, { settings = json.array { "app.other" } })))))
    assert.equal("recording_format", code_of((select(2, written(LINES, { format = "gate-engine/recording/2" })))))
    assert.equal("recording_format", code_of "LOG:  statement: select 1\n")
  end)
end)
