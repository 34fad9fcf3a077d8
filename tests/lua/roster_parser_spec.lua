local parser = require "packs.roster.parser"

--- Code of the one issue of a text, or "" when all lines pass; the issue as well.
local function code(text, format)
  local result = parser.parse(text, format or "text")
  if #result.issues == 0 then return "", result end
  return result.issues[1].code, result, result.issues[1]
end

local function entry(text)
  local result = parser.parse(text, "text")
  assert.same({}, result.issues)
  return result.entries[1]
end

local HEADER = "day,start_time,end_time,location,qualifications\n"

describe("the roster parser", function()
  describe("understands", function()
    it("one driver", function()
      assert.same({ line_no = 1, day = 1, parts = { { start_min = 360, end_min = 840 } }, count = 1 }, entry "Mo 06:00-14:00")
    end)
    it("a count and a depot", function()
      local e = entry "Mo 06:00-14:00 3 Fahrer Depot Nord"
      assert.same({ 3, "Nord" }, { e.count, e.depot })
    end)
    it("a depot of several words with umlauts", function()
      assert.equal("Wien-Süd 2", entry("Mo 06:00-14:00 Depot Wien-Süd 2").depot)
    end)
    it("a split shift", function()
      assert.same({ { start_min = 1800, end_min = 2040 }, { start_min = 2340, end_min = 2580 } },
        entry("Di 06:00-10:00 + 15:00-19:00").parts)
    end)
    it("a shift across midnight, which belongs to the day it starts on", function()
      local e = entry "Do 22:00-06:00"
      assert.same({ 4, 5640, 6120 }, { e.day, e.parts[1].start_min, e.parts[1].end_min })
    end)
    it("a shift from Sunday to Monday as passing the end of the week", function()
      assert.equal(10440, entry("So 22:00-06:00").parts[1].end_min)
    end)
    it("a shift that ends at midnight", function() assert.equal(1440, entry("Mo 18:00-00:00").parts[1].end_min) end)
    for word, day in pairs(parser.DAYS_TEXT) do
      it("the day " .. word, function() assert.equal(day, entry(word .. " 06:00-14:00").day) end)
    end
    it("comments, blank lines, tabs, CRLF, a byte order mark and a missing last line end", function()
      local result = parser.parse("\xEF\xBB\xBF# Woche\r\n\r\nMo\t06:00-14:00  # früh\r\n  Di 06:00-14:00 # x", "text")
      assert.same({ "PASS", 2, 4 }, { result.status, #result.entries, result.counts.lines })
      assert.same({ 3, 4 }, { result.lines[1].line_no, result.lines[2].line_no })
    end)
    it("100,000 lines", function()
      local rows = {}
      for i = 1, 100000 do rows[i] = ("Mo %02d:%02d-23:59 Depot D%d"):format(i % 23, i % 59, i) end
      local result = parser.parse(table.concat(rows, "\n"), "text")
      assert.equal(100000, #result.entries)
      assert.equal(0, result.counts.fail)
    end)
  end)

  describe("refuses", function()
    local cases = {
      { "06:00-14:00", "MISSING_DAY", 1 }, { "mo 06:00-14:00", "MISSING_DAY", 1 }, { "Mon 06:00-14:00", "MISSING_DAY", 1 },
      { "  Xx 06:00-14:00", "MISSING_DAY", 3 },
      { "Mo", "INVALID_TIME_FORMAT", 3 }, { "Mo 6:00-14:00", "INVALID_TIME_FORMAT", 4 }, { "Mo 06:00", "INVALID_TIME_FORMAT", 4 },
      { "Mo 06:00 - 14:00", "INVALID_TIME_FORMAT", 4 }, { "Mo 06:00–14:00", "INVALID_TIME_FORMAT", 4 },
      { "Mo 06.00-14.00", "INVALID_TIME_FORMAT", 4 }, { "Mo ٠٦:00-14:00", "INVALID_TIME_FORMAT", 4 },
      { "Mo 24:00-06:00", "INVALID_HOUR", 4 }, { "Mo 06:00-24:00", "INVALID_HOUR", 10 },
      { "Mo 06:60-14:00", "INVALID_MINUTE", 7 }, { "Mo 06:00-14:99", "INVALID_MINUTE", 13 },
      { "Mo 06:00-06:00", "INVALID_TIME_RANGE", 4 },
      { "Di 06:00-10:00 + 09:00-12:00", "INVALID_TIME_RANGE", 18 }, { "Di 06:00-10:00 + 10:00-12:00", "INVALID_TIME_RANGE", 18 },
      { "Di 22:00-02:00 + 06:00-10:00", "INVALID_TIME_RANGE", 18 },
      { "Di 06:00-10:00 +", "INVALID_SPLIT_FORMAT", 17 }, { "Di 06:00-10:00 + 15:00", "INVALID_SPLIT_FORMAT", 18 },
      { "Di 06:00-10:00+15:00-19:00", "INVALID_SPLIT_FORMAT", 4 }, { "Di 06:00-10:00 +15:00-19:00", "INVALID_SPLIT_FORMAT", 16 },
      { "Di 06:00-08:00 + 12:00-14:00 + 18:00-20:00", "INVALID_SPLIT_FORMAT", 30 },
      { "Di 06:00-10:00 + 25:00-19:00", "INVALID_HOUR", 18 }, { "Di 06:00-10:00 + 15:00-19:77", "INVALID_MINUTE", 27 },
      { "Mo 06:00-14:00 0 Fahrer", "INVALID_COUNT", 16 }, { "Mo 06:00-14:00 03 Fahrer", "INVALID_COUNT", 16 },
      { "Mo 06:00-14:00 -1 Fahrer", "INVALID_COUNT", 16 }, { "Mo 06:00-14:00 1.5 Fahrer", "INVALID_COUNT", 16 },
      { "Mo 06:00-14:00 1001 Fahrer", "INVALID_COUNT", 16 }, { "Mo 06:00-14:00 99999999999999999999 Fahrer", "INVALID_COUNT", 16 },
      { "Mo 06:00-14:00 drei Fahrer", "INVALID_COUNT", 16 }, { "Mo 06:00-14:00 3", "INVALID_COUNT", 16 },
      { "Mo 06:00-14:00 Fahrer", "INVALID_COUNT", 16 }, { "Mo 06:00-14:00 3 Depot Nord", "INVALID_COUNT", 16 },
      { "Mo 06:00-14:00 Depot", "INVALID_DEPOT", 16 }, { "Mo 06:00-14:00 Depot No'rd", "INVALID_DEPOT", 24 },
      { "Mo 06:00-14:00 Depot Su\u{308}d", "INVALID_DEPOT", 24 }, { "Mo 06:00-14:00 Depot No\u{202E}rd", "INVALID_DEPOT", 24 },
      { "Mo 06:00-14:00 Depot " .. ("x"):rep(65), "INVALID_DEPOT", 22 },
      { "Mo 06:00-14:00 Depot Nord 3 Fahrer", "UNEXPECTED_TEXT", 29 }, { "Mo 06:00-14:00 bitte", "UNEXPECTED_TEXT", 16 },
      { "Mo 06:00-14:00 2 Fahrer 3 Fahrer", "UNEXPECTED_TEXT", 25 },
      { "Mo 06:00-14:00 Depot Süd \xFF", "INVALID_ENCODING", 26 }, { "\xFF\xFEM\0o\0", "INVALID_ENCODING", 1 },
      { "Mo 06:00-14:00\0", "CONTROL_CHARACTER", 15 }, { "Mo 06:00-14:00 # \27[31m", "CONTROL_CHARACTER", 18 },
      { "Mo 06:00-14:00\rMo 06:00-14:00", "CONTROL_CHARACTER", 15 },
      { "Mo 06:00-14:00 # " .. ("x"):rep(500), "LINE_TOO_LONG", 501 },
    }
    for _, case in ipairs(cases) do
      it(("%q as %s in column %d"):format(case[1]:sub(1, 44), case[2], case[3]), function()
        local found, result, issue = code(case[1])
        assert.same({ case[2], case[3], 1 }, { found, issue.column, issue.line_no })
        assert.same({}, result.entries)
        assert.same({ "FAIL", "FAIL", case[2] }, { result.status, result.lines[1].status, result.lines[1].code })
        assert.is_true(utf8.len(result.lines[1].raw_text) ~= nil)
      end)
    end
    it("a text without any tour", function()
      assert.equal("EMPTY_FORECAST", code "")
      assert.equal("EMPTY_FORECAST", code "# nothing\n\n")
      assert.equal("FAIL", parser.parse("", "text").status)
    end)
    it("a file beyond its limits", function()
      assert.equal("FILE_TOO_LARGE", code(("\n"):rep(parser.LIMITS.max_lines + 1)))
      assert.equal("FILE_TOO_LARGE", code((" "):rep(parser.LIMITS.max_bytes + 1)))
    end)
    it("a format it does not know", function()
      assert.equal("bad_argument", select(2, pcall(parser.parse, "", "xlsx")).code)
      assert.equal("bad_argument", select(2, pcall(parser.parse, nil, "text")).code)
    end)
    it("one line, and reads the others", function()
      local result = parser.parse("Mo 06:00-14:00\nMo 99:00-14:00\nDi 06:00-14:00", "text")
      assert.same({ 2, 2, 0, 1, "FAIL" }, { #result.entries, result.counts.pass, result.counts.warn, result.counts.fail, result.status })
    end)
  end)

  describe("warns", function()
    it("of a line that an earlier one says already", function()
      local found, result, issue = code "Mo 06:00-14:00\nMo 06:00-14:00 2 Fahrer"
      assert.same({ "DUPLICATE_LINE", 2, "WARN", 2 }, { found, issue.line_no, result.status, #result.entries })
    end)
    it("of a tour longer than 840 minutes, not of one of 840", function()
      assert.equal("LONG_TOUR", code "Mo 06:00-20:01")
      assert.equal("", code "Mo 06:00-20:00")
    end)
    it("of a split's break outside 240 to 360 minutes", function()
      assert.equal("SPLIT_BREAK", code "Mo 06:00-10:00 + 13:59-18:00")
      assert.equal("SPLIT_BREAK", code "Mo 06:00-10:00 + 16:01-18:00")
      assert.equal("", code "Mo 06:00-10:00 + 14:00-18:00")
      assert.equal("", code "Mo 06:00-10:00 + 16:00-18:00")
    end)
  end)

  describe("reads CSV:", function()
    it("the documented record", function()
      local result = parser.parse(HEADER .. "Mon,04:45,09:15,Vienna,\n", "csv")
      assert.same({ line_no = 2, day = 1, parts = { { start_min = 285, end_min = 555 } }, count = 1, depot = "Vienna" }, result.entries[1])
    end)
    it("qualifications, quotes, CRLF and blank lines", function()
      local result = parser.parse(HEADER:gsub("\n", "\r\n") .. '"Sunday",22:00,06:00,"Wien Nord",cold;night\r\n\r\n', "csv")
      assert.equal("PASS", result.status)
      assert.same({ 7, "Wien Nord", "cold;night" }, { result.entries[1].day, result.entries[1].depot, result.entries[1].skill })
    end)
    it("equal records are drivers, not mistakes", function()
      assert.equal("", code(HEADER .. ("Mon,04:45,09:15,Vienna,\n"):rep(3), "csv"))
    end)
    for _, case in ipairs {
      { "Mo,04:45,09:15,,", "MISSING_DAY", 1 }, { "Mon,4:45,09:15,,", "INVALID_TIME_FORMAT", 5 },
      { "Mon,04:45,09:15 ,,", "INVALID_TIME_FORMAT", 11 }, { "Mon,24:45,09:15,,", "INVALID_HOUR", 5 },
      { "Mon,04:45,09:75,,", "INVALID_MINUTE", 14 }, { "Mon,04:45,04:45,,", "INVALID_TIME_RANGE", 5 },
      { "Mon,04:45,09:15,Vienna", "INVALID_CSV", 1 }, { "Mon,04:45,09:15,Vienna,,", "INVALID_CSV", 1 },
      { 'Mon,04:45,09:15,"Vienna,', "INVALID_CSV", 17 }, { 'Mon,04:45,09:15,Vi"enna,', "INVALID_CSV", 19 },
      { 'Mon,04:45,09:15,"Vi"enna,', "INVALID_CSV", 21 }, { "Mon,04:45,09:15,Vien=na,", "INVALID_DEPOT", 21 },
      { "Mon,04:45,09:15, Vienna,", "INVALID_DEPOT", 17 }, { "Mon,04:45,09:15,,a b", "INVALID_SKILL", 19 },
      { '"",04:45,09:15,,', "MISSING_DAY", 2 },
    } do
      it(("%s is %s in column %d"):format(case[1], case[2], case[3]), function()
        local found, result, issue = code(HEADER .. case[1], "csv")
        assert.same({ case[2], case[3], 2 }, { found, issue.column, issue.line_no })
        assert.same({}, result.entries)
      end)
    end
    it("nothing without the header", function()
      local found, result = code("Mon,04:45,09:15,Vienna,\nMon,04:45,09:15,Vienna,", "csv")
      assert.same({ "MISSING_HEADER", 0 }, { found, #result.entries })
    end)
    it("a header of only header is an empty forecast", function() assert.equal("EMPTY_FORECAST", code(HEADER, "csv")) end)
  end)

  it("names a rule for every code it can give, and gives every code", function()
    local given = {}
    local spec = io.open("tests/lua/roster_parser_spec.lua"):read "a"
    for name in pairs(parser.CODES) do given[name] = spec:find('"' .. name .. '"', 1, true) ~= nil end
    for name, there in pairs(given) do assert.is_true(there, name .. " has no test") end
  end)

  it("never crashes, never guesses: 10,000 mutated lines are refused with a place or round-trip", function()
    local seeds = { "Mo 06:00-14:00", "Mo 06:00-14:00 3 Fahrer Depot Nord", "Di 06:00-10:00 + 15:00-19:00", "Do 22:00-06:00",
      "Sonntag 04:45-09:15 12 Fahrer # Kommentar", "Fr 06:00-10:00 + 14:00-18:00 2 Fahrer Depot Wien Süd" }
    local alphabet = { "0", "1", "2", "9", ":", "-", "+", " ", "\t", "#", "M", "o", "D", "ü",
      "\xC3", "\0", "\r", "3 Fahrer", "Depot", "\u{200B}" }
    local state = 94
    local function below(n)
      state = state * 48271 % 2147483647
      return state % n
    end
    local accepted, refused = 0, 0
    for _ = 1, 10000 do
      local line = seeds[1 + below(#seeds)]
      for _ = 1, 1 + below(3) do
        local at = 1 + below(#line + 1)
        local kind, piece = below(3), alphabet[1 + below(#alphabet)]
        line = line:sub(1, at - 1) .. (kind == 0 and "" or piece) .. line:sub(kind == 1 and at or at + 1)
      end
      local result = parser.parse(line, "text")
      for _, issue in ipairs(result.issues) do
        assert.is_not_nil(parser.CODES[issue.code], line)
        assert.is_true(issue.column >= 1 and issue.column <= #line + 1 and issue.line_no == 1, line)
      end
      assert.is_true(#result.entries + result.counts.fail <= 1, line)
      if #result.entries == 1 then
        accepted = accepted + 1
        local e = result.entries[1]
        assert.same(e, parser.parse(parser.format(e), "text").entries[1], line)
        -- what was accepted is, but for comment, blanks and the day's long name, what format() writes
        local plain = line:gsub("#.*", ""):gsub("[ \t]+", " "):gsub("^ ", ""):gsub(" $", ""):gsub("^(%a%a)%a+", "%1")
        assert.equal(parser.format(e), (plain:gsub(" 1 Fahrer", "")), line)
      else
        refused = refused + 1
      end
    end
    assert.is_true(accepted > 500 and refused > 500, ("accepted %d, refused %d"):format(accepted, refused))
  end)
end)
