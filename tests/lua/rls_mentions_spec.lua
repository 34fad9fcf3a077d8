-- What counts as a mention of a name in a text of SQL.
local mentions = require "rls.mentions"

describe("a mention of a name", function()
  for text, names in pairs {
    ["select * from public.items i"] = { "items", "public", "ITEMS" },
    ['select * from "überweisungen"'] = { "überweisungen" },
    ["select 1 from straße"] = { "straße" },
    ['select * from "100%s ""odd"" %d"'] = { '100%s "odd" %d' },
    ['select * from "- x -"'] = { "- x -" },
    ['select * from u&"\\0069tems"'] = { "items", "anything at all" },
  } do
    it("is in: " .. text, function()
      for _, name in ipairs(names) do assert.is_true(mentions.name(text, name), name) end
    end)
  end

  it("is not a part of a longer name", function()
    for _, text in ipairs { "select * from line_items", "select itemsize", "select items2", "select items$a", "select éitems" } do
      assert.is_false(mentions.name(text, "items"), text)
    end
    assert.is_false(mentions.name("select 1", ""))
  end)

  it("is one of a function only where it is called", function()
    assert.is_true(mentions.call("select peek (1)", "peek"))
    assert.is_true(mentions.call('select "naïve peek"(1)', "naïve peek"))
    assert.is_false(mentions.call("select peek from t", "peek"))
  end)
end)
