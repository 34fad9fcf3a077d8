--- What may be told of a server's message: reports hold no value of a tenant's row.
--
-- The server's own messages about rights and constraints name objects of the schema; those about values quote the value; what a trigger or
-- function raises may hold anything, under any SQLSTATE. (PostgreSQL manual, appendix A; src/backend/executor/execMain.c,
-- utils/adt/ri_triggers.c.)
local said = {}

--- Messages that name nothing but objects of the schema.
local OF_SCHEMA = { "^new row violates row%-level security policy", '^new row for relation "[^"]*" violates ',
  '^duplicate key value violates unique constraint "[^"]*"$', '^insert or update on table "[^"]*" violates foreign key constraint ',
  '^update or delete on table "[^"]*" violates foreign key constraint ', '^null value in column "[^"]*" ',
  '^conflicting key value violates exclusion constraint "[^"]*"$', '^no partition of relation "[^"]*" found for row$',
  "^canceling statement due to ", "^could not obtain lock on ", "^deadlock detected$", "^could not serialize access ",
  "^column .* does not exist$", "^relation .* does not exist$", "^function .* does not exist$", "^operator does not exist: ",
  "^type .* does not exist$", "^must be ", "^query would be affected by row%-level security policy ",
  "^materialized view .* has not been populated$", "^unrecognized configuration parameter ", "^division by zero$",
  "^infinite recursion detected in policy ", "^more than one row returned by a subquery" }

--- Messages that quote a value behind what they begin with.
local OF_VALUE = { "^invalid input ", "^malformed ", "^value ", "^date/time field value out of range", "^%l+ out of range",
  "^invalid byte ", "^numeric field overflow", "^unsupported Unicode escape", "^invalid %l+ " }

--- What permission is denied for.
for _, kind in ipairs { "table", "view", "schema", "function", "procedure", "sequence", "relation", "materialized view", "foreign table",
  "column", "database", "language", "type", "large object" } do
  OF_SCHEMA[#OF_SCHEMA + 1] = ("^permission denied for %s [^ ]+$"):format(kind)
end

--- Classes of which the server's messages name objects or nothing: not supported, transactions, syntax and names, resources, states.
local CLASSES = { ["0A"] = true, ["25"] = true, ["53"] = true, ["54"] = true, ["55"] = true, ["57"] = true }

local function matches(message, patterns)
  for _, pattern in ipairs(patterns) do
    if message:find(pattern) then return true end
  end
  return false
end

--- The message without values of rows.
---@param err {sqlstate: string?, message: string?}  as the database module or an attempt has it
---@return string
function said.of(err)
  local message, state = err.message or "", err.sqlstate or "?????"
  -- The database module puts the server's detail behind the message.
  local line = message:match "^[^\n]*"
  if state:sub(1, 2) ~= "P0" then
    if matches(line, OF_SCHEMA) or CLASSES[state:sub(1, 2)] then return line end
    if state:sub(1, 2) == "22" and matches(line, OF_VALUE) then
      return line:match '^[^"]*' .. (line:find('"', 1, true) and '"…"' or "")
    end
  end
  return ("SQLSTATE %s (%s; the text may hold a row's values and is not shown)"):format(state,
    state:sub(1, 2) == "P0" and "raised by a trigger or function" or "as appendix A of the manual has it")
end

return said
