--- Comma-separated values (RFC 4180) with a header line. Pure: needs no capability. What is not well-formed is refused with its line.
local errors = require "errors"

local csv = {}

local BYTES_MAX, FIELDS_MAX = 8 << 20, 200

local function refuse(line, what)
  errors.raise { code = "csv_invalid", message = ("line %d: %s"):format(line, what), fix = "write it as RFC 4180 says, in UTF-8" }
end

--- One field from position `at`: its value, and where what follows it begins. A quoted one may hold line breaks.
local function field(text, at, line)
  if text:sub(at, at) ~= '"' then
    local value = text:match('^[^,"\r\n]*', at)
    local stop = at + #value
    if text:sub(stop, stop) == '"' then refuse(line, "a quotation mark inside of a field that does not begin with one") end
    return value, stop
  end
  local from, parts = at + 1, {}
  while true do
    local mark = text:find('"', from, true)
    if not mark then refuse(line, "a quotation mark that nothing closes") end
    parts[#parts + 1] = text:sub(from, mark - 1)
    if text:sub(mark + 1, mark + 1) ~= '"' then return table.concat(parts, '"'), mark + 1 end
    from = mark + 2
  end
end

--- One record from position `at`: its fields, where the next one begins, and its line.
local function record(text, at, line)
  local fields, began = {}, line
  while true do
    local value, stop = field(text, at, line)
    local _, breaks = value:gsub("\n", "")
    line = line + breaks
    fields[#fields + 1] = value
    if #fields > FIELDS_MAX then refuse(line, ("over %d fields"):format(FIELDS_MAX)) end
    local after = text:match("^\r?\n", stop)
    if after or stop > #text then return fields, stop + #(after or ""), line + 1, began end
    if text:sub(stop, stop) ~= "," then refuse(line, "text after a closing quotation mark") end
    at = stop + 1
  end
end

--- Reads a table: one row a record, by the names in the header.
---@param text string
---@return table<string, string>[] rows  each with its `line`, a number
---@return string[] names
---Errors: csv_invalid (the line, and what is wrong there).
function csv.parse(text)
  if #text > BYTES_MAX then refuse(1, ("over %d bytes"):format(BYTES_MAX)) end
  if not utf8.len(text) then refuse(1, "it is no UTF-8") end
  text = text:gsub("^\u{FEFF}", "")
  if text == "" then refuse(1, "there is no header") end
  local names, at, line = record(text, 1, 1)
  local seen = {}
  for _, name in ipairs(names) do
    if name == "" or seen[name] then refuse(1, ('the header has %s'):format(name == "" and "an empty name" or name .. " twice")) end
    seen[name] = true
  end
  local rows = {}
  while at <= #text do
    local fields, next_at, next_line, began = record(text, at, line)
    if #fields ~= #names then refuse(began, ("%d fields, and the header has %d"):format(#fields, #names)) end
    local row = { line = began }
    for i, name in ipairs(names) do
      if name ~= "line" then row[name] = fields[i] end
    end
    rows[#rows + 1], at, line = row, next_at, next_line
  end
  return rows, names
end

return csv
