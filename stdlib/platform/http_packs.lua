--- What the adapter for a platform's API (platform.adapter_http) asks and understands otherwise for each pack.
-- Pure: needs no capability.

local json = require "json"

local M = {}

local function without_null(value)
  if value == json.null then return nil end
  return value
end

local function by_id(a, b) return a.id < b.id end

--- A list of things with ids, sorted by them.
local function things(list, path, bad)
  if type(list) ~= "table" then bad(("%s: expected a list, found a %s"):format(path, type(list))) end
  local out = {}
  for i, thing in ipairs(list) do
    if type(thing) ~= "table" or type(thing.id) ~= "string" then bad(("%s[%d].id: expected a string"):format(path, i - 1)) end
    out[i] = thing
  end
  table.sort(out, by_id)
  return out
end

M.roster = {
  --- A forecast of one line, out of another one.
  ---@param f {source: string, text: fun(): string, lines: table[]}
  ---@return string|nil text  nil where no line has a tour
  small = function(f)
    local header = f.source:find "%.csv$" and f.text():match "^[^\n]*\n" or ""
    for _, line in ipairs(f.lines) do
      if line.status ~= "FAIL" and line.raw_text:find "%d" then return header .. line.raw_text .. "\n" end
    end
  end,

  --- The tours of an answer, sorted by id.
  ---@param list any  what the platform answers
  ---@param bad fun(what: string)  raises
  instances = function(list, bad)
    local out = {}
    for i, t in ipairs(things(list, "instances", bad)) do
      out[i] = { id = t.id, day = t.day, start_min = t.start_min, end_min = t.end_min, depot = without_null(t.depot),
        skill = without_null(t.skill), split_group = without_null(t.split_group) }
    end
    return out
  end,

  count = function(instances) return #instances end,

  --- A plan that the platform made, as its solver would have answered.
  ---@param made table  of GET /plans/{id}/export
  answer = function(made)
    return { solver = made.solver, drivers = made.drivers, lower_bound = without_null(made.lower_bound), seed = made.seed,
      assignments = made.assignments }
  end,
}

M.routing = {
  --- A scenario of one stop, out of another one.
  small = function(f)
    local scenario = json.decode(f.text())
    scenario.stops = json.array { scenario.stops[1] }
    return json.encode(scenario)
  end,

  --- The scenario of an answer, its things sorted by id.
  instances = function(body, bad)
    local matrix = type(body) == "table" and body.matrix
    if type(matrix) ~= "table" then bad "instances: expected {date, matrix, vehicles, stops}" end
    return { date = body.date, matrix = { version = matrix.version, sha256 = matrix.sha256 },
      vehicles = things(body.vehicles, "instances.vehicles", bad), stops = things(body.stops, "instances.stops", bad) }
  end,

  count = function(instances) return #instances.vehicles + #instances.stops end,

  answer = function(made)
    return { solver = made.solver, feasible = made.feasible, distance_m = made.distance_m, seed = made.seed, routes = made.assignments,
      unassigned = made.unassigned }
  end,
}

return M
