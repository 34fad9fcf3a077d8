-- Writes manifest.json of a dataset anew: input hash, the reference solver's plan hash and KPIs as they are now. Version, tags, seed and
-- expected failure are kept. From the repository's root, with the paths that the Lua specs run with:
--   lua5.4 tests/tools/refresh_manifest.lua stdlib/datasets/roster/gurkerl_small
-- A new plan hash is a new expectation: look at the KPIs, and bump the manifest's minor version.

local hash = require "hash"
local json = require "json"

local dir = assert(arg[1], "name a dataset's directory"):gsub("/+$", "")
local KPIS = {
  roster = { "total_drivers", "full_time_drivers", "fte_ratio", "pt_ratio", "coverage", "max_weekly_hours", "avg_weekly_hours",
    "audit_pass_rate" },
  routing = { "stops", "routes_used", "total_distance_km", "duration_hours", "capacity_utilisation", "coverage", "tw_violations",
    "audit_pass_rate" },
}

local function read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
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

local name = read(dir .. "/input.json") and "routing" or "roster"
local pack = require("packs." .. name .. ".golden")

-- The matrix is pinned here: what an older manifest says of it must not refuse the new one.
local old = json.decode(read(dir .. "/manifest.json") or "{}")
local matrix = read(dir .. "/matrix.csv")
local pinned = matrix and hash.sha256(matrix)

local function solve(request)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(hash.canonical(request))
  f:close()
  local pipe = assert(io.popen(("%s/%s-solver <%s"):format(os.getenv "BUILD" or "build", name, path)))
  local answer = pipe:read "a"
  assert(pipe:close(), "the solver failed: " .. answer)
  os.remove(path)
  return json.decode(answer)
end

local function value(v) return hash.canonical(v == nil and json.null or v) end
local function members(keys, from, indent)
  local out = {}
  for i, key in ipairs(keys) do out[i] = ("%s%q: %s"):format(indent, key, value(from[key])) end
  return table.concat(out, indent == "" and ", " or ",\n")
end

local seed = math.type(old.seed) == "integer" and old.seed or pack.DEFAULT_SEED
local limits = pack.limits()
local said = { name = dir:match "[^/]+$", pack = name, version = old.version or "1.0.0", matrix_sha256 = pinned, seed = seed,
  tags = json.array(old.tags or {}), expected_failure = old.expected_failure }

--- What the dataset's plan is, in place of what the manifest says until now; nothing of an input that is not understood.
local function expectations()
  local guarded = { list = function()
    local out = {}
    for _, item in ipairs(store.list()) do
      if item.key ~= "manifest.json" then out[#out + 1] = item end
    end
    return out
  end, get = store.get }
  local data = pack.load(guarded)
  if data.forecast.status == "FAIL" then return ("not understood: %s"):format(data.forecast.issues[1].code) end
  local work = pack.prepare(data)
  local made = data.plan and pack.injected_plan(data.plan, work.instances, seed)
    or pack.solver_plan(solve(pack.request(work.instances, seed, limits)), work.instances, seed)
  said.input_hash, said.expected_output_hash = work.input_hash, made.output_hash
  said.kpis = pack.kpis(made.assignments, work.instances, pack.audits(made.assignments, work.instances, limits)).kpis
  return made.output_hash
end

local summary = expectations()
local head = { "name", "pack", "version", "input_hash", "expected_output_hash" }
if matrix then head[#head + 1] = "matrix_sha256" end
local limit_names = {}
for key in pairs(limits) do limit_names[#limit_names + 1] = key end
table.sort(limit_names)

local f = assert(io.open(dir .. "/manifest.json", "wb"))
f:write("{\n", members(head, said, "  "), ",\n")
if said.kpis then f:write('  "expected_kpis": {\n', members(KPIS[name], said.kpis, "    "), "\n  },\n") end
f:write(#limit_names > 0 and ('  "solver_config": { %s },\n'):format(members(limit_names, limits, "")) or '  "solver_config": {},\n',
  members({ "seed", "tags", "expected_failure" }, said, "  "), "\n}\n")
f:close()
print(("%s: %s"):format(dir, summary))
