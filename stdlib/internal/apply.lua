--- ctx:apply, what a recovery proposes and, with --apply, does. What a step says is looked at in a dry run too: what --apply would
--- refuse, and what it would pass over without a word, is told before anybody has to rely on it.
local errors = require "internal.raise"

local apply = {}

local FIELDS = { "sql", "params", "role", "run", "note" }

local function refuse(message, fix)
  errors.raise { code = "bad_argument", message = "ctx:apply: " .. message, fix = fix }
end

local function kind_of(value)
  return value == "" and "an empty string" or type(value)
end

--- Where the literal, identifier or comment that begins at `at` ends (PostgreSQL manual, section 4.1); nil: none begins there.
local function opaque_end(sql, at)
  local two, one = sql:sub(at, at + 1), sql:sub(at, at)
  if two == "--" then return sql:find("\n", at, true) or #sql end
  if two == "/*" then
    local depth = 1
    at = at + 2
    while depth > 0 do
      local first = sql:find("[*/][*/]", at)
      if not first then return #sql end
      local mark = sql:sub(first, first + 1)
      depth = depth + (mark == "/*" and 1 or mark == "*/" and -1 or 0)
      at = first + ((mark == "/*" or mark == "*/") and 2 or 1)
    end
    return at - 1
  end
  if one == "'" and sql:sub(at - 1, at - 1):find "[eE]" then
    while true do
      at = sql:find("[\\']", at + 1)
      if not at or sql:sub(at, at) == "'" then return at or #sql end
      at = at + 1
    end
  end
  if one == "'" or one == '"' then return sql:find(one, at + 1, true) or #sql end
  local tag = sql:match("^%$[%a_\x80-\xFF]?[%w_\x80-\xFF]*%$", at)
  if tag and not tag:find "^%$%d" then
    local _, last = sql:find(tag, at + #tag, true)
    return last or #sql
  end
end

--- The highest n of the parameters $n that a statement names; 0 where it names none.
---@param sql string
---@return integer
function apply.highest_parameter(sql)
  local highest, at, last = 0, 1, 0
  while true do
    at = sql:find("[-/'\"$]", at)
    if not at then return highest end
    local n = sql:match("^%$(%d+)", at)
    local within = at > last + 1 and sql:sub(at - 1, at - 1):find "[%w_\x80-\xFF]" -- a$1 is an identifier
    if n and not within then
      highest = math.max(highest, math.tointeger(n) or 0)
      last = at + #n
    else
      last = opaque_end(sql, at) or at
    end
    at = last + 1
  end
end

--- A value as a literal of SQL (PostgreSQL manual, section 4.1.2), for a person to paste.
local function literal(value)
  if type(value) == "string" then return "'" .. value:gsub("'", "''") .. "'" end
  if type(value) == "number" and (value ~= value or value == math.huge or value == -math.huge) then
    return value ~= value and "'NaN'" or value > 0 and "'Infinity'" or "'-Infinity'"
  end
  return (type(value) == "number" or type(value) == "boolean") and tostring(value) or "NULL"
end

local PLANNED = { select = true, insert = true, update = true, delete = true, merge = true, values = true, with = true }
local SIMPLE = { string = true, number = true, boolean = true, ["nil"] = true }

--- The parameters as a list of `n` values, some of them nil.
local function parameters(step)
  local params = step.params
  if type(params) ~= "table" then
    refuse("params: expected a list, found a " .. type(params), 'write params = { "…", … }, for $1, $2, …')
  end
  local n = math.type(rawget(params, "n")) == "integer" and params.n or #params
  local list = { n = n }
  for key in next, params do
    if key ~= "n" and not (math.type(key) == "integer" and key >= 1 and key <= n) then
      refuse(("params: expected a list, found the key %s"):format(tostring(key)), "name them by their places: the first is $1")
    end
  end
  for i = 1, n do
    local value = rawget(params, i)
    if type(value) == "userdata" and not getmetatable(value) then value = nil end -- db.null
    if not SIMPLE[type(value)] then
      refuse(("params[%d]: expected a string, number, boolean or nil, found a %s"):format(i, type(value)),
        "give its text, with a cast in the statement: $1::jsonb, $1::int[]")
    end
    list[i] = value
  end
  return list
end

--- Is it one of the statements that may have parameters, and alone? Elsewhere a $1 may be of a function's body.
local function takes_parameters(sql)
  local first = sql:match("^%s*(%a+)")
  return PLANNED[first and first:lower()] and not sql:find(";%s*%S")
end

local function check_parameters(sql, params)
  local highest, given = apply.highest_parameter(sql), params and params.n or 0
  if highest ~= given then
    refuse(("the statement names %s, and params has %s"):format(highest > 0 and "$" .. highest or "no $1",
      given > 0 and ("%d"):format(given) or "none"), 'params = { "…", … } has a value for each of $1, $2, …, in their order')
  end
end

local function check_texts(step)
  for _, key in ipairs { "sql", "run", "note", "role" } do
    local value = step[key]
    if value ~= nil and (type(value) ~= "string" or value == "") then
      refuse(("%s: expected a text, found %s"):format(key, value == "" and "an empty string" or "a " .. type(value)),
        "leave the field out where there is nothing to say")
    end
  end
end

local function check_fields(title, step)
  if type(title) ~= "string" or title == "" or type(step) ~= "table" then
    refuse(("expected a title and a table, got %s and %s"):format(kind_of(title), type(step)),
      'ctx:apply("what it does", { sql = "…" }), { run = "COMMAND" } or { note = "…" }')
  end
  local known = {}
  for _, key in ipairs(FIELDS) do known[key] = true end
  for key in next, step do
    if not known[key] then refuse("expected sql, params, role, run or note, found " .. tostring(key), "correct the name of the field") end
  end
  check_texts(step)
  if not (step.sql or step.run or step.note) then
    refuse("expected a step with sql, run or note, found none of them", "say what it does: sql, a command of needs.commands, or a note")
  end
  if step.sql and step.run then
    refuse("one step has sql and run: only the first would be carried out", "make two steps of them, each a ctx:apply of its own")
  end
  if step.params ~= nil and not step.sql then
    refuse("params belong to sql, and the step has none", "add sql, or write the values into the note")
  end
end

local function check_declared(job, step)
  if step.sql and step.role and job.db[step.role] == nil then
    refuse(("role: expected a role of needs.db, found %q"):format(step.role),
      "name one that needs.db has; where none is said it is operator")
  end
  if not step.run then return end
  for _, name in ipairs(job.commands) do
    if name == step.run then return end
  end
  refuse(("run: expected a command of needs.commands, found %q"):format(step.run),
    "add it to needs.commands, and to the configuration's commands what it starts")
end

--- A statement and its parameters as psql takes them: PREPARE infers the types as the protocol does.
local function pasteable(sql, params)
  if not params or params.n == 0 then return sql end
  local values = {}
  for i = 1, params.n do values[i] = literal(params[i]) end
  return ("PREPARE step AS\n%s;\nEXECUTE step(%s);\nDEALLOCATE step;"):format((sql:gsub("[%s;]+$", "")), table.concat(values, ", "))
end

local function carry_out(writer, channel, step, params)
  if step.sql then
    local connection = writer(step.role or "operator")
    if params then
      connection:exec(step.sql, table.unpack(params, 1, params.n))
    else
      connection:script(step.sql)
    end
  elseif step.run then
    local result = channel:run(step.run, {})
    if result.exit ~= 0 then
      errors.raise { code = "apply_failed", message = ("the command %s ended with exit %s"):format(step.run, tostring(result.exit)),
        detail = result.stderr:sub(1, 500) }
    end
  end
  return step.sql ~= nil or step.run ~= nil
end

--- Looks at a step, carries it out where --apply was given, and sends it as a proposal.
---@param writer fun(role: string): table  the role's connection whose changes stay
---@param job table
---@param send fun(event: table)
---@param channel table  to the supervisor
---@param title string
---@param step {sql: string?, params: any[]?, role: string?, run: string?, note: string?}
---@return boolean applied
---Errors: bad_argument, script_usage (called by run), apply_failed, and what the statement raises.
function apply.step(writer, job, send, channel, title, step)
  if job.mode == "run" then
    errors.raise { code = "script_usage", message = "ctx:apply was called by run: what is proposed there, nobody is shown",
      fix = "call it in recover = function(ctx, findings) … end; run makes findings: ctx:fail" }
  end
  check_fields(title, step)
  check_declared(job, step)
  local params = step.params ~= nil and parameters(step) or nil
  if step.sql and (params or takes_parameters(step.sql)) then check_parameters(step.sql, params) end
  local applied = job.apply and carry_out(writer, channel, step, params) or false
  local sql = step.sql and pasteable(step.sql, params)
  send { t = "proposal", title = title, sql = sql, run = step.run, note = step.note, applied = applied }
  return applied
end

return apply
