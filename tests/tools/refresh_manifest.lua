-- Writes manifest.json of a roster dataset anew: input hash, the reference solver's plan hash and KPIs as they are now. Version, tags and
-- expected failure are kept. From the repository's root, with the paths that the Lua specs run with:
--   lua5.4 tests/tools/refresh_manifest.lua stdlib/datasets/roster/gurkerl_small
-- A new plan hash is a new expectation: look at the KPIs, and bump the manifest's minor version.

local audits = require "packs.roster.audits"
local dataset = require "packs.roster.dataset"
local hash = require "hash"
local json = require "json"
local kpis = require "packs.roster.kpis"
local plan = require "packs.roster.plan"

local dir = assert(arg[1], "name a dataset's directory"):gsub("/+$", "")
local solver = (os.getenv "BUILD" or "build") .. "/roster-solver"
local KPIS = { "total_drivers", "full_time_drivers", "fte_ratio", "pt_ratio", "coverage", "max_weekly_hours", "avg_weekly_hours",
  "audit_pass_rate" }

local function read(path)
  local f = assert(io.open(path, "rb"))
  local bytes = f:read "a"
  f:close()
  return bytes
end

local store = {
  list = function()
    local out = {}
    for name in io.popen("ls '" .. dir .. "'"):lines() do out[#out + 1] = { key = name } end
    return out
  end,
  get = function(_, key) return read(dir .. "/" .. key) end,
}

local function solve(instances, seed)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(hash.canonical(plan.request(instances, seed, plan.limits())))
  f:close()
  local pipe = assert(io.popen(solver .. " <" .. path))
  local answer = pipe:read "a"
  assert(pipe:close(), "the solver failed: " .. answer)
  os.remove(path)
  return plan.from_solver(json.decode(answer), instances, seed)
end

local data = dataset.load(store)
assert(data.forecast.status ~= "FAIL", "the forecast is not understood")
local work = dataset.prepare(data)
local old, seed = data.manifest or {}, data.seed or plan.DEFAULT_SEED
local made = data.plan and plan.injected(data.plan, work.instances, seed) or solve(work.instances, seed)
local found = kpis.compute(made.assignments, work.instances, audits.run(made.assignments, work.instances))

local function value(v) return hash.canonical(v == nil and json.null or v) end
local function members(keys, from, indent)
  local out = {}
  for i, key in ipairs(keys) do out[i] = ("%s%q: %s"):format(indent, key, value(from[key])) end
  return table.concat(out, indent == "" and ", " or ",\n")
end

local f = assert(io.open(dir .. "/manifest.json", "wb"))
f:write("{\n", members({ "name", "pack", "version", "input_hash", "expected_output_hash" }, {
  name = dir:match "[^/]+$", pack = "roster", version = old.version or "1.0.0", input_hash = work.input_hash,
  expected_output_hash = made.output_hash,
}, "  "), ',\n  "expected_kpis": {\n', members(KPIS, found, "    "), '\n  },\n  "solver_config": { ',
  members({ "max_weekly_minutes", "min_rest_minutes", "max_span_regular_minutes", "max_span_split_minutes" }, plan.limits(), ""),
  " },\n", members({ "seed", "tags", "expected_failure" }, { seed = seed, tags = json.array(old.tags or {}),
    expected_failure = old.expected_failure }, "  "), "\n}\n")
f:close()
print(("%s: %d tours, %d drivers (at least %s), %s"):format(dir, #work.instances, made.drivers, tostring(made.lower_bound),
  made.output_hash))
