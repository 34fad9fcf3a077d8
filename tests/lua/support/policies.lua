--- Random policies over one table, for comparing the prover with a real server.
--
--     local make = require("policies").generator(seed, "uuid")
--     local text = make()
--
-- The same seed gives the same policies. The table is t(id int, tenant_id TYPE, is_public bool, n int, owner text, pid int) and beside it
-- pol.parent(id int, tenant_id TYPE, open bool); the settings are app.t, which names the tenant, and app.x.
local policies = {}

--- The tenants of a type: own is A, the others may not be seen. Among the texts are a beginning and another case of A.
policies.TENANTS = {
  uuid = { own = "11111111-1111-4111-8111-11111111111a", others = { "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333" }, constant = "22222222-2222-4222-8222-222222222222" },
  int = { own = "1", others = { "2", "11" }, constant = "2" },
  text = { own = "acme", others = { "acme2", "ACME", "b" }, constant = "b" },
}
policies.SQL_TYPE = { uuid = "uuid", int = "integer", text = "text" }

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
