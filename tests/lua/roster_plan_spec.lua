local audits = require "packs.roster.audits"
local dataset = require "packs.roster.dataset"
local expand = require "packs.roster.expand"
local hash = require "hash"
local json = require "json"
local kpis = require "packs.roster.kpis"
local parser = require "packs.roster.parser"
local plan = require "packs.roster.plan"

local function work(text, format)
  local result = parser.parse(text, format or "text")
  assert.not_equal("FAIL", result.status)
  local templates = expand.templates(result.entries)
  return expand.instances(templates), templates
end

local function ids(list)
  local out = {}
  for i, t in ipairs(list) do out[i] = t.id end
  return out
end

--- One driver for each tour.
local function solver_output(instances)
  local list = {}
  for i, t in ipairs(instances) do
    local driver = ("D%03d"):format(i)
    list[i] = { driver_id = driver, tour_instance_id = t.id, day = t.day, block_id = driver .. "-" .. t.day, block_type = "1er" }
  end
  return { solver = { name = "s", version = "1" }, drivers = #list, lower_bound = 1, seed = 94, assignments = list }
end

local function error_code(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err.code, err.message
end

--- A dataset directory as a store.
local function directory(path)
  local store = {}
  function store.list()
    local out = {}
    for name in io.popen("ls " .. path):lines() do out[#out + 1] = { key = name } end
    return out
  end
  function store.get(_, key) return assert(io.open(path .. "/" .. key, "rb")):read "a" end
  return store
end

--- A store from a table of contents.
local function files(contents)
  return {
    list = function()
      local out = {}
      for name in pairs(contents) do out[#out + 1] = { key = name } end
      return out
    end,
    get = function(_, key) return contents[key] end,
  }
end

describe("roster expansion", function()
  it("makes as many instances as drivers are asked for, two for a split line's driver", function()
    local list = work "Mo 06:00-14:00 3 Fahrer\nDi 06:00-10:00 + 15:00-19:00 2 Fahrer"
    assert.equal(7, #list)
    assert.is_nil(list[1].split_group)
    assert.equal(list[4].split_group, list[6].split_group)
    assert.equal(list[5].split_group, list[7].split_group)
    assert.not_equal(list[4].split_group, list[5].split_group)
  end)
  it("gives ids from content alone: neither the order of lines nor comments change them", function()
    local a = work "Mo 06:00-14:00\nDi 06:00-14:00 2 Fahrer Depot Nord"
    local b = work "# x\nDi 06:00-14:00 Depot Nord\n\nMo 06:00-14:00 # y\nDi 06:00-14:00 Depot Nord\n"
    assert.same(ids(a), ids(b))
  end)
  it("gives one input hash to forecasts that ask for the same, another to any that does not", function()
    local function input_hash(text) return expand.input_hash(select(2, work(text))) end
    local base = input_hash "Mo 06:00-14:00 2 Fahrer\nDi 06:00-14:00"
    assert.equal(base, input_hash "Di 06:00-14:00\nMo 06:00-14:00\nMontag 06:00-14:00")
    local seen = { [base] = true }
    for _, other in ipairs { "Mo 06:00-14:00 3 Fahrer\nDi 06:00-14:00", "Mo 06:00-14:00 2 Fahrer\nMi 06:00-14:00",
      "Mo 06:00-14:01 2 Fahrer\nDi 06:00-14:00", "Mo 06:00-14:00 2 Fahrer Depot N\nDi 06:00-14:00",
      "Mo 06:00-14:00 2 Fahrer\nDi 06:00-14:00 Depot N" } do
      assert.is_nil(seen[input_hash(other)], other)
      seen[input_hash(other)] = true
    end
  end)
  it("tells two single tours from one split shift of the same times", function()
    local single = work "Di 06:00-10:00\nDi 15:00-19:00"
    local split = work "Di 06:00-10:00 + 15:00-19:00"
    assert.not_equal(single[1].id, split[1].id)
  end)
  it("keeps ids apart over a whole week and says what crosses midnight", function()
    local list = work "Mo 18:00-00:00\nMo 18:00-00:01\nSo 22:00-06:00"
    assert.same({ false, true, true }, { list[1].crosses_midnight, list[2].crosses_midnight, list[3].crosses_midnight })
  end)
  it("exports exactly the seven published fields, absent ones as null", function()
    local out = expand.export((work "Mo 06:00-14:00"))[1]
    local keys = {}
    for key in pairs(out) do keys[#keys + 1] = key end
    table.sort(keys)
    assert.same({ "day", "depot", "end_min", "id", "skill", "split_group", "start_min" }, keys)
    assert.equal(json.null, out.depot)
  end)
  it("refuses a forecast of more tours than it can hold", function()
    local lines = {}
    for i = 1, 101 do lines[i] = ("Mo 06:00-14:00 1000 Fahrer Depot D%d"):format(i) end
    assert.equal("expand_too_many", error_code(work, table.concat(lines, "\n")))
  end)
end)

describe("roster plans", function()
  local instances = work "Mo 06:00-14:00\nDi 06:00-14:00 2 Fahrer"
  it("sort assignments by driver, then tour, whatever order the solver writes them in", function()
    local output = solver_output(instances)
    local made = plan.from_solver(output, instances, 94)
    output.assignments = { output.assignments[3], output.assignments[1], output.assignments[2] }
    assert.equal(made.output_hash, plan.from_solver(output, instances, 94).output_hash)
    assert.equal("D001", made.assignments[1].driver_id)
  end)
  it("hash the five fields and nothing else", function()
    local output = solver_output(instances)
    local before = plan.output_hash(output.assignments)
    output.assignments[1].note = "x"
    assert.equal(before, plan.output_hash(output.assignments))
    for field, value in pairs { driver_id = "D9", tour_instance_id = "t", day = 2, block_id = "b", block_type = "2er-reg" } do
      local other = solver_output(instances)
      other.assignments[1][field] = value
      assert.not_equal(before, plan.output_hash(other.assignments), field)
    end
  end)
  it("have the output hash that is written down by hand from RFC 8785", function()
    local list = { { driver_id = "D001", tour_instance_id = "t", day = 1, block_id = "D001-1", block_type = "1er" } }
    assert.equal(hash.sha256 '[{"block_id":"D001-1","block_type":"1er","day":1,"driver_id":"D001","tour_instance_id":"t"}]',
      plan.output_hash(list))
    assert.equal(hash.sha256 "[]", plan.output_hash {})
  end)
  describe("of a solver are refused when", function()
    for name, spoil in pairs {
      ["the number of drivers is wrong"] = function(o) o.drivers = 2 end,
      ["the seed is not the one asked for"] = function(o) o.seed = 95 end,
      ["the lower bound is above the drivers used"] = function(o) o.lower_bound = 4 end,
      ["the solver has no name"] = function(o) o.solver = nil end,
      ["a tour is not the forecast's"] = function(o) o.assignments[1].tour_instance_id = "ghost" end,
      ["a day is not the tour's"] = function(o) o.assignments[1].day = 5 end,
      ["a block id is used twice"] = function(o) o.assignments[1].block_id = "D002-2" end,
      ["a driver has two blocks a day"] = function(o) o.assignments[3].driver_id, o.drivers = "D002", 2 end,
      ["a field is missing"] = function(o) o.assignments[2].block_type = nil end,
      ["a day is a fraction"] = function(o) o.assignments[2].day = 1.5 end,
      ["the assignments are no list"] = function(o) o.assignments = { x = 1 } end,
    } do
      it(name, function()
        local output = solver_output(instances)
        plan.from_solver(output, instances, 94)
        spoil(output)
        assert.equal("plan_invalid", error_code(plan.from_solver, output, instances, 94))
      end)
    end
  end)
  it("that are injected are taken with their claims worked out anew", function()
    local output = solver_output(instances)
    output.drivers, output.output_hash = 99, "stale"
    local made = plan.injected(output, instances, 94)
    assert.same({ 3, plan.output_hash(output.assignments) }, { made.drivers, made.output_hash })
  end)
  it("take limits from the config's hours, exactly", function()
    assert.same(audits.DEFAULTS, plan.limits(nil))
    assert.equal(3330, plan.limits({ max_weekly_hours = 55.5 }).max_weekly_minutes)
    for _, bad in ipairs { 0, -1, "55", 1 / 7 } do
      assert.equal("config_value", error_code(plan.limits, { min_rest_hours = bad }))
    end
  end)
  it("hash the solver's configuration by seed, limits, name and version", function()
    local base = plan.solver_config_hash(94, plan.limits(), { name = "s", version = "1" })
    assert.not_equal(base, plan.solver_config_hash(95, plan.limits(), { name = "s", version = "1" }))
    assert.not_equal(base, plan.solver_config_hash(94, plan.limits { max_weekly_hours = 54 }, { name = "s", version = "1" }))
    assert.not_equal(base, plan.solver_config_hash(94, plan.limits(), { name = "s", version = "2" }))
  end)
  it("show tenant audits dates, times across midnight and the block worked out from the times", function()
    local night = work "So 22:00-06:00"
    local output = solver_output(night)
    output.assignments[1].block_type = "3er-chain"
    local seen = plan.audit_plan(output, night, { week = "2026-W53" })
    local a = seen.assignments[1]
    assert.same({ "2027-01-03", "2027-01-03T22:00", "2027-01-04T06:00", "sunday", "1er", "1er", 480 },
      { a.date, a.start, a["end"], a.weekday, a.block_type, a.block.type, a.minutes })
    assert.same({ "2026-W53", "2026-12-28" }, { seen.week.iso, seen.week.days[1].date })
    assert.same({ "D001", 480 }, { seen.drivers[1].key, seen.drivers[1].minutes })
  end)
  it("know which ISO weeks there are", function()
    for week, monday in pairs { ["2024-W01"] = "2024-01-01", ["2020-W53"] = "2020-12-28", ["2021-W01"] = "2021-01-04",
      ["2000-W09"] = "2000-02-28" } do
      assert.equal(monday, plan.audit_plan({ assignments = {} }, {}, { week = week }).week.days[1].date)
    end
    for _, week in ipairs { "2024-W53", "2024-W00", "2024-1", "next" } do
      assert.equal("plan_week", error_code(plan.audit_plan, { assignments = {} }, {}, { week = week }))
    end
  end)
end)

describe("roster KPIs", function()
  it("are worked out from the tours, not from what the plan says", function()
    local text = {}
    for i, day in ipairs { "Mo", "Di", "Mi", "Do", "Fr" } do text[i] = day .. " 08:00-16:00" end
    local instances = work(table.concat(text, "\n") .. "\nMo 06:00-14:00")
    local list = {}
    for i, t in ipairs(instances) do
      list[i] = { driver_id = t.start_min == 360 and "B" or "A", tour_instance_id = t.id }
    end
    local found = kpis.compute(list, instances, audits.run(list, instances))
    assert.same({ 2, 1, 50, 50, 100, 40, 8, 24, 100, 6 }, { found.total_drivers, found.full_time_drivers, found.fte_ratio, found.pt_ratio,
      found.coverage, found.max_weekly_hours, found.min_weekly_hours, found.avg_weekly_hours, found.audit_pass_rate, found.blocks["1er"] })
  end)
  local golden = { total_drivers = 100, fte_ratio = 100, pt_ratio = 0, coverage = 100, max_weekly_hours = 54, avg_weekly_hours = 40,
    audit_pass_rate = 100 }
  local function level(kpi, value, expected)
    local found = {}
    for key, v in pairs(golden) do found[key] = v end
    found[kpi] = value
    for _, judged in ipairs(kpis.judge(found, expected)) do
      if judged.kpi == kpi then return judged.level end
    end
  end
  for _, case in ipairs {
    { "total_drivers", 105, "OK" }, { "total_drivers", 106, "WARNING" }, { "total_drivers", 94, "WARNING" },
    { "total_drivers", 115, "WARNING" }, { "total_drivers", 116, "CRITICAL" }, { "fte_ratio", 95, "OK" }, { "fte_ratio", 94.99, "WARNING" },
    { "fte_ratio", 85, "WARNING" }, { "fte_ratio", 84.99, "CRITICAL" }, { "pt_ratio", 5, "OK" }, { "pt_ratio", 5.01, "WARNING" },
    { "pt_ratio", 15.01, "CRITICAL" }, { "coverage", 99.99, "WARNING" }, { "coverage", 94.99, "CRITICAL" },
    { "max_weekly_hours", 55, "OK" }, { "max_weekly_hours", 55.02, "WARNING" }, { "max_weekly_hours", 60.02, "CRITICAL" },
    { "avg_weekly_hours", 44, "OK" }, { "avg_weekly_hours", 44.1, "WARNING" }, { "avg_weekly_hours", 31.9, "CRITICAL" },
    { "audit_pass_rate", 99, "WARNING" }, { "audit_pass_rate", 85.71, "CRITICAL" },
  } do
    it(("judge %s of %s as %s"):format(case[1], case[2], case[3]), function() assert.equal(case[3], level(case[1], case[2], golden)) end)
  end
  it("cannot judge a relative threshold without an expected value, and say so", function()
    assert.equal("UNKNOWN", level("total_drivers", 100, nil))
    assert.equal("OK", level("coverage", 100, nil))
  end)
  it("judge a golden dataset whose own value is beyond a threshold by that value", function()
    assert.equal("OK", level("fte_ratio", 0, { fte_ratio = 0 }))
    assert.equal("CRITICAL", level("fte_ratio", 0, { fte_ratio = 50 }))
  end)
  it("score drift from none to an incident", function()
    local function score(change)
      local found = {}
      for key, v in pairs(golden) do found[key] = change[key] or v end
      return kpis.drift(found, golden)
    end
    assert.same({ 0, "OK" }, { score({}).score, score({}).level })
    assert.same({ 10, "OK" }, { score({ total_drivers = 105 }).score, score({ total_drivers = 105 }).level })
    assert.equal("WARNING", score({ total_drivers = 106 }).level)
    assert.equal("ALERT", score({ total_drivers = 115 }).level)
    local worst = score { total_drivers = 200, coverage = 50, fte_ratio = 0, max_weekly_hours = 80 }
    assert.same({ 100, "INCIDENT", "S2" }, { worst.score, worst.level, worst.severity })
  end)
end)

describe("the dataset", function()
  for name, want in pairs { ["roster/gurkerl_small"] = 10, ["roster/gurkerl_full"] = 1385, ["known_failures/3er_violation"] = 6,
    ["known_failures/55h_overflow"] = 6 } do
    it(name .. " has a manifest whose input hash is true", function()
      local data = dataset.load(directory("stdlib/datasets/" .. name))
      assert.equal("PASS", data.forecast.status)
      local prepared = dataset.prepare(data)
      assert.equal(want, #prepared.instances)
      assert.equal(data.manifest.input_hash, prepared.input_hash)
      assert.equal(name:match "[^/]+$", data.manifest.name)
      for _, key in ipairs { "version", "pack", "seed", "solver_config", "tags", "expected_failure", "expected_kpis",
        "expected_output_hash" } do
        assert.is_not_nil(data.manifest[key], key)
      end
    end)
  end
  for name, audit in pairs { ["3er_violation"] = "fatigue", ["55h_overflow"] = "weekly_max" } do
    it(name .. " holds a plan that fails " .. audit .. " and nothing else", function()
      local data = dataset.load(directory("stdlib/datasets/known_failures/" .. name))
      local instances = dataset.prepare(data).instances
      local injected = plan.injected(data.plan, instances, data.seed)
      assert.equal(data.plan.output_hash, injected.output_hash)
      for _, r in ipairs(audits.run(injected.assignments, instances)) do
        assert.equal(r.id == audit and "FAIL" or "PASS", r.status, r.id)
      end
      assert.equal(audit, data.manifest.expected_failure)
    end)
  end
  it("gurkerl_full is what its generator writes, and has the published shape", function()
    local path = "stdlib/datasets/roster/gurkerl_full/"
    local written = io.popen("lua5.4 " .. path .. "generate.lua"):read "a"
    assert.equal(io.open(path .. "input.csv"):read "a", written)
    local days = {}
    for _, t in ipairs(work(written, "csv")) do
      local minutes, start = t.end_min - t.start_min, t.start_min % 1440
      assert.is_true(minutes >= 240 and minutes <= 300 and start >= 285 and start <= 1170)
      days[t.day] = (days[t.day] or 0) + 1
    end
    for day = 1, 6 do assert.is_true(days[day] > 2 * days[7]) end
  end)
  it("is read from a directory with nothing but an input, or from a single file", function()
    for _, contents in ipairs { { ["input.txt"] = "Mo 06:00-14:00" }, { ["week.txt"] = "Mo 06:00-14:00" },
      { ["input.csv"] = "day,start_time,end_time,location,qualifications\nMon,06:00,14:00,," } } do
      assert.equal(1, #dataset.prepare(dataset.load(files(contents))).instances)
    end
  end)
  for name, case in pairs {
    ["is empty"] = { "dataset_input", {} },
    ["holds only a JSON input"] = { "dataset_input", { ["input.json"] = "{}" } },
    ["holds two inputs"] = { "dataset_input", { ["input.txt"] = "", ["input.csv"] = "" } },
    ["has a manifest that is not JSON"] = { "dataset_json", { ["input.txt"] = "", ["manifest.json"] = "{" } },
    ["is another pack's"] = { "dataset_manifest", { ["input.txt"] = "", ["manifest.json"] = '{"pack":"routing"}' } },
    ["has a seed that is a text"] = { "dataset_manifest", { ["input.txt"] = "", ["manifest.json"] = '{"seed":"94"}' } },
    ["has a plan that is not JSON"] = { "dataset_json", { ["input.txt"] = "", ["plan.json"] = "nope" } },
  } do
    it("is refused when it " .. name, function() assert.equal(case[1], (error_code(dataset.load, files(case[2])))) end)
  end
end)
