-- The HTML report as a real browser draws it, on a screen and at 320 pixels, in light and in dark: nothing sticks out of the window, what
-- fails is marked in its colour, and a run that passes has none of it. Skipped where Chromium is not installed.
package.path = "tests/services/?.lua;tests/e2e/?.lua;" .. package.path
local support = require "support"
local json = require "engine.json"

local quote = support.quote
local missing = not os.execute "command -v chromium >/dev/null 2>&1"
  and "chromium is not installed: how the report is drawn was not looked at" or nil

-- Put before the end of a copy of the page, whose own policy lets nothing run: what the browser measures it says to the window around it.
-- That one is a frame of the wanted size, since Chromium makes no window of less than 500 pixels.
local MEASURE = [[<script>parent.document.title = JSON.stringify({ window: innerWidth, page: document.documentElement.scrollWidth,
  words: [...document.querySelectorAll(".status")].every(e => e.textContent.trim() !== ""),
  hidden: [...document.querySelectorAll("h1, h2, h3, .status")].filter(e => e.getClientRects().length === 0).length,
  size: parseFloat(getComputedStyle(document.body).fontSize),
  dark: matchMedia("(prefers-color-scheme: dark)").matches, background: getComputedStyle(document.body).backgroundColor })</script>]]

describe("the HTML report in a browser", function()
  local dir = support.tmpdir()
  local pages = {}

  setup(function()
    if missing then return end
    for name, dataset in pairs { passes = "gurkerl_small", fails = "3er_violation" } do
      local page = ("%s/%s.html"):format(dir, name)
      local r = support.run { argv = { "run", "gates/golden_path_e2e.lua", "--dataset", dataset, "--report", "html=" .. page } }
      assert.equal(name == "passes" and 0 or 1, r.code, r.stdout .. r.stderr)
      local html, n = support.must_read(page):gsub('<meta http%-equiv="Content%-Security%-Policy"[^>]*>', "")
      assert.equal(1, n)
      pages[name .. " measured"] = html:gsub("</body>", function() return MEASURE .. "</body>" end)
      pages[name] = page
    end
  end)

  --- A page whose whole content is another one, in a window of this size.
  local function framed(size, attribute, value)
    local width, height = size:match "(%d+),(%d+)"
    return support.write(dir .. "/frame.html", ('<!DOCTYPE html><meta charset="utf-8"><style>body{margin:0}iframe{border:0}</style>'
      .. '<iframe width="%s" height="%s" %s="%s"></iframe>'):format(width, height, attribute,
      (value:gsub("&", "&amp;"):gsub('"', "&quot;"))))
  end

  local function chromium(page, more)
    local pipe = assert(io.popen(("cd %s && HOME=%s timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
      .. "--window-size=1500,1000 %s %s 2>>chromium.log"):format(quote(dir), quote(dir), more, quote("file://" .. page))))
    local text = pipe:read "a"
    assert(pipe:close(), support.read(dir .. "/chromium.log"))
    return text
  end

  --- What the browser measures of a page.
  local function measured(name, size, flags)
    local dom = chromium(framed(size, "srcdoc", pages[name .. " measured"]), (flags or "") .. " --dump-dom")
    return json.decode((dom:match("<title>(.-)</title>"):gsub("&quot;", '"')))
  end

  --- Pixels in the colour of what fails, of the page as it is.
  local function red(name, size)
    chromium(framed(size, "src", "file://" .. pages[name]), ("--screenshot=%s/page.png"):format(quote(dir)))
    local pipe = assert(io.popen(("/usr/bin/python3 tests/support/plan_page.py %s %s/page.png"):format(quote(pages[name]), quote(dir))))
    local text = pipe:read "a"
    assert(pipe:close(), text)
    local page = json.decode(text)
    assert.equal(0, page.errors)
    return page.red
  end

  local function drawn(title, fn)
    if missing then it(title, function() pending(missing) end) else it(title, fn) end
  end

  for width, size in pairs { [1400] = "1400,900", [320] = "320,640" } do
    drawn(("fits a window of %d pixels, with all that has a status shown, in words"):format(width), function()
      for _, name in ipairs { "passes", "fails" } do
        local seen = measured(name, size)
        assert.equal(width, seen.window)
        assert.is_true(seen.page <= seen.window, ("%s is %d pixels wide"):format(name, seen.page))
        assert.is_true(seen.words)
        assert.equal(0, seen.hidden)
        assert.is_true(seen.size >= 16)
      end
    end)

    drawn(("is red where something fails and nowhere else, at %d pixels"):format(width), function()
      assert.equal(0, red("passes", size))
      assert.is_true(red("fails", size) > 50, size)
    end)
  end

  drawn("is dark for who asks for it", function()
    local dark, light = measured("fails", "1400,900", "--blink-settings=preferredColorScheme=0"), measured("fails", "1400,900",
      "--blink-settings=preferredColorScheme=1")
    assert.same({ true, "rgb(20, 23, 27)" }, { dark.dark, dark.background })
    assert.same({ false, "rgb(255, 255, 255)" }, { light.dark, light.background })
  end)
end)
