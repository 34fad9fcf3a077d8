--- Roster forecasts: text and CSV to tour templates.
--
-- Whitelist only. A line either matches the grammar below to the last byte or is a FAIL with one code, line and column;
-- nothing is repaired, completed or guessed, because a guessed forecast line is a shift nobody ordered.
--
--   text  DAY RANGE [+ RANGE] [N Fahrer] [Depot NAME]          blanks are spaces or tabs; `#` starts a comment
--         DAY    Mo Di Mi Do Fr Sa So, Montag … Sonntag         RANGE  HH:MM-HH:MM, an end before its start is the next day
--   csv   day,start_time,end_time,location,qualifications       (header needed; RFC 4180 quoting inside one line)
--         day    Mon … Sun, Monday … Sunday
--
-- All times lie on one minute line for the week: day 1 (Monday) 00:00 is minute 0, an end may pass minute 10080.
-- Pure: needs no capability.

local errors = require "errors"

local M = {}

--- Name and version of this grammar; part of the parser configuration's hash.
M.VERSION = "roster-parser/1"

--- Limits of the grammar. A line, file or count beyond them is refused, never cut.
M.LIMITS = { max_bytes = 32 * 1024 * 1024, max_lines = 200000, max_line_bytes = 500, max_count = 1000, max_name_chars = 64 }

--- Every issue code: its status and what it means.
---@type table<string, {status: "FAIL"|"WARN", text: string}>
M.CODES = {
  MISSING_DAY          = { status = "FAIL", text = "the line does not start with a known day" },
  INVALID_TIME_FORMAT  = { status = "FAIL", text = "the time is not written HH:MM-HH:MM" },
  INVALID_HOUR         = { status = "FAIL", text = "the hour is not 00 to 23" },
  INVALID_MINUTE       = { status = "FAIL", text = "the minute is not 00 to 59" },
  INVALID_SPLIT_FORMAT = { status = "FAIL", text = "a split shift is two ranges joined by ' + '" },
  INVALID_TIME_RANGE   = { status = "FAIL", text = "the times contradict each other" },
  INVALID_COUNT        = { status = "FAIL", text = "the number of drivers is not 'N Fahrer' with N from 1" },
  INVALID_DEPOT        = { status = "FAIL", text = "the depot has no name, or one with characters that are not allowed" },
  INVALID_SKILL        = { status = "FAIL", text = "the qualifications hold characters that are not allowed" },
  UNEXPECTED_TEXT      = { status = "FAIL", text = "the line goes on with something the format does not know" },
  LINE_TOO_LONG        = { status = "FAIL", text = "the line is longer than the format allows" },
  INVALID_ENCODING     = { status = "FAIL", text = "the line is not UTF-8" },
  CONTROL_CHARACTER    = { status = "FAIL", text = "the line holds a control character" },
  MISSING_HEADER       = { status = "FAIL", text = "the first line is not the CSV header" },
  INVALID_CSV          = { status = "FAIL", text = "the line is not a CSV record of five fields" },
  FILE_TOO_LARGE       = { status = "FAIL", text = "the forecast is larger than the format allows" },
  EMPTY_FORECAST       = { status = "FAIL", text = "the forecast holds no tour" },
  DUPLICATE_LINE       = { status = "WARN", text = "an earlier line says the same; their drivers are added up" },
  LONG_TOUR            = { status = "WARN", text = "the tour is longer than any block may be" },
  SPLIT_BREAK          = { status = "WARN", text = "the break of the split shift is not 240 to 360 minutes" },
}

--- German day words of the text form, day number by word.
M.DAYS_TEXT = {
  Mo = 1, Di = 2, Mi = 3, Do = 4, Fr = 5, Sa = 6, So = 7,
  Montag = 1, Dienstag = 2, Mittwoch = 3, Donnerstag = 4, Freitag = 5, Samstag = 6, Sonntag = 7,
}
--- English day words of the CSV form, day number by word.
M.DAYS_CSV = {
  Mon = 1, Tue = 2, Wed = 3, Thu = 4, Fri = 5, Sat = 6, Sun = 7,
  Monday = 1, Tuesday = 2, Wednesday = 3, Thursday = 4, Friday = 5, Saturday = 6, Sunday = 7,
}
local DAY_SHORT = { "Mo", "Di", "Mi", "Do", "Fr", "Sa", "So" }
local CSV_HEADER = "day,start_time,end_time,location,qualifications"

local BREAK_MIN, BREAK_MAX = 240, 360
local LONG_TOUR_MIN = 840
local DAY_MIN = 1440

-- A line's parse fails by raising this marker; parse_line turns it into an issue. A table, so that no real error is taken for one.
local issue_mt = {}

--- Stop the parse of this line.
---@param code string     a key of M.CODES
---@param at integer      byte position in the line, from 1
---@param message string  what was found and what was expected
local function stop(code, at, message)
  error(setmetatable({ code = code, at = at, message = message }, issue_mt), 0)
end

--- A piece of the line for a message: bounded, valid UTF-8, quoted.
---@param s string
---@return string
local function quoted(s)
  if utf8.len(s) and utf8.len(s) > 24 then s = s:sub(1, utf8.offset(s, 24) - 1) .. "…" end
  return "'" .. s .. "'"
end

--- The line as it may stand in a JSON document: what is not UTF-8, or controls, is written \xNN.
---@param s string
---@return string
local function printable(s)
  if #s > M.LIMITS.max_line_bytes then s = s:sub(1, M.LIMITS.max_line_bytes) end
  if utf8.len(s) and not s:find("[%c]") then return s end
  return (s:gsub("[%c\128-\255]", function(c) return ("\\x%02X"):format(c:byte()) end))
end

--- Whether one code point may stand in a depot's or skill's name: ASCII letters, digits and -_./, Latin letters.
local function name_char(cp)
  return (cp >= 0x30 and cp <= 0x39) or (cp >= 0x41 and cp <= 0x5A) or (cp >= 0x61 and cp <= 0x7A)
    or cp == 0x2D or cp == 0x5F or cp == 0x2E or cp == 0x2F
    or (cp >= 0xC0 and cp <= 0x24F and cp ~= 0xD7 and cp ~= 0xF7)
end

--- Check a name's characters; `extra` allows more ASCII characters.
local function check_name(name, at, code, extra)
  for pos, cp in utf8.codes(name) do
    if not name_char(cp) and not (cp < 128 and extra:find(string.char(cp), 1, true)) then
      stop(code, at + pos - 1, ("character %s (U+%04X) is not allowed here"):format(quoted(utf8.char(cp)), cp))
    end
  end
  if utf8.len(name) > M.LIMITS.max_name_chars then
    stop(code, at, ("the name has %d characters, at most %d are allowed"):format(utf8.len(name), M.LIMITS.max_name_chars))
  end
end

--- Read HH:MM; the caller has checked the shape, this checks the values.
local function clock(hh, mm, at)
  local h, m = tonumber(hh), tonumber(mm)
  if h > 23 then stop("INVALID_HOUR", at, ("hour %s, expected 00 to 23"):format(hh)) end
  if m > 59 then stop("INVALID_MINUTE", at + 3, ("minute %s, expected 00 to 59"):format(mm)) end
  return h * 60 + m
end

--- Turn two clock times of a day into minutes on the week's line.
local function span(day, from, to, at)
  if from == to then
    stop("INVALID_TIME_RANGE", at, "start and end are the same time: nothing, or a whole day? Write what is meant as two tours")
  end
  local base = (day - 1) * DAY_MIN
  return { start_min = base + from, end_min = base + to + (to < from and DAY_MIN or 0) }
end

--- One HH:MM-HH:MM token.
local function range(token, at, day, code)
  local h1, m1, h2, m2 = token:match("^(%d%d):(%d%d)%-(%d%d):(%d%d)$")
  if not h1 then stop(code, at, ("%s, expected HH:MM-HH:MM"):format(quoted(token))) end
  return span(day, clock(h1, m1, at), clock(h2, m2, at + 6), at)
end

--- Words of a line with their byte positions.
---@return {text: string, at: integer}[]
local function words_of(line)
  local words = {}
  for at, text in line:gmatch("()([^ \t]+)") do words[#words + 1] = { text = text, at = at } end
  return words
end

--- The optional second range; returns the parts and the index of the next word.
local function split_part(words, i, day, first, last_at)
  if not words[i] or words[i].text ~= "+" then
    if words[i] and words[i].text:sub(1, 1) == "+" then
      stop("INVALID_SPLIT_FORMAT", words[i].at, "expected ' + ' with a blank on both sides")
    end
    return { first }, i
  end
  local word = words[i + 1]
  if not word then stop("INVALID_SPLIT_FORMAT", last_at, "nothing follows the '+', expected HH:MM-HH:MM") end
  local second = range(word.text, word.at, day, "INVALID_SPLIT_FORMAT")
  if second.start_min <= first.end_min then
    stop("INVALID_TIME_RANGE", word.at, "the second part must start after the first ends, on the same day")
  end
  if words[i + 2] and words[i + 2].text:sub(1, 1) == "+" then
    stop("INVALID_SPLIT_FORMAT", words[i + 2].at, "a split shift has two parts, a third was found")
  end
  return { first, second }, i + 2
end

--- The optional 'N Fahrer'; returns the count and the index of the next word.
local function driver_count(words, i)
  local word, after = words[i], words[i + 1]
  local is_count = word and (word.text == "Fahrer" or (after and after.text == "Fahrer" and word.text ~= "Depot")
    or word.text:find("^[%d+.,-]"))
  if not is_count then return 1, i end
  if not word.text:find("^[1-9]%d*$") or #word.text > 9 or tonumber(word.text) > M.LIMITS.max_count then
    stop("INVALID_COUNT", word.at, ("%s, expected 1 to %d followed by 'Fahrer'"):format(quoted(word.text), M.LIMITS.max_count))
  end
  if not after or after.text ~= "Fahrer" then
    stop("INVALID_COUNT", word.at, ("%s is not followed by 'Fahrer'"):format(quoted(word.text)))
  end
  return math.tointeger(tonumber(word.text)), i + 2
end

--- The optional 'Depot NAME', which ends the line.
local function depot_name(words, i)
  local word = words[i]
  if not word then return nil end
  if word.text ~= "Depot" then
    stop("UNEXPECTED_TEXT", word.at, ("%s, expected '+', 'N Fahrer', 'Depot NAME' or the end"):format(quoted(word.text)))
  end
  if not words[i + 1] then stop("INVALID_DEPOT", word.at, "no name follows 'Depot'") end
  local names = {}
  for j = i + 1, #words do
    if words[j].text == "Fahrer" or words[j].text == "Depot" then
      stop("UNEXPECTED_TEXT", words[j].at, ("%s inside a depot's name; the order is count, then depot"):format(quoted(words[j].text)))
    end
    check_name(words[j].text, words[j].at, "INVALID_DEPOT", "")
    names[#names + 1] = words[j].text
  end
  local name = table.concat(names, " ")
  check_name(name, words[i + 1].at, "INVALID_DEPOT", " ")
  return name
end

--- Parse one line of the text form, without its comment.
local function text_line(content)
  local words = words_of(content)
  local day = M.DAYS_TEXT[words[1].text]
  if not day then
    stop("MISSING_DAY", words[1].at, ("%s, expected one of %s or a full day name"):format(quoted(words[1].text),
      table.concat(DAY_SHORT, " ")))
  end
  local word = words[2]
  if not word then stop("INVALID_TIME_FORMAT", #content + 1, "no time follows the day, expected HH:MM-HH:MM") end
  if word.text:find("+", 1, true) then
    stop("INVALID_SPLIT_FORMAT", word.at, "expected ' + ' with a blank on both sides, between two ranges HH:MM-HH:MM")
  end
  local first = range(word.text, word.at, day, "INVALID_TIME_FORMAT")
  local parts, i = split_part(words, 3, day, first, #content + 1)
  local count
  count, i = driver_count(words, i)
  return { day = day, parts = parts, count = count, depot = depot_name(words, i) }
end

--- The fields of one CSV record, with positions (RFC 4180 §2, but a record never spans lines).
local function csv_fields(line)
  local fields, at = {}, 1
  while true do
    if line:sub(at, at) == '"' then
      local text, stop_at = {}, at + 1
      while true do
        local q = line:find('"', stop_at, true)
        if not q then stop("INVALID_CSV", at, "a quoted field is not closed on its line") end
        text[#text + 1] = line:sub(stop_at, q - 1)
        stop_at = q + 1
        if line:sub(stop_at, stop_at) ~= '"' then break end
        text[#text + 1] = '"'
        stop_at = stop_at + 1
      end
      fields[#fields + 1] = { text = table.concat(text), at = at + 1 }
      at = stop_at
      if at <= #line and line:sub(at, at) ~= "," then stop("INVALID_CSV", at, "text follows a closed quote") end
    else
      local e = (line:find(",", at, true) or #line + 1) - 1
      local text = line:sub(at, e)
      local q = text:find('"', 1, true)
      if q then stop("INVALID_CSV", at + q - 1, "a quote inside a field that is not quoted") end
      fields[#fields + 1] = { text = text, at = at }
      at = e + 1
    end
    if at > #line then return fields end
    at = at + 1
    if at > #line then
      fields[#fields + 1] = { text = "", at = at }
      return fields
    end
  end
end

--- One HH:MM field.
local function csv_time(field)
  local h, m = field.text:match("^(%d%d):(%d%d)$")
  if not h then stop("INVALID_TIME_FORMAT", field.at, ("%s, expected HH:MM"):format(quoted(field.text))) end
  return clock(h, m, field.at)
end

--- Parse one record of the CSV form.
local function csv_line(line)
  local f = csv_fields(line)
  if #f ~= 5 then stop("INVALID_CSV", 1, ("%d fields, expected 5: %s"):format(#f, CSV_HEADER)) end
  local day = M.DAYS_CSV[f[1].text]
  if not day then
    stop("MISSING_DAY", f[1].at, ("%s, expected Mon Tue Wed Thu Fri Sat Sun or a full name"):format(quoted(f[1].text)))
  end
  local part = span(day, csv_time(f[2]), csv_time(f[3]), f[2].at)
  local depot, skill
  if f[4].text ~= "" then
    check_name(f[4].text, f[4].at, "INVALID_DEPOT", " ")
    if f[4].text:find("^ ") or f[4].text:find(" $") or f[4].text:find("  ", 1, true) then
      stop("INVALID_DEPOT", f[4].at, "blanks at the edge or doubled")
    end
    depot = f[4].text
  end
  if f[5].text ~= "" then
    check_name(f[5].text, f[5].at, "INVALID_SKILL", ";")
    skill = f[5].text
  end
  return { day = day, parts = { part }, count = 1, depot = depot, skill = skill }
end

--- What every line must be before its grammar is looked at.
local function check_bytes(line)
  if #line > M.LIMITS.max_line_bytes then
    stop("LINE_TOO_LONG", M.LIMITS.max_line_bytes + 1, ("%d bytes, at most %d are allowed"):format(#line, M.LIMITS.max_line_bytes))
  end
  local ok, bad = utf8.len(line)
  if not ok then stop("INVALID_ENCODING", bad, ("byte 0x%02X is not part of a UTF-8 character"):format(line:byte(bad))) end
  local control = line:find("[\0-\8\10-\31\127]")
  if control then stop("CONTROL_CHARACTER", control, ("control character 0x%02X"):format(line:byte(control))) end
end

--- Advice on a line that is understood: nothing here changes what it means.
local function warnings(entry)
  for _, part in ipairs(entry.parts) do
    local minutes = part.end_min - part.start_min
    if minutes > LONG_TOUR_MIN then
      return "LONG_TOUR", ("%d minutes, a block of one tour may last %d"):format(minutes, LONG_TOUR_MIN)
    end
  end
  if entry.parts[2] then
    local pause = entry.parts[2].start_min - entry.parts[1].end_min
    if pause < BREAK_MIN or pause > BREAK_MAX then
      return "SPLIT_BREAK", ("a break of %d minutes, expected %d to %d"):format(pause, BREAK_MIN, BREAK_MAX)
    end
  end
end

--- Run a line's grammar; an issue is returned, any other error goes on.
local function try(fn, line)
  local ok, result = pcall(fn, line)
  if ok then return result end
  if type(result) == "table" and getmetatable(result) == issue_mt then return nil, result end
  error(result, 0)
end

--- The column, in characters from 1, of a byte position. In front of a bad byte all is valid, so this cannot fail there.
local function column_of(line, at)
  if at > #line + 1 then at = #line + 1 end
  return (utf8.len(line, 1, at - 1, true) or at - 1) + 1
end

--- Lines of a text: LF or CRLF; a last line without its end counts, an empty last line does not.
local function each_line(bytes)
  local at, n = 1, 0
  return function()
    if at > #bytes then return nil end
    local e = bytes:find("\n", at, true)
    local line = bytes:sub(at, (e or #bytes + 1) - 1)
    if e and line:sub(-1) == "\r" then line = line:sub(1, -2) end
    at = (e or #bytes) + 1
    n = n + 1
    return n, line
  end
end

local function add_issue(out, line_no, column, code, message)
  local status = M.CODES[code].status
  out.issues[#out.issues + 1] = { line_no = line_no, column = column, code = code, status = status, message = message }
  return status
end

local function record(out, line_no, line, status, code, column, message)
  out.lines[#out.lines + 1] = {
    line_no = line_no, raw_text = printable(line), status = status, code = code, column = column, message = message,
  }
  out.counts[status:lower()] = out.counts[status:lower()] + 1
end

--- Text form of one parsed line, as format() writes it: two lines with the same one mean the same.
local function canonical_line(entry)
  local function hm(minute) return ("%02d:%02d"):format(minute // 60 % 24, minute % 60) end
  local out = { DAY_SHORT[entry.day] }
  for i, part in ipairs(entry.parts) do
    if i == 2 then out[#out + 1] = "+" end
    out[#out + 1] = hm(part.start_min) .. "-" .. hm(part.end_min)
  end
  if entry.count ~= 1 then out[#out + 1] = entry.count .. " Fahrer" end
  if entry.depot then out[#out + 1] = "Depot " .. entry.depot end
  return table.concat(out, " ")
end

--- Parse one line that holds a tour; adds to the result.
local function parse_line(out, seen, csv, line_no, line, content)
  local entry, issue = try(csv and csv_line or text_line, content)
  if not entry then
    local column = column_of(line, issue.at)
    add_issue(out, line_no, column, issue.code, issue.message)
    return record(out, line_no, line, "FAIL", issue.code, column, issue.message)
  end
  local code, message = warnings(entry)
  if not csv then
    local key = canonical_line({ day = entry.day, parts = entry.parts, count = 1, depot = entry.depot })
    if seen[key] and not code then code, message = "DUPLICATE_LINE", ("line %d says the same"):format(seen[key]) end
    seen[key] = seen[key] or line_no
  end
  if code then add_issue(out, line_no, 1, code, message) end
  entry.line_no = line_no
  out.entries[#out.entries + 1] = entry
  record(out, line_no, line, code and "WARN" or "PASS", code, code and 1 or nil, message)
end

--- The header of the CSV form; false when the rest cannot be read.
local function csv_header(out, line_no, line)
  local _, issue = try(check_bytes, line)
  if not issue and line == CSV_HEADER then return true end
  local code = issue and issue.code or "MISSING_HEADER"
  local message = issue and issue.message or ("found %s, expected '%s'"):format(quoted(printable(line)), CSV_HEADER)
  local column = issue and column_of(line, issue.at) or 1
  add_issue(out, line_no, column, code, message)
  record(out, line_no, line, "FAIL", code, column, message)
  return false
end

--- Walk over all lines.
local function parse_lines(out, bytes, csv)
  local seen, header = {}, false
  for line_no, line in each_line(bytes) do
    out.counts.lines = line_no
    if line_no > M.LIMITS.max_lines then
      add_issue(out, line_no, 1, "FILE_TOO_LARGE", ("more than %d lines"):format(M.LIMITS.max_lines))
      return
    end
    if csv and not header then
      if not csv_header(out, line_no, line) then return end
      header = true
    else
      local _, issue = try(check_bytes, line)
      if issue then
        local column = column_of(line, issue.at)
        add_issue(out, line_no, column, issue.code, issue.message)
        record(out, line_no, line, "FAIL", issue.code, column, issue.message)
      else
        local content = csv and line or line:gsub("#.*", "")
        content = csv and content or content:gsub("[ \t]+$", "")
        if content ~= "" then parse_line(out, seen, csv, line_no, line, content) end
      end
    end
  end
end

--- Parse a forecast.
---
--- The result is complete whether or not lines fail: who calls decides on `status`. Templates of lines that are
--- understood are in `entries`, in the order of the file; packs.roster.expand makes tour templates of them.
---@param bytes string  the file as it is; UTF-8, LF or CRLF, a byte order mark at the start is dropped
---@param format "text"|"csv"  never guessed from the content
---@return table result {format, status = "PASS"|"WARN"|"FAIL", counts = {lines, pass, warn, fail, tours},
---  lines = {{line_no, raw_text, status, code?, column?, message?}}, issues = {{line_no, column, code, status, message}},
---  entries = {{line_no, day, parts = {{start_min, end_min}}, count, depot?, skill?}}}; blank lines and comments have no entry
---  in `lines`. Columns count characters from 1. Errors: bad_argument.
function M.parse(bytes, format)
  if type(bytes) ~= "string" then
    errors.raise { code = "bad_argument", message = "parser.parse: bytes: expected a string, got " .. type(bytes) }
  end
  if format ~= "text" and format ~= "csv" then
    errors.raise { code = "bad_argument", message = ("parser.parse: format: expected text or csv, got %s"):format(tostring(format)) }
  end
  local out = {
    format = format, lines = {}, issues = {}, entries = {},
    counts = { lines = 0, pass = 0, warn = 0, fail = 0, tours = 0 },
  }
  if #bytes > M.LIMITS.max_bytes then
    add_issue(out, 1, 1, "FILE_TOO_LARGE", ("%d bytes, at most %d are allowed"):format(#bytes, M.LIMITS.max_bytes))
  else
    if bytes:sub(1, 3) == "\xEF\xBB\xBF" then bytes = bytes:sub(4) end
    parse_lines(out, bytes, format == "csv")
  end
  for _, entry in ipairs(out.entries) do out.counts.tours = out.counts.tours + entry.count * #entry.parts end
  if #out.entries == 0 and #out.issues == 0 then
    add_issue(out, 1, 1, "EMPTY_FORECAST", "no line holds a tour")
  end
  out.status = "PASS"
  for _, issue in ipairs(out.issues) do
    if issue.status == "FAIL" then out.status = "FAIL" break end
    out.status = "WARN"
  end
  return out
end

--- Write a parsed line back as text. parse(format(e)) gives e again, for every entry of a text forecast.
---@param entry table  an element of a result's `entries`
---@return string
function M.format(entry)
  if entry.skill then
    errors.raise { code = "bad_argument", message = "parser.format: the text form has no qualifications; write CSV" }
  end
  return canonical_line(entry)
end

--- What decides how a text is understood, to be hashed as parser_config_hash.
---@return table  {version, limits}
function M.config()
  local limits = {}
  for k, v in pairs(M.LIMITS) do limits[k] = v end
  return { version = M.VERSION, limits = limits }
end

return M
