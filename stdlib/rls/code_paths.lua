--- Code paths: does each function of the platform state the tenant before it touches tenants' rows?
--
-- Each code path of the reference platform is called as the application, once in each pack, with the tenant setting cleared first.
-- Afterwards the setting must be the tenant's, and PostgreSQL's own counters say whether tenants' tables were touched. A path that only
-- works when its caller sets the tenant does not set it itself. Everything happens in one transaction that is rolled back.
local errors = require "errors"
local hash = require "hash"
local json = require "json"
local names = require "rls.names"

local code_paths = {}

--- What the application may call: functions of schema platform whose first argument is the tenant.
local FUNCTIONS = [[
  select p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname = 'platform' and has_function_privilege($1, p.oid, 'EXECUTE') and p.prokind = 'f'
     and p.proargtypes[0] = 'uuid'::regtype and p.proargnames[1] = 'p_tenant' and p.prorettype <> 'trigger'::regtype
     and not p.proname = any($2)
   order by 1]]

--- Helpers that code paths call within their own statements; they are no entry of the application's.
local HELPERS = { "open_audits" }

local TOUCHED = [[
  select coalesce(sum(seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint
    from pg_stat_xact_user_tables where relid::text = any($1)]]

local function sha(text) return hash.sha256(text) end

local function list(...) return json.encode(json.array { ... }) end

--- What the workflow is given in each pack: the smallest there is, one tour on Monday, or one vehicle that makes one stop.
local PACKS = {
  roster = {
    lines = function() return list { line_no = 1, raw_text = "Mo 08:00-16:00", status = "PASS" } end,
    templates = function()
      return list { line_no = 1, day = 1, start_ts = 480, end_ts = 960, duration_min = 480, work_hours = 8,
        tour_fingerprint = "canary", count = 1 }
    end,
    instances = function()
      return list { id = "canary-1", tour_fingerprint = "canary", instance_number = 1, day = 1, start_min = 480, end_min = 960,
        crosses_midnight = false }
    end,
    plan = function()
      return list { driver_id = "D001", tour_instance_id = "canary-1", day = 1, block_id = "D001-1", block_type = "1er" }
    end,
    audits = { "coverage", "overlap", "rest", "span_regular", "span_split", "fatigue", "weekly_max" },
  },
  routing = {
    lines = function() return list { line_no = 1, raw_text = "V1, S1", status = "PASS" } end,
    templates = list,
    instances = function()
      local none = json.array {}
      return json.encode { date = "2026-01-05", matrix = { version = "canary", sha256 = sha "matrix" },
        vehicles = json.array { { id = "V1", depot = { id = "D", lat = 48.2, lng = 16.3 }, capacity = 1, skills = none,
          shift_start_min = 480, shift_end_min = 960 } },
        stops = json.array { { id = "S1", lat = 48.3, lng = 16.4, demand = 1, service_min = 5, skills = none, window_start_min = 480,
          window_end_min = 960 } } }
    end,
    plan = function()
      return list { vehicle_id = "V1", start_s = 28800, end_s = 30900,
        visits = json.array { { stop_id = "S1", arrive_s = 29700, start_s = 29700, leave_s = 30000 } } }
    end,
    audits = { "coverage", "time_window", "capacity", "overlap", "skills_compliance" },
  },
}

--- The workflow in a pack, one call a step.
local function steps(pack)
  local given, known = PACKS[pack], {}
  local out = {
    { name = "create_forecast", keep = "forecast",
      sql = "select platform.create_forecast($1::uuid, 'canary', $2::jsonb, $3::jsonb, $4, $4)::text",
      args = function() return given.lines(), given.templates(), sha("canary " .. pack) end },
    { name = "expand_forecast", sql = "select platform.expand_forecast($1::uuid, $2::uuid, $3::jsonb)",
      args = function() return known.forecast, given.instances() end },
    { name = "store_plan", keep = "plan", sql = "select platform.store_plan($1::uuid, $2::uuid, 94, $3, $3, $4::jsonb)::text",
      args = function() return known.forecast, sha "plan", given.plan() end },
    { name = "read_plan", sql = "select platform.read_plan($1::uuid, $2::uuid)", args = function() return known.plan end },
  }
  for _, audit in ipairs(given.audits) do
    out[#out + 1] = { name = "record_audit", sql = "select platform.record_audit($1::uuid, $2::uuid, $3, 'PASS', '{}'::jsonb)",
      args = function() return known.plan, audit end }
  end
  out[#out + 1] = { name = "lock_plan", sql = "select platform.lock_plan($1::uuid, $2::uuid, 'canary')",
    args = function() return known.plan end }
  return out, known
end

local function set_tenant(state, value)
  state.conn:value("select set_config($1, $2, true)", state.setting, value)
end

local function call(state, step)
  local ok, a, rows = state.conn:try(step.sql, state.tenant, step.args())
  if ok then
    local row = rows and rows[1]
    local _, value = next(row or {})
    return true, value
  end
  return false, a
end

--- A path that does not state its tenant in one pack need not be told of again for the other.
local function note(state, step, detail)
  local path = "platform." .. step.name
  for _, f in ipairs(state.found) do
    if f.path == path then return end
  end
  state.found[#state.found + 1] = { path = path, detail = ("pack %s: %s"):format(state.pack, detail) }
end

--- One step. What it leaves behind is needed by the next, so a path that needs help gets it after it was found.
local function watch(state, step)
  set_tenant(state, "")
  local before = state.conn:value(TOUCHED, state.relations)
  local ok, value = call(state, step)
  local now = state.conn:value("select current_setting($1, true)", state.setting)
  local touched = state.conn:value(TOUCHED, state.relations) > before
  if ok and now ~= state.tenant and touched then
    note(state, step, ("it touches tenants' tables; afterwards %s is %q"):format(state.setting, tostring(now)))
  elseif ok and not touched then
    errors.raise { code = "path_not_watched", message = ("platform.%s touched no tenant's table: nothing was watched"):format(step.name),
      fix = "let its call in stdlib/rls/code_paths.lua reach one" }
  end
  if not ok or now ~= state.tenant then
    set_tenant(state, state.tenant)
    local helped, again = call(state, step)
    if not helped then
      errors.raise { code = "path_failed", message = ("platform.%s failed also with the tenant set: %s"):format(step.name, again.message),
        fix = "mend the code path, or its call in stdlib/rls/code_paths.lua" }
    elseif not ok then
      note(state, step, "it works only when its caller has set the tenant: " .. value.message)
    end
    value = again
  end
  if step.keep then state.known[step.keep] = value end
end

--- Drives the workflow in a pack, whose branches of a code path may state the tenant where the other's do not.
local function drive(state, pack, driven)
  local list_of_steps, known = steps(pack)
  local watched = {}
  state.pack, state.known = pack, known
  for _, step in ipairs(list_of_steps) do
    driven[step.name] = true
    if not watched[step.name] then
      watched[step.name] = true
      watch(state, step)
    else
      set_tenant(state, state.tenant)
      local ok, raised = call(state, step)
      if not ok then error(raised, 0) end
    end
  end
end

--- Watches the reference platform's code paths.
---@param conn table     a fresh connection of the admin
---@param options {settings: table, role: string, superuser: boolean, relations: string[]}  relations: oids of tenants' tables
---@return {path: string, detail: string}[] findings, integer paths
function code_paths.watch(conn, options)
  local db = require "rls.arrays"
  local found, count = {}, 0
  conn:transaction(function()
    local expected = conn:query(FUNCTIONS, options.role, db.text(HELPERS))
    local code = "gate-canary-" .. hash.hex(hash.random(6))
    local tenant = conn:value("insert into core.tenants (code, name, status) values ($1, $1, 'onboarding') returning id::text", code)
    conn:exec((options.superuser and "set local session authorization " or "set local role ") .. names.ident(options.role))
    local state = { conn = conn, setting = options.settings.tenant.setting, tenant = tenant, found = found,
      relations = db.text(options.relations) }
    local driven = {}
    drive(state, "roster", driven)
    drive(state, "routing", driven)
    for _, f in ipairs(expected) do
      count = count + 1
      if not driven[f.name] then
        errors.raise { code = "path_not_driven",
          message = ("the code path platform.%s was not called: it is not known to this gate"):format(f.name),
          fix = "add it to stdlib/rls/code_paths.lua with a call that works" }
      end
    end
  end, { rollback = true })
  if count == 0 then
    errors.raise { code = "path_not_driven", message = "no code path was found in schema platform that the application may call",
      fix = "GRANT the application's role EXECUTE on the platform's functions" }
  end
  return found, count
end

return code_paths
