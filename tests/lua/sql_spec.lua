-- PostgreSQL's grammar for scripts: trees, errors with their place, and bounds that hostile text cannot pass.
local sql = require "engine.sql"
local failure = require("raised").failure

--- The one expression of `select EXPR`.
local function expression(text)
  return sql.parse("select " .. text).stmts[1].stmt.SelectStmt.targetList[1].ResTarget.val
end

describe("engine.sql", function()
  it("parses into the tree of PostgreSQL 15", function()
    assert.are.equal(150001, sql.parse("select 1").version)
    assert.are.equal(2, #sql.parse("select 1; select 2").stmts)
    local e = expression("tenant_id::text = 'a'").A_Expr
    assert.are.equal("AEXPR_OP", e.kind)
    assert.are.equal("=", e.name[1].String.sval)
    assert.are.equal("tenant_id", e.lexpr.TypeCast.arg.ColumnRef.fields[1].String.sval)
    assert.are.equal("a", e.rexpr.A_Const.sval.sval)
  end)

  it("keeps precedence, flattens AND and OR", function()
    local e = expression("a or b and not c or d").BoolExpr
    assert.are.equal("OR_EXPR", e.boolop)
    assert.are.equal(3, #e.args)
    assert.are.equal("AND_EXPR", e.args[2].BoolExpr.boolop)
  end)

  it("keeps text as it is: quotes, UTF-8, control characters", function()
    assert.are.equal("it's ü \1 \\ \"", expression("'it''s ü \1 \\ \"'").A_Const.sval.sval)
  end)

  it("says where a syntax error is, in characters", function()
    local e = failure(sql.parse, "select 'ü' from where")
    assert.are.equal("sql_syntax", e.code)
    assert.are.equal(17, e.position)
    assert.are.equal('SQL text, character 17: syntax error at or near "where"', e.message)
    assert.are.equal(17, failure(sql.fingerprint, "select 'ü' from where").position)
    assert.are.equal("sql_syntax", failure(sql.normalize, "select ( from").code)
  end)

  it("gives an empty text no statement", function()
    assert.are.equal(0, #(sql.parse("").stmts or {}))
    assert.are.equal(0, #(sql.parse("-- nothing").stmts or {}))
  end)

  it("has one fingerprint for texts that differ in constants only", function()
    assert.are.equal(sql.fingerprint "select a from t where b = 1", sql.fingerprint "SELECT a FROM t\nWHERE b=2 -- x")
    assert.are_not.equal(sql.fingerprint "select a from t where b = 1", sql.fingerprint "select a from t where c = 1")
    assert.is_truthy(sql.fingerprint("select 1"):match "^%x+$")
  end)

  it("writes a text without its constants", function()
    assert.are.equal("select $1, a from t where b = $2", sql.normalize "select 1, a from t where b = 'secret'")
  end)

  it("refuses what is no text, no UTF-8, or has NUL bytes", function()
    assert.are.equal("bad_argument", failure(sql.parse, nil).code)
    assert.are.equal("bad_argument", failure(sql.parse, 1).code)
    assert.are.equal("sql_encoding", failure(sql.parse, "select '\xff'").code)
    assert.are.equal("sql_encoding", failure(sql.parse, "select 1\0; drop").code)
  end)

  describe("holds under hostile text", function()
    local FUNCTIONS = { "parse", "fingerprint", "normalize" }
    local MEGABYTE = 1 << 20

    -- A parse that overflows the stack kills this process: there is no other way to see it.
    for name, text in pairs {
      ["a chain of operators"] = "select " .. ("1+"):rep(MEGABYTE // 3) .. "1",
      ["a chain hidden behind a quote in a comment"] = "--'\nselect " .. ("1+"):rep(MEGABYTE // 3) .. "1 --'",
      ["a chain hidden behind an escaped quote"] = "select E'\\'' || " .. ("1+"):rep(MEGABYTE // 3) .. "'1'",
      ["casts"] = "select 1" .. ("::a"):rep(MEGABYTE // 4),
      ["unions"] = "select 1" .. (" union select 1"):rep(MEGABYTE // 16),
      ["joins"] = "select 1 from a" .. (" join a on b"):rep(MEGABYTE // 16),
      ["tests"] = "select 1" .. (" isnull"):rep(MEGABYTE // 8),
      ["parentheses"] = "select " .. ("("):rep(MEGABYTE // 2),
      ["subqueries"] = "select " .. ("(select "):rep(1200) .. "1" .. (")"):rep(1200),
      ["negations"] = "select " .. ("not "):rep(9000) .. "a",
      ["array brackets"] = "select a" .. ("[1]"):rep(9000),
      ["two megabytes"] = (" "):rep(2 * MEGABYTE),
      ["as deep as the bound lets through"] = "select " .. ("1+"):rep(9998) .. "1",
      ["casts as deep as the bound lets through"] = "select 1" .. ("::a"):rep(3330),
    } do
      it(name, function()
        for _, fn in ipairs(FUNCTIONS) do
          local ok, e = pcall(sql[fn], text)
          if not ok then
            assert.is_table(e, tostring(e))
            assert.is_truthy(({ sql_size = true, sql_depth = true, sql_syntax = true })[e.code], tostring(e):sub(1, 200))
          end
        end
        assert.are.equal(1, #sql.parse("select 1").stmts) -- and the next one is parsed as ever
      end)
    end

    it("bounds what can nest, in bytes and in tokens", function()
      assert.are.equal("sql_size", failure(sql.parse, (" "):rep(MEGABYTE + 1)).code)
      assert.are.equal("sql_depth", failure(sql.parse, "select " .. ("1+"):rep(10001) .. "1").code)
      assert.are.equal("sql_depth", failure(sql.parse, "select " .. ("1+"):rep(5000) .. "1").code)
      assert.is_table(sql.parse("select " .. ("1+"):rep(400) .. "1"))
      assert.is_table(sql.parse("select a in (" .. ("1,"):rep(50000) .. "1)"))
    end)
  end)
end)
