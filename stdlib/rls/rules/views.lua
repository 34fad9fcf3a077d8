--- Views that read with an owner's rights whom row-level security does not bind: does their own text let other tenants' rows through?
--
-- A view is decided like a function with its owner's rights (rls.rules.definers). One that filters by the tenant itself has to be a
-- security_barrier besides, and INSERT … ON CONFLICT through it must meet a key of one tenant only: releases before those of
-- rls.releases do not ask the view's condition of the row that is in the way (PostgreSQL manual, sections 41.5 and CREATE VIEW, "Updatable
-- Views").
local arrays = require "rls.arrays"
local axes = require "rls.axes"
local catalogue = require "rls.catalogue"
local decide = require "rls.decide"
local model = require "rls.model"
local names = require "rls.names"
local prover = require "rls.prover"
local releases = require "rls.releases"
local reproduce = require "rls.reproduce"
local writers = require "rls.writers"

local views = {}

local VIEWS = [[
  select v.oid::text as oid, pg_get_viewdef(v.oid) as body, coalesce(v.reloptions::text[] && array['security_barrier=true',
           'security_barrier=on', 'security_barrier=1', 'security_barrier=yes'], false) as barrier,
         pg_relation_is_updatable(v.oid, false) & 8 = 8 as insertable,
         pg_relation_is_updatable(v.oid, false) & 4 = 4 as updatable, pg_relation_is_updatable(v.oid, false) & 16 = 16 as deletable
    from pg_class v where v.oid::text = any($1) and v.relkind = 'v']]

local READERS = "select rolname::text as name, rolsuper or rolbypassrls as bypasses from pg_roles where rolname = any($1)"

--- A unique key of a table beneath the view that a tenant chooses the values of, and that is not one tenant's.
local function open_key(v, seen)
  for _, t in ipairs(v.reads or {}) do
    for _, key in ipairs(t.uniques) do
      local spans, made = t.tenant ~= nil, true
      for _, name in ipairs(key.columns) do
        local c = t.by_column[name]
        spans = spans and name ~= t.tenant
        made = made and c ~= nil and (c.generated or c.identity ~= "" or (c.has_default and c.base == "uuid"))
      end
      if spans and not made and t.label ~= (seen.settings.tenant or {}).table then return t, key end
    end
  end
  return nil
end

local function beneath(v, seen)
  local by_label = {}
  for oid in pairs(seen.by_oid) do
    local t = seen.by_oid[oid]
    local tenants = t.scope == "tenant" or t.scope == "child"
    if tenants and (t.kind == "r" or t.kind == "p" or t.kind == "m") then by_label[t.label] = t end
  end
  return function(label)
    local t = by_label[label]
    local way = t and v.ways[t.oid]
    if not t or (way and way.bound and t.kind ~= "m") then return nil end
    local path, owner = model.path(t, seen.by_oid)
    return { [t.tenant or ""] = true }, decide.axes_for(path and owner, decide.axes(seen.settings))
  end
end

--- Is it bound by its own text, or a counterexample, or nil where nothing is known; and what the configuration's trust says of it.
---@param bodies table<string, string>  of the views, by label
local function judge(v, row, seen, bodies)
  local f = { language = "sql", body = row.body, parsed = true, security_definer = true, owner = v.reader, owner_bypasses = v.bypasses,
    args = {} }
  local input = { tables = seen.model.tables, functions = seen.model.functions, types = seen.model.types, role = seen.model.roles[1],
    leads = seen.model.leads, views = bodies,
    presets = seen.model.presets, axes = {}, shows = seen.owners:showing(), trust = seen.trust, today = seen.today }
  local verdicts, unread = prover.calls(input, f, v.label, beneath(v, seen))
  local bound, trusted, chosen = #verdicts > 0 and not unread, nil, nil
  for _, r in ipairs(verdicts) do
    local status = r.verdict.status
    decide.cover(seen.covers, r.verdict, v.label)
    if status == "counterexample" and r.mixed ~= "choice" then return nil, r end
    chosen = chosen or (status == "counterexample" and r) or nil
    if status == "trusted" then trusted = trusted or ("%s: %s"):format(r.label, r.verdict.trust[1].reason) end
    bound = bound and (status == "proven" or status == "trusted")
  end
  return bound or nil, chosen, trusted
end

--- The key of a tenant whose row is not the one in the way.
local function own_key(t)
  local c = t.tenant and t.by_column[t.tenant]
  return c and (c.base == "uuid" and "a0000000-0000-4000-8000-00000000000a" or c.category == "N" and "1000001") or "own-tenant"
end

--- SQL that takes a row which is there and writes it through the view once more: the row in the way is changed. Where the view shows
--- whose it is, it becomes the own one, which no check of the view's refuses.
local function upsert_sql(v, t, key)
  local columns, given, in_key, set, other = {}, {}, {}, nil, nil
  for _, name in ipairs(key.columns) do in_key[name] = true end
  for _, c in ipairs(v.columns) do
    local below = t.by_column[c.name]
    if below and not below.generated then
      local name = names.ident(c.name)
      local moves = c.name == t.tenant and c.may_update and not in_key[c.name]
      columns[#columns + 1] = name
      given[#given + 1] = moves and ("%s::%s"):format(names.literal(own_key(t)), below.type) or name
      if moves then set = name elseif not in_key[c.name] then other = other or name end
    end
  end
  local list, keys = table.concat(columns, ", "), {}
  for i, name in ipairs(key.columns) do keys[i] = names.ident(name) end
  set = set or other or keys[1]
  return {
    ("CREATE TEMPORARY TABLE in_the_way ON COMMIT DROP AS SELECT %s FROM %s LIMIT 1;"):format(list, t.sql),
    ("INSERT INTO %s (%s) SELECT %s FROM in_the_way ON CONFLICT (%s) DO UPDATE SET %s = EXCLUDED.%s; -- as any tenant: the row is changed")
      :format(v.sql, list, table.concat(given, ", "), table.concat(keys, ", "), set, set),
  }
end

--- A session of a tenant whose row is not the one in the way.
local function session_sql(seen, t)
  local lines, tenant = {}, seen.settings.tenant
  local axis = { setting = tenant.setting, value = tenant.value or "{id}", context = tenant.context or {} }
  for _, pair in ipairs(axes.session(axis, own_key(t))) do
    lines[#lines + 1] = ("SELECT set_config(%s, %s, true);\n"):format(names.literal(pair[1]), names.literal(pair[2]))
  end
  return table.concat(lines)
end

--- An UPDATE that reads nothing: of the column that is given, else of one that the application may set.
local function update_sql(v, given)
  local name, literal = next(given)
  for _, c in ipairs(v.columns) do
    if not name and c.may_update then name, literal = c.name, reproduce.filler(c) end
  end
  return ("UPDATE %s SET %s = %s;"):format(v.sql, names.ident(name or v.columns[1].name), literal or "DEFAULT")
end

--- What another tenant's row does.
local PASSES = {
  row = "another tenant's row of %s passes: %s",
  value = "another tenant's row of %s flows into the rows it shows, by a window, group or aggregate beneath the test of the tenant: %s",
  choice = "another tenant's row of %s decides which rows it shows, by LIMIT, OFFSET or DISTINCT ON beneath the test of the tenant: %s",
}

--- What is found of one view. number: server_version_num
local function say(out, seen, v, row, number, bodies)
  local world = reproduce.world(seen, seen.app.role)
  -- Does the server ask the view's condition of rows in the way?
  local hides = releases.is_closed(releases.VIEW_CONFLICT, number)
  local function add(class, commands, detail, text, option)
    out[#out + 1] = { class = class, object = v.label, oid = v.oid, commands = commands, detail = detail, reproduce = text,
      repair = releases.has_option(option, number) and ("ALTER VIEW %s SET (%s = true);"):format(v.sql, option) or nil }
  end
  local bound, leak, trusted = judge(v, row, seen, bodies)
  v.filtered = bound
  local definition = ("SELECT pg_get_viewdef(%s::regclass);"):format(names.literal(v.sql))
  if trusted then
    v.decided = { SELECT = "trusted" }
    out[#out + 1] = { class = "policy_trusted", object = v.label, oid = v.oid, commands = { "SELECT" }, advisory = true,
      detail = ("it reads as %s, whom row-level security does not bind, and shows another tenant's row of %s"):format(v.reader, trusted),
      reproduce = definition }
  end
  if leak and v.acts.select then
    local detail = "it reads as %s, whom row-level security does not bind, and " .. PASSES[leak.mixed or "row"]
    local t = world.by_label[leak.label]
    local text = leak.mixed == "choice" and definition
      or leak.mixed and v.may.select and reproduce.with_neighbours(world, t, leak.verdict, v.sql)
      or reproduce.text(world, t, leak.verdict, reproduce.as_reader(v) .. ("SELECT * FROM %s LIMIT 5;"):format(v.sql))
    add("view_owner_rights", { "SELECT" }, detail:format(v.reader, leak.label, leak.verdict.text), text, "security_invoker")
    out[#out].advisory = leak.mixed == "choice" or nil
  elseif leak and (v.acts.update and row.updatable or v.acts.delete and row.deletable) then
    local command = v.acts.update and row.updatable and "UPDATE" or "DELETE"
    local detail = "it acts as %s, whom row-level security does not bind, and another tenant's row of %s passes: %s"
    local statement = command == "DELETE" and ("DELETE FROM %s;"):format(v.sql) or update_sql(v, {})
    add("view_owner_rights", { command }, detail:format(v.reader, leak.label, leak.verdict.text), reproduce.text(world,
      world.by_label[leak.label], leak.verdict, statement), "security_invoker")
  elseif bound and v.acts.select and not row.barrier then
    add("view_not_barrier", { "SELECT" }, ("it reads as %s and tests the tenant itself, and is no security_barrier"):format(v.reader),
      ("-- without security_barrier the planner may call a cheap function of the reader's before the view's own test\n"
        .. "SELECT coalesce(reloptions, '{}') AS options, pg_get_viewdef(oid) FROM pg_class WHERE oid = %s::regclass;"):format(
        names.literal(v.sql)), "security_barrier")
  end
  if not leak and not bound and v.acts.select and not v.may.select then
    out.undecided = out.undecided or ("%s, which the application may read by SET ROLE alone, reads as %s, whom row-level security does not "
      .. "bind, and its text was not decided"):format(v.label, v.reader)
  end
  local t, key = open_key(v, seen)
  if t and row.insertable and v.acts.insert and v.acts.update and not (hides and bound) then
    local before, statement = table.unpack(upsert_sql(v, t, key))
    local text = reproduce.text(world, nil, nil, session_sql(seen, t) .. statement):gsub("BEGIN;\n", function()
      return ("BEGIN;\n%s\nGRANT SELECT ON in_the_way TO %s;\n"):format(before, names.ident(world.app))
    end)
    add("view_owner_rights", { "INSERT", "UPDATE" }, ("INSERT … ON CONFLICT (%s) DO UPDATE through it changes the row of %s that is in the "
      .. "way, whoever's it is: it acts as %s"):format(table.concat(key.columns, ", "), t.label, v.reader), text, "security_invoker")
  end
end

--- Views through which rows of other tenants can be written: without WITH CHECK OPTION nothing is asked of a row that comes through a
--- view whose owner row-level security does not bind.
local function written_through(conn, seen, base, out)
  local world = reproduce.world(seen, seen.app.role)
  for _, t in ipairs(base) do
    local path, owner = model.path(t, seen.by_oid)
    local keys = t.tenant and { t.tenant } or t.parent_key and t.parent_key.columns or {}
    for _, w in ipairs(#keys > 0 and writers.views(conn, seen, t) or {}) do
      local free, v = true, seen.by_oid[w.view.oid]
      for _, key in ipairs(keys) do
        local column = v.by_column[w.view.columns[key] or ""]
        free = free and column ~= nil and (w.view.inserts or column.may_update)
      end
      local verdict = free and prover.through({ relation = t.label, tables = seen.model.tables, functions = seen.model.functions,
        types = seen.model.types, role = seen.model.roles[1], leads = seen.model.leads,
      presets = seen.model.presets,
        axes = decide.axes_for(path and owner, decide.axes(seen.settings)), trust = seen.trust, today = seen.today }, w)
      if verdict and verdict.status == "counterexample" then
        local command, row = w.view.inserts and "INSERT" or "UPDATE", verdict.assignment.row
        local statement = w.sql { row = row } or update_sql(v, { [w.view.columns[keys[1]]] = prover.literal(row[keys[1]]) })
        out[#out + 1] = { class = "view_owner_rights", object = v.label, oid = v.oid, commands = { command },
          detail = ("it writes as %s, whom row-level security does not bind, and lets a row of another tenant into %s: %s"):format(w.by,
            t.label, verdict.text), reproduce = reproduce.text(world, t, verdict, statement, true),
          repair = ("ALTER VIEW %s SET (security_invoker = true);"):format(v.sql) }
      end
    end
  end
end

--- Marks views that read as somebody whom policies of his own let see more than the application: they do not bind the view's reader.
---@param seen table          of rls.harness.look, with `model` and `owners`
---@param list rls.Table[]    views over tenants' rows
function views.mark(seen, list)
  for _, v in ipairs(list) do
    for _, t in ipairs(v.reads or {}) do
      local way = v.ways[t.oid]
      if way.bound and seen.owners:sees(way.reader, t) then
        way.bound, v.bound, v.reader = false, false, way.reader
      end
    end
  end
end

--- Findings about views; `filtered` is set on those whose own text binds the tenant.
---@param conn table
---@param seen table          of rls.harness.look, with `model` and `owners`
---@param list rls.Table[]    views over tenants' rows
---@param base rls.Table[]    tenants' base tables
---@return {class: string, object: string, oid: string, detail: string, reproduce: string, commands: string[]}[]
function views.findings(conn, seen, list, base)
  local oids, readers, by_oid, labels, out = {}, {}, {}, {}, {}
  for _, v in ipairs(list) do
    if v.kind == "v" and v.bound == false and v.reader then
      readers[#readers + 1], by_oid[v.oid] = v.reader, v
    end
    if v.kind == "v" then oids[#oids + 1], labels[v.oid] = v.oid, v.label end
  end
  if not next(by_oid) then return out end
  seen.covers = seen.covers or {}
  local bypasses, rows = {}, nil
  for _, r in ipairs(conn:query(READERS, arrays.text(readers))) do bypasses[r.name] = r.bypasses end
  catalogue.qualified(conn, function() rows = conn:query(VIEWS, arrays.text(oids)) end)
  local number = conn:value "select current_setting('server_version_num')::integer"
  local bodies = {}
  for _, row in ipairs(rows) do bodies[labels[row.oid]] = row.body end
  for _, row in ipairs(rows) do
    local v = by_oid[row.oid]
    if v then
      v.bypasses = bypasses[v.reader]
      say(out, seen, v, row, number, bodies)
    end
  end
  written_through(conn, seen, base, out)
  return out
end

return views
