-- The routing solver as a program: what it writes for what it reads, held against the optimum that GLPK proves
-- (tests/support/routing_optimum.py).
package.path = "tests/e2e/?.lua;tests/support/?.lua;" .. package.path
local hash = require "hash"
local json = require "json"
local requests = require "routing_requests"
local support = require "support"

local run, refused = require "solver_kit"(support.build .. "/routing-solver")

--- A plan, and what the separate program says of it.
local function solve(req)
  local r = run(req)
  assert.equal(0, r.code, r.stdout .. r.stderr)
  local dir = support.tmpdir()
  support.write(dir .. "/request.json", hash.canonical(req))
  support.write(dir .. "/plan.json", r.stdout)
  local judged = support.run { program = "/usr/bin/python3",
    argv = { support.root .. "/tests/support/routing_optimum.py", dir .. "/request.json", dir .. "/plan.json" },
    env = { LD_PRELOAD = "" } }
  assert.equal(0, judged.code, judged.stdout .. judged.stderr)
  local said = json.decode(judged.stdout)
  assert.equal(json.null, said.problem)
  return r.out, said, r.stdout
end

describe("the routing solver", function()
  it("serves as many stops as can be, and drives at most a tenth more than the proven optimum, on small problems of many shapes", function()
    local feasible, short = 0, 0
    for n = 1, 30 do
      requests.seed(n * 7919)
      local out, said = solve(requests.random(requests.between(1, 9), requests.SHAPES[n % #requests.SHAPES + 1], n))
      assert.equal(said.best_unserved, said.unserved, "problem " .. n)
      assert.is_true(said.metres * 10 <= said.best_metres * 11,
        ("problem %d: %d metres, optimum %d"):format(n, said.metres, said.best_metres))
      feasible, short = feasible + (out.feasible and 1 or 0), short + (out.feasible and 0 or 1)
    end
    assert.is_true(feasible > 0 and short > 0, ("%d feasible, %d not"):format(feasible, short))
  end)

  it("makes plans that the separate program finds legal, for larger problems", function()
    for n = 1, 10 do
      requests.seed(n * 104729)
      solve(requests.random(requests.between(20, 80), requests.SHAPES[n % #requests.SHAPES + 1], n))
    end
  end)

  it("plans 500 stops with 100 vehicles", function()
    requests.seed(5)
    local req = requests.random(500, requests.SHAPES[1])
    local out = solve(req)
    assert.is_true(#out.unassigned < 50, #out.unassigned)
  end)

  it("writes RFC 8785 canonical JSON and nothing else", function()
    local _, _, text = solve(requests.line({ { id = "Ünïcode/\"x\"", at = 1 } }, { { id = "ß" } }))
    assert.equal(hash.canonical_json(text), text)
  end)

  it("writes the same bytes in 20 runs under different time zones, locales, environments, clocks, directories and addresses", function()
    requests.seed(42)
    local req = requests.random(40, requests.SHAPES[6])
    local first = run(req).stdout
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

  it("does not care in which order stops, vehicles and skills are given", function()
    requests.seed(7)
    local req = requests.random(25, requests.SHAPES[4])
    local function shuffle(list)
      for i = #list, 2, -1 do
        local k = requests.below(i) + 1
        list[i], list[k] = list[k], list[i]
      end
    end
    req.stops[3].skills, req.vehicles[1].skills = json.array { "a", "cool", "b" }, json.array { "cool", "b", "a" }
    local first = run(req).stdout
    for _ = 1, 5 do
      for _, list in ipairs { req.stops, req.vehicles, req.stops[3].skills, req.vehicles[1].skills } do shuffle(list) end
      assert.equal(first, run(req).stdout)
    end
  end)

  it("takes another seed and says which one it used", function()
    requests.seed(3)
    local req = requests.random(8, requests.SHAPES[1])
    for _, seed in ipairs { 0, 1, -5, 9007199254740991 } do
      req.seed = seed
      assert.equal(seed, solve(req).seed)
    end
  end)

  it("gives the golden dataset's plan, to the bit", function()
    local dataset, problem, plan = require "packs.routing.dataset", require "packs.routing.problem", require "packs.routing.plan"
    local dir = "stdlib/datasets/routing/wien_small/"
    local names = { { key = "input.json" }, { key = "manifest.json" }, { key = "matrix.csv" } }
    local data = dataset.load { list = function() return names end, get = function(_, key) return support.must_read(dir .. key) end }
    local instances = dataset.prepare(data).instances
    local out, said = solve(problem.request(instances, 94))
    assert.equal(data.output_hash, plan.output_hash(out.routes))
    assert.equal(said.best_metres, said.metres)
  end)

  describe("keeps each rule to the second and the unit:", function()
    local ONE = { { id = "V" } }
    for _, case in ipairs {
      { "a window that closes as the vehicle arrives", true, { { id = "a", at = 6, close = 60 } }, ONE },
      { "a window that closes a second before", false, { { id = "a", at = 6, close = 59 } }, ONE, "time_window" },
      { "a shift that ends as the vehicle is back", true, { { id = "a", at = 6, service = 30 } }, { { id = "V", to = 150 } } },
      { "a shift that ends a second before", false, { { id = "a", at = 6, service = 30 } }, { { id = "V", to = 149 } }, "time_window" },
      { "a window that opens late and a shift that just bears it", true, { { id = "a", at = 1, open = 500 } }, { { id = "V", to = 510 } } },
      { "the same with a second less", false, { { id = "a", at = 1, open = 500 } }, { { id = "V", to = 509 } }, "time_window" },
      { "a demand of the whole capacity", true, { { id = "a", at = 1, demand = 100 } }, ONE },
      { "a demand of one more", false, { { id = "a", at = 1, demand = 101 } }, ONE, "capacity" },
      { "a full load that comes too late", false, { { id = "a", at = 6, close = 59, demand = 100 } }, ONE, "time_window" },
      { "two stops that fill it", true, { { id = "a", at = 1, demand = 50 }, { id = "b", at = 2, demand = 50 } }, ONE },
      { "two stops, one unit too much", false, { { id = "a", at = 1, demand = 50 }, { id = "b", at = 2, demand = 51 } }, ONE, "no_room" },
      { "two stops just in time of each other", true,
        { { id = "a", at = 1, close = 10, service = 5 }, { id = "b", at = 2, close = 25 } }, ONE },
      { "two stops a second out of time", false,
        { { id = "a", at = 1, close = 10, service = 5 }, { id = "b", at = 2, close = 24 } }, ONE, "no_room" },
      { "a skill the vehicle has", true, { { id = "a", at = 1, skills = { "cool" } } }, { { id = "V", skills = { "heavy", "cool" } } } },
      { "a skill it has not", false, { { id = "a", at = 1, skills = { "cool" } } }, { { id = "V", skills = { "heavy" } } },
        "skills_compliance" },
      { "two skills that only two vehicles together have", false, { { id = "a", at = 1, skills = { "cool", "heavy" } } },
        { { id = "V", skills = { "heavy" } }, { id = "W", skills = { "cool" } } }, "skills_compliance" },
      { "the small vehicle with the skill, the large one without", false, { { id = "a", at = 1, demand = 50, skills = { "cool" } } },
        { { id = "V", capacity = 49, skills = { "cool" } }, { id = "W" } }, "capacity" },
    } do
      it(case[1], function()
        local out = solve(requests.line(case[3], case[4]))
        assert.equal(case[2], out.feasible)
        assert.equal(case[5], out.unassigned[1] and out.unassigned[1].rule)
      end)
    end
  end)

  it("leaves the depot no earlier than the first window asks for", function()
    local out = solve(requests.line({ { id = "a", at = 3, open = 1000 } }, { { id = "V" } }))
    assert.same({ 970, 1030 }, { out.routes[1].start_s, out.routes[1].end_s })
    assert.same({ stop_id = "a", arrive_s = 1000, start_s = 1000, leave_s = 1000 }, out.routes[1].visits[1])
  end)

  it("names each stop that cannot be served, the rule and the numbers", function()
    local out = solve(requests.line({
      { id = "too heavy", at = 1, demand = 120 }, { id = "too far", at = 9, close = 80 }, { id = "fine", at = 2 },
      { id = "too cold", at = 1, skills = { "frozen" } },
    }, { { id = "U", capacity = 90 }, { id = "V" }, { id = "W", capacity = 80 } }))
    local by_id = {}
    for _, u in ipairs(out.unassigned) do by_id[u.stop_id] = u end
    assert.same({ "capacity", "skills_compliance", "time_window" },
      { by_id["too heavy"].rule, by_id["too cold"].rule, by_id["too far"].rule })
    assert.matches("120.*V.*100", by_id["too heavy"].detail)
    assert.matches("frozen", by_id["too cold"].detail)
    assert.matches("80.*90", by_id["too far"].detail)
    assert.equal(1, #out.routes)
  end)

  it("drives no way that there is not", function()
    local req = requests.line({ { id = "a", at = 1 }, { id = "b", at = 2 } }, { { id = "V" }, { id = "W" } })
    req.matrix.seconds[2][3], req.matrix.seconds[3][2] = json.null, json.null
    local out = run(req).out
    assert.same({ true, 2 }, { out.feasible, #out.routes })
    req.matrix.metres[1][2] = json.null
    out = run(req).out
    assert.equal("a", out.unassigned[1].stop_id)
  end)

  describe("refuses", function()
    local good = hash.canonical(requests.line({ { id = "a", at = 1 } }, { { id = "V" } }))
    local function changed(from, to)
      local text, n = good:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%")), 1)
      assert.equal(1, n, from)
      return text
    end
    for _, case in ipairs {
      { "what is no JSON", "hello", "input_json" },
      { "nothing", "", "input_json" },
      { "a document that ends early", good:sub(1, -2), "input_json" },
      { "duplicate keys", changed('"seed":94', '"seed":94,"seed":95'), "input_json" },
      { "nesting without end", ("["):rep(100000), "input_json" },
      { "bytes that are no UTF-8", changed('"id":"a"', '"id":"\xff"'), "input_json" },
      { "a list instead of an object", "[]", "input_value" },
      { "another pack", changed('"pack":"routing"', '"pack":"roster"'), "input_value", "pack" },
      { "a seed with a fraction", changed('"seed":94', '"seed":94.5'), "input_value", "seed" },
      { "an unknown key", changed('"seed":94', '"sede":1,"seed":94'), "input_value", 'Did you mean "seed"?' },
      { "a configuration it does not know", changed('"config":{}', '"config":{"fast":1}'), "input_value", "fast" },
      { "no stops", changed(good:match '"stops":(%b[])', "[]"), "input_value", "stops" },
      { "no vehicles", changed(good:match '"vehicles":(%b[])', "[]"), "input_value", "vehicles" },
      { "a place that is none", changed('"place":1', '"place":2'), "input_value", "stops[0].place" },
      { "a window that ends before it begins", changed('"window_start_s":0', '"window_start_s":86401'), "input_value",
        "stops[0].window_end_s" },
      { "a shift beyond two days", changed('"shift_end_s":86400', '"shift_end_s":172801'), "input_value", "vehicles[0].shift_end_s" },
      { "a negative demand", changed('"demand":1', '"demand":-1'), "input_value", "stops[0].demand" },
      { "a demand beyond bounds", changed('"demand":1', '"demand":1000000001'), "input_value", "stops[0].demand" },
      { "a negative way", changed('"metres":[[0,100]', '"metres":[[0,-1]'), "input_value", "matrix.metres[0][1]" },
      { "a way that is a text", changed('"metres":[[0,100]', '"metres":[[0,"1"]'), "input_value", "matrix.metres[0][1]" },
      { "a row too short", changed('"metres":[[0,100]', '"metres":[[0]'), "input_value", "matrix.metres[0]" },
      { "a table of another size", changed('"seconds":[[0,10],[10,0]]', '"seconds":[[0]]'), "input_value", "matrix" },
      { "skills that are no list", changed('"skills":[]', '"skills":"cool"'), "input_value", "skills" },
      { "an empty skill", changed('"skills":[]', '"skills":[""]'), "input_value", "skills" },
      { "an id with a line break", changed('"id":"a"', '"id":"a\\nb"'), "input_value", "stops[0].id" },
    } do
      it(case[1], function() refused(case[2], case[3], case[4] or "") end)
    end

    it("the same id twice", function()
      refused(requests.line({ { id = "a", at = 1 }, { id = "a", at = 2 } }, { { id = "V" } }), "input_value", '"a" is given twice')
      refused(requests.line({ { id = "a", at = 1 } }, { { id = "V" }, { id = "V" } }), "input_value", '"V" is given twice')
    end)
    it("more skills than it can tell apart", function()
      local many = {}
      for i = 1, 65 do many[i] = "s" .. i end
      refused(requests.line({ { id = "a", at = 1, skills = many } }, { { id = "V" } }), "input_value", "64")
    end)
    it("arguments, with exit code 2 and nothing on standard output", function()
      local r = run("", { argv = { "--fast" } })
      assert.same({ 2, "" }, { r.code, r.stdout })
      assert.equal("routing-solver 1.0.0\n", run("", { argv = { "--version" } }).stdout)
    end)
  end)

  it("says so when memory runs out, wherever that is, and never gives half a plan", function()
    if support.build:find "asan" then return end -- the sanitizer's shadow does not fit into any such limit
    requests.seed(11)
    local req = requests.random(120, requests.SHAPES[1])
    local _, _, text = solve(req)
    local whole, short = 0, 0
    for kilobytes = 2600, 6200, 200 do
      local r = run(req, { prefix = ("ulimit -v %d;"):format(kilobytes) })
      if r.code == 0 then
        whole = whole + 1
        assert.equal(text, r.stdout)
      elseif r.out then
        short = short + 1
        assert.same({ 1, "out_of_memory" }, { r.code, r.out.error.code })
      else
        assert.equal("", r.stdout) -- the program could not even be loaded
      end
    end
    assert.is_true(whole > 0 and short > 0, ("%d whole, %d short"):format(whole, short))
  end)

  it("fails when its answer cannot be written", function()
    local r = run(requests.line({ { id = "a", at = 1 } }, { { id = "V" } }), { stdout = "/dev/full" })
    assert.equal(2, r.code)
    assert.is_truthy(r.stderr:find("No space left", 1, true))
  end)
end)
