--- The head of the ledger in the artifact store: reads it, or puts a new one in its place.
local errors = require "internal.raise"
local json = require "engine.json"

return function(ctx, job)
  local store, key = ctx.store.artifacts, "gate-engine-anchors/" .. job.anchor.name .. ".json"
  if job.anchor.head then
    store:put(key, json.encode(job.anchor.head))
    return { head = job.anchor.head }
  end
  local ok, bytes = pcall(store.get, store, key)
  if not ok then
    if errors.is(bytes) and bytes.code == "store_missing" then return { head = false } end
    error(bytes, 0)
  end
  local readable, head = pcall(json.decode, bytes)
  if not readable or type(head) ~= "table" or math.type(head.seq) ~= "integer" or type(head.hash) ~= "string" then
    errors.raise { code = "anchor_unreadable", message = ("the object %s is no head of a ledger"):format(key),
      fix = "see who wrote it; where that is known, delete it" }
  end
  return { head = { seq = head.seq, hash = head.hash } }
end
