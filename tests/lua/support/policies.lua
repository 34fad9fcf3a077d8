--- Random policies over one table, for comparing the prover with a real server.
--
--     local make = require("policies").generator(seed, "uuid")
--     local text = make()
--
-- The same seed gives the same policies. The table is t(id int, tenant_id TYPE, is_public bool, n int, owner text, pid int) and beside it
-- pol.parent and pol.guarded(id int, tenant_id TYPE, open bool), of which the second has a policy of its own; the settings are app.t, which
-- names the tenant, and app.x. `policies.functions(kind)` are helpers that the policies call.
local policies = {}

--- The tenants of a type: own is A, the others may not be seen. Among the texts are a beginning and another case of A.
policies.TENANTS = {
  uuid = { own = "11111111-1111-4111-8111-11111111111a", others = { "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333" }, constant = "22222222-2222-4222-8222-222222222222" },
  int = { own = "1", others = { "2", "11" }, constant = "2" },
  text = { own = "acme", others = { "acme2", "ACME", "b" }, constant = "b" },
}
policies.SQL_TYPE = { uuid = "uuid", int = "integer", text = "text" }

--- Helper functions: name → {args, returns, language, body, strict?}, as SQL and the prover need them.
---@param kind "uuid"|"int"|"text"
function policies.functions(kind)
  local t = policies.SQL_TYPE[kind]
  local cast = "::" .. t
  local arg = { { name = "org", type = t } }
  return {
    ["pol.has"] = { language = "sql", args = arg, returns = "boolean", body = "select org = current_setting('app.t', true)" .. cast },
    ["pol.has_any"] = { language = "sql", args = arg, returns = "boolean",
      body = "select org = any (string_to_array(current_setting('app.t', true), ',')" .. cast .. "[]) or org is null" },
    ["pol.cur"] = { language = "plpgsql", args = {}, returns = t,
      body = "begin return nullif(current_setting('app.t', true), '')" .. cast .. "; end" },
    ["pol.strict"] = { language = "sql", args = arg, returns = "boolean", strict = true,
      body = "select coalesce(org = nullif(current_setting('app.t', true), '')" .. cast .. ", false)" },
    ["pol.member"] = { language = "sql", args = arg, returns = "boolean",
      body = "select exists (select 1 from pol.parent m where m.tenant_id = org and m.tenant_id::text = current_setting('app.t', true))" },
    ["pol.admin"] = { language = "sql", args = {}, returns = "boolean", body = "select current_setting('app.x', true) = 'true'" },
    ["pol.ids"] = { language = "sql", args = {}, returns = t, returns_set = true,
      body = "select p.tenant_id from pol.parent p where p.tenant_id::text = current_setting('app.t', true)" },
  }
end

--- Numbers from a seed (Numerical Recipes' generator), so that no interpreter's own one matters.
local function numbers(seed)
  local state = seed
  return function(n)
    state = (state * 1664525 + 1013904223) % 4294967296
    return (state >> 8) % n + 1
  end
end

local function quoted(text)
  return "'" .. text:gsub("'", "''") .. "'"
end

---@param seed integer
---@param kind "uuid"|"int"|"text"
---@return fun(): string
function policies.generator(seed, kind)
  local random = numbers(seed)
  local tenants = policies.TENANTS[kind]
  local cast = "::" .. policies.SQL_TYPE[kind]
  local function pick(list) return list[random(#list)] end

  local function tenant_setting()
    return pick {
      "current_setting('app.t', true)", "current_setting('app.t', true)", "current_setting('app.t')",
      "nullif(current_setting('app.t', true), '')", "coalesce(current_setting('app.t', true), '')",
      "coalesce(nullif(current_setting('app.t', true), ''), " .. quoted(tenants.constant) .. ")",
      "coalesce(nullif(current_setting('app.t', true), ''), " .. quoted(tenants.own) .. ")",
      "(select current_setting('app.t', true))", "lower(current_setting('app.t', true))",
      "btrim(current_setting('app.t', true))", "split_part(current_setting('app.t', true), ',', 1)",
    }
  end
  local function other_setting()
    return pick { "current_setting('app.x', true)", "nullif(current_setting('app.x', true), '')", "current_setting('app.x')",
      "coalesce(current_setting('app.x', true), 'false')" }
  end
  local ATOMS = {
    function() return "tenant_id::text = " .. tenant_setting() end,
    function() return "tenant_id = " .. tenant_setting() .. cast end,
    function() return "tenant_id = " .. tenant_setting() .. cast end,
    function() return "tenant_id is not distinct from " .. tenant_setting() .. cast end,
    function() return "tenant_id <> " .. tenant_setting() .. cast end,
    function() return "tenant_id::text like " .. tenant_setting() .. " || '%'" end,
    function() return "starts_with(tenant_id::text, " .. tenant_setting() .. ")" end,
    function() return "left(tenant_id::text, 4) = left(" .. tenant_setting() .. ", 4)" end,
    function() return "lower(tenant_id::text) = lower(" .. tenant_setting() .. ")" end,
    function() return "'t:' || tenant_id::text = 't:' || " .. tenant_setting() end,
    function() return "tenant_id::text = any (string_to_array(" .. tenant_setting() .. ", ','))" end,
    function() return "tenant_id = any (string_to_array(" .. tenant_setting() .. ", ',')" .. cast .. "[])" end,
    function() return ("tenant_id in (%s, %s)"):format(tenant_setting() .. cast, quoted(tenants.constant) .. cast) end,
    function() return "tenant_id is null" end,
    function() return "tenant_id is not null" end,
    function() return tenant_setting() .. " is null" end,
    function() return tenant_setting() .. " = ''" end,
    function() return tenant_setting() .. " <> ''" end,
    function() return "tenant_id::text = " .. other_setting() end,
    function() return "tenant_id::text = any (string_to_array(" .. other_setting() .. ", ','))" end,
    function() return other_setting() .. " = 'true'" end,
    function() return other_setting() .. "::boolean" end,
    function() return other_setting() .. " in ('a', 'true')" end,
    function() return other_setting() .. " is null" end,
    function() return "is_public" end,
    function() return "is_public" .. pick { " is true", " is not true", " is unknown", " is not false", " is not null", " = true" } end,
    function() return "n " .. pick { ">", "<", "=", "<>", "<=", ">=" } .. " " .. pick { "5", "0", "n", "-1" } end,
    function() return "n in (1, 2, 10)" end,
    function() return "owner = " .. pick { "session_user", "current_user", "'x'", other_setting(), tenant_setting() } end,
    function() return pick { "session_user", "current_user" } .. " = " .. pick { "'app'", "'postgres'" } end,
    function() return pick { "true", "false", "null::boolean" } end,
    function() return ("exists (select 1 from pol.parent p where p.id = t.pid and p.tenant_id::text = %s)"):format(tenant_setting()) end,
    function() return "exists (select 1 from pol.parent p where p.tenant_id = t.tenant_id and p.open)" end,
    function() return ("exists (select 1 from pol.parent p where p.tenant_id = tenant_id and p.tenant_id = %s)"):format(
      tenant_setting() .. cast) end,
    function() return ("tenant_id in (select p.tenant_id from pol.parent p where p.tenant_id = %s)"):format(tenant_setting() .. cast) end,
    function() return ("tenant_id = (select p.tenant_id from pol.parent p where p.id = pid and p.tenant_id::text = %s)"):format(
      tenant_setting()) end,
  }

  local WIDE = {
    function() return ("array[tenant_id::text, %s] && string_to_array(%s, ',')"):format(pick { "owner", "null", "'x'" },
      tenant_setting()) end,
    function() return ("string_to_array(%s, ',') @> array[tenant_id::text]"):format(tenant_setting()) end,
    function() return ("array[tenant_id::text, owner] <@ string_to_array(%s, ',')"):format(pick { other_setting(), tenant_setting() }) end,
    function() return ("not (array[tenant_id, null] && array[%s%s])"):format(tenant_setting(), cast) end,
    function() return ("tenant_id::text = any (regexp_split_to_array(%s, ','))"):format(tenant_setting()) end,
    function() return ("tenant_id::text::name = %s::name"):format(tenant_setting()) end,
    function() return ("tenant_id::varchar(4) = %s"):format(tenant_setting()) end,
    function() return ("tenant_id::text ilike %s"):format(tenant_setting()) end,
    function() return ("position(tenant_id::text in %s) > 0"):format(tenant_setting()) end,
    function() return ("replace(%s, 'x', '') = tenant_id::text"):format(tenant_setting()) end,
    function() return ("tenant_id::text || n::text = %s || n::text"):format(tenant_setting()) end,
    function() return ("tenant_id in (select u.u from unnest(string_to_array(%s, ',')%s[]) u(u))"):format(tenant_setting(), cast) end,
    function() return ("tenant_id = any (%s%s[])"):format(tenant_setting(), cast) end,
    function() return ("tenant_id = any (%s%s[])"):format(other_setting(), cast) end,
    function() return ("(%s::json ->> 'k') = tenant_id::text"):format(other_setting()) end,
    function() return ("(%s::jsonb ->> 'admin') = 'true'"):format(other_setting()) end,
    function() return ("(%s::jsonb -> 'k' ->> 'l') = tenant_id::text"):format(other_setting()) end,
    function() return ("(%s::json #>> '{k,l}') = 'true'"):format(other_setting()) end,
    function() return "exists (select 1 from pol.guarded g where g.tenant_id = t.tenant_id)" end,
    function() return "tenant_id in (select g.tenant_id from pol.guarded g where g.open)" end,
    function() return ("exists (select 1 from pol.parent p left join pol.guarded g on g.id = p.id where p.tenant_id = t.tenant_id "
      .. "and (g.tenant_id::text = %s or g.id is null))"):format(tenant_setting()) end,
    function() return ("exists (select 1 from pol.guarded g join pol.parent p on p.tenant_id = g.tenant_id where p.tenant_id = t.tenant_id "
      .. "and p.id = %s)"):format(pick { "t.pid", "1", "t.n" }) end,
    function() return ("(select count(*) from pol.parent p where p.tenant_id = t.tenant_id and p.tenant_id::text = %s) > 0"):format(
      tenant_setting()) end,
    function() return ("pid = (select max(p.id) from pol.parent p where p.tenant_id::text = %s)"):format(tenant_setting()) end,
    function() return ("exists (select max(p.id) from pol.parent p where p.tenant_id::text = %s)"):format(tenant_setting()) end,
    function() return ("tenant_id = any (array(select p.tenant_id from pol.parent p where p.tenant_id::text = %s))"):format(
      tenant_setting()) end,
    function() return ("tenant_id = any ((select array_agg(p.tenant_id) from pol.parent p where p.tenant_id::text = %s)%s[])"):format(
      tenant_setting(), cast) end,
    function() return ("tenant_id not in (select p.tenant_id from pol.parent p where p.tenant_id::text <> %s)"):format(
      tenant_setting()) end,
    function() return ("not exists (select 1 from pol.parent p where p.id = t.pid and p.tenant_id::text <> %s)"):format(
      tenant_setting()) end,
    function() return ("(tenant_id::text, n) = (%s, 1)"):format(tenant_setting()) end,
    function() return ("tenant_id = case when %s = '' then null else %s%s end"):format(tenant_setting(), tenant_setting(), cast) end,
    function() return ("coalesce(tenant_id::text, %s) = %s"):format(tenant_setting(), tenant_setting()) end,
    function() return ("nullif(%s, tenant_id::text) is null"):format(tenant_setting()) end,
    function() return ("%s is distinct from %s"):format(tenant_setting(), other_setting()) end,
    function() return ("greatest(tenant_id::text, %s) = %s"):format(tenant_setting(), tenant_setting()) end,
    function() return ("length(%s) = length(tenant_id::text)"):format(tenant_setting()) end,
    function() return ("tenant_id::text between %s and %s"):format(tenant_setting(), tenant_setting()) end,
    function() return "pol.has(tenant_id)" end, function() return "pol.has_any(tenant_id)" end,
      function() return "tenant_id = pol.cur()" end,
    function() return "pol.strict(tenant_id)" end, function() return "pol.member(tenant_id)" end, function() return "pol.admin()" end,
    function() return "tenant_id in (select pol.ids())" end, function() return "tenant_id in (select i from pol.ids() i)" end,
  }
  table.move(WIDE, 1, #WIDE, #ATOMS + 1, ATOMS)

  local expression

  local COMBINED = {
    function(d) return ("(%s and %s)"):format(expression(d), expression(d)) end,
    function(d) return ("(%s or %s)"):format(expression(d), expression(d)) end,
    function(d) return ("%s or %s and %s"):format(expression(d), expression(d), expression(d)) end,
    function(d) return ("not (%s)"):format(expression(d)) end,
    function(d) return ("(%s)%s"):format(expression(d), pick { " is true", " is not true", " is not false", " is unknown" }) end,
    function(d) return ("case when %s then %s else %s end"):format(expression(d), expression(d), expression(d)) end,
    function(d) return ("coalesce(%s, %s)"):format(expression(d), expression(d)) end,
  }

  function expression(depth)
    if depth <= 0 or random(3) == 1 then return "(" .. pick(ATOMS)() .. ")" end
    return "(" .. pick(COMBINED)(depth - 1) .. ")"
  end

  return function() return expression(random(3)) end
end

return policies
