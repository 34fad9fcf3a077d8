--- The mutation score: breaks the schema in every way that matters, one at a time, and sees whether the gate's own checks notice.
---
--- A pass means something only where a leak would not pass. Each mutant lives in a transaction that is rolled back, on a scratch copy or
--- the embedded platform alone. It is found when a check fails that did not before. One after which a check can only no longer decide does
--- not pass either, and is not found.
local decide = require "rls.decide"
local equivalents = require "rls.equivalents"
local errors = require "errors"
local harness = require "rls.harness"
local mutants = require "rls.mutants"
local names = require "rls.names"

local mutate = {}

--- A view of the invoker's that reads only through other views changes nothing by becoming its owner's.
local INVOKER_VIEWS = [[
  select c.oid::text as oid from pg_class c where c.relkind = 'v' and exists (select from unnest(c.reloptions) o
    where lower(o) in ('security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'))
    and exists (select from pg_rewrite w
      join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
      join pg_class r on r.oid = d.refobjid where w.ev_class = c.oid and r.relkind in ('r', 'p') and r.relrowsecurity)]]

--- A context that only collects, on one connection. What the application is, it reads there too: a mutant of a role is not committed.
local function collector(ctx, conn, role)
  local found = { keys = {}, undecided = {} }
  local guarded = setmetatable({ close = function() end }, { __index = function(_, method)
    return function(_, ...) return conn[method](conn, ...) end
  end })
  local app = setmetatable({}, { __index = function(_, method)
    return function(_, ...)
      local args, results = table.pack(...), nil
      conn:transaction(function()
        conn:exec("set local role " .. names.ident(role))
        results = table.pack(conn[method](conn, table.unpack(args, 1, args.n)))
      end, { rollback = true })
      return table.unpack(results, 1, results.n)
    end
  end })
  local mine = { config = ctx.config, platform = ctx.platform, tenant = ctx.tenant, options = ctx.options,
    db = { admin = guarded, app = app, open = function() return guarded end }, one_connection = true }
  function mine:check(name, fn) -- luacheck: no self
    local ok, raised = pcall(fn)
    if not ok then found.undecided[name] = errors.is(raised) and raised.message or tostring(raised) end
  end
  function mine:fail(class, fields) -- luacheck: no self
    local severity = fields and fields.severity
    if severity == "advisory" or severity == "note" then return end
    found.keys[("%s %s %s"):format(class, tostring(fields and fields.object), (tostring(fields and fields.detail):gsub("%d+", "#")))] = true
  end
  function mine:advise() end -- luacheck: no self
  function mine:fact() end -- luacheck: no self
  function mine:log() end -- luacheck: no self
  return mine, found
end

--- The tables whose rows have to be there first.
local function add_parents(seen, t, wanted)
  if wanted[t.oid] then return end
  wanted[t.oid] = true
  for _, fk in ipairs(t.foreign_keys) do
    if seen.by_oid[fk.ref] then add_parents(seen, seen.by_oid[fk.ref], wanted) end
  end
end

--- What a table needs, and what reads it, are looked at with it.
local function leave_others(seen, tables)
  local wanted = {}
  for _, t in ipairs(tables) do
    if seen.by_oid[t.oid] then add_parents(seen, seen.by_oid[t.oid], wanted) end
  end
  for _, t in ipairs(seen.tables) do
    for _, r in ipairs(t.reads or {}) do
      if wanted[r.oid] then wanted[t.oid] = true end
    end
  end
  for _, t in ipairs(seen.tables) do
    if (t.scope == "tenant" or t.scope == "child") and not wanted[t.oid] and t.name ~= "gate_mutant" then t.scope = "left_out" end
  end
end

--- What is new in a list: its first entry, in order.
local function first_new(now, before)
  local list = {}
  for key in pairs(now) do
    if not before[key] then list[#list + 1] = key end
  end
  table.sort(list)
  return list[1]
end

--- Runs the gate's checks of coverage and isolation on a connection.
---@param before table?  the findings without the mutant: the first new one ends it
---@param tables rls.Table[]?  only those of these tables
local function collect(ctx, conn, role, before, tables)
  local mine, found = collector(ctx, conn, role)
  mine:check("look", function()
    local seen = harness.look(mine)
    if tables then leave_others(seen, tables) end
    mine:check("coverage", function() harness.coverage(mine, seen) end)
    if not (before and first_new(found.keys, before.keys)) then harness.isolation(mine, seen) end
  end)
  return found
end

--- Carries a mutant out, looks, takes it back. "found", "undecided" or "survived", and why.
local function try(ctx, conn, role, m, before, tables)
  local outcome, why = "survived", "no check fails"
  conn:transaction(function()
    local ok, raised = pcall(conn.transaction, conn, function() conn:script(m.sql) end)
    if not ok then
      outcome, why = "impossible", errors.is(raised) and raised.message or tostring(raised)
      return
    end
    local now = collect(ctx, conn, role, before, tables)
    local new = first_new(now.keys, before.keys)
    local unclear = first_new(now.undecided, before.undecided)
    if new then
      outcome, why = "found", new
    elseif unclear then
      outcome, why = "undecided", unclear .. ": " .. now.undecided[unclear]
    end
  end, { rollback = true })
  return outcome, why
end

--- The check is refused before anything is connected to.
function mutate.refuse_live(ctx)
  if ctx.platform.kind == "embedded" or ctx.platform.kind == "scratch" then return end
  errors.raise { code = "mutate_live", message = "--mutate breaks policies and roles: expected a scratch copy, found a database of yours",
    fix = "add --schema FILE or --migrations DIR (pg_dump --schema-only writes one)" }
end

--- The check "mutation": facts mutants, mutants_found, mutants_undecided, mutation_score (percent), mutants_survived.
---@param ctx table
---@param look fun(): table  gives what harness.look gave
function mutate.check(ctx, look)
  mutate.refuse_live(ctx)
  local seen = look()
  local conn = ctx.db:open "admin"
  local role = seen.app.role
  local base, views = harness.of_tenants(seen), {}
  for _, v in ipairs(conn:query(INVOKER_VIEWS)) do views[v.oid] = true end
  if not seen.model then seen.decisions, seen.model = decide.run(conn, seen, base, conn:value "select current_date::text") end
  local list = mutants.of(seen, base, equivalents.around(conn, role, base), views)
  local before
  conn:transaction(function() before = collect(ctx, conn, role) end, { rollback = true })
  local count, survivors, impossible = { found = 0, undecided = 0, survived = 0, impossible = 0 }, {}, {}
  for _, m in ipairs(list) do
    local outcome, why = try(ctx, conn, role, m, before, m.tables)
    -- A look at a part of the schema saves time, and decides only that a mutant is found.
    if (outcome == "survived" or outcome == "undecided") and m.tables then outcome, why = try(ctx, conn, role, m, before) end
    count[outcome] = count[outcome] + 1
    if outcome == "survived" or outcome == "undecided" then
      if outcome == "undecided" then why = "no check fails, and one is undecided: " .. why end
      survivors[#survivors + 1] = ("%s (%s): %s"):format(m.kind, m.object, why)
      ctx:advise("mutant_survived", { object = m.object, detail = ("%s: %s"):format(m.kind, why), reproduce = m.sql })
    elseif outcome == "impossible" then
      impossible[#impossible + 1] = ("%s (%s): %s"):format(m.kind, m.object, why)
    end
    ctx:log("mutant %s of %s: %s, %s", m.kind, m.object, outcome, why)
  end
  conn:close()
  local total = #list - count.impossible
  if total == 0 then
    errors.raise { code = "no_mutants", message = "there is nothing to break: no tenant's table",
      fix = "check database.tenant.column and database.schemas, or name the tables in database.tenant_scoped" }
  end
  ctx:fact("mutants", total)
  ctx:fact("mutants_found", count.found)
  ctx:fact("mutants_undecided", count.undecided)
  ctx:fact("mutation_score", 100 * count.found / total)
  if #survivors > 0 then ctx:fact("mutants_survived", survivors) end
  if #impossible > 0 then ctx:fact("mutants_impossible", impossible) end
  ctx:summary(("No cross-tenant leaks detected; mutation score %d/%d"):format(count.found, total))
end

return mutate
