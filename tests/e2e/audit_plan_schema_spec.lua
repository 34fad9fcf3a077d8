-- A saved plan that breaks its published schema (stdlib/schema/audit-plan-*.json) reaches no audit: an audit that only counts would pass on
-- fields that are not there. The engine's own check of the fields is held against a JSON Schema validator on a plan's mutants.
package.path = "tests/e2e/?.lua;" .. package.path
local json = require "engine.json"
local support = require "support"
local quote = support.quote

local AUDIT = [[return { name = "glance", pack = "%s", audit = function(plan) assert(#plan.%s > 0) end }]]
-- One of each Lua and JSON type, some at an edge of a field's range.
local VALUES = { "x", "2026-03-02", "monday", -1, 0, 8, 2881, 0.5, true, false, json.null, json.array {}, {} }

--- Every plan that differs from this one in one place: a field that is gone, is one more, or has another value.
local function mutants(plan)
  local out = {}
  local function keep() out[#out + 1] = json.encode(plan) end
  local function walk(value)
    if type(value) ~= "table" then return end
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    for _, key in ipairs(keys) do
      local was = value[key]
      walk(was)
      for _, other in ipairs(VALUES) do
        value[key] = other
        keep()
      end
      value[key] = nil
      if type(key) == "string" then keep() end
      value[key] = was
    end
    if #value == 0 then
      value.more = 1
      keep()
      value.more = nil
    end
  end
  walk(plan)
  return out
end

--- The plan with one element of each list, so that its mutants are few.
local function cut(plan)
  for key, list in pairs(plan) do
    if type(list) == "table" and key ~= "week" and #list > 1 then
      for i = #list, 2, -1 do list[i] = nil end
    end
    if type(list) == "table" then
      for _, item in ipairs(list) do
        if type(item) == "table" then cut(item) end
      end
    end
  end
  return plan
end

--- The sums of a roster plan that is down to one assignment: they must be its own again (plan_contradiction).
local function add_up(plan)
  local a, driver = plan.assignments[1], plan.drivers[1]
  driver.key, driver.minutes, driver.tours, driver.days = a.driver_id, a.minutes, 1, { a.day }
  a.block.start_min, a.block.end_min, a.block.tours = a.start_min, a.end_min, 1
end

local function names_of(command)
  local names = {}
  for name in io.popen(command):lines() do names[name] = true end
  return names
end

describe("run AUDIT --plan", function()
  for pack, case in pairs {
    roster = { plan = "night_week", work = "assignments", schema = "audit-plan-1.json" },
    routing = { plan = "vienna_day", work = "routes", schema = "audit-plan-routing-1.json" },
  } do
    it("lets no audit see a plan that breaks its published schema: " .. pack, function()
      local plan = cut(json.decode(support.must_read(("examples/plans/%s/audit-plan.json"):format(case.plan))))
      if case.work == "assignments" then add_up(plan) end
      local dir, report = support.tmpdir(), support.tmpdir() .. "/r.json"
      local list = mutants(plan)
      list[#list + 1] = json.encode(plan)
      for i, text in ipairs(list) do support.write(("%s/%04d.json"):format(dir, i), text) end
      local valid = names_of(("/usr/bin/python3 tests/support/keep_schema.py stdlib/schema/%s %s"):format(case.schema, quote(dir)))
      local audit = support.write(support.tmpdir() .. "/audit.lua", AUDIT:format(pack, case.work))
      local r = support.run { "run", audit, "--plan", dir, "--report", "json=" .. report }
      assert.equal(3, r.code, r.stderr)
      local seen, told = 0, {}
      for _, c in ipairs(json.decode(support.must_read(report)).gates[1].checks) do
        local name = c.name:match "%d%d%d%d%.json" or c.name
        if c.status == "PASS" then
          seen = seen + 1
          if not valid[name] then told[#told + 1] = list[tonumber(name:match "%d+")] end
        elseif valid[name] and c.class ~= "plan_week" and c.class ~= "plan_date" and c.class ~= "plan_empty"
          and c.class ~= "plan_contradiction" -- what two fields say of one thing, which a schema cannot ask (test_plan.c)
          and not (c.failure or ""):find "date such as" then
          told[#told + 1] = "refused though valid: " .. name .. " " .. tostring(c.failure)
        end
      end
      assert.same({}, told)
      assert(seen > 10 and #list - seen > 200, ("%d seen of %d"):format(seen, #list))
    end)
  end
end)
