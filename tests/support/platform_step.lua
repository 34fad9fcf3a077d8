-- What the reference platform does around its solver, for the API of tests/support/platform_api.py: one JSON document in, one out.
--   {op = "prepare", source, text}                → {lines, templates, instances, input_hash, parser_config_hash}
--   {op = "request", instances, seed, config}     → the solver's request
--   {op = "judge", instances, seed, config, answer} → {output_hash, solver_config_hash, assignments, audits}
-- LUA_PATH and LUA_CPATH as the Lua specs have them.
local golden = require "packs.roster.golden"
local hash = require "hash"
local json = require "json"

local function without_null(list)
  for _, t in ipairs(list) do
    for key, value in pairs(t) do
      if value == json.null then t[key] = nil end
    end
  end
  return list
end

local steps = {}

function steps.prepare(q)
  local store = { list = function() return { { key = q.source } } end, get = function() return q.text end }
  local data = golden.load(store, {})
  local work = golden.prepare(data)
  return { lines = json.array(data.forecast.lines), templates = json.array(work.templates),
    instances = json.array(work.instances), input_hash = work.input_hash, parser_config_hash = work.parser_config_hash }
end

function steps.request(q) return golden.request(without_null(q.instances), q.seed, q.config) end

function steps.judge(q)
  local instances = without_null(q.instances)
  local plan = golden.solver_plan(q.answer, instances, q.seed)
  local audits = {}
  for i, r in ipairs(golden.audits(plan.assignments, instances, q.config)) do audits[i] = { id = r.id, status = r.status } end
  return { output_hash = plan.output_hash, solver_config_hash = golden.solver_config_hash(q.seed, q.config, plan.solver),
    assignments = json.array(plan.assignments), audits = json.array(audits) }
end

local question = json.decode(io.read "a")
io.write(hash.canonical(steps[question.op](question)))
