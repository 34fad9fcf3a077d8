--- What an operation has beside a gate's ctx: steps, refusals, and the word that there was nothing to do.
---
--- The supervisor keeps the record (engine/run/book_operation.c), and a step begins when it says so. Whatever these functions raise is on
--- record before: a script that catches it changes nothing.
local errors = require "internal.raise"

local steps = {}

--- Raised to end an operation whose end is on record already. It is no error of its own.
steps.END = {}

local TEXT_MAX = 20000

--- The check or step that is open, or nil.
local function inside(state)
  return state.current[coroutine.running()] or state.current.main
end

local function stop_if_ended(state)
  if state.ended then error(steps.END, 0) end
end

--- Puts an error on record, at the check or step that is open, and ends the operation.
local function fail(state, raised)
  stop_if_ended(state)
  local e = state.handler(raised)
  local check = inside(state)
  state.ended = true
  local event = { code = e.code, message = e.message, detail = e.detail, fix = e.fix, where = e.where }
  state.send(check and { t = "check_error", check = check, error = event } or { t = "crash", error = event })
  error(steps.END, 0)
end

local function usage(state, message)
  fail(state, errors.new { code = "script_usage", message = message, fix = "see gate-engine doc operation" })
end

--- What a field says, as text that can be sent whatever it is: a refusal must not fail for its wording.
local function shown(value)
  if value == nil then return nil end
  local ok, text = true, value
  if type(value) ~= "string" then ok, text = pcall(tostring, value) end
  if not ok or type(text) ~= "string" then text = "(" .. type(value) .. ")" end
  if #text > TEXT_MAX then text = text:sub(1, TEXT_MAX):gsub("[\x80-\xBF]*[\xC0-\xFF]?$", "") end
  return utf8.len(text) and text or (text:gsub("[\x80-\xFF]", "?"))
end

--- Asks for a step and runs fn as it; in a dry run it is only named.
local function step(state, channel, title, fn, run_step)
  if type(title) ~= "string" or title == "" or type(fn) ~= "function" then
    usage(state, ("ctx:step: expected a title and a function, got %s and %s"):format(title == "" and "no text" or type(title), type(fn)))
  end
  if inside(state) then usage(state, "ctx:step was called inside a check or another step") end
  stop_if_ended(state)
  local granted, why = pcall(channel.request, channel, { op = "step", name = title })
  if not granted then
    if errors.is(why) and why.code == "step_stopped" then
      state.ended = true
      error(steps.END, 0)
    end
    fail(state, why)
  end
  state.stepped = true
  if state.job.dry_run then return end
  local results = table.pack(run_step(state, title, fn, true))
  stop_if_ended(state)
  return table.unpack(results, 1, results.n)
end

--- Records that a rule says no, and ends the operation.
local function refuse(state, class, fields)
  stop_if_ended(state)
  if type(class) ~= "string" or not state.job.failures[class] then
    fail(state, errors.new { code = "failure_unknown", fix = "declare it in failures = { … }",
      message = ("ctx:refuse: %s is not a class of this script's failures"):format(shown(class) or "nil") })
  end
  local event = { t = "refusal", check = inside(state), class = class }
  if type(fields) == "table" then
    for _, key in ipairs { "object", "detail", "fix", "reproduce" } do event[key] = shown(rawget(fields, key)) end
    local args = rawget(fields, "args")
    if type(args) == "table" then
      event.args = {}
      for i = 1, math.min(rawlen(args), 8) do event.args[i] = shown(rawget(args, i)) or "?" end
    end
  end
  stop_if_ended(state) -- a field's __tostring is the script's, and may have refused already
  state.ended = true
  state.send(event)
  error(steps.END, 0)
end

local function unchanged(state, reason)
  stop_if_ended(state)
  if type(reason) ~= "string" or reason == "" then usage(state, "ctx:unchanged: expected a reason") end
  if inside(state) then usage(state, "ctx:unchanged was called inside a check or a step") end
  if state.stepped then usage(state, "ctx:unchanged: the word that nothing is to do came after a step") end
  state.send { t = "unchanged", reason = shown(reason) }
end

--- Gives ctx the methods of an operation.
---@param ctx table
---@param state table      of the runner: current, job, send, handler; ended is kept here
---@param channel table    to the supervisor
---@param run_step fun(state: table, name: string, fn: function, is_step: boolean?): ...
function steps.add(ctx, state, channel, run_step)
  function ctx:step(title, fn) return step(state, channel, title, fn, run_step) end -- luacheck: no self
  function ctx:refuse(class, fields) return refuse(state, class, fields) end -- luacheck: no self
  function ctx:unchanged(reason) return unchanged(state, reason) end -- luacheck: no self
  --- What is proposed for a recovery would be said to be done by a step, and is not.
  function ctx:apply() -- luacheck: no self
    usage(state, "ctx:apply belongs to recover: an operation changes things itself, inside ctx:step")
  end
end

return steps
