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

--- Whose words are neither the server's nor known: external routines, foreign servers, PL/pgSQL's own class.
local FOREIGN = { P0 = true, ["38"] = true, ["39"] = true, HV = true }

---@param conn table
---@param err {sqlstate: string?, message: string?, context: string?}
---@return string
function said.of(conn, err)
  local message, state, innermost = err.message or "", err.sqlstate or "", (err.context or ""):match "^[^\n]*"
  local raised = innermost:find "RAISE$" or innermost:find "^PL/P[erythonl]+ function" or innermost:find "^PL/Tcl"
  if (raised or FOREIGN[state:sub(1, 2)]) and not is_written(conn, message) then
    local by = innermost:match "([%w_%.\"]+%b())"
    return ("SQLSTATE %s%s (its words may hold rows: they are in the server's log)"):format(state, by and ", raised by " .. by or "")
  end
  return state:sub(1, 2) == "22" and without_values(message) or message
end

return said
