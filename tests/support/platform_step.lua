-- What the reference platform does around its solver, for the API of tests/support/platform_api.py: one JSON document in, one out.
--   {op = "prepare", pack, source, text, matrix}        → {lines, templates, instances, input_hash, parser_config_hash}
--   {op = "request", pack, instances, seed, config}     → the solver's request
--   {op = "judge", pack, instances, seed, config, answer} → {output_hash, solver_config_hash, assignments, audits}
--   {op = "scenario"}                                   → {sql}: how a stored scenario is read
-- `matrix` of routing is the content of the platform's StaticMatrix. LUA_PATH and LUA_CPATH as the Lua specs have them.
local hash = require "hash"
local json = require "json"
local problem = require "packs.routing.problem"

local PACKS = { roster = require "packs.roster.golden", routing = require "packs.routing.golden" }

local function without_null(list)
  for _, t in ipairs(list) do
    for key, value in pairs(t) do
      if value == json.null then t[key] = nil end
    end
  end
  return list
end

--- The tours or the scenario as the packs have them.
local function instances_of(q)
  if q.pack == "roster" then return without_null(q.instances) end
  q.instances.travel = problem.travel(q.instances, require("packs.routing.matrix").parse(q.matrix))
  return q.instances
end

local steps = {}

function steps.prepare(q)
  local golden = PACKS[q.pack]
  local store = { list = function() return { { key = q.source } } end, get = function() return q.text end }
  local data = golden.load(store, { config = { matrix = "the platform's" }, matrix = function() return q.matrix end })
  local work = golden.prepare(data)
  local instances = q.pack == "roster" and json.array(work.instances) or problem.export(work.instances)
  return { lines = json.array(golden.lines(data)), templates = json.array(work.templates or {}), instances = instances,
    input_hash = work.input_hash, parser_config_hash = work.parser_config_hash }
end

function steps.request(q) return PACKS[q.pack].request(instances_of(q), q.seed, q.config) end

function steps.judge(q)
  local golden, instances = PACKS[q.pack], instances_of(q)
  local plan = golden.solver_plan(q.answer, instances, q.seed)
  local audits = {}
  for i, r in ipairs(golden.audits(plan.assignments, instances, q.config)) do audits[i] = { id = r.id, status = r.status } end
  return { output_hash = plan.output_hash, solver_config_hash = golden.solver_config_hash(q.seed, q.config, plan.solver, instances),
    assignments = json.array(plan.assignments), audits = json.array(audits) }
end

function steps.scenario() return { sql = require("platform.adapter_routing").SCENARIO } end

local question = json.decode(io.read "a")
io.write(hash.canonical(steps[question.op](question)))
