--- What the operations on a tenant's life have in common: its row, its events in the database, and what they tell the engine.
---
--- An event (core.tenant_events) is written in the transaction that does what it says; the engine's ledger and tenant-status.json follow
--- from it (ctx:fact "lifecycle"). Whoever is interrupted between the two runs the operation again.
local hash = require "hash"
local json = require "json"

local lifecycle = {}

local AT = [[to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')]]

--- Failures that each of these operations may have; `own` is added to them.
---@param own table<string, gate.Failure>
---@return table<string, gate.Failure>
function lifecycle.failures(own)
  local out = {
    events_missing = { text = "The platform keeps no record of what is done to tenants: %s is not there",
      fix = "Create it as stdlib/platform/migrations/009_lifecycle.sql does" },
    tenant_archived = { text = "Tenant %s is archived", fix = "Nothing changes an archived tenant; create a new one" },
    tenant_raced = { text = "Tenant %s was changed by somebody else just now", fix = "Look at it, then run this again" },
  }
  for class, failure in pairs(own) do out[class] = failure end
  return out
end

--- SHA-256 over the canonical JSON of what was asked for, so that a repetition is told from another request.
---@param payload table
---@return string hex
function lifecycle.payload_hash(payload)
  return hash.sha256(hash.canonical(payload))
end

--- The tenant's row, or nil. Refuses where the platform has no table of events.
---@param ctx operation.Context
---@return {id: string, name: string, status: string, settings: table}?
function lifecycle.tenant(ctx)
  local db = ctx.db.operator
  if not db:value "select to_regclass('core.tenant_events')::text" then
    ctx:refuse("events_missing", { object = "core.tenant_events" })
  end
  local row = db:row("select id::text as id, name, status, settings::text as settings from core.tenants where code = $1", ctx.tenant.code)
  if row then row.settings = json.decode(row.settings) end
  return row
end

--- Runs fn in a transaction that states the tenant, as the policies of its tables ask of everybody.
---@param db gate.db.connection
---@param tenant_id string
---@param fn fun(tx: gate.db.connection): ...
---@return any ...
function lifecycle.as_tenant(db, tenant_id, fn)
  return db:transaction(function(tx)
    tx:exec("select set_config('app.current_tenant_id', $1, true)", tenant_id)
    return fn(tx)
  end)
end

--- The last event of a kind: {id, at, payload_hash, evidence, request}, or nil. With `request`, the one that had it.
---@param db gate.db.connection
---@param tenant_id string
---@param event string
---@param request string?
---@return {id: string, at: string, payload_hash: string?, evidence: string?}?
function lifecycle.last(db, tenant_id, event, request)
  return lifecycle.as_tenant(db, tenant_id, function(tx)
    return tx:row("select id::text as id, " .. AT .. [[ as at, payload_hash, evidence from core.tenant_events
      where tenant_id::text = $1 and event = $2 and ($3::text is null or request = $3) order by tenant_events.id desc limit 1]],
      tenant_id, event, request)
  end)
end

--- What an event has in its detail.
---@param db gate.db.connection
---@param tenant_id string
---@param event string  its id
---@return table
function lifecycle.detail(db, tenant_id, event)
  return json.decode(lifecycle.as_tenant(db, tenant_id, function(tx)
    return tx:value("select detail::text from core.tenant_events where id::text = $1", event)
  end))
end

--- Has this statement made the tenant active before?
---@param db gate.db.connection
---@param tenant_id string
---@param statement string  SHA-256 of its file
---@return boolean
function lifecycle.is_used(db, tenant_id, statement)
  return lifecycle.as_tenant(db, tenant_id, function(tx)
    return tx:value("select count(*) from core.tenant_events where evidence = $1", statement) > 0
  end)
end

--- Adds an event, inside the transaction of what it says (as_tenant).
---@param tx gate.db.connection
---@param tenant_id string
---@param event string
---@param fields {request: string?, payload_hash: string?, evidence: string?, detail: table?}
---@return string id  the event's
function lifecycle.note(tx, tenant_id, event, fields)
  return tx:value([[insert into core.tenant_events (tenant_id, event, request, payload_hash, evidence, detail)
    values ($1::uuid, $2, $3, $4, $5, $6::jsonb) returning id::text]], tenant_id, event, fields.request, fields.payload_hash,
    fields.evidence, fields.detail and hash.canonical(fields.detail) or "{}")
end

--- When an event was (RFC 3339).
---@param tx gate.db.connection
---@param event string  its id
---@return string
function lifecycle.at(tx, event)
  return tx:value("select " .. AT .. " as at from core.tenant_events where id::text = $1", event)
end

--- Locks the tenant's row and refuses where its status is not the one that was seen before.
---@param ctx operation.Context
---@param tx gate.db.connection
---@param row {id: string, status: string}
function lifecycle.lock(ctx, tx, row)
  local now = tx:value("select status from core.tenants where id::text = $1 for update", row.id)
  if now ~= row.status then
    ctx:refuse("tenant_raced", { object = ctx.tenant.code, detail = ("it was %s, and is %s"):format(row.status, now) })
  end
end

--- Tells the engine what the database says now.
---@param ctx operation.Context
function lifecycle.tell(ctx)
  local row = lifecycle.tenant(ctx)
  if not row then return end
  local packs = type(row.settings.packs) == "table" and row.settings.packs or {}
  local done = row.status == "active" and lifecycle.last(ctx.db.operator, row.id, "activated") or nil
  ctx:fact("lifecycle", { tenant_id = row.id, status = row.status, packs = packs,
    activation = done and { event = done.id, at = done.at, statement = done.evidence } or nil })
end

return lifecycle
