-- scripts/datasets.lua through the binary: golden datasets listed, checked, made, and made anew by the version rules.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "json"
local support = require "support"

local WEEK = "Mo 06:00-14:00\nMo 14:00-22:00\nDi 06:00-14:00\n"

local function run(...)
  return support.run { argv = { "run", support.root .. "/scripts/datasets.lua", ... } }
end

local function has(r, code, text)
  assert.equal(code, r.code, r.stdout .. r.stderr)
  assert.is_truthy(r.stdout:find(text, 1, true), ("expected %q in:\n%s"):format(text, r.stdout))
end

local function manifest(dir) return json.decode(support.must_read(dir .. "/manifest.json")) end

--- A root with a copy of a shipped dataset, to be changed.
local function copied(name)
  local root = support.tmpdir()
  support.shell(("cp -r stdlib/datasets/%s %s/"):format(name, root))
  return root, root .. "/" .. name:match "[^/]+$"
end

local function change_manifest(dir, key, value)
  local m = manifest(dir)
  m[key] = value
  support.write(dir .. "/manifest.json", json.encode(m))
end

describe("golden datasets", function()
  it("are listed, all that are shipped, with version and expected failure", function()
    local r = run()
    has(r, 0, "=== OK: Nothing to do: 7 datasets ===")
    has(r, 0, "  known_failures/3er_violation  roster 1.0.0, fails fatigue  [known_failure]")
    has(r, 0, "  roster/gurkerl_full  roster 1.0.0  [golden week]")
  end)

  it("as shipped are what their manifests say, plans and KPIs too", function()
    has(run("--action", "validate"), 0, "7 datasets are what their manifests say")
    local r = run("--action", "drift")
    has(r, 0, "roster/gurkerl_full: as expected, drift 0.0 OK")
    has(r, 0, "routing/wien_small: as expected")
  end)

  for name, case in pairs {
    ["a changed input"] = { "roster/gurkerl_small", function(dir) support.write(dir .. "/input.txt", WEEK) end,
      "input_hash: manifest.json says" },
    ["a changed matrix"] = { "routing/wien_small", function(dir)
      support.write(dir .. "/matrix.csv", (support.must_read(dir .. "/matrix.csv"):gsub("(\n[^\n]*,)%d+(\n)$", "%17%2")))
    end, "matrix" },
    ["an injected plan that fails another audit"] = { "known_failures/3er_violation", function(dir)
      change_manifest(dir, "expected_failure", "rest")
    end, 'expected_failure: manifest.json says "rest", and it is "fatigue"' },
    ["a known failure that is none any more"] = { "known_failures/bad_time_windows", function(dir)
      support.shell(("cp stdlib/datasets/routing/wien_small/input.json stdlib/datasets/routing/wien_small/matrix.csv %s/"):format(dir))
    end, "input_hash: manifest.json says null" },
    ["a version that is none"] = { "roster/gurkerl_small", function(dir) change_manifest(dir, "version", "one") end,
      "version: expected MAJOR" },
    ["a manifest that is no JSON"] = { "roster/gurkerl_small", function(dir) support.write(dir .. "/manifest.json", "{") end,
      "manifest.json: " },
  } do
    it("with " .. name .. " do not validate", function()
      local root, dir = copied(case[1])
      case[2](dir)
      has(run("--action", "validate", "--root", root), 1, case[3])
    end)
  end

  it("beneath a directory without any are no success", function()
    has(run("--action", "validate", "--root", support.tmpdir()), 1, "There is no dataset beneath --root")
  end)

  it("drift where the solver's plan is no longer the expected one, and critically where its KPIs are far off", function()
    local root, dir = copied "roster/gurkerl_small"
    change_manifest(dir, "expected_output_hash", ("0"):rep(64))
    has(run("--action", "drift", "--root", root), 1, "gurkerl_small: expected_output_hash: manifest.json says")
    local kpis = manifest(dir).expected_kpis
    kpis.total_drivers = 2
    change_manifest(dir, "expected_kpis", kpis)
    local r = run("--action", "drift", "--root", root)
    has(r, 1, "gurkerl_small: CRITICAL total_drivers: 3, expected 2 (50.0 % off")
    has(r, 1, "A dataset's KPIs are critical: gurkerl_small, total_drivers")
  end)

  it("are made from an input, and then validate, list and run through gate 3", function()
    local root = support.tmpdir()
    local dir = root .. "/my_week"
    support.write(dir .. "/input.txt", WEEK)
    local create = { "--action", "create", "--to", dir, "--tags", "small, mine", "--note", "three tours" }
    has(run("--dry-run", table.unpack(create)), 0, "Write manifest.json of my_week")
    assert.is_nil(support.read(dir .. "/manifest.json"))
    has(run(table.unpack(create)), 0, "✅ DONE - Write manifest.json of my_week")
    local m = manifest(dir)
    assert.same({ "my_week", "roster", "1.0.0", "three tours", 94 }, { m.name, m.pack, m.version, m.note, m.seed })
    assert.same({ "small", "mine" }, { m.tags[1], m.tags[2] })
    assert.equal(100, m.expected_kpis.audit_pass_rate)
    has(run("--action", "validate", "--root", root), 0, "1 datasets are what their manifests say")
    has(run("--root", root), 0, "my_week  roster 1.0.0  [small mine]")
    local r = support.run { "run", "gates/golden_path_e2e.lua", "--dataset", dir, "--verbose" }
    has(r, 0, "All stages completed successfully")
    assert.is_nil(r.stdout:find("differs from the golden dataset", 1, true))
    has(run("--action", "create", "--to", dir), 1, "Dataset my_week has a manifest already")
  end)

  it("get a new version by what changed: patch, minor, major, and none where nothing did", function()
    local _, dir = copied "roster/gurkerl_small"
    local function update(...) return run("--action", "update", "--to", dir, ...) end
    has(update(), 0, "nothing changed: it stays version 1.0.0")
    has(update("--note", "looked through"), 0, "version 1.0.0 is now 1.0.1 (patch)")
    change_manifest(dir, "expected_output_hash", ("0"):rep(64))
    has(update(), 0, "version 1.0.1 is now 1.1.0 (minor)")
    support.write(dir .. "/input.txt", WEEK)
    has(update(), 0, "version 1.1.0 is now 2.0.0 (major)")
    local m = manifest(dir)
    assert.same({ "2.0.0", "looked through" }, { m.version, m.note })
    assert.same({ "golden", "small" }, { m.tags[1], m.tags[2] })
    has(run("--action", "validate", "--root", dir), 0, "1 datasets are what")
  end)

  it("pin a changed matrix as a new input", function()
    local root, dir = copied "routing/wien_small"
    support.write(dir .. "/matrix.csv", (support.must_read(dir .. "/matrix.csv"):gsub("(\n[^\n]*,)%d+(\n)$", "%17%2")))
    has(run("--action", "update", "--to", dir), 0, "version 1.0.0 is now 2.0.0 (major)")
    has(run("--action", "drift", "--root", root), 0, "wien_small: as expected")
  end)

  it("are not written without a place, nor updated where there is none", function()
    has(run("--action", "create"), 1, "--action create needs --to")
    local dir = support.tmpdir()
    support.write(dir .. "/input.txt", WEEK)
    has(run("--action", "update", "--to", dir), 1, "has no manifest")
  end)
end)
