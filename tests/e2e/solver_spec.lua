-- The roster solver as a program: what it writes for what it reads.
package.path = "tests/e2e/?.lua;tests/support/?.lua;" .. package.path
local auditor = require "roster_auditor"
local hash = require "hash"
local json = require "json"
local support = require "support"

local run, refused = require "solver_kit"(support.build .. "/roster-solver")
local LIMITS = { max_weekly_minutes = 3300, min_rest_minutes = 660, max_span_regular_minutes = 840, max_span_split_minutes = 960 }

-- Random weeks from numbers of our own: the same on every machine (Park and Miller's minimal standard).
local state = 1
local function below(n)
  state = state * 48271 % 2147483647
  return state % n
end
local function between(a, b) return a + below(b - a + 1) end

local function tour(id, day, start, minutes, group)
  local from = (day - 1) * 1440 + start
  return { id = id, day = day, start_min = from, end_min = from + minutes, depot = json.null, skill = json.null,
    split_group = group or json.null }
end

--- A request; `more` overrides limits, or gives the seed.
local function request(instances, more)
  local config = {}
  for key, value in pairs(LIMITS) do config[key] = more and more[key] or value end
  return { pack = "roster", seed = more and more.seed or 94, config = config, instances = json.array(instances) }
end

--- A legal plan, or the test fails with what is wrong.
local function solve(req, options)
  local r = run(req, options)
  assert.equal(0, r.code, r.stdout .. r.stderr)
  assert.is_nil(auditor.problem(req, r.out), r.command)
  return r.out, r.stdout
end

local SHAPES = {
  function(id) return { tour(id, between(1, 7), between(285, 1170), between(240, 300)) } end,
  function(id) return { tour(id, between(1, 7), between(0, 1439), between(30, 840)) } end,
  function(id) return { tour(id, between(1, 3), between(0, 80) * 15, between(4, 20) * 15) } end,
  function(id) return { tour(id, between(1, 7), between(1200, 1439), between(60, 600)) } end,
  function(id)
    local day, start, length = between(1, 7), between(240, 600), between(120, 260)
    return { tour(id .. "a", day, start, length, "g" .. id),
      tour(id .. "b", day, start + length + between(240, 360), between(120, 260), "g" .. id) }
  end,
}

local function random_week(units, shapes)
  local list = {}
  for i = 1, units do
    for _, t in ipairs(SHAPES[shapes[below(#shapes) + 1]](("t%03d"):format(i))) do list[#list + 1] = t end
  end
  return list
end

describe("the roster solver", function()
  it("makes plans that a separate auditor finds legal, for random weeks of many shapes", function()
    for seed = 1, 40 do
      state = seed * 7919
      local shapes = ({ { 1 }, { 2 }, { 3 }, { 4, 1 }, { 5, 1 }, { 1, 2, 3, 4, 5 } })[seed % 6 + 1]
      solve(request(random_week(between(5, 120), shapes), { seed = seed }))
    end
  end)

  it("keeps other limits than the usual ones too", function()
    for seed = 1, 12 do
      state = seed * 104729
      solve(request(random_week(between(10, 60), { 1, 3 }), { seed = seed, max_weekly_minutes = between(900, 3000),
        min_rest_minutes = between(0, 900), max_span_regular_minutes = between(300, 800), max_span_split_minutes = between(500, 960) }))
    end
  end)

  it("never claims a bound above the true optimum, and reaches that on tiny weeks", function()
    local reached = 0
    for seed = 1, 40 do
      state = seed * 15485863
      local req = request(random_week(between(3, 6), seed % 2 == 0 and { 3 } or { 1, 3, 4 }), { seed = seed })
      local best = auditor.optimum(req)
      local plan = solve(req)
      assert.is_true(plan.lower_bound <= best, ("bound %d, optimum %d"):format(plan.lower_bound, best))
      assert.is_true(plan.drivers >= best)
      reached = reached + (plan.drivers == best and 1 or 0)
    end
    assert.equal(40, reached)
  end)

  --- The bound that CBC has for a week.
  local function integer_bound(req)
    local file = support.write(support.tmpdir() .. "/week.json", hash.canonical(req))
    local r = support.run { program = "/usr/bin/python3", argv = { support.root .. "/tests/support/roster_bound.py", file },
      env = { LD_PRELOAD = "" } }
    assert.equal(0, r.code, r.stdout .. r.stderr)
    return json.decode(r.stdout)
  end

  it("proves no more than an integer program does, whose bound no plan goes below", function()
    local above = 0
    for seed = 1, 24 do
      state = seed * 32452843
      local req = request(random_week(seed % 3 == 0 and between(3, 6) or between(8, 60), ({ { 1 }, { 3 }, { 1, 2, 4 } })[seed % 3 + 1]),
        { seed = seed, max_weekly_minutes = seed % 4 == 0 and 1200 or nil })
      local plan, cbc = solve(req), integer_bound(req)
      local said = ("week %d: bound %d, CBC's %d, %d drivers"):format(seed, plan.lower_bound, cbc.bound, plan.drivers)
      assert.is_true(cbc.optimal and plan.lower_bound <= cbc.bound and cbc.bound <= plan.drivers, said)
      if seed % 3 == 0 then assert.is_true(cbc.bound <= auditor.optimum(req), said) end
      above = above + (cbc.bound > plan.lower_bound and 1 or 0)
    end
    assert.is_true(above < 24, "the two bounds never meet")
  end)

  it("writes RFC 8785 canonical JSON and nothing else", function()
    local _, text = solve(request { tour("Ünïcode/\"x\"", 1, 480, 480), tour("b", 2, 480, 480) })
    assert.equal(hash.canonical_json(text), text)
  end)

  it("writes the same bytes in 20 runs under different time zones, locales, environments, clocks, directories and addresses", function()
    state = 42
    local req = request(random_week(150, { 1, 5 }))
    local _, first = solve(req)
    local faketime = io.popen("ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null"):read "l"
    for i = 1, 20 do
      local env = { TZ = ("GEA%+d"):format(i % 24 - 12), LC_ALL = ({ "C", "de_DE.UTF-8", "tr_TR.UTF-8", "POSIX" })[i % 4 + 1],
        PADDING = ("x"):rep(i * 997), MALLOC_PERTURB_ = tostring(i) }
      if faketime and not support.build:find "asan" then
        env.LD_PRELOAD, env.FAKETIME = faketime, ("+%dd"):format(i * 17)
      end
      local r = run(req, { env = env, cwd = i % 3 == 0 and "/" or nil,
        prefix = i % 2 == 0 and "setarch -R" or ("taskset -c %d"):format(0) })
      assert.equal(first, r.stdout)
    end
  end)

  it("does not care in which order the tours are given", function()
    state = 7
    local list = random_week(80, { 1, 5 })
    local _, first = solve(request(list))
    for _ = 1, 5 do
      for i = #list, 2, -1 do
        local k = below(i) + 1
        list[i], list[k] = list[k], list[i]
      end
      assert.equal(first, select(2, solve(request(list))))
    end
  end)

  it("takes another seed and says which one it used", function()
    state = 3
    local list = random_week(60, { 1 })
    for _, seed in ipairs { 0, 1, -5, 9007199254740991 } do
      assert.equal(seed, solve(request(list, { seed = seed })).seed)
    end
  end)

  --- A golden dataset's request and manifest.
  local function golden(name, input)
    local dataset, plan = require "packs.roster.dataset", require "packs.roster.plan"
    local dir = "stdlib/datasets/roster/" .. name .. "/"
    local bytes = support.must_read(dir .. input)
    local data = dataset.load { list = function() return { { key = input } } end, get = function() return bytes end }
    return plan.request(dataset.prepare(data).instances, 94, plan.limits()), json.decode(support.must_read(dir .. "manifest.json"))
  end

  it("plans the golden week of 1,385 tours at its bound, everyone full time and at most 54 hours", function()
    local req = golden("gurkerl_full", "input.csv")
    local out = solve(req)
    assert.equal(1385, #out.assignments)
    assert.is_true(out.drivers <= out.lower_bound + 1, ("%d drivers, bound %d"):format(out.drivers, out.lower_bound))
    local cbc = integer_bound(req)
    assert.is_true(out.lower_bound <= cbc.bound and cbc.bound <= out.drivers, ("CBC's bound %d"):format(cbc.bound))
    local minutes, of = {}, {}
    for _, t in ipairs(req.instances) do of[t.id] = t.end_min - t.start_min end
    for _, a in ipairs(out.assignments) do minutes[a.driver_id] = (minutes[a.driver_id] or 0) + of[a.tour_instance_id] end
    for id, sum in pairs(minutes) do assert.is_true(sum >= 2400 and sum <= 3240, id .. " works " .. sum) end
  end)

  it("gives the golden datasets' plans, to the bit", function()
    for name, input in pairs { gurkerl_small = "input.txt", gurkerl_full = "input.csv" } do
      local req, manifest = golden(name, input)
      assert.equal(manifest.expected_output_hash, hash.of(json.array(solve(req).assignments)), name)
    end
  end)

  describe("keeps each rule to the minute:", function()
    for _, case in ipairs {
      { "a rest of 660", 1, { tour("a", 1, 600, 480), tour("b", 2, 300, 480) } },
      { "a rest of 659", 2, { tour("a", 1, 600, 480), tour("b", 2, 299, 480) } },
      { "a rest over a free day", 2, { tour("a", 1, 1439, 840), tour("b", 3, 0, 100) } },
      { "a gap of 30", 1, { tour("a", 1, 400, 200), tour("b", 1, 630, 200) } },
      { "a gap of 29", 2, { tour("a", 1, 400, 200), tour("b", 1, 629, 200) } },
      { "a gap of 60", 1, { tour("a", 1, 400, 200), tour("b", 1, 660, 200) } },
      { "a gap of 61", 2, { tour("a", 1, 400, 200), tour("b", 1, 661, 200) } },
      { "a break of 239", 2, { tour("a", 1, 400, 200), tour("b", 1, 839, 200) } },
      { "a break of 240", 1, { tour("a", 1, 400, 200), tour("b", 1, 840, 200) } },
      { "a break of 360", 1, { tour("a", 1, 400, 200), tour("b", 1, 960, 200) } },
      { "a break of 361", 2, { tour("a", 1, 400, 200), tour("b", 1, 961, 200) } },
      { "a 2er of 840", 1, { tour("a", 1, 300, 400), tour("b", 1, 730, 410) } },
      { "a 2er of 841", 2, { tour("a", 1, 300, 400), tour("b", 1, 730, 411) } },
      { "a split of 960", 1, { tour("a", 1, 300, 300), tour("b", 1, 900, 360) } },
      { "a split of 961", 2, { tour("a", 1, 300, 300), tour("b", 1, 900, 361) } },
      { "a chain of 960", 1, { tour("a", 1, 300, 280), tour("b", 1, 620, 280), tour("c", 1, 940, 320) } },
      { "a chain of 961", 2, { tour("a", 1, 300, 280), tour("b", 1, 620, 280), tour("c", 1, 940, 321) } },
      { "a week of 3300", 1, { tour("a", 1, 300, 660), tour("b", 2, 300, 660), tour("c", 3, 300, 660), tour("d", 4, 300, 660),
        tour("e", 5, 300, 660) } },
      { "a week of 3301", 2, { tour("a", 1, 300, 660), tour("b", 2, 300, 660), tour("c", 3, 300, 660), tour("d", 4, 300, 660),
        tour("e", 5, 300, 661) } },
      { "chains on two days in a row", 2, { tour("a", 1, 300, 100), tour("b", 1, 430, 100), tour("c", 1, 560, 100),
        tour("d", 2, 300, 100), tour("e", 2, 430, 100), tour("f", 2, 560, 100) } },
      { "chains with a day between", 1, { tour("a", 1, 300, 100), tour("b", 1, 430, 100), tour("c", 1, 560, 100),
        tour("d", 3, 300, 100), tour("e", 3, 430, 100), tour("f", 3, 560, 100) } },
    } do
      it(case[1] .. (case[2] == 1 and " is one driver's" or " needs two drivers"), function()
        local req = request(case[3])
        assert.equal(case[2], solve(req).drivers)
        assert.equal(case[2], auditor.optimum(req))
      end)
    end
  end)

  it("gives the parts of a split shift to one driver, with what fits between them where the break alone is not legal", function()
    local plan = solve(request { tour("a", 1, 300, 240, "g"), tour("b", 1, 780, 240, "g") })
    assert.equal("2er-split", plan.assignments[1].block_type)
    plan = solve(request { tour("a", 1, 300, 200, "g"), tour("b", 1, 680, 200, "g"), tour("m", 1, 540, 100), tour("n", 1, 545, 100) })
    assert.equal(2, plan.drivers)
    assert.equal("3er-chain", plan.assignments[1].block_type)
  end)

  it("places a tour too long to stand alone with what makes its block legal", function()
    local plan = solve(request({ tour("long", 1, 300, 500), tour("late", 1, 1050, 200) }, { max_span_regular_minutes = 480 }))
    assert.equal(1, plan.drivers)
    assert.equal("2er-split", plan.assignments[1].block_type)
  end)

  describe("names what cannot be planned:", function()
    it("a tour longer than any block", function()
      refused(request { tour("ok", 1, 480, 480), tour("far too long", 2, 100, 1000) }, "infeasible_tour", "far too long", "1000",
        "max_span_regular_minutes", "840", "span_regular")
    end)
    it("a tour longer than the week's work", function()
      refused(request({ tour("heavy", 1, 480, 480) }, { max_weekly_minutes = 479 }), "infeasible_tour", "heavy", "weekly_max")
    end)
    it("a split shift whose break fits no block", function()
      refused(request { tour("a", 1, 300, 200, "G7"), tour("b", 1, 680, 200, "G7") }, "infeasible_split_group", "G7",
        "180 minutes", "240 to 360")
    end)
    it("a split shift that spans too much", function()
      refused(request { tour("a", 1, 300, 400, "G7"), tour("b", 1, 1000, 400, "G7") }, "infeasible_split_group", "G7", "1100", "960")
    end)
    it("a split shift whose parts overlap", function()
      refused(request { tour("a", 1, 300, 400, "G7"), tour("b", 1, 600, 400, "G7") }, "infeasible_split_group", "G7")
    end)
    it("two split shifts that need the same tour between their parts", function()
      refused(request { tour("a", 1, 300, 200, "G1"), tour("b", 1, 680, 200, "G1"), tour("c", 1, 300, 200, "G2"),
        tour("d", 1, 680, 200, "G2"), tour("m", 1, 540, 100) }, "infeasible_split_group", "compete")
    end)
  end)

  describe("refuses", function()
    local good = hash.canonical(request { tour("a", 1, 480, 480) })
    local function changed(from, to)
      local text, n = good:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%")), 1)
      assert.equal(1, n, from)
      return text
    end
    for _, case in ipairs {
      { "what is no JSON", "hello", "input_json" },
      { "nothing", "", "input_json" },
      { "a document that ends early", good:sub(1, -2), "input_json" },
      { "text after the document", good .. "x", "input_json" },
      { "duplicate keys", changed('"seed":94', '"seed":94,"seed":95'), "input_json" },
      { "nesting without end", ("["):rep(100000), "input_json" },
      { "NaN", changed('"seed":94', '"seed":NaN'), "input_json" },
      { "an integer beyond 64 bits", changed('"seed":94', '"seed":99999999999999999999'), "input_json" },
      { "a number beyond a double", changed('"seed":94', '"seed":1e999'), "input_json" },
      { "bytes that are no UTF-8", changed('"id":"a"', '"id":"\xff"'), "input_json" },
      { "a NUL in a text", changed('"id":"a"', '"id":"\\u0000"'), "input_json" },
      { "a lone surrogate", changed('"id":"a"', '"id":"\\ud800"'), "input_json" },
      { "a list instead of an object", "[]", "input_value" },
      { "another pack", changed('"pack":"roster"', '"pack":"routing"'), "input_value", "pack" },
      { "a missing seed", changed(',"seed":94', ""), "input_value", "seed" },
      { "a seed with a fraction", changed('"seed":94', '"seed":94.5'), "input_value", "seed" },
      { "a seed that doubles do not hold", changed('"seed":94', '"seed":9007199254740993'), "input_value", "seed" },
      { "an unknown key", changed('"seed":94', '"sede":1,"seed":94'), "input_value", "sede", 'Did you mean "seed"?' },
      { "an unknown key of a tour", changed('"skill":null', '"skil":null'), "input_value", "instances[0]", "skil" },
      { "a missing limit", changed(',"min_rest_minutes":660', ""), "input_value", "config.min_rest_minutes" },
      { "a limit of nothing", changed('"max_weekly_minutes":3300', '"max_weekly_minutes":0'), "input_value", "config.max_weekly_minutes" },
      { "no tours", changed(good:match '"instances":(%b[])', "[]"), "input_value", "instances" },
      { "a tour of no minutes", changed('"end_min":960', '"end_min":480'), "input_value", "instances[0].end_min" },
      { "a start on another day than the tour's", changed('"day":1', '"day":2'), "input_value", "instances[0].start_min" },
      { "day 8", changed('"day":1', '"day":8'), "input_value", "instances[0].day" },
      { "an empty id", changed('"id":"a"', '"id":""'), "input_value", "instances[0].id" },
      { "an id that is a number", changed('"id":"a"', '"id":7'), "input_value", "instances[0].id" },
      { "an id with a line break", changed('"id":"a"', '"id":"a\\nb"'), "input_value", "instances[0].id" },
    } do
      it(case[1], function() refused(case[2], case[3], case[4] or "", case[5] or "") end)
    end

    it("the same id twice, though the tours differ", function()
      refused(request { tour("a", 1, 480, 480), tour("b", 1, 480, 480), tour("a", 2, 480, 480) }, "input_value", '"a" is given twice')
    end)
    it("a split group of one or three tours, or over two days", function()
      refused(request { tour("a", 1, 480, 240, "g") }, "input_value", "expected two tours of one day, found 1")
      refused(request { tour("a", 1, 300, 60, "g"), tour("b", 1, 400, 60, "g"), tour("c", 1, 500, 60, "g") }, "input_value", "found 3")
      refused(request { tour("a", 1, 300, 60, "g"), tour("b", 2, 400, 60, "g") }, "input_value", "different days")
    end)
    it("arguments, with exit code 2 and nothing on standard output", function()
      local r = run("", { argv = { "--fast" } })
      assert.equal(2, r.code)
      assert.equal("", r.stdout)
      assert.equal("roster-solver 1.0.0\n", run("", { argv = { "--version" } }).stdout)
    end)
  end)

  it("says so when memory runs out, wherever that is, and never gives half a plan", function()
    if support.build:find "asan" then return end -- the sanitizer's shadow does not fit into any such limit
    state = 11
    local req = request(random_week(400, { 1 }))
    local whole, short = 0, 0
    for kilobytes = 2600, 6200, 200 do
      local r = run(req, { prefix = ("ulimit -v %d;"):format(kilobytes) })
      if r.code == 0 then
        whole = whole + 1
        assert.is_nil(auditor.problem(req, r.out))
      elseif r.out then
        short = short + 1
        assert.equal(1, r.code)
        assert.equal("out_of_memory", r.out.error.code)
      else
        assert.equal("", r.stdout) -- the program could not even be loaded
      end
    end
    assert.is_true(whole > 0 and short > 0, ("%d whole, %d short"):format(whole, short))
  end)

  it("fails when its answer cannot be written", function()
    local r = run(request { tour("a", 1, 480, 480) }, { stdout = "/dev/full" })
    assert.equal(2, r.code)
    assert.is_truthy(r.stderr:find("No space left", 1, true))
  end)
end)
