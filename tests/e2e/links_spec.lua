-- Symbolic links among scripts: who may put one into a directory must not thereby read a line of another file in what the parser says.
local support = require "e2e.support"

local run = support.run

local has = support.has

local AUDIT = 'return { name = "a", pack = "roster", audit = function() end }\n'
local NEEDS = [[
return require("gate").define { api = 1, id = "g", name = "G", needs = { audits = true },
  options = { audit = { type = "audit", help = "one" } },
  run = function(ctx) ctx:check("x", function() %s end) end }
]]

describe("a symbolic link out of the directory it stands in", function()
  local dir = support.tmpdir()
  support.write(dir .. "/env.secret", "hunter2 = = s3cret\n")
  support.write(dir .. "/out/b.lua", "hunter2 = = s3cret\n")
  support.write(dir .. "/work/g.lua", NEEDS:format "")
  support.write(dir .. "/work/tn/a.lua", AUDIT)
  support.write(dir .. "/work/within/real/a.lua", AUDIT)
  support.shell(("cd %s/work && ln -s ../../env.secret tn/b.lua && ln -s real/a.lua within/link.lua "
    .. "&& mkdir deep odd && ln -s ../../out deep/audits && mkfifo odd/pipe.lua "
    .. "&& ln -s ../env.secret helper.lua && mkdir modules && ln -s ../../out modules/sub "
    .. "&& cp g.lua modules/g.lua && ln -s tn tenant"):format(support.quote(dir)))

  --- Runs it in the working directory; nothing of the secret may be told, in any report.
  local function try(...)
    local r = run { cwd = dir .. "/work", ... }
    local report = support.read(dir .. "/work/r.json") or ""
    assert.is_nil((r.stdout .. r.stderr .. report):find("s3cret", 1, true), r.stdout .. r.stderr)
    return r
  end

  local function with_audits(pattern)
    support.write(dir .. "/work/c.lua", ("return {\n  audits = { %q } }\n"):format(pattern))
    return try("run", "g.lua", "--config", "c.lua", "--report", "json=r.json")
  end

  local OUT = "expected audits that lie where they are named, found a symbolic link that leads out of its directory: "

  it("is no audit of a configuration, whichever part of the path it is", function()
    for pattern, link in pairs {
      ["tn/*.lua"] = "tn/b.lua", ["tn/b.lua"] = "tn/b.lua", [dir .. "/work/tn/*.lua"] = "tn/b.lua", [dir .. "/work/tn/b.lua"] = "tn/b.lua",
      ["deep/*/*.lua"] = "deep/audits", ["deep/audits/b.lua"] = "deep/audits", [dir .. "/work/*/audits/b.lua"] = "deep/audits",
      ["tn/../deep/./audits/b.lua"] = "tn/../deep/./audits",
    } do
      local r = with_audits(pattern)
      assert.are.equal(2, r.code, pattern .. r.stdout)
      has(r.stderr, "c.lua:2: audits[1]: " .. OUT .. link, "fix: put the file itself there")
    end
  end)

  it("is no plan of a directory of plans", function()
    support.write(dir .. "/plan.secret", '{"schema": "s3cret"}')
    support.write(dir .. "/out/audit-plan.json", '"s3cret"')
    support.shell(("cd %s/work && mkdir -p weeks one && ln -s ../../plan.secret weeks/2026-W10.json && ln -s ../../out weeks/w11 "
      .. "&& ln -s ../../plan.secret one/audit-plan.json"):format(support.quote(dir)))
    for plans, names in pairs { weeks = { "2026-W10.json", "w11/audit-plan.json" }, one = { "plan_unreadable" } } do
      local r = try("run", "tn/a.lua", "--plan", plans, "--report", "json=r.json")
      assert.are.equal(3, r.code, r.stdout .. r.stderr)
      for _, name in ipairs(names) do has(support.read(dir .. "/work/r.json"), name) end
      has(r.stdout, "a symbolic link that leads out of the directory")
    end
  end)

  it("is told from one that stays inside, and from what is no file", function()
    for _, pattern in ipairs { "within/*.lua", "tenant/a.lua", "./tn/../within/link.lua", dir .. "/work/within/link.lua" } do
      local r = with_audits(pattern)
      assert.are.equal(0, r.code, pattern .. r.stdout .. r.stderr)
    end
    for pattern, found in pairs { ["odd/*"] = "odd/pipe.lua", ["with*"] = "within", ["/dev/nul?"] = "/dev/null" } do
      local r = with_audits(pattern)
      assert.are.equal(2, r.code, pattern)
      has(r.stderr, "audits[1]: expected regular files only, found something else: " .. found)
    end
  end)

  it("is no script and no --audit", function()
    local said = "expected a file, found a symbolic link that leads out of its directory: tn/b.lua"
    for _, verb in ipairs { "check", "run" } do
      local r = try(verb, "tn/b.lua")
      assert.are.equal(2, r.code, verb .. r.stdout)
      has(r.stdout .. r.stderr, said)
    end
    local r = try("run", "g.lua", "--audit", "tn/b.lua")
    assert.are.equal(2, r.code, r.stdout)
    has(r.stderr, "--audit: " .. said, "fix: name the file itself")
    support.write(dir .. "/work/s.lua",
      'return require("suite").define { api = 1, id = "s", name = "S", gates = { "g.lua", "tn/b.lua" } }\n')
    for _, verb in ipairs { "check", "run" } do
      r = try(verb, "s.lua")
      assert.are.equal(2, r.code, verb .. r.stdout)
      has(r.stdout .. r.stderr, said)
    end
    assert.are.equal(0, try("check", "within/link.lua").code)
  end)

  it("is no module", function()
    for name, gate in pairs { helper = "h.lua", ["sub.b"] = "modules/h.lua" } do
      support.write(dir .. "/work/" .. gate, NEEDS:format(("require %q"):format(name)))
      local r = try("run", gate, "--report", "json=r.json")
      assert.are.equal(3, r.code, r.stdout)
      has(r.stdout, ("module %s is a symbolic link that leads out of "):format(name), "put the module itself into the directory")
      support.write(dir .. "/work/" .. gate, ("require %q\n"):format(name) .. NEEDS:format "")
      r = try("check", gate)
      assert.are.equal(2, r.code, r.stdout)
      has(r.stdout, ("module %s is a symbolic link"):format(name))
    end
  end)
end)
