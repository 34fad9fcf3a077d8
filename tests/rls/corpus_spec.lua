-- The corpus of gate 1: each case is proven on a real PostgreSQL, and the gate's verdict on it is what known_misses.txt says, which can
-- only shrink. `lua5.4 tests/rls/measure.lua` shows recall, false alarms and what the gate said.
package.path = "tests/rls/support/?.lua;tests/lua/support/?.lua;" .. package.path
local case = require "case"
local corpus = require "corpus"

local ROOT = "tests/rls"
local LEAKY_MIN, CLEAN_MIN = 60, 30

local function write(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
end

describe("the corpus", function()
  local runs, known

  setup(function()
    runs = corpus.run { gate = true }
    known = corpus.known(ROOT .. "/known_misses.txt")
  end)

  local names, count = {}, {}
  for _, path in ipairs(case.list(ROOT)) do
    local c = case.read(path)
    count[c.kind] = (count[c.kind] or 0) + 1
    names[#names + 1] = c.name
    if c.has.fix then names[#names + 1] = c.name .. "+fix" end
    for i in ipairs(c.finds) do names[#names + 1] = ("%s:%d"):format(c.name, i) end
  end

  --- The run of a name. One that this server cannot have is skipped, with the reason.
  local function run_of(name)
    local r = assert(runs[name], "it was not run")
    if r.left_out then pending(r.left_out) end
    return r
  end

  it("is as large as the issue asks", function()
    assert.is_true((count.leaky or 0) >= LEAKY_MIN, ("%d leaky cases"):format(count.leaky or 0))
    assert.is_true((count.clean or 0) >= CLEAN_MIN, ("%d clean cases"):format(count.clean or 0))
  end)

  for _, name in ipairs(names) do
    if not name:find(":", 1, true) then
      it("proves " .. name, function()
        local r = run_of(name)
        assert.same({}, r.problems)
      end)
    end

    it("knows the gate's verdict on " .. name, function()
      local r = run_of(name)
      assert.is_string(r.outcome, "the gate was not run")
      assert.is_nil(corpus.contradiction(name, r.outcome, r.closed and {} or known))
    end)
  end

  it("has what the prover finds tried on the server", function()
    local tried = 0
    for _, f in ipairs(runs["leaky/policy_always_true"].findings) do
      if (f.reproduce or ""):find "^%-%- tried: the row was %l+\n" then tried = tried + 1 end
    end
    assert.equal(2, tried)
  end)

  --- What it reads is what somebody refreshed, and no statement's.
  local UNTRIED = { ["public.via_view()"] = true }

  it("has what functions and triggers do tried on the server", function()
    local tried, not_shown = 0, {}
    for name, r in pairs(runs) do
      for _, f in ipairs(name:find "^leaky/" and not name:find "%+fix" and r.findings or {}) do
        local text = f.status == "FAIL" and f.class == "function_definer" and f.reproduce or ""
        if text:find "^%-%- tried: " then
          tried = tried + 1
        elseif text:find "^%-%-" and not UNTRIED[f.object] then
          not_shown[#not_shown + 1] = ("%s %s\n%s"):format(name, f.object, text)
        end
      end
    end
    assert.equal("", table.concat(not_shown, "\n\n"))
    assert.is_true(tried > 60, tried .. " were tried")
  end)

  it("has texts to reproduce that are SQL", function()
    for name, r in pairs(runs) do
      for _, f in ipairs(r.findings) do
        assert.is_nil((f.reproduce or ""):find("^%-%- not tried: syntax error"), name .. "\n" .. tostring(f.reproduce))
      end
    end
  end)

  --- Roles are the cluster's: what another case grants meanwhile is found in this one too, and gone when its text is pasted.
  local function is_of_case(r, f) return not (f.class or ""):find "^role_" or r.about[f.class] end

  it("has texts to reproduce that show in psql what they claim", function()
    local pasted, silent = 0, {}
    for name, r in pairs(runs) do
      for _, f in ipairs(not name:find ":" and r.findings or {}) do
        -- What the server's minor release is found to be is not the cases' doing.
        if f.pasted and is_of_case(r, f) and f.class ~= "server_release" then
          pasted = pasted + 1
          if not f.pasted.shown then
            silent[#silent + 1] = ("%s %s %s: %s\n%s"):format(name, f.class, f.object, f.pasted.why, f.reproduce)
          end
        end
      end
    end
    assert.equal("", table.concat(silent, "\n\n"))
    assert.is_true(pasted > 400, pasted .. " texts were pasted")
  end)

  --- Leaks that are what the catalogue says: the text asks it, and shows no row. Of all others it becomes the application, and the last
  --- thing it shows is rows that it reads or has changed.
  local CATALOGUE = { context_function_cached = "a declaration", foreign_key_cascade = "a constraint and a grant",
    grant_trigger = "a grant", grant_truncate = "a grant",
    leakproof_claim = "a declaration", policy_tells = "a function's text", rls_missing = "a switch", rls_not_forced = "a switch",
    role_bypasses_rls = "an attribute", role_creates_roles = "an attribute", role_owns_function = "an owner",
    role_owns_schema = "an owner", role_owns_table = "an owner", role_reads_all_data = "a membership", role_replication = "an attribute",
    role_runs_programs = "a membership or a grant", role_sets_parameters = "a grant", role_writes_all_data = "a membership",
    rule_rewrites = "a rule",
    statistics_exposed = "a grant", trigger_copies = "a trigger and a grant", trigger_notifies = "a trigger's text",
    view_not_barrier = "an option" }
  --- The same of single findings: a session's settings before it begins, names that the text does not say which function means.
  local OF_ONE = { ["policy_default_tenant leaky/policy_default_database_setting"] = true,
    ["policy_default_tenant leaky/policy_default_role_setting"] = true,
    ["function_search_path leaky/function_definer_path_writable"] = true }

  it("has texts to reproduce that act as the application where rows are what the finding claims", function()
    local acting, idle = 0, {}
    for name, r in pairs(runs) do
      for _, f in ipairs(not name:find ":" and r.findings or {}) do
        local leak = f.pasted and f.severity == "leak" and is_of_case(r, f)
        if leak and not CATALOGUE[f.class] and not OF_ONE[f.class .. " " .. name] then
          local acts = f.reproduce:find "SESSION AUTHORIZATION" or f.reproduce:lower():find "set local role"
          if acts then acting = acting + 1 else idle[#idle + 1] = ("%s %s %s:\n%s"):format(name, f.class, f.object, f.reproduce) end
        end
      end
    end
    assert.same({}, idle)
    assert.is_true(acting > 200, acting .. " texts act")
  end)

  it("has texts to reproduce that show nothing once the leak is closed", function()
    -- The fixes leave what is looked at as it is: a function alone reads the copies; rows that are nobody's stay readable, and no more.
    local READ_ELSEWHERE = { ["leaky/trigger_copies_definer+fix"] = true, ["leaky/policy_null_write+fix"] = true }
    local still, again = {}, 0
    for name, r in pairs(runs) do
      again = again + (r.again or 0)
      for _, f in ipairs(not READ_ELSEWHERE[name] and r.still or {}) do
        still[#still + 1] = ("%s %s %s:\n%s\n%s"):format(name, f.class, f.object, f.reproduce, f.out)
      end
    end
    assert.equal("", table.concat(still, "\n\n"))
    assert.is_true(again > 100, again .. " texts were pasted again")
  end)

  it("lists no case that does not exist", function()
    for name in pairs(known) do assert.is_table(runs[name], name) end
  end)
end)

describe("a case that proves nothing", function()
  local HEAD = "-- What: planted\n-- Exploit: planted\n-- Class: rls_missing\n-- Object: public.t\n"
  local TABLE = [[
-- @schema
create table t (tenant_id uuid, body text);
grant select on t to app_user;
-- @rows
insert into t values (:'A', 'A-row'), (:'B', 'B-secret');
]]
  local CLOSED = "alter table t enable row level security;\n"
    .. "create policy p on t using (tenant_id::text = current_setting('app.tenant_id', true));\n"
  local CONTROL, READ = "-- @control\nselect from t where tenant_id = :'A';\n", "select from t where body = 'B-secret';\n"

  local PLANTED = {
    ["leaky/no_exploit"] = { HEAD .. TABLE .. "-- @fix\n" .. CLOSED .. CONTROL .. "-- @exploit\nselect from t where body = 'C';\n",
      "the exploit reached no row" },
    ["leaky/no_fix"] = { HEAD .. TABLE .. "-- @fix\nselect 1;\n" .. CONTROL .. "-- @exploit\n" .. READ, "the attack reached a row",
      "+fix" },
    ["leaky/fix_denies_all"] = {
      HEAD .. TABLE .. "-- @fix\nalter table t enable row level security;\n" .. CONTROL .. "-- @exploit\n" .. READ,
      "does not reach its own rows", "+fix" },
    ["leaky/broken_exploit"] = { HEAD .. TABLE .. "-- @fix\n" .. CLOSED .. CONTROL .. "-- @exploit\nselect nothing from t;\n" .. READ,
      "42703" },
    ["leaky/sets_tenant"] = { HEAD .. TABLE .. "-- @fix\n" .. CLOSED .. CONTROL .. "-- @exploit\nset app.tenant_id = :'B';\n" .. READ,
      "threat model" },
    ["clean/leaks"] = { HEAD .. TABLE .. CONTROL .. "-- @attack\n" .. READ, "the attack reached a row" },
    ["clean/no_own_rows"] = {
      HEAD .. TABLE .. "-- @schema\nalter table t enable row level security;\n" .. CONTROL .. "-- @attack\n" .. READ,
      "does not reach its own rows" },
    ["clean/refused_otherwise"] = { HEAD .. TABLE .. "-- @schema\n" .. CLOSED .. CONTROL .. "-- @attack\nselect 1 / 0 from t;\n", "22012" },
  }
  local runs

  setup(function()
    local pipe = assert(io.popen "mktemp -d /tmp/gate-engine-rls.XXXXXX")
    local root = pipe:read "l"
    pipe:close()
    os.execute(("mkdir %s/leaky %s/clean"):format(root, root))
    for name, planted in pairs(PLANTED) do write(("%s/%s.sql"):format(root, name), planted[1]) end
    runs = corpus.run { root = root, gate = false }
    os.execute("rm -rf -- " .. root)
  end)

  for name, planted in pairs(PLANTED) do
    it("is seen: " .. name, function()
      local r = assert(runs[name .. (planted[3] or "")])
      local said = table.concat(r.problems, "; ")
      assert.is_truthy(said:find(planted[2], 1, true), said)
    end)
  end

  it("is not what a good one looks like", function()
    assert.same({}, runs["leaky/no_exploit+fix"].problems)
    assert.same({}, runs["leaky/no_fix"].problems)
  end)
end)

describe("a leak that new minor releases of the server close", function()
  local c = { head = { Closed = "14.25, 15.20" } }

  it("is one up to the release before", function()
    assert.is_false(case.is_closed(c, 150019))
    assert.is_true(case.is_closed(c, 150020))
    assert.is_false(case.is_closed(c, 140024))
    assert.is_true(case.is_closed(c, 160000))
    assert.is_false(case.is_closed(c, 130022))
    assert.is_false(case.is_closed({ head = {} }, 170000))
  end)
end)

describe("a case that needs a newer major release", function()
  local c = { head = { Since = "14", FixSince = "15" } }

  it("is left out, and its fix alone where only that needs it", function()
    assert.is_nil(case.left_out(c, 140000, false))
    assert.equal("it needs PostgreSQL 15, this is 14", case.left_out(c, 140023, true))
    assert.equal("it needs PostgreSQL 14, this is 13", case.left_out(c, 130023, false))
    assert.is_nil(case.left_out({ head = {} }, 130023, true))
  end)
end)

describe("the list of known misses", function()
  it("can only shrink", function()
    local known = { ["leaky/a"] = "passed", ["clean/b"] = "alarm" }
    assert.is_nil(corpus.contradiction("leaky/a", "passed", known))
    assert.is_truthy(corpus.contradiction("leaky/a", "found", known))
    assert.is_truthy(corpus.contradiction("leaky/a", "undecided", known))
    assert.is_truthy(corpus.contradiction("leaky/c", "passed", known))
    assert.is_nil(corpus.contradiction("leaky/d", "unnamed", { ["leaky/d"] = "passed|unnamed" }))
    assert.is_truthy(corpus.contradiction("leaky/d", "found", { ["leaky/d"] = "passed|unnamed" }))
    assert.is_nil(corpus.contradiction("leaky/c", "found", known))
    assert.is_truthy(corpus.contradiction("clean/b", "clean", known))
    assert.is_truthy(corpus.contradiction("clean/d", "alarm", known))
  end)
end)
