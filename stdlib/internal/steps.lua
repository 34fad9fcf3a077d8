--- What an operation has beside a gate's ctx: steps, refusals, and the word that there was nothing to do.
--
-- The supervisor keeps the record and enforces the same rules again (engine/run/book.c): what a script makes of these functions cannot
-- turn a refusal into a step.
local errors = require "internal.raise"

local steps = {}

--- Raised to end an operation whose end is on record already. It is no error of its own.
steps.END = {}

local function usage(message)
  errors.raise { code = "script_usage", message = message, fix = "see gate-engine doc operation" }
end

local function stop_if_ended(state)
  if state.ended then error(steps.END, 0) end
end

--- Runs fn as a step, or only names it in a dry run.
local function step(state, title, fn, run_check)
  if type(title) ~= "string" or type(fn) ~= "function" then
    errors.raise { code = "bad_argument",
      message = "ctx:step: expected a title and a function, got " .. type(title) .. " and " .. type(fn) }
  end
  if state.current[coroutine.running()] or state.current.main then usage "ctx:step was called inside a check or another step" end
  stop_if_ended(state)
  local dry = state.job.dry_run
  local results = table.pack(run_check(state, title, dry and function() end or fn, true))
  stop_if_ended(state)
  return table.unpack(results, 1, results.n)
end

--- Records that a rule says no, and ends the operation.
local function refuse(ctx, state, class, fields)
  local inside = state.current[coroutine.running()] or state.current.main
  state.ended = true
  local copy = {}
  for k, v in pairs(type(fields) == "table" and fields or {}) do copy[k] = v end
  copy.severity = "leak"
  if inside then
    ctx:fail(class, copy)
  else
    ctx:check("refused", function() ctx:fail(class, copy) end)
  end
  error(steps.END, 0)
end

--- Gives ctx the methods of an operation.
---@param ctx table
---@param state table      of the runner: current, job, send; ended is kept here
---@param run_check fun(state: table, name: string, fn: function, is_step: boolean?): ...
function steps.add(ctx, state, run_check)
  function ctx:step(title, fn) return step(state, title, fn, run_check) end -- luacheck: no self
  function ctx:refuse(class, fields) return refuse(self, state, class, fields) end
  function ctx:unchanged(reason) -- luacheck: no self
    if type(reason) ~= "string" or reason == "" then usage "ctx:unchanged: expected a reason" end
    stop_if_ended(state)
    state.send { t = "unchanged", reason = reason }
  end
end

return steps
