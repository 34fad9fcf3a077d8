--- What of the server's words about a refused statement may stand in a report: what the server itself says names types, constraints and
--- objects, but values stand in it too (SQLSTATE class 22), and what a function raises may be made of any row it can read.
local said = {}

local bodies = setmetatable({}, { __mode = "k" })

--- Texts of functions: what one raises and is written there word by word is code, no row.
---@param conn table
---@param functions table<string, string>  by name (rls.probe_context.functions)
function said.know(conn, functions) bodies[conn] = functions end

local QUOTES = { '"', "„", "“", "”", "»", "«" }

--- The first quotation mark of any language from a place on: where it begins and ends.
local function mark(message, from)
  local first, last
  for _, quote in ipairs(QUOTES) do
    local i, j = message:find(quote, from, true)
    if i and (not first or i < first) then first, last = i, j end
  end
  return first, last
end

--- A message without what stands between its first quotation mark and its last: a value may have marks of its own.
local function without_values(message)
  local open, open_end = mark(message, 1)
  if not open then return message end
  local close, from = #message, open_end + 1
  while true do
    local first, last = mark(message, from)
    if not first then break end
    close, from = last, last + 1
  end
  return message:sub(1, open - 1) .. "…" .. message:sub(close + 1)
end

--- Does the message stand in the text of a function, as a literal of its own? A short value is a part of many texts.
local function is_written(conn, message)
  if message == "" then return false end
  local literal = "'" .. message:gsub("'", "''") .. "'"
  for _, body in pairs(bodies[conn] or {}) do
    if body:find(literal, 1, true) then return true end
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
