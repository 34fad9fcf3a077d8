--- Are the travel times locked? A plan that was made with a live OSRM cannot be made again tomorrow.
-- Needs the file `packs.routing.matrix` names (ctx.store.matrix), where one is configured.

local hash = require "hash"

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
    require("errors").raise { code = "not_evaluated", message = "there are no travel times to look at: the scenario was not read" }
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

return M
