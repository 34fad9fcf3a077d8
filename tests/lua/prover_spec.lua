-- What the prover says of policies: leaks by their class and witness, clean look-alikes as proven, and what it cannot tell as undecided.
local prover = require "rls.prover"

local NULL = require("json").null
local T = "current_setting('app.t'::text, true)"
local function x(name) return ("current_setting('app.%s'::text, true)"):format(name) end

local COLUMNS = {
  id = { type = "uuid", notnull = true }, tenant_id = { type = "uuid", notnull = true }, owner_tenant = { type = "uuid" },
  is_public = { type = "boolean" }, status = { type = "text" }, n = { type = "integer" }, parent_id = { type = "uuid" },
  tags = { type = "text[]" }, kind = { type = "public.kind" }, doc = { type = "jsonb" }, created = { type = "timestamp with time zone" },
}

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

--- An input for public.t with these policies; `more` is merged in, `more.columns` into the columns.
local function input(policies, more)
  more = more or {}
  if type(policies) == "string" then policies = { policy(policies) } end
  local t = merged({ columns = merged(COLUMNS, more.columns), rls = true, forced = true, keys = { { "id" } }, policies = policies }, more.t)
  return merged({
    relation = "public.t", axes = { { column = "tenant_id", setting = "app.t" } },
    role = { name = "app", login = "app", member_of = {}, may_create = false, may_temp = false },
  }, more, { tables = merged({ ["public.t"] = t }, more.tables), columns = false, t = false })
end

local function shown(v)
  return ("%s %s: %s"):format(v.status, v.class or "", v.text or v.reason or "")
end

local function proven(policies, more, command)
  local v = prover.command(input(policies, more), command or "SELECT")
  assert.are.equal("proven", v.status, shown(v))
  return v
end

local function leak(class, policies, more, command)
  local v = prover.command(input(policies, more), command or "SELECT")
  assert.are.equal("counterexample " .. class, v.status .. " " .. tostring(v.class), shown(v))
  return v
end

local function unknown(pattern, policies, more, command)
  local v = prover.command(input(policies, more), command or "SELECT")
  assert.are.equal("unknown", v.status, shown(v))
  assert.is_truthy(v.reason:find(pattern), v.reason)
  return v
end

local NULLABLE = { columns = { tenant_id = { type = "uuid" } } }
local TEXT = { columns = { tenant_id = { type = "text", notnull = true } } }
local INT = { columns = { tenant_id = { type = "bigint", notnull = true } } }

--- A table of cases as tests of their own: title → {expression, more}.
local function cases(verdict, list)
  for _, case in ipairs(list) do
    it(case[1], function() verdict(case[2], case[3]) end)
  end
end

describe("the prover", function()
  describe("proves", function()
    cases(proven, {
      { "the tenant as text", ("((tenant_id)::text = %s)"):format(T) },
      { "the setting as the column's type", ("(tenant_id = (%s)::uuid)"):format(T) },
      { "a setting that must be there", "(tenant_id = (current_setting('app.t'::text))::uuid)" },
      { "an empty setting taken for none", ("(tenant_id = (NULLIF(%s, ''::text))::uuid)"):format(T) },
      { "the same in a subquery that is computed once", ("(tenant_id = ( SELECT (%s)::uuid AS u))"):format(T) },
      { "text ids", ("(tenant_id = %s)"):format(T), TEXT },
      { "text ids, an absent setting taken for empty", ("(tenant_id = COALESCE(%s, ''::text))"):format(T), TEXT },
      { "integers", ("(tenant_id = (NULLIF(%s, ''::text))::bigint)"):format(T), INT },
      { "a setting whose name has capitals", "((tenant_id)::text = current_setting('App.T'::text, true))" },
      { "a uuid in lower case", ("(lower((tenant_id)::text) = lower(%s))"):format(T) },
      { "a prefix on both sides", ("(('t:'::text || (tenant_id)::text) = ('t:'::text || %s))"):format(T) },
      { "a pattern that is a uuid only where the setting is one", ("(((tenant_id)::text ~~ %s) AND (tenant_id = (%s)::uuid))"):format(T,
        T) },
      { "a uuid's place in the setting", ("(POSITION(((tenant_id)::text) IN (%s)) > 0)"):format(T) },
      { "both sides joined to another column", ("(((tenant_id)::text || (n)::text) = (%s || (n)::text))"):format(T) },
      { "a list made of the setting", ("((tenant_id)::text = ANY (string_to_array(%s, ','::text)))"):format(T) },
      { "a list cast to the column's type", ("(tenant_id = ANY ((string_to_array(%s, ','::text))::uuid[]))"):format(T) },
      { "a list that overlaps", ("(ARRAY[(tenant_id)::text] && string_to_array(%s, ','::text))"):format(T) },
      { "a list that contains", ("(string_to_array(%s, ','::text) @> ARRAY[(tenant_id)::text, status])"):format(T) },
      { "a list that is contained in", ("(ARRAY[(tenant_id)::text] <@ string_to_array(%s, ','::text))"):format(T) },
      { "a list split at a plain expression", ("((tenant_id)::text = ANY (regexp_split_to_array(%s, ','::text)))"):format(T) },
      { "a uuid as a name", ("(((tenant_id)::text)::name = (%s)::name)"):format(T) },
      { "a setting cut to the longest id", ("((tenant_id)::text = ((%s)::character varying(40))::text)"):format(T),
        { columns = { tenant_id = { type = "character varying(40)", notnull = true } } } },
      { "an array literal in the setting", ("(tenant_id = ANY ((%s)::uuid[]))"):format(T) },
      { "an array of one", ("(tenant_id = ANY (ARRAY[(%s)::uuid]))"):format(T) },
      { "unnest in a subquery", ("(tenant_id IN ( SELECT u.u FROM unnest((string_to_array(%s, ','::text))::uuid[]) u(u)))"):format(T) },
      { "a NULL tenant that no NULL setting equals", ("(tenant_id = (%s)::uuid)"):format(T), NULLABLE },
      { "distinctness with a tenant that is never NULL", ("(NOT (tenant_id IS DISTINCT FROM (%s)::uuid))"):format(T) },
      { "AND with what is not understood", ("((tenant_id = (%s)::uuid) AND (created > now()))"):format(T) },
      { "AND with another setting", ("((tenant_id = (%s)::uuid) AND (%s = 'on'::text))"):format(T, x "feature") },
      { "precedence: OR inside the AND", ("((tenant_id = (%s)::uuid) AND (is_public OR (n > 5)))"):format(T) },
      { "precedence as written without parentheses", ("tenant_id = (%s)::uuid AND is_public OR tenant_id::text = %s AND n = 1"):format(T,
        T) },
      { "an OR of two closed ways", ("((tenant_id = (%s)::uuid) OR ((tenant_id)::text = %s))"):format(T, T) },
      { "CASE that is closed on each branch", ("CASE WHEN is_public THEN (tenant_id = (%s)::uuid) ELSE false END"):format(T) },
      { "a negation of the contrary", ("(NOT (tenant_id <> (%s)::uuid))"):format(T) },
      { "IS TRUE", ("((tenant_id = (%s)::uuid) IS TRUE)"):format(T) },
      { "a contradiction", "((n = 1) AND (n = 2))" },
      { "a comparison with NULL", "(tenant_id = NULL::uuid)" },
      { "another user's name", "(SESSION_USER = 'postgres'::name)" },
      { "a role it is no member of", "pg_has_role('admin'::name, 'MEMBER'::text)" },
      { "a role that does not matter", ("(pg_has_role('admin'::name, 'USAGE'::text) OR (tenant_id = (%s)::uuid))"):format(T) },
      { "a setting that is an impossible boolean", "('x'::text = 'y'::text)" },
      { "a setting and its own value", ("((%s IS NOT NULL) AND (%s <> ''::text) AND ((tenant_id)::text = %s))"):format(T, T, T) },
      { "a collation that is deterministic", ("(tenant_id = (%s COLLATE \"C\"))"):format(T), TEXT },
      { "varchar columns", ("((tenant_id)::text = %s)"):format(T), { columns = { tenant_id = { type = "character varying(40)" } } } },
      { "a domain over uuid", ("(tenant_id = (%s)::uuid)"):format(T), { columns = { tenant_id = { type = "public.tid",
        base = "uuid" } } } },
    })
  end)

  describe("refutes", function()
    local function refuted(list)
      for _, case in ipairs(list) do
        it(case[2], function()
          local v = leak(case[1], case[3], case[5])
          if case[4] then assert.is_truthy(v.text:find(case[4], 1, true), v.text) end
        end)
      end
    end

    refuted {
      { "policy_always_true", "true", "true", "any row" },
      { "policy_always_true", "a tautology", "((n IS NULL) OR (n IS NOT NULL))" },
      { "policy_always_true", "a test that is never NULL", "((1 = 1) IS NOT UNKNOWN)" },
      { "policy_always_true", "the contrary", ("(tenant_id <> (%s)::uuid)"):format(T) },
      { "policy_leak", "a public flag", ("((tenant_id = (%s)::uuid) OR is_public)"):format(T), "is_public = true" },
      { "policy_precedence", "precedence: AND before OR", ("tenant_id = (%s)::uuid AND n = 1 OR status = 'open'"):format(T),
        "status = 'open'" },
      { "policy_leak", "rows of one tenant for all",
        ("((tenant_id = (%s)::uuid) OR (tenant_id = '22222222-2222-2222-2222-222222222222'::uuid))"):format(T),
        "22222222" },
      { "policy_leak", "a number that decides", "(n > 5)", "n = " },
      { "policy_leak", "an array column", ("(%s = ANY (tags))"):format(T), "tags", nil },
      { "policy_unset_tenant", "an absent setting opens", ("((%s IS NULL) OR (tenant_id = (%s)::uuid))"):format(T, T),
        "app.t was never set" },
      { "policy_unset_tenant", "coalesce to the row's own tenant", ("((tenant_id)::text = COALESCE(%s, (tenant_id)::text))"):format(T) },
      { "policy_unset_tenant", "NULL taken for true", ("COALESCE((tenant_id = (%s)::uuid), true)"):format(T) },
      { "policy_unset_tenant", "not false", ("(((tenant_id)::text = %s) IS NOT FALSE)"):format(T) },
      { "policy_unset_tenant", "CASE without a setting", ("CASE WHEN (%s IS NULL) THEN true ELSE ((tenant_id)::text = %s) END"):format(T,
        T) },
      { "policy_empty_tenant", "an empty setting opens", ("((%s = ''::text) OR ((tenant_id)::text = %s))"):format(T, T), "app.t = ''" },
      { "policy_empty_tenant", "length 0", ("((length(%s) = 0) OR ((tenant_id)::text = %s))"):format(T, T) },
      { "policy_empty_tenant", "CASE on the empty text", ("CASE %s WHEN ''::text THEN true ELSE ((tenant_id)::text = %s) END"):format(T,
        T) },
      { "policy_default_tenant", "coalesce to a tenant",
        ("(tenant_id = (COALESCE(NULLIF(%s, ''::text), '22222222-2222-2222-2222-222222222222'::text))::uuid)"):format(T), "22222222" },
      { "policy_default_tenant", "coalesce to a tenant's number",
        ("(tenant_id = (COALESCE(NULLIF(%s, ''::text), '1'::text))::bigint)"):format(T),
        "tenant_id = 1", INT },
      { "policy_null_tenant", "rows of nobody", ("((tenant_id IS NULL) OR (tenant_id = (%s)::uuid))"):format(T), "no tenant", NULLABLE },
      { "policy_null_tenant", "coalesce of the column", ("(COALESCE(tenant_id, (%s)::uuid) = (%s)::uuid)"):format(T, T), "no tenant",
        NULLABLE },
      { "policy_not_distinct", "IS NOT DISTINCT FROM", ("(NOT (tenant_id IS DISTINCT FROM (NULLIF(%s, ''::text))::uuid))"):format(T),
        "app.t was never set", NULLABLE },
      { "policy_escape_setting", "an admin setting", ("((%s = 'true'::text) OR (tenant_id = (%s)::uuid))"):format(x "is_admin", T),
        "app.is_admin = 'true'" },
      { "policy_escape_setting", "a boolean setting", ("((%s)::boolean OR (tenant_id = (%s)::uuid))"):format(x "is_admin", T),
        "app.is_admin = 't" },
      { "policy_escape_setting", "a setting that must be there",
        ("((current_setting('app.bypass'::text) = 'on'::text) OR (tenant_id = (%s)::uuid))"):format(T),
        "app.bypass = 'on'" },
      { "policy_escape_setting", "one of several values",
        ("((%s = ANY (ARRAY['admin'::text, 'root'::text])) OR (tenant_id = (%s)::uuid))"):format(x "role", T), "app.role" },
      { "policy_escape_setting", "the wrong setting", ("((tenant_id)::text = %s)"):format(x "tenant"), "app.tenant" },
      { "policy_escape_setting", "a fallback to another setting", ("((tenant_id)::text = COALESCE(NULLIF(%s, ''::text), %s))"):format(T,
        x "legacy"), "app.legacy" },
      { "policy_escape_setting", "the application's name", "(current_setting('application_name'::text) = 'admin'::text)",
        "application_name = 'admin'" },
      { "policy_escape_setting", "two settings together", ("((%s = 'a'::text) AND (%s = 'b'::text))"):format(x "one", x "two"),
        "app.two = 'b'" },
      { "policy_list_injection", "a list in another setting",
        ("((tenant_id)::text = ANY (string_to_array(%s, ','::text)))"):format(x "orgs"), "app.orgs" },
      { "policy_list_injection", "a list of ids in another setting", ("(tenant_id = ANY ((%s)::uuid[]))"):format(x "orgs"),
        "app.orgs = '{" },
      { "policy_user_test", "the login's own name", "(SESSION_USER = 'app'::name)", "the user is app" },
      { "policy_user_test", "the current user", ("((CURRENT_USER = 'app'::name) OR (tenant_id = (%s)::uuid))"):format(T) },
      { "policy_prefix_match", "LIKE with a wildcard added", ("((tenant_id)::text ~~ (%s || '%%'::text))"):format(T) },
      { "policy_prefix_match", "LIKE the setting", ("((tenant_id)::text ~~ %s)"):format(T), "app.t = '%'" },
      { "policy_prefix_match", "starts_with", ("starts_with(tenant_id, %s)"):format(T), nil, TEXT },
      { "policy_prefix_match", "the beginnings", ("(\"left\"((tenant_id)::text, 8) = \"left\"(%s, 8))"):format(T) },
      { "policy_prefix_match", "a setting cut to a length", ("(\"left\"(tenant_id, 3) = \"left\"(%s, 3))"):format(T), nil, TEXT },
      { "policy_prefix_match", "texts cut to a name", ("((tenant_id)::name = (%s)::name)"):format(T), nil, TEXT },
      { "policy_list_injection", "a list that overlaps, in another setting",
        ("(ARRAY[(tenant_id)::text] && string_to_array(%s, ','::text))"):format(x "orgs"), "app.orgs" },
      { "policy_prefix_match", "a number's first digit", ("((tenant_id)::text = \"left\"(%s, 1))"):format(T), nil, INT },
      { "policy_prefix_match", "a number's place in the setting", ("(POSITION(((tenant_id)::text) IN (%s)) > 0)"):format(T), nil, INT },
      { "policy_loose_match", "ids that differ in case", ("(lower(tenant_id) = lower(%s))"):format(T), nil, TEXT },
      { "policy_captured_column", "a column compared with itself", "(tenant_id = tenant_id)" },
    }

    it("a role it is a member of", function()
      leak("policy_user_test", "pg_has_role('admin'::name, 'MEMBER'::text)",
        { role = { name = "app", login = "app", member_of = { admin = true } } })
    end)

    it("a policy that widens what another closes", function()
      local v = leak("policy_widens", { policy(("(tenant_id = (%s)::uuid)"):format(T)), policy("(n > 0)", { name = "q" }) })
      assert.is_truthy(v.text:find "n = ")
    end)

    it("a permissive policy that was meant to restrict", function()
      leak("policy_widens", { policy(("(tenant_id = (%s)::uuid)"):format(T)), policy("(status <> 'deleted'::text)", { name = "q" }) })
      proven { policy(("(tenant_id = (%s)::uuid)"):format(T)), policy("(status <> 'deleted'::text)", { name = "q", permissive = false }) }
    end)
  end)

  it("follows NULL through AND, OR, CASE, nullif and IN", function()
    -- each is true of another's row only where something is NULL
    for _, e in ipairs {
      "(((n = n) AND (1 = 1)) IS NOT TRUE)", "(((n = n) OR (1 = 2)) IS NOT TRUE)", "(NOT ((n = n) IS TRUE))",
      "CASE WHEN (n = n) THEN false ELSE true END", "(NULLIF(id, id) IS NULL)",
      "((1 = ANY (ARRAY[n, 1, 2])) AND (n IS NULL))",
      "((n <> ALL (ARRAY[n])) IS UNKNOWN)",
    } do
      local v = prover.command(input(e), "SELECT")
      assert.are.equal("counterexample", v.status, e .. ": " .. shown(v))
    end
    proven "(COALESCE(((n = n) AND false), (n = NULL::integer), true) IS NULL)"
  end)

  describe("knows of types by the classes of their equal values", function()
    local EXTENSION = { ["public.citext"] = { name = "public.citext", kind = "class", equality = "public.=" } }
    local function of(type_name, expression)
      local more = { columns = { tenant_id = { type = type_name, notnull = true } }, types = EXTENSION }
      return prover.command(input(expression:gsub("{t}", type_name):gsub("{setting}", function() return T end), more), "SELECT").status
    end

    it("which are what is compared", function()
      for _, name in ipairs { "bytea", "numeric", "double precision", "bpchar", "date", "inet", "oid",
        "timestamp without time zone" } do
        assert.equal("proven", of(name, "(tenant_id = ({setting})::{t})"), name)
        assert.equal("proven", of(name, "(tenant_id = (NULLIF({setting}, ''::text))::{t})"), name)
        assert.equal("proven", of(name, "(tenant_id = ANY ((string_to_array({setting}, ','::text))::{t}[]))"), name)
      end
      assert.equal("proven", of("public.citext", "(tenant_id OPERATOR(public.=) ({setting})::{t})"))
    end)

    it("and of nothing else", function()
      for _, expression in ipairs {
        "((tenant_id)::text = {setting})", "(tenant_id >= ({setting})::{t})", "(tenant_id <> ({setting})::{t})",
        "(tenant_id = (lower({setting}))::{t})", "(tenant_id = (btrim({setting}))::{t})",
        "(tenant_id = (split_part({setting}, ','::text, 1))::{t})", "(tenant_id = (current_setting('app.x'::text, true))::{t})",
        "(tenant_id = (COALESCE({setting}, '1'::text))::{t})", "(is_public OR (tenant_id = ({setting})::{t}))",
      } do
        for _, name in ipairs { "bytea", "numeric", "bpchar", "date" } do
          assert.not_equal("proven", of(name, expression), name .. " " .. expression)
        end
      end
      for name, expression in pairs {
        ["numeric"] = "(tenant_id = ({setting})::numeric(5,0))", ["bpchar"] = "(tenant_id = ({setting})::character(5))",
        ["timestamp with time zone"] = "(tenant_id = ({setting})::{t})", ["interval"] = "(tenant_id = ({setting})::{t})",
        ["money"] = "(tenant_id = ({setting})::{t})", ["public.citext"] = "(tenant_id = ({setting})::{t})",
        ["double precision"] = "((tenant_id)::real = ({setting})::real)",
      } do
        assert.not_equal("proven", of(name, expression), name .. " " .. expression)
      end
    end)
  end)

  it("reads lists by the place of an item, and by a set of pieces", function()
    for _, e in ipairs { "(array_position((string_to_array(%s, ','::text))::uuid[], tenant_id) IS NOT NULL)",
      "(array_position(string_to_array(%s, ','::text), (tenant_id)::text) > 0)",
      "((tenant_id)::text IN ( SELECT string_to_table(%s, ','::text) AS string_to_table))" } do
      proven(e:format(T))
      assert.not_equal("proven", prover.command(input(e:format(x "x")), "SELECT").status, e)
    end
    leak("policy_always_true", ("(array_position(string_to_array(%s, ','::text), (tenant_id)::text) IS NULL)"):format(T))
    -- array_position finds NULL among NULLs.
    local v = prover.command(input(("(array_position((string_to_array(%s, ','::text))::uuid[], tenant_id) > 0)"):format(T), NULLABLE),
      "SELECT")
    assert.not_equal("proven", v.status)
    unknown("the set of jsonb_array_elements_text",
      ("((tenant_id)::text IN ( SELECT jsonb_array_elements_text((%s)::jsonb) AS e))"):format(T))
    unknown("the operator %?", ("((%s)::jsonb ? (tenant_id)::text)"):format(T))
  end)

  it("takes an id for another once its own characters are replaced or split at", function()
    for _, e in ipairs { "replace(%s, '1'::text, '2'::text)", "split_part(%s, '1'::text, 1)", "replace(%s, '-'::text, ''::text)" } do
      local v = prover.command(input(("(tenant_id = (" .. e .. ")::bigint)"):format(T), INT), "SELECT")
      assert.not_equal("proven", v.status, e)
    end
    local v = prover.command(input(("(tenant_id = (replace(%s, 'a'::text, 'b'::text))::uuid)"):format(T)), "SELECT")
    assert.not_equal("proven", v.status)
    proven(("(tenant_id = (replace(%s, '-'::text, ''::text))::uuid)"):format(T))
    proven(("(tenant_id = (replace(%s, 'org_'::text, ''::text))::bigint)"):format(T), INT)
    proven(("(tenant_id = (split_part(%s, ','::text, 1))::bigint)"):format(T), INT)
  end)

  describe("shows an assignment that", function()
    it("sets what the planner computes, and what is not understood of it may need", function()
      for _, operand in ipairs { "GREATEST(status, 'x'::text)", "regexp_replace(status, 'x'::text, 'y'::text)" } do
        local v = leak("policy_escape_setting", ("(is_public OR (%s = current_setting('app.x'::text)))"):format(operand))
        assert.is_string(v.assignment.settings["app.x"], operand)
        v = prover.command(input(("(is_public OR (%s = (current_setting('app.t'::text))::text))"):format(operand)), "SELECT")
        assert.is_string(v.assignment.settings["app.t"], operand)
      end
      local v = prover.command(input([[(is_public AND (EXISTS ( SELECT max(p.n) AS max FROM public.t p
        WHERE (p.status = current_setting('app.t'::text)))))]]), "SELECT")
      assert.is_string(v.assignment.settings["app.t"])
    end)

    it("has the settings, the row, and the statements", function()
      local v = leak("policy_escape_setting", ("((%s = 'it''s'::text) OR (tenant_id = (%s)::uuid))"):format(x "admin", T))
      assert.are.equal("it's", v.assignment.settings["app.admin"])
      assert.are_not.equal(v.assignment.own[1], v.assignment.row.tenant_id)
      assert.are.same({ "app.admin" }, v.settings)
      assert.is_truthy(table.concat(v.statements, "\n"):find("SELECT set_config('app.admin', 'it''s', false);", 1, true))
    end)

    it("says so where the setting is absent", function()
      local v = leak("policy_unset_tenant", ("(%s IS NULL)"):format(T))
      assert.is_nil(v.assignment.settings["app.t"])
      assert.is_truthy(v.statements[1]:find "in a new connection")
    end)

    it("lists further reasons", function()
      local v = leak("policy_unset_tenant", ("((%s IS NULL) OR (%s = 'x'::text) OR (tenant_id = (%s)::uuid))"):format(T, x "admin", T))
      assert.are.equal("policy_escape_setting", v.also[1].class)
    end)

    it("uses json.null for NULL", function()
      local v = leak("policy_null_tenant", "(tenant_id IS NULL)", NULLABLE)
      assert.are.equal(NULL, v.assignment.row.tenant_id)
    end)
  end)

  describe("is undecided about", function()
    cases(function(e, more) unknown(more.pattern, e, more) end, {
      { "an operator of another schema", ("(tenant_id OPERATOR(public.=) (%s)::uuid)"):format(T), { pattern = "operator public.=" } },
      { "a type of another schema", ("((tenant_id)::public.citext = (%s)::public.citext)"):format(T), { pattern = "citext" } },
      { "a nondeterministic collation", ("(tenant_id = %s)"):format(T),
        { pattern = "collated", columns = { tenant_id = { type = "text", deterministic = false } } } },
      { "a collation it does not know", ("(tenant_id = (%s COLLATE \"de-x-icu\"))"):format(T),
        { pattern = "COLLATE", columns = TEXT.columns } },
      { "time", "(created > now())", { pattern = "operator >" } },
      { "a list without a separator", ("((tenant_id)::text = ANY (string_to_array(%s, NULL::text)))"):format(T),
        { pattern = "string_to_array", columns = TEXT.columns } },
      { "what an error keeps from being seen",
        ("CASE WHEN (((%s)::uuid = tenant_id) OR (%s = ''::text)) THEN true ELSE false END"):format(T, T),
        { pattern = "" } },
      { "a list split at more than a plain expression", ("((tenant_id)::text = ANY (regexp_split_to_array(%s, '[,;]'::text)))"):format(T),
        { pattern = "regexp_split_to_array" } },
      { "regular expressions", ("((tenant_id)::text ~ %s)"):format(T), { pattern = "operator ~" } },
      { "an element of an array", "(tags[1] = 'x'::text)", { pattern = "" } },
      { "a column that it was not told of", "(unheard = 1)", { pattern = "unheard" } },
      { "set_config", "((set_config('app.t'::text, (tenant_id)::text, true) IS NOT NULL) AND (tenant_id IS NOT NULL))",
        { pattern = "set_config" } },
      { "set_config beside an equality",
        ("((set_config('app.t'::text, (tenant_id)::text, true) IS NOT NULL) AND ((tenant_id)::text = %s))"):format(T),
        { pattern = "set_config" } },
      { "SQL that is run from text", "(query_to_xml('select 1'::text, true, true, ''::text) IS NOT NULL)", { pattern = "query_to_xml" } },
      { "text that does not parse", "(tenant_id = ", { pattern = "cannot be read" } },
      { "more than an expression", "1 = 1 FROM t", { pattern = "cannot be read" } },
      { "a fallback to an id that stands for none",
        ("(tenant_id = (COALESCE(NULLIF(%s, ''::text), '00000000-0000-0000-0000-000000000000'::text))::uuid)"):format(T),
        { pattern = "only if no tenant has" } },
      { "too many cases", ("((tenant_id = (%s)::uuid) OR is_public)"):format(T), { pattern = "too many cases", budget = 3 } },
      { "an operator that only pg_depend shows", ("(NOT (tenant_id IS DISTINCT FROM (%s)::uuid))"):format(T),
        { pattern = "outside pg_catalog", t = { policies = { policy(("(NOT (tenant_id IS DISTINCT FROM (%s)::uuid))"):format(T),
          { foreign_operators = { "public.=" } }) } } } },
    })

    it("a row that it does not know whose it is", function()
      local v = prover.command(input("true", { axes = { { column = "org_id", setting = "app.t" } } }), "SELECT")
      assert.are.equal("unknown", v.status)
      assert.is_truthy(v.reason:find "whose its rows are")
    end)

    it("text ids that may have separators or blanks in them, until the caller knows better", function()
      for _, e in ipairs { ("(tenant_id = ANY (string_to_array(%s, ','::text)))"):format(T), ("(tenant_id = btrim(%s))"):format(T),
        ("(tenant_id = split_part(%s, ':'::text, 1))"):format(T) } do
        local v = unknown("no id in tenant_id has blanks", e, TEXT)
        assert.are.equal("proven", v.otherwise)
        proven(e, merged(TEXT, { axes = { { column = "tenant_id", setting = "app.t", plain = true } } }))
      end
    end)

    it("an id that stands for none, until the caller knows that no tenant has it", function()
      proven(("(tenant_id = (COALESCE(NULLIF(%s, ''::text), '00000000-0000-0000-0000-000000000000'::text))::uuid)"):format(T),
        { absent = { "00000000-0000-0000-0000-000000000000" } })
    end)
  end)

  it("refuses an input that describes no table", function()
    local ok, e = pcall(prover.decide, { relation = "public.x", tables = {}, axes = { { column = "a", setting = "b" } },
      role = { name = "r" } })
    assert.is_false(ok)
    assert.are.equal("bad_argument", e.code)
    ok, e = pcall(prover.decide, input("true", { axes = { { column = "tenant_id" } } }))
    assert.is_false(ok)
    assert.are.equal("bad_argument", e.code)
  end)
end)
