--- Members of JSON documents by their path: the keys from the outermost to the innermost, as one text (PostgreSQL manual, section 9.16: ->,
-- ->>, #>>).
local json = require "json"

local documents = {}

--- Between the keys of a path: no character of a key.
local SEPARATOR = "\0"

--- A path that goes on by one key.
---@param path string?
---@param key string
---@return string
function documents.join(path, key) return path and path .. SEPARATOR .. key or key end

local function keys_of(path)
  local out = {}
  for key in (path .. SEPARATOR):gmatch("(.-)" .. SEPARATOR) do out[#out + 1] = key end
  return out
end

local function is_object(value) return type(value) == "table" and not json.is_array(value) end

--- The member at a path; nil where there is none.
---@param document any
---@param path string
---@return any
function documents.get(document, path)
  local at = document
  for _, key in ipairs(keys_of(path)) do
    if not is_object(at) then return nil end
    at = at[key]
  end
  return at
end

--- Sets the member at a path, in place; makes the objects on the way, in place of what else is there.
---@param document table
---@param path string
---@param value any
function documents.set(document, path, value)
  local at, keys = document, keys_of(path)
  for i = 1, #keys - 1 do
    if not is_object(at[keys[i]]) then at[keys[i]] = {} end
    at = at[keys[i]]
  end
  at[keys[#keys]] = value
end

--- The path to the first member that is this text; nil where none is.
---@param document any
---@param text string
---@return string?
function documents.find(document, text, path)
  for key, value in pairs(is_object(document) and document or {}) do
    local here = documents.join(path, key)
    if value == text then return here end
    local inner = documents.find(value, text, here)
    if inner then return inner end
  end
  return nil
end

return documents
