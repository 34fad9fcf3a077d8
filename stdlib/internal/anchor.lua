--- The head of a ledger in the artifact store: reads it, or puts a newer one in its place.
---
--- job.anchor = { name = of the ledger, id = of this very one (nil: it has no record yet), place = where it is kept, head = what to put }
--- → { head = what is known, or false, anew = { key, seq } where there is none and another ledger was kept in that place }
local errors = require "internal.raise"
local json = require "engine.json"

local FOLDER = "gate-engine-anchors/"

local function read(store, key)
  local ok, bytes = pcall(store.get, store, key)
  if not ok then
    if errors.is(bytes) and bytes.code == "store_missing" then return nil end
    error(bytes, 0)
  end
  local readable, head = pcall(json.decode, bytes)
  if not readable or type(head) ~= "table" or math.type(head.seq) ~= "integer" or type(head.hash) ~= "string" then
    errors.raise { code = "anchor_unreadable", message = ("the object %s is no head of a ledger"):format(key),
      fix = "see who wrote it; where that is known, delete it" }
  end
  return head
end

--- Another ledger that was kept where this one is: this one has taken its place.
local function before(store, wanted)
  for _, object in ipairs(store:list(FOLDER .. wanted.name .. "-")) do
    local head = read(store, object.key)
    if head and head.place == wanted.place then return { key = object.key, seq = head.seq } end
  end
end

return function(ctx, job)
  local store, wanted = ctx.store.artifacts, job.anchor
  local key = wanted.id and ("%s%s-%s.json"):format(FOLDER, wanted.name, wanted.id)
  local known = key and read(store, key)
  if not wanted.head then
    return { head = known and { seq = known.seq, hash = known.hash } or false, anew = not known and before(store, wanted) or nil }
  end
  -- Of two runs that end together the one that was put on record first may come here last.
  if not known or known.seq < wanted.head.seq then
    wanted.head.place = wanted.place
    store:put(key, json.encode(wanted.head))
  end
  return { head = wanted.head }
end
