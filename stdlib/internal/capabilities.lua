--- What the head's needs give a script: databases, endpoints, mail, stores, commands, the solver, audits, credentials. What they may not
--- do in a dry run or in a recovery is refused here.
local arguments = require "internal.arguments"
local errors = require "internal.raise"
local record = require "internal.record"
local webhooks = require "internal.webhooks"

local capabilities = {}

local MISUSE, error_of, lazy, recorded, text_of = record.MISUSE, record.error_of, record.lazy, record.recorded, record.text_of
local with_colon = arguments.with_colon

local function refuse_missing(spec, what)
  if spec.missing then
    errors.raise { code = "config_missing_key",
      message = ("%s needs %s, which the configuration does not define"):format(what, spec.missing),
      fix = ("add %s to gate-engine.conf.lua"):format(spec.missing) }
  end
end

--- The host of a URL (RFC 3986, 3.2: the authority is what stands between "//" and the next "/", "?" or "#", its user and password
--- end with the last "@"), where it is one name that has to be looked up: not an address, a socket's directory or a list of hosts.
local function name_in(url)
  local authority = url and url:match("^%a[%w+.-]*://([^/?#]*)")
  local host = authority and authority:match("([^@]*)$"):match("^([%w._-]+):?%d*$")
  return host and not host:find("^[%d%.]+$") and host or nil
end

--- Resolved by the broker, since a contained worker cannot look names up; addresses and sockets need no look-up.
local function host_address(channel, spec)
  local host = spec.host or name_in(spec.url)
  if not host or host:find("^[%d%.]+$") or host:sub(1, 1) == "/" then return nil end
  return channel:resolve(host)[1]
end

--- What a script may say of a connection it opens. Where it goes and as whom is the configuration's alone: the credentials that come
--- with it must not follow a script's wish to another host or user.
local OPEN_OPTIONS = { readonly = "boolean", only_tls = "boolean", application_name = "string", connect_timeout = "number",
  statement_timeout_ms = "number" }

local function check_open_options(extra)
  for k, v in pairs(extra) do
    if OPEN_OPTIONS[k] == nil or type(v) ~= OPEN_OPTIONS[k] then
      errors.raise { code = "not_declared", message = ("ctx.db:open: the option %s is not one a script may give"):format(text_of(k)),
        fix = "readonly, only_tls, application_name, connect_timeout or statement_timeout_ms; the rest is the configuration's" }
    end
  end
end

--- What a recovery may not do by itself it proposes: without --apply nothing is changed, with it what is on record as a step.
local function refuse_in_recovery(job, what, fix)
  if job.mode == "recover" then
    errors.raise { code = "recover_changes", message = what .. ": a recovery changes nothing by itself", fix = fix }
  end
end

--- Gives ctx.db. Returns a function that opens a role's connection whose changes stay.
---
--- What a gate does through the roles of those who run the platform is rolled back: it looks and tries. What stays, a recovery proposes
--- (ctx:apply) and an operation does; the application's own role leaves what the application would, but in a recovery. A read-only
--- connection is rolled back besides, since a server before PostgreSQL 16 makes large objects in read-only transactions.
local function add_databases(ctx, job, state, channel, tracer)
  if not next(job.db) then return nil end
  local db = require "engine.db"
  local function open(role, spec, extra, stays)
    refuse_missing(spec, "ctx.db." .. role)
    local options = { application_name = "gate-engine" }
    for k, v in pairs(spec) do options[k] = v end
    -- Of an operation's connections only the operator's can change anything, and in a dry run none.
    local readonly = job.dry_run or job.mode == "operation" and role ~= "operator"
    if type(extra) == "table" then
      local own = {} -- read once and raw: what is checked is what is used
      for k, v in next, extra do own[k] = v end
      check_open_options(own)
      for k, v in next, own do options[k] = v end
    end
    if readonly then options.readonly = true end
    if not stays and (job.mode == "recover" or role ~= "app" and (readonly or job.mode == "run")) then options.rollback = true end
    if not options.hostaddr then options.hostaddr = host_address(channel, spec) end
    if not tracer then return db.connect(options) end
    return tracer:connection(role, tracer:call("db." .. role .. " connects", function() return "done" end, nil, db.connect, options))
  end
  ctx.db = lazy(state, "ctx.db", "needs: db = { %q }", open, job.db)
  --- One more connection of a declared role: ctx.db:open("app"). The caller closes it.
  rawset(ctx.db, "open", recorded(state, function(self, role, extra)
    with_colon(self, "ctx.db:open")
    arguments.text("ctx.db:open", "a role of needs.db", role, 'write ctx.db:open("admin")')
    local spec = job.db[role]
    if not spec then
      errors.raise { code = "not_declared", message = "ctx.db:open: the role " .. role .. " is not declared by this script",
        fix = "add it to needs.db" }
    end
    if extra ~= nil and type(extra) ~= "table" then
      arguments.refuse("ctx.db:open: expected a table of options after the role, got " .. arguments.shown(extra),
        "write { readonly = true }")
    end
    return open(role, spec, extra)
  end, MISUSE))
  local writers = {}
  return function(role)
    local spec = job.db[role]
    if not spec then return ctx.db[role] end -- which says what to declare
    writers[role] = writers[role] or open(role, spec, nil, true)
    return writers[role]
  end
end

--- A client of one endpoint, its host (or its proxy's, which resolves the host itself) pinned to what the broker resolved.
local function http_client(http, channel, name, spec)
  refuse_missing(spec, "ctx.http")
  local via = http.target(spec.proxy or spec.url)
  local endpoint = {}
  for k, v in pairs(spec) do endpoint[k] = v end
  if not via.address then
    endpoint[spec.proxy and "proxy_resolve" or "resolve"] = channel:resolve(via.host, via.port)
  end
  return http.client { endpoints = { [name] = endpoint } }
end

local function add_http(ctx, job, channel, tracer)
  if not next(job.endpoints) then return end
  local http = require "engine.http"
  local clients = {}
  ctx.http = {}
  function ctx.http.request(self, options)
    with_colon(self == ctx.http and self, "ctx.http:request")
    local name = type(options) == "table" and options.endpoint or nil
    local spec = type(name) == "string" and job.endpoints[name]
    if not spec then
      errors.raise { code = "http_endpoint", message = ("ctx.http:request: there is no endpoint %s"):format(text_of(tostring(name))),
        fix = "name it in the head's needs.endpoints and in the configuration's endpoints" }
    end
    local method = rawget(options, "method") or "GET"
    if job.dry_run and method ~= "GET" and method ~= "HEAD" then
      errors.raise { code = "dry_run", message = "ctx.http:request: a dry run sends nothing but GET and HEAD",
        fix = "do what changes something inside ctx:step" }
    end
    if method ~= "GET" and method ~= "HEAD" then
      refuse_in_recovery(job, ("ctx.http:request: %s"):format(text_of(tostring(method))),
        "say what to send: ctx:apply(title, { note = … })")
    end
    clients[name] = clients[name] or http_client(http, channel, name, spec)
    if tracer then return tracer:request(clients[name], options) end
    return clients[name]:request(options)
  end
end

--- Mail goes to the configuration's server alone, with its credentials; the script says what and to whom.
local function add_mail(ctx, job, channel)
  if not job.mail then return end
  if job.mode == "operation" then refuse_missing(job.mail, "ctx.mail") end -- before it has done anything else
  local mail = require "engine.mail"
  local function at_server(fields)
    local at = mail.target(job.mail.url)
    fields.url, fields.user, fields.password, fields.ca_file = job.mail.url, job.mail.user, job.mail.password, job.mail.ca_file
    fields.resolve = not at.address and channel:resolve(at.host, at.port) or nil
    return fields
  end
  ctx.mail = { from = job.mail.from, to = job.mail.to, fetch = job.mail.fetch, seal = function(_, ...) return mail.seal(...) end }
  function ctx.mail.probe(self)
    with_colon(self, "ctx.mail:probe")
    return mail.probe(at_server { timeout = math.min(job.mail.timeout_s or 10, 10) })
  end
  function ctx.mail.send(self, message)
    with_colon(self, "ctx.mail:send")
    if job.dry_run then
      errors.raise { code = "dry_run", message = "ctx.mail:send: a dry run sends no mail", fix = "send it inside ctx:step" }
    end
    refuse_in_recovery(job, "ctx.mail:send", "say what to send: ctx:apply(title, { note = … })")
    local given = type(message) == "table" and message or {}
    return mail.send(at_server { timeout = job.mail.timeout_s, from = job.mail.from, to = rawget(given, "to"),
      message = rawget(given, "message") })
  end
end

local function add_stores(ctx, job, state, channel, tracer)
  local function open(name, spec)
    refuse_missing(spec, "ctx.store")
    local store
    if spec.place then
      store = require("internal.stores.remote").open(spec, function(url, auth)
        return http_client(require "engine.http", channel, "store",
          { url = url, auth = auth or nil, ca_file = spec.ca_file, proxy = spec.proxy })
      end)
    else
      store = require("engine.store").open(spec)
    end
    return tracer and tracer:store(name, store) or store
  end
  ctx.store = lazy(state, "ctx.store", "needs: stores = { %q }", open, job.stores)
  local optional = {}
  for _, name in ipairs(job.path_options or {}) do optional[name] = true end
  ctx.files = lazy(state, "ctx.files", "options: %s = { type = \"path\" }", open, job.files, optional)
  --- Writes a product into the directory that an option of type "path" names; nothing happens where the option was not given.
  function ctx:artifact(option, name, bytes)
    with_colon(self, "ctx:artifact")
    if job.files[option] then
      return self.files[option]:put(name, bytes)
    end
    return nil
  end
end

local function add_exec(ctx, job, channel)
  local function start(what, name, options)
    if job.dry_run then -- the broker has none either
      errors.raise { code = "dry_run", message = what .. ": a dry run starts no command", fix = "start it inside ctx:step" }
    end
    return channel:run(name, options)
  end
  if #job.commands > 0 then
    ctx.exec = { run = function(self, name, options)
      with_colon(self, "ctx.exec:run")
      refuse_in_recovery(job, "ctx.exec:run", "propose it: ctx:apply(title, { run = \"NAME\" })")
      return start("ctx.exec:run", name, options)
    end }
  end
  if not job.solver then return end
  local json, hash = require "engine.json", require "engine.hash"
  ctx.solver = {}
  --- Gives the request to the pack's solver, as canonical JSON, and reads its answer.
  function ctx.solver.solve(self, pack, request, options)
    with_colon(self, "ctx.solver:solve")
    arguments.text("ctx.solver:solve", "the name of a pack", pack, 'write ctx.solver:solve("roster", request)')
    if type(request) ~= "table" then
      arguments.refuse("ctx.solver:solve: expected a table as the request, got " .. arguments.shown(request),
        'write ctx.solver:solve("roster", { … })')
    end
    if type(job.solver) == "table" then refuse_missing(job.solver, "ctx.solver") end
    local configured = job.config and job.config.solver
    if type(configured) == "table" and (configured.kind == "http" or configured.kind == "adapter") then
      errors.raise { code = "config_solver",
        message = ("ctx.solver:solve: the configuration's solver is the platform's %s, which makes the plans of forecasts that it "
          .. "holds: there is no program to start"):format(configured.kind == "http" and "API" or "adapter"),
        fix = 'drive it by adapter = "http" or one of your own that has solve_plan, or give a program: '
          .. 'solver = { kind = "command", argv = { … } }' }
    end
    local given = options or {}
    local reply = start("ctx.solver:solve", "solver:" .. pack, { stdin = hash.canonical(request), perturb = given.perturb,
      timeout = given.timeout, keep = given.keep, again = given.again })
    local ok, output = pcall(json.decode, reply.stdout)
    if ok and type(output) == "table" and type(output.error) == "table" then
      errors.raise { code = "solver_" .. tostring(output.error.code), message = tostring(output.error.message),
        detail = text_of(output.error.detail), fix = text_of(output.error.fix) }
    end
    if reply.exit ~= 0 then
      errors.raise { code = "solver_failed", detail = reply.stderr:sub(1, 1000),
        message = math.type(reply.signal) == "integer" and ("the solver ended by signal %d"):format(reply.signal)
          or ("the solver ended with exit %s"):format(tostring(reply.exit)),
        fix = "run the solver by hand on the same input" }
    end
    if not ok or type(output) ~= "table" then
      errors.raise { code = "solver_output", message = "the solver's output is not JSON", detail = text_of(ok and type(output) or output),
        fix = "the solver writes one JSON object to standard output and nothing else" }
    end
    return { output = output, raw = reply.stdout, stderr = reply.stderr, exit = reply.exit, duration_ms = reply.duration_ms,
      perturb = reply.perturb, taken_over = reply.taken_over, earlier = reply.earlier }
  end
end

--- The credentials that needs.auth names; nil where the configuration has none of the name.
local function credentials(state, job)
  local declared = {}
  for _, name in ipairs(job.needs and job.needs.auth or {}) do declared[name] = true end
  return setmetatable(job.auth or {}, { __metatable = false, __index = recorded(state, function(_, name)
    if job.needs and not declared[name] then
      errors.raise { code = "not_declared", message = ("ctx.auth.%s is not declared by this script"):format(tostring(name)),
        fix = ("add it to needs: auth = { %q }"):format(tostring(name)) }
    end
    return nil
  end, MISUSE) })
end

local function add_audits(ctx, job, channel)
  if not job.audits then return end
  local json = require "engine.json"
  ctx.audits = {}
  function ctx.audits.list() return job.audits end
  --- Runs a tenant audit on a plan in a process of its own. What it cannot do is an ERROR verdict, never a raise.
  function ctx.audits.run(self, id, plan)
    with_colon(self, "ctx.audits:run")
    if math.type(id) ~= "integer" or type(plan) ~= "table" then
      arguments.refuse(("ctx.audits:run: expected an audit's id and a plan, got %s and %s"):format(
        arguments.shown(id), arguments.shown(plan)),
        "the ids are those of ctx.audits:list()")
    end
    local ok, reply = pcall(channel.request, channel, { op = "audit", audit = id }, json.encode(plan))
    if ok then
      if reply.error == json.null then reply.error = nil end
      for _, violation in ipairs(type(reply.violations) == "table" and reply.violations or {}) do
        for key, value in next, violation do
          if value == json.null then violation[key] = nil end
        end
      end
      return reply
    end
    return { status = "ERROR", violations = {}, error = error_of(reply) }
  end
end

capabilities.refuse_missing = refuse_missing

--- Gives ctx what the job has.
---@param ctx table
---@param job table
---@param state table    of the checks
---@param channel table  to the supervisor
---@param tracer table?
---@return fun(role: string): table writer  opens a role's connection whose changes stay
function capabilities.add(ctx, job, state, channel, tracer)
  local writer = add_databases(ctx, job, state, channel, tracer)
  add_http(ctx, job, channel, tracer)
  add_mail(ctx, job, channel)
  webhooks.add(ctx, job, function(name) return http_client(require "engine.http", channel, name, job.endpoints[name]) end)
  add_stores(ctx, job, state, channel, tracer)
  add_exec(ctx, job, channel)
  add_audits(ctx, job, channel)
  ctx.auth = credentials(state, job)
  for field, method in pairs { http = "request", mail = "send", webhooks = "send", exec = "run", solver = "solve", audits = "run" } do
    local capability = rawget(ctx, field)
    if capability then capability[method] = recorded(state, capability[method], MISUSE) end
  end
  return writer or function(role) return ctx.db[role] end
end

return capabilities
