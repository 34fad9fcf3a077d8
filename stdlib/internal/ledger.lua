--- The ledger in the platform's database, for the supervisor: reads what comes after a record, or adds records.
---
--- job.ledger = { after = SEQ } → { rows = [{seq, hash, line, statement}], more = boolean }
--- job.ledger = { known = true } → { system_identifier, database, activations = [{seq, hash, tenant, at}] }: by which records, as the
--- tenants' events say, they went live
--- job.ledger = { after = SEQ, hash = of it, rows = … } → { added = true }, or { added = false }: another writer was first
local errors = require "internal.raise"
local ledger = require "ledger"

-- At least one row, and then so many that an answer stays well below what a worker may send.
local READ = [[
  select seq, hash, line, statement from (
    select seq, hash, line, statement, row_number() over w as n,
           sum(octet_length(line) + coalesce(octet_length(statement), 0)) over w as bytes
      from (select seq, hash, line, statement from core.ledger where seq > $1 order by seq limit 2000) r
    window w as (order by seq)) t
  where n = 1 or bytes <= 6000000 order by seq]]

local function read(db, after)
  local rows = {}
  for i, row in ipairs(db:query(READ, after)) do rows[i] = row end
  return { rows = rows, more = #rows > 0 and db:value("select exists (select from core.ledger where seq > $1)", rows[#rows].seq) }
end

local function add(db, wanted)
  return db:transaction(function(tx)
    local head = ledger.head(tx)
    if head.seq ~= wanted.after or head.hash ~= wanted.hash then return { added = false } end
    for _, row in ipairs(wanted.rows) do ledger.insert(tx, row) end
    return { added = true }
  end)
end

--- The events are of their tenants, each to be stated (009_lifecycle.sql).
local ACTIVATIONS = [[
  select e.detail ->> 'record' as seq, e.detail ->> 'hash' as hash, $2::text as tenant,
         to_char(e.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
    from core.tenant_events e where e.tenant_id::text = $1 and e.event = 'activated' and e.detail ? 'record' and e.detail ? 'hash'
   order by e.id]]

local function known(db)
  local _, _, rows = db:try("select system_identifier::text as id from pg_control_system()")
  local out = { system_identifier = rows and rows[1].id or nil, database = db:value("select current_database()"), activations = {} }
  if not db:value "select to_regclass('core.tenant_events')::text" then return out end
  db:transaction(function(tx)
    for _, tenant in ipairs(tx:query "select id::text as id, code from core.tenants order by code") do
      tx:exec("select set_config('app.current_tenant_id', $1, true)", tenant.id)
      for _, row in ipairs(tx:query(ACTIVATIONS, tenant.id, tenant.code)) do out.activations[#out.activations + 1] = row end
    end
  end, { rollback = true })
  return out
end

return function(ctx, job)
  local db = ctx.db.operator
  if job.ledger.known then return known(db) end
  if not db:value "select to_regclass('core.ledger')::text" then
    errors.raise { code = "ledger_missing", message = "the ledger is to be in the platform's database, and core.ledger is not there",
      fix = "create it as stdlib/platform/migrations/012_ledger.sql does, or name a file in evidence.ledger" }
  end
  if job.ledger.rows then return add(db, job.ledger) end
  return read(db, job.ledger.after)
end
