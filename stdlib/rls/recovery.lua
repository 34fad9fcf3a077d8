--- The migration that closes what gate 1 found, tried before it is proposed.
--
-- What has a statement that closes it is carried out inside a transaction of the admin; there gate 1's checks run again, as they
-- are. Only where the finding is gone and no positive control failed does the statement go into the migration; then the transaction is
-- rolled back. What no statement closes safely is a decision, and is named as one.
local axes = require "rls.axes"
local catalogue = require "rls.catalogue"
local decide = require "rls.decide"
local errors = require "errors"
local harness = require "rls.harness"
local mended = require "rls.mended"
local mentions = require "rls.mentions"
local names = require "rls.names"
local own_view = require "rls.own_view"
local recovery_views = require "rls.recovery_views"

local recovery = {}

--- Findings of a table that its policies and their switches answer for.
local function of_policies(class)
  return class == "rls_missing" or class == "rls_not_forced" or class == "cross_tenant_leak" or class == "function_search_path"
    or class:find "^policy_" ~= nil
end

--- What a person must decide where no statement closes the finding.
local DECISIONS = {
  role_owns_table = "Which role is to own the tables? As a superuser: ALTER TABLE … OWNER TO <a role for migrations>, with grants for the "
    .. "application's role.",
  view_owner_rights = "Whom is the view to read as? Before PostgreSQL 15 that is its owner: ALTER VIEW … OWNER TO <a role that FORCE ROW "
    .. "LEVEL SECURITY binds, with grants on what it reads>, or let the view test the tenant itself, as a security_barrier.",
  materialised_view = "Who needs it? REVOKE it from the application, or put a view over it that tests the tenant.",
  foreign_table = "Who needs it? REVOKE it from the application, or guard the remote side.",
  trigger_notifies = "Who listens? Send the row's key alone, which the listener reads the row by, as its tenant.",
  trigger_copies = "Whose are the copied rows? Give the target the tenant column and policies, or revoke it from the application.",
  rule_rewrites = "What is the rule for? Replace it by a trigger that runs with the caller's rights.",
  function_definer = "Who is to see what the function reads? Make it SECURITY INVOKER, or let it test the tenant setting itself.",
  function_search_path = "ALTER FUNCTION … SET search_path = pg_catalog, pg_temp, and write schema.table in its text.",
  foreign_key_cascade = "Who is to delete what is everybody's? REVOKE the writes from the application, or ON DELETE RESTRICT.",
  role_owns_function = "Which role is to own the function? ALTER FUNCTION … OWNER TO <a role for migrations>.",
  role_owns_schema = "Which role is to own the schema? ALTER SCHEMA … OWNER TO <a role for migrations>.",
  policy_user_test = "Which role is it that may see more? Let it be one that the application neither is nor may become.",
  context_function_cached = "Let the function read the tenant setting each time, STABLE, and keep nothing.",
  statistics_exposed = "Who granted the statistics, and why? REVOKE SELECT on them.",
  role_bypasses_rls = "Which role is the application to connect as? It must neither be, nor be a member of, one that bypasses policies.",
  set_config_missing = "The first statement of the code path must set the tenant for its transaction: set_config(…, true).",
}

--- Types of tenant columns that the setting is read as, so that an index on the column serves the policy.
local READ_AS = { uuid = true, bigint = true, integer = true, smallint = true, numeric = true }

--- The tenant's own rows; of a child without the column, the rows whose parent the policies show. nil where neither can be said.
local function own_rows(t, seen)
  if t.tenant then
    local column, setting = names.ident(t.tenant), names.literal((t.axis or axes.list(seen.settings)[1]).setting)
    local c = t.by_column and t.by_column[t.tenant]
    if c and READ_AS[c.type] then return ("%s = nullif(current_setting(%s, true), '')::%s"):format(column, setting, c.type) end
    return ("%s::text = current_setting(%s, true)"):format(column, setting)
  end
  local parent = t.parent_key and seen.by_oid and seen.by_oid[t.parent_key.ref]
  if not parent or parent == t then return nil end
  local parts = {}
  for i, column in ipairs(t.parent_key.columns) do
    parts[i] = ("gate_parent.%s = %s.%s"):format(names.ident(t.parent_key.ref_columns[i]), names.ident(t.name), names.ident(column))
  end
  return ("EXISTS (SELECT FROM %s AS gate_parent WHERE %s)"):format(parent.sql, table.concat(parts, " AND "))
end

local function policy(t, test)
  return ("CREATE POLICY tenant_isolation ON %s\n    USING (%s)\n    WITH CHECK (%s);"):format(t.sql, test, test)
end

--- Does the policy let the application's role do no more than its tenant's rows?
local function is_strict(t, p, seen)
  if p.using == nil and p.check == nil then return false end
  if seen.model then return decide.binds(seen, t, p) end
  local forms = catalogue.canonical(t, seen.settings)
  return (p.using == nil or forms[p.using] == true) and (p.check == nil or forms[p.check] == true)
end

--- Does another policy show and take all that the mended one would, and say whose a row is and nothing else?
local function is_needless(t, p, world, strict)
  for _, q in ipairs(t.policies) do
    local same_roles = #q.roles == 1 and q.roles[1] == "public" or table.concat(q.roles, ",") == table.concat(p.roles, ",")
    if q ~= p and strict[q] and q.permissive and q.applies and same_roles and (q.command == "ALL" or q.command == p.command)
      and (q.using == nil or mended.is_plain(world, q.using)) and (q.check == nil or mended.is_plain(world, q.check)) then
      return true
    end
  end
  return false
end

--- Statements that mend one policy; nil where nothing is known to.
local function policy_sql(t, p, seen, strict, own)
  local world = mended.world(seen, t, p, own)
  if is_needless(t, p, world, strict) then return ("DROP POLICY %s ON %s;"):format(names.ident(p.name), t.sql) end
  local using, check = p.using and mended.text(world, p.using), p.check and mended.text(world, p.check)
  if (p.using and not using) or (p.check and not check) then return nil end
  return ("ALTER POLICY %s ON %s%s%s;"):format(names.ident(p.name), t.sql, using and ("\n    USING (%s)"):format(using) or "",
    check and ("\n    WITH CHECK (%s)"):format(check) or "")
end

--- Whom FORCE binds who was not: what runs as the owner sees no row without the tenant setting.
local function force_sql(t, seen, findings)
  local wanted = t.app_owns or seen.promised
  for _, f in ipairs(findings or {}) do wanted = wanted or f.class == "rls_not_forced" end
  if t.forced then return nil end
  if not wanted then
    return ("-- Not forced: %s, its owner, is not bound, and the application may not become it."):format(t.owner)
  end
  local jobs = {}
  for _, f in ipairs(seen.model and seen.model.all_functions or {}) do
    if f.security_definer and f.owner == t.owner and mentions.name((f.body or ""):lower(), t.name) then jobs[#jobs + 1] = f.signature end
  end
  table.sort(jobs)
  return ("-- FORCE binds %s, the owner, too: its own statements%s see and change no row where the tenant setting is not set.\n"
    .. "ALTER TABLE %s FORCE ROW LEVEL SECURITY;"):format(t.owner, #jobs > 0 and ", and " .. table.concat(jobs, ", ")
    .. ", which runs with its rights," or "", t.sql)
end

--- Statements that enable, force and bind one table, or nil where its policies are as they should be or it has no tenant column.
---@param t rls.Table
---@param seen table  of rls.harness.look: settings, by_oid, promised (must every table be forced?), and the model where one was read
---@param findings table[]?  what is to be closed: the table is forced where they ask for that, or the application may act as its owner
---@return string|nil sql
function recovery.table_sql(t, seen, findings)
  local test = (t.kind == "r" or t.kind == "p") and own_rows(t, seen)
  if not test then return nil end
  local lines, strict, has_any, changes, dropped = {}, {}, {}, false, false
  local function add(line, says)
    lines[#lines + 1] = line
    changes = changes or (line ~= nil and not says)
  end
  if not t.rls then add(("ALTER TABLE %s ENABLE ROW LEVEL SECURITY;"):format(t.sql)) end
  local force = force_sql(t, seen, findings)
  add(force, force and force:find "^%-%- Not forced")
  for _, p in ipairs(t.policies) do strict[p] = p.permissive and p.applies and is_strict(t, p, seen) end
  for _, p in ipairs(t.policies) do
    if p.permissive and p.applies and not strict[p] then
      local sql = seen.model and policy_sql(t, p, seen, strict, test)
      add(sql or ("DROP POLICY %s ON %s;"):format(names.ident(p.name), t.sql))
      has_any[p.name] = sql ~= nil
      dropped = dropped or not sql
    else
      has_any[p.name] = true
    end
  end
  for _, command in ipairs { "SELECT", "INSERT", "UPDATE", "DELETE" } do
    local has = false
    for _, p in ipairs(catalogue.permissive(t, command)) do has = has or has_any[p.name] end
    if t.may[command:lower()] and not has and #t.policies == 0 then
      add(policy(t, test))
      break
    elseif t.may[command:lower()] and not has and (not t.rls or dropped) then
      -- Where row-level security already denied the command it goes on to.
      add(("CREATE POLICY tenant_%s ON %s FOR %s%s%s;"):format(command:lower(), t.sql, command,
        command ~= "INSERT" and (" USING (%s)"):format(test) or "", command == "INSERT" and (" WITH CHECK (%s)"):format(test) or ""))
    end
  end
  return changes and table.concat(lines, "\n") or nil
end

--- A context for the gate's checks that keeps what they find instead of sending it.
---@param ctx table    the engine's
---@param conn table   what they read and probe with
---@return table ctx, {findings: table[], errors: table<string, string>}
local function collector(ctx, conn)
  local seen = { findings = {}, errors = {} }
  local guarded = setmetatable({ close = function() end }, { __index = function(_, method)
    return function(_, ...) return conn[method](conn, ...) end
  end })
  local mine = { collects = true, config = ctx.config, platform = ctx.platform, tenant = ctx.tenant, options = ctx.options,
    db = { admin = guarded, app = ctx.db.app, open = function() return guarded end }, one_connection = true }
  function mine:check(name, fn) -- luacheck: no self
    local ok, raised = pcall(fn)
    if ok then return end
    seen.errors[name] = errors.is(raised) and (raised.message .. (raised.detail and ": " .. raised.detail or "")) or tostring(raised)
  end
  function mine:fail(class, fields) -- luacheck: no self
    local copy = {}
    for k, v in pairs(fields or {}) do copy[k] = v end
    copy.class = class
    seen.findings[#seen.findings + 1] = copy
  end
  function mine:advise() end -- luacheck: no self
  function mine:fact() end -- luacheck: no self
  return mine, seen
end

--- Runs the gate's checks on a connection.
local function collect(ctx, conn)
  local mine, found = collector(ctx, conn)
  mine:check("coverage", function()
    local seen = harness.look(mine)
    seen.promised = ctx.platform.kind == "embedded"
    found.seen = seen
    mine:check("coverage", function() harness.coverage(mine, seen) end)
    harness.isolation(mine, seen)
  end)
  return found
end

--- What a person must decide, in words.
local function decision(f)
  local role = (f.detail or ""):match "after SET ROLE (%S+):"
  if role then
    return ("Is the application to become %s? REVOKE the membership that leads there, or mend the policies that are TO %s."):format(role,
      role)
  end
  return DECISIONS[f.class] or "No statement of this gate closes it: look at the view, function or policy that the finding names."
end

--- The statement that may close a finding, and what was not proposed instead.
local function statement_for(conn, seen, t, f, of_table)
  if t and t.kind == "v" then
    return recovery_views.sql(conn, seen, t, f, function(base) return recovery_views.own(seen, base, own_rows(base, seen)) end)
  end
  return f.repair or (t and of_policies(f.class) and recovery.table_sql(t, seen, of_table)) or nil
end

--- Marks the steps of tables whose policies look at another table that is to be mended: theirs may be sound once that is.
local function mark_later(steps)
  for _, step in ipairs(steps) do
    local texts = {}
    for _, p in ipairs(step.table and step.table.rls and step.table.policies or {}) do
      texts[#texts + 1] = ((p.using or "") .. " " .. (p.check or "")):lower()
    end
    local text = table.concat(texts, " ")
    for _, other in ipairs(steps) do
      local theirs = other ~= step and other.sql and other.table and other.table ~= step.table and other.table.name
      step.later = step.later or (step.sql and theirs and mentions.name(text, theirs)) or nil
    end
  end
end

--- One step for each statement that may close something, in order of the findings; what has none becomes a decision.
---@return {title: string, sql: string?, note: string?, findings: table[]}[]
---@param findings gate.Finding[]  those of the gate: what it saw in a fresh session one connection cannot see again
local function steps_for(conn, found, wanted, findings)
  local steps, by_key, by_label, of_table = {}, {}, {}, {}
  for _, t in ipairs(found.seen and found.seen.tables or {}) do by_label[t.label] = t end
  local list, again = {}, {}
  for _, f in ipairs(found.findings) do again[f.class .. "\0" .. tostring(f.object)] = true end
  local all = { table.unpack(found.findings) }
  for _, f in ipairs(findings) do
    -- What mends the table's policies is proven to bind whatever was seen.
    local unseen = by_label[f.object] and of_policies(f.class) and not again[f.class .. "\0" .. tostring(f.object)]
    if unseen then all[#all + 1] = { class = f.class, object = f.object, detail = f.detail } end
  end
  for _, f in ipairs(all) do
    if wanted[f.class .. "\0" .. tostring(f.object)] then
      list[#list + 1] = f
      of_table[f.object or ""] = of_table[f.object or ""] or {}
      table.insert(of_table[f.object or ""], f)
    end
  end
  for _, f in ipairs(list) do
    local t = by_label[f.object]
    local sql, instead = statement_for(conn, found.seen, t, f, of_table[f.object])
    local key = sql or f.class .. "\0" .. tostring(f.object)
    local step = by_key[key]
    if not step then
      step = { title = (sql and "Close the leak on " or "Decide on ") .. tostring(f.object), sql = sql, findings = {}, table = t }
      by_key[key] = step
      steps[#steps + 1] = step
    end
    step.findings[#step.findings + 1] = f
    step.instead = instead or step.instead or ""
    if not sql then step.note = ("%s: %s\n%s%s"):format(f.class, f.detail or "", step.instead, decision(f)) end
  end
  mark_later(steps)
  return steps
end

--- What makes two findings of a trial the same. A conflict is another way into a view than what it shows and takes.
local function same(f, g)
  local conflict = "ON CONFLICT"
  return f.class == g.class and f.object == g.object
    and ((f.detail or ""):find(conflict, 1, true) ~= nil) == ((g.detail or ""):find(conflict, 1, true) ~= nil)
end

--- What of the whole could not be judged in the trial and could be before: then nothing is known to be closed.
local function unjudged(before, after)
  for name, message in pairs(after.errors) do
    local whole = name == "coverage" or name == "isolation" or name:find "^isolation: [%l ]+$"
    if whole and not before.errors[name] then return ("%s could not be judged afterwards: %s"):format(name, message) end
  end
  return nil
end

--- Why the step cannot be proposed after the trial; nil where it closes what it should. What a view's leaves open is left for a decision.
local function why_not(step, after)
  if step.failed then return "it was refused: " .. step.failed end
  if step.changed then return "it changes more than that: " .. step.changed end
  local left, why = {}, nil
  for _, f in ipairs(step.findings) do
    for _, g in ipairs(after.findings) do
      if same(f, g) and left[#left] ~= f then
        left[#left + 1], why = f, why or ("the finding is still there: " .. (g.detail or g.class))
      end
    end
    for name, message in pairs(after.errors) do
      if name:find(tostring(f.object), 1, true) then return "the table cannot be used afterwards: " .. message end
    end
  end
  if step.table and step.table.kind == "v" and #left < #step.findings then
    step.left = {}
    for _, g in ipairs(after.findings) do
      if g.object == step.findings[1].object and g.class == step.findings[1].class then table.insert(step.left, g) end
    end
    return nil
  end
  return why
end

--- Carries a step out. What it refuses afterwards that it did not before is no way to close it.
local function carry_out(conn, step, role)
  local view = step.table and step.table.kind == "v" and step.table
  local before = view and recovery_views.refusal(conn, role, view)
  local ok, raised = pcall(conn.transaction, conn, function() if step.sql then conn:script(step.sql) end end)
  step.failed = not ok and (errors.is(raised) and raised.message or tostring(raised)) or nil
  local after = ok and view and not before and recovery_views.refusal(conn, role, view)
  if after then step.failed = "the application could no longer read it: " .. after end
end

--- Steps that change what the tenant's own session sees of its own rows.
local function mark_changed(conn, steps, seen)
  if not (seen and (seen.admin.super or seen.admin.bypass)) then return end
  local tables, done = {}, {}
  for _, step in ipairs(steps) do
    local t = step.sql and step.table
    -- Where no policy let anything through, that is the finding.
    local denied = t and t.rls and #t.policies == 0
    if t and (t.kind == "r" or t.kind == "p") and not denied and not done[t] then
      done[t], tables[#tables + 1] = true, t
    end
  end
  if #tables == 0 then return end
  conn:transaction(function()
    local ask = own_view.watch(conn, seen, tables)
    local before = ask()
    for _, step in ipairs(steps) do carry_out(conn, step, seen.app.role) end
    local after = ask()
    for t in pairs(done) do done[t] = own_view.difference(before[t.label], after[t.label]) end
  end, { rollback = true })
  for _, step in ipairs(steps) do step.changed = step.sql and done[step.table or ""] or nil end
end

--- Carries the steps out, runs the checks, and undoes all of it. Those of `later` only where the others did not close what they are for.
local function try_steps(ctx, steps, found)
  local later, seen = false, found.seen
  local role = seen and seen.app.role
  for _, step in ipairs(steps) do later = later or step.later end
  local conn = ctx.db:open "admin"
  mark_changed(conn, steps, seen)
  local function round(all)
    conn:transaction(function()
      conn:script "set local lock_timeout = '5s'"
      for _, step in ipairs(steps) do
        if (all or not step.later) and not step.needless then carry_out(conn, step, role) end
      end
      local after = collect(ctx, conn)
      for _, step in ipairs(steps) do
        step.unfit = unjudged(found, after) or why_not(step, after)
        if step.later and not all then step.needless = not step.unfit end
      end
    end, { rollback = true })
  end
  if later then round(false) end
  local rest = not later
  for _, step in ipairs(steps) do rest = rest or (step.later and not step.needless) end
  if rest then round(true) end
  conn:close()
end

--- What the migration is for, in SQL: switches, policies and grants of the tables it touches, as one digest. By names and texts, which
--- are the same on a copy of the schema, and not by oids. Under search_path = pg_catalog, so that texts name their schemas.
local function state_sql(steps)
  local labels = {}
  for _, step in ipairs(steps) do
    if step.table then labels[#labels + 1] = names.literal(step.table.sql) .. "::regclass" end
  end
  if #labels == 0 then return nil end
  return ([[(select md5(string_agg(format('%%s.%%s %%s %%s %%s %%s %%s', n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity,
      case when c.relkind = 'v' then pg_get_viewdef(c.oid) end,
      (select string_agg(x.entry, ',' order by x.entry collate "C") from (
         select format('%%s %%s %%s', case when a.grantee = 0 then 'public' else pg_get_userbyid(a.grantee) end, a.privilege_type,
             a.is_grantable) as entry from aclexplode(c.relacl) a where a.grantee <> c.relowner) x),
      (select string_agg(format('%%s %%s %%s %%s %%s %%s', p.polname, p.polcmd, p.polpermissive,
           (select string_agg(case when r = 0 then 'public' else pg_get_userbyid(r)::text end, ','
              order by case when r = 0 then 'public' else pg_get_userbyid(r)::text end collate "C") from unnest(p.polroles) r),
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), ',' order by p.polname collate "C")
         from pg_policy p where p.polrelid = c.oid)),
      ';' order by n.nspname collate "C", c.relname collate "C"))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid in (%s))]]):format(table.concat(labels, ", "))
end

--- The migration of the steps, which refuses a schema that is no longer the one it was tried on.
local function migration(conn, steps, setting)
  local lines = { "-- Closes cross-tenant leaks found by gate-engine (gates/rls_harness.lua), tenant setting " .. setting .. ".", "BEGIN;",
    "SET LOCAL lock_timeout = '5s';" }
  local state = state_sql(steps)
  if state then
    local digest
    catalogue.qualified(conn, function() digest = conn:value("select " .. state) end)
    lines[#lines + 1] = ("DO $gate$ DECLARE path text := current_setting('search_path');\nBEGIN\n"
      .. "  PERFORM set_config('search_path', 'pg_catalog', true);\n  IF %s IS DISTINCT FROM %s THEN\n"
      .. "    RAISE EXCEPTION 'the schema is no longer the one this migration was tried on: run gate-engine recover again';\n"
      .. "  END IF;\n  PERFORM set_config('search_path', path, true);\nEND $gate$;"):format(state, names.literal(digest))
  end
  for _, step in ipairs(steps) do
    local closed, listed = {}, {}
    for _, f in ipairs(step.findings) do
      if not listed[f.class] then closed[#closed + 1] = f.class end
      listed[f.class] = true
    end
    lines[#lines + 1] = ("\n-- %s (%s)\n%s"):format(step.title, table.concat(closed, ", "), step.sql)
  end
  lines[#lines + 1] = "\nCOMMIT;\n"
  return table.concat(lines, "\n")
end

--- The migration as a file of its own, numbered after what is there.
local function write_file(ctx, sql)
  if not ctx.options.artifacts then return end
  local last = 0
  for _, info in ipairs(ctx.files.artifacts:list()) do
    last = math.max(last, tonumber(info.key:match "^(%d+)[^/]*%.sql$") or 0)
  end
  ctx:artifact("artifacts", ("%03d_tenant_isolation.sql"):format(last + 1), sql)
end

--- Proposes, or applies as the operator, who may be somebody else than the admin it was tried as.
local function apply(ctx, title, sql)
  local ok, raised = pcall(ctx.apply, ctx, title, { sql = sql })
  if ok then return end
  if errors.is(raised) and raised.sqlstate == "42501" then
    errors.raise { code = "operator_right_missing", message = "database.operator may not apply the migration: " .. raised.message,
      fix = "write it with --artifacts DIR and apply it as a role that may, or give database.operator the right; nothing was changed" }
  end
  error(raised, 0)
end

--- The recovery of gate 1.
---@param ctx gate.Context
---@param findings gate.Finding[]
function recovery.run(ctx, findings)
  local wanted = {}
  for _, f in ipairs(findings) do
    if f.class == "set_config_missing" then
      local path = tostring(f.object):find "^platform%.[%w_]+$"
      ctx:apply("Set the tenant context " .. (path and "in " or "before: ") .. tostring(f.object), {
        note = (path and "The first statement of %s must be:\n    perform set_config(%s, p_tenant::text, true);\n%s"
          or "Before this statement, in its transaction:\n    %.0sselect set_config(%s, $1, true);\n%s")
        :format(tostring(f.object), names.literal(axes.list(ctx.config.database)[1].setting), f.detail or "") })
    else
      wanted[f.class .. "\0" .. tostring(f.object)] = true
    end
  end
  if not next(wanted) then return end
  local admin = ctx.db:open "admin"
  local found = collect(ctx, admin)
  local steps = steps_for(admin, found, wanted, findings)
  try_steps(ctx, steps, found)
  local good = {}
  for _, step in ipairs(steps) do
    if step.sql and not step.unfit and not step.needless then
      good[#good + 1] = step
    elseif step.unfit then -- what another step closes on its way needs no word
      ctx:apply("Decide on " .. tostring(step.findings[1].object), { note = step.sql
        and ("%s\nwas tried, and does not do: %s\n%s%s"):format(step.sql, step.unfit, step.instead or "",
          decision(step.findings[1])) or step.note })
    end
    for _, f in ipairs(step.left or {}) do
      ctx:apply("Decide on " .. tostring(f.object), { note = ("%s: %s\n%s"):format(f.class, f.detail or "",
        "Who is to write through the view? REVOKE INSERT or UPDATE on it from the application, or let it write to the table itself.") })
    end
  end
  if #good > 0 then
    local sql = migration(admin, good, axes.list(ctx.config.database)[1].setting)
    write_file(ctx, sql)
    apply(ctx, ("Close the leak on %s%s"):format(tostring(good[1].findings[1].object),
      #good > 1 and (" and %d more"):format(#good - 1) or ""), sql)
  end
  admin:close()
end

return recovery
