-- RFC 4180: what is well-formed is read, what is not is refused with its line; never anything in between.
local csv = require "csv"

describe("csv", function()
  it("reads fields, quoted ones with commas, quotation marks and line breaks, and either end of a line", function()
    local rows, names = csv.parse('\u{FEFF}a,b\r\n1,\n"x,""y""\n z",\r\n"",ä\n')
    assert.same({ "a", "b" }, names)
    assert.same({ { a = "1", b = "", line = 2 }, { a = 'x,"y"\n z', b = "", line = 3 }, { a = "", b = "ä", line = 5 } }, rows)
    assert.same({}, (csv.parse "a,b"))
    assert.same({ { a = "1", line = 2 } }, (csv.parse "a\n1"))
  end)

  it("refuses what is not well-formed, with the line", function()
    for text, words in pairs {
      [""] = "line 1: there is no header", ["a,a\n"] = "line 1: the header has a twice", ["a,\n"] = "line 1: the header has an empty name",
      ["a,b\n1\n"] = "line 2: 1 fields, and the header has 2", ["a\n1,2\n"] = "line 2: 2 fields, and the header has 1",
      ['a\n"1\n2\n'] = "line 2: a quotation mark that nothing closes", ['a\n\n"1"x\n'] = "line 3: text after a closing quotation mark",
      ['a\n1"\n'] = "line 2: a quotation mark inside of a field", ["a\n\255\n"] = "it is no UTF-8",
      ["a\r1\n"] = "line 1: text after",
    } do
      local ok, e = pcall(csv.parse, text)
      assert.is_false(ok, text)
      assert.equal("csv_invalid", e.code)
      assert.is_truthy(e.message:find(words, 1, true), e.message)
    end
  end)

  it("reads back what is written, and raises nothing but refusals, whatever the bytes", function()
    math.randomseed(94)
    local PIECES = { ",", '"', '""', "\n", "\r\n", "\r", "x", " ", "ä", "\255", "" }
    for _ = 1, 3000 do
      local fields, text = {}, {}
      for i = 1, 3 do
        local bytes = {}
        for k = 1, math.random(0, 6) do bytes[k] = PIECES[math.random(#PIECES)] end
        fields[i] = table.concat(bytes):gsub("\255", "y")
        text[i] = '"' .. fields[i]:gsub('"', '""') .. '"'
      end
      local rows = csv.parse("a,b,c\n" .. table.concat(text, ",") .. "\n")
      assert.same({ a = fields[1], b = fields[2], c = fields[3], line = 2 }, rows[1])
      local bytes = {}
      for k = 1, math.random(0, 30) do bytes[k] = PIECES[math.random(#PIECES)] end
      local ok, e = pcall(csv.parse, "a,b\n" .. table.concat(bytes))
      assert.is_true(ok or e.code == "csv_invalid", tostring(e))
    end
  end)
end)
