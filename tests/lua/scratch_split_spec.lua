-- How a file of SQL becomes statements, against PostgreSQL's own grammar.
package.path = "tests/rls/support/?.lua;" .. package.path
local sql = require "engine.sql"
local split = require "internal.scratch_split"

local function texts(source)
  local out = {}
  for i, s in ipairs(split("f.sql", source)) do out[i] = s.line .. ":" .. s.sql end
  return out
end

describe("scratch_split", function()
  it("ends statements where psql does", function()
    assert.same({ "1:select ';'", "1:select E'\\';', \"a;\"\"b\"", "2:select $a$ ; $b$ ; $a$", "4:select 1 /* ; /* ; */ ; */ + 2" },
      texts "select ';';select E'\\';', \"a;\"\"b\";\nselect $a$ ; $b$ ; $a$;\n-- ; no\nselect 1 /* ; /* ; */ ; */ + 2;")
    assert.same({ "3:select (1; 2)", "3:x" }, texts "\n-- a comment; here\nselect (1; 2);;x")
    assert.same({ "1:create function f() returns int begin atomic; select case when true then 1 end; end", "1:b" },
      texts "create function f() returns int begin atomic; select case when true then 1 end; end;b")
    assert.same({ "1:select a$1$b, $1" }, texts "select a$1$b, $1;")
  end)

  it("leaves out the way back, and pg_dump's own locks", function()
    assert.same({ "3:a" }, texts "\\restrict x1\n-- migrate:up\na;\n\\unrestrict x1\n-- migrate:down\nb;")
    assert.same({ "1:a" }, texts "a;\n-- +goose Down\nb;")
  end)

  it("refuses psql's other commands", function()
    for _, text in ipairs { "\\! id", "a;\n  \\copy t from x\n", "\\restrict x y", "\\i other.sql" } do
      assert.has_error(function() split("f.sql", text) end)
    end
  end)

  it("gives single statements of whole schemas", function()
    local count = 0
    for path in io.popen("ls stdlib/platform/migrations/*.sql tests/rls/clean/*.sql tests/rls/leaky/*.sql"):lines() do
      local file = assert(io.open(path))
      local text = file:read "a"
      local newer = (tonumber(text:match "%-%- Since: (%d+)") or 0) > 15 -- than the grammar of libpg_query here
      for _, s in ipairs(split(path, (text:gsub(":'[AB]'", "'x'")))) do
        local ok, tree = pcall(sql.parse, s.sql)
        if newer and not ok then goto next end
        assert.is_true(ok, ("%s:%d: %s"):format(path, s.line, s.sql))
        assert.equal(1, #tree.stmts, ("%s:%d"):format(path, s.line))
        count = count + 1
        ::next::
      end
      file:close()
    end
    assert.is_true(count > 1000, count)
  end)
end)
