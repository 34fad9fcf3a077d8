--- What a script gives to the methods of ctx: looked at before it is used, so that an error names the method, what it takes and what it
--- got, and never a line of the engine's own.
local errors = require "internal.raise"

local arguments = {}

---@param message string
---@param fix string?
function arguments.refuse(message, fix)
  errors.raise { code = "bad_argument", message = message, fix = fix }
end

--- A value as a message names it: short texts and numbers themselves, of everything else the type.
---@param value any
---@return string
function arguments.shown(value)
  if value == nil then return "nothing" end
  if type(value) == "string" then
    local text = #value <= 60 and value or value:sub(1, 60):gsub("[\x80-\xBF]*[\xC0-\xFF]?$", "") .. "…"
    return utf8.len(text) and '"' .. text .. '"' or "a string"
  end
  return (type(value) == "number" or type(value) == "boolean") and tostring(value) or "a " .. type(value)
end

--- The name nearest to a wrong one, as a fix; nil where none is near: one letter more, less, another or two exchanged.
---@param word any
---@param names string[]
---@return string?
function arguments.nearest(word, names)
  if type(word) ~= "string" then return nil end
  for _, name in ipairs(names) do
    local i = 1
    while i <= #name and name:byte(i) == word:byte(i) do i = i + 1 end
    local a, b = name:sub(i), word:sub(i)
    local swapped = #a > 1 and a:sub(2, 2) .. a:sub(1, 1) .. a:sub(3) == b
    if a:sub(2) == b or a == b:sub(2) or a:sub(2) == b:sub(2) or swapped then return ('did you mean "%s"?'):format(name) end
  end
end

--- A method that was called with a dot has lost its object: say so, rather than take the first argument for it.
function arguments.with_colon(self, method)
  if type(self) ~= "table" then
    arguments.refuse(("%s is a method: expected a call with a colon, found one with a dot"):format(method:gsub(":", ".")),
      ("write %s(…)"):format(method))
  end
end

--- A text that is not empty.
---@param method string  "ctx:summary"
---@param what string    "a text"
---@param value any
---@param fix string
function arguments.text(method, what, value, fix)
  if type(value) ~= "string" or value == "" then
    arguments.refuse(("%s: expected %s, got %s"):format(method, what, arguments.shown(value)), fix)
  end
end

--- A text made as string.format does it; what does not fit the format is the caller's.
---@param method string
---@return string
function arguments.formatted(method, format, ...)
  if select("#", ...) == 0 then
    if format == nil then arguments.refuse(method .. ": expected a text, got nothing", ('write %s("…")'):format(method)) end
    return type(format) == "string" and format or tostring(format)
  end
  if type(format) ~= "string" then
    arguments.refuse(("%s: expected a format of string.format before its values, got %s"):format(method, arguments.shown(format)),
      ('write %s("%%s rows", n)'):format(method))
  end
  local ok, text = pcall(string.format, format, ...)
  if not ok then
    arguments.refuse(("%s: %s"):format(method, type(text) == "string" and text or "the format does not fit its values"),
      "%s takes any value, %d integers and %f numbers; %% stands for a percent sign")
  end
  return text
end

local CHECK = 'ctx:check("what is proven", function() … end)'

--- Looks at what ctx:check was given; returns the group.
---@return string?
function arguments.check(name, fn, options)
  if type(name) ~= "string" or name == "" or type(fn) ~= "function" then
    arguments.refuse(("ctx:check: expected a name and a function, got %s and %s"):format(name == "" and "no text" or type(name), type(fn)),
      "write " .. CHECK)
  end
  if options == nil then return nil end
  if type(options) ~= "table" then
    arguments.refuse("ctx:check: expected a table of options after the function, got " .. arguments.shown(options), 'write { group = "…" }')
  end
  for key in next, options do
    if key ~= "group" then
      arguments.refuse(("ctx:check: unknown option %s"):format(arguments.shown(key)), arguments.nearest(key, { "group" })
        or "the only option is group")
    end
  end
  local group = rawget(options, "group")
  if group ~= nil and (type(group) ~= "string" or group == "") then
    arguments.refuse("ctx:check: group: expected a text, got " .. arguments.shown(group), 'write { group = "…" }')
  end
  return group
end

local FIELDS = { "object", "args", "detail", "fix", "reproduce", "severity", "basis" }

--- What ctx:fail was given beside the class. The finding is on record before: a script that catches this changes nothing.
---@param fields any
---@param class string
function arguments.finding(fields, class)
  if fields == nil then return end
  if type(fields) ~= "table" then
    arguments.refuse("ctx:fail: expected a table of fields after the class, got " .. arguments.shown(fields),
      ("write ctx:fail(%q, { object = … })"):format(class))
  end
  local known = {}
  for _, key in ipairs(FIELDS) do known[key] = true end
  for key in next, fields do
    if not known[key] then
      arguments.refuse("ctx:fail: expected object, args, detail, fix, reproduce, severity or basis, found " .. tostring(key),
        arguments.nearest(key, FIELDS) or "correct the name of the field")
    end
  end
  local args, severity = rawget(fields, "args"), rawget(fields, "severity")
  if args ~= nil and type(args) ~= "table" then
    arguments.refuse("ctx:fail: args: expected a list, got " .. arguments.shown(args),
      "write args = { … }, a value for each %s of the text")
  end
  if severity ~= nil and severity ~= "leak" and severity ~= "advisory" and severity ~= "note" then
    arguments.refuse('ctx:fail: severity: expected "leak", "advisory" or "note", got ' .. arguments.shown(severity),
      "leave it out for a finding that fails the gate; ctx:advise makes one that does not")
  end
end

return arguments
