-- What of the server's words about a refused statement may stand in a report.
package.path = "stdlib/?.lua;" .. package.path
local said = require "rls.said"

describe("words about a refused statement", function()
  local conn = {}
  said.know(conn, { refuse = "begin raise exception 'the board''s seats are taken, Anna'; end" })

  local function of(sqlstate, message, context) return said.of(conn, { sqlstate = sqlstate, message = message, context = context }) end

  local RAISED = "PL/pgSQL function core.refuse() line 1 at RAISE\nSQL statement \"insert into seats\""

  it("are the server's own where it names objects", function()
    for _, case in ipairs { { "23514", 'new row for relation "items" violates check constraint "items_check"' },
      { "42501", 'permission denied for table "items"' }, { "57014", "canceling statement due to statement timeout" } } do
      assert.equal(case[2], of(case[1], case[2], "PL/pgSQL function core.refuse() line 3 at SQL statement"))
    end
  end)

  it("lose the values that have no type's form, in whatever quotes", function()
    for message, expected in pairs {
      ['invalid input syntax for type integer: "Anna"'] = "invalid input syntax for type integer: …",
      ['value "4711" is out of range for type "smallint"'] = "value …",
      ['value "4711" is out of range for type integer'] = "value … is out of range for type integer",
      ['invalid input syntax for type integer: "An"na B"'] = "invalid input syntax for type integer: …",
      ["ungültige Eingabesyntax für Typ integer: »Anna«"] = "ungültige Eingabesyntax für Typ integer: …",
      ["syntaxe en entrée invalide pour le type integer : « Anna »"] = "syntaxe en entrée invalide pour le type integer : …",
      ['invalid input syntax for type integer: "An'] = "invalid input syntax for type integer: …",
      ["division by zero"] = "division by zero",
    } do
      assert.equal(expected, of("22P02", message))
    end
  end)

  it("are a function's where they stand in its text as a literal, whole", function()
    assert.equal("the board's seats are taken, Anna", of("P0001", "the board's seats are taken, Anna", RAISED))
    for _, message in ipairs { "Anna", "seats", "held by Anna", "" } do
      local told = of("P0001", message, RAISED)
      assert.truthy(told:find("SQLSTATE P0001, raised by core.refuse() (its words may hold rows", 1, true), told)
    end
  end)

  it("are a function's whatever its SQLSTATE, and those of other languages and servers", function()
    assert.falsy(of("23514", "held by Anna", RAISED):find "Anna")
    assert.falsy(of("XX000", "held by Anna", 'PL/Python function "tell"'):find "Anna")
    assert.falsy(of("38000", "held by Anna"):find "Anna")
    assert.falsy(of("HV000", "held by Anna"):find "Anna")
  end)
end)
