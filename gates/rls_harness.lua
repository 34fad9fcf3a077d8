-- Gate 1: tenant A cannot see or change tenant B's rows, every tenant-scoped table has row-level security, and every code path
-- sets the tenant.
--
-- usage: gate-engine run gates/rls_harness.lua --tenant acme [--only coverage,isolation] [--verbose]
--        gate-engine run gates/rls_harness.lua --tenant acme --record FILE [--listen HOST:PORT|DIR] [-- TEST-SUITE …]
local gate = require "gate"
local catalogue = require "rls.catalogue"
local code_paths = require "rls.code_paths"
local code_paths_recorded = require "rls.code_paths_recorded"
local errors = require "errors"
local names = require "rls.names"
local probe = require "rls.probe"
local reach = require "rls.reach"
local recovery = require "rls.recovery"

--- Tables of the reference platform that are the same for every tenant.
local SHARED = { ["platform.required_audits"] = true }

--- Who the application is, as the server sees it.
local function application(ctx)
  return ctx.db.app:row [[
    select current_user::text as role, rolsuper as super, rolbypassrls as bypass from pg_roles where rolname = current_user]]
end

local function look(ctx)
  local settings = ctx.config.database
  local tenant = settings.tenant or {}
  if not tenant.column or not tenant.setting then
    errors.raise { code = "config_missing_key", message = "gate 1 needs database.tenant.column and database.tenant.setting",
      fix = "add database = { tenant = { column = …, setting = … } } to gate-engine.conf.lua" }
  end
  local app = application(ctx)
  local tables, by_oid = catalogue.read(ctx.db.admin, settings, app.role, ctx.platform.kind == "embedded" and SHARED or nil)
  return { settings = settings, app = app, tables = tables, by_oid = by_oid,
    admin = ctx.db.admin:row "select rolsuper as super, rolsuper or rolbypassrls as bypass from pg_roles where rolname = current_user" }
end

local function is_base(t) return t.kind == "r" or t.kind == "p" end

local function of_tenants(seen)
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

local function check_table(ctx, t)
  local at = { object = t.label, reproduce = rls_sql(t) }
  -- A partition that only its parent leads to is bound by the parent's policies (PostgreSQL manual, section 5.8).
  if t.is_partition and not t.app_owns and catalogue.closed(t) then return end
  if not t.rls then
    at.detail = "row-level security is not enabled"
    ctx:fail("rls_missing", at)
  elseif #t.policies == 0 then
    at.detail = "row-level security is enabled, but there is no policy: all rows are denied"
    ctx:fail("rls_missing", at)
  elseif not t.forced then
    ctx:fail("rls_not_forced", at)
  end
end

local function check_coverage(ctx, seen)
  local base = of_tenants(seen)
  if #base == 0 then
    errors.raise { code = "no_tenant_tables",
      message = ("no table has the column %q: there is nothing to isolate"):format(seen.settings.tenant.column),
      fix = "check database.tenant.column, database.schemas and the rights of database.admin" }
  end
  if seen.app.super or seen.app.bypass then
    ctx:fail("role_bypasses_rls", { object = seen.app.role, detail = seen.app.super and "it is a superuser" or "it has BYPASSRLS",
      reproduce = ("select rolsuper, rolbypassrls from pg_roles where rolname = %s;"):format(names.literal(seen.app.role)) })
  end
  for _, t in ipairs(base) do check_table(ctx, t) end
  for _, t in ipairs(seen.tables) do
    if t.scope == "unclassified" then
      ctx:advise("unclassified_table", { object = t.label, detail = "the application may reach it, and nothing says whose its rows are" })
    end
  end
  ctx:fact("tables", #base)
end

local function report_table(ctx, t, result)
  local seen = {}
  for _, l in ipairs(result.leaks) do
    if not seen[l.op .. l.detail] then
      seen[l.op .. l.detail] = true
      ctx:fail("cross_tenant_leak", { object = t.label, detail = l.detail, reproduce = l.reproduce })
    end
  end
  if #result.errors > 0 then
    errors.raise { code = "probe_failed", message = ("%s could not be probed"):format(t.label), detail = table.concat(result.errors, "; ") }
  end
  if result.controls == 0 and #result.proven == 0 and #result.leaks == 0 then
    errors.raise { code = "probe_failed", message = ("%s: nothing was probed"):format(t.label) }
  end
end

--- What goes around the policies: rights that no policy binds, roles, functions with somebody else's rights.
local function check_ways_around(ctx, seen)
  local base, views = of_tenants(seen)
  local owns = ("select pg_has_role(%s, relowner, 'MEMBER') from pg_class where oid = %%s::regclass;"):format(names.literal(seen.app.role))
  for _, r in ipairs(reach.unbound_roles(ctx.db.admin, seen.app.role)) do
    ctx:fail("role_bypasses_rls", { object = seen.app.role, detail = ("it may SET ROLE %s, which %s"):format(r.name,
      r.super and "is a superuser" or "has BYPASSRLS"), reproduce = ("set role %s;"):format(names.ident(r.name)) })
  end
  for _, t in ipairs(base) do
    if t.app_owns then
      ctx:fail("role_bypasses_rls", { object = seen.app.role,
        detail = ("as owner of %s it can turn row-level security off"):format(t.label), reproduce = owns:format(names.literal(t.sql)) })
    end
    if t.may.truncate then
      ctx:fail("cross_tenant_leak", { object = t.label, detail = "the application may TRUNCATE it, which no policy binds",
        reproduce = ("select has_table_privilege(%s, %s, 'TRUNCATE');"):format(names.literal(seen.app.role), names.literal(t.sql)),
        fix = ("REVOKE TRUNCATE ON %s FROM the role that has it"):format(t.label) })
    end
  end
  for _, t in ipairs(views) do
    if t.kind == "m" and t.may.select then
      ctx:fail("cross_tenant_leak", { object = t.label, detail = "row-level security cannot bind a materialised view",
        reproduce = ("select * from %s limit 5;"):format(t.sql),
        fix = "Revoke it, and let the application read a view over it that tests the tenant" })
    end
  end
  for _, t in ipairs(seen.tables) do
    if t.kind == "f" and t.tenant and (t.may.select or t.may.insert or t.may.update or t.may.delete) then
      ctx:fail("cross_tenant_leak", { object = t.label, detail = "row-level security cannot bind a foreign table",
        reproduce = ("select * from %s limit 5;"):format(t.sql) })
    end
  end
end

--- One check a function: none hides what another check finds.
local function check_definers(ctx, seen)
  local found = {}
  ctx:check("isolation: functions with their owner's rights", function()
    found = reach.definers(ctx.db.admin, seen.app.role, (of_tenants(seen)))
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

local function check_isolation(ctx, seen)
  local base, views = of_tenants(seen)
  local results, statements
  local ok, raised = pcall(function()
    results = probe.run(function() return ctx.db:open("admin") end, base, views, seen.by_oid, { settings = seen.settings,
      role = seen.app.role, superuser = seen.admin.super, bypass = seen.admin.bypass,
      max_rows = (seen.settings.probe or {}).max_rows or 10000 })
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
  ctx:check("isolation: ways around the policies", function() check_ways_around(ctx, seen) end, { group = "isolation" })
  check_definers(ctx, seen)
end

local function check_code_paths(ctx, seen)
  local judged = code_paths_recorded.check(ctx, seen)
  if ctx.platform.kind ~= "embedded" then
    if judged then return end
    errors.raise { code = "code_paths_not_watched", message = "nothing watched which statements the application runs",
      fix = "record its test suite: gate-engine run gates/rls_harness.lua --tenant CODE --record FILE -- COMMAND …; or name a recording, "
        .. "csvlog or jsonlog with --recording FILE or recording in the configuration (--only coverage,isolation leaves this check out "
        .. "and never approves)" }
  end
  local relations = {}
  for _, t in ipairs((of_tenants(seen))) do relations[#relations + 1] = t.oid end
  local conn = ctx.db:open("admin")
  local found, count = code_paths.watch(conn, {
    settings = seen.settings, role = seen.app.role, superuser = seen.admin.super, relations = relations,
  })
  conn:close()
  for _, f in ipairs(found) do
    ctx:fail("set_config_missing", { object = f.path, detail = f.detail, reproduce = "\\sf " .. f.path })
  end
  ctx:fact("code_paths", count)
end

return gate.define {
  api = 1,
  id = "rls_harness",
  name = "RLS Harness",
  number = 1,
  purpose = "Verify tenant isolation: no tenant sees or changes another's rows",
  pass = "No cross-tenant leaks detected",
  needs = { db = { "admin", "app", "operator" } },
  options = { recording = { type = "path", access = "read", help = "the application's statements: a recording, csvlog or jsonlog" } },

  failures = {
    rls_missing = { text = "RLS policy missing on table %s", fix = "Add policy in migration" },
    rls_not_forced = { text = "RLS is not forced on table %s",
      fix = "ALTER TABLE … FORCE ROW LEVEL SECURITY, so that its owner is bound too" },
    set_config_missing = { text = "set_config not called", fix = "Check code path sets tenant context" },
    context_session_level = { text = "Tenant context set for the session", fix = "set_config(…, true) within the transaction" },
    context_left_over = { text = "Tenant context left over from an earlier transaction",
      fix = "Set it in each transaction, before the first tenant's table" },
    context_changed = { text = "Tenant context changed within a transaction", fix = "One transaction for each tenant" },
    context_literal = { text = "Tenant context set from a literal", fix = "Bind the value as a parameter: set_config($1, $2, true)",
      severity = "advisory" },
    context_needless = { text = "Tenant context set by a role that it does not bind",
      fix = "Run the application as a role that row-level security binds", severity = "advisory" },
    cross_tenant_leak = { text = "Cross-tenant leak detected", fix = "Fix query or policy" },
    role_bypasses_rls = { text = "The application's role %s is not bound by RLS",
      fix = "Give the application a role without SUPERUSER and BYPASSRLS" },
    policy_unproven = { text = "A policy on %s is probed, not proven",
      fix = "Let it compare the tenant column with the tenant setting, and nothing else", severity = "advisory" },
    unclassified_table = { text = "Table %s is not classified", fix = "Add it to database.shared or database.tenant_scoped",
      severity = "advisory" },
  },

  run = function(ctx)
    local seen
    local function catalogue_once()
      seen = seen or look(ctx)
      return seen
    end
    ctx:check("coverage", function() check_coverage(ctx, catalogue_once()) end, { group = "coverage" })
    local ok, raised = pcall(catalogue_once)
    if ok then
      check_isolation(ctx, seen)
    else
      ctx:check("isolation", function() error(raised, 0) end, { group = "isolation" })
    end
    ctx:check("code_paths", function() check_code_paths(ctx, catalogue_once()) end, { group = "code_paths" })
  end,

  recover = function(ctx, findings)
    local seen = look(ctx)
    local wanted, order = {}, {}
    for _, f in ipairs(findings) do
      if f.class == "set_config_missing" then
        local path = f.object:find "^platform%.[%w_]+$"
        ctx:apply("Set the tenant context " .. (path and "in " or "before: ") .. f.object, {
          note = (path and "The first statement of %s must be:\n    perform set_config(%s, p_tenant::text, true);\n%s"
            or "Before this statement, in its transaction:\n    %.0sselect set_config(%s, $1, true);\n%s")
          :format(f.object, names.literal(seen.settings.tenant.setting), f.detail or "") })
      elseif f.class == "role_bypasses_rls" then
        ctx:apply("Bind the application's role",
          { note = ("As a superuser: ALTER ROLE %s NOSUPERUSER NOBYPASSRLS;"):format(names.ident(f.object)) })
      elseif not wanted[f.object] then
        wanted[f.object] = true
        order[#order + 1] = f.object
      end
    end
    for _, label in ipairs(order) do
      for _, t in ipairs(seen.tables) do
        if t.label == label then
          local sql = recovery.table_sql(t, seen.settings)
          if sql then
            ctx:apply("Close the leak on " .. label, { sql = "BEGIN;\nSET LOCAL lock_timeout = '5s';\n" .. sql .. "\nCOMMIT;" })
          else
            ctx:apply("Decide on " .. label,
              { note = "No statement of this gate closes it: look at the view, function or policy the finding names." })
          end
        end
      end
    end
  end,
}
