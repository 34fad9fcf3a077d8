--- Adapter for the reference platform: its code paths, called as the application does, on the application's own connection.
-- Interface: stdlib/platform/adapter.lua.

local errors = require "errors"
local json = require "json"
local routing = require "platform.adapter_routing"
local task = require "task"

local M = {}

--- SQLSTATEs of the platform (stdlib/platform/migrations/006_lock.sql).
M.LOCKED, M.STATE_REFUSED = "PL423", "PL409"

-- $1 is the tenant, $2 the plan or, where `of` says so, its forecast. Each must succeed on a DRAFT plan, which is its control, and
-- be refused by a LOCKED one.
local ATTACKS = {
  { id = "update_plan_status", title = "UPDATE of the plan's status",
    sql = "update public.plan_versions set status = 'DRAFT', locked_at = null, locked_by = null "
      .. "where tenant_id = $1::uuid and id = $2::uuid" },
  { id = "update_plan_hash", title = "UPDATE of the plan's output hash",
    sql = "update public.plan_versions set output_hash = repeat('0', 64) where tenant_id = $1::uuid and id = $2::uuid" },
  { id = "delete_plan", title = "DELETE of the plan",
    sql = "delete from public.plan_versions where tenant_id = $1::uuid and id = $2::uuid" },
  { id = "update_assignments", title = "UPDATE of its assignments",
    sql = "update public.assignments set driver_id = driver_id || 'x' where tenant_id = $1::uuid and plan_version_id = $2::uuid" },
  { id = "delete_assignments", title = "DELETE of its assignments",
    sql = "delete from public.assignments where tenant_id = $1::uuid and plan_version_id = $2::uuid" },
  { id = "insert_assignment", title = "INSERT of an assignment",
    sql = "insert into public.assignments (tenant_id, plan_version_id, forecast_version_id, driver_id, tour_instance_id, day, "
      .. "block_id, block_type) select a.tenant_id, a.plan_version_id, a.forecast_version_id, a.driver_id || 'x', "
      .. "a.tour_instance_id, a.day, a.block_id || 'x', a.block_type from public.assignments a "
      .. "where a.tenant_id = $1::uuid and a.plan_version_id = $2::uuid order by a.id limit 1" },
  { id = "update_instances", title = "UPDATE of its tours, which its audits looked at", of = "forecast",
    sql = "update public.tour_instances set end_min = end_min + 1 where tenant_id = $1::uuid and forecast_version_id = $2::uuid" },
  { id = "update_forecast", title = "UPDATE of its forecast's input hash", of = "forecast",
    sql = "update public.forecast_versions set input_hash = repeat('0', 64) where tenant_id = $1::uuid and id = $2::uuid" },
  { id = "delete_instances", title = "DELETE of its tours, which takes its assignments along", of = "forecast",
    sql = "delete from public.tour_instances where tenant_id = $1::uuid and forecast_version_id = $2::uuid" },
  { id = "delete_forecast", title = "DELETE of its forecast, which takes the plan along", of = "forecast",
    sql = "delete from public.forecast_versions where tenant_id = $1::uuid and id = $2::uuid" },
}

local CHUNK = 5000

--- A list as JSON text for a jsonb parameter, with only the named fields of each element. In pieces, because one encoded value is
--- bounded in size and a forecast may be larger.
---@param list table[]
---@param fields string[]
---@return string
local function jsonb(list, fields)
  local pieces = {}
  for from = 1, #list, CHUNK do
    local part = {}
    for i = from, math.min(from + CHUNK - 1, #list) do
      local copy = {}
      for _, field in ipairs(fields) do copy[field] = list[i][field] end
      part[#part + 1] = copy
    end
    pieces[#pieces + 1] = json.encode(json.array(part)):sub(2, -2)
  end
  return "[" .. table.concat(pieces, ",") .. "]"
end

local LINE = { "line_no", "raw_text", "status", "code" }
local TEMPLATE = { "line_no", "day", "start_ts", "end_ts", "duration_min", "work_hours", "span_group_key", "tour_fingerprint", "count",
  "depot", "skill" }
local INSTANCE = { "id", "tour_fingerprint", "instance_number", "day", "start_min", "end_min", "crosses_midnight", "depot", "skill",
  "split_group" }
local ASSIGNMENT = { "driver_id", "tour_instance_id", "day", "block_id", "block_type" }

local LOCK = "select platform.lock_plan($1::uuid, $2::uuid, $3)"

--- The stage functions: thin calls of the platform's code paths, which set the tenant themselves.
local function code_paths(db, tenant, mark)
  return {
    create_forecast = function(f)
      return db:value("select platform.create_forecast($1::uuid, $2, $3::jsonb, $4::jsonb, $5, $6, $7)::text", tenant,
        ("%s: %s"):format(mark, f.source), jsonb(f.lines, LINE), jsonb(f.templates, TEMPLATE), f.input_hash, f.parser_config_hash, f.week)
    end,
    expand_forecast = function(forecast, instances)
      return db:value("select platform.expand_forecast($1::uuid, $2::uuid, $3::jsonb)", tenant, forecast, jsonb(instances, INSTANCE))
    end,
    store_plan = function(forecast, plan)
      return db:value("select platform.store_plan($1::uuid, $2::uuid, $3::bigint, $4, $5, $6::jsonb)::text", tenant, forecast,
        plan.seed, plan.solver_config_hash, plan.output_hash, jsonb(plan.assignments, ASSIGNMENT))
    end,
    record_audit = function(plan, audit, status, details)
      return db:value("select platform.record_audit($1::uuid, $2::uuid, $3, $4, $5::jsonb)", tenant, plan, audit, status,
        json.encode(details))
    end,
    lock_plan = function(plan, who) return db:value(LOCK, tenant, plan, who) end,
    read_plan = function(plan)
      return db:value("select platform.read_plan($1::uuid, $2::uuid)", tenant, plan)
    end,
  }
end

--- Run fn with the tenant set for one transaction, which is always rolled back.
local function undone(db, tenant, fn)
  return db:transaction(function()
    db:value("select set_config('app.current_tenant_id', $1, true)", tenant)
    return fn()
  end, { rollback = true })
end

-- Roles that the application may become, and the attacked tables ($1) of which each is the owner, whose triggers it may switch off.
local ROLES = [[
  select r.rolname::text as role, r.rolname = current_user as itself, (
      select array_agg(c.oid::regclass::text order by 1) from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relname = any (string_to_array($1, ' '))
        and (r.rolsuper or pg_has_role(r.oid, c.relowner, 'USAGE'))) as owns
  from pg_roles r where pg_has_role(current_user, r.oid, 'MEMBER') order by 1]]

--- The tables that attacks change.
local function tables_of(attacks)
  local seen, list = {}, {}
  for _, a in ipairs(attacks) do
    local name = a.sql:match "^%a+ %a* ?public%.([%w_]+)"
    if name and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  return list
end

--- What comes before an attack as another role: becoming it, and switching off what an owner may.
local function disguise(role)
  local out = {}
  if not role then return out end
  if not role.itself then out[1] = ('set local role "%s"'):format(role.role:gsub('"', '""')) end
  if type(role.owns) == "table" and #role.owns > 0 then
    out[#out + 1] = "set local lock_timeout = '2s'"
    for _, name in ipairs(role.owns) do out[#out + 1] = ("alter table %s disable trigger user"):format(name) end
  end
  return out
end

--- The attack for psql, connected as the application. Ids are UUIDs, which the platform gave.
local function paste(a, tenant, target, role)
  local before = disguise(role)
  for i, sql in ipairs(before) do before[i] = sql .. "; " end
  return ("begin; select set_config('app.current_tenant_id', '%s', true); %s%s; rollback;"):format(tenant, table.concat(before),
    (a.sql:gsub("%$[12]", { ["$1"] = "'" .. tenant .. "'", ["$2"] = "'" .. target .. "'" })))
end

--- Becomes the role, which whoever administers it may grant itself first.
local function become(db, role)
  for i, sql in ipairs(disguise(role)) do
    local ok, why = db:try(sql)
    if not ok and i == 1 and not role.itself then
      db:exec(('grant "%s" to current_user'):format(role.role:gsub('"', '""')))
      ok, why = db:try(sql)
    end
    if not ok then error(why, 0) end
  end
end

--- Try one attack. Constraints are made immediate, so that a refusal which waits for the commit is seen before the rollback.
local function attack(db, tenant, plan, forecast, a, role)
  local target = a.of == "forecast" and forecast or plan
  return undone(db, tenant, function()
    become(db, role)
    db:exec("set constraints all immediate")
    local ok, result = db:try(a.sql, tenant, target)
    if ok then return { done = true, affected = result, reproduce = paste(a, tenant, target, role) } end
    if not errors.is(result) or not result.sqlstate then error(result, 0) end
    return { done = false, refused_by_lock = result.sqlstate == M.LOCKED, code = result.sqlstate, message = result.message,
      reproduce = paste(a, tenant, target, role), no_right = result.sqlstate == "42501" }
  end)
end

--- Lock a plan from one session a name, all at once: the sessions stand before any of them asks.
local function race(open, tenant, plan, names)
  local sessions = {}
  for i in ipairs(names) do sessions[i] = open() end
  local order = {}
  for i in ipairs(names) do order[i] = i end
  local answers = task.map(order, #order, function(i)
    local ok, answer = pcall(function() return sessions[i]:value(LOCK, tenant, plan, names[i]) end)
    return { ok = ok, answer = answer }
  end)
  for _, session in ipairs(sessions) do session:close() end
  return answers
end

--- An adapter for one tenant.
---@param opts {pack: "roster"|"routing", db: table, open: fun(): table, tenant_id: string, tenant_code: string,
---  mark: string}  mark: what the source of its forecasts begins with; db: a connection as the
---  application role; open: how to get one more
---@return table adapter  see stdlib/platform/adapter.lua. Errors: adapter_tenant when the tenant has no row.
function M.new(opts)
  local db, tenant = opts.db, opts.tenant_id
  if type(tenant) ~= "string" then
    errors.raise { code = "adapter_tenant", message = ("the tenant %s has no row on this platform"):format(tostring(opts.tenant_code)),
      fix = "Create the tenant, or set database.tenant.table, key and code so that it is found" }
  end
  local adapter = code_paths(db, tenant, opts.mark)
  local attacks = ATTACKS

  function adapter.race_lock(plan, names)
    return race(opts.open, tenant, plan, names)
  end

  function adapter.read_instances(forecast)
    return undone(db, tenant, function()
      return db:query("select id, day::integer, start_min, end_min, depot, skill, split_group from public.tour_instances "
        .. "where tenant_id = $1::uuid and forecast_version_id = $2::uuid order by id collate \"C\"", tenant, forecast)
    end)
  end

  function adapter.locked_weeks(week, most)
    return undone(db, tenant, function()
      -- Of a week that was planned again the last lock counts.
      return db:query("select distinct on (f.week) f.week, p.id::text as plan, f.id::text as forecast from public.plan_versions p "
        .. "join public.forecast_versions f on f.tenant_id = p.tenant_id and f.id = p.forecast_version_id "
        .. "where p.tenant_id = $1::uuid and p.pack_id = 'roster' and p.status = 'LOCKED' and f.week collate \"C\" < $2 "
        .. "order by f.week desc, p.locked_at desc, p.id limit $3", tenant, week, most)
    end)
  end

  function adapter.lock_refused(err)
    return errors.is(err) and err.sqlstate == M.STATE_REFUSED
  end

  function adapter.attacks()
    return attacks
  end

  function adapter.attack(plan, forecast, a, role)
    return attack(db, tenant, plan, forecast, a, role)
  end

  -- The application's own role is among them where it owns what is attacked.
  function adapter.other_roles()
    local roles = {}
    for _, role in ipairs(db:query(ROLES, table.concat(tables_of(attacks), " "))) do
      if not role.itself or type(role.owns) == "table" then roles[#roles + 1] = role end
    end
    return roles
  end

  if opts.pack == "routing" then
    attacks = routing.ATTACKS
    routing.add(adapter, db, tenant, { jsonb = jsonb, undone = undone })
  end
  return adapter
end

return M
