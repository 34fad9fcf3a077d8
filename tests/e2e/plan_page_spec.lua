-- The page on which a plan can be looked at (artifact plan.html): what stands in it, and, where Chromium is installed, how it is drawn.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "json"
local support = require "support"

local browser = os.execute "command -v chromium >/dev/null 2>&1"

--- Runs gate 3; returns its result and the directory of its artifacts.
local function run(...)
  local dir = support.tmpdir() .. "/out"
  local r = support.run { argv = { "run", "gates/golden_path_e2e.lua", "--artifacts", dir, ... } }
  return r, dir
end

local function look(page, png)
  local pipe = assert(io.popen(("/usr/bin/python3 %s/tests/support/plan_page.py %s %s"):format(support.root, page, png or "")))
  local text = pipe:read "a"
  assert(pipe:close(), text)
  return json.decode(text)
end

local function row_of(page, audit)
  for _, cells in ipairs(page.cells) do
    if cells[1] == audit then return table.concat({ table.unpack(cells) }, " | ") end
  end
end

describe("a plan's page", function()
  it("has a row for each driver, a bar for each tour, and marks nothing where nothing is wrong", function()
    local r, dir = run("--dataset", "gurkerl_full")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local page = look(dir .. "/plan.html")
    assert.same({ 0, 0, 139, 1385, 0 }, { page.errors, #page.outside, #page.rows, page.bars, page.bars_outside })
    assert.equal(0, #page.marked)
    assert.equal("D001", page.rows[1])
    assert.equal("weekly_max | PASS |  | ", row_of(page, "weekly_max"))
  end)

  it("marks the driver and the tours of a violation, and says what it is", function()
    local r, dir = run("--dataset", "3er_violation")
    assert.equal(1, r.code)
    local page = look(dir .. "/plan.html")
    assert.same({ "✗ D001: fatigue" }, { page.rows[1], page.rows[2] })
    assert.equal(6, #page.marked)
    assert.matches("^D001 %a+day: %d%d:%d%d to %d%d:%d%d, 3er%-chain, block [^ ]+ %- FAIL: fatigue$", page.marked[1])
    assert.equal("fatigue | FAIL | D001 | 3er-chain on Mo and on Di", row_of(page, "fatigue"))
  end)

  it("shows routes on a map and over the day, with all stops", function()
    local r, dir = run("--pack", "routing", "--dataset", "wien_small")
    assert.equal(0, r.code, r.stdout .. r.stderr)
    local page = look(dir .. "/plan.html")
    assert.same({ 0, 0, 10, 0 }, { page.errors, #page.outside, page.bars, page.bars_outside })
    local html = support.must_read(dir .. "/plan.html")
    assert.equal(#page.rows, select(2, html:gsub("<path ", "")))
    assert.equal(10, select(2, html:gsub("<circle ", "")))
    local colours = {} -- of the routes' stops, as of their ways
    for colour in html:gmatch '<circle [^>]*class="(k%d)"' do colours[colour] = true end
    assert.same({ k0 = true, k1 = true, k2 = true }, colours)
  end)

  it("takes what a tenant's audit says as text, never as markup", function()
    local audit = support.write(support.tmpdir() .. "/hostile.lua", [[
      return { name = "</title><script>alert(1)</script>", pack = "roster", audit = function(plan, report)
        report:violation { object = plan.drivers[1].key, detail = "<img src=x onerror=alert(1)>\"'&" }
      end }]])
    local r, dir = run("--audit", audit)
    assert.equal(1, r.code, r.stdout .. r.stderr)
    local page = look(dir .. "/plan.html")
    assert.same({ 0, 0 }, { page.errors, #page.outside })
    local found = row_of(page, "</title><script>alert(1)</script>")
    assert.is_truthy(found and found:find("<img src=x onerror=alert(1)>\"'&", 1, true), found)
    assert.is_truthy(page.rows[1]:find("✗ ", 1, true))
  end)

  it("is drawn by Chromium, red where an audit fails and nowhere else", function()
    if not browser then
      pending "chromium is not installed: how the page is drawn was not looked at"
      return
    end
    local function red(size, ...)
      local _, dir = run(...)
      support.shell(("cd %s && HOME=%s timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
        .. "--window-size=%s --screenshot=%s/page.png file://%s/plan.html >%s/chromium.log 2>&1"):format(dir, dir, size, dir, dir, dir))
      return look(dir .. "/plan.html", dir .. "/page.png").red
    end
    for _, size in ipairs { "1400,900", "390,844" } do -- a screen, and a telephone
      assert.equal(0, red(size))
      assert.is_true(red(size, "--dataset", "3er_violation") > 100, size)
    end
  end)
end)
