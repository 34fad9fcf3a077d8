--- Splits a file of SQL into statements, as psql does: on semicolons that stand in no quotes, no comment, no parentheses and no body.
---
--- Lexical rules: PostgreSQL manual, section 4.1. What is split wrong is refused by the server, which is given one statement at a time.
local errors = require "internal.raise"

--- Markers of tools that keep both ways in one file: what follows is the way back.
local DOWN = { "^%-%-%s*%+goose%s+Down", "^%-%-%s*%+migrate%s+Down", "^%-%-%s*migrate:down", "^%-%-%s*//%s*@UNDO" }

--- Lines of psql which pg_dump itself writes since August 2025 (CVE-2025-8714): they lock psql's other commands, and mean nothing here.
local HARMLESS = { "^\\restrict%s+%w+%s*$", "^\\unrestrict%s+%w+%s*$" }

local function matches(line, patterns)
  for _, p in ipairs(patterns) do
    if line:find(p) then return true end
  end
  return false
end

--- The end of a string in single quotes that begins at `at`; with_escapes: E'…'.
local function string_end(text, at, with_escapes)
  local i = at + 1
  while true do
    local p = text:find(with_escapes and "['\\]" or "'", i)
    if not p then return #text end
    if text:sub(p, p) == "\\" then
      i = p + 2
    elseif text:sub(p + 1, p + 1) == "'" then
      i = p + 2
    else
      return p
    end
  end
end

--- The end of a comment /* … */, which nests.
local function comment_end(text, at)
  local depth, i = 1, at + 2
  while depth > 0 do
    local p = text:find("[*/][*/]", i)
    if not p then return #text end
    local two = text:sub(p, p + 1)
    if two == "/*" or two == "*/" then
      depth = depth + (two == "/*" and 1 or -1)
      i = p + 2
    else
      i = p + 1
    end
  end
  return i - 1
end

--- The end of what begins at `at` with one of ' " $ - /, or `at` where it begins nothing.
local function token_end(text, at, c)
  if c == "'" then
    local before = text:sub(at - 1, at - 1)
    return string_end(text, at, (before == "E" or before == "e") and not text:sub(at - 2, at - 2):find "[%w_$]")
  elseif c == '"' then
    return text:find('"', at + 1, true) or #text
  elseif c == "$" then
    local tag = text:match("^%$[%a_\128-\255][%w_\128-\255]*%$", at) or text:match("^%$%$", at)
    if not tag or text:sub(at - 1, at - 1):find "[%w_]" then return at end
    local _, stop = text:find(tag, at + #tag, true)
    return stop or #text
  elseif text:sub(at, at + 1) == "--" then
    return text:find("\n", at, true) or #text
  elseif text:sub(at, at + 1) == "/*" then
    return comment_end(text, at)
  end
  return at
end

local function refuse_meta(name, line, text, at)
  local command = text:match("^\\[^\n]*", at)
  if matches(command, HARMLESS) then return end
  errors.raise { code = "scratch_meta_command",
    message = ("%s:%d: psql's command %s is refused on a scratch copy"):format(name, line, command:match "^\\%S*"),
    fix = "leave it away: the file is given to the server, not to psql (pg_dump --schema-only without --create writes none that matters)" }
end

--- One statement of the text, and where the next one begins. nil at the end.
local function next_statement(text, at, name, line_of)
  local depth, body, i, first = 0, 0, at, nil
  while true do
    local p = text:find("[;'\"$%-/()\\%a]", i)
    if not p then return first and text:sub(first), #text + 1, first end
    local c = text:sub(p, p)
    local stop = p
    if c == "\\" then
      if first then
        stop = p -- the server refuses it
      else
        refuse_meta(name, line_of(p), text, p)
        stop = text:find("\n", p, true) or #text
      end
    elseif c:find "%a" then
      local word
      word, stop = text:match("^([%w_$]+)()", p)
      stop = stop - 1
      first = first or p
      local low = #word <= 6 and word:lower() or ""
      -- BEGIN ATOMIC … END is a body of SQL in the standard's form; CASE … END nests in it.
      if low == "begin" and text:match("^%s+[Aa][Tt][Oo][Mm][Ii][Cc]%f[^%w_]", stop + 1) then
        body = body + 1
      elseif body > 0 and low == "case" then
        body = body + 1
      elseif body > 0 and low == "end" then
        body = body - 1
      end
    elseif c == "(" or c == ")" then
      first = first or p
      depth = math.max(0, depth + (c == "(" and 1 or -1))
    elseif c == ";" then
      if first and depth == 0 and body == 0 then return text:sub(first, p - 1), p + 1, first end
    else
      stop = token_end(text, p, c)
      local comment = (c == "-" or c == "/") and stop > p
      if not comment then first = first or p end
      if comment and c == "-" and not first and matches(text:sub(p, stop), DOWN) then return nil end
    end
    i = stop + 1
  end
end

--- Statements of a file, in order.
---@param name string  of the file, for errors
---@param text string
---@return {sql: string, file: string, line: integer}[]
---Errors: scratch_meta_command, scratch_encoding.
return function(name, text)
  text = text:gsub("^\239\187\191", "")
  if text:find("\0", 1, true) or text:sub(1, 5) == "PGDMP" then
    errors.raise { code = "scratch_encoding", message = name .. ": expected SQL text, found something else",
      fix = "write it with pg_dump --schema-only --format=plain" }
  end
  local out, at, line, counted = {}, 1, 1, 1
  local function line_of(position)
    local _, n = text:sub(counted, position - 1):gsub("\n", "")
    line, counted = line + n, math.max(counted, position)
    return line
  end
  while true do
    local sql, after, first = next_statement(text, at, name, line_of)
    if not sql then return out end
    out[#out + 1] = { sql = sql, file = name, line = line_of(first) }
    at = after
  end
end
