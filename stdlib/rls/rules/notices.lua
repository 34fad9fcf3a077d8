--- What the function of a trigger sends to whoever listens: pg_notify and NOTIFY ask for no right, and LISTEN neither.
--
-- Read statement by statement, without a parser, like rls.rules.copies. Variables that are made of the row are followed. (PostgreSQL
-- manual: NOTIFY, LISTEN, 43.10.)
local mentions = require "rls.mentions"

local notices = {}

--- Most calls that are followed.
local DEPTH = 4

--- Statements in lower case, without comments.
local function statements(source)
  local text = source:lower():gsub("%-%-[^\n]*", " "):gsub("/%*.-%*/", " ")
  return text:gmatch "[^;]+"
end

--- What a text says of the row: adds the names of columns to `said`, or "*" for all of them.
---@param tainted table<string, table<string, boolean>>  what variables hold of the row
local function read(text, given, tainted, said)
  for _, name in ipairs(given) do
    if mentions.name(text, name) then
      local rest = text
      for column in text:gmatch("%f[%w_]" .. name .. '%s*%.%s*"?([%w_$\x80-\xff]+)') do said[column] = true end
      rest = rest:gsub("%f[%w_]" .. name .. '%s*%.%s*"?[%w_$\x80-\xff]+', " ")
      if mentions.name(rest, name) then said["*"] = true end
    end
  end
  for variable, columns in pairs(tainted) do
    if mentions.name(text, variable) then
      for column in pairs(columns) do said[column] = true end
    end
  end
end

--- A variable that a statement gives what it says: name := …, and SELECT … INTO name.
local function assign(statement, given, tainted)
  local name, text = statement:match "([%w_]+)%s*:=%s*(.*)$"
  if not name then
    name, text = statement:match "%f[%w_]into%s+%f[%w_]([%w_]+)", statement
  end
  if not name then return end
  local said = tainted[name] or {}
  read(text, given, tainted, said)
  if next(said) then tainted[name] = said end
end

--- The payload of what a statement sends; nil where it sends nothing.
local function payload(statement)
  local arguments = statement:match "%f[%w_]pg_notify%s*(%b())"
  -- The channel tells nothing by itself.
  if arguments then return arguments:match "^%([^,]*,(.*)%)$" or arguments end
  local executed = statement:match "%f[%w_]execute%f[^%w_](.*)$"
  return executed and executed:find "%f[%w_]notify%f[^%w_]" and executed or nil
end

--- Which columns of its row a trigger's function sends: names, "*" for all; nil where it sends nothing of it.
---@param source string     the function's text
---@param given string[]    names of what it was given
---@param functions table[] of rls.Model.all_functions: those that it may call
---@return table<string, boolean>?
function notices.sent(source, given, functions, depth)
  depth = depth or 1
  local tainted, sent = {}, {}
  for statement in statements(source) do
    assign(statement, given, tainted)
    local text = payload(statement)
    if text then read(text, given, tainted, sent) end
    local passed = {}
    if depth < DEPTH then read(statement, given, tainted, passed) end
    for _, f in ipairs(next(passed) and functions or {}) do
      if (f.body or ""):lower():find("notify", 1, true) and mentions.call(statement, f.name:match "[^.]*$") then
        local args = {}
        for i, arg in ipairs(f.args or {}) do
          args[#args + 1] = arg.name and arg.name ~= "" and arg.name:lower() or nil
          args[#args + 1] = "$" .. i
        end
        -- What it is given is what is passed, whole.
        if notices.sent(f.body, args, functions, depth + 1) then
          for column in pairs(passed) do sent[column] = true end
        end
      end
    end
  end
  return next(sent) and sent or nil
end

return notices
