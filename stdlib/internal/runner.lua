--- The engine's side of a worker: builds ctx from the job, runs the script's function, sends what happened as events.
--- Loaded by the worker with an environment of its own; scripts cannot require it.
---
--- job = { mode = "run"|"recover"|"operation"|"prepare"|"scratch"|"init"|"rights"|"anchor"|"ledger", tenant, options, config, platform,
---         verbose, only, apply, dry_run, findings, needs, input,
---         db = { role = spec }, endpoints, stores, files, commands, audits, auth, failures }
local apply = require "internal.apply"
local arguments = require "internal.arguments"
local capabilities = require "internal.capabilities"
local errors = require "internal.raise"
local record = require "internal.record"
local steps = require "internal.steps"

local runner = {}

--- Sends one event; a lost channel ends the worker, which the supervisor reports.
local function sender(channel)
  return function(event) channel:send(event) end
end

local with_colon = arguments.with_colon
local error_of, is_known, recorded, text_of = record.error_of, record.is_known, record.recorded, record.text_of
local MISUSE, SKIP = record.MISUSE, record.SKIP

local SEVERITIES = { leak = true, advisory = true, note = true }
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

--- How needs declares what gives a field of ctx.
local DECLARED_BY = { db = 'db = { "admin" }', http = 'endpoints = { "NAME" }', exec = 'commands = { "NAME" }', solver = "solver = true",
  audits = "audits = true", evidence = "evidence = true", mail = "mail = true", webhooks = "webhooks = true" }
--- Declared, it may still be that the configuration has none.
local MAY_BE_ABSENT = { http = "endpoints", mail = "mail", webhooks = "webhooks" }

--- What has no capability is not there; reading it says how to declare it. A field of no meaning is nil.
local function refuse_undeclared(job, state)
  return recorded(state, function(_, name)
    local how = job.needs and DECLARED_BY[name]
    if how and job.needs[MAY_BE_ABSENT[name]] ~= true then
      errors.raise { code = "not_declared", message = ("ctx.%s is not declared by this script"):format(name),
        fix = ("add it to needs: %s"):format(how) }
    end
    return nil
  end, MISUSE)
end

local function new_context(job, send, handler)
  local ctx = {
    tenant = job.tenant, options = job.options, config = job.config, platform = job.platform, mode = job.mode,
    verbose = job.verbose or false, jobs = job.jobs or 1,
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

local PROGRESS_BAR = 16 -- characters
local METHODS = { "check", "selects", "fail", "advise", "skip", "fact", "summary", "log", "say", "progress" }

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
      fix = text_of(given.fix), reproduce = text_of(given.reproduce), severity = severity, basis = text_of(given.basis), args = args }
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

  function ctx:progress(what, done, total)
    with_colon(self, "ctx:progress")
    arguments.text("ctx:progress", "what takes long", what, 'write ctx:progress("reading", 3, 10)')
    if math.type(done) ~= "integer" or math.type(total) ~= "integer" or done < 0 or total < 1 or done > total then
      arguments.refuse(("ctx:progress: expected how much of how much is done, got %s and %s"):format(arguments.shown(done),
        arguments.shown(total)), 'write ctx:progress("reading", 3, 10)')
    end
    local filled = done * PROGRESS_BAR // total
    send { t = "progress", text = ("%s [%s%s] %d %%"):format(text_of(what), ("#"):rep(filled), ("-"):rep(PROGRESS_BAR - filled),
      done * 100 // total) }
  end

  for _, name in ipairs(METHODS) do ctx[name] = recorded(state, ctx[name]) end
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
  add_apply(ctx, job, send, channel, capabilities.add(ctx, job, state, channel, tracer))
  ctx.apply, ctx.artifact = recorded(state, ctx.apply, MISUSE), recorded(state, ctx.artifact, MISUSE)
  if job.mode == "operation" then steps.add(ctx, state, channel, run_check) end
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
local INTERNAL = { anchor = true, ledger = true, prepare = true, scratch = true, init = true, rights = true }

function runner.main(job, chunk, handler)
  local channel = require("engine.exec").attach(3)
  local ctx, send, state = build(job, channel, handler)
  if INTERNAL[job.mode] then
    protected(send, handler, function() send { t = "result", value = require("internal." .. job.mode)(ctx, job) } end)
  else
    local script
    local loaded = protected(send, handler, function()
      local key = job.missing and job.missing[1]
      if key then capabilities.refuse_missing({ missing = key }, "needs.commands") end
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
