--- Gate 1's checks of coverage and isolation, as functions of a context.
--
-- The gate runs them with the engine's ctx. Its recovery runs them a second time, inside of a transaction in which the proposed migration
-- was carried out, with a context that only collects: what a migration really closes is seen before anybody is told to apply it.
local asked = require "rls.asked"
local basis = require "rls.basis"
local catalogue = require "rls.catalogue"
local classes = require "rls.classes"
local decide = require "rls.decide"
local errors = require "errors"
local hunt = require "rls.hunt"
local look = require "rls.look"
local matrix = require "rls.matrix"
local names = require "rls.names"
local open_public = require "rls.rules.open_public"
local owners = require "rls.owners"
local probe = require "rls.probe"
local releases = require "rls.releases"
local reproduce = require "rls.reproduce"
local staging = require "rls.staging"
local task = require "task"
local trials = require "rls.trials"
local trust = require "rls.trust"
local unread = require "rls.unread"
local rules = { roles = require "rls.rules.roles", objects = require "rls.rules.objects", functions = require "rls.rules.functions",
  policies = require "rls.rules.policies", definers = require "rls.rules.definers", views = require "rls.rules.views" }

local harness = {}

--- Who the application is, and every table with whose rows it holds (rls.look).
harness.look = look.at

--- Raises again what kept harness.look from its end.
---@param raised any
function harness.not_looked(raised) error(raised, 0) end

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

local function rls_sql(t, app)
  return (("select relrowsecurity, relforcerowsecurity, pg_has_role({app}, relowner, 'MEMBER') as app_is_owner,\n"
    .. "       array(select polname from pg_policy where polrelid = c.oid) as policies,\n"
    .. "       array(select p from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p\n"
    .. "              where has_table_privilege({app}, c.oid, p)) as app_may\n  from pg_class c where oid = {table}::regclass;")
    :gsub("{(%a+)}", { app = names.literal(app), table = names.literal(t.sql) }))
end

--- The reference platform promises FORCE and a policy for every table of a tenant, whoever owns it and whatever it is granted.
local function promises(ctx) return ctx.platform.kind == "embedded" end

local function granted(t) return t.may.select or t.may.insert or t.may.update or t.may.delete end

local function check_table(ctx, seen, t)
  local at = { object = t.label, reproduce = rls_sql(t, seen.app.role) }
  at.basis = basis.of(ctx, seen, "rls_missing", at)
  -- A partition that only its parent leads to is bound by the parent's policies (PostgreSQL manual, section 5.8).
  local forgotten = granted(t) and #t.policies == 0
  if t.is_partition and not t.app_owns and catalogue.closed(t) and not forgotten then return end
  if not t.rls then
    at.detail = "row-level security is not enabled"
    if catalogue.has_right(t) or promises(ctx) then
      ctx:fail("rls_missing", at)
    else
      at.detail = at.detail .. ": the application has no right on it, as long as nobody grants one"
      ctx:advise("rls_missing", at)
    end
    return
  end
  if #t.policies == 0 then
    at.detail = "row-level security is enabled, but there is no policy: all rows are denied"
    -- Granted and denied at once is a policy that was forgotten.
    ctx:fail(promises(ctx) and granted(t) and "rls_missing" or "rls_no_policy", at)
  end
  if t.forced then return end
  at.detail = nil
  if t.app_owns or promises(ctx) then
    ctx:fail("rls_not_forced", at)
  else
    at.detail = ("its owner %s is not bound; the application is not that owner, and may not become it"):format(t.owner)
    ctx:advise("rls_not_forced", at)
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
  for _, t in ipairs(base) do check_table(ctx, seen, t) end
  for _, t in ipairs(seen.tables) do
    if t.scope == "unclassified" then
      ctx:advise("unclassified_table", { object = t.label, detail = t.registry and ("the tenant columns of other tables refer to its %s, "
        .. "and no policy binds that to the tenant setting: either it is the tenants' own table (database.tenant.table), or everybody's")
        :format(t.registry) or "the application may reach it, and nothing says whose its rows are" })
    end
  end
  ctx:fact("tables", #base)
end

--- Makes a finding. What repairs it is for the recovery's own context, which collects.
local function say(ctx, seen, class, f)
  local tell = f.advisory and not f.note and ctx.advise or ctx.fail -- a note is one by its class
  tell(ctx, class, { object = f.object, detail = f.detail, fix = f.fix, reproduce = f.reproduce,
    basis = basis.of(ctx, seen, class, f),
    repair = rawget(ctx, "collects") and f.repair or nil })
end

--- The same, but of what has its one cause in a right that everybody has: that is kept, and said once.
local function say_or_keep(ctx, seen, f)
  if f.by_create and seen.open_public == nil then seen.open_public = open_public.is_cause(ctx.db.admin, seen.app) end
  if not (f.by_create and seen.open_public) then return say(ctx, seen, f.class, f) end
  seen.by_create = seen.by_create or {}
  table.insert(seen.by_create, f)
end

local COMMAND = { select = true, insert = true, update = true, delete = true }

--- Does what the probe went through need a setting that the configuration trusts?
local function is_trusted(t, l, entries)
  if not (t.decided and t.decided[l.op:upper()] == "trusted") then return false end
  for _, entry in ipairs(entries or {}) do
    if entry.setting and l.detail:find(entry.setting, 1, true) then return true end
  end
  return false
end

--- Has the prover named this leak already? What it calls closed and the probe goes through is a leak that has no name yet.
local function is_named(named, op)
  if COMMAND[op] then return named[op] end
  return next(named) ~= nil
end

--- What the probe went through by, where that alone says why.
local function class_of_leak(t, l)
  if l.class then return l.class end
  -- Regular expressions and patterns of types that the prover does not compute: what the probe goes through names them.
  local undecided = t.decided and t.decided[l.op:upper()] == "unknown"
  for _, p in ipairs(undecided and t.policies or {}) do
    if ((p.using or "") .. (p.check or "")):find " !?~~?%*? " then return "policy_prefix_match" end
  end
  if l.op == "select" and l.detail:find("tenant setting empty", 1, true) then return "policy_empty_tenant" end
  if l.op == "select" and l.detail:find "tenant setting [%w ]*absent" then return "policy_unset_tenant" end
  return "cross_tenant_leak"
end

--- The way out where a probe does not come to an end.
local TO_PROBE = "the detail says what ended how: give the table a statement in database.fixtures whose rows it shows, grant what is "
  .. "missing, or let the prover decide (a view: security_invoker; a policy: tenant column = tenant setting)"

--- What did not come about, with the tables whose rows the policies ask for: a row of the table alone may not be enough.
local function in_full(all, t, list)
  local text = table.concat(list, "; ")
  local labels = text:find("positive control failed", 1, true) and is_base(t) and asked.labels(all, t) or {}
  if #labels == 0 then return text end
  return ("%s; the policies ask for a row of %s: give it a statement in database.fixtures by which {tenant} has one"):format(text,
    table.concat(labels, " and of "))
end

local function report_table(ctx, seen, t, result, named)
  local told = {}
  for _, l in ipairs(result.leaks) do
    if not told[l.op .. l.detail] and not is_named(named, l.op) and not is_trusted(t, l, seen.trust) then
      told[l.op .. l.detail] = true
      local of_owner = not is_base(t) and t.bound == false and not l.class
      say(ctx, seen, of_owner and "view_owner_rights" or class_of_leak(t, l), { object = t.label, detail = l.detail,
        reproduce = l.reproduce, repair = of_owner and releases.has_option("security_invoker", seen.admin.version)
          and ("ALTER VIEW %s SET (security_invoker = true);"):format(t.sql) or nil })
    end
  end
  if #result.errors > 0 then
    errors.raise { code = "probe_failed", message = ("%s could not be probed"):format(t.label), detail = in_full(seen, t, result.errors),
      fix = TO_PROBE }
  end
  if result.controls == 0 and #result.proven == 0 and #result.leaks == 0 and not result.refuted then
    errors.raise { code = "probe_failed", message = ("%s: nothing was probed"):format(t.label), fix = TO_PROBE }
  end
end

--- Relations that hold tenants' rows and that no policy can be attached to.
local function check_unbindable(ctx, seen)
  for _, t in ipairs(seen.tables) do
    local tenants = t.scope == "tenant" or t.scope == "child"
    local may = t.acts.select or t.acts.insert or t.acts.update or t.acts.delete
    local shown = ("BEGIN;\nSET LOCAL ROLE %s;\n%sSELECT * FROM %s LIMIT 5;\nROLLBACK;"):format(names.ident(seen.app.role),
      reproduce.as_reader(t), t.sql)
    if t.kind == "m" and tenants and t.acts.select then
      say(ctx, seen, "materialised_view", { object = t.label, detail = "the application may read it", reproduce = shown })
    elseif t.kind == "f" and t.tenant and may then
      say(ctx, seen, "foreign_table", { object = t.label, detail = "the application has grants on it", reproduce = shown })
    end
  end
end

--- What goes around the policies, as the catalogue tells it: roles, grants, objects and functions. What is raised is kept for its check.
---@return {name: string, ok: boolean, found: any}[]
local function read_ways_around(ctx, seen)
  local base = harness.of_tenants(seen)
  local admin, app = ctx.db.admin, seen.app
  local ways = {
    { "roles", function() return rules.roles.findings(admin, app.role, base, app.acts) end },
    { "grants and objects", function() return rules.objects.findings(admin, app, base, seen.by_oid, seen.settings.tenant,
      function(w, t) return rules.definers.rule_is_bound(seen, w, t) end, seen.owners) end },
    { "functions", function() return rules.functions.findings(admin, app, base, seen.tables, seen.by_oid,
      function(t) return rules.definers.shows(seen, t) end, seen.model and seen.model.all_functions or {}) end },
  }
  for i, way in ipairs(ways) do
    local ok, found = pcall(way[2])
    ways[i] = { name = way[1], ok = ok, found = found }
  end
  return ways
end

--- What goes around the policies: what was read of it, and relations to which none can be attached.
local function check_ways_around(ctx, seen, ways)
  for _, way in ipairs(ways) do
    ctx:check("isolation: " .. way.name, function()
      if not way.ok then error(way.found, 0) end
      local undecided
      for _, f in ipairs(way.found) do
        undecided = undecided or f.unproven
        if not f.unproven then say(ctx, seen, f.class, f) end
      end
      if undecided then
        errors.raise { code = "rule_unproven", message = undecided,
          fix = "replace the rule by a trigger, or give its relation to an owner whom FORCE ROW LEVEL SECURITY binds" }
      end
    end, { group = "isolation" })
  end
  ctx:check("isolation: relations without policies", function() check_unbindable(ctx, seen) end, { group = "isolation" })
end

--- Without the model nothing can be said.
local function need_model(seen)
  if not seen.model then
    errors.raise { code = "policies_undecided", message = "the catalogue's model was not read",
      fix = "mend what the check \"isolation: policies\" ended with" }
  end
end

--- May what was found be tried, by rows that are undone? On the one connection of a recovery or a mutant nothing can be seen of a session
--- in which nothing was set yet.
local function may_try(ctx, seen)
  return not rawget(ctx, "one_connection") and ((seen.settings.probe or {}).mode or "full") == "full"
end

local function stage(ctx, seen, list)
  staging.run(function() return ctx.db:open("admin") end, list, { superuser = seen.admin.super,
    max_rows = (seen.settings.probe or {}).max_rows or 10000, settings = seen.settings })
end

--- Says what was found of functions and triggers, with the texts that were seen to show it. What keeps them from being tried hides none.
local function say_tried(ctx, seen, found)
  local ok, raised = true, nil
  if may_try(ctx, seen) then
    ok, raised = pcall(stage, ctx, seen, found)
  end
  for _, f in ipairs(found) do say_or_keep(ctx, seen, f) end
  if not ok then error(raised, 0) end
end

--- Tries functions of which it is not known whether they change who may do what. Returns those that were not seen to.
local function try_rights(ctx, seen, found, undecided)
  if not may_try(ctx, seen) then return undecided end
  stage(ctx, seen, undecided)
  local left = {}
  for _, f in ipairs(undecided) do
    if f.shown then
      found[#found + 1] = { class = "function_definer", object = f.object, reproduce = f.reproduce,
        fix = ("%s; %s"):format(classes.OF_DEFINERS, f.proposed),
        detail = ("it runs with the rights of %s; tried: it changes who may do what"):format(f.owner) }
    else
      left[#left + 1] = f
    end
  end
  return left
end

--- What functions with their owner's rights do. Returns those that nobody could decide, and those of triggers.
local function decide_definers(ctx, seen)
  local undecided = {}
  ctx:check("isolation: functions with their owner's rights", function()
    local found
    need_model(seen)
    found, undecided = rules.definers.findings(seen, (harness.of_tenants(seen)))
    undecided = try_rights(ctx, seen, found, trust.cover(seen, found, undecided, classes.OF_DEFINERS))
    say_tried(ctx, seen, found)
  end, { group = "isolation" })
  local of_triggers = {}
  ctx:check("isolation: triggers with their owner's rights", function()
    need_model(seen)
    local found
    found, of_triggers = rules.definers.triggers(ctx.db.admin, seen, (harness.of_tenants(seen)))
    of_triggers = trust.cover(seen, found, of_triggers, classes.OF_DEFINERS)
    say_tried(ctx, seen, found)
  end, { group = "isolation" })
  return undecided, of_triggers
end

--- How an undecided function was tried, in words.
local function in_words(tried)
  if not tried then return "it was not called" end
  if tried.refused then
    return ("it was not called, since %s (database.probe.calls = \"any\" on a copy of the database calls it)"):format(tried.refused)
  end
  return ("%d call(s) of it, each with and without another tenant's rows, told none of them"):format(tried.calls)
end

--- One check for each function that is undecided: none hides what another check finds.
local function check_undecided(ctx, seen, undecided)
  for _, f in ipairs(undecided) do
    ctx:check("isolation: function " .. f.object, function()
      local tried = f.f.tried
      if tried and tried.leak then
        say(ctx, seen, "function_definer", { object = f.object, reproduce = tried.reproduce,
          advisory = f.oracle and not tried.changes or nil, fix = ("%s; %s"):format(classes.OF_DEFINERS, f.proposed),
          detail = ("it runs with the rights of %s, whom row-level security does not bind; tried: %s"):format(f.owner, tried.leak) })
        return
      end
      errors.raise { code = "definer_unproven",
        message = ("%s runs with the rights of %s, whom row-level security does not bind, and what it reaches is undecided: %s")
          :format(f.object, f.owner, f.reason), detail = in_words(tried),
        fix = "make it SECURITY INVOKER, give it to an owner whom FORCE ROW LEVEL SECURITY binds, or revoke EXECUTE from the application; "
          .. f.proposed }
    end, { group = "isolation" })
  end
end

--- The prover's verdicts and what they say of each table, by oid; nil where nothing could be decided, which is an ERROR of its own.
local function decided(ctx, seen, base)
  local findings
  ctx:check("isolation: policies", function()
    local today = ctx.db.admin:value "select current_date::text"
    seen.owners = owners.new(ctx.db.admin, seen, base)
    local decisions, read = decide.run(ctx.db.admin, seen, base, today)
    seen.decisions, seen.model, seen.today, seen.covers = decisions, read, today, {}
    findings = {}
    if ((seen.settings.probe or {}).mode or "full") ~= "static" then
      hunt.run(ctx.db.admin, decisions, read.tables, { role = seen.app.role, superuser = seen.admin.super, settings = seen.settings })
    end
    for _, f in ipairs(decide.presets(ctx.db.admin, seen, base, read)) do say(ctx, seen, f.class, f) end
    local _, views = harness.of_tenants(seen)
    rules.views.mark(seen, views)
    for _, list in ipairs { rules.policies.findings(decisions, seen), rules.views.findings(ctx.db.admin, seen, views, base) } do
      for _, f in ipairs(list) do
        findings[f.oid] = findings[f.oid] or {}
        table.insert(findings[f.oid], f)
      end
      if list.undecided then errors.raise { code = "view_unproven", message = list.undecided,
        fix = "make it security_invoker (PostgreSQL 15), give it to an owner whom FORCE ROW LEVEL SECURITY binds, or revoke it" } end
    end
  end, { group = "isolation" })
  return findings or {}
end

--- Holes of the server's own, which no schema closes. A private server of the engine's is not the one that the tenants' rows are on.
local function check_release(ctx, seen)
  if ctx.platform.kind ~= "external" then return end
  ctx:check("isolation: server release", function()
    local f = releases.finding(ctx.db.admin:value "select current_setting('server_version_num')::integer")
    if f then say(ctx, seen, f.class, f) end
  end, { group = "isolation" })
end

--- What rests on the configuration's trust, once policies, views and functions are decided.
local function check_trust(ctx, seen)
  if not seen.model or not (seen.trust and seen.trust[1]) then return end
  ctx:check("isolation: trust", function()
    local stale, trusted = decide.trust(seen.decisions, seen.trust, seen.today, seen.covers, seen.changed)
    for _, f in ipairs(stale) do say(ctx, seen, f.class, f) end
    if #trusted > 0 then ctx:fact("trust", trusted) end
  end, { group = "isolation" })
end

--- What the prover says of one table. Returns the commands it names a leak for, in lower case, and what the server contradicted.
local function report_policies(ctx, seen, found)
  local named, contradicted = {}, {}
  for _, f in ipairs(found or {}) do
    if f.reproduced == false then
      contradicted[#contradicted + 1] = ("%s; %s"):format(f.detail, f.trial)
    else
      for _, command in ipairs(not f.advisory and f.commands or {}) do named[command:lower()] = true end
      -- Not in the detail, by which a baseline knows it again.
      if f.trial then f.reproduce = ("-- %s\n%s"):format(f.trial:gsub("%s+", " "), f.reproduce) end
      say_or_keep(ctx, seen, f)
    end
  end
  return named, contradicted
end

--- A counterexample that the server does not show is neither a leak nor none.
local function raise_contradicted(t, list)
  if #list == 0 then return end
  errors.raise { code = "counterexample_not_reproduced", message = ("%s: the policies are undecided"):format(t.label),
    detail = table.concat(list, "; "), fix = "report it with the policies: either the proof or the trial is wrong" }
end

--- Tries what the prover found, where canaries may be written.
local function try_counterexamples(ctx, seen, found)
  local settings = seen.settings.probe or {}
  if not next(found) or not may_try(ctx, seen) then return end
  ctx:check("isolation: counterexamples", function()
    trials.run(function() return ctx.db:open("admin") end, found, seen.by_oid, { superuser = seen.admin.super,
      max_rows = settings.max_rows or 10000 })
  end, { group = "isolation" })
end

--- Where the sequences are before anything is tried, on the connection that the probe will have.
local function read_sequences(seen)
  if not seen.spare or ((seen.settings.probe or {}).mode or "full") ~= "full" then return end
  local ok, raised = pcall(probe.sequences, seen.spare)
  if ok then seen.sequences = raised end -- else the probe asks again, and its error is said where it belongs
end

--- Probes, and reads meanwhile what goes around the policies: the admin's own connection has nothing else to do.
---@return boolean ok, table results_or_raised, string[]? sequences, table[] ways
local function probe_and_read(ctx, seen, undecided)
  local base, views = harness.of_tenants(seen)
  local functions, ok, results, left, ways = {}, nil, nil, nil, nil
  for _, u in ipairs(undecided) do functions[#functions + 1] = u.f.signature and u.f or nil end
  local function open()
    local conn = seen.spare or ctx.db:open "admin"
    seen.spare = nil
    return conn
  end
  local alone = rawget(ctx, "one_connection")
  local function read() ways = read_ways_around(ctx, seen) end
  local function try()
    ok, results, left = pcall(probe.run, open, base, views, seen.by_oid, { settings = seen.settings,
      role = seen.app.role, superuser = seen.admin.super, bypass = seen.admin.bypass,
      max_rows = (seen.settings.probe or {}).max_rows or 10000, batch = (seen.settings.probe or {}).batch or 500,
      decisions = seen.decisions, functions = functions, alone = alone, trust = decide.trusted_settings(seen.trust, seen.today),
      covers = seen.covers, sequences = seen.sequences })
  end
  -- The one connection's transaction is not a task's.
  if alone then
    read()
    try()
  else
    task.map({ read, try }, 2, function(fn) fn() end)
  end
  if seen.spare then seen.spare:close() end
  seen.spare = nil
  return ok, results, left, ways
end

--- Can tenant A see or change what is B's? One check a table and a way around.
function harness.isolation(ctx, seen)
  local base, views = harness.of_tenants(seen)
  check_release(ctx, seen)
  local found
  if rawget(ctx, "one_connection") then -- whose transaction is not a task's
    found = decided(ctx, seen, base)
  else
    -- Proving is no work of the server's.
    task.map({ function() found = decided(ctx, seen, base) end, function() read_sequences(seen) end }, 2, function(fn) fn() end)
  end
  local mistyped = unread.error(seen)
  if mistyped then ctx:check("isolation: tenant setting", function() errors.raise(mistyped) end, { group = "isolation" }) end
  local undecided, of_triggers = decide_definers(ctx, seen)
  local ok, results, left, ways = probe_and_read(ctx, seen, undecided)
  if not ok or #base == 0 then
    ctx:check("isolation", function()
      if not ok then error(results, 0) end
      errors.raise { code = "nothing_probed", message = "there is no tenant's table to probe",
        fix = "check database.tenant.column and database.schemas, or name the tables in database.tenant_scoped" }
    end, { group = "isolation" })
    return
  end
  try_counterexamples(ctx, seen, found)
  local statements = 0
  for _, list in ipairs { base, views } do
    for _, t in ipairs(list) do
      ctx:check("isolation of " .. t.label, function()
        local result = results[t.oid]
        if not result then
          errors.raise { code = "probe_failed", message = t.label .. " was not probed", fix = TO_PROBE }
        end
        statements = statements + result.statements
        local named, contradicted = report_policies(ctx, seen, found[t.oid])
        report_table(ctx, seen, t, result, named)
        raise_contradicted(t, contradicted)
      end, { group = "isolation" })
    end
  end
  ctx:fact("probes", statements)
  if seen.decisions then
    local rows, more = matrix.rows(seen.decisions, results)
    ctx:fact("access_matrix", rows)
    if more > 0 then ctx:fact("access_matrix_left_out", more) end
  end
  ctx:fact("sequences_advanced", #left)
  if #left > 0 and not rawget(ctx, "collects") then
    ctx:log("rolled back; these sequences stay advanced: %s", table.concat(left, ", "))
  end
  check_ways_around(ctx, seen, ways)
  if seen.by_create then
    ctx:check("isolation: schema public", function() say(ctx, seen, "function_search_path", open_public.finding(seen.by_create)) end,
      { group = "isolation" })
  end
  check_undecided(ctx, seen, undecided)
  check_undecided(ctx, seen, of_triggers)
  check_trust(ctx, seen)
end

return harness
