--- Adapter for a platform that is driven through its API, in a tenant made for validations. Interface: stdlib/platform/adapter.lua.
--
--   POST   /forecasts            {pack, source, week, text, matrix}         → {id, tenant, …}
--   GET    /forecasts/{id}                                                  → {id, tenant, status, input_hash, instances}
--   POST   /plans/solve          {forecast_id, seed, config}                → {id, …}
--   GET    /plans/{id}                                                      → {id, status, error}; until it is no longer QUEUED or RUNNING
--   GET    /plans/{id}/export                                               → {id, tenant, forecast_id, status, seed, output_hash,
--                                    solver_config_hash, solver, drivers, lower_bound, locked_at, locked_by, assignments,
--                                    audits = {{id, status}}}
--   POST   /plans/{id}/lock      {locked_by}                                → {status}; 409 or 423 where the plan's state forbids it
--   GET    /plans?status=LOCKED&before=2026-W10&limit=3                     → {plans = {{id, week, forecast_id}}}: the tenant's last locked
--                                    plans of weeks before that one, newest first, one a week
--
-- Of the pack routing `text` is the scenario's JSON and `matrix` = {version, sha256} the locked travel times, which the platform has to
-- hold; instances are {date, matrix, vehicles, stops}, and an exported plan's assignments are its routes, with feasible, distance_m and
-- unassigned in place of drivers and lower_bound.
--
-- The platform expands, solves and audits by itself; the gate checks each of its products against its own. What would break a lock
-- (DELETE and PATCH of a plan, DELETE of its forecast) is tried on a plan of its own first, since an answered request is not undone.
--
-- Every POST carries an Idempotency-Key (a quoted string, as draft-ietf-httpapi-idempotency-key-header says), the same at each repetition.
-- Repeated is only what is safe to: GET, and POST with its key, where the connection broke, timed out or the answer was 429, 502, 503 or
-- 504. A request that is to break a lock is never repeated.

local errors = require "errors"
local hash = require "hash"
local json = require "json"
local packs = require "platform.http_packs"
local task = require "task"

local M = {}

local TRIES, PAUSE_S, PAUSE_MOST_S = 4, 0.2, 2
local REQUEST_S, SOLVE_S = 30, 300
local AGAIN_STATUS = { [429] = true, [502] = true, [503] = true, [504] = true }
local AGAIN_ERROR = { http_connect = true, http_timeout = true, http_protocol = true }
local WORKING = { QUEUED = true, RUNNING = true }
local ATTACKS = {
  { id = "update_plan", title = "PATCH of the plan", method = "PATCH", path = "/plans/%s", json = { status = "DRAFT" } },
  { id = "delete_plan", title = "DELETE of the plan", method = "DELETE", path = "/plans/%s" },
  { id = "delete_forecast", title = "DELETE of its forecast, which takes the plan along", method = "DELETE", path = "/forecasts/%s",
    of = "forecast" },
}
-- The API has no such request: 404 is its answer for a thing it does not know as well, and is told apart by the control.
local NOT_OFFERED = { [404] = true, [405] = true, [501] = true }
local BY_THE_LOCK = { [409] = true, [423] = true }

local function place(request) return ("%s %s"):format(request.method or "GET", request.path) end

--- What a refusal says of itself, one line of it.
local function said(response)
  local ok, body = pcall(response.json)
  local error_of = ok and type(body) == "table" and (body.message or body.error or body.detail)
  if type(error_of) == "table" then error_of = error_of.message end
  return type(error_of) == "string" and error_of:sub(1, 300) or response.body:gsub("%s+", " "):sub(1, 300)
end

local function refusal(request, response)
  local unavailable = AGAIN_STATUS[response.status]
  return errors.new { code = unavailable and "platform_unavailable" or "platform_refused", status = response.status,
    message = ("%s: the platform answers %d: %s"):format(place(request), response.status, said(response)),
    fix = unavailable and "Wait until the platform is up, then rerun the gate" or "Look into the platform's log for this request" }
end

local function unreadable(request, what)
  errors.raise { code = "platform_answer", message = ("%s: %s"):format(place(request), what),
    fix = "Compare the platform's answer with stdlib/platform/adapter_http.lua" }
end

--- Sends a request and reads its answer, repeated where that is safe.
---@return table body, table response. Errors: platform_refused, platform_unavailable, platform_answer, and those of ctx.http.
local function send(http, request)
  request.endpoint, request.timeout = "platform", request.timeout or REQUEST_S
  local repeatable = request.method == nil or request.headers and request.headers["Idempotency-Key"] ~= nil
  local pause = PAUSE_S
  for try = 1, repeatable and TRIES or 1 do
    local ok, response = pcall(http.request, http, request)
    local last = not repeatable or try == TRIES
    if ok and response.status >= 200 and response.status < 300 then
      if response.status == 204 then return {}, response end
      local read, body = pcall(response.json)
      if not read or type(body) ~= "table" then unreadable(request, "the answer is no JSON object") end
      return body, response
    elseif ok and (last or not AGAIN_STATUS[response.status]) then
      error(refusal(request, response), 0)
    elseif not ok and (last or not errors.is(response) or not AGAIN_ERROR[response.code]) then
      error(response, 0)
    end
    task.sleep(pause)
    pause = math.min(2 * pause, PAUSE_MOST_S)
  end
end

local function post(http, path, body)
  local key = ('"%s"'):format(hash.hex(hash.random(16)))
  return send(http, { method = "POST", path = path, json = body, headers = { ["Idempotency-Key"] = key } })
end

local function get(http, path) return send(http, { path = path }) end

--- A field of an answer which has to be there.
local function field(request, body, name, kind)
  if type(body[name]) ~= kind then
    unreadable(request, ("%s: expected a %s, found %s"):format(name, kind, json.encode(body[name] == nil and json.null or body[name])))
  end
  return body[name]
end

--- Ids go into paths.
local function id_of(request, body)
  local id = field(request, body, "id", "string")
  if not id:find "^[%w_-]+$" then unreadable(request, ("id: expected letters, digits, - and _, found %q"):format(id:sub(1, 80))) end
  return id
end

--- What was asked for has to be what is answered: another one's would be judged in its place.
local function need_same(path, body, expected)
  for _, name in ipairs { "id", "tenant", "forecast_id", "input_hash" } do
    local found = body[name] == nil and json.null or body[name]
    if expected[name] and found ~= expected[name] then
      unreadable({ path = path }, ("%s: expected %s, found %s"):format(name, expected[name], json.encode(found)))
    end
  end
  return body
end

local function without_null(value)
  if value == json.null then return nil end
  return value
end

--- What was uploaded, and the plans made of it, for the report.
local function uploads(http, tenant)
  local self = { left = {} }

  --- Uploads a forecast; whose it is must be answered, so that a wrong key is noticed before anything is made of it.
  function self.forecast(f)
    local request = { method = "POST", path = "/forecasts" }
    local body = post(http, "/forecasts", f)
    local id = id_of(request, body)
    self.left[#self.left + 1] = id
    if body.tenant ~= tenant.code then
      errors.raise { code = "adapter_tenant", message = ("the credential of endpoints.platform belongs to the tenant %s, not to %s: "
        .. "forecast %s was left there"):format(json.encode(body.tenant == nil and json.null or body.tenant), tenant.code, id),
        fix = "Give endpoints.platform the key of validation_tenant" }
    end
    return id
  end

  --- Has a plan made, and waits for it.
  function self.plan(forecast, seed, config, most_s)
    local request = { method = "POST", path = "/plans/solve" }
    local plan = id_of(request, (post(http, "/plans/solve", { forecast_id = forecast, seed = seed, config = config })))
    local path, started, pause = "/plans/" .. plan, task.now(), 0.05
    while true do
      local body = need_same(path, get(http, path), { id = plan })
      local status = field({ path = path }, body, "status", "string")
      if status == "FAILED" then
        local why = type(body.error) == "table" and body.error or { message = body.error }
        errors.raise { code = "solver_" .. tostring(without_null(why.code) or "failed"),
          message = tostring(without_null(why.message) or "the platform's solver failed and does not say why"),
          detail = type(why.detail) == "string" and why.detail or nil }
      elseif not WORKING[status] then
        return plan
      end
      local waited = (task.now() - started) / 1000
      if waited >= most_s then
        errors.raise { code = "exec_timeout", message = ("the platform's solver was not through after %g s"):format(most_s),
          detail = ("plan %s is %s"):format(plan, status) }
      end
      task.sleep(math.min(pause, most_s - waited + 0.001))
      pause = math.min(2 * pause, PAUSE_MOST_S)
    end
  end
  return self
end

--- One attempt to change what is locked.
local function attempt(http, plan, forecast, a)
  local path = a.path:format(a.of == "forecast" and forecast or plan)
  local request = { endpoint = "platform", method = a.method, path = path, json = a.json, timeout = REQUEST_S }
  local response = http:request(request)
  local out = { done = response.status >= 200 and response.status < 300, affected = 1, code = tostring(response.status),
    reproduce = ("curl -i -X %s%s \"$PLATFORM%s\" -H \"$CREDENTIAL\""):format(a.method,
      a.json and " -H 'Content-Type: application/json' -d '" .. json.encode(a.json) .. "'" or "", path) }
  if out.done then return out end
  if AGAIN_STATUS[response.status] or response.status == 401 then error(refusal(request, response), 0) end
  out.refused_by_lock, out.not_offered, out.message = BY_THE_LOCK[response.status] or false, NOT_OFFERED[response.status], said(response)
  return out
end

--- The plan and its audits, as they are now. forecast_of: the forecast of each plan that is known.
local function export(http, plan, tenant, forecast_of)
  local path = ("/plans/%s/export"):format(plan)
  local body = need_same(path, get(http, path), { id = plan, tenant = tenant, forecast_id = forecast_of[plan] })
  field({ path = path }, body, "assignments", "table")
  return body
end

--- The platform's result of one audit; where it has two that differ, none.
local function audit_of(path, body, audit)
  local found
  for _, a in ipairs(field({ path = path }, body, "audits", "table")) do
    if type(a) == "table" and a.id == audit then
      local status = tostring(a.status)
      if found and found ~= status then unreadable({ path = path }, ("audits: two results of %s"):format(audit)) end
      found = status
    end
  end
  return found
end

--- The tenant's locked plans of earlier weeks. What is not just those that were asked for is refused: an audit would judge other weeks.
local function locked_weeks(http, week, most)
  local request = { path = "/plans", query = { status = "LOCKED", before = week, limit = tostring(most) } }
  local out, before = {}, week
  for i, p in ipairs(field(request, send(http, request), "plans", "table")) do
    local known = type(p) == "table" and type(p.week) == "string" and type(p.forecast_id) == "string"
    if not known or not p.week:find "^%d%d%d%d%-W%d%d$" or p.week >= before or i > most then
      unreadable(request, ("plans[%d]: expected a plan of a week before %s, at most %d of them, newest first and one a week; found %s")
        :format(i - 1, before, most, json.encode(p)))
    end
    out[i], before = { week = p.week, plan = id_of(request, p), forecast = id_of(request, { id = p.forecast_id }) }, p.week
  end
  return out
end

--- Functions that make something.
local function makers(adapter, http, up, opts, forecast_of, hash_of)
  local small -- a forecast of one line, for the controls
  local seed, config = 0, nil

  function adapter.create_forecast(f)
    local text = not small and packs[opts.pack].small(f)
    if text then small = { pack = opts.pack, source = f.source, text = text, matrix = f.matrix } end
    local id = up.forecast { pack = opts.pack, source = f.source, week = f.week, text = f.text(), matrix = f.matrix }
    hash_of[id] = f.input_hash
    return id
  end

  function adapter.solve_plan(forecast, options)
    seed, config = options.seed, options.config
    local plan = up.plan(forecast, seed, config, opts.solve_s or SOLVE_S)
    forecast_of[plan] = forecast
    return plan, packs[opts.pack].answer(export(http, plan, opts.tenant_code, forecast_of))
  end

  --- The attack on a plan of its own, which nobody locked: there it must succeed.
  function adapter.control(a)
    local forecast = up.forecast(small)
    return attempt(http, up.plan(forecast, seed, config, opts.solve_s or SOLVE_S), forecast, a)
  end

  function adapter.store_plan()
    errors.raise { code = "stage", message = "the platform makes its plans itself: none can be given to it through its API",
      fix = "Run a dataset with a plan.json on the embedded platform" }
  end
end

--- An adapter for one tenant.
---@param opts {pack: "roster"|"routing", http: table, tenant_code: string, solve_s: number?}  http: ctx.http with the endpoint
---  "platform"; solve_s: how long a plan may take
---@return table adapter
function M.new(opts)
  local pack, http = packs[opts.pack], opts.http
  local up = uploads(http, { code = opts.tenant_code })
  local adapter, forecast_of, hash_of = { audits_itself = true }, {}, {}
  makers(adapter, http, up, opts, forecast_of, hash_of)

  function adapter.read_instances(forecast)
    local request = { path = "/forecasts/" .. forecast }
    local body = need_same(request.path, get(http, request.path), { id = forecast, tenant = opts.tenant_code,
      input_hash = hash_of[forecast] })
    local list = field(request, body, "instances", "table")
    return pack.instances(list, function(what) unreadable(request, what) end)
  end

  function adapter.expand_forecast(forecast)
    return pack.count(adapter.read_instances(forecast))
  end

  function adapter.read_plan(plan)
    local body = export(http, plan, opts.tenant_code, forecast_of)
    return { status = body.status, seed = body.seed, output_hash = body.output_hash, solver_config_hash = body.solver_config_hash,
      locked_at = without_null(body.locked_at), locked_by = without_null(body.locked_by), assignments = body.assignments }
  end

  --- The platform's verdict must be this gate's.
  function adapter.record_audit(plan, audit, status)
    local found = audit_of(("/plans/%s/export"):format(plan), export(http, plan, opts.tenant_code, forecast_of), audit)
    if found == status then return plan end
    errors.raise { code = "stage",
      message = found and ("audit %s: the platform says %s, and it is %s"):format(audit, found, status)
        or ("audit %s: the platform has no result of it"):format(audit),
      fix = found and ("Compare the platform's audit with stdlib/packs/%s/audits.lua"):format(opts.pack)
        or "Have the platform run every audit before a plan may be locked" }
  end

  function adapter.lock_plan(plan, who)
    local path = ("/plans/%s/lock"):format(plan)
    return field({ method = "POST", path = path }, post(http, path, { locked_by = who }), "status", "string")
  end

  function adapter.race_lock(plan, names)
    return task.map(names, #names, function(who)
      local ok, answer = pcall(adapter.lock_plan, plan, who)
      return { ok = ok, answer = answer }
    end)
  end

  function adapter.locked_weeks(week, most)
    if opts.pack ~= "roster" then return {} end
    local weeks = locked_weeks(http, week, most)
    for _, w in ipairs(weeks) do forecast_of[w.plan] = w.forecast end
    return weeks
  end

  function adapter.lock_refused(err)
    return errors.is(err, "platform_refused") and BY_THE_LOCK[err.status] or false
  end

  function adapter.attacks() return ATTACKS end
  function adapter.attack(plan, forecast, a) return attempt(http, plan, forecast, a) end

  function adapter.left_behind()
    return ("forecasts %s of tenant %s, with their plans, as far as no control deleted them"):format(table.concat(up.left, ", "),
      opts.tenant_code)
  end
  return adapter
end

return M
