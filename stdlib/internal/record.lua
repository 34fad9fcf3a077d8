--- What a script's call raised, kept where the script cannot take it back: a misuse that is caught is on record all the same.
local errors = require "internal.raise"
local steps = require "internal.steps"

local record = {}

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
  if raised == "not enough memory" then -- Lua's own words, which name no limit
    return { code = "script_memory", message = "the script hit its memory limit: not enough memory",
      fix = "raise limits.memory_mb, or make the script use less" }
  end
  return { code = "script_error", message = type(raised) == "string" and raised or "a " .. type(raised) .. " was raised" }
end

local SKIP = {} -- raised by ctx:skip; never leaves the check
local RECORDED = setmetatable({}, { __mode = "k" }) -- errors that the supervisor has been told already

--- What ends a check in an orderly way, or is on record before it is raised.
local function is_known(raised)
  return rawequal(raised, SKIP) or rawequal(raised, steps.END) or type(raised) == "table" and RECORDED[raised] ~= nil
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

record.text_of, record.error_of, record.is_known, record.recorded, record.lazy = text_of, error_of, is_known, recorded, lazy
record.SKIP, record.RECORDED, record.MISUSE = SKIP, RECORDED, MISUSE

return record
