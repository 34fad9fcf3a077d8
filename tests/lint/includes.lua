--- Checks the layers of the code and the length of its files. Run from the repository's root: lua5.4 tests/lint/includes.lua
--
-- C:   main → run → bind → {vm, prim} → base; vm and prim never meet. The audit program stands on vm, base and the rings of
--      prim, the solvers on base alone, the recorder on prim. Lua's headers only in vm/, bind/ and audit/. Paths are written from engine/:
--      #include "base/buf.h".
-- Lua: scripts → gates → stdlib → engine modules. engine.* and internal.* are for the stdlib alone, and every name that a
--      literal require gives must be a module.
-- No file over 620 lines, no C function over 70 (about 600 and 60).
--
-- Before the tree it checks itself: each planted violation must be found, and what is allowed must not be.

local LINES_MAX, FUNCTION_MAX = 620, 70

--- For each layer of engine/: the layers whose headers it may include.
local MAY = {
  main = { run = true, bind = true, vm = true, prim = true, base = true, gen = true },
  run = { run = true, bind = true, vm = true, prim = true, base = true, gen = true },
  bind = { bind = true, vm = true, prim = true, base = true },
  vm = { vm = true, base = true },
  prim = { prim = true, base = true, gen = true },
  base = { base = true },
  audit = { audit = true, vm = true, base = true },
  solvers = { solvers = true, base = true },
  recorder = { recorder = true, prim = true, base = true },
  shim = {},
}
--- Single headers beside them: what runs tenants' code needs the kernel's rings, and nothing else of prim/.
local MAY_TOO = { audit = { ["prim/ring.h"] = true } }
local LUA_HEADERS = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true, ["luaconf.h"] = true, ["lua.hpp"] = true }
local LUA_ALLOWED = { vm = true, bind = true, audit = true }

--- The tree as the checks see it, so that the self-test can bring its own.
---@class lint.tree
---@field read fun(path: string): string|nil
---@field exists fun(path: string): boolean

local function blank(s)
  return (s:gsub("[^\n]", " "))
end

--- C text without comments and without the content of strings, lines kept.
local function bare_c(text)
  local out, i = {}, 1
  while i <= #text do
    local two = text:sub(i, i + 1)
    local stop
    if two == "/*" then
      stop = select(2, text:find("*/", i + 2, true)) or #text
      out[#out + 1] = blank(text:sub(i, stop))
    elseif two == "//" then
      stop = (text:find("\n", i, true) or #text + 1) - 1
    elseif two:sub(1, 1) == '"' or two:sub(1, 1) == "'" then
      local quote = two:sub(1, 1)
      stop = i + 1
      while stop <= #text and text:sub(stop, stop) ~= quote and text:sub(stop, stop) ~= "\n" do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      out[#out + 1] = quote .. quote
    else
      stop = i
      out[#out + 1] = text:sub(i, i)
    end
    i = stop + 1
  end
  return table.concat(out)
end

local function c_layer(path)
  return path == "engine/main.c" and "main" or path:match "^engine/([^/]+)/"
end

--- Reports each #include that leaves the file's layers.
local function check_includes(path, text, report)
  local layer = c_layer(path)
  local may = MAY[layer]
  if may == nil then
    return report(1, ("engine/%s is no known layer"):format(layer or "?"))
  end
  local line = 0
  for content in (text .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    local mark, header = content:match '^%s*#%s*include%s*([<"])([^>"]+)'
    if header and LUA_HEADERS[header:match "[^/]+$"] and not LUA_ALLOWED[layer] then
      report(line, ("%s is for vm/, bind/ and audit/ alone"):format(header))
    elseif mark == '"' then
      local target = header:match "^([^/]+)/"
      if target == nil or target == "." or target == ".." then
        report(line, ('"%s": write the path from engine/'):format(header))
      elseif not may[target] and not (MAY_TOO[layer] or {})[header] then
        report(line, ('%s/ may not include "%s"'):format(layer, header))
      end
    elseif content:find "^%s*#%s*include" and mark == nil then
      report(line, "an include that this check cannot read")
    end
  end
end

--- clang-format puts a function's opening line and its closing brace into the first column.
local function check_functions(text, report)
  local line, start, name = 0, nil, nil
  for content in (bare_c(text) .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    if start == nil and content:find "^%a.*%(" and not content:find ";%s*$" then
      start, name = line, content:match "([%w_]+)%s*%("
    elseif start and content:find "^}" then
      if line - start + 1 > FUNCTION_MAX then
        report(start, ("%s has %d lines; at most %d"):format(name, line - start + 1, FUNCTION_MAX))
      end
      start = nil
    elseif start and content:find "^%S.*;%s*$" then
      start = nil -- a declaration over several lines
    end
  end
end

--- Lua text without comments; strings stay, since the names are in them.
local function bare_lua(text)
  local out, i = {}, 1
  while i <= #text do
    local level = text:match("^%-%-%[(=*)%[", i)
    local opening = level == nil and text:match("^%[(=*)%[", i)
    local c = text:sub(i, i)
    local stop
    if level or opening then
      stop = select(2, text:find("]" .. (level or opening) .. "]", i, true)) or #text
      out[#out + 1] = blank(text:sub(i, stop))
    elseif text:sub(i, i + 1) == "--" then
      stop = (text:find("\n", i, true) or #text + 1) - 1
    elseif c == '"' or c == "'" then
      stop = i + 1
      while stop <= #text and text:sub(stop, stop) ~= c and text:sub(stop, stop) ~= "\n" do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      out[#out + 1] = text:sub(i, stop)
    else
      stop = i
      out[#out + 1] = c
    end
    i = stop + 1
  end
  return table.concat(out)
end

--- Where a module's name leads: "engine", "stdlib", "gates", "scripts", "beside" (the requiring file's directory), or nil.
local function lua_layer(tree, path, name)
  if name:find "^engine%." then
    return tree.exists("engine/bind/" .. name:sub(8) .. ".c") and "engine" or nil
  end
  local file = name:gsub("%.", "/")
  local dir = path:match "^(.*)/" or "."
  for _, root in ipairs { "stdlib", "gates", "scripts" } do
    local inside = (file:gsub("^" .. root .. "/", ""))
    for _, candidate in ipairs { root .. "/" .. inside .. ".lua", root .. "/" .. inside .. "/init.lua" } do
      if tree.exists(candidate) then return root end
    end
  end
  return tree.exists(dir .. "/" .. file .. ".lua") and "beside" or nil
end

local RANK = { engine = 0, stdlib = 1, gates = 2, scripts = 3 }

--- Reports each require that goes up, or past the stdlib.
local function check_requires(tree, path, text, report)
  local own = path:match "^[^/]+"
  local line = 0
  for content in (bare_lua(text) .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    for before, name in content:gmatch "([%w_.:]?)require%s*%(?%s*[\"']([^\"']+)[\"']" do
      local called = before == ""
      local target = called and lua_layer(tree, path, name)
      if called and not target then
        report(line, ('require "%s": there is no such module'):format(name))
      elseif called and own ~= "stdlib" and (target == "engine" or name:find "^internal%.") then
        report(line, ('%s/ may not require "%s"; that is for the stdlib'):format(own, name))
      elseif called and target ~= "beside" and RANK[target] > RANK[own] then
        report(line, ('%s/ may not require "%s", which is in %s/'):format(own, name, target))
      end
    end
  end
end

--- All checks of one file; report(line, message).
local function check_file(tree, path, report)
  local text = tree.read(path)
  if text == nil then return report(0, "cannot be read") end
  local _, lines = text:gsub("\n", "")
  if lines > LINES_MAX then
    report(lines, ("the file has %d lines; at most %d"):format(lines, LINES_MAX))
  end
  if path:find "%.[ch]$" then
    if path:find "^engine/" then check_includes(path, text, report) end
    check_functions(text, report)
  elseif path:find "^stdlib/" or path:find "^gates/" or path:find "^scripts/" then
    check_requires(tree, path, text, report)
  end
end

--- @param files table<string, string>
local function made_tree(files)
  return { read = function(path) return files[path] end, exists = function(path) return files[path] ~= nil end }
end

--- Checks the checks: {path, text, a pattern of the message or nil for none}.
local function self_test()
  local long = "static void f(void) {\n" .. ("    g();\n"):rep(FUNCTION_MAX) .. "}\n"
  local fits = "static void f(void) {\n" .. ("    g();\n"):rep(FUNCTION_MAX - 2) .. "}\n"
  local cases = {
    { "engine/main.c", '#include "run/cli.h"\n' },
    { "engine/run/a.c", '#include "bind/wait.h"\n#include "prim/pg.h"\n#include <stdio.h>\n#include "gen/hashes.h"\n' },
    { "engine/bind/a.c", '#include <lua.h>\n#include "vm/luax.h"\n#include "prim/hash.h"\n' },
    { "engine/audit/a.c", '#include <lauxlib.h>\n#include "vm/vm.h"\n#include "prim/ring.h"\n' },
    { "engine/vm/a.c", '#include "prim/ring.h"\n', 'vm/ may not include "prim/ring.h"' },
    { "engine/base/a.c", '#include "prim/hash.h"\n', 'base/ may not include "prim/hash.h"' },
    { "engine/base/a.c", "#include <lua.h>\n", "lua.h is for vm/, bind/ and audit/ alone" },
    { "engine/run/a.c", '\n# include "lauxlib.h"\n', "lauxlib.h is for vm/" },
    { "engine/run/a.c", "#include <lua5.4/lua.h>\n", "lua5.4/lua.h is for vm/" },
    { "engine/prim/a.c", '#include "vm/conv.h"\n', 'prim/ may not include "vm/conv.h"' },
    { "engine/vm/a.c", '#include "prim/hash.h"\n', 'vm/ may not include "prim/hash.h"' },
    { "engine/vm/a.c", '#include "bind/wait.h"\n', 'vm/ may not include "bind/wait.h"' },
    { "engine/bind/a.c", '#include "run/engine.h"\n', 'bind/ may not include "run/engine.h"' },
    { "engine/audit/a.c", '#include "prim/http.h"\n', 'audit/ may not include "prim/http.h"' },
    { "engine/solvers/x/a.c", '#include "run/engine.h"\n', 'solvers/ may not include "run/engine.h"' },
    { "engine/prim/a.h", '#include "../vm/conv.h"\n', "write the path from engine/" },
    { "engine/prim/a.h", '#include "b.h"\n', "write the path from engine/" },
    { "engine/prim/a.h", "#include HEADER\n", "cannot read" },
    { "engine/new/a.c", "", "engine/new is no known layer" },
    { "engine/base/a.c", fits },
    { "engine/base/a.c", long, "f has 72 lines" },
    { "tests/c/test_a.c", long, "f has 72 lines" },
    { "engine/base/a.c", "/* }\n{ */\n" .. long, "f has 72 lines" },
    { "engine/base/a.c", ("int x;\n"):rep(LINES_MAX) },
    { "engine/base/a.c", ("int x;\n"):rep(LINES_MAX + 1), "the file has 621 lines" },
    { "tests/lua/a_spec.lua", ("x()\n"):rep(LINES_MAX + 1), "the file has 621 lines" },
    { "gates/g.lua", 'local gate = require "gate"\nlocal h = require("rls.probe")\n' },
    { "gates/g.lua", '-- require "scripts.all"\n--[[ require "nothing" ]]\nlocal s = [[require "nothing"]]\n' },
    { "gates/g.lua", "x.require 'nothing' my_require 'nothing'\n" },
    { "scripts/all.lua", 'require "suite" require "gates.g"\n' },
    { "stdlib/hash.lua", 'return require "engine.hash"\n' },
    { "stdlib/a.lua", "require 'internal.runner'\n" },
    { "gates/g.lua", 'local db = require "engine.hash"\n', 'gates/ may not require "engine.hash"' },
    { "gates/g.lua", "require 'internal.runner'\n", 'gates/ may not require "internal.runner"' },
    { "scripts/all.lua", 'require"engine.hash"\n', 'scripts/ may not require "engine.hash"' },
    { "gates/g.lua", 'require "scripts.all"\n', 'gates/ may not require "scripts.all", which is in scripts/' },
    { "stdlib/a.lua", 'local g = x or require("gates.g")\n', 'stdlib/ may not require "gates.g", which is in gates/' },
    { "stdlib/a.lua", 'require "gaet"\n', 'require "gaet": there is no such module' },
    { "stdlib/a.lua", 'require "engine.sql"\n', 'require "engine.sql": there is no such module' },
  }
  for _, case in ipairs(cases) do
    local files = { ["engine/bind/hash.c"] = "", ["stdlib/gate.lua"] = "", ["stdlib/suite.lua"] = "", ["gates/g.lua"] = "",
      ["stdlib/rls/probe.lua"] = "", ["stdlib/internal/runner.lua"] = "", ["scripts/all.lua"] = "" }
    files[case[1]] = case[2]
    local found = {}
    check_file(made_tree(files), case[1], function(_, message) found[#found + 1] = message end)
    local all = table.concat(found, "; ")
    if (case[3] == nil and #found > 0) or (case[3] and not (#found == 1 and all:find(case[3], 1, true))) then
      io.stderr:write(("includes.lua: self-test: %s %q: expected %s, found %s\n"):format(case[1], case[2]:sub(1, 80),
        case[3] and '"' .. case[3] .. '"' or "nothing", #found > 0 and '"' .. all .. '"' or "nothing"))
      return false
    end
  end
  return true
end

local disk = {
  read = function(path)
    local file = io.open(path, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    return text
  end,
  exists = function(path)
    local file = io.open(path, "rb")
    if file then file:close() end
    return file ~= nil
  end,
}

local function main()
  if not self_test() then return false end
  local pipe = assert(io.popen("find engine stdlib gates scripts examples tests -type f "
    .. "'(' -name '*.[ch]' -o -name '*.lua' ')' | LC_ALL=C sort"))
  local files, problems = 0, 0
  for path in pipe:lines() do
    files = files + 1
    check_file(disk, path, function(line, message)
      problems = problems + 1
      io.stderr:write(("%s:%d: %s\n"):format(path, line, message))
    end)
  end
  pipe:close()
  if files == 0 then
    io.stderr:write "includes.lua: nothing to check; run it from the repository's root\n"
    return false
  end
  return problems == 0
end

os.exit(main())
