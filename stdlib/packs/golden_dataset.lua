--- Golden datasets as things to keep: what a dataset is now, what its manifest says of it, and its next version.
-- Pure: the caller hands in the stores, and the function that asks a solver.

local errors = require "errors"
local files = require "packs.files"
local hash = require "hash"
local json = require "json"

local M = {}

local PACKS = { roster = require "packs.roster.golden", routing = require "packs.routing.golden" }
local KPIS = {
  roster = { "total_drivers", "full_time_drivers", "fte_ratio", "pt_ratio", "coverage", "max_weekly_hours", "avg_weekly_hours",
    "audit_pass_rate" },
  routing = { "stops", "routes_used", "total_distance_km", "duration_hours", "capacity_utilisation", "coverage", "tw_violations",
    "audit_pass_rate" },
}
local HEAD = { "name", "pack", "version", "note", "input_hash", "expected_output_hash", "matrix_sha256" }

--- A part of a store, as a store: what lies beneath `prefix`, without the names in `hidden`.
---@param store table
---@param prefix string  "" or ending with "/"
---@param hidden table<string, true>?
---@return table
function M.beneath(store, prefix, hidden)
  return {
    list = function()
      local out = {}
      for _, item in ipairs(store:list(prefix)) do
        local key = (type(item) == "table" and item.key or item):sub(#prefix + 1)
        if not (hidden and hidden[key]) and not key:find("/", 1, true) then out[#out + 1] = { key = key } end
      end
      return out
    end,
    get = function(_, key) return (store:get(prefix .. key)) end,
  }
end

--- Every directory with a manifest.json beneath a store's root.
---@param store table
---@return string[]  prefixes, sorted; "" for the root itself
function M.find(store)
  local out = {}
  for _, item in ipairs(store:list "") do
    local prefix = (type(item) == "table" and item.key or item):match "^(.*)manifest%.json$"
    if prefix == "" or prefix and prefix:sub(-1) == "/" then out[#out + 1] = prefix end
  end
  table.sort(out)
  return out
end

local function pack_of(found)
  local manifest = found:json "manifest.json"
  local name = manifest and manifest.pack
  if name == nil then name = found.names["input.json"] and "routing" or "roster" end
  if not PACKS[name] then
    errors.raise { code = "dataset_manifest", fix = "Correct the manifest",
      message = ("manifest.json: pack: expected roster or routing, got %s"):format(json.encode(name)) }
  end
  return name
end

--- What a dataset is now, without asking a solver.
---@param store table  its root the dataset
---@param outside table  of packs.outside
---@return table  {pack, manifest|nil, data, work|nil, seed, plan (the injected one)|nil, failure: "Parse"|nil}. Errors: those of the pack.
function M.read(store, outside)
  local name = pack_of(files.open(store))
  local pack = PACKS[name]
  local data = pack.load(store, outside)
  local out = { pack = name, manifest = data.manifest, data = data, seed = data.seed or pack.DEFAULT_SEED }
  if data.forecast.status == "FAIL" then
    out.failure = "Parse"
    return out
  end
  out.work = pack.prepare(data)
  if data.plan then out.plan = pack.injected_plan(data.plan, out.work.instances, out.seed) end
  return out
end

--- Adds what a solver makes of it: its plan, KPIs and the audits that fail.
---@param d table  of read(); changed
---@param ask fun(pack: string, request: table): table  the solver's answer
---@return table d
function M.solve(d, ask)
  if d.failure then return d end
  local pack, instances = PACKS[d.pack], d.work.instances
  local limits = pack.limits()
  d.plan = d.plan or pack.solver_plan(ask(d.pack, pack.request(instances, d.seed, limits)), instances, d.seed)
  local results = pack.audits(d.plan.assignments, instances, limits)
  local judged = pack.kpis(d.plan.assignments, instances, results, d.data.expected_kpis)
  d.kpis, d.thresholds, d.drift = judged.kpis, judged.thresholds, judged.drift
  for _, r in ipairs(results) do
    if r.status ~= "PASS" then d.failure = d.failure and d.failure .. ", " .. r.id or r.id end
  end
  return d
end

local function null_of(value)
  if value == nil then return json.null end
  return value
end

local function differ(what, said, found)
  if hash.canonical(null_of(said)) == hash.canonical(null_of(found)) then return nil end
  return ("%s: manifest.json says %s, and it is %s"):format(what, hash.canonical(null_of(said)), hash.canonical(null_of(found)))
end

--- Where the manifest does not say what is there: hashes, and of an injected plan its hash and the audits it fails.
---@param d table  of read() or solve()
---@return string[] problems
function M.problems(d)
  local m, out = d.manifest, {}
  if not m then return { "there is no manifest.json" } end
  local function compare(...) out[#out + 1] = differ(...) end
  if type(m.version) ~= "string" or not m.version:find "^%d+%.%d+%.%d+$" then
    out[#out + 1] = ("version: expected MAJOR.MINOR.PATCH, found %s"):format(hash.canonical(null_of(m.version)))
  end
  compare("input_hash", m.input_hash, d.work and d.work.input_hash)
  if d.plan or d.failure then
    compare("expected_output_hash", m.expected_output_hash, d.plan and d.plan.output_hash)
    compare("expected_failure", m.expected_failure, d.failure)
  end
  return out
end

--- The manifest that says what is there.
---@param d table  of solve()
---@param said {name: string, version: string, note: string?, tags: string[]?, matrix_sha256: string?}
---@return table
function M.manifest(d, said)
  local kpis
  if d.kpis then
    kpis = {}
    for _, key in ipairs(KPIS[d.pack]) do kpis[key] = null_of(d.kpis[key]) end
  end
  return { name = said.name, pack = d.pack, version = said.version, note = said.note, input_hash = null_of(d.work and d.work.input_hash),
    expected_output_hash = null_of(d.plan and d.plan.output_hash), matrix_sha256 = said.matrix_sha256, expected_kpis = kpis,
    solver_config = PACKS[d.pack].limits(), seed = d.seed, tags = json.array(said.tags or {}), expected_failure = null_of(d.failure) }
end

--- What a new manifest changes: "major" a new input (or matrix), "minor" new expectations, "patch" a note or a tag; nil nothing.
---@param old table
---@param new table
---@return "major"|"minor"|"patch"|nil
function M.change(old, new)
  local function changed(...)
    for _, key in ipairs { ... } do
      if differ(key, old[key], new[key]) then return true end
    end
  end
  if changed("pack", "input_hash", "matrix_sha256") then return "major" end
  if changed("expected_output_hash", "expected_kpis", "expected_failure", "seed", "solver_config") then return "minor" end
  return changed("note", "tags", "name") and "patch" or nil
end

--- The next version (semver.org: what is behind the part that is raised begins at 0).
---@param version string  MAJOR.MINOR.PATCH
---@param change "major"|"minor"|"patch"
---@return string  Errors: dataset_manifest.
function M.next_version(version, change)
  local major, minor, patch = version:match "^(%d+)%.(%d+)%.(%d+)$"
  if not major then
    errors.raise { code = "dataset_manifest", message = ("manifest.json: version: expected MAJOR.MINOR.PATCH, found %q"):format(version),
      fix = "Correct the manifest" }
  end
  if change == "major" then return ("%d.0.0"):format(major + 1) end
  if change == "minor" then return ("%d.%d.0"):format(major, minor + 1) end
  return ("%d.%d.%d"):format(major, minor, patch + 1)
end

--- A manifest as text, its keys in an order that reads well.
---@param m table
---@return string
function M.text(m)
  local lines = {}
  local function put(key, text) lines[#lines + 1] = ("  %q: %s"):format(key, text) end
  for _, key in ipairs(HEAD) do
    if m[key] ~= nil then put(key, hash.canonical(m[key])) end
  end
  if m.expected_kpis then
    local kpis = {}
    for i, key in ipairs(KPIS[m.pack]) do kpis[i] = ("    %q: %s"):format(key, hash.canonical(m.expected_kpis[key])) end
    put("expected_kpis", "{\n" .. table.concat(kpis, ",\n") .. "\n  }")
  end
  put("solver_config", next(m.solver_config) and hash.canonical(m.solver_config) or "{}")
  for _, key in ipairs { "seed", "tags", "expected_failure" } do put(key, hash.canonical(m[key])) end
  return "{\n" .. table.concat(lines, ",\n") .. "\n}\n"
end

return M
