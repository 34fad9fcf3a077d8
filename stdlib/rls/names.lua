--- SQL identifiers and literals, quoted.
local names = {}

--- An identifier, always quoted (PostgreSQL manual, section 4.1.1).
---@param name string
---@return string
function names.ident(name)
  return '"' .. name:gsub('"', '""') .. '"'
end

--- A string literal; standard_conforming_strings is on wherever the engine connects.
---@param text string
---@return string
function names.literal(text)
  return "'" .. text:gsub("'", "''") .. "'"
end

--- schema and name as one quoted SQL name.
---@param schema string
---@param name string
---@return string
function names.qualified(schema, name)
  return names.ident(schema) .. "." .. names.ident(name)
end

--- "schema.table" of the configuration, whose parts may be double-quoted, to the label used in reports: schema.table.
---@param text string
---@return string
function names.label(text)
  local parts, rest = {}, text
  while rest ~= "" do
    local part, after = rest:match('^"(.-)"%.(.*)$')
    if not part then part, after = rest:match('^"(.*)"$'), "" end
    if not part then part, after = rest:match("^([^.]*)%.?(.*)$") end
    parts[#parts + 1] = part
    rest = after or ""
  end
  return table.concat(parts, ".")
end

return names
