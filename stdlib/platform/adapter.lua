--- Platform adapters: how the golden path drives the platform it validates.
--
-- An adapter is a table of the functions in M.FUNCTIONS. Each raises a structured error when the platform refuses or cannot
-- be reached; a refusal carries the platform's own code in `sqlstate` (or `status` for HTTP). Ids are opaque strings.
--
--   create_forecast{source, week, text, lines, templates, matrix, input_hash, parser_config_hash} → forecast id; text(): the input
--     as it stands; week: "2026-W05", nil where the dataset names none: it is then in no other week's history; matrix: of a routing
--     scenario {version, sha256}
--   expand_forecast(forecast, instances) → number of instances the platform stored
--   store_plan(forecast, {seed, solver_config_hash, output_hash, assignments}) → plan id
--   record_audit(plan, audit id, "PASS"|"FAIL"|"ERROR", details) → id of the record
--   lock_plan(plan, who) → "LOCKED"; raises while an audit is open (see lock_refused)
--   race_lock(plan, names) → one {ok = boolean, answer = "LOCKED"|error} a name: lock_plan from as many sessions at once
--   read_plan(plan) → {status, seed, output_hash, solver_config_hash, locked_at, locked_by, assignments}
--   read_instances(forecast) → instances as the platform stored them, sorted by id
--   locked_weeks(week, most) → {{week, plan, forecast}}: the tenant's last locked plans of weeks before this one, newest first, one a week
--   For the pack routing `instances` is a scenario's {date, matrix, vehicles, stops}, a plan's `assignments` are its routes, and there are
--   no locked weeks.
--   lock_refused(err) → true when err says that the plan's state forbids the lock, not that something broke
--   attacks() → {{id, title, …}}: changes a locked plan must refuse
--   attack(plan, forecast, attack) → {done = boolean, affected, refused_by_lock = boolean, not_offered, code, message, reproduce}: tried,
--     and always undone; not_offered where the platform has no such request; reproduce is a text to paste that does it again
--
-- Where the application may act as others of the database's roles, an adapter has this too:
--   other_roles() → {{role, …}}: those it may become; each attack is then tried as each of them: attack(plan, forecast, attack, role),
--     whose answer has no_right = true where the role has no such right
--
-- Where the platform does more by itself, an adapter has these too:
--   solve_plan(forecast, {seed, config}) → plan id, the solver's answer: the platform makes the plan, in place of store_plan; with
--     solver = { kind = "adapter" } gate 2 asks for one plan after the other by it, and each must be a plan of its own
--   audits_itself = true: its audits are recorded with the plan, and record_audit compares; a lock before any audit cannot be asked for
--   control(attack) → as attack(): tried on an unlocked plan of the adapter's own, where an attack cannot be undone
--   left_behind() → a text that says what stays on the platform

local errors = require "errors"

local M = {}

--- What every adapter has.
M.FUNCTIONS = {
  "create_forecast", "expand_forecast", "store_plan", "record_audit", "lock_plan", "race_lock", "read_plan",
  "read_instances", "locked_weeks", "lock_refused", "attacks", "attack",
}

--- What a validation's forecasts begin their source with, and its locks their locked_by, on the embedded platform: its plans are in the
--- tenant's own rows, and are none of the tenant's own.
M.VALIDATION = "gate-engine golden path"

--- How long a plan may take, where the configuration says it.
local function solve_s(ctx)
  local solver = ctx.config.solver
  return type(solver) == "table" and type(solver.wall_s) == "number" and solver.wall_s or nil
end

local KINDS = {
  embedded = function(ctx, tenant, pack)
    return require("platform.adapter_embedded").new { pack = pack, db = ctx.db.app, tenant_id = tenant.id, tenant_code = tenant.code,
      open = function() return ctx.db:open("app") end, mark = M.VALIDATION }
  end,
  http = function(ctx, tenant, pack)
    return require("platform.adapter_http").new { pack = pack, http = ctx.http, tenant_code = tenant.code, solve_s = solve_s(ctx) }
  end,
}

--- An adapter that the operators wrote: its file returns a function, which is given {pack, tenant = {code, id}, db, open, http, solve_s}
--- and returns the adapter. db: a connection as the application; open: one more; http: ctx.http with the endpoint "platform".
local function own(ctx, tenant, pack, path)
  local chunk, why = load(tostring(ctx.config.adapter_text), "@" .. path, "t")
  local ok, make = pcall(chunk or error, not chunk and why or nil)
  if not ok or type(make) ~= "function" then
    errors.raise { code = "adapter_unreadable",
      message = ok and ("the adapter %s returns %s, not a function"):format(path, type(make))
        or ("the adapter %s does not load: %s"):format(path, tostring(make)),
      fix = "return function(host) … end; see examples/adapters/own_functions.lua" }
  end
  local adapter = make { pack = pack, tenant = { code = tenant.code, id = tenant.id }, db = ctx.db.app, http = ctx.http,
    open = function() return ctx.db:open("app") end, solve_s = solve_s(ctx) }
  if type(adapter) ~= "table" then
    errors.raise { code = "adapter_unreadable", message = ("the adapter %s made %s, not a table of functions"):format(path, type(adapter)),
      fix = "Return a table with the functions of stdlib/platform/adapter.lua" }
  end
  return adapter
end

--- The tenant to work in. A live platform keeps what is written there, so that on one only a tenant made for it is used.
local function working_tenant(ctx)
  if ctx.platform.kind == "embedded" then return ctx.tenant end
  local validation = ctx.tenant.validation
  if type(validation) ~= "table" then
    errors.raise { code = "adapter_validation_tenant",
      message = "the platform is external and the config names no tenant to validate in (validation_tenant, database.tenant.table)",
      fix = "Create a tenant for validations, and set validation_tenant to its code: forecasts and locked plans stay in it" }
  end
  return validation
end

--- The adapter this run's config names.
---@param ctx table  the gate's context; needs db = {"app"}
---@param pack "roster"|"routing"  whose forecasts, instances and plans its functions take and give
---@return table adapter
---@return table tenant  {code, id}: where it works; the validation tenant on an external platform
---  Errors: adapter_missing, adapter_validation_tenant (an external platform whose config names none), adapter_unknown,
---  adapter_incomplete, adapter_tenant.
function M.open(ctx, pack)
  local kind = ctx.config and ctx.config.adapter
  if type(kind) ~= "string" then kind = nil end
  if not kind and ctx.platform.kind == "embedded" then kind = "embedded" end
  if not kind then
    errors.raise { code = "adapter_missing", message = "the platform is external and the config has no key `adapter`",
      fix = 'Set adapter = "http" and endpoints.platform, or "embedded" where the platform has the reference platform\'s code paths' }
  end
  local make = KINDS[kind] or kind:find "%.lua$" and own
  if not make then
    errors.raise { code = "adapter_unknown", message = ("adapter: expected \"embedded\", \"http\" or a .lua file, got %q"):format(kind),
      fix = "Correct `adapter` in gate-engine.conf.lua" }
  end
  local tenant = working_tenant(ctx)
  return M.complete(make(ctx, tenant, pack, kind), kind), tenant
end

--- The adapter of the platform's API, whatever `adapter` of the configuration says: for a gate that has no database.
---@param ctx table  the gate's context; needs endpoints = {"platform"}
---@param pack "roster"|"routing"
---@return table adapter
---@return table tenant  {code}: where it works. Errors: adapter_validation_tenant.
function M.open_api(ctx, pack)
  local tenant = working_tenant(ctx)
  return M.complete(KINDS.http(ctx, tenant, pack), "http"), tenant
end

--- Check that an adapter has all functions, before any stage relies on one.
---@param adapter table
---@param kind string  for the message
---@return table adapter. Errors: adapter_incomplete.
function M.complete(adapter, kind)
  for _, name in ipairs(M.FUNCTIONS) do
    if type(adapter[name]) ~= "function" then
      errors.raise { code = "adapter_incomplete", message = ("the adapter %s has no function %s"):format(kind, name),
        fix = "Add it; see stdlib/platform/adapter.lua for what it must do" }
    end
  end
  return adapter
end

return M
