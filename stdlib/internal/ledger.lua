--- The ledger in the platform's database, for the supervisor: reads what comes after a record, or adds records.
---
--- job.ledger = { after = SEQ } → { rows = [{seq, hash, line, statement}], more = boolean }
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

return function(ctx, job)
  local db = ctx.db.operator
  if not db:value "select to_regclass('core.ledger')::text" then
    errors.raise { code = "ledger_missing", message = "the ledger is to be in the platform's database, and core.ledger is not there",
      fix = "create it as stdlib/platform/migrations/012_ledger.sql does, or name a file in evidence.ledger" }
  end
  if job.ledger.rows then return add(db, job.ledger) end
  return read(db, job.ledger.after)
end
