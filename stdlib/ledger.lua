--- The ledger in the platform's database (evidence.ledger = "database"): core.ledger, a row for each record. Its format is that of the
--- file (engine/run/ledger.h), its table stdlib/platform/migrations/012_ledger.sql.
local hash = require "hash"

local ledger = {}

ledger.SCHEMA = "gate-engine/ledger/1"
local ZEROS = ("0"):rep(64)

--- Locks out other writers until the transaction ends, and says where the chain has come to.
---@param tx gate.db.connection  inside a transaction
---@return {seq: integer, hash: string} head  {0, zeros}: there is no record
function ledger.head(tx)
  tx:exec "select pg_advisory_xact_lock(hashtext('gate-engine'), hashtext('core.ledger'))"
  return tx:row "select seq, hash from core.ledger order by seq desc limit 1" or { seq = 0, hash = ZEROS }
end

--- Adds a sealed record as it is, with the statement about it.
---@param tx gate.db.connection
---@param row {seq: integer, hash: string, line: string, statement: string?}
function ledger.insert(tx, row)
  tx:exec("insert into core.ledger (seq, hash, line, statement) values ($1, $2, $3, $4)", row.seq, row.hash, row.line, row.statement)
end

--- Gives a record its place in the chain, seals and adds it, in the transaction of what it says.
---@param tx gate.db.connection
---@param record table  without schema, seq, prev and hash, which it gets
---@return integer seq
function ledger.append(tx, record)
  local head = ledger.head(tx)
  record.schema, record.seq, record.prev = ledger.SCHEMA, head.seq + 1, head.hash
  record.hash = hash.sha256(hash.canonical(record))
  ledger.insert(tx, { seq = record.seq, hash = record.hash, line = hash.canonical(record) })
  return record.seq
end

--- Has a run for the tenant been put on record since? Inside a transaction that has called head or append.
---@param tx gate.db.connection
---@param code string  the tenant's
---@param seq integer  what was known then
---@return boolean
function ledger.has_moved(tx, code, seq)
  return tx:value([[select exists (select from core.ledger where seq > $1 and line::jsonb #>> '{tenant,code}' = $2
    and line::jsonb ->> 'kind' in ('suite', 'gate'))]], seq, code)
end

return ledger
