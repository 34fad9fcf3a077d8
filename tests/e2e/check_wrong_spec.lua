-- Scripts that are wrong, one of each sort, and what `check` says of each: the file and line, what was expected and found, the fix.
local support = require "e2e.support"

local run = support.run

--- A head that is right, to which a case adds what is wrong; `run` makes one check of the body.
local function gate(head, body)
  return ('local gate = require "gate"\nreturn gate.define {\n  api = 1, id = "g", name = "G",\n%s\n'
    .. '  recover = function(ctx) ctx:apply("t", { note = "n" }) end,\n  run = function(ctx)\n    ctx:check("x", function()\n%s\n'
    .. '    end)\n  end,\n}\n'):format(head or "", body or "")
end

-- The head's lines begin with line 4, the body's (under a head of one line) with line 8. "@" stands for the file's name.
local WRONG = {
  -- what is no script
  empty = { "", "@: expected a script that returns a gate, a suite, an operation or an audit, found nothing but white space and comments",
    "gate-engine new gate NAME" },
  comment = { "-- nothing yet\n", "@: expected a script", "found nothing but white space and comments" },
  returns_nothing = { 'local gate = require "gate"\ngate.define { api = 1, id = "g", name = "G", run = function() end }\n',
    "@: expected a script", "found one that returns nothing", "fix: write return before gate.define" },
  returns_number = { "return 42\n", "@:1: expected a script", "found one that returns a plain value" },
  returns_string = { "return 'gate'\n", "@:1: expected a script", "found one that returns a string" },
  returns_function = { "return function() end\n", "@:1: expected a script", "found one that returns a function" },
  returns_list = { "return { 1, 2 }\n", "@:1: expected a script", "found one that returns a list" },
  no_define = { "return { api = 1, id = 'g', run = function() end }\n", "@:1: expected a script", "found one that returns a table with ",
    'fix: wrap the table: local gate = require "gate"' },
  module = { "return { look = function() end }\n", "found one that returns a table with look",
    "fix: check the script that requires this module" },
  define_string = { 'return require("gate").define "x"\n', "@: gate.define: expected a table, got string", "fix: return gate.define {" },
  define_colon = { 'return require("gate"):define { api = 1 }\n', "got gate: call it with a dot" },
  -- what is no Lua, or no text
  comma = { 'return require("gate").define {\n  api = 1, id = "g", name = "G"\n  run = function() end,\n}\n',
    "@:3: '}' expected (to close '{' at line 1) near 'run'\n  `run = function() end,`\n  fix: is a comma missing before 'run'" },
  no_end = { "local function f()\n  return 1\n", "@:3: 'end' expected", "near <eof>",
    "fix: each function, if, for, while and do needs its end" },
  assign_in_if = { "local a = 1\nif a = 2 then end\n", "@:2: 'then' expected near '='\n  `if a = 2 then end`\n  fix: compare with ==" },
  not_equal = { "local a = 1\nif a != 2 then end\n", "@:2: ", "near '!'", "fix: not equal is ~=" },
  open_string = { "local a = 'x\nreturn a\n", "@:1: unfinished string", "fix: close the string on its line" },
  locals = { ("local x\n"):rep(201), "@:202: too many local variables", "fix: put some of them into a table or a function" },
  bytecode = { string.dump(assert(load "return 1")), "@: expected Lua source, found precompiled bytecode", "fix: give the .lua source" },
  latin = { "-- a\nreturn { name = 'K\xf6ln' }\n", "@:2: expected UTF-8 text, found the byte 0xF6\n  fix: save the file as UTF-8" },
  nul = { "return {\n name = 'a\0b' }\n", "@:2: expected UTF-8 text, found the byte 0x00\n  fix: a NUL byte has no place in a source" },
  too_large = { ("-"):rep(5 << 20), "has 5242880 bytes; at most 4194304 are read", "fix: is it a script?" },
  bom = { "\xEF\xBB\xBF" .. gate("", "      nothing()"), '@:8: scripts have no global "nothing"' },
  crlf = { gate("", "      nothing()"):gsub("\n", "\r\n"), '@:8: scripts have no global "nothing"' },
  shebang = { "#!/usr/bin/env gate-engine\n" .. gate("", "      nothing()"), '@:9: scripts have no global "nothing"' },
  -- what goes wrong while it is loaded
  raises = { "local gate = require 'gate'\nerror('no')\nreturn gate\n", "@:2: no\n  `error('no')`" },
  nil_index = { "local t\nreturn t.x.y\n", "@:2: attempt to index a nil value (local 't')\n  `return t.x.y`" },
  compare = { "local n\nlocal late = n > 3\nreturn late\n", "@:2: attempt to compare number with nil\n  `local late = n > 3` (n: nil)" },
  global_read = { "local x = nothing\nreturn x\n", "@:1: undeclared global 'nothing'", "fix: declare it with local" },
  global_write = { "total = 1\nreturn total\n", "@:1: assignment to undeclared global 'total'", "fix: declare it with local" },
  missing_module = { "local h = require 'not_there'\nreturn h\n",
    "@:1: module not_there was not found\n  `local h = require 'not_there'`\n  fix: modules come" },
  near_module = { "local h = require 'helpr'\nreturn h\n", '@:1: module helpr was not found', 'fix: did you mean "helper"?' },
  broken_module = { "local h = require 'broken'\nreturn h\n", "@:1: broken.lua:2: unexpected symbol near '='\n  `local x = = 1`" },
  foreign_modules = { 'local socket = require "socket"\nlocal http = require "socket.http"\nlocal pg = require "luasql.postgres"\n'
    .. 'local lfs = require "lfs"\nlocal cjson = require "cjson"\nreturn { socket, http, pg, lfs, cjson, io.open "x" }\n',
    '@:1: module socket was not found\n  `local socket = require "socket"`\n  fix: declare needs = { endpoints = { "NAME" } }',
    '@:2: there is no module "socket.http"\n  fix: declare needs = { endpoints',
    '@:3: there is no module "luasql.postgres"\n  fix: declare needs = { db',
    '@:4: there is no module "lfs"\n  fix: declare needs = { stores', '@:5: there is no module "cjson"\n  fix: require "json"',
    '@:6: scripts have no global "io"\n  fix: declare needs = { stores' },
  foreign_global_in_head = { "local home = os.getenv('HOME')\nlocal f = io.open(home)\nreturn f\n",
    "@:1: attempt to call a nil value (field 'getenv')" },
  foreign_global_loaded = { "local f = io.open('x')\nreturn f\n", "@:1: undeclared global 'io'", "fix: declare needs = { stores" },
  foreign_audit = { "return { name = 'a', pack = 'roster', audit = function(plan, report)\n  local s = require 'socket'\n  io.open('x')\n"
    .. "  print(os.time(), ctx, s, plan, report)\nend }\n",
    '@:2: there is no module "socket"\n  fix: an audit gives the same verdict each time',
    '@:3: audits have no global "io"\n  fix: an audit',
    '@:4: audits have no global "os"\n  fix: an audit gives the same verdict each time: it has no clock' },
  foreign_globals = { gate("", "      local p = io.popen('ls')\n      os.execute('ls')\n      os.remove('x')\n      os.getenv('X')\n"
    .. "      loadstring('x')\n      unpack({})\n      return p, None, debug.traceback(), json.decode('1'), db"),
    '@:8: scripts have no global "io"\n  fix: declare needs = { commands = { "NAME" } }',
    '@:9: scripts have no os.execute\n  fix: declare needs = { commands',
    "@:10: scripts have no os.remove\n  fix: declare needs = { stores", "@:11: scripts have no os.getenv\n  fix: the configuration reads",
    '@:12: scripts have no global "loadstring"\n  fix: write the code', '@:13: scripts have no global "unpack"\n  fix: it is table.unpack',
    '@:14: scripts have no global "None"\n  fix: the word is nil',
    'no global "debug"\n  fix: an error tells', 'no global "json"\n  fix: local json = require "json"',
    'no global "db"\n  fix: declare needs = { db' },
  capability_module = { "local db = require 'engine.db'\nreturn db\n", "engine.db is a capability, not a module",
    "fix: declare it in needs" },
  memory = { "local t = {}\nfor i = 1, 1e9 do t[i] = i end\n", "more than its memory limit of 64 MB" },
  name_bytes = { gate('  purpose = "\\xff",', ""), "@:4: text that is not UTF-8 at purpose" },
  -- heads, field by field
  types = { 'return require("gate").define {\n  api = "1",\n  id = 7,\n  name = false,\n  number = "one",\n  purpose = {},\n  pass = 3,\n'
    .. '  owner = {},\n  runbook = 12,\n  needs = "db",\n  options = { "x" },\n  failures = { stale = "text" },\n  parallel = "yes",\n'
    .. '  run = "run",\n  recover = {},\n}\n',
    '@:2: api: expected 1, the version of the script interface, found "1"\n  fix: write api = 1\n', "@:3: id: expected an id",
    'found 7\n  fix: write id = "…": stable name', "@:4: name: expected a string that is not empty, found false\n  fix: write name = ",
    '@:5: number: expected a whole number from 1 to 999, found "one"\n  fix: ',
    "@:6: purpose: expected a string, found an empty table\n  fix: ",
    "@:7: pass: expected a string that is not empty, found 3\n  fix: ", "@:8: owner: ",
    "@:9: runbook: expected a string that is not empty, found 12",
    '@:10: needs: expected a table, found "db"\n  fix: write needs = { … }',
    "@:11: options: expected a table, found a list\n  fix: write options = { NAME = … }",
    '@:12: failures.stale: expected a table with a text, found "text"\n  fix: CLASS = { text = ',
    '@:13: parallel: expected true or false, found "yes"',
    '@:14: run: expected a function, found "run"\n  fix: run = function(ctx) … end',
    "@:15: recover: expected a function, found an empty table" },
  misspelt = { 'return require("gate").define { api = 1, id = "g", nmae = "S",\n  purpos = "p", need = {}, option = {}, failure = {},\n'
    .. "  runn = function() end, recovery = function() end,\n}\n",
    '@:1: nmae: expected a key that is known at the top, found "nmae"\n  fix: did you mean "name"?',
    'fix: did you mean "purpose"?', 'fix: did you mean "needs"?', 'fix: did you mean "options"?', 'fix: did you mean "failures"?',
    '@:3: runn: ', 'fix: did you mean "run"?', 'fix: did you mean "recover"?' },
  missing_fields = { 'return require("gate").define {\n}\n', "@:1: api: expected 1", "@:1: id: expected an id",
    "@:1: name: expected a string",
    "@:1: run: expected a function, found nothing\n  fix: run = function(ctx) … end" },
  identity = { 'return require("gate").define { api = 2, id = "Bad-Id", name = "", run = function() end }\n', "api: expected 1", "found 2",
    'id: expected an id ([a-z][a-z0-9_]*, at most 63 characters), found "Bad-Id"', 'name: expected a string that is not empty, found ""' },
  needs = { gate('  needs = {\n  db = "admin",\n  endpoint = { "osrm" },\n  stores = true,\n  commands = { 5 },\n  solver = "yes",\n'
    .. '  auth = { "password" },\n  audits = { "x" } },'), '@:5: needs.db: expected a list, found "admin"\n  fix: write db = { "admin" }',
    '@:6: needs.endpoint: expected a key that is known here, found "endpoint"\n  fix: did you mean "endpoints"?',
    "@:7: needs.stores: expected a list, found true\n  fix: write stores = { … }",
    "@:8: needs.commands[1]: expected a name (letters, digits, _ and -), found 5",
    '@:9: needs.solver: expected true or false, found "yes"\n  fix: write solver = true',
    '@:10: needs.auth[1]: expected "api_key" or "entra", found "password"',
    "@:11: needs.audits: expected true or false, found a list" },
  role = { gate('  needs = { db = { "amdin", "root" } },'),
    '@:4: needs.db[1]: expected "admin", "app" or "operator", found "amdin"\n  fix: did you mean "admin"?',
    'found "root"\n  fix: choose one of admin, app, operator' },
  options = { gate([[  options = {
    a = { type = "int" },
    b = { default = 1 },
    c = { type = "integer", default = "x" },
    d = { type = "integer", min = 5, max = 1 },
    e = { type = "enum" },
    f = { type = "string", choices = { "a" } },
    g = { type = "enum", choices = { "a", "c" }, default = "b" },
    tenant = { type = "string" },
    ["Max-age"] = { type = "string" },
    h = { type = "integer", default = 1.5 },
    i = { type = "integer", defualt = 1 },
    j = { type = "integer", default = 5, max = 3 },
    k = { type = "boolean", default = "true" },
    l = { type = "path", acess = "write" },
    m = 24,
    n = { type = "integer", required = true, default = 3 },
    o = { type = "integer", default_by = { g = { a = 1, b = 2 } } },
    p = { type = "integer", default_by = { g = { c = "x" } } },
    q = { type = "integer", default_by = { nobody = { a = 1 } } },
    r = { type = "integer", default_by = { g = 5 } },
  },]]), '@:5: options.a.type: expected "string", "integer", "number", "boolean", "enum", "path" or "audit", found "int"',
    "@:6: options.b.type: ", "found nothing", '@:7: options.c.default: expected a whole number, found "x"', "@:8: options.d.max: ",
    "@:9: options.e.choices: ",
    "@:10: options.f.choices: expected no choices", "@:11: options.g.default: expected ",
    "@:12: options.tenant: expected a name that is not a flag of gate-engine itself",
    '@:13: options["Max-age"]: expected a name ([a-z][a-z0-9_]*) for a key, found "Max-age"\n  fix: write it as max_age',
    "@:14: options.h.default: expected a whole number, found 1.5", '@:15: options.i.defualt: ', 'fix: did you mean "default"?',
    "@:16: options.j.default: expected a whole number of at most 3, found 5",
    '@:17: options.k.default: expected true or false, found "true"',
    '@:18: options.l.acess: ', 'fix: did you mean "access"?',
    "@:19: options.m: expected a table with a type, found 24\n  fix: NAME = { type = ",
    "@:20: options.n.required: ", "@:21: options.o.default_by.g: expected a choice of another option",
    '@:22: options.p.default_by.g.c: expected a whole number, found "x"', "@:23: options.q.default_by.nobody: expected a choice",
    "@:24: options.r.default_by.g: expected a table of values by the other option's choice, found 5" },
  failures = { gate('  failures = {\n    a = { text = "%d rows" }, b = { fix = "x" },\n'
    .. '    c = { text = "" }, d = { text = "x", severity = "high" },\n'
    .. '    ["E-f"] = { text = "x" }, g = { text = "100%" }, h = { txt = "x" } },'),
    '@:5: failures.a.text: expected no directive but %s and %%, found "%d"\n  fix: write %% for a percent sign', "@:5: failures.b.text: ",
    "@:6: failures.c.text: ",
    '@:6: failures.d.severity: expected "leak", "advisory" or "note", found "high"', '@:7: failures["E-f"]: ', "fix: write it as e_f",
    '@:7: failures.g.text: ', '@:7: failures.h.txt: ', 'did you mean "text"?' },
  head_and_globals = { gate("  number = 'x',", "      nothing()"), "@:4: number: ", '@:8: scripts have no global "nothing"' },
  -- what the script does with its context
  undeclared = { gate("", '      ctx.db.admin:query("select 1")'),
    "@:8: ctx.db.admin is used, and needs does not declare it\n  fix: add \"admin\" to needs.db" },
  alias = { gate('  needs = { db = { "app" } },',
    "      local db = ctx.db\n      db.admin:query('x')\n      local http = ctx.http\n      http:request { endpoint = 'x' }"),
    "@:9: ctx.db.admin is used", "@:11: ctx.http is used, and needs does not declare it\n  fix: add needs = { endpoints" },
  alias_of_alias = { gate("", "      local c = ctx\n      local d = c\n      d:chekc('y', print)"),
    '@:10: ctx has no method "chekc"\n  fix: did you mean "check"?' },
  helper_function = { 'local gate = require "gate"\nlocal function look(c, name)\n  c:check(name, function()\n    c.db.admin:query("x")\n'
    .. '    c:fail("stlae", { object = c.options.dpeth })\n  end)\nend\nreturn gate.define { api = 1, id = "g", name = "G",\n'
    .. '  options = { depth = { type = "integer", default = 1 } }, failures = { stale = { text = "x" } },\n'
    .. '  run = function(ctx) look(ctx, "x") end }\n',
    "@:4: ctx.db.admin is used", '@:5: the failure "stlae" is not declared\n  fix: did you mean "stale"?',
    '@:5: the option "dpeth" is not declared\n  fix: did you mean "depth"?' },
  named_run = { 'local gate = require "gate"\nlocal function run(c)\n  c:check("x", function() c:fial("y") end)\nend\n'
    .. 'return gate.define { api = 1, id = "g", name = "G", run = run }\n', '@:3: ctx has no method "fial"\n  fix: did you mean "fail"?' },
  helper_module = { 'local gate = require "gate"\nlocal helper = require "helper"\nreturn gate.define { api = 1, id = "g", name = "G",\n'
    .. '  options = { depth = { type = "integer", default = 1 } },\n  run = function(ctx) helper.look(ctx) end }\n',
    'helper.lua:4: the option "dpeth" is not declared\n  fix: did you mean "depth"?', "helper.lua:5: ctx.db.admin is used",
    'helper.lua:6: assignment to the global "total"', 'helper.lua:7: scripts have no global "io"' },
  method = { gate('  needs = { db = { "app" } },',
    "      ctx.db.app:qurey('x')\n      ctx.db.app.query('x')\n      local app = ctx.db.app\n      app:rwo('x')\n"
    .. "      app:transaction(function(tx) tx:exce('x') end)"), '@:8: ctx.db.app has no method "qurey"\n  fix: did you mean "query"?',
    "@:9: ctx.db.app.query is a method: expected a call with a colon, found one with a dot\n  fix: write :query(…)",
    '@:11: app has no method "rwo"', '@:12: tx has no method "exce"' },
  store_method = { gate('  needs = { stores = { "artifacts" } },', "      ctx.store.artifacts:putt('a', 'b')"),
    '@:8: ctx.store.artifacts has no method "putt"\n  fix: did you mean "put"?' },
  pure_module = { gate("", "      local hash = require 'hash'\n      return hash.sha265('x')"),
    '@:9: hash has no method "sha265"\n  fix: did you mean "sha256"?' },
  dot = { gate("", "      ctx.fact('x', 1)"),
    "@:8: ctx.fact is a method: expected a call with a colon, found one with a dot\n  fix: write ctx:fact(…)" },
  artifact_option = { gate('  options = { out = { type = "path", access = "write" }, n = { type = "string" } },',
    "      ctx:artifact('uot', 'a', 'b')\n      ctx:artifact('n', 'a', 'b')\n      ctx:artifact('out', 'a', 'b')"),
    '@:8: the option "uot" is not declared\n  fix: did you mean "out"?',
    "@:9: ctx:artifact: n: expected an option of type path, found one of type string" },
  finding_field = { gate('  failures = { a = { text = "x" } },', "      ctx:fail('a', { objetc = 'x' })"),
    '@:8: a finding has no field "objetc"\n  fix: did you mean "object"?' },
  step_field = { gate("", "      ctx:apply('a', { sqll = 'x' })"),
    '@:8: a step of recovery has no field "sqll"\n  fix: did you mean "sql"?' },
  outside = { 'return require("gate").define { api = 1, id = "g", name = "G", failures = { a = { text = "x" } },\n  run = function(ctx)\n'
    .. '    ctx:fail("a")\n    ctx:check("x", function() end)\n  end }\n',
    "@:3: ctx:fail is called outside of a check\n  fix: call it inside" },
  no_check = { 'return require("gate").define { api = 1, id = "g", name = "G",\n  run = function(ctx) ctx:fact("x", 1) end }\n',
    "@:2: run makes no check: a gate without one is an ERROR, never a pass\n  fix: ctx:check(" },
  recovery_promised = { 'return require("gate").define { api = 1, id = "g", name = "G",\n  failures = {\n'
    .. '    a = { text = "x", fix = "Run gate-engine recover g" } },\n'
    .. '  run = function(ctx) ctx:check("x", function() ctx:fail("a") end) end }\n',
    '@:3: the fix of "a" speaks of recovery, and the gate has no recover\n  fix: add recover' },
  lazy_module = { gate("", "      return require('helpr')"), '@:8: there is no module "helpr"\n  fix: did you mean "helper"?' },
  lazy_capability = { gate("", "      return require('engine.db')"),
    "@:8: engine.db is a capability, not a module\n  fix: declare it in needs" },
  -- audits and suites
  audit_fields = { 'return {\n  name = "A", pack = "rooster", audit = "x",\n  needs = { histroy = 2 } }\n',
    '@:2: pack: expected "roster" or "routing", found "rooster"\n  fix: did you mean "roster"?',
    "@:2: audit: expected a function", '@:3: needs.histroy: ', 'did you mean "history"?' },
  audit_clock = { 'return { name = "A", pack = "roster",\n  audit = function(plan, report)\n'
    .. '    report:violate { object = os.time() }\n    return plan\n  end }\n',
    '@:3: audits have no global "os"\n  fix: an audit gives the same verdict each time',
    '@:3: report has no method "violate"\n  fix: did you mean "violation"?' },
  audit_module = { 'local json = require "json"\nreturn { name = "A", pack = "roster", audit = function(plan) return json, plan end }\n',
    '@:1: there is no module "json"\n  fix: audits have the helpers of their pack: require "roster"' },
  suite_gates = { 'return require("suite").define { api = 1, id = "s", name = "S",\n'
    .. '  gates = { "rls_harnes", "./not_there.lua", "./audit_fields.lua" } }\n',
    '@: gates[1]: ', 'did you mean "rls_harness"?', "@: gates[2]: ", "@: gates[3]: " },
  suite_twice = { 'return require("suite").define { api = 1, id = "s", name = "S",\n  gates = { "rls_harness", "rls_harness" } }\n',
    "@:2: gates[2]: expected a gate that is not in the list yet" },
  suite_text = { 'return require("suite").define { api = 1, id = "s", name = "S", gates = "rls_harness" }\n',
    '@:1: gates: expected a list of ids or paths of gates, found "rls_harness"' },
}

describe("check, of scripts that are wrong,", function()
  local dir, bare, said = support.tmpdir(), nil, {}
  local names = {}
  for name in pairs(WRONG) do names[#names + 1] = name end
  table.sort(names)

  --- Each file by itself, so that what is said is said of it; without luacheck.
  local function check(name)
    if not said[name] then
      said[name] = run { cwd = dir, env = { PATH = bare }, "check", name .. ".lua" }
    end
    return said[name]
  end

  setup(function()
    bare = support.tmpdir()
    support.shell("ln -s $(command -v timeout) " .. bare .. "/timeout")
    support.write(dir .. "/helper.lua", "local M = {}\nfunction M.look(c)\n  c:check('x', function()\n    print(c.options.dpeth)\n"
      .. "    c.db.admin:query('x')\n    total = 1\n    io.open('x')\n  end)\nend\nreturn M\n")
    support.write(dir .. "/broken.lua", "local M = {}\nlocal x = = 1\nreturn M\n")
    for name, case in pairs(WRONG) do support.write(dir .. "/" .. name .. ".lua", case[1]) end
  end)

  for _, name in ipairs(names) do
    it("names the place, what was expected and found, and the fix: " .. name, function()
      local case, r = WRONG[name], check(name)
      assert.are.equal(2, r.code, r.stdout .. r.stderr)
      for i = 2, #case do
        local part = case[i]:gsub("@", name .. ".lua")
        assert.is_truthy(r.stdout:find(part, 1, true), ("expected %q in:\n%s"):format(part, r.stdout))
      end
      assert.is_nil(r.stdout:find("ok (", 1, true))
      assert.is_nil(r.stdout:find("traceback", 1, true))
    end)
  end

  it("names each of several files, and goes on after one that is wrong", function()
    support.write(dir .. "/right.lua", gate())
    local r = run { cwd = dir, env = { PATH = bare }, "check", "comma.lua", "not_there.lua", ".", "right.lua" }
    assert.are.equal(2, r.code)
    for _, part in ipairs { "comma.lua:3: ", 'there is no script "not_there.lua"', "expected a script, found a directory: .",
    "right.lua: ok (gate g)" } do
      assert.is_truthy(r.stdout:find(part, 1, true), r.stdout)
    end
  end)

  it("says nothing of what is right, whatever it looks like", function()
    support.write(dir .. "/fine_helper.lua",
    "local M = {}\nfunction M.look(c, n) c:check(n, function() return c.db.app:value('x') end) end\nreturn M\n")
    support.write(dir .. "/fine.lua", [[
local gate = require "gate"
local helper = require "fine_helper"
local hash, json = require "hash", require "json"
local ctx2 = { db = { nothing = { query = function() end } } }
local function each(list, fn) for _, x in ipairs(list) do fn(x) end end
local Object = {}
Object.__index = Object
function Object:look(ctx) self.ctx = ctx; ctx:check("object", function() return self.ctx.options.depth end) end
return gate.define {
  api = 1, id = "fine", name = "Fine", needs = { db = { "app", "admin" }, stores = { "artifacts" }, commands = { "x" } },
  options = { depth = { type = "integer", default = 1 } }, failures = { stale = { text = "%s" }, dynamic_a = { text = "a" } },
  run = function(c)
    helper.look(c, "helper")
    setmetatable({}, Object):look(c)
    c:check("x", function()
      local db = c.db
      db = ctx2.db
      db.nothing.query()
      local roles = { "app", "admin" }
      each(roles, function(role) return c.db[role]:value("select 1") end)
      local tx = c.db.app:transaction(function(t) return t:value("select 1") end)
      local store = c.store.artifacts
      store:put("a", hash.of(json.decode "{}"))
      local class = "stale"
      c:fail(class, { object = tx, detail = ("%d"):format(1) })
      c:fail("dynamic_" .. "a")
      return c.exec:run("x", { stdin = "" }).exit
    end)
  end,
  recover = function(c, findings)
    for _, f in ipairs(findings) do c:apply(f.check, { sql = "select 1", role = "admin" }) end
  end,
}
]])
    local r = run { cwd = dir, env = { PATH = bare }, "check", "fine.lua" }
    assert.are.equal("fine.lua: ok (gate fine)\n", r.stdout)
    assert.are.equal(0, r.code)
  end)

  it("runs nothing: no database is started, and no configuration is read", function()
    support.write(dir .. "/gate-engine.conf.lua", "this is no configuration")
    local state = support.tmpdir() .. "/state"
    local r = run { cwd = dir, env = { PATH = bare, GATE_ENGINE_STATE = state, DATABASE_URL = "postgresql://192.0.2.1/x" }, "check",
    "right.lua" }
    os.remove(dir .. "/gate-engine.conf.lua")
    assert.are.equal("right.lua: ok (gate g)\n", r.stdout)
    assert.are.equal(0, r.code)
    assert.is_falsy(os.execute("test -e " .. state))
  end)
end)
