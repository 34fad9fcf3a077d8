--- The artifact store: upload, download, compare, overwrite, list and delete, under keys of this run alone.
local errors = require "errors"
local hash = require "hash"

local artifacts = {}

--- Contents that stores get wrong: nothing at all, every byte, more than one block.
local function contents()
  local every = {}
  for i = 0, 255 do every[#every + 1] = string.char(i) end
  return { { "empty.bin", "" }, { "bytes.bin", table.concat(every) }, { "block.bin", hash.random(4096):rep(64) } }
end

local function differs(ctx, key, detail)
  ctx:fail("store_failed", { object = key, args = { "the bytes that came back differ" }, detail = detail,
    fix = "Look for what rewrites objects between the engine and the store" })
end

local function round_trip(ctx, store, key, bytes)
  local info = store:put(key, bytes)
  local sum = hash.sha256(bytes)
  if info.sha256 ~= sum then
    return differs(ctx, key, ("uploaded %s, the store has %s"):format(sum, tostring(info.sha256)))
  end
  local back = store:get(key)
  if back ~= bytes then
    return differs(ctx, key, ("uploaded %d bytes with SHA-256 %s, downloaded %d bytes with %s")
      :format(#bytes, sum, #back, hash.sha256(back)))
  end
end

local function is_listed(store, prefix, key)
  for _, entry in ipairs(store:list(prefix)) do
    if entry.key == key then return true end
  end
  return false
end

local function exercise(ctx, store, prefix)
  for _, case in ipairs(contents()) do round_trip(ctx, store, prefix .. case[1], case[2]) end
  local key = prefix .. "bytes.bin"
  round_trip(ctx, store, key, "overwritten")
  if not is_listed(store, prefix, key) then
    ctx:fail("store_failed", { object = key, args = { "an uploaded object is not listed" } })
  end
end

local function remove(ctx, store, prefix)
  for _, entry in ipairs(store:list(prefix)) do
    store:delete(entry.key)
    if store:head(entry.key) then
      ctx:fail("store_failed", { object = entry.key, args = { "a deleted object is still there" } })
    end
  end
end

-- Seconds. A run that is under way is never this old; one that was killed left its objects.
local STALE_S = 3600

--- Takes away what runs left that were killed. The store's own clock says how old an object is: that of one which was just written.
local function remove_stale(ctx, store, prefix)
  local now, removed = store:head(prefix .. "bytes.bin").modified, 0
  local all = ("gate-engine/%s/"):format(ctx.tenant.code)
  for _, entry in ipairs(store:list(all)) do
    local of_a_run = entry.key:sub(#all + 1):find("^%x+/[%w.]+$") and entry.key:sub(1, #prefix) ~= prefix
    if of_a_run and now and entry.modified and now - entry.modified > STALE_S then
      store:delete(entry.key)
      removed = removed + 1
    end
  end
  if removed > 0 then ctx:fact("store_leftovers_removed", removed) end
end

--- What a store says when it cannot be used, in the words of the document.
local SAYS = {
  store_missing = "not found", store_denied = "access denied", store_full = "no space left",
  store_corrupt = "the bytes that came back differ",
  store_io = "connection refused", store_readonly = "read-only", http_connect = "connection refused",
  dir_create = "cannot be made",
}

--- The check "artifact_store".
---@param ctx gate.Context
function artifacts.check(ctx)
  local prefix = ("gate-engine/%s/%s/"):format(ctx.tenant.code, hash.hex(hash.random(8)))
  local ok, raised = pcall(function()
    local store = ctx.store.artifacts
    local done, why = pcall(function()
      exercise(ctx, store, prefix)
      remove_stale(ctx, store, prefix)
    end)
    remove(ctx, store, prefix)
    if not done then error(why, 0) end
  end)
  if ok then return end
  if errors.is(raised) and SAYS[raised.code] then
    ctx:fail("store_failed", { object = prefix, args = { SAYS[raised.code] }, detail = raised.message, fix = raised.fix })
  else
    error(raised, 0)
  end
end

return artifacts
