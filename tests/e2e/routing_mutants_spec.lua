-- Plans of the reference solver, changed at random: each is legal by a separate auditor (tests/support/routing_auditor.py), or is caught
-- by just the audits that it names.
package.path = "tests/e2e/?.lua;tests/support/?.lua;" .. package.path
local audits = require "packs.routing.audits"
local hash = require "hash"
local json = require "json"
local requests = require "routing_requests"
local support = require "support"

--- The problem as the audits take it, out of what the solver reads.
local function problem_of(req)
  local p = { stops = {}, vehicles = {}, travel = { seconds = req.matrix.seconds, metres = req.matrix.metres, place = {} } }
  for i, s in ipairs(req.stops) do
    p.stops[i] = { id = s.id, demand = s.demand, service_min = s.service_s // 60, window_start_min = s.window_start_s // 60,
      window_end_min = s.window_end_s // 60, skills = s.skills }
    p.travel.place["stop " .. s.id] = s.place + 1
  end
  for i, v in ipairs(req.vehicles) do
    p.vehicles[i] = { id = v.id, capacity = v.capacity, skills = v.skills, shift_start_min = v.shift_start_s // 60,
      shift_end_min = v.shift_end_s // 60, depot = { id = tostring(v.place) } }
    p.travel.place["depot " .. v.place] = v.place + 1
  end
  return p
end

--- Windows in whole minutes, as the pack's are.
local function round_windows(req)
  for _, s in ipairs(req.stops) do s.window_end_s = s.window_end_s // 60 * 60 end
  return req
end

local function solve(req)
  local r = support.run { program = support.build .. "/routing-solver", stdin = hash.canonical(req) }
  assert.equal(0, r.code, r.stderr)
  return json.decode(r.stdout)
end

local function any(list) return list[requests.below(#list) + 1] end

local MUTATIONS = {
  nothing = function() end,
  swap = function(routes)
    local a, b = any(any(routes).visits), any(any(routes).visits)
    a.stop_id, b.stop_id = b.stop_id, a.stop_id
  end,
  drop = function(routes)
    local i = requests.below(#routes) + 1
    table.remove(routes[i].visits, requests.below(#routes[i].visits) + 1)
    if #routes[i].visits == 0 then table.remove(routes, i) end
  end,
  double = function(routes)
    local visit = any(any(routes).visits)
    table.insert(any(routes).visits,
      { stop_id = visit.stop_id, arrive_s = visit.arrive_s, start_s = visit.start_s, leave_s = visit.leave_s })
  end,
  shift = function(routes)
    local visit, by = any(any(routes).visits), (requests.below(3) - 1) * any { 1, 60, 3600 }
    for _, key in ipairs { "arrive_s", "start_s", "leave_s" } do visit[key] = visit[key] + by end
  end,
  ["shift one time"] = function(routes)
    local visit, key = any(any(routes).visits), any { "arrive_s", "start_s", "leave_s" }
    visit[key] = visit[key] + any { -60, -1, 1, 60, 3600 }
  end,
  ["shift a route"] = function(routes)
    local route, by = any(routes), any { -3600, -1, 1, 60, 7200 }
    route.start_s, route.end_s = route.start_s + by, route.end_s + by
    for _, visit in ipairs(route.visits) do
      for _, key in ipairs { "arrive_s", "start_s", "leave_s" } do visit[key] = visit[key] + by end
    end
  end,
  ["leave later"] = function(routes) any(routes).start_s = any(routes).start_s + 1 end,
  ["be back sooner"] = function(routes)
    local route = any(routes)
    route.end_s = route.end_s - 1
  end,
  ["another vehicle"] = function(routes, req) any(routes).vehicle_id = any(req.vehicles).id end,
  turn = function(routes)
    local visits = any(routes).visits
    for i = 1, #visits // 2 do visits[i], visits[#visits + 1 - i] = visits[#visits + 1 - i], visits[i] end
  end,
  move = function(routes)
    local from, to = any(routes), any(routes)
    if #from.visits > 1 then table.insert(to.visits, table.remove(from.visits, requests.below(#from.visits) + 1)) end
  end,
}

describe("changed routing plans", function()
  it("are legal by the separate auditor, or fail just the audits it names", function()
    local names = {}
    for name in pairs(MUTATIONS) do names[#names + 1] = name end
    table.sort(names)
    local cases = json.array {}
    for n = 1, 12 do
      requests.seed(n * 65537)
      local req = round_windows(requests.random(requests.between(4, 20), requests.SHAPES[n % #requests.SHAPES + 1], n))
      local plan = solve(req)
      for _, name in ipairs(names) do
        for _ = 1, name == "nothing" and 1 or 6 do
          local routes = json.decode(json.encode(plan.routes))
          MUTATIONS[name](routes, req)
          cases[#cases + 1] = { request = req, routes = json.array(routes), name = name }
        end
      end
    end
    local pieces = {}
    for i, case in ipairs(cases) do pieces[i] = hash.canonical(case) end
    local file = support.write(support.tmpdir() .. "/cases.json", "[" .. table.concat(pieces, ",") .. "]")
    local r = support.run { program = "/usr/bin/python3", argv = { support.root .. "/tests/support/routing_auditor.py", file },
      env = { LD_PRELOAD = "" } }
    assert.equal(0, r.code, r.stderr)
    local seen = {}
    for i, wanted in ipairs(json.decode(r.stdout)) do
      local found = {}
      for _, result in ipairs(audits.run(cases[i].routes, problem_of(cases[i].request))) do
        if result.status == "FAIL" then found[#found + 1] = result.id end
        assert.equal(result.status == "FAIL", #result.violations > 0)
      end
      table.sort(found)
      assert.same(wanted, found, ("case %d, %s: %s"):format(i, cases[i].name, hash.canonical(cases[i].routes)))
      for _, id in ipairs(found) do seen[id] = (seen[id] or 0) + 1 end
      if #found == 0 then seen.none = (seen.none or 0) + 1 end
    end
    for _, audit in ipairs(audits.LIST) do assert.is_true((seen[audit.id] or 0) >= 10, audit.id .. " " .. tostring(seen[audit.id])) end
    assert.is_true(seen.none >= 12, seen.none)
  end)
end)
