local json = require "engine.json"
local support = require "e2e.support"

local run = support.run

--- The run ended with exit 2, said this on standard error, and nothing on standard output.
local function refused(result, ...)
  assert.are.equal(2, result.code, result.command .. "\n" .. result.stderr)
  for _, text in ipairs { ... } do
    assert.is_truthy(result.stderr:find(text, 1, true), ("expected %q in:\n%s"):format(text, result.stderr))
  end
  assert.are.equal("", result.stdout)
end

local has = support.has

--- A directory with these files in it.
local function files(content)
  local dir = support.tmpdir()
  for name, text in pairs(content) do
    support.write(dir .. "/" .. name, text)
  end
  return dir
end

local EXTERNAL = 'return { platform = "external" }\n'

-- Shows what reaches a script: every option as one finding.
local PROBE = [[
local gate = require "gate"
return gate.define {
  api = 1, id = "probe", name = "Probe", purpose = "shows its options",
  options = {
    count = { type = "integer", default = 2, min = 1, max = 5, help = "how many" },
    some_words = { type = "string", multiple = true, help = "words" },
    mode = { type = "enum", choices = { "fast", "slow" }, default = "fast", help = "how" },
    ratio = { type = "number", default = 1, help = "what part" },
    loud = { type = "boolean", default = false, help = "says more" },
    data = { type = "path", access = "read", search = { "stdlib/datasets/roster" }, help = "what is read" },
    out = { type = "path", access = "write", help = "what is written" },
  },
  failures = { shown = { text = "%s" } },
  run = function(ctx)
    ctx:check("options", function()
      for name, value in pairs(ctx.options) do
        if type(value) == "table" and type(value[1]) == "string" then value = table.concat(value, "+") end
        local shown = type(value) == "table" and "table" or tostring(value)
        ctx:fail("shown", { object = name .. "=" .. (math.type(value) or type(value)) .. "=" .. shown })
      end
    end)
  end,
}
]]

describe("the verbs", function()
  it("are listed by --help, by -h and by help, and each has a help of its own", function()
    local all = run { "--help" }
    assert.are.equal(0, all.code)
    assert.are.equal("", all.stderr)
    assert.are.equal(all.stdout, run({ "-h" }).stdout)
    assert.are.equal(all.stdout, run({ "help" }).stdout)
    for _, verb in ipairs { "run", "recover", "new", "check", "doc", "list", "platform", "version", "help" } do
      has(all.stdout, "\n  " .. verb .. " ")
      local own = run { "help", verb }
      assert.are.equal(0, own.code)
      has(own.stdout, "Usage: gate-engine " .. verb)
      if verb ~= "help" then
        assert.are.equal(own.stdout, run({ verb, "--help" }).stdout)
      end
    end
  end)

  it("that are misspelt get the nearest one, with exit 2", function()
    refused(run { "rnu" }, 'unknown verb "rnu"', 'did you mean "run"?')
    refused(run { "recovre" }, 'did you mean "recover"?')
    refused(run { "plattform" }, 'did you mean "platform"?')
    refused(run { "help", "chekc" }, 'did you mean "check"?')
    refused(run { "zzzzzzzz" }, 'unknown verb "zzzzzzzz"', "gate-engine --help")
    refused(run {}, "expected a verb")
  end)

  it("say their version, their libraries and what the kernel offers", function()
    local r = run { "version" }
    assert.are.equal(0, r.code)
    assert.is_truthy(r.stdout:match "^gate%-engine %d+%.%d+%.%d+\n")
    for _, line in ipairs { "Lua +5%.4%.%d", "jansson +%d", "libpq +%d+%.%d", "libcurl +%d+%.%d+%.%d+, OpenSSL", "libcrypto +OpenSSL",
                            "landlock +%a", "seccomp +%a", "pidfd +%a", "openat2 +%a" } do
      assert.is_truthy(r.stdout:match(line), "expected " .. line .. " in:\n" .. r.stdout)
    end
    assert.are.equal(r.stdout, run({ "--version" }).stdout)
  end)
end)

describe("options", function()
  local dir = files { ["gate-engine.conf.lua"] = EXTERNAL, ["probe.lua"] = PROBE }

  it("that are misspelt get the nearest one, the script's own included", function()
    refused(run { cwd = dir, "run", "probe.lua", "--tenat", "x" }, 'unknown option "--tenat"', 'did you mean "--tenant"?')
    refused(run { cwd = dir, "run", "probe.lua", "--cuont", "3" }, 'did you mean "--count"?')
    refused(run { cwd = dir, "run", "--cuont=3", "probe.lua" }, 'did you mean "--count"?')
    refused(run { cwd = dir, "run", "probe.lua", "--some_words", "x" }, 'did you mean "--some-words"?')
    refused(run { cwd = dir, "run", "probe.lua", "-x" }, 'unknown option "-x"')
    refused(run { "list", "--al" }, 'unknown option "--al"')
  end)

  it("must be written in full", function()
    refused(run { cwd = dir, "run", "probe.lua", "--tenan", "x" }, 'unknown option "--tenan"')
    refused(run { cwd = dir, "run", "probe.lua", "--verb" }, 'unknown option "--verb"', 'did you mean "--verbose"?')
    refused(run { cwd = dir, "run", "probe.lua", "--coun=3" }, 'unknown option "--coun=3"')
    refused(run { cwd = dir, "run", "probe.lua", "--str" }, 'did you mean "--strict"?')
  end)

  it("that belong elsewhere say where", function()
    refused(run { cwd = dir, "run", "probe.lua", "--apply" }, "--apply belongs to gate-engine recover")
    refused(run { cwd = dir, "run", "probe.lua", "--dry-run" }, "--dry-run belongs to operations")
    refused(run { cwd = dir, "run", "probe.lua", "--plan", "." }, "--plan belongs to tenant audits")
    refused(run { cwd = dir, "recover", "probe.lua" }, "probe.lua declares no recovery path")
  end)

  it("are refused without a value, with one too many, twice, or beside a second script", function()
    refused(run { cwd = dir, "run", "probe.lua", "--tenant" }, "--tenant: expected a value")
    refused(run { cwd = dir, "run", "probe.lua", "--verbose=yes" }, "--verbose takes no value")
    refused(run { cwd = dir, "run", "probe.lua", "--tenant", "a", "--tenant", "b" }, "--tenant is given twice")
    refused(run { cwd = dir, "run", "probe.lua", "other.lua" }, 'expected one script, found "other.lua" too')
    refused(run { cwd = dir, "run", "--verbose" }, "expected a script, found none")
  end)

  it("hold numbers in their range", function()
    for _, bad in ipairs { "0", "65", "-1", "1.5", "x", "", "99999999999999999999" } do
      refused(run { cwd = dir, "run", "probe.lua", "--jobs", bad }, "--jobs: expected a whole number from 1 to 64")
    end
    for _, bad in ipairs { "0", "-1", "1e3", "x", "", "nan", "86401" } do
      refused(run { cwd = dir, "run", "probe.lua", "--timeout", bad }, "--timeout: expected seconds above 0")
    end
    refused(run { cwd = dir, "run", "probe.lua", "--only", "a,,b" }, "--only: expected names with commas between them")
    refused(run { cwd = dir, "run", "probe.lua", "--stdlib", "nowhere" }, "--stdlib: expected a directory")
  end)

  it("of the script are typed, checked and explained", function()
    refused(run { cwd = dir, "run", "probe.lua", "--count", "6" }, '--count: expected a whole number from 1 to 5, found "6"', "how many")
    refused(run { cwd = dir, "run", "probe.lua", "--count=two" }, '--count: expected a whole number from 1 to 5, found "two"')
    refused(run { cwd = dir, "run", "probe.lua", "--mode", "slwo" }, '--mode: expected fast or slow, found "slwo"', 'did you mean "slow"?')
    refused(run { cwd = dir, "run", "probe.lua", "--ratio", "half" }, '--ratio: expected a number, found "half"')
    refused(run { cwd = dir, "run", "probe.lua", "--loud=maybe" }, '--loud: expected true or false, found "maybe"')
    refused(run { cwd = dir, "run", "probe.lua", "--out", "probe.lua" }, "--out: expected a directory, found something else")
  end)

  it("that name what is read list what there is", function()
    refused(run { cwd = dir, "run", "probe.lua", "--data", "gurkerl_smal" },
      '--data: no "gurkerl_smal" in stdlib/datasets/roster of the installed tree, nor as a path', 'did you mean "gurkerl_small"?')
    refused(run { cwd = dir, "run", "probe.lua", "--data", "/nowhere/at/all" }, "gurkerl_small")
  end)

  it("of the script are shown by its help in the order they were written", function()
    local r = run { cwd = dir, "run", "probe.lua", "--help" }
    assert.are.equal(0, r.code)
    has(r.stdout, "Usage: gate-engine run probe.lua", "Probe: shows its options",
      "how many (integer from 1 to 5; default 2)", "--some-words TEXT", "words (string; may be repeated)",
      "--mode fast|slow", "how (enum; default fast)", "--data NAME|PATH", "--tenant CODE")
    local at = 0
    for _, flag in ipairs { "--count", "--some-words", "--mode", "--ratio", "--loud", "--data", "--out" } do
      local next_at = assert(r.stdout:find(flag .. " ", 1, true), flag)
      assert.is_true(next_at > at, flag .. " stands too early")
      at = next_at
    end
    assert.are.equal(r.stdout, run({ cwd = dir, "run", "--help", "probe.lua" }).stdout)
  end)

  it("reach the script as values of their types", function()
    local r = run { cwd = dir, "run", "--mode", "slow", "probe.lua", "--tenant", "x", "--some-words", "a", "--some-words=b", "--loud",
                    "--count=5", "--ratio", "3", "--data", "gurkerl_small", "--report", "json=r.json" }
    local report = json.decode(support.must_read(dir .. "/r.json"))
    local shown = {}
    for _, check in ipairs(report.gates[1].checks) do
      shown[#shown + 1] = check.object
    end
    table.sort(shown)
    assert.are.same({ "count=integer=5", "data=table=table", "loud=boolean=true", "mode=string=slow", "ratio=float=3.0",
                      "some_words=string=a+b" }, shown, r.stderr)
  end)
end)

describe("scripts", function()
  it("that are not there get the nearest name, by id and by path", function()
    refused(run { "run", "rls_harnes" }, 'there is no script "rls_harnes"', 'did you mean "rls_harness"?')
    refused(run { "run", "gates/determinism_prof.lua" }, 'did you mean "gates/determinism_proof.lua"?')
    refused(run { "run", "scripts/al.lua" }, 'did you mean "scripts/all.lua"?')
    refused(run { "recover", "rls_harnes" }, 'did you mean "rls_harness"?')
    refused(run { "run", "no/such/thing" }, "gate-engine list shows them")
    refused(run { "run", "/" }, "expected a script, found a directory")
    refused(run { "run", "" }, 'there is no script ""')
  end)

  it("that do not load, or say something wrong of themselves, end the run before it begins", function()
    local dir = files {
      ["syntax.lua"] = "return {\n  x = = 1\n}\n",
      ["number.lua"] = "return 42\n",
      ["head.lua"] = 'return require("gate").define {\n  api = 1, id = "h", name = "H",\n  nedds = {},\n  run = function() end,\n}\n',
      ["raises.lua"] = 'error("at load")\n',
    }
    refused(run { cwd = dir, "run", "syntax.lua" }, "syntax.lua:2:")
    refused(run { cwd = dir, "run", "number.lua" }, "number.lua")
    refused(run { cwd = dir, "run", "head.lua" }, 'head.lua:3: nedds: expected a key that is known at the top, found "nedds"',
      'did you mean "needs"?')
    refused(run { cwd = dir, "run", "raises.lua" }, "at load")
  end)

  it("of the installed tree are not replaced by a file of the working directory that has their id", function()
    local dir = files { ["gates/golden_path_e2e.lua"] = "error('the wrong one')\n" }
    local r = run { cwd = dir, "run", "golden_path_e2e", "--help" }
    assert.are.equal(0, r.code, r.stderr)
    has(r.stdout, "--dataset")
  end)

  it("of a suite must be gates that load, and their options are the suite's", function()
    local dir = files {
      ["probe.lua"] = PROBE,
      ["suite.lua"] = 'return require("suite").define { api = 1, id = "s", name = "S", gates = { "probe.lua", "golden_path_e2e" } }\n',
      ["nested.lua"] = 'return require("suite").define { api = 1, id = "n", name = "N", gates = { "suite.lua" } }\n',
      ["lost.lua"] = 'return require("suite").define { api = 1, id = "l", name = "L", gates = { "probe.lau" } }\n',
    }
    local help = run { cwd = dir, "run", "suite.lua", "--help" }
    assert.are.equal(0, help.code, help.stderr)
    has(help.stdout, "--some-words", "--dataset")
    refused(run { cwd = dir, "run", "nested.lua" }, 'gates[1]: expected a gate, found one of kind "suite"')
    refused(run { cwd = dir, "run", "lost.lua" }, 'there is no script "probe.lau"')
    refused(run { cwd = dir, "recover", "suite.lua" }, "suite.lua is no gate")
  end)

  it("are listed with id, name and purpose", function()
    local r = run { "list" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "Gates:\n", "Scripts:\n", "rls_harness", "RLS Harness: ", "determinism_proof", "golden_path_e2e",
      "integrations_contract", "\n  all ")
  end)

  it("are checked without being run: every problem with file and line", function()
    local dir = files {
      ["bad.lua"] = [[
return require("gate").define {
  api = 1, id = "Bad",
  name = "B",
  options = { n = { type = "integer",
    default = "x" } },
  failures = {
    f = { text = "%d rows" },
  },
  run = true,
}
]],
      ["good.lua"] = PROBE,
      ["suite.lua"] = 'return require("suite").define { api = 1, id = "s", name = "S", gates = { "good.lau" } }\n',
    }
    local r = run { cwd = dir, "check", "good.lua" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stdout, "good.lua:14: note: the gate has no recover", "\ngood.lua: ok (gate probe)\n")
    r = run { cwd = dir, "check", "good.lua", "bad.lua" }
    assert.are.equal(2, r.code)
    has(r.stdout, "good.lua: ok", 'bad.lua:2: id: expected an id ([a-z][a-z0-9_]*, at most 63 characters), found "Bad"',
      "bad.lua:9: run: expected a function, found true", 'bad.lua:5: options.n.default: expected a whole number, found "x"',
      'bad.lua:7: failures.f.text: expected no directive but %s and %%, found "%d"')
    r = run { cwd = dir, "check", "suite.lua" }
    assert.are.equal(2, r.code)
    has(r.stdout, "suite.lua: gates[1]", 'there is no script "good.lau"')
    assert.are.equal(2, run({ cwd = dir, "check", "nothing.lua" }).code)
    refused(run { "check" }, "expected a script, found none")
    -- No database, no configuration is looked at.
    r = run { cwd = dir, env = { DATABASE_URL = "postgresql://127.0.0.1:1/x" }, "check", "good.lua" }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
  end)

  it("that take a single option twice, or miss one that must be given, say so", function()
    local dir = files { ["op.lua"] = [[
return require("gate").define { api = 1, id = "op", name = "Op",
  options = { n = { type = "integer", required = true, help = "how many" } }, run = function() end }
]] }
    refused(run { cwd = dir, "run", "op.lua" }, "--n must be given", "how many")
    refused(run { cwd = dir, "run", "op.lua", "--n", "1", "--n", "2" }, "--n is given twice")
  end)

  it("that are tenant audits need a plan", function()
    local dir = files { ["a.lua"] = 'return { name = "A", pack = "roster", audit = function(plan, report) end }\n' }
    refused(run { cwd = dir, "run", "a.lua" }, "a.lua is a tenant audit: expected --plan, found none")
    refused(run { cwd = dir, "run", "a.lua", "--plan", "nowhere.json" }, '--plan: there is no file or directory "nowhere.json"')
    refused(run { cwd = dir, "run", "a.lua", "--plan", ".", "--only", "x" }, "--only belongs to gates")
  end)
end)

describe("the tenant", function()
  it("has a code that is harmless everywhere, and a hostile one is shown harmlessly", function()
    local dir = files { ["gate-engine.conf.lua"] = EXTERNAL, ["probe.lua"] = PROBE }
    for _, code in ipairs { "'; drop table x; --", ("x"):rep(300), "a\nb", "m\u{fc}ller", "-x", "_x", "", "a b", "../x",
                           "\u{202e}abc", "a\27[31m" } do
      local r = run { cwd = dir, "run", "probe.lua", "--tenant=" .. code }
      refused(r, "--tenant: expected a tenant code")
      assert.is_nil(r.stderr:find("[\0-\9\11-\31\127]"))
      assert.is_nil(r.stderr:find("\u{202e}", 1, true))
      assert.is_true(#r.stderr < 600)
    end
    refused(run { cwd = dir, "run", "probe.lua", "--tenant", "a\xffb" }, "--tenant: the value is not UTF-8 text")
  end)

  it("must be named on an external platform", function()
    local dir = files { ["gate-engine.conf.lua"] = EXTERNAL, ["probe.lua"] = PROBE }
    refused(run { cwd = dir, "run", "probe.lua" }, "expected --tenant on an external platform, found none")
  end)
end)

describe("the target", function()
  it("is never guessed from a database in the environment", function()
    local dir = files { ["probe.lua"] = PROBE }
    for _, name in ipairs { "DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSERVICE" } do
      refused(run { cwd = dir, env = { [name] = "12345" }, "run", "probe.lua" },
        name .. " is set, and no configuration says which platform is meant", 'platform = "external"', 'platform = "embedded"')
    end
    support.write(dir .. "/gate-engine.conf.lua", "return { limits = { wall_s = 5 } }\n")
    refused(run { cwd = dir, env = { PGHOST = "db" }, "run", "probe.lua" },
      "PGHOST is set, and gate-engine.conf.lua does not say which platform is meant")
  end)

  it("that is stated to be embedded is not bent by libpq's variables", function()
    local dir = files { ["gate-engine.conf.lua"] = 'return { platform = "embedded" }\n' }
    local r = run { cwd = dir, "run", "rls_harness", "--only", "coverage",
                    env = { PGSERVICE = "nowhere", PGHOST = "192.0.2.1", PGOPTIONS = "-c role=nobody",
                            DATABASE_URL = "postgresql://192.0.2.1/x" } }
    assert.are.equal(0, r.code, r.stdout .. r.stderr)
    has(r.stderr, "target: embedded platform")
  end)

  it("is not embedded where the configuration describes a database", function()
    local dir = files {
      ["probe.lua"] = PROBE,
      ["gate-engine.conf.lua"] = 'return {\n  database = {\n    admin = { url = "postgresql://db/x" } } }\n',
    }
    refused(run { cwd = dir, "run", "probe.lua" },
      "gate-engine.conf.lua:3: database.admin: expected no connection on the embedded platform",
      'write platform = "external"')
  end)
end)

describe("the configuration", function()
  it("that is wrong names file, line, key and what was expected", function()
    local dir = files {
      ["probe.lua"] = PROBE,
      ["gate-engine.conf.lua"] = 'return {\n  platform = "external",\n  limits = {\n    memory = 256,\n  },\n}\n',
      ["syntax.lua"] = "return {\n  platform = \n}\n",
      ["calls.lua"] = 'return { platform = os.getenv "X" }\n',
      ["unset.lua"] = 'return { platform = "external",\n auth = { api_key = { value = env "NOT_SET_ANYWHERE" } } }\n',
      ["list.lua"] = "return 7\n",
    }
    refused(run { cwd = dir, "run", "probe.lua" },
      'gate-engine.conf.lua:4: limits.memory: expected a key that is known here, found "memory"',
      'memory_mb')
    refused(run { cwd = dir, "run", "probe.lua", "--config", "syntax.lua" }, "syntax.lua:3:")
    refused(run { cwd = dir, "run", "probe.lua", "--config", "calls.lua" }, "calls.lua")
    refused(run { cwd = dir, "run", "probe.lua", "--config", "unset.lua" }, "NOT_SET_ANYWHERE")
    refused(run { cwd = dir, "run", "probe.lua", "--config", "list.lua" }, "list.lua")
    refused(run { cwd = dir, "run", "probe.lua", "--config", "nowhere.lua" },
      "--config names a configuration that is not there: nowhere.lua")
    refused(run { cwd = dir, env = { GATE_ENGINE_CONFIG = "nowhere.lua" }, "run", "probe.lua" }, "GATE_ENGINE_CONFIG names")
  end)

  it("never shows a secret, on the screen or in a report", function()
    local dir = files {
      ["probe.lua"] = PROBE,
      ["gate-engine.conf.lua"] = [[
return { platform = "external",
  database = { admin = { url = "postgresql://gate:tr0ub4dor@127.0.0.1:1/x" } },
  auth = { api_key = { value = env "MY_KEY", header = "tr0ub4dor" .. env "MY_KEY", extra = 1 } } }
]],
    }
    local r = run { cwd = dir, env = { MY_KEY = "sk_live_0123456789", PGPASSWORD = "hush-hush" }, "run", "probe.lua",
                    "--report", "json=r.json", "--report", "junit=r.xml" }
    assert.are.equal(2, r.code)
    local all = r.stderr .. support.must_read(dir .. "/r.json") .. support.must_read(dir .. "/r.xml")
    for _, secret in ipairs { "tr0ub4dor", "sk_live_0123456789", "hush-hush" } do
      assert.is_nil(all:find(secret, 1, true), secret)
    end
    -- Nor one of the environment that was put where something else belongs.
    local url = "postgresql://gate:tr0ub4dor@db/x"
    for _, argv in ipairs { { "run", url }, { "check", url }, { "run", "probe.lua", "--config", url }, { url } } do
      local misplaced = run { cwd = dir, env = { DATABASE_URL = url }, argv = argv }
      assert.are.equal(2, misplaced.code)
      assert.is_nil((misplaced.stdout .. misplaced.stderr):find("tr0ub4dor", 1, true))
    end
  end)
end)

describe("the environment", function()
  it("has nothing by which libraries would write keys, load code or exchange hosts", function()
    for _, name in ipairs { "SSLKEYLOGFILE", "OPENSSL_ENGINES", "OPENSSL_MODULES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES" } do
      local dir = support.tmpdir()
      support.write(dir .. "/gate-engine.conf.lua", ('return { platform = "embedded", recording = env "%s" }\n'):format(name))
      local r = run { cwd = dir, argv = { "run", "scripts/all.lua" }, env = { [name] = "/tmp/x" } }
      assert.are.equal(2, r.code)
      assert.is_truthy(r.stderr:find("the environment variable " .. name .. " is not set", 1, true), r.stderr)
    end
  end)
end)

describe("reports", function()
  it("are written on exit 2 too, and are not green", function()
    for _, argv in ipairs {
      { "run", "rls_harnes" }, { "run", "golden_path_e2e", "--tenant", "a b" }, { "run", "golden_path_e2e", "--bogus" },
      { "run", "golden_path_e2e", "--config", "nowhere.lua" }, { "run" }, { "recover", "scripts/all.lua" },
    } do
      local dir = support.tmpdir()
      argv[#argv + 1] = "--report"
      argv[#argv + 1] = "json=r.json"
      argv[#argv + 1] = "--report=junit=r.xml"
      local r = run { cwd = dir, argv = argv }
      refused(r)
      local report = json.decode(support.must_read(dir .. "/r.json"))
      assert.are.equal("gate-engine/report/1", report.schema)
      assert.are.equal("ERROR", report.status)
      assert.are.equal(2, report.exit_code)
      assert.is_false(report.approved)
      assert.is_truthy(r.stderr:find(report.error.message, 1, true))
      assert.is_truthy(support.must_read(dir .. "/r.xml"):match "<error")
    end
  end)

  it("are written when a signal ends the run while a script is being loaded", function()
    local dir = files { ["hang.lua"] = "while true do end\n" }
    -- The signal is sent once the process that loads the script is there.
    local script = support.quote(support.engine) .. [[ run hang.lua --report json=r.json & pid=$!
      children=/proc/$pid/task/$pid/children
      until { read -r loader <$children; [ -n "$loader" ]; } || ! kill -0 $pid; do :; done
      kill -TERM $pid; wait $pid]]
    local r = run { cwd = dir, program = "/bin/sh", argv = { "-c", script } }
    assert.are.equal(143, r.code, r.stderr)
    local report = json.decode(support.must_read(dir .. "/r.json"))
    assert.are.equal(143, report.exit_code)
    assert.are.equal("ERROR", report.status)
  end)

  it("are not written over what the run reads, over one another, or into what would keep it waiting", function()
    local content = { ["a.lua"] = PROBE, ["audit.lua"] = 'return { name = "A", pack = "roster", audit = function() end }\n',
      ["other.lua"] = "return {}\n", ["gate-engine.conf.lua"] = "return {}\n", ["plans/audit-plan.json"] = "{}\n" }
    content["lib.lua"], content["m/001.sql"], content["weeks/w.json"] = "return {}\n", "select 1;\n", "{}\n"
    local dir = files(content)
    support.shell(("cd %s && ln -s a.lua link && mkfifo pipe"):format(support.quote(dir)))
    local function bad(text, ...) refused(run { cwd = dir, "run", ... }, text) end
    bad("--report json=a.lua: it would be written over ./a.lua, which this run uses", "./a.lua", "--report", "json=a.lua")
    bad("--report json=link: it would be written over ./a.lua", "./a.lua", "--report=json=link")
    bad("--report tap=gate-engine.conf.lua: it would be written over gate-engine.conf.lua", "./a.lua", "--report",
      "tap=gate-engine.conf.lua")
    bad("--report tap=other.lua: it would be written over other.lua", "./a.lua", "--report", "tap=other.lua", "--config=other.lua")
    bad("--report json=plans/audit-plan.json: it would be written over plans", "./audit.lua", "--plan", "plans", "--report",
      "json=plans/audit-plan.json")
    for _, file in ipairs { "lib.lua", "m/001.sql", "weeks/w.json" } do
      bad("it would be written over a file that gate-engine may read", "./audit.lua", "--plan", "weeks", "--report", "json=" .. file)
    end
    bad("--report junit=./r: --report json=r goes to the same file", "./a.lua", "--report", "json=r", "--report", "junit=./r")
    bad("--report json=pipe: expected a file, found a named pipe", "./a.lua", "--report", "json=pipe")
    bad("--report json=plans: expected a file, found a directory", "./a.lua", "--report", "json=plans")
    bad("--no-such", "./a.lua", "--no-such", "--report", "json=a.lua", "--report", "json=gate-engine.conf.lua")
    for name, was in pairs(content) do assert.equal(was, support.must_read(dir .. "/" .. name)) end
    assert.is_truthy(support.must_read(dir .. "/r"):find("goes to the same file", 1, true)) -- the first report tells of it
  end)

  it("may go to devices, and to a pipe that the shell opened", function()
    local dir = files { ["a.lua"] = "return 1\n" }
    local r = run { "-c", support.quote(support.engine) .. " run ./a.lua --report json=>(cat >seen) --report tap=/dev/null "
      .. "--report junit=/dev/null; code=$?; wait; exit $code", cwd = dir, program = "/bin/bash" }
    assert.equal(2, r.code, r.stderr)
    assert.is_truthy(support.must_read(dir .. "/seen"):find('"status": "ERROR"', 1, true))
  end)

  it("have a format and a place that are checked first", function()
    refused(run { "run", "golden_path_e2e", "--report", "jsn=x" }, '--report: unknown format in "jsn=x"', 'did you mean "json"?')
    refused(run { "run", "golden_path_e2e", "--report", "junti=x" }, 'did you mean "junit"?')
    refused(run { "run", "golden_path_e2e", "--report", "json" }, '--report: expected FORMAT=FILE, found "json"')
    refused(run { "run", "golden_path_e2e", "--report", "json=" }, "--report: expected FORMAT=FILE")
    refused(run { "run", "golden_path_e2e", "--report", "json=no/such/dir/r.json" }, "--report: there is no directory for the file")
    local twice = run { "run", "golden_path_e2e", "--report", "json=-", "--report", "junit=-" }
    assert.are.equal(2, twice.code)
    has(twice.stderr, "at most one report on standard output")
  end)
end)

describe("standard output", function()
  it("that cannot be written is no success", function()
    for _, argv in ipairs { { "--help" }, { "version" }, { "list" }, { "help", "run" }, { "run", "golden_path_e2e", "--help" } } do
      local full = run { argv = argv, stdout = "/dev/full" }
      assert.are.equal(3, full.code, full.command)
      has(full.stderr, "cannot write standard output")
    end
    local closed = run { argv = { "--help" }, stdout = "closed" }
    assert.are.equal(3, closed.code)
  end)
end)
