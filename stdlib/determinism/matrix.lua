--- Are the travel times locked? A plan that was made with a live OSRM cannot be made again tomorrow.
-- Needs the file `packs.routing.matrix` names (ctx.store.matrix), where one is configured, and to look at a live OSRM the endpoint "osrm".

local drift = require "determinism.drift"
local errors = require "errors"
local hash = require "hash"
local locked_ways = require "packs.routing.matrix"
local outside = require "packs.outside"
local record = require "determinism.record_matrix"

local M = {}

--- Inside a check: SKIP without a routing pack, a finding for a matrix that is not pinned or not the one that was pinned.
---@param ctx table
function M.check(ctx)
  local routing = ctx.config.packs and ctx.config.packs.routing
  if routing == nil then ctx:skip("no routing pack configured", "packs.routing") end
  if not routing.matrix or not routing.matrix_sha256 then
    ctx:fail("osrm_drift", { object = "packs.routing",
      detail = ("travel times are not locked: packs.routing.%s is not set"):format(routing.matrix and "matrix_sha256" or "matrix") })
    return
  end
  local list = ctx.store.matrix:list("")
  local key = type(list[1]) == "table" and list[1].key or list[1]
  local found = hash.sha256((ctx.store.matrix:get(key)))
  if found ~= routing.matrix_sha256 then
    ctx:fail("osrm_drift", { object = routing.matrix,
      detail = ("the matrix has SHA-256 %s, the configuration pins %s"):format(found, routing.matrix_sha256) })
  end
  ctx:fact("matrix_sha256", found)
end

--- Inside a check, for a proof of the routing pack: a finding for ways that are not those of a pinned file.
---@param ctx table
---@param s {source: {from: string, pinned: boolean}, instances: routing.Problem}|table  what was prepared; empty where that failed
function M.check_problem(ctx, s)
  if not s.instances then
    errors.raise { code = "not_evaluated", message = "there are no travel times to look at: the scenario was not read" }
  end
  local travel, used = s.instances.travel, s.instances.matrix
  ctx:fact("matrix_version", used.version)
  ctx:fact("matrix_sha256", used.sha256)
  ctx:fact("matrix_from", s.source.from)
  if travel.estimated > 0 then
    ctx:fail("osrm_drift", { object = used.version,
      detail = ("travel times are not locked: %d of %d ways are estimated"):format(travel.estimated, travel.ways) })
  elseif not s.source.pinned then
    ctx:fail("osrm_drift", { object = s.source.from, detail = ("travel times are not locked: %s pins no SHA-256"):format(
      s.source.from == "matrix.csv" and "the dataset's manifest.json (matrix_sha256)" or "packs.routing.matrix_sha256") })
  end
end

--- Is there a live OSRM in the configuration?
local function osrm_configured(ctx)
  for _, name in ipairs(ctx.config.endpoints or {}) do
    if name == "osrm" then return true end
  end
  return false
end

--- The locked matrix: the dataset's, or the configuration's; nil where there is none.
---@param ctx table
---@param source table?  of a routing dataset: {bytes, version, sha256}
local function locked_matrix(ctx, source)
  if source and source.bytes then return locked_ways.parse(source.bytes, { version = source.version, sha256 = source.sha256 }) end
  local routing = ctx.config.packs and ctx.config.packs.routing
  if not routing or not routing.matrix then return nil end
  return locked_ways.parse(outside.of(ctx).matrix()) -- whether it is the one that was pinned is the other check's
end

--- Inside a check: how far the live OSRM is from the locked matrix, where there are both.
---@param ctx table
---@param source table?  of a routing dataset; nil where another pack is proven
function M.check_live(ctx, source)
  if not osrm_configured(ctx) then ctx:skip("no OSRM configured", "endpoints.osrm") end
  local locked = locked_matrix(ctx, source)
  if not locked then
    if not source then ctx:skip("no routing pack configured", "packs.routing") end
    errors.raise { code = "not_evaluated", message = "there is no locked matrix to look at beside OSRM" }
  end
  drift.check(ctx, locked)
end

--- Where a recording keeps its blocks: the directory of --artifacts.
local function place_of(ctx)
  local files = ctx.files.artifacts
  return { put = function(name, bytes) ctx:artifact("artifacts", name, bytes) end,
    get = function(name) return files:head(name) and (files:get(name)) or nil end,
    delete = function(name) files:delete(name) end }
end

--- In a recovery: records a matrix from the live OSRM and says how it is pinned, or says what is missing for that.
---@param ctx table
---@param points {lat: number, lng: number}[]?  nil: nobody knows between which ones
---@param of_dataset boolean  the points are a dataset's, which may have a matrix of its own
function M.recover(ctx, points, of_dataset)
  local title = "Use StaticMatrix instead"
  if not osrm_configured(ctx) then
    ctx:apply(title, { note = 'there is no OSRM to record one from: set endpoints = { osrm = { url = "…" } }, or name a file in '
      .. "packs.routing.matrix and its SHA-256 in packs.routing.matrix_sha256" })
  elseif not points then
    ctx:apply(title, { note = "nothing says between which points: gate-engine recover gates/determinism_proof.lua --pack routing "
      .. "--forecast-id SCENARIO --artifacts DIR records the ways of a scenario" })
  elseif not ctx.options.artifacts then
    ctx:apply(title, { note = ("with --artifacts DIR this recovery records the ways between %d points into DIR/matrix.csv"):format(
      #record.distinct(points)) })
  else
    local made = record.record(ctx.http, record.distinct(points), place_of(ctx), function(done, total)
      ctx:progress("recording ways", done, total)
    end)
    ctx:artifact("artifacts", "matrix.csv", made.bytes)
    ctx:apply(title, { note = ("recorded %d ways into DIR/matrix.csv, version %s%s. Pin it in the configuration:\n"
      .. 'packs = { routing = { matrix = "matrix.csv", matrix_sha256 = "%s" } }%s'):format(made.ways, made.version,
        made.resumed > 0 and (" (%d blocks had been recorded before)"):format(made.resumed) or "", made.sha256,
        of_dataset and '\nor put it beside input.json, with "matrix_sha256" in manifest.json' or "") })
  end
end

--- The points of a matrix that is there and can be read, whatever its hash is.
---@param ctx table
---@return {lat: number, lng: number}[]|nil
function M.known_points(ctx)
  local routing = ctx.config.packs and ctx.config.packs.routing
  if not routing or not routing.matrix then return nil end
  local ok, found = pcall(function()
    local bytes = outside.of(ctx).matrix()
    return locked_ways.parse(bytes, { version = bytes:match "^# version: ([^\r\n]*)" or "none" })
  end)
  return ok and found:points() or nil
end

return M
