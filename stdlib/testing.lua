--- For the specs of gates, operations and audits (busted, Lua 5.4), not for scripts: they run through the engine itself, as users
--- run them.
---
--- LUA_PATH names stdlib/, LUA_CPATH the engine's modules; `gate-engine new` writes both into the spec it makes.
local testing = {}

local function quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

local function is_there(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

--- The engine: $GATE_ENGINE, else the one its modules belong to, else the one in PATH.
local function engine()
  local given = os.getenv "GATE_ENGINE"
  if given then return given end
  local module = package.searchpath("engine.json", package.cpath)
  local base = module and module:match "^(.*)/modules/engine/json%.so$"
  for _, path in ipairs(base and { base .. "/gate-engine", base .. "/../../bin/gate-engine" } or {}) do
    if is_there(path) then return path end
  end
  return "gate-engine"
end

local function words_of(script, options)
  local words, names = { quote(engine()), "run", quote(script:find "/" and script or "./" .. script) }, {}
  for name in pairs(options) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value, flag = options[name], "--" .. name:gsub("_", "-")
    if value == true then words[#words + 1] = flag end
    for _, one in ipairs(type(value) == "table" and value or { value ~= true and value or nil }) do
      words[#words + 1] = flag == "--config" and "--config " .. quote(one) or flag .. "=" .. quote(one)
    end
  end
  return words
end

--- Runs a gate or an operation and returns its entry of the report: id, status, summary, checks (each with name, status, class,
--- object, detail, and of an operation's steps `step`), facts; and `log`, all that was printed.
---@param script string  path of the gate or operation
---@param options table<string, any>?  script options and the engine's own: { tenant = "acme", max_age_hours = 12, config = "x.lua" };
---  true for a flag without a value
---@return table gate
---Raises an error with what the engine printed where there is no report: the script or its options are wrong.
function testing.run(script, options)
  local json = require "engine.json"
  local report, log = os.tmpname(), os.tmpname()
  local words = words_of(script, options or {})
  words[#words + 1] = "--report json=" .. quote(report)
  os.execute(table.concat(words, " ") .. " >" .. quote(log) .. " 2>&1")
  local function take(path)
    local f = io.open(path, "rb")
    local text = f and f:read "a" or ""
    if f then f:close() end
    os.remove(path)
    return text
  end
  local text, printed = take(report), take(log)
  local decoded, document = pcall(json.decode, text)
  local gate = decoded and document.gates and document.gates[1]
  if not gate then error("there is no report of " .. script .. ":\n" .. printed, 2) end
  gate.log = printed
  return gate
end

--- Calls an audit with a plan and returns its violations, in order.
---@param script string  path of the audit
---@param plan table     as stdlib/schema/audit-plan-1.json describes it, or the part of it that the audit looks at
---@return {object: string, detail: string?}[]
---Raises an error where the audit asks for more earlier weeks than plan.history has, as the engine does.
function testing.audit(script, plan)
  local audit = dofile(script)
  local weeks, found = audit.needs and audit.needs.history or 0, #(plan.history or {})
  if found < weeks then error(("%s needs %d earlier weeks, and plan.history has %d"):format(script, weeks, found), 2) end
  local violations = {}
  local report = { violation = function(_, v) violations[#violations + 1] = v end }
  audit.audit(plan, report)
  return violations
end

return testing
