--- The engine's side of a worker: builds ctx from the job, runs the script's function, sends what happened as events.
--- Loaded by the worker with an environment of its own; scripts cannot require it.
---
--- job = { mode = "run"|"recover"|"operation"|"prepare"|"scratch"|"init"|"rights", tenant, options, config, platform, verbose, only,
---         apply, dry_run, findings, needs, input,
---         db = { role = spec }, endpoints, stores, files, commands, audits, auth, failures }
local apply = require "internal.apply"
local arguments = require "internal.arguments"
local errors = require "internal.raise"
local steps = require "internal.steps"
local webhooks = require "internal.webhooks"

local runner = {}

--- Sends one event; a lost channel ends the worker, which the supervisor reports.
local function sender(channel)
  return function(event) channel:send(event) end
end

local function text_of(value)
  if value == nil then return nil end
  return type(value) == "string" and value or tostring(value)
end

--- What was raised, as the supervisor takes it. The message handler has read it raw already; memory errors come past it.
local function error_of(raised)
  if errors.is(raised) then
    return { code = raised.code, message = raised.message, detail = raised.detail, fix = raised.fix, where = rawget(raised, "where"),
      line = rawget(raised, "line"), types = rawget(raised, "types") }
  end
  return { code = "script_error", message = type(raised) == "string" and raised or "a " .. type(raised) .. " was raised" }
end

local with_colon = arguments.with_colon

local SEVERITIES = { leak = true, advisory = true, note = true }
local SKIP = {} -- raised by ctx:skip; never leaves the check
local RECORDED = setmetatable({}, { __mode = "k" }) -- errors that the supervisor has been told already

--- What ends a check in an orderly way, or is on record before it is raised.
local function is_known(raised)
  return rawequal(raised, SKIP) or rawequal(raised, steps.END) or type(raised) == "table" and RECORDED[raised] ~= nil
end

local Checks = {}
Checks.__index = Checks

local function need_check(self, what)
  local check = self.current[coroutine.running()] or self.current.main
  if not check then
    errors.raise { code = "script_usage", message = "ctx:" .. what .. " was called outside of a check",
      fix = "call it inside the function given to ctx:check" }
  end
  return check
end

local function keys_of(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Mistakes of the script itself. Everything else that a capability raises is of the outside, and a gate may catch it to say so.
local MISUSE = { bad_argument = true, not_declared = true, script_usage = true, http_endpoint = true, exec_not_declared = true,
  resolve_not_declared = true, recover_changes = true }

--- Makes what a method of ctx raises the check's error (outside of a check the gate's) before the script can catch it: what was said
--- wrongly was not said, and what a finding would have been must not become a pass.
---@param codes table<string, boolean>?  of these alone
local function recorded(state, method, codes)
  local function is_other(e)
    return is_known(e) or codes and not (errors.is(e) and codes[rawget(e, "code")])
  end
  local function handler(e)
    if is_other(e) then return e end
    return state.handler(e)
  end
  return function(...)
    local results = table.pack(xpcall(method, handler, ...))
    if results[1] then return table.unpack(results, 2, results.n) end
    local raised = results[2]
    if not is_other(raised) then
      local check = state.current[coroutine.running()] or state.current.main
      state.ended = true
      state.send(check and { t = "check_error", check = check, error = error_of(raised) } or { t = "crash", error = error_of(raised) })
      if type(raised) == "table" then RECORDED[raised] = true end
    end
    error(raised, 0)
  end
end

--- How needs declares what gives a field of ctx.
local DECLARED_BY = { db = 'db = { "admin" }', http = 'endpoints = { "NAME" }', exec = 'commands = { "NAME" }', solver = "solver = true",
  audits = "audits = true", evidence = "evidence = true" }

--- What has no capability is not there; reading it says how to declare it. A field of no meaning is nil.
local function refuse_undeclared(job, state)
  return recorded(state, function(_, name)
    local how = job.needs and DECLARED_BY[name]
    if how and not (name == "http" and job.needs.endpoints == true) then
      errors.raise { code = "not_declared", message = ("ctx.%s is not declared by this script"):format(name),
        fix = ("add it to needs: %s"):format(how) }
    end
    return nil
  end, MISUSE)
end

local function new_context(job, send, handler)
  local ctx = {
    tenant = job.tenant, options = job.options, config = job.config, platform = job.platform, mode = job.mode,
    verbose = job.verbose or false,
  }
  local state = setmetatable({ current = {}, only = job.only, told = {}, send = send, handler = handler, job = job }, Checks)
  setmetatable(ctx, { __index = refuse_undeclared(job, state) })
  return ctx, state
end

--- Is the check among those --only names, by its own name or its group's? The supervisor is told which names were of use.
local function selected(state, name, group)
  if not state.only then return true end
  for _, wanted in ipairs(state.only) do
    if wanted == name or wanted == group then
      if not state.told[wanted] then
        state.told[wanted] = true
        state.send { t = "selected", name = wanted }
      end
      return true
    end
  end
  return false
end

--- Runs fn as a check, or as a step that is on record already. In an operation what fails ends it: no later step may begin.
-- Raw: what a script raises may have an __eq that says it is the mark of an orderly end. A check that hands back false, or nil and a
-- reason, as functions of Lua do that fail, has not said that all is well.
local function refused(results, is_step)
  return not is_step and (rawequal(results[2], false) or type(results[2]) == "string" or (results[2] == nil and results[3] ~= nil))
end

local function run_check(state, name, fn, is_step)
  local co, is_main = coroutine.running()
  if is_main then co = "main" end -- what task.map starts inside this check counts for it
  local outer = state.current[co]
  if not is_step then state.send { t = "check", name = name } end
  state.current[co] = name
  local results = table.pack(xpcall(fn, function(e)
    if is_known(e) then return e end
    return state.handler(e)
  end))
  local ok, raised = results[1], results[2]
  state.current[co] = outer
  if not ok and not is_known(raised) then
    state.ended = true
    state.send { t = "check_error", check = name, error = error_of(raised) }
  end
  if ok and refused(results, is_step) then
    state.send { t = "check_error", check = name, error = { code = "check_returned",
      message = ("the check %s returned %s: a check passes unless it says what is wrong"):format(name, arguments.shown(results[2])),
      detail = results[3] ~= nil and arguments.shown(results[3]) or nil,
      fix = "call ctx:fail with a class of failures, or raise an error" } }
  end
  state.send { t = "check_end", check = name }
  if ok then return table.unpack(results, 2, results.n) end
end

local METHODS = { "check", "selects", "fail", "advise", "skip", "fact", "summary", "log", "say" }

local function add_check_methods(ctx, state)
  local send = state.send

  function ctx:check(name, fn, options)
    with_colon(self, "ctx:check")
    if state.job.mode == "recover" then
      errors.raise { code = "script_usage", message = "ctx:check was called by recover: what it finds there, nobody is told",
        fix = "check in run; recover is given what was found: recover = function(ctx, findings) … end" }
    end
    local group = arguments.check(name, fn, options)
    if not selected(state, name, group) then
      send { t = "unselected", name = name }
      if group then send { t = "unselected", name = group } end
      return
    end
    run_check(state, name, fn)
  end

  function ctx:selects(group)
    with_colon(self, "ctx:selects")
    for _, wanted in ipairs(state.only or {}) do
      if wanted:sub(1, #group) == group then return true end
    end
    return state.only == nil
  end

  function ctx:fail(class, fields)
    with_colon(self, "ctx:fail")
    local check = need_check(state, "fail")
    if type(class) ~= "string" or not state.job.failures[class] then
      errors.raise { code = "failure_unknown",
        message = ("ctx:fail: %s is not a class of this script's failures"):format(arguments.shown(class)),
        fix = arguments.nearest(class, keys_of(state.job.failures)) or "declare it in failures = { … }" }
    end
    local given = type(fields) == "table" and fields or {}
    local args
    if type(given.args) == "table" then
      args = {}
      for i, value in ipairs(given.args) do args[i] = text_of(value) end
    end
    local severity = SEVERITIES[given.severity or ""] and given.severity or nil
    send { t = "finding", check = check, class = class, object = text_of(given.object), detail = text_of(given.detail),
      fix = text_of(given.fix), reproduce = text_of(given.reproduce), severity = severity, args = args }
    severity = severity or state.job.failures[class].severity or "leak"
    if severity == "leak" or (severity == "advisory" and state.job.strict) then state.ended = true end
    arguments.finding(fields, class)
  end

  function ctx:advise(class, fields)
    with_colon(self, "ctx:advise")
    if fields ~= nil and type(fields) ~= "table" then return self:fail(class, fields) end
    local copy = {}
    for k, v in pairs(fields or {}) do copy[k] = v end
    copy.severity = "advisory"
    self:fail(class, copy)
  end

  --- Ends the check as SKIP. `absent` names the configuration key whose absence makes the check needless ("packs.routing"): the
  --- supervisor looks itself, and a skip it cannot prove is an ERROR.
  function ctx:skip(reason, absent)
    with_colon(self, "ctx:skip")
    arguments.text("ctx:skip", "a reason", reason, 'write ctx:skip("why", "KEY.OF.CONFIGURATION")')
    send { t = "skip", check = need_check(state, "skip"), reason = text_of(reason), absent = absent }
    error(SKIP, 0)
  end

  function ctx:fact(name, value)
    with_colon(self, "ctx:fact")
    arguments.text("ctx:fact", "a name", name, 'write ctx:fact("name", value)')
    send { t = "fact", name = name, value = value }
  end

  function ctx:summary(text)
    with_colon(self, "ctx:summary")
    if text == nil then arguments.refuse("ctx:summary: expected a text, got nothing", 'write ctx:summary("…")') end
    send { t = "summary", text = text_of(text) }
  end

  function ctx:log(format, ...)
    with_colon(self, "ctx:log")
    send { t = "log", text = arguments.formatted("ctx:log", format, ...) }
  end

  function ctx:say(text)
    with_colon(self, "ctx:say")
    send { t = "say", text = text_of(text) }
  end

  for _, name in ipairs(METHODS) do ctx[name] = recorded(state, ctx[name]) end
end

--- A table whose fields are made when they are first read; reading one that was not declared says how to declare it.
---@param optional table<string, boolean>?  names that are declared and may be without a value
local function lazy(state, what, where, make, declared, optional)
  return setmetatable({}, {
    __index = recorded(state, function(t, name)
      if type(name) == "string" and declared[name] ~= nil then
        local value = make(name, declared[name])
        rawset(t, name, value)
        return value
      end
      if optional and optional[name] then
        errors.raise { code = "option_not_given", message = ("%s.%s: the option was not given"):format(what, name),
          fix = ("look at ctx.options.%s first, or give it a default"):format(name) }
      end
      errors.raise { code = "not_declared", message = ("%s.%s is not declared by this script"):format(what, tostring(name)),
        fix = ("add it to %s"):format(where:format(tostring(name))) }
    end, MISUSE),
    __metatable = false,
  })
end

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
local OPEN_OPTIONS = { readonly = "boolean", application_name = "string", connect_timeout = "number", statement_timeout_ms = "number" }

local function check_open_options(extra)
  for k, v in pairs(extra) do
    if OPEN_OPTIONS[k] == nil or type(v) ~= OPEN_OPTIONS[k] then
      errors.raise { code = "not_declared", message = ("ctx.db:open: the option %s is not one a script may give"):format(text_of(k)),
        fix = "readonly, application_name, connect_timeout or statement_timeout_ms; the rest is the configuration's" }
    end
  end
end

--- What a recovery may not do by itself it proposes: without --apply nothing is changed, with it what is on record as a step.
local function refuse_in_recovery(job, what, fix)
  if job.mode == "recover" then
    errors.raise { code = "recover_changes", message = what .. ": a recovery changes nothing by itself", fix = fix }
  end
end

--- What a gate does through the roles of those who run the platform is rolled back: it looks and tries. What stays, a recovery proposes
--- (ctx:apply) and an operation does; the application's own role leaves what the application would, but in a recovery. A read-only connection is rolled back
--- besides, since a server before PostgreSQL 16 makes large objects in read-only transactions.
--- Gives ctx.db. Returns a function that opens a role's connection whose changes stay.
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
      refuse_in_recovery(job, ("ctx.http:request: %s"):format(text_of(tostring(method))), "say what to send: ctx:apply(title, { note = … })")
    end
    clients[name] = clients[name] or http_client(http, channel, name, spec)
    if tracer then return tracer:request(clients[name], options) end
    return clients[name]:request(options)
  end
end

--- Mail goes to the configuration's server alone, with its credentials; the script says what and to whom.
local function add_mail(ctx, job, channel)
  if not job.mail then return end
  refuse_missing(job.mail, "ctx.mail")
  local mail = require "engine.mail"
  ctx.mail = { from = job.mail.from, to = job.mail.to, fetch = job.mail.fetch, seal = function(_, ...) return mail.seal(...) end }
  function ctx.mail.send(self, message)
    with_colon(self, "ctx.mail:send")
    if job.dry_run then
      errors.raise { code = "dry_run", message = "ctx.mail:send: a dry run sends no mail", fix = "send it inside ctx:step" }
    end
    refuse_in_recovery(job, "ctx.mail:send", "say what to send: ctx:apply(title, { note = … })")
    local given = type(message) == "table" and message or {}
    local at = mail.target(job.mail.url)
    return mail.send { url = job.mail.url, user = job.mail.user, password = job.mail.password, ca_file = job.mail.ca_file,
      timeout = job.mail.timeout_s, resolve = not at.address and channel:resolve(at.host, at.port) or nil, from = job.mail.from,
      to = rawget(given, "to"), message = rawget(given, "message") }
  end
end

local function add_stores(ctx, job, state, tracer)
  local function open(name, spec)
    refuse_missing(spec, "ctx.store")
    local store = require("engine.store").open(spec)
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
    local reply = start("ctx.solver:solve", "solver:" .. pack, { stdin = hash.canonical(request), perturb = options and options.perturb,
      timeout = options and options.timeout })
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
      perturb = reply.perturb }
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

local function add_apply(ctx, job, send, channel, writer)
  --- A step of recovery: {sql=, params=, role="operator"}, {run="command"} or {note=}. Proposed only, unless --apply was given.
  function ctx:apply(title, step)
    with_colon(self, "ctx:apply")
    return apply.step(writer, job, send, channel, title, step)
  end
end

local function build(job, channel, handler)
  local send = sender(channel)
  local ctx, state = new_context(job, send, handler)
  local tracer
  if job.trace then
    tracer = require("internal.trace").new(send, function() return state.current[coroutine.running()] or state.current.main end)
    channel = tracer:channel(channel)
  end
  add_check_methods(ctx, state)
  local writer = add_databases(ctx, job, state, channel, tracer)
  add_http(ctx, job, channel, tracer)
  add_mail(ctx, job, channel)
  webhooks.add(ctx, job, function(name) return http_client(require "engine.http", channel, name, job.endpoints[name]) end)
  add_stores(ctx, job, state, tracer)
  add_exec(ctx, job, channel)
  add_audits(ctx, job, channel)
  add_apply(ctx, job, send, channel, writer or function(role) return ctx.db[role] end)
  for field, method in pairs { http = "request", mail = "send", webhooks = "send", exec = "run", solver = "solve", audits = "run" } do
    local capability = rawget(ctx, field)
    if capability then capability[method] = recorded(state, capability[method], MISUSE) end
  end
  ctx.apply, ctx.artifact = recorded(state, ctx.apply, MISUSE), recorded(state, ctx.artifact, MISUSE)
  if job.mode == "operation" then steps.add(ctx, state, channel, run_check) end
  ctx.auth = credentials(state, job)
  ctx.evidence = job.evidence
  return ctx, send, state
end

--- Calls a function of the script; what it raises outside of a check is the gate's error, and so is what a failing function of Lua hands
--- back.
local function protected(send, handler, fn, ...)
  local results = table.pack(xpcall(fn, function(e)
    if is_known(e) then return e end
    return handler(e)
  end, ...))
  local ok, raised = results[1], results[2]
  if not ok and not is_known(raised) then send { t = "crash", error = error_of(raised) } end
  if ok and refused(results) then
    send { t = "crash", error = { code = "check_returned",
      message = ("the script's function returned %s: it says what is wrong inside of its checks"):format(arguments.shown(raised)),
      detail = results[3] ~= nil and arguments.shown(results[3]) or nil,
      fix = "call ctx:fail with a class of failures inside ctx:check, or raise an error" } }
  end
  return ok
end

--- The findings of the run before, a field that says nothing being absent.
local function without_null(findings)
  for _, finding in ipairs(findings or {}) do
    for key, value in pairs(finding) do
      if type(value) == "userdata" then finding[key] = nil end
    end
  end
  return findings
end

--- Jobs of the engine's own: no script runs in them.
local INTERNAL = { prepare = true, scratch = true, init = true, rights = true }

function runner.main(job, chunk, handler)
  local channel = require("engine.exec").attach(3)
  local ctx, send, state = build(job, channel, handler)
  if INTERNAL[job.mode] then
    protected(send, handler, function() send { t = "result", value = require("internal." .. job.mode)(ctx, job) } end)
  else
    local script
    local loaded = protected(send, handler, function()
      local key = job.missing and job.missing[1]
      if key then refuse_missing({ missing = key }, "needs.commands") end
      script = chunk()
    end)
    if loaded and type(script) == "table" then
      if job.mode == "recover" then
        protected(send, handler, script.recover, ctx, without_null(job.findings))
      else
        -- What a step hands back is an operation's own.
        protected(send, handler, job.mode == "operation" and function(c) script.run(c) end or script.run, ctx)
        if job.mode == "operation" and state.ended then send { t = "ended" } end -- the supervisor has to know why
      end
    end
  end
  channel:close()
end

return runner.main
