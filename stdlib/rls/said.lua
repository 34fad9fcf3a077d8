--- What of the server's words about a refused statement may stand in a report: what the server itself says names types, constraints and
--- objects, but values stand in it too (SQLSTATE class 22), and what a function raises may be made of any row it can read.
local said = {}

local bodies = setmetatable({}, { __mode = "k" })

--- Texts of functions: what one raises and is written there word by word is code, no row.
---@param conn table
---@param functions table<string, string>  by name (rls.probe_context.functions)
function said.know(conn, functions) bodies[conn] = functions end

local QUOTES = { { '"', '"' }, { "„", "“" }, { "“", "”" }, { "»", "«" }, { "«", "»" } }

--- A message without what is quoted in it, in whatever language.
local function without_values(message)
  for _, pair in ipairs(QUOTES) do
    local from = message:find(pair[1], 1, true)
    while from do
      local to = message:find(pair[2], from + #pair[1], true)
      if not to then return message:sub(1, from - 1) .. "…" end
      message = message:sub(1, from - 1) .. "…" .. message:sub(to + #pair[2])
      from = message:find(pair[1], from + #"…", true)
    end
  end
  return message
end

--- Does the message stand in the text of a function?
local function is_written(conn, message)
  for _, body in pairs(bodies[conn] or {}) do
    if body:find(message, 1, true) then return true end
  end
  return false
end

--- Classes of which the server's own messages name objects of the schema, rights or states (manual, appendix A); those of class 22 quote
--- values. Of all others nothing is known: external routines, foreign servers, extensions in C, PL/pgSQL's own.
local KNOWN = {}
for class in ("00 01 0A 21 22 23 25 26 28 2B 2D 2F 34 3B 3D 3F 40 42 44 53 54 55 57"):gmatch "%S+" do KNOWN[class] = true end

--- The message as far as it holds no value of a row. Its first line: the database module puts the server's detail behind it, and a detail
--- quotes keys.
---@param conn table
---@param err {sqlstate: string?, message: string?, context: string?}
---@return string
function said.of(conn, err)
  local message, state, innermost = (err.message or ""):match "^[^\n]*", err.sqlstate or "", (err.context or ""):match "^[^\n]*"
  local raised = innermost:find "RAISE$" or innermost:find "^PL/P[erythonl]+ function" or innermost:find "^PL/Tcl"
  if (raised or not KNOWN[state:sub(1, 2)]) and not is_written(conn, message) then
    local by = innermost:match "([%w_%.\"]+%b())"
    return ("SQLSTATE %s%s (its words may hold rows: they are in the server's log)"):format(state, by and ", raised by " .. by or "")
  end
  return state:sub(1, 2) == "22" and without_values(message) or message
end

return said
