-- stdlib/meta/ is what editors complete from, what `doc` shows and what `check` knows: it says all that the engine gives, no more.
local pg = require "pg"

--- What a stub file annotates: functions as "object:method" or "object.function".
local function annotated(file)
  local out = {}
  for line in io.lines("stdlib/meta/" .. file .. ".lua") do
    local object, separator, name = line:match "^function ([%w_]+)([.:])([%w_]+)%("
    if object then
      out[object] = out[object] or {}
      out[object][name] = separator
    end
  end
  return out
end

--- The names of functions in a module or of methods behind a metatable's __index, sorted.
local function functions_in(value)
  local names = {}
  for name, member in pairs(value) do
    if type(member) == "function" and not name:find "^_" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function names_of(list)
  local names = {}
  for name in pairs(list or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The methods of a userdata: its metatable hides itself, so debug looks.
local function methods_of(object) return functions_in(debug.getmetatable(object).__index) end

describe("the annotations of stdlib/meta", function()
  for _, module in ipairs { "hash", "jose", "json", "task", "db", "http", "mail", "store", "exec" } do
    it("name each function of engine." .. module .. ", and no other", function()
      assert.are.same(names_of(annotated(module)[module]), functions_in(require("engine." .. module)))
    end)
  end

  it("name each method of a stream, a store and an HTTP client", function()
    local hash, store, http = require "engine.hash", require "engine.store", require "engine.http"
    assert.are.same(names_of(annotated("hash").stream), methods_of(hash.stream()))
    local dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    local handle <close> = store.open { kind = "local", path = dir }
    assert.are.same(names_of(annotated("store").handle), methods_of(handle))
    os.execute("rmdir " .. dir)
    local client <close> = http.client { endpoints = { x = { url = "http://127.0.0.1:9" } } }
    assert.are.same(names_of(annotated("http").client), methods_of(client))
  end)

  it("name each method of a connection", function()
    local server = pg.start()
    local connection = require("engine.db").connect(server:options { user = "postgres" })
    assert.are.same(names_of(annotated("db").connection), methods_of(connection))
    connection:close()
    server:stop()
  end)

  it("are what .luarc.json tells an editor to read", function()
    local json = require "engine.json"
    local f = assert(io.open ".luarc.json")
    local settings = json.decode(f:read "a")
    f:close()
    assert.are.equal("Lua 5.4", settings["runtime.version"])
    for _, dir in ipairs(settings["workspace.library"]) do assert(os.execute("test -d " .. dir .. "/meta")) end
  end)

  it("say of each function what it is given and what it returns", function()
    for path in io.popen("ls stdlib/meta/*.lua"):lines() do
      local comment, number = {}, 0
      for line in io.lines(path) do
        number = number + 1
        local parameters = line:match "^function [%w_.:]+%((.-)%) end$"
        if parameters then
          local text = table.concat(comment, "\n")
          assert.is_truthy(text:find("%-%-%- %u"), ("%s:%d has no sentence"):format(path, number))
          for name in parameters:gmatch "[%w_.]+" do
            assert.is_truthy(text:find("@param " .. name:gsub("%.", "%%.") .. "[? ]"), ("%s:%d: %s is not described"):format(path, number,
            name))
          end
        end
        if line:find "^%-%-%-" then comment[#comment + 1] = line else comment = {} end
      end
    end
  end)
end)
