--- Tables in batches, each probed in a transaction of its own, and two of them at a time where there are many.
--
-- Two transactions meet where their statements want the same row: a trigger that keeps a total, a foreign key that cascades. What a
-- batch that met another one found does not count; it is probed again, alone.
local attempts = require "rls.attempts"
local errors = require "errors"
local task = require "task"

local batches = {}

--- How many at a time, and from how many tables on: a second connection costs more than a small schema takes.
local LANES, MANY = 2, 100

--- How many batches of so many tables are probed at a time.
---@param tables rls.Table[]
---@return integer
function batches.lanes(tables) return #tables > MANY and LANES or 1 end

--- How many entries of the server's lock table the probe of a table takes at most: the table, its indexes and sequences, those of its
--- partitions and children, and the tables that its keys refer to with the index that serves them. (PostgreSQL manual, 13.3: a statement
--- locks each index of what it writes, and each partition that it may touch.)
---@param t rls.Table
---@return integer
function batches.locks_of(t) return (1 + t.heaps) * (1 + t.indexes) + t.sequences + 2 * #t.foreign_keys end

--- How many tables a batch holds at most, so that each lane has as many as the others: one that probes what is left over, while the
--- others have nothing to do, is waited for.
local function share(tables, batch, most, lanes)
  local locks = 0
  for _, t in ipairs(tables) do locks = locks + batches.locks_of(t) end
  local parts = math.max(math.ceil(#tables / batch), math.ceil(locks / most))
  parts = (parts + lanes - 1) // lanes * lanes
  return math.ceil(#tables / parts)
end

--- Tables in batches, in order: what is probed at a time stays under a quarter of the lock table; tables that foreign keys join are in
--- one where they fit.
---@param conn table
---@param tables rls.Table[]
---@param batch integer  most tables in one
---@param lanes integer  how many batches are probed at a time
---@return rls.Table[][]
function batches.cut(conn, tables, batch, lanes)
  local most = conn:value [[select current_setting('max_locks_per_transaction')::bigint
    * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint) / 4]] // lanes
  if lanes > 1 then batch = share(tables, batch, most, lanes) end
  local group, members = {}, {}
  for _, t in ipairs(tables) do
    group[t.oid], members[t.oid] = t.oid, { t }
  end
  for _, t in ipairs(tables) do
    for _, fk in ipairs(t.foreign_keys) do
      local from, to = group[t.oid], group[fk.ref]
      if to and from ~= to then
        for _, member in ipairs(members[from]) do
          group[member.oid] = to
          table.insert(members[to], member)
        end
        members[from] = nil
      end
    end
  end
  local out, size = { {} }, 0
  local function add(t)
    if #out[#out] >= batch or size + batches.locks_of(t) > most then out[#out + 1], size = {}, 0 end
    table.insert(out[#out], t)
    size = size + batches.locks_of(t)
  end
  for _, t in ipairs(tables) do
    for _, member in ipairs(members[t.oid] or {}) do add(member) end
  end
  return out
end

--- Have two lanes' invented tenants nothing in common? An enum has no more labels than it has.
---@param commons table[]  with keys
---@return boolean
function batches.are_apart(commons)
  local seen = {}
  for _, common in ipairs(commons) do
    local mine = { common.keys.a, common.keys.b, common.keys.c }
    table.move(common.keys.alike, 1, #common.keys.alike, #mine + 1, mine)
    for _, key in pairs(mine) do
      if seen[key] and seen[key] ~= common then return false end
      seen[key] = common
    end
  end
  return true
end

--- Probes all batches, as many at a time as there are lanes.
---@param parts rls.Table[][]
---@param commons table[]  what is the same for all batches of a lane
---@param probe fun(common: table, part: rls.Table[], alone: boolean)  probes one; raises attempts.MET where it met another one: then
---  nothing of it was kept
function batches.each(parts, commons, probe)
  if #commons == 1 or #parts == 1 then
    for _, part in ipairs(parts) do probe(commons[1], part, true) end
    return
  end
  local free, again = { table.unpack(commons) }, {}
  task.map(parts, #commons, function(part)
    local common = table.remove(free)
    -- Those that met once would meet again.
    local ok, raised = #again > 0, nil
    if not ok then ok, raised = pcall(probe, common, part, false) else again[#again + 1] = part end
    free[#free + 1] = common
    -- Behind a pooler with fewer connections than lanes the second waits in vain. What is really lost is lost to the next one too.
    if raised == attempts.MET or errors.is(raised, "db_lost") then
      again[#again + 1] = part
    elseif not ok then
      error(raised, 0)
    end
  end)
  for _, part in ipairs(again) do probe(commons[1], part, true) end
end

return batches
