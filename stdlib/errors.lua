--- Structured errors, the one convention of the engine: a table {code=, message=, detail=, fix=} that tostring() shows in full.
local errors = {}

---@class gate.Error
---@field code string      stable machine name, e.g. "db_timeout"
---@field message string   what is wrong: the thing, what was expected, what was found
---@field detail string?   more of it
---@field fix string?      what to do

local meta = {
  __metatable = false,
  __tostring = function(e)
    local text = tostring(rawget(e, "code")) .. ": " .. tostring(rawget(e, "message"))
    if rawget(e, "detail") then text = text .. " (" .. tostring(rawget(e, "detail")) .. ")" end
    if rawget(e, "fix") then text = text .. "; fix: " .. tostring(rawget(e, "fix")) end
    return text
  end,
}

--- Makes an error without raising it.
---@param fields gate.Error
---@return gate.Error
function errors.new(fields)
  assert(type(fields) == "table" and type(fields.code) == "string" and type(fields.message) == "string",
    "errors.new: expected {code=, message=, …}")
  return setmetatable(fields, meta)
end

--- Raises a structured error.
---@param fields gate.Error
function errors.raise(fields)
  error(errors.new(fields), 0)
end

--- Is it a structured error with this code (any, when code is left out)?
---@param value any
---@param code string?
---@return boolean
function errors.is(value, code)
  return type(value) == "table" and type(rawget(value, "code")) == "string"
    and type(rawget(value, "message")) == "string" and (code == nil or value.code == code)
end

return errors
