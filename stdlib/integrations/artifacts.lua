--- The artifact store: upload, download, compare, overwrite, list and delete, under keys of this run alone; and the refusals, without
--- which a pass means nothing: wrong credentials, and another tenant's place.
local errors = require "errors"
local hash = require "hash"
local probe = require "integrations.probe"

local artifacts = {}

-- Bytes of what is written at a time into what is too large to be held at once.
local STEP = 1 << 20

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

--- What is larger than a part goes up in parts and comes down in parts, and never is whole in memory. Each step differs from the others,
--- so that parts which change places are found.
local function large(ctx, store, key, megabytes)
  local function tell(what, done) -- an eighth at a time
    if done % math.max(1, megabytes // 8) == 0 or done == megabytes then ctx:progress(what, done, megabytes) end
  end
  local up, down = ("%d MB up"):format(megabytes), ("%d MB down"):format(megabytes)
  local block, sum = hash.random(STEP - 8), hash.stream()
  local writer <close> = store:writer(key)
  for i = 1, megabytes do
    local bytes = ("%08d"):format(i) .. block
    sum:update(bytes)
    writer:write(bytes)
    tell(up, i)
  end
  local put = writer:commit()
  local back, size = hash.stream(), 0
  local reader <close> = store:reader(key)
  for part in function() return reader:read() end do
    back:update(part)
    local before = size // STEP
    size = size + #part
    for i = before + 1, math.min(size // STEP, megabytes) do tell(down, i) end
  end
  local sent, got = sum:final(), back:final()
  if put.sha256 ~= sent or got ~= sent or size ~= megabytes * STEP then
    differs(ctx, key, ("uploaded %d bytes with SHA-256 %s, downloaded %d bytes with %s"):format(megabytes * STEP, sent, size, got))
  end
  ctx:fact("store_streamed_bytes", size)
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
  large(ctx, store, prefix .. "large.bin", ctx.options.large_mb)
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

-- Refusals

--- Is what was raised a refusal of who asks? A service says 401 or 403, and 400 or 412 to a request that is not signed at all.
local function is_refusal(raised)
  if not errors.is(raised) then return false end
  local status = rawget(raised, "status")
  return math.type(status) == "integer" and (status == 400 or status == 401 or status == 403 or status == 412)
end

--- Was it done? That an object is missing is something that the asker was told, where it is the store that says so in its own words.
local function is_let_in(ok, raised)
  return ok or errors.is(raised, "store_missing") and rawget(raised, "status") == 404 and rawget(raised, "word") ~= nil
end

--- What is there for the right credentials is not there for others, and no word of the store's says why: they were not let in. (OpenStack
--- Swift takes an unsigned request for the list of a bucket in the host name for none of S3.)
local function is_hidden(raised) return errors.is(raised, "store_missing") and rawget(raised, "status") == 404 end

--- What is tried with credentials, or in a place, that must stay closed. `key` is there in the run's own place.
local function attempts(key)
  return {
    { "a download", function(store) store:get(key) end },
    { "a list", function(store) store:list "" end },
    { "an upload", function(store) store:put(key, "not yours") end },
    { "a deletion", function(store) store:delete(key) end },
  }
end

--- Raises: an answer that neither lets in nor refuses.
local function undecided(who, verb, raised)
  if errors.is(raised) and probe.store_says(raised) and not rawget(raised, "status") then error(raised, 0) end -- out of reach
  errors.raise { code = "store_undecided", message = ("the store neither did nor refused %s %s"):format(verb, who),
    detail = errors.is(raised) and raised.message or tostring(raised),
    fix = "expected HTTP status 401 or 403: see the store's log, and artifacts in gate-engine.conf.lua" }
end

local function refuses_forged(ctx, store, key)
  local tried = 0
  for _, forged in ipairs(store:forged()) do
    for _, attempt in ipairs(attempts(key)) do
      local ok, raised = pcall(attempt[2], forged.store)
      if is_let_in(ok, raised) then
        ctx:fail("store_accepts_wrong", { object = key, detail = ("%s with %s was not refused"):format(attempt[1], forged.what) })
      elseif not is_refusal(raised) and not is_hidden(raised) then
        undecided("with " .. forged.what, attempt[1], raised)
      end
      tried = tried + 1
    end
    forged.store:close()
  end
  if tried > 0 then ctx:fact("store_refusals_tried", tried) end
end

--- The tenant's credentials at another tenant's place.
local function stays_out(ctx, store, key)
  local other = store:elsewhere()
  if not other then return false end
  local where = ("of the tenant %s"):format(other.tenant)
  for _, attempt in ipairs(attempts(key)) do
    local ok, raised = pcall(attempt[2], other.store)
    if is_let_in(ok, raised) then
      ctx:fail("store_tenant_open", { object = key, detail = ("%s at the place %s was not refused"):format(attempt[1], where),
        fix = "Give each tenant credentials for its own bucket or prefix alone" })
    elseif not is_refusal(raised) then
      undecided("at the place " .. where, attempt[1], raised)
    end
  end
  other.store:close()
  return true
end

local function refusals(ctx, store, key)
  refuses_forged(ctx, store, key)
  local apart = stays_out(ctx, store, key)
  if store:seen() then
    ctx:fact("store_other_tenant", apart and "refused" or "not tried: the credentials are the platform's, for all tenants")
  end
end

-- The check

local function whole(ctx, store, prefix)
  local done, why = pcall(function()
    exercise(ctx, store, prefix)
    remove_stale(ctx, store, prefix)
    refusals(ctx, store, prefix .. "block.bin")
  end)
  local removed, left = pcall(remove, ctx, store, prefix)
  if not done then error(why, 0) end
  if not removed then error(left, 0) end
end

--- The check "artifact_store".
---@param ctx gate.Context
function artifacts.check(ctx)
  local prefix = ("gate-engine/%s/%s/"):format(ctx.tenant.code, hash.hex(hash.random(8)))
  local store
  local ok, raised = pcall(function()
    store = ctx.store.artifacts
    whole(ctx, store, prefix)
  end)
  local seen = store and store:seen()
  probe.connection(ctx, "store", seen)
  if seen and seen.ends then ctx:fact("store_credentials_end", seen.ends) end
  if ok then return end
  local text = probe.store_says(raised)
  if not text then error(raised, 0) end
  ctx:fail("store_failed", { object = prefix, args = { text }, detail = raised.detail and raised.message .. ": " .. raised.detail
    or raised.message, fix = raised.fix })
end

return artifacts
