--- Counterexamples of the prover, tried: the row that each speaks of is made on the server, the session is set up as it says, and its
--- statement is run, in a transaction that is rolled back.
--
-- Reached: the finding says so. Not reached: the policies are undecided, and that is an error, since either the prover is wrong or what it
-- needs is not what was made. What cannot be tried (a CHECK refuses the row, the admin is no superuser, who alone may leave foreign keys
-- and triggers aside) stays the proof's word, and the finding says why.
local attempts = require "rls.attempts"
local names = require "rls.names"
local prover = require "rls.prover"
local remade = require "rls.remade"
local said = require "rls.said"

local trials = {}

--- Most that are tried, in the order of the findings.
local MOST = 100

--- How many are tried in one transaction.
local TOGETHER = 25

local LIMITS = "set local lock_timeout = '5s'; set local statement_timeout = '10s'; set local jit = off; set local row_security = on"

--- The row itself, by the values that it was made with; nil where none of them can be compared as it is written.
---@param literals table<string, string>?  SQL by column, where it was made with others
local function by_row(t, row, literals)
  local parts, readable = {}, (t.columns_of or {}).select
  for name, value in pairs(literals or row) do
    local c = (not readable or readable[name]) and t.by_column[name]
    local plain = type(value) == "string" or math.type(value) == "integer"
    if literals then plain = value ~= "NULL" end
    -- Of a document there is no equality.
    if c and plain and not c.generated and c.base ~= "json" then
      parts[#parts + 1] = ("%s = %s"):format(names.ident(name), literals and value or prover.literal(value))
    end
  end
  table.sort(parts)
  return #parts > 0 and ("select 1 from %s where %s limit 1"):format(t.sql, table.concat(parts, " and ")) or nil
end

--- The statements of a trial, the last one shows it, and "fresh" where nothing may have been set on the connection; nil and why not.
local function statements_of(t, f, max_rows, steps, literals)
  local list, fresh = {}, nil
  steps = steps or f.steps
  for i, line in ipairs(steps) do
    if line:find "^%-%- in a new connection" then
      fresh = "fresh"
    elseif i > 1 and i < #steps then
      list[#list + 1] = { line }
    end
  end
  local last = list[#list][1]
  if f.commands[1] == "SELECT" and f.row then
    list[#list] = { by_row(t, f.row, literals) or last }
  elseif not last:find " WHERE " and not last:find "^INSERT" and t.estimate > max_rows then
    return nil, ("the table has more than %d rows (database.probe.max_rows)"):format(max_rows)
  end
  return list, fresh
end

--- What came of one: true, and how where it was not all the way; false and why it was not reached, nil and why it could not be tried. The
--- third result is the server's refusal of a row.
local function judge(conn, list, out)
  for i, o in ipairs(out) do
    if not o.ok then
      if attempts.is_fatal(o.error) then error(o.error, 0) end
      if i == #list and o.error.sqlstate == "42501" then return false, "the server refuses the statement: " .. said.of(conn, o.error) end
      -- Constraints are asked after policies.
      if i == #list and (o.error.sqlstate or ""):sub(1, 2) == "23" then
        return true, "the policies let the row through, a constraint alone stops it"
      end
      return nil, said.of(conn, o.error), list[i][1]:find "^INSERT" and o.error or nil
    elseif i < #list and o.affected == 0 and list[i][1]:find "^INSERT" then
      return nil, "a row with the key of its row is there already"
    end
  end
  local last = out[#out]
  if last.affected > 0 then return true end
  return false, "the statement reaches no row"
end

--- Runs statements in a transaction that is rolled back, until one is refused.
---@param conn table
---@param list any[][]  as for connection:pipeline
---@param limits string?  SET LOCAL statements
---@return gate.db.outcome[]
function trials.undone(conn, list, limits)
  local out
  conn:transaction(function()
    conn:script(limits or LIMITS)
    out = conn:pipeline(list, { atomic = true })
  end, { rollback = true })
  return out
end
local undone = trials.undone

--- Runs the trials of a group in one transaction, each undone before the next begins. Returns what each one's statements did; nil where
--- one was refused, since what follows a refusal is not run.
local function together(conn, group)
  local all, out = {}, {}
  for _, one in ipairs(group) do
    all[#all + 1] = { "savepoint gate_trial" }
    table.move(one.list, 1, #one.list, #all + 1, all)
    all[#all + 1] = { "rollback to savepoint gate_trial" }
  end
  local did, at = undone(conn, all), 1
  for _, o in ipairs(did) do
    if not o.ok then return nil end
  end
  for i, one in ipairs(group) do
    out[i] = table.move(did, at + 1, at + #one.list, 1, {})
    at = at + #one.list + 2
  end
  return out
end

local DONE = { SELECT = "read", INSERT = "inserted", UPDATE = "changed", DELETE = "deleted" }

--- The findings to try: leaks of base tables, in one order.
local function of_tables(found, by_oid)
  local oids, out = {}, {}
  for oid in pairs(found) do oids[#oids + 1] = oid end
  table.sort(oids)
  for _, oid in ipairs(oids) do
    local t = by_oid[oid]
    for _, f in ipairs(t and (t.kind == "r" or t.kind == "p") and found[oid] or {}) do
      if f.steps and not f.advisory then out[#out + 1] = { f = f, t = t } end
    end
  end
  return out
end

--- Says of a finding what came of its trial.
local function note(f, ok, why)
  if f.otherwise and not ok then
    f.reproduce = f.otherwise
    return
  end
  f.reproduced = ok
  f.trial = (ok and "tried: " or ok == false and "not reproduced: " or "not tried: ") .. (why or "the row was " .. DONE[f.commands[1]])
end

--- Tries one again whose row the server refuses as it is.
local function again(open, conn, one, refusal, max_rows)
  if not one.f.remake then return nil end
  return remade.try(conn, one.t, one.f, refusal, function(literals, _, steps)
    local list, fresh = statements_of(one.t, one.f, max_rows, steps, literals)
    if not list then return nil end
    local place = fresh and open() or conn
    local out = undone(place, list)
    if place ~= conn then place:close() end
    return judge(conn, list, out)
  end)
end

--- Tries a group.
local function try(open, conn, group, max_rows)
  local out = #group > 1 and together(conn, group) or {}
  for i, one in ipairs(group) do
    local ok, why, refusal = judge(conn, one.list, out[i] or undone(conn, one.list))
    if refusal then
      local remade_ok, remade_why = again(open, conn, one, refusal, max_rows)
      if remade_ok then ok, why = remade_ok, remade_why end
    end
    note(one.f, ok, why)
  end
end

--- Tries the findings. Each gets `trial`: what to say of it, and `reproduced`, false where the server contradicts it.
---@param open fun(): table  a fresh connection of the admin
---@param found table<string, table[]>  findings of rls.rules.policies by table
---@param by_oid table<string, rls.Table>
---@param options {superuser: boolean, max_rows: integer}
function trials.run(open, found, by_oid, options)
  local conn, group = nil, {}
  local function flush()
    if #group == 0 then return end
    conn = conn or open()
    try(open, conn, group, options.max_rows)
    group = {}
  end
  for i, one in ipairs(of_tables(found, by_oid)) do
    local list, why
    if not options.superuser then
      why = "database.admin is no superuser"
    elseif i > MOST then
      why = ("%d others were"):format(MOST)
    else
      list, why = statements_of(one.t, one.f, options.max_rows)
    end
    if list and (why == "fresh" or #group == TOGETHER) then flush() end
    if not list then
      note(one.f, nil, why)
    else
      -- A setting that was set once reads '' for the rest of its session.
      if conn and why == "fresh" then
        conn:close()
        conn = nil
      end
      group[#group + 1] = { f = one.f, t = one.t, list = list }
      if why == "fresh" then flush() end
    end
  end
  flush()
  if conn then conn:close() end
end

return trials
