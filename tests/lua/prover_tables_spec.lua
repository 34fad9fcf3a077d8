-- The prover beyond one expression: other tables, helper functions, children, axes, commands, roles, trust.
local prover = require "rls.prover"

local T = "current_setting('app.t'::text, true)"
local function x(name) return ("current_setting('app.%s'::text, true)"):format(name) end
local CLOSED = ("(tenant_id = (%s)::uuid)"):format(T)

local function merged(...)
  local out = {}
  for i = 1, select("#", ...) do
    for k, v in pairs((select(i, ...)) or {}) do out[k] = v end
  end
  return out
end

local function policy(using, more)
  return merged({ name = "p", command = "ALL", permissive = true, roles = { "public" }, using = using }, more)
end

local function tbl(columns, policies, more)
  if type(policies) == "string" then policies = { policy(policies) } end
  return merged({ columns = columns, rls = policies ~= nil, forced = true, keys = { { "id" } }, policies = policies or {} }, more)
end

local UUID, KEY = { type = "uuid" }, { type = "uuid", notnull = true }
local T_COLUMNS = { id = KEY, tenant_id = KEY, parent_id = UUID, user_id = UUID, n = { type = "integer" } }

local function input(policies, tables, more)
  return merged({
    relation = "public.t", axes = { { column = "tenant_id", setting = "app.t" } },
    role = { name = "app", login = "app", member_of = {}, may_create = false, may_temp = false },
    tables = merged({ ["public.t"] = tbl(T_COLUMNS, policies) }, tables),
  }, more)
end

local function shown(v)
  return ("%s %s: %s"):format(v.status, v.class or "", v.text or v.reason or "")
end

local function check(wanted, i, command, pattern)
  local v = prover.command(i, command or "SELECT")
  local got = v.status .. (v.class and " " .. v.class or "")
  assert.are.equal(wanted, got, shown(v))
  if pattern then assert.is_truthy((v.text or v.reason):find(pattern, 1, true), shown(v)) end
  return v
end

local PARENT = { id = KEY, tenant_id = KEY, open = { type = "boolean" }, owner_id = UUID }
local function parent(policies, more) return { ["public.p"] = tbl(PARENT, policies, more) } end
local MEMBERS = { user_id = KEY, tenant_id = KEY, login = { type = "name" } }
local function members(more, policies) return { ["public.m"] = tbl(MEMBERS, policies, merged({ keys = { { "user_id", "tenant_id" } } },
  more)) } end

describe("the prover, looking at other tables,", function()
  it("takes no table for a WITH query of its name, in a UNION either", function()
    local f = { language = "sql", returns = "uuid", returns_set = true, args = {}, volatility = "s",
      config = { "search_path=public, pg_temp" },
      body = "with m as (select tenant_id from public.p) select tenant_id from m union select tenant_id from m" }
    local tied = { policy("(tenant_id = (" .. T .. ")::uuid)") }
    local i = input("(tenant_id IN ( SELECT public.f() AS f))", merged(parent(), members(nil, tied)), { functions = { ["public.f"] = f } })
    check("unknown", i, "SELECT", "public.f (WITH)")
  end)

  it("proves a parent of the same tenant", function()
    check("proven", input("(EXISTS ( SELECT 1 FROM public.p WHERE ((p.tenant_id = t.tenant_id) AND ((p.tenant_id)::text = " .. T .. "))))",
      parent()))
    check("proven", input("(tenant_id IN ( SELECT p.tenant_id FROM public.p WHERE (p.tenant_id = (" .. T .. ")::uuid)))", parent()))
  end)

  it("proves through the parent's own policies", function()
    local using = "(EXISTS ( SELECT 1 FROM public.p WHERE (p.tenant_id = t.tenant_id)))"
    check("proven", input(using, parent(CLOSED)))
    check("proven", input("(tenant_id IN ( SELECT p.tenant_id FROM public.p))", parent(CLOSED)))
    check("unknown", input(using, parent()), "SELECT", "the rows of public.p decide")
    check("counterexample policy_lookup_writable", input(using, parent(nil, { may = { insert = true } })), "SELECT", "a row of public.p")
  end)

  it("proves through policies that call their row by the table's name, where the query calls it otherwise", function()
    local using = "(EXISTS ( SELECT 1 FROM public.p q WHERE (q.tenant_id = t.tenant_id)))"
    check("proven", input(using, parent(("(p.tenant_id = (%s)::uuid)"):format(T))))
    check("unknown", input(using, parent(("(q.tenant_id = (%s)::uuid)"):format(T))), "SELECT", "the name q.tenant_id")
  end)

  it("does not let policies of a table bind who owns it", function()
    local using = "(tenant_id IN ( SELECT p.tenant_id FROM public.p))"
    check("unknown", input(using, parent(CLOSED, { owner = "app", forced = false })))
    check("proven", input(using, parent(CLOSED, { owner = "app", forced = true })))
  end)

  it("asks whether the application may write such a row of a table that decides", function()
    local using = ("(EXISTS ( SELECT 1 FROM public.m WHERE ((m.tenant_id = t.tenant_id) AND (m.login = SESSION_USER))))")
    check("unknown", input(using, members { may = {} }), "SELECT", "public.m")
    check("counterexample policy_lookup_writable", input(using, members { may = { insert = true } }))
    check("counterexample policy_lookup_writable", input(using, members { may = { update = true } }))
    check("proven", input(using, members({ may = { insert = true } }, CLOSED)))
    -- anybody reads it, but writes only for itself
    local guarded = { policy("true", { command = "SELECT" }), policy(nil, { name = "w", command = "INSERT", check = CLOSED }) }
    check("unknown", input(using, members({ may = { insert = true } }, guarded)))
    local loose = { policy("true", { command = "SELECT" }), policy(nil, { name = "w", command = "INSERT", check = "true" }) }
    check("counterexample policy_lookup_writable", input(using, members({ may = { insert = true } }, loose)))
  end)

  it("sees a setting that chooses the row of a table", function()
    local using = ("(tenant_id IN ( SELECT m.tenant_id FROM public.m WHERE (m.user_id = (%s)::uuid)))"):format(x "user")
    local v = check("counterexample policy_escape_setting", input(using, members { may = {} }), "SELECT", "app.user")
    assert.are.equal(1, #v.assignment.rows["public.m"])
  end)

  it("sees a column that the subquery captures", function()
    check("counterexample policy_captured_column", input(
      ("(EXISTS ( SELECT 1 FROM public.p WHERE ((p.tenant_id = p.tenant_id) AND ((p.tenant_id)::text = %s))))"):format(T), parent()))
    -- as it was written: the bare name is the inner table's
    check("counterexample policy_captured_column", input(
      ("(EXISTS ( SELECT 1 FROM public.p WHERE p.tenant_id = tenant_id AND tenant_id::text = %s))"):format(T), parent()))
  end)

  it("sees a subquery that does not look at the row", function()
    check("counterexample policy_leak", input(("(EXISTS ( SELECT 1 FROM public.p WHERE ((p.tenant_id)::text = %s)))"):format(T), parent()))
  end)

  it("resolves names as PostgreSQL does: alias, inner before outer, outer after inner", function()
    local of = "(EXISTS ( SELECT 1 FROM public.p q WHERE q.tenant_id = t.tenant_id AND %s))"
    check("proven", input(of:format("q.tenant_id::text = " .. T), parent()))
    check("proven", input(of:format("tenant_id::text = " .. T .. " AND n = 1"), parent()))
    check("unknown", input("(EXISTS ( SELECT 1 FROM public.p q WHERE (p.tenant_id = t.tenant_id)))", parent(CLOSED)), "SELECT",
      "p.tenant_id")
    check("unknown", input("(EXISTS ( SELECT 1 FROM public.p, public.m WHERE tenant_id = t.tenant_id))", merged(parent(), members())),
      "SELECT",
      "ambiguous")
  end)

  it("follows joins", function()
    local join = "(EXISTS ( SELECT 1 FROM (public.p %s public.m ON ((m.tenant_id = p.tenant_id))) WHERE ((p.tenant_id = t.tenant_id)%s)))"
    check("proven", input(join:format("JOIN", (" AND ((m.tenant_id)::text = %s)"):format(T)), merged(parent(), members())))
    check("proven", input(join:format("JOIN", ""), merged(parent(), members({}, CLOSED))))
    local v = prover.command(input(join:format("LEFT JOIN", ""), merged(parent(), members({}, CLOSED))), "SELECT")
    assert.are_not.equal("proven", v.status)
    check("proven", input(join:format("LEFT JOIN", ""), merged(parent(CLOSED), members())))
  end)

  it("keeps no condition of the far side of an outer join", function()
    local using = ("(EXISTS ( SELECT 1 FROM (public.p LEFT JOIN (public.m JOIN public.k ON ((k.tenant_id = (%s)::uuid))) ON "
      .. "((m.tenant_id = p.tenant_id))) WHERE ((p.tenant_id = t.tenant_id) AND (t.tenant_id = "
      .. "COALESCE(k.tenant_id, t.tenant_id)))))"):format(T)
    local tables = merged(parent(), members(), { ["public.k"] = tbl(PARENT) })
    assert.are_not.equal("proven", prover.command(input(using, tables), "SELECT").status)
  end)

  it("knows that the far side of an outer join may be absent, whatever its policies", function()
    local using = "(EXISTS ( SELECT 1 FROM (public.p LEFT JOIN public.m ON ((m.tenant_id = p.tenant_id))) "
      .. "WHERE ((p.tenant_id = t.tenant_id) AND (m.tenant_id IS NULL))))"
    assert.are_not.equal("proven", prover.command(input(using, merged(parent(), members({}, CLOSED))), "SELECT").status)
    check("counterexample policy_always_true", input("(( SELECT p.tenant_id FROM public.p WHERE (p.id = t.id)) IS NULL)", parent()))
  end)

  it("claims nothing of rows that an unread policy may hide", function()
    local policies = { policy("(unheard = 1)", { command = "SELECT" }), policy(nil, { name = "w", command = "INSERT", check = "true" }) }
    check("unknown", input("(EXISTS ( SELECT 1 FROM public.p WHERE (p.tenant_id = t.tenant_id)))",
      parent(policies, { may = { insert = true } })), "SELECT", "unheard")
  end)

  it("reads scalar subqueries, arrays of rows, derived tables and UNION", function()
    local of_parent = ("SELECT p.tenant_id FROM public.p WHERE ((p.tenant_id)::text = %s)"):format(T)
    check("proven", input(("(tenant_id = ( %s))"):format(of_parent), parent()))
    check("proven", input(("(tenant_id = ANY (ARRAY( %s)))"):format(of_parent), parent()))
    check("proven", input(("(tenant_id = ANY (( SELECT array_agg(p.tenant_id) AS array_agg FROM public.p "
      .. "WHERE ((p.tenant_id)::text = %s))::uuid[]))"):format(T), parent()))
    check("proven", input(("(( SELECT count(*) AS count FROM public.p WHERE ((p.tenant_id = t.tenant_id) AND "
      .. "((p.tenant_id)::text = %s))) > 0)"):format(T), parent()))
    check("proven", input(("(tenant_id IN ( SELECT d.tenant_id FROM ( %s) d))"):format(of_parent), parent()))
    check("proven", input(("(tenant_id IN ( %s UNION %s))"):format(of_parent, of_parent), parent()))
    local v = prover.command(input(("(tenant_id IN ( %s UNION SELECT m.tenant_id FROM public.m))"):format(of_parent),
      merged(parent(), members { may = { insert = true } })), "SELECT")
    assert.are.equal("policy_lookup_writable", v.class)
  end)

  it("is not fooled by a subquery that always has a row", function()
    check("counterexample policy_always_true",
      input(("(EXISTS ( SELECT count(*) AS count FROM public.p WHERE (p.tenant_id = t.tenant_id) AND "
      .. "((p.tenant_id)::text = %s)))"):format(T), parent()))
    local v = prover.command(input(("(EXISTS ( SELECT app.many(p.id) FROM public.p WHERE (p.tenant_id = t.tenant_id) "
      .. "AND ((p.tenant_id)::text = %s)))"):format(T), parent()), "SELECT")
    assert.are.equal("unknown", v.status)
  end)

  it("does not take a LIMIT or an aggregate for any row", function()
    local of = ("(tenant_id IN ( SELECT %%s FROM public.p WHERE (p.owner_id = (%s)::uuid)%%s))"):format(x "user")
    check("counterexample policy_escape_setting", input(of:format("p.tenant_id", " LIMIT 1"), parent()))
    check("counterexample policy_escape_setting", input(of:format("max(p.tenant_id)", ""), parent()))
    check("proven", input(("(tenant_id IN ( SELECT p.tenant_id FROM public.p WHERE ((p.tenant_id)::text = %s) LIMIT 1))"):format(T),
      parent()))
  end)

  it("asks for the policies of tables that have them", function()
    local unread = parent(CLOSED)
    unread["public.p"].policies = nil
    check("unknown", input("(tenant_id IN ( SELECT p.tenant_id FROM public.p))", unread), "SELECT", "policies of public.p")
    local ok, e = pcall(prover.command, input(nil, { ["public.t"] = { columns = T_COLUMNS, rls = true } }), "SELECT")
    assert.is_false(ok)
    assert.are.equal("bad_argument", e.code)
  end)

  it("takes absence for what an empty table shows", function()
    check("counterexample policy_leak", input("((NOT (EXISTS ( SELECT 1 FROM public.p WHERE (p.open)))) AND (n = 1))", parent()))
    check("unknown", input(("((t.tenant_id IN ( SELECT p.tenant_id FROM public.p WHERE (p.owner_id = (%s)::uuid))) IS UNKNOWN)"):format(T),
      parent()))
    check("proven", input(("((NOT (EXISTS ( SELECT 1 FROM public.p WHERE (p.open)))) AND %s)"):format(CLOSED), parent()))
  end)

  it("is undecided about views, tables without their columns, WITH, and what is recursive", function()
    check("unknown", input("(tenant_id IN ( SELECT p.tenant_id FROM public.p))", parent(nil, { kind = "v", may = { insert = true } })),
      "SELECT", "view")
    check("unknown", input("(tenant_id IN ( SELECT q.tenant_id FROM public.q))"), "SELECT", "public.q")
    check("unknown", input("(tenant_id IN ( WITH w AS ( SELECT 1) SELECT p.tenant_id FROM public.p))", parent(CLOSED)), "SELECT", "WITH")
  end)

  it("leaves it undecided where another's row would have to refer to the tenant's own", function()
    local using = ("(EXISTS ( SELECT 1 FROM public.p WHERE ((p.id = t.parent_id) AND ((p.tenant_id)::text = %s))))"):format(T)
    check("unknown", input(using, parent()), "SELECT", "foreign key")
    local tied = tbl(T_COLUMNS, using, { foreign_keys = { { columns = { "parent_id", "tenant_id" }, table = "public.p", ref = { "id",
      "tenant_id" } } } })
    check("proven", input(nil, merged(parent(), { ["public.t"] = tied })))
    -- a second table of which nothing is known keeps the key from mattering
    check("unknown", input(nil, merged(parent(nil, { keys = {} }), { ["public.t"] = tied })))
  end)
end)

describe("the prover of a child without the tenant's column", function()
  local C = { id = KEY, parent_id = KEY }
  local PATH = { { columns = { "parent_id" }, table = "public.p", ref = { "id" } } }
  local function child(using, parents, columns)
    return merged(input("true"), { relation = "public.c",
      tables = merged(parents, { ["public.c"] = tbl(columns or C, using, { path = PATH }) }) })
  end
  local IN = "(parent_id IN ( SELECT p.id FROM public.p))"

  it("proves through the parent's policy, or by the parent's tenant", function()
    check("proven", child(IN, parent(CLOSED)))
    check("proven", child(("(parent_id IN ( SELECT p.id FROM public.p WHERE ((p.tenant_id)::text = %s)))"):format(T), parent()))
    check("proven", child(("(( SELECT (p.tenant_id)::text AS tenant_id FROM public.p WHERE (p.id = c.parent_id)) = %s)"):format(T),
      parent()))
  end)

  it("knows that what a foreign key refers to is unique", function()
    check("proven", child(("(parent_id IN ( SELECT p.id FROM public.p WHERE ((p.tenant_id)::text = %s)))"):format(T), parent(nil,
      { keys = {} })))
  end)

  it("refutes what does not ask whose the parent is", function()
    check("counterexample policy_always_true", child(IN, parent()))
    check("counterexample policy_captured_column",
      child(("(EXISTS ( SELECT 1 FROM public.p WHERE ((p.id = p.id) AND ((p.tenant_id)::text = %s))))"):format(T), parent()))
  end)

  it("counts a child without a parent as nobody's", function()
    check("counterexample policy_null_tenant", child("((parent_id IS NULL) OR " .. IN .. ")", parent(CLOSED), { id = KEY,
      parent_id = UUID }))
  end)

  it("follows two foreign keys", function()
    local tables = merged(parent(CLOSED), { ["public.c"] = tbl(C, IN, { path = PATH }),
      ["public.g"] = tbl({ id = KEY, child_id = KEY }, "(child_id IN ( SELECT c.id FROM public.c))", { path = {
        { columns = { "child_id" }, table = "public.c", ref = { "id" } }, PATH[1] } }) })
    check("proven", merged(input("true"), { relation = "public.g", tables = tables }))
    tables["public.c"].rls = false
    check("counterexample policy_always_true", merged(input("true"), { relation = "public.g", tables = tables }))
  end)
end)

describe("the prover, looking through functions,", function()
  local function fn(body, more)
    return merged({ language = "sql", volatility = "s", args = {}, returns = "boolean", body = body }, more)
  end
  local ORG = { { name = "org", type = "uuid" } }
  local function with(functions, using, tables, more) return input(using, tables, merged({ functions = functions }, more)) end

  it("reads SQL bodies, by name and by number, RETURN and BEGIN ATOMIC, and PL/pgSQL with one RETURN", function()
    for _, f in ipairs {
      fn("SELECT org = current_setting('app.t', true)::uuid", { args = ORG }),
      fn("select $1 = nullif(current_setting('app.t', true), '')::uuid;", { args = ORG }),
      fn("RETURN ((org)::text = current_setting('app.t'::text, true))", { args = ORG, parsed = true }),
      fn("BEGIN ATOMIC\n SELECT ((has.org)::text = current_setting('app.t'::text, true));\nEND", { args = ORG, parsed = true }),
      fn("\nBEGIN\n  -- the caller's\n  RETURN org = current_setting('app.t', true)::uuid;\nEND;\n", { language = "plpgsql", args = ORG }),
    } do
      check("proven", with({ ["app.has"] = f }, "app.has(tenant_id)"))
    end
  end)

  it("reads functions that give the tenant, a list, a set", function()
    check("proven", with({ ["app.cur"] = fn("select nullif(current_setting('app.t', true), '')::uuid", { returns = "uuid" }) },
      "(tenant_id = app.cur())"))
    check("proven", with({ ["app.ids"] = fn("select string_to_array(current_setting('app.t', true), ',')::uuid[]",
      { returns = "uuid[]" }) },
      "(tenant_id = ANY (app.ids()))"))
    check("proven", with({ ["app.set"] = fn("select unnest(string_to_array(current_setting('app.t', true), ',')::uuid[])",
      { returns = "uuid", returns_set = true }) }, "(tenant_id IN ( SELECT app.set() AS set))"))
    check("counterexample policy_list_injection",
      with({ ["app.ids"] = fn("select string_to_array(current_setting('app.orgs', true), ',')::uuid[]",
      { returns = "uuid[]" }) }, "(tenant_id = ANY (app.ids()))"))
  end)

  it("reads functions that call functions", function()
    check("proven", with({
      ["app.cur"] = fn("select current_setting('app.t', true)::uuid", { returns = "uuid" }),
      ["app.has"] = fn("select org = app.cur()", { args = ORG }),
    }, "app.has(tenant_id)"))
  end)

  it("chooses among functions of one name by their arguments", function()
    local list = { fn("select true"), fn("select org = current_setting('app.t', true)::uuid", { args = ORG }) }
    check("proven", with({ ["app.has"] = list }, "app.has(tenant_id)"))
    check("counterexample policy_always_true", with({ ["app.has"] = list }, "app.has()"))
  end)

  it("gives a call the default values of what it leaves away", function()
    local args = { { name = "org", type = "uuid" }, { name = "setting", type = "text" } }
    local f = fn("select org = current_setting('app.t', true)::uuid or setting = 'none'", { args = args, defaults = "'some'::text" })
    check("proven", with({ ["app.has"] = { f } }, "app.has(tenant_id)"))
    check("counterexample policy_always_true", with({ ["app.has"] = { merged(f, { defaults = "'none'::text" }) } }, "app.has(tenant_id)"))
    check("unknown", with({ ["app.has"] = { merged(f, { defaults = false }) } }, "app.has(tenant_id)"), "SELECT", "nothing is known")
  end)

  it("knows that a strict function of NULL is NULL", function()
    local f = fn("select coalesce(org = current_setting('app.t', true)::uuid, true)", { args = ORG })
    check("counterexample policy_unset_tenant", with({ ["app.has"] = f }, "app.has(tenant_id)"))
    local nullable = tbl({ id = KEY, tenant_id = UUID }, "app.has(tenant_id)")
    f = fn("select coalesce(org = current_setting('app.t')::uuid, true)", { args = ORG })
    check("counterexample policy_null_tenant", with({ ["app.has"] = f }, nil, { ["public.t"] = nullable }))
    check("proven", with({ ["app.has"] = merged(f, { strict = true }) }, nil, { ["public.t"] = nullable }))
  end)

  it("reads with the owner's rights what a security definer reads", function()
    local f = fn("select exists (select 1 from public.m where m.tenant_id = org and m.user_id = current_setting('app.user', true)::uuid)",
      { args = ORG, security_definer = true, owner = "owner", owner_bypasses = true })
    check("counterexample policy_escape_setting", with({ ["app.has"] = f }, "app.has(tenant_id)", members({ may = {} }, CLOSED)))
    check("unknown", with({ ["app.has"] = merged(f, { owner_bypasses = false }) }, "app.has(tenant_id)", members({ may = {} }, CLOSED)))
    -- with the caller's rights its policies bind
    check("proven", with({ ["app.has"] = merged(f, { security_definer = false }) }, "app.has(tenant_id)", members({ may = {} }, CLOSED)))
    check("proven", with({ ["app.who"] = fn("select current_user = 'app'", { security_definer = true, owner = "owner" }) }, "app.who()"))
  end)

  it("is undecided about functions that it cannot read, unless the rest closes the policy", function()
    local log = fn("BEGIN LOOP RETURN true; END LOOP; END", { language = "plpgsql" })
    check("unknown", with({ ["app.log"] = log }, "app.log()"), "SELECT", "more than one RETURN")
    check("proven", with({ ["app.log"] = log }, "(app.log() AND " .. CLOSED .. ")"))
  end)

  it("reads PL/pgSQL that assigns, asks, raises and catches", function()
    local function plpgsql(body, returns) return { ["app.f"] = fn(body, { language = "plpgsql", returns = returns }) } end
    check("counterexample policy_always_true", with(plpgsql "DECLARE i int; BEGIN i := 1; RETURN i = 1; END", "app.f()"))
    check("proven", with(plpgsql "DECLARE i int := 2; BEGIN IF i = 1 THEN RETURN true; END IF; RETURN false; END", "app.f()"))
    local own = "tenant_id = app.f()"
    check("proven", with(plpgsql("BEGIN RETURN current_setting('app.t')::pg_catalog.uuid; EXCEPTION WHEN others THEN RETURN NULL; END",
      "uuid"), own))
    check("counterexample policy_default_tenant", with(plpgsql(
      "BEGIN RETURN current_setting('app.t')::uuid; EXCEPTION WHEN others THEN RETURN '22222222-2222-2222-2222-222222222222'::uuid; END",
      "uuid"), own))
    check("counterexample policy_escape_setting", with(plpgsql(
      "DECLARE v text; BEGIN SELECT current_setting('app.who', true) INTO v; IF v IS NULL THEN v := current_setting('app.t', true); "
      .. "END IF; RETURN v::uuid; END", "uuid"), own))
    check("proven", with(plpgsql("BEGIN IF current_setting('app.t', true) IS NULL THEN RAISE EXCEPTION 'no'; END IF; "
      .. "RETURN current_setting('app.t')::pg_catalog.uuid; END", "uuid"), own))
  end)

  it("is undecided about everything once a function may change the session", function()
    for pattern, f in pairs {
      ["perform"] = fn("BEGIN PERFORM set_config('app.t', $1, true); RETURN true; END", { language = "plpgsql" }),
      ["set_config"] = fn("BEGIN RETURN set_config('app.t', $1, true) IS NOT NULL AND $1 = 'x'; RETURN true; END",
        { language = "plpgsql" }),
      ["execute"] = fn("BEGIN EXECUTE 'x'; RETURN true; END", { language = "plpgsql" }),
      ["written in c"] = fn("symbol", { language = "c", volatility = "v" }),
      ["app.unheard"] = fn("BEGIN IF app.unheard() THEN RETURN true; END IF; RETURN true; END", { language = "plpgsql" }),
    } do
      check("unknown", with({ ["app.f"] = f }, "(app.f() AND " .. CLOSED .. ")"), "SELECT", pattern)
    end
    -- also where the construct around the call is not understood
    check("unknown", with({}, "((xmlelement(name a, set_config('app.t', 'x', true)) IS NOT NULL) AND " .. CLOSED .. ")"), "SELECT",
      "set_config")
    check("unknown", with({ ["app.f"] = fn("SELECT set_config('app.t', 'x', true) = 'x'") },
      "((ARRAY[1])[CASE WHEN app.f() THEN 1 END] = 1 AND " .. CLOSED .. ")"), "SELECT", "set_config")
    check("unknown", with({}, "(app.gone() AND " .. CLOSED .. ")"), "SELECT", "app.gone, of which nothing is known")
    check("proven", with({ ["app.c"] = fn("symbol", { language = "c", volatility = "i" }) }, "(app.c() AND " .. CLOSED .. ")"))
    check("unknown", with({ ["app.has"] = fn("select org = current_setting('app.t', true)::uuid",
      { args = ORG, config = { "app.t=11111111-1111-1111-1111-111111111111" } }) }, "app.has(tenant_id)"), "SELECT", "it sets app.t")
  end)

  describe("and the path along which names in them are found:", function()
    local has = fn("select org = current_setting('app.t', true)::uuid", { args = ORG })
    local function under(role, f)
      return with({ ["app.has"] = f or has }, "app.has(tenant_id)", nil, { role = merged({ name = "app", login = "app", member_of = {} },
        role) })
    end

    it("what it finds may be another's where somebody can create it", function()
      local v = check("unknown", under {}, "SELECT", "search_path")
      assert.are.equal("proven", v.otherwise)
      assert.is_true(#v.assumes > 0)
      check("unknown", under { may_temp = false }, "SELECT", "along the caller's search_path")
    end)

    it("a temporary type can take a type's place", function()
      check("unknown", under { may_create = false }, "SELECT", "temporary type")
      check("unknown", under({ may_create = false }, merged(has, { config = { "search_path=public" } })), "SELECT", "temporary type")
    end)

    it("a path that ends in pg_temp holds", function()
      check("proven", under({}, merged(has, { config = { "search_path=pg_catalog, pg_temp" } })))
      check("proven", under({}, merged(has, { config = { 'search_path=pg_catalog, "pg_temp"' } })))
    end)

    it("a body that was parsed when it was made holds, and so does trust in the path", function()
      check("proven", under({}, fn("RETURN (org = (current_setting('app.t'::text, true))::uuid)", { args = ORG, parsed = true })))
      check("proven", merged(under {}, { trust_search_path = true }))
    end)

    it("a temporary table can take a table's place", function()
      local f = fn("select exists (select 1 from m where m.tenant_id = org and m.tenant_id::text = current_setting('app.t', true))",
        { args = ORG })
      local function of(role)
        return with({ ["app.has"] = f }, "app.has(tenant_id)", members(),
          { role = merged({ name = "app", login = "app", member_of = {} }, role) })
      end
      check("proven", of { may_create = false, may_temp = false })
      check("unknown", of { may_create = false })
    end)
  end)
end)

describe("the prover of two axes", function()
  local AXES = { { column = "org_id", setting = "app.orgs", list = true, template = "{{id}}",
    context = { ["app.scope"] = "organization" } },
    { column = "partner_id", setting = "app.partner" } }
  local BOTH = { id = KEY, org_id = UUID, partner_id = UUID, n = { type = "integer" } }
  local function axes(using, more)
    return merged(input("true"), { axes = AXES, tables = { ["public.t"] = tbl(BOTH, using) } }, more)
  end
  local ORGS = "(org_id = ANY ((current_setting('app.orgs'::text, true))::uuid[]))"
  local PARTNER = "(partner_id = (current_setting('app.partner'::text, true))::uuid)"

  it("proves what is bound to either", function()
    check("proven", axes(ORGS))
    check("proven", axes(PARTNER))
    check("proven", axes(("(%s OR %s)"):format(ORGS, PARTNER)))
    check("proven", axes(("CASE current_setting('app.scope'::text, true) WHEN 'organization'::text THEN %s ELSE %s END"):format(ORGS,
      PARTNER)))
    check("proven", axes("(org_id = ANY ((string_to_array(current_setting('app.orgs'::text, true), ','::text))::uuid[]))"))
    check("proven", axes("((org_id)::text = ANY (string_to_array(current_setting('app.orgs'::text, true), ','::text)))"))
  end)

  it("refutes what compares one axis with the other's setting, or with none", function()
    check("counterexample policy_leak", axes("(org_id = (current_setting('app.partner'::text, true))::uuid)"))
    check("counterexample policy_always_true", axes(("(%s OR (partner_id IS NOT NULL))"):format(ORGS)))
    check("counterexample policy_null_tenant", axes(("(%s OR ((partner_id IS NULL) AND (org_id IS NULL)))"):format(ORGS)))
    check("counterexample policy_escape_setting",
      axes(("(%s OR (current_setting('app.scope'::text, true) = 'system'::text))"):format(ORGS)))
  end)

  it("takes a key of a JSON setting for the tenant, and the other keys for anything", function()
    local jwt = { { column = "tenant_id", setting = "request.jwt.claims", json_key = "org_id" } }
    local claim = "((current_setting('request.jwt.claims'::text, true))::jsonb ->> '%s'::text)"
    local own = ("(tenant_id = (%s)::uuid)"):format(claim:format "org_id")
    check("proven", input(own, nil, { axes = jwt }))
    check("proven", input(("(tenant_id = ( SELECT (%s)::uuid AS uuid))"):format(claim:format "org_id"), nil, { axes = jwt }))
    local v = check("counterexample policy_escape_setting", input(("(%s OR (%s = 'service'::text))"):format(own, claim:format "role"), nil,
      { axes = jwt }), "SELECT", "request.jwt.claims")
    assert.is_truthy(v.assignment.settings["request.jwt.claims"]:find('"role":"service"', 1, true))
  end)
end)

describe("the prover of commands", function()
  local function of(policies, command) return prover.command(input(policies), command) end

  it("takes only the policies of a command and of the role", function()
    local policies = { policy(CLOSED, { command = "SELECT" }), policy("true", { name = "q", command = "DELETE" }),
      policy("true", { name = "r", command = "UPDATE", roles = { "admin" } }) }
    assert.are.equal("proven", of(policies, "SELECT").status)
    assert.are.equal("policy_always_true", of(policies, "DELETE").class)
    local update = of(policies, "UPDATE")
    assert.are.equal("proven", update.status)
    assert.are.equal("no policy", update.decided_by)
    assert.are.equal("no policy", of(policies, "INSERT").decided_by)
  end)

  it("takes USING for a missing WITH CHECK, and finds one that is always true", function()
    assert.are.equal("proven", of({ policy(CLOSED) }, "UPDATE").status)
    assert.are.equal("proven", of({ policy(CLOSED) }, "INSERT").status)
    local v = of({ policy(CLOSED, { check = "true" }) }, "UPDATE")
    assert.are.equal("policy_write_unchecked", v.class)
    assert.are.equal("proven", v.phases.using.status)
    assert.are.equal("policy_write_unchecked", of({ policy(CLOSED, { check = "true" }) }, "INSERT").class)
    assert.are.equal("policy_write_unchecked", of({ policy(nil, { command = "INSERT", check = "(n > 0)" }) }, "INSERT").class)
    assert.are.equal("policy_escape_setting", of({ policy(CLOSED, { check = ("(%s OR (%s = 'y'::text))"):format(CLOSED, x "w") }) },
      "INSERT").class)
  end)

  it("finds what a blind DELETE or UPDATE finds though SELECT is closed", function()
    local policies = { policy(CLOSED, { command = "SELECT" }), policy("true", { name = "u", command = "UPDATE", check = CLOSED }) }
    local v = of(policies, "UPDATE")
    assert.are.equal("policy_always_true", v.class)
    assert.are.equal("proven", v.phases.check.status)
  end)

  it("does not count the row that is written among the rows that are there", function()
    local using = "(EXISTS ( SELECT 1 FROM public.t old WHERE ((old.id = t.id) AND ((old.tenant_id)::text = " .. T .. "))))"
    assert.are_not.equal("proven", of({ policy(CLOSED, { command = "SELECT" }), policy(CLOSED, { name = "u", command = "UPDATE",
      check = using }) },
      "UPDATE").phases.check.status)
  end)

  it("joins permissive policies by OR and restrictive ones by AND", function()
    local function restrictive(using) return policy(using, { name = "r", permissive = false }) end
    assert.are.equal("proven", of({ policy("true"), restrictive(CLOSED) }, "SELECT").status)
    assert.are.equal("proven", of({ restrictive("true") }, "SELECT").status)
    assert.are.equal("policy_always_true", of({ policy("true"), restrictive("true") }, "SELECT").class)
  end)

  it("says how it was decided where no policy matters", function()
    local function with(t, role)
      return prover.command(input(nil, { ["public.t"] = tbl(T_COLUMNS, CLOSED, t) },
        role and { role = merged({ name = "app", login = "app", member_of = {} }, role) }), "SELECT")
    end
    assert.are.equal("no grant", with({ may = { insert = true } }).decided_by)
    assert.are.equal("rls_missing", with({ rls = false }).class)
    assert.are.equal("role_bypasses_rls", with({ owner = "app", forced = false }).class)
    assert.are.equal("proven", with({ owner = "app", forced = true }).status)
    assert.are.equal("role_bypasses_rls", with({ owner = "boss", forced = false }, { member_of = { boss = true } }).class)
    assert.are.equal("proven", with({ owner = "boss", forced = false }, { member_of = { boss = true }, inherits = {} }).status)
    assert.are.equal("role_bypasses_rls", with({}, { superuser = true }).class)
    assert.are.equal("role_bypasses_rls", with({}, { bypassrls = true }).class)
  end)

  it("decides all four", function()
    local all = prover.decide(input(CLOSED))
    for _, command in ipairs { "SELECT", "INSERT", "UPDATE", "DELETE" } do assert.are.equal("proven", all[command].status) end
  end)
end)

describe("trust", function()
  local SCOPE = ("(%s = 'system'::text)"):format(x "scope")
  local function under(using, trust, more)
    return prover.command(input(using, nil, merged({ trust = trust, today = "2024-06-01" }, more)), "SELECT")
  end
  local ENTRY = { setting = "app.scope", reason = "set by our workers only", expires = "2030-01-01" }

  it("covers a counterexample that needs the trusted setting alone, and is not a proof", function()
    local v = under(("(%s OR %s)"):format(SCOPE, CLOSED), { ENTRY })
    assert.are.equal("trusted", v.status)
    assert.are.equal("policy_escape_setting", v.class)
    assert.are.same({ ENTRY }, v.trust)
  end)

  it("does not cover what another setting opens too", function()
    local v = under(("(%s OR (%s = 'y'::text) OR %s)"):format(SCOPE, x "other", CLOSED), { ENTRY })
    assert.are.equal("counterexample", v.status)
    assert.are.same({ "app.other" }, v.settings)
  end)

  it("does not cover what needs no setting, what needs two, or what expired", function()
    assert.are.equal("policy_unset_tenant", under(("(%s OR (%s IS NULL) OR %s)"):format(SCOPE, T, CLOSED), { ENTRY }).class)
    assert.are.equal("counterexample", under(("((%s AND (%s = 'y'::text)) OR %s)"):format(SCOPE, x "other", CLOSED),
      { { setting = "app.unrelated", reason = "r" } }).status)
    assert.are.equal("counterexample", under(("(%s OR %s)"):format(SCOPE, CLOSED), { merged(ENTRY, { expires = "2024-01-01" }) }).status)
  end)

  it("covers a role that a policy tests", function()
    local using = ("(pg_has_role('workers'::name, 'MEMBER'::text) OR %s)"):format(CLOSED)
    local role = { role = { name = "app", login = "app", member_of = { workers = true } } }
    assert.are.equal("policy_user_test", under(using, nil, role).class)
    local v = under(using, { { role = "workers", reason = "r" } }, role)
    assert.are.equal("trusted", v.status)
  end)
end)

describe("the prover at the size of real schemas", function()
  it("decides 1,300 policies built on a few functions, each as it would alone", function()
    local functions = {
      ["app.has_org_access"] = { language = "sql", volatility = "s", returns = "boolean", args = { { name = "org_id", type = "uuid" } },
        body = "SELECT has_org_access.org_id = ANY (string_to_array(current_setting('app.orgs', true), ',')::uuid[])" },
      ["app.has_partner_access"] = { language = "sql", volatility = "s", returns = "boolean", args = { { name = "p", type = "uuid" } },
        body = "SELECT p = nullif(current_setting('app.partner', true), '')::uuid OR current_setting('app.scope', true) = 'system'" },
    }
    local tables, cache = {}, {}
    for i = 1, 400 do
      local policies = {}
      for j, command in ipairs { "SELECT", "INSERT", "UPDATE", "DELETE" } do
        local text = "app.has_org_access(org_id)"
        if (i + j) % 10 == 0 then text = ("(%s OR app.has_partner_access(partner_id))"):format(text) end
        if j < 4 or i % 4 == 0 then
          policies[#policies + 1] = { name = "p" .. j, command = command, roles = { "public" }, permissive = true,
            using = command ~= "INSERT" and text or nil, check = command == "INSERT" and text or nil }
        end
      end
      tables["public.t" .. i] = tbl({ id = KEY, org_id = UUID, partner_id = UUID }, policies)
    end
    local counts = { proven = 0, counterexample = 0, unknown = 0, trusted = 0 }
    local began = os.clock()
    for i = 1, 400 do
      local verdicts = prover.decide {
        relation = "public.t" .. i, tables = tables, functions = functions, cache = cache,
        axes = { { column = "org_id", setting = "app.orgs", list = true }, { column = "partner_id", setting = "app.partner" } },
        role = { name = "app", login = "app", member_of = {}, may_create = false, may_temp = false },
      }
      for _, v in pairs(verdicts) do counts[v.status] = counts[v.status] + 1 end
    end
    if os.getenv "PROVER_SHOW" then print(("1,300 policies: %.2f s"):format(os.clock() - began)) end
    assert.are.equal(0, counts.unknown)
    assert.are.equal(1600, counts.proven + counts.counterexample)
    assert.is_true(counts.counterexample > 100 and counts.proven > 1000, tostring(counts.counterexample))
  end)
end)
