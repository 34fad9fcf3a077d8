--- Attempts: statements whose effect is undone, many of them in one round trip.
--
-- A probe is written as a function that asks for one attempt after the other. The functions of all tables run side by side as
-- coroutines; what they ask for goes to the server together, as one DO block in which each statement has a subtransaction of its own.
-- Subtransactions that are undone give their locks back (PostgreSQL, "Locking and Tables"), so that a block holds no more of the lock
-- table than its longest statement. Where a block cannot run (no right to plpgsql, a timeout), its halves are tried, and in the end
-- each statement alone, with savepoints.
local errors = require "errors"
local hash = require "hash"
local json = require "json"
local names = require "rls.names"
local said = require "rls.said"

local attempts = {}

--- Most statements, and bytes of them, in one block.
local MOST, BYTES = 400, 400000

--- How many statements are sent together without savepoints between them.
local TOGETHER = 100

---@class rls.Attempt
---@field q string              the statement
---@field s string[][]?         settings {{name, value}} it runs with
---@field l string?             afterwards, as the admin: a query of one number
---@field ls string[][]?        settings of that query
---@field r boolean?            as the admin from the beginning

---@class rls.Outcome
---@field ok boolean
---@field affected integer?     rows
---@field seen integer?         what the query afterwards said
---@field err {sqlstate: string, message: string, constraint: string?}?

-- What is a statement and nothing more stands in an array of its own, and its outcome is its number of rows: most are, and a document to
-- read takes the server longer than the rest of the loop. A NULL there is the next of the jobs.
local BLOCK = [[do language plpgsql %s
declare
  jobs constant pg_catalog.jsonb := %s;
  plain_one text;
  job pg_catalog.jsonb; pair pg_catalog.jsonb; n bigint; seen bigint; state text; said text; con text; outs text[] := '{}'; i int := 0;
  k int := -1;
begin
  foreach plain_one in array array[%s]::pg_catalog.text[] loop
    i := i + 1;
    if plain_one is null then k := k + 1; job := jobs -> k; seen := null; end if;
    begin
      if plain_one is null then
        for pair in select value from pg_catalog.jsonb_array_elements(coalesce(job -> 's', '[]')) loop
          perform pg_catalog.set_config(pair ->> 0, pair ->> 1, true);
        end loop;
        if job ? 'r' then execute %s; end if;
        execute job ->> 'q';
        get diagnostics n = row_count;
        if job ? 'l' then
          if not job ? 'r' then execute %s; end if;
          for pair in select value from pg_catalog.jsonb_array_elements(coalesce(job -> 'ls', '[]')) loop
            perform pg_catalog.set_config(pair ->> 0, pair ->> 1, true);
          end loop;
          execute job ->> 'l' into seen;
        end if;
      else
        execute plain_one;
        get diagnostics n = row_count;
      end if;
      raise exception using errcode = 'GE001';
    exception
      when sqlstate 'GE001' then
        if plain_one is null then outs[i] := '[' || n || coalesce(',' || seen, '') || ']'; else outs[i] := n; end if;
      when others then
        get stacked diagnostics state = returned_sqlstate, said = message_text, con = constraint_name;
        outs[i] := pg_catalog.jsonb_build_object('state', state, 'said', said, 'con', con)::text;
        %s
    end;
  end loop;
  perform pg_catalog.set_config('gate_engine.attempts', '[' || pg_catalog.array_to_string(outs, ',') || ']', true);
end %s]]

--- A lock that was not given in time, a deadlock: PostgreSQL manual, appendix A.
local CONTENTION = { ["55P03"] = true, ["40P01"] = true }

--- Raised where a connection that gives way meets another transaction: no table is to blame.
attempts.MET = setmetatable({}, { __tostring = function() return "another transaction was in the way" end })

local gives_way = setmetatable({}, { __mode = "k" })

--- From now on attempts.MET is raised where a statement of the connection meets another transaction: it will be asked again, alone.
---@param conn table
function attempts.give_way(conn) gives_way[conn] = true end

--- Looks at how a statement was refused.
---@param conn table
---@param refusal {sqlstate: string?}?
function attempts.note(conn, refusal)
  if refusal and gives_way[conn] and CONTENTION[refusal.sqlstate or ""] then error(attempts.MET, 0) end
end

--- What a block left for its client to fetch.
local SAID = "select current_setting('gate_engine.attempts', true) as said"

--- A tag for a block's dollar quotes, which no statement in it holds.
local function new_tag() return "$gate" .. hash.hex(hash.random(8)) .. "$" end

local Runner = {}
Runner.__index = Runner

--- A runner over an open transaction.
---@param conn table
---@param back string  the statement that leads from the application's role back to the admin's
function attempts.runner(conn, back)
  return setmetatable({ conn = conn, back = back }, Runner)
end

--- An outcome as a block writes it: a number of rows, alone or with what the query afterwards said, or an error.
local function outcome(row)
  if type(row) == "number" then return { ok = true, affected = row } end
  if row[1] then return { ok = true, affected = row[1], seen = row[2] } end
  local message = said.of { sqlstate = row.state, message = row.said }
  return { ok = false, err = { sqlstate = row.state, message = message, constraint = row.con ~= "" and row.con or nil } }
end

--- Runs one attempt by savepoints.
function Runner:single(a)
  local conn, out = self.conn, nil
  local function set(pairs_) for _, p in ipairs(pairs_ or {}) do conn:value("select set_config($1, $2, true)", p[1], p[2]) end end
  conn:transaction(function()
    set(a.s)
    if a.r then conn:exec(self.back) end
    local ok, affected = conn:try(a.q)
    if not ok then
      out = { ok = false, err = { sqlstate = affected.sqlstate or "?????", message = said.of(affected), constraint = affected.constraint } }
      return
    end
    out = { ok = true, affected = affected }
    if a.l then
      if not a.r then conn:exec(self.back) end
      set(a.ls)
      out.seen = conn:value(a.l)
    end
  end, { rollback = true })
  attempts.note(conn, out.err)
  return out
end

--- The statements as elements of an array, and as JSON what is more than a statement.
local function written(list)
  local elements, jobs = {}, {}
  for i, a in ipairs(list) do
    if a.s or a.l or a.r then
      jobs[#jobs + 1] = a
      elements[i] = "null"
    else
      elements[i] = names.literal(a.q)
    end
  end
  return names.literal(json.encode(json.array(jobs))), table.concat(elements, ",")
end

--- Runs a block. nil where it did not run as a whole.
function Runner:block(list)
  local tag = new_tag()
  local back = names.literal(self.back)
  local jobs, elements = written(list)
  local sql = BLOCK:format(tag, jobs, elements, back, back,
    gives_way[self.conn] and "exit when state in ('55P03', '40P01');" or "", tag)
  local out = self.conn:pipeline { { sql }, { SAID } }
  for _, o in ipairs(out) do
    if not o.ok then
      if o.error.code == "db_lost" or o.error.code == "db_closed" then error(o.error, 0) end
      return nil, o.error
    end
  end
  local results = {}
  for i, row in ipairs(json.decode(out[2].rows[1].said)) do
    results[i] = outcome(row)
    attempts.note(self.conn, results[i].err)
  end
  if #results ~= #list then return nil end
  return results
end

--- Runs attempts, each undone.
---@param list rls.Attempt[]
---@return rls.Outcome[]
function Runner:run(list)
  if #list == 0 then return {} end
  if not self.alone then
    local results, refusal = self:block(list)
    if results then return results end
    -- Without plpgsql no block will ever run.
    self.alone = refusal and (refusal.sqlstate == "42501" or refusal.sqlstate == "42704" or refusal.sqlstate == "0A000")
  end
  local results = {}
  if self.alone or #list == 1 then
    for i, a in ipairs(list) do results[i] = self:single(a) end
    return results
  end
  local half = #list // 2
  for i, part in ipairs { table.move(list, 1, half, 1, {}), table.move(list, half + 1, #list, 1, {}) } do
    for _, r in ipairs(self:run(part)) do results[#results + 1] = r end
    assert(i <= 2)
  end
  return results
end

--- Asks for attempts that do not depend on each other, together; only inside of a function that Runner:each runs.
---@param requests rls.Attempt[]  at least one
---@return rls.Outcome[]
function attempts.ask_all(requests)
  return coroutine.yield(requests)
end

--- Asks for one attempt; only inside of a function that Runner:each runs.
---@param request rls.Attempt
---@return rls.Outcome
function attempts.ask(request)
  return attempts.ask_all({ request })[1]
end

--- What a coroutine asks for next; what it raises goes to `failed`.
local function advance(job, failed, ...)
  local ok, requests = coroutine.resume(job.co, ...)
  if not ok then
    failed(job.item, requests)
    return nil
  end
  job.requests = requests
  return requests and job or nil
end

--- Runs fn(item) for each item, side by side: whatever they ask for, goes to the server together.
---@param items any[]
---@param fn fun(item: any)
---@param failed fun(item: any, raised: any)
function Runner:each(items, fn, failed)
  local waiting = {}
  for _, item in ipairs(items) do
    local job = { item = item, co = coroutine.create(fn) }
    waiting[#waiting + 1] = advance(job, failed, item)
  end
  while #waiting > 0 do
    local from, next_round = 1, {}
    while from <= #waiting do
      local list, bytes, to = {}, 0, from
      while to <= #waiting and #list < MOST and bytes < BYTES do
        for _, request in ipairs(waiting[to].requests) do
          list[#list + 1] = request
          bytes = bytes + #request.q
        end
        to = to + 1
      end
      local results, at = self:run(list), 1
      for i = from, to - 1 do
        local n = #waiting[i].requests
        next_round[#next_round + 1] = advance(waiting[i], failed, table.move(results, at, at + n - 1, 1, {}))
        at = at + n
      end
      from = to
    end
    waiting = next_round
  end
end

--- Sends statements whose effect stays, in one round trip for many. Where all of them succeed, which is the rule, they need no savepoint
--- of their own; where one is refused, its neighbours are sent again, each with a savepoint.
---@param conn table
---@param list any[][]  as for connection:pipeline
---@return gate.db.outcome[]
function attempts.send(conn, list)
  local out = {}
  for from = 1, #list, TOGETHER do
    local part = table.move(list, from, math.min(from + TOGETHER - 1, #list), 1, {})
    local sent
    local ok, raised = pcall(conn.transaction, conn, function()
      sent = conn:pipeline(part, { atomic = true })
      for _, o in ipairs(sent) do
        if not o.ok then error(o.error, 0) end
      end
    end)
    if not ok then
      if attempts.is_fatal(raised) then error(raised, 0) end
      attempts.note(conn, raised)
      sent = conn:pipeline(part)
      for _, o in ipairs(sent) do attempts.note(conn, o.error) end
    end
    table.move(sent, 1, #sent, #out + 1, out)
  end
  return out
end

-- Each query is planned for itself: a UNION ALL of as many takes the planner several times as long.
local READ = [[do language plpgsql %s
declare query text; said text; outs text[] := '{}';
begin
  foreach query in array array[%s]::pg_catalog.text[] loop
    execute query into strict said;
    outs := pg_catalog.array_append(outs, said);
  end loop;
  perform pg_catalog.set_config('gate_engine.attempts', '[' || pg_catalog.array_to_string(outs, ',') || ']', true);
end %s]]

--- Asks queries of one row, whose one column is a JSON text, in one round trip. Nothing of them is undone.
---@param conn table
---@param list string[]
---@return any[]?  what each said; nil where one of them, or the block that they run in, was refused
function attempts.read(conn, list)
  if #list == 0 then return {} end
  local elements = {}
  for i, query in ipairs(list) do elements[i] = names.literal(query) end
  local tag = new_tag()
  local out = attempts.send(conn, { { READ:format(tag, table.concat(elements, ","), tag) }, { SAID } })
  if not (out[1].ok and out[2].ok) then return nil end
  local told = json.decode(out[2].rows[1].said)
  return #told == #list and told or nil
end

--- Is a raised value the connection's end, which no table can be blamed for?
---@param raised any
---@return boolean
function attempts.is_fatal(raised)
  return not errors.is(raised) or raised.code == "db_lost" or raised.code == "db_closed"
end

return attempts
