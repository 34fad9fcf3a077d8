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
  if state == "" then return message end -- what the engine says itself, or the connection's end
  local raised = innermost:find "RAISE$" or innermost:find "^PL/P[erythonl]+ function" or innermost:find "^PL/Tcl"
  if (raised or not KNOWN[state:sub(1, 2)]) and not is_written(conn, message) then
    local by = innermost:match "([%w_%.\"]+%b())"
    return ("SQLSTATE %s%s (its words may hold rows: they are in the server's log)"):format(state, by and ", raised by " .. by or "")
  end
  return state:sub(1, 2) == "22" and without_values(message) or message
end

return said
