-- What the README shows is so: its code is that of the examples, its commands run, with the result that its text gives them.
local support = require "e2e.support"

local readme = support.must_read(support.root .. "/README.md")

--- Commands that fail as they should, and such as need what only a reader has.
local EXPECTED = {
  ["run examples/gates/backup_fresh.lua"] = 1, -- no backup yet
  ["run examples/audits/max_two_nights.lua"] = 1, -- the week of nights breaks the rule
}
local NOT_HERE = { "only coverage,isolation", "integrations_contract", -- tests/services/store_spec.lua
  "create_tenant", "record", "explain", "evidence ", "verify evidence",
  "configure_pack", "go_live --", "first_week", "escalate", "run suspend", "rotate_key", "offboard" }

local function commands()
  local out = {}
  for line in readme:gmatch "\n    build/gate%-engine ([^\n]+)" do
    out[#out + 1] = (line:gsub("%s+#.*$", ""))
  end
  return out
end

local function skipped(command)
  for _, part in ipairs(NOT_HERE) do
    if command:find(part, 1, true) then return true end
  end
  return false
end

describe("the README", function()
  local dir, env = support.tmpdir(), nil

  setup(function()
    env = { GATE_ENGINE_STATE = dir .. "/state" }
    for _, name in ipairs { "examples", "scripts", "gates", "stdlib" } do
      support.shell(("ln -s %s/%s %s/%s"):format(support.root, name, dir, name))
    end
    assert.are.equal(0, support.run({ cwd = dir, env = env, "platform", "start" }).code)
    support.make_tenants(env, "acme")
  end)

  teardown(function() support.run { cwd = dir, env = env, "platform", "stop" } end)

  it("has no code that is not an example, or a configuration that is read", function()
    local n = 0
    for code in readme:gmatch "\n```lua\n(.-)```\n" do
      n = n + 1
      local is_gate = code:find("gate.define", 1, true)
      if is_gate then
        assert.are.equal(support.must_read(support.root .. "/examples/gates/backup_fresh.lua"), code)
      else
        support.write(dir .. "/gate-engine.conf.lua", code) -- as the README says; the commands below find it
        local r = support.run { cwd = dir, env = env, "recover", "examples/gates/backup_fresh.lua" }
        -- The table ops.backups is not there: the gate runs, and its error is the server's, not the configuration's.
        assert.is_true(r.code ~= 2, r.stderr)
      end
    end
    assert.is_true(n >= 2)
  end)

  local found = commands()
  for _, command in ipairs(found) do
    if not skipped(command) then
      it("shows a command that does what it says: " .. command, function()
        local code = 0
        for part, wanted in pairs(EXPECTED) do
          if command == part or command:find(part .. " --plan", 1, true) == 1 then code = wanted end
        end
        local script = support.write(dir .. "/command.sh", support.quote(support.engine) .. " " .. command .. "\n")
        local r = support.run { program = "/bin/sh", cwd = dir, env = env, script }
        assert.are.equal(code, r.code, r.stdout .. r.stderr)
      end)
    end
  end

  it("is read to its end by this test", function() assert.is_true(#found >= 15, #found) end)
end)
