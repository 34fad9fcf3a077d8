--- Fuzz of the reader of tickets' CSV: 10,000 tables, written as RFC 4180 says, each of which must come back as it was; and then damaged,
--- when each must be read or refused with its line, and never raise anything else, hang or lose a field. The seed is fixed, so that a
--- failure comes back: `lua5.4 tests/fuzz/csv.lua [ROUNDS [SEED]]`.
local csv = require "csv"

local rounds, seed = tonumber(arg[1]) or 10000, tonumber(arg[2]) or 94

local TEXTS = { "", "a", "T-1", "a,b", 'say "so"', '"', "two\nlines", "two\r\nlines", " padded ", "=1+1", "Größe", "\u{1F600}", "\0", "\t",
  ("x"):rep(300) }
local PIECES = { "", "\0", "\n", "\r", "\r\n", '"', '""', '","', ",", ",,,", "\255", "\192\128", "\239\187\191", ("a,"):rep(250), "a\n" }

local function field(text)
  if text:find '[",\r\n]' or math.random(4) == 1 then return '"' .. text:gsub('"', '""') .. '"' end
  return text
end

local function table_of(columns, n)
  local names, rows = {}, {}
  for i = 1, columns do names[i] = "name" .. i end
  for r = 1, n do
    rows[r] = {}
    for i = 1, columns do rows[r][names[i]] = TEXTS[math.random(#TEXTS)] end
    if columns == 1 and rows[r].name1 == "" then rows[r].name1 = "x" end -- a line of nothing is no row of one empty field
  end
  return names, rows
end

local function written(names, rows)
  local ends = math.random(2) == 1 and "\n" or "\r\n"
  local lines = { table.concat(names, ",") }
  for r, row in ipairs(rows) do
    local fields = {}
    for i, name in ipairs(names) do fields[i] = field(row[name]) end
    lines[r + 1] = table.concat(fields, ",")
  end
  return table.concat(lines, ends) .. (math.random(2) == 1 and ends or "")
end

local function damaged(bytes)
  for _ = 1, math.random(1, 3) do
    local at, kind = math.random(0, #bytes), math.random(3)
    if kind == 1 then bytes = bytes:sub(1, at) .. PIECES[math.random(#PIECES)] .. bytes:sub(at + 1)
    elseif kind == 2 then bytes = bytes:sub(1, at) .. bytes:sub(at + math.random(1, 12))
    else bytes = bytes:sub(1, at) .. string.char(math.random(0, 255)) .. bytes:sub(at + 2) end
  end
  return bytes
end

local function same(names, rows, read)
  assert(#read == #rows, ("%d rows were written, %d read"):format(#rows, #read))
  for r, row in ipairs(rows) do
    for _, name in ipairs(names) do
      assert(read[r][name] == row[name], ("row %d, %s: %q, read %q"):format(r, name, row[name], read[r][name]))
    end
  end
end

--- Read or refused: then with a code and a line.
local function read_or_refused(bytes)
  local ok, rows, names = pcall(csv.parse, bytes)
  if not ok then
    assert(type(rows) == "table" and rows.code == "csv_invalid" and rows.message:find "^line %d+: ", tostring(rows))
    return false
  end
  for _, row in ipairs(rows) do
    for _, name in ipairs(names) do assert(name == "line" or type(row[name]) == "string", "a field was lost") end
  end
  return true
end

math.randomseed(seed)
local read = 0
for round = 1, rounds do
  local names, rows = table_of(math.random(1, 6), math.random(0, 5))
  local bytes = written(names, rows)
  local ok, problem = pcall(function()
    same(names, rows, (csv.parse(bytes)))
    bytes = damaged(bytes)
    if read_or_refused(bytes) then read = read + 1 end
  end)
  if not ok then
    io.stderr:write(("fuzz csv: round %d of seed %d failed: %s\n%q\n"):format(round, seed, tostring(problem), bytes))
    os.exit(1)
  end
end
assert(read > 0 and read < rounds, "every damaged table was treated alike: nothing was tested")
print(("fuzz csv: %d tables came back; damaged %d were read, the others refused"):format(rounds, read))
