--- Gate 1's checks of coverage and isolation, as functions of a context.
--
-- The gate runs them with the engine's ctx. Its recovery runs them a second time, inside of a transaction in which the proposed migration
-- was carried out, with a context that only collects: what a migration really closes is seen before anybody is told to apply it.
local axes = require "rls.axes"
local catalogue = require "rls.catalogue"
local errors = require "errors"
local names = require "rls.names"
local probe = require "rls.probe"
local reach = require "rls.reach"
local rules = { roles = require "rls.rules.roles", objects = require "rls.rules.objects", functions = require "rls.rules.functions" }

local harness = {}

--- Tables of the reference platform that are the same for every tenant.
local SHARED = { ["platform.required_audits"] = true }

--- Who the application is, as the server sees it.
local function application(ctx)
  return ctx.db.app:row [[
    select current_user::text as role, rolsuper as super, rolbypassrls as bypass from pg_roles where rolname = current_user]]
end

--- Who the application is, and every table with whose rows it holds.
---@param ctx table
---@return {settings: table, app: table, tables: rls.Table[], by_oid: table, admin: table}
function harness.look(ctx)
  local list = axes.list(ctx.config.database)
  -- What looks at one axis alone looks at the first.
  local settings = setmetatable({ tenant = list[1], axes = list }, { __index = ctx.config.database })
  local app = application(ctx)
  local tables, by_oid = catalogue.read(ctx.db.admin, settings, app.role, ctx.platform.kind == "embedded" and SHARED or nil)
  return { settings = settings, app = app, tables = tables, by_oid = by_oid,
    admin = ctx.db.admin:row "select rolsuper as super, rolsuper or rolbypassrls as bypass from pg_roles where rolname = current_user" }
end

local function is_base(t) return t.kind == "r" or t.kind == "p" end

--- Tenants' base tables, and the views over them.
---@return rls.Table[] base, rls.Table[] views
function harness.of_tenants(seen)
  local base, views = {}, {}
  for _, t in ipairs(seen.tables) do
    if t.scope == "tenant" or t.scope == "child" then
      if is_base(t) then
        base[#base + 1] = t
      elseif t.kind == "v" or t.kind == "m" then
        views[#views + 1] = t
      end
    end
  end
  return base, views
end

local function rls_sql(t)
  return ("select relrowsecurity, relforcerowsecurity from pg_class where oid = %s::regclass;\n"
    .. "select * from pg_policies where schemaname = %s and tablename = %s;")
    :format(names.literal(t.sql), names.literal(t.schema), names.literal(t.name))
end

local function granted(t) return t.may.select or t.may.insert or t.may.update or t.may.delete end

local function check_table(ctx, t)
  local at = { object = t.label, reproduce = rls_sql(t) }
  -- A partition that only its parent leads to is bound by the parent's policies (PostgreSQL manual, section 5.8).
  if t.is_partition and not t.app_owns and catalogue.closed(t) then return end
  if not t.rls then
    at.detail = "row-level security is not enabled"
    ctx:fail("rls_missing", at)
  elseif #t.policies == 0 then
    at.detail = "row-level security is enabled, but there is no policy: all rows are denied"
    -- Granted and denied at once is a policy that was forgotten; nothing granted is a table that is not the application's.
    ctx:fail(granted(t) and "rls_missing" or "rls_no_policy", at)
  elseif not t.forced then
    ctx:fail("rls_not_forced", at)
  end
end

--- Has every tenants' table policies?
function harness.coverage(ctx, seen)
  local base = harness.of_tenants(seen)
  if #base == 0 then
    errors.raise { code = "no_tenant_tables",
      message = ("no table has the column %q: there is nothing to isolate"):format(seen.settings.tenant.column),
      fix = "check database.tenant.column, database.schemas and the rights of database.admin" }
  end
  for _, t in ipairs(base) do check_table(ctx, t) end
  for _, t in ipairs(seen.tables) do
    if t.scope == "unclassified" then
      ctx:advise("unclassified_table", { object = t.label, detail = "the application may reach it, and nothing says whose its rows are" })
    end
  end
  ctx:fact("tables", #base)
end

--- Makes a finding. What repairs it is for the recovery's own context, which collects.
local function say(ctx, class, f)
  ctx:fail(class, { object = f.object, detail = f.detail, fix = f.fix, reproduce = f.reproduce,
    repair = rawget(ctx, "collects") and f.repair or nil })
end

local function report_table(ctx, t, result)
  local seen = {}
  for _, l in ipairs(result.leaks) do
    if not seen[l.op .. l.detail] then
      seen[l.op .. l.detail] = true
      local owners = not is_base(t) and t.bound == false
      say(ctx, owners and "view_owner_rights" or "cross_tenant_leak", { object = t.label, detail = l.detail, reproduce = l.reproduce,
        repair = owners and ("ALTER VIEW %s SET (security_invoker = true);"):format(t.sql) or nil })
    end
  end
  if #result.errors > 0 then
    errors.raise { code = "probe_failed", message = ("%s could not be probed"):format(t.label), detail = table.concat(result.errors, "; ") }
  end
  if result.controls == 0 and #result.proven == 0 and #result.leaks == 0 then
    errors.raise { code = "probe_failed", message = ("%s: nothing was probed"):format(t.label) }
  end
end

--- Relations that hold tenants' rows and that no policy can be attached to.
local function check_unbindable(ctx, seen)
  for _, t in ipairs(seen.tables) do
    local tenants = t.scope == "tenant" or t.scope == "child"
    local may = t.may.select or t.may.insert or t.may.update or t.may.delete
    local shown = ("select * from %s limit 5;"):format(t.sql)
    if t.kind == "m" and tenants and t.may.select then
      ctx:fail("materialised_view", { object = t.label, detail = "the application may read it", reproduce = shown })
    elseif t.kind == "f" and t.tenant and may then
      ctx:fail("foreign_table", { object = t.label, detail = "the application has grants on it", reproduce = shown })
    end
  end
end

--- What goes around the policies: roles, grants, objects and functions, as the catalogue tells.
local function check_ways_around(ctx, seen)
  local base = harness.of_tenants(seen)
  local admin, app = ctx.db.admin, seen.app
  local ways = {
    { "roles", function() return rules.roles.findings(admin, app.role) end },
    { "grants and objects", function() return rules.objects.findings(admin, app, base, seen.by_oid, seen.settings.tenant) end },
    { "functions", function() return rules.functions.findings(admin, app, base, seen.tables, seen.by_oid) end },
  }
  for _, way in ipairs(ways) do
    ctx:check("isolation: " .. way[1], function()
      local undecided
      for _, f in ipairs(way[2]()) do
        undecided = undecided or f.unproven
        if not f.unproven then say(ctx, f.class, f) end
      end
      if undecided then
        errors.raise { code = "rule_unproven", message = undecided,
          fix = "replace the rule by a trigger, or give its relation to an owner whom FORCE ROW LEVEL SECURITY binds" }
      end
    end, { group = "isolation" })
  end
  ctx:check("isolation: relations without policies", function() check_unbindable(ctx, seen) end, { group = "isolation" })
end

--- One check a function: none hides what another check finds.
local function check_definers(ctx, seen)
  local found = {}
  ctx:check("isolation: functions with their owner's rights", function()
    found = reach.definers(ctx.db.admin, seen.app.role, (harness.of_tenants(seen)))
  end, { group = "isolation" })
  for _, f in ipairs(found) do
    ctx:check("isolation: function " .. f.name, function()
      errors.raise { code = "definer_unproven",
        message = ("%s runs with the rights of %s, whom row-level security does not bind, and may touch %s")
          :format(f.name, f.owner, f.table),
        fix = "make it SECURITY INVOKER, give it to an owner whom FORCE ROW LEVEL SECURITY binds, or revoke EXECUTE from the application" }
    end, { group = "isolation" })
  end
end

--- Policies that say something else than "the row's tenant is the session's": probed, and not proven.
local function advise_unproven(ctx, seen, t)
  local forms = catalogue.canonical(t, seen.settings)
  for _, p in ipairs(t.policies) do
    if p.permissive and p.applies and not (forms[p.using or p.check or ""] and forms[p.check or p.using or ""]) then
      ctx:advise("policy_unproven", { object = t.label,
        detail = ("policy %s: %s"):format(p.name, p.using or p.check or ""), reproduce = rls_sql(t) })
    end
  end
end

--- Can tenant A see or change what is B's? One check a table and a way around.
function harness.isolation(ctx, seen)
  local base, views = harness.of_tenants(seen)
  local results, statements, left
  local ok, raised = pcall(function()
    results, left = probe.run(function() return ctx.db:open("admin") end, base, views, seen.by_oid, { settings = seen.settings,
      role = seen.app.role, superuser = seen.admin.super, bypass = seen.admin.bypass,
      max_rows = (seen.settings.probe or {}).max_rows or 10000, batch = (seen.settings.probe or {}).batch or 500 })
  end)
  if not ok or #base == 0 then
    ctx:check("isolation", function()
      if not ok then error(raised, 0) end
      errors.raise { code = "nothing_probed", message = "there is no tenant's table to probe" }
    end, { group = "isolation" })
    return
  end
  statements = 0
  for _, list in ipairs { base, views } do
    for _, t in ipairs(list) do
      ctx:check("isolation of " .. t.label, function()
        local result = results[t.oid]
        if not result then
          errors.raise { code = "probe_failed", message = t.label .. " was not probed" }
        end
        statements = statements + result.statements
        report_table(ctx, t, result)
        if is_base(t) then advise_unproven(ctx, seen, t) end
      end, { group = "isolation" })
    end
  end
  ctx:fact("probes", statements)
  ctx:fact("sequences_advanced", #left)
  if #left > 0 and not rawget(ctx, "collects") then
    ctx:log("rolled back; these sequences stay advanced: %s", table.concat(left, ", "))
  end
  check_ways_around(ctx, seen)
  check_definers(ctx, seen)
end

return harness
