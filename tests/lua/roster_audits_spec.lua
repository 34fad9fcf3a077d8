local audits = require "packs.roster.audits"
local checker = dofile "tests/lua/support/roster_checker.lua"

--- A tour from day and clock times; to may pass 24:00.
local function tour(id, day, from, to, group)
  local base = (day - 1) * 1440
  local function minutes(t)
    local h, m = t:match("^(%d+):(%d%d)$")
    return base + h * 60 + m
  end
  return { id = id, day = day, start_min = minutes(from), end_min = minutes(to), split_group = group }
end

--- Everything to one driver, or to the drivers named.
local function give(tours, drivers)
  local list = {}
  for i, t in ipairs(tours) do
    list[i] = { driver_id = drivers and drivers[i] or "D001", tour_instance_id = t.id, day = t.day, block_id = "x", block_type = "1er" }
  end
  return list
end

local function failed(assignments, tours, limits)
  local out = {}
  for _, r in ipairs(audits.run(assignments, tours, limits)) do
    if r.status ~= "PASS" then out[#out + 1] = r.id end
  end
  return table.concat(out, " ")
end

local function violations(assignments, tours, id)
  return audits.run(assignments, tours, nil, id)[1].violations
end

describe("roster audits", function()
  it("run all seven in their published order", function()
    local ids = {}
    for i, r in ipairs(audits.run({}, {})) do ids[i] = r.id end
    assert.same({ "coverage", "overlap", "rest", "span_regular", "span_split", "fatigue", "weekly_max" }, ids)
  end)

  it("do not let an empty forecast pass for a covered one", function()
    assert.equal("coverage", failed({}, {}))
  end)

  describe("coverage", function()
    local tours = { tour("a", 1, "08:00", "12:00"), tour("b", 3, "08:00", "12:00") }
    it("passes when each tour is assigned once", function() assert.equal("", failed(give(tours), tours)) end)
    it("fails for a tour nobody drives, and names it", function()
      local found = violations(give { tours[1] }, tours, "coverage")
      assert.equal("b", found[1].object)
      assert.equal(0, found[1].found)
      assert.equal("coverage", failed(give { tours[1] }, tours))
    end)
    it("fails alone for a tour two drivers drive", function()
      local list = give(tours)
      list[3] = { driver_id = "D002", tour_instance_id = "a" }
      assert.equal("coverage", failed(list, tours))
      assert.equal(2, violations(list, tours, "coverage")[1].found)
    end)
    it("fails alone for a tour one driver is given twice", function()
      local list = give(tours)
      list[3] = list[1]
      assert.equal("coverage", failed(list, tours))
    end)
    it("fails for a tour that does not exist", function()
      local list = give(tours)
      list[3] = { driver_id = "D002", tour_instance_id = "ghost" }
      assert.equal("ghost", violations(list, tours, "coverage")[1].object)
    end)
  end)

  describe("overlap", function()
    it("fails when one driver works two tours at once, with the minutes they share", function()
      local tours = { tour("a", 1, "08:00", "12:00"), tour("b", 1, "11:45", "15:00") }
      local found = violations(give(tours), tours, "overlap")
      assert.equal(15, found[1].found)
      assert.equal("D001", found[1].driver)
    end)
    it("sees a short tour inside a long one even when another lies between their starts", function()
      local tours = { tour("a", 1, "06:00", "14:00"), tour("b", 1, "07:00", "08:00"), tour("c", 1, "13:59", "15:00") }
      assert.equal(2, #violations(give(tours), tours, "overlap"))
    end)
    it("sees an overlap across midnight", function()
      local tours = { tour("a", 1, "20:00", "30:00"), tour("b", 2, "05:59", "09:00") }
      assert.equal(1, violations(give(tours), tours, "overlap")[1].found)
    end)
    it("does not count tours that touch, or tours of two drivers", function()
      local touch = { tour("a", 1, "08:00", "12:00"), tour("b", 1, "12:00", "15:00") }
      assert.same({}, violations(give(touch), touch, "overlap"))
      local two = { tour("a", 1, "08:00", "12:00"), tour("b", 1, "08:00", "12:00") }
      assert.equal("", failed(give(two, { "D001", "D002" }), two))
    end)
  end)

  describe("rest", function()
    local function pair(next_start) return { tour("a", 1, "12:00", "20:00"), tour("b", 2, next_start, "12:00") } end
    it("passes at 660 minutes", function() assert.equal("", failed(give(pair "07:00"), pair "07:00")) end)
    it("fails at 659 minutes, with driver, blocks, found and allowed", function()
      local tours = pair "06:59"
      assert.equal("rest", failed(give(tours), tours))
      local v = violations(give(tours), tours, "rest")[1]
      assert.same({ "D001", 659, 660, 1, 2 }, { v.driver, v.found, v.allowed, v.blocks[1].day, v.blocks[2].day })
    end)
    it("counts from a block's end after midnight", function()
      local tours = { tour("a", 4, "22:00", "30:00"), tour("b", 5, "16:59", "20:00") }
      assert.equal(659, violations(give(tours), tours, "rest")[1].found)
    end)
    it("follows the config's limit", function()
      assert.equal("", failed(give(pair "05:00"), pair "05:00", { min_rest_minutes = 540 }))
      assert.equal("rest", failed(give(pair "07:00"), pair "07:00", { min_rest_minutes = 661 }))
    end)
  end)

  describe("span_regular", function()
    it("passes a tour of 840 minutes and fails one of 841", function()
      local ok, long = { tour("a", 1, "06:00", "20:00") }, { tour("a", 1, "06:00", "20:01") }
      assert.equal("", failed(give(ok), ok))
      assert.equal("span_regular", failed(give(long), long))
      assert.equal(841, violations(give(long), long, "span_regular")[1].found)
    end)
    it("passes a 2er-reg of 840 minutes and fails one of 841", function()
      local ok = { tour("a", 1, "06:00", "13:00"), tour("b", 1, "13:30", "20:00") }
      local long = { tour("a", 1, "06:00", "13:00"), tour("b", 1, "13:30", "20:01") }
      assert.equal("", failed(give(ok), ok))
      assert.equal("span_regular", failed(give(long), long))
    end)
  end)

  describe("span_split", function()
    local function two(second, to) return { tour("a", 1, "06:00", "10:00"), tour("b", 1, second, to) } end
    for _, case in ipairs {
      { 29, "10:29", "span_split" }, { 30, "10:30", "" }, { 60, "11:00", "" }, { 61, "11:01", "span_split" },
      { 239, "13:59", "span_split" }, { 240, "14:00", "" }, { 360, "16:00", "" }, { 361, "16:01", "span_split" },
      { 0, "10:00", "span_split" },
    } do
      it(("%s two tours with a gap of %d minutes"):format(case[3] == "" and "passes" or "fails", case[1]), function()
        local tours = two(case[2], "18:00")
        assert.equal(case[3], failed(give(tours), tours))
      end)
    end
    it("passes a split of 960 minutes and fails one of 961", function()
      assert.equal("", failed(give(two("16:00", "22:00")), two("16:00", "22:00")))
      assert.equal("span_split", failed(give(two("16:00", "22:01")), two("16:00", "22:01")))
    end)
    it("passes a chain of three of 960 minutes and fails one of 961", function()
      local function chain(to) return { tour("a", 1, "06:00", "11:00"), tour("b", 1, "11:30", "16:00"), tour("c", 1, "16:30", to) } end
      assert.equal("", failed(give(chain "22:00"), chain "22:00"))
      assert.equal("span_split", failed(give(chain "22:01"), chain "22:01"))
    end)
    it("fails four tours in a day, whatever their gaps and whatever the plan calls them", function()
      local tours = { tour("a", 1, "06:00", "08:00"), tour("b", 1, "08:30", "10:00"), tour("c", 1, "10:30", "12:00"),
        tour("d", 1, "12:30", "14:00") }
      assert.equal("span_split", failed(give(tours), tours))
      assert.matches("4 tours", violations(give(tours), tours, "span_split")[1].found)
    end)
    it("fails a chain whose second gap is too long", function()
      local tours = { tour("a", 1, "06:00", "08:00"), tour("b", 1, "08:30", "10:00"), tour("c", 1, "11:01", "12:00") }
      assert.equal("span_split", failed(give(tours), tours))
    end)
    it("fails a split shift whose parts have two drivers", function()
      local tours = { tour("a", 1, "06:00", "10:00", "S1"), tour("b", 1, "15:00", "19:00", "S1") }
      assert.equal("", failed(give(tours), tours))
      assert.equal("span_split", failed(give(tours, { "D001", "D002" }), tours))
    end)
    it("leaves a part given to a second driver as well to coverage", function()
      local tours = { tour("a", 1, "06:00", "10:00", "S1"), tour("b", 1, "15:00", "19:00", "S1") }
      local list = give(tours)
      list[3] = { driver_id = "D002", tour_instance_id = "a" }
      assert.equal("coverage", failed(list, tours))
    end)
  end)

  describe("fatigue", function()
    local function chain(day, prefix)
      return tour(prefix .. "1", day, "06:00", "09:00"), tour(prefix .. "2", day, "09:45", "12:45"),
        tour(prefix .. "3", day, "13:30", "16:30")
    end
    local function chains(first, second)
      local a, b, c = chain(first, "a")
      local d, e, f = chain(second, "b")
      return { a, b, c, d, e, f }
    end
    it("fails for chains of three on consecutive days", function()
      local tours = chains(6, 7)
      assert.equal("fatigue", failed(give(tours), tours))
      local v = violations(give(tours), tours, "fatigue")[1]
      assert.same({ 6, 7, "3er-chain" }, { v.blocks[1].day, v.blocks[2].day, v.blocks[1].type })
    end)
    it("passes with a day between, or with two drivers", function()
      local apart, next_days = chains(1, 3), chains(1, 2)
      assert.equal("", failed(give(apart), apart))
      assert.equal("", failed(give(next_days, { "A", "A", "A", "B", "B", "B" }), next_days))
    end)
    it("passes a chain beside a pair", function()
      local tours = chains(1, 2)
      tours[6] = nil
      assert.equal("", failed(give(tours), tours))
    end)
  end)

  describe("weekly_max", function()
    local function week(last)
      local tours = {}
      for day = 1, 5 do tours[day] = tour("t" .. day, day, "08:00", "17:00") end
      tours[6] = tour("t6", 6, "08:00", last)
      return tours
    end
    it("passes 3300 minutes and fails 3301", function()
      assert.equal("", failed(give(week "18:00"), week "18:00"))
      assert.equal("weekly_max", failed(give(week "18:01"), week "18:01"))
      assert.equal(3301, violations(give(week "18:01"), week "18:01", "weekly_max")[1].found)
    end)
    it("does not count gaps as work", function()
      local tours = {}
      for day = 1, 6 do
        tours[#tours + 1] = tour("a" .. day, day, "06:00", "10:30")
        tours[#tours + 1] = tour("b" .. day, day, "11:30", "16:00")
      end
      assert.equal("", failed(give(tours), tours))
    end)
  end)

  describe("refuse to judge", function()
    local one = { tour("a", 1, "08:00", "12:00") }
    for name, case in pairs {
      ["a tour without times"] = { give(one), { { id = "a", day = 1 } } },
      ["a tour that ends before it starts"] = { give(one), { tour("a", 1, "12:00", "08:00") } },
      ["an id that appears twice"] = { give(one), { one[1], one[1] } },
      ["an assignment without a driver"] = { { { tour_instance_id = "a" } }, one },
      ["a limit that is not a number of minutes"] = { give(one), one, { min_rest_minutes = "soon" } },
      ["a limit nobody knows"] = { give(one), one, { min_rest_minuets = 1 } },
      ["a limit of zero"] = { give(one), one, { max_weekly_minutes = 0 } },
    } do
      it(name, function()
        local ok, err = pcall(audits.run, case[1], case[2], case[3])
        assert.is_false(ok)
        assert.equal("audit_input", err.code)
      end)
    end
  end)

  it("agree with a separately written checker on random plans, and each audit is seen to fail and to pass", function()
    local state = 20261123
    local function below(n)
      state = state * 48271 % 2147483647
      return state % n
    end
    local seen = {}
    local gaps = { -20, 0, 29, 30, 45, 60, 61, 239, 240, 300, 360, 361 }
    for round = 1, 3000 do
      local tours, list = {}, {}
      local chained = round % 3 == 0  -- mostly legal chains, or fatigue would never be seen
      for driver = 1, 1 + below(3) do
        local rest = ({ 640, 659, 660, 661, 700 })[1 + below(5)]
        local last_end
        for day = 1, 7 do
          if below(3) > 0 then
            local at = (day - 1) * 1440 + 240 + below(600)
            if last_end and below(2) == 0 then at = math.max((day - 1) * 1440, last_end + rest) end
            for part = 1, chained and 3 or 1 + below(4) do
              if at >= day * 1440 or below(9) == 0 then break end
              local length = ({ 180, 240, 270, 300, 540, 840, 841 })[1 + below(chained and 2 or part == 1 and 7 or 4)]
              local id = ("t%d-%d-%d"):format(driver, day, part)
              tours[#tours + 1] = { id = id, day = day, start_min = at, end_min = at + length,
                split_group = part < 3 and below(6) == 0 and ("s%d-%d"):format(driver, day) or nil }
              local who = below(40) == 0 and below(4) or driver
              list[#list + 1] = { driver_id = "D" .. who, tour_instance_id = id }
              if below(200) == 0 then list[#list + 1] = { driver_id = "D" .. below(4), tour_instance_id = id } end
              if below(200) == 0 then table.remove(list) end
              at = at + length + (chained and below(30) > 0 and 30 + below(31) or gaps[1 + below(#gaps)])
              last_end = at
            end
          end
        end
      end
      if #tours > 0 then
        local want = checker.failed(list, tours)
        for _, r in ipairs(audits.run(list, tours)) do
          assert.equal(want[r.id] and "FAIL" or "PASS", r.status, r.id)
          seen[r.id .. r.status] = (seen[r.id .. r.status] or 0) + 1
        end
      end
    end
    for _, audit in ipairs(audits.LIST) do
      assert.is_true((seen[audit.id .. "FAIL"] or 0) > 50, audit.id .. " was hardly seen to fail")
      assert.is_true((seen[audit.id .. "PASS"] or 0) > 50, audit.id .. " was hardly seen to pass")
    end
  end)
end)
