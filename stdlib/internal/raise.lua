--- Errors of the engine's own side, raised and read by code that no script can reach: `require "errors"` is a script's to change, and
--- what refuses a script something must not depend on it.
local raise = {}

local function text_of(e)
  local text = tostring(rawget(e, "code")) .. ": " .. tostring(rawget(e, "message"))
  if rawget(e, "detail") then text = text .. " (" .. tostring(rawget(e, "detail")) .. ")" end
  if rawget(e, "fix") then text = text .. "; fix: " .. tostring(rawget(e, "fix")) end
  return text
end

local meta = { __metatable = false, __tostring = text_of }

--- Makes a structured error without raising it.
---@param fields gate.Error
---@return gate.Error
function raise.new(fields) return setmetatable(fields, meta) end

--- Raises a structured error; never returns.
---@param fields gate.Error
function raise.raise(fields) error(raise.new(fields), 0) end

--- Is it a structured error?
---@param value any
---@return boolean
function raise.is(value)
  return type(value) == "table" and type(rawget(value, "code")) == "string" and type(rawget(value, "message")) == "string"
end

return raise
