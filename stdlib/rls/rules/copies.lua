--- Does the text of a trigger's function write what the trigger was given into a table?
--
-- INSERT and MERGE with NEW, OLD or a transition table anywhere in the statement, UPDATE with one of them in what it sets, and the
-- same in functions that are called with one of them (PostgreSQL manual, 43.10). Read statement by statement, without a parser.
local mentions = require "rls.mentions"

local copies = {}

--- Most calls that are followed.
local DEPTH = 4

local NAME = '[%w_."$\x80-\xff]+'
local INTO = { "%f[%w_]insert%s+into%s+(" .. NAME .. ")", "%f[%w_]merge%s+into%s+(" .. NAME .. ")" }
local SETS = { "%f[%w_]update%s+(" .. NAME .. ")", "%f[%w_]update%s+only%s+(" .. NAME .. ")" }

--- Statements in lower case, without comments.
local function statements(source)
  local text = source:lower():gsub("%-%-[^\n]*", " "):gsub("/%*.-%*/", " ")
  return text:gmatch "[^;]+"
end

local function is_target(target, t)
  local plain = target:gsub('"', "")
  return plain == t.name:lower() or plain == t.label:lower()
end

--- The part of a statement that says what is written into the table; nil where nothing is.
local function written(statement, t)
  for _, pattern in ipairs(INTO) do
    for target in statement:gmatch(pattern) do
      if is_target(target, t) then return statement end
    end
  end
  for _, pattern in ipairs(SETS) do
    for target, rest in statement:gmatch(pattern .. "(.*)") do
      if is_target(target, t) then return (rest:match "%f[%w_]set%f[%W](.*)" or ""):gsub("%f[%w_]where%f[%W].*", "") end
    end
  end
  return nil
end

local function mentions_any(text, given)
  for _, name in ipairs(given) do
    if mentions.name(text, name) then return true end
  end
  return false
end

---@param source string     the function's text
---@param given string[]    names of what it was given
---@param t rls.Table
---@param functions table[] of rls.Model.all_functions: those that it may call
---@return boolean
function copies.into(source, given, t, functions, depth)
  depth = depth or 1
  for statement in statements(source) do
    local part = written(statement, t)
    if part and mentions_any(part, given) then return true end
    for _, f in ipairs(depth < DEPTH and mentions_any(statement, given) and functions or {}) do
      if f.body and f.body ~= "" and mentions.call(statement, f.name:match "[^.]*$") then
        local args = {}
        for i, arg in ipairs(f.args or {}) do
          args[#args + 1] = arg.name and arg.name ~= "" and arg.name or nil
          args[#args + 1] = "$" .. i
        end
        if copies.into(f.body, args, t, functions, depth + 1) then return true end
      end
    end
  end
  return false
end

return copies
