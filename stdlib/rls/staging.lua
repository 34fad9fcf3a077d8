--- Texts to reproduce what functions with their owner's rights and triggers do, tried: each finding has several, and the one that was seen
-- to show it is the one that is printed. Where none was, the text says so and why.
--
-- A text is run as it stands, in a transaction that is rolled back. It shows the leak if it changes the other tenant's rows or who may do
-- what, or if what it answers is the same twice with that tenant's row there, and another thing without it.
--
-- Only what is undone with its transaction is called (rls.confined), with all that it leads to; locks are not waited for.
local attempts = require "rls.attempts"
local catalogue = require "rls.catalogue"
local confined = require "rls.confined"
local functions = require "rls.prover.functions"
local json = require "json"
local names = require "rls.names"
local remade = require "rls.remade"
local arguments = require "rls.rules.arguments"
local said = require "rls.said"
local trials = require "rls.trials"
local values = require "rls.values"

local staging = {}

--- Most texts of one finding, findings of which the first is tried in one transaction, and seconds for all of them.
local MOST, TOGETHER, SECONDS = 60, 20, 30

local LIMITS = "set local lock_timeout = '500ms'; set local statement_timeout = '2s'; set local jit = off; set local row_security = on"

---@class rls.Staged           how a finding's texts are made
---@field f table              the function, of rls.Model.all_functions
---@field verdict prover.Verdict?
---@field table rls.Table?     whose row the counterexample is about
---@field writes boolean?
---@field texts fun(s: rls.Signature, v: prover.Verdict?): rls.Variant[]

--- One value for what a query gives.
local function digest(query)
  return ([[select count(*)::text || ' ' || coalesce(sum(hashtextextended(gate_row::text, 0)::numeric), 0)::text as seen
    from (%s) gate_row]]):format((query:gsub(";%s*$", "")))
end

--- The statements of a text, for the server, and which of them tell. without: leave the other tenant's row out.
---@param one rls.Variant
local function statements(one, without)
  local list, tells = {}, {}
  local function tell(query)
    list[#list + 1] = { digest(query) }
    tells[#tells + 1] = #list
  end
  local asked = not one.changes
  for i = 2, #one.lines - 2 do
    local line = one.lines[i]
    if not asked and (line:find "^SET LOCAL SESSION AUTHORIZATION " or line:find "^SET LOCAL ROLE ") then
      tell(one.changes)
      asked = true
    end
    if not (without and line == one.planted) then list[#list + 1] = { line } end
  end
  for i, act in ipairs(one.acts) do
    if i == #one.acts and act:find "^SELECT" and not one.changes and not one.look then
      tell(act)
    else
      list[#list + 1] = { act }
      if i == #one.acts and not one.changes and not one.look then tells[#tells + 1] = #list end
    end
  end
  if one.changes or one.look then
    list[#list + 1] = { "RESET SESSION AUTHORIZATION" }
    tell(one.changes or one.look)
  end
  return list, tells
end

--- What one of the statements told: of a query its digest, of CALL its row.
local function told(o)
  local rows = {}
  for i, row in ipairs(o.rows or {}) do
    local parts = {}
    for name, value in pairs(row) do parts[#parts + 1] = name .. "=" .. tostring(value) end
    table.sort(parts)
    rows[i] = table.concat(parts, "\1")
  end
  return table.concat(rows, "\2")
end

--- What a run of a text came to: what was told, or the refusal and the statement that met it.
local function outcome(conn, one, list, tells, out)
  local r = { told = {} }
  for i, o in ipairs(out) do
    if not o.ok then
      if attempts.is_fatal(o.error) then error(o.error, 0) end
      r.refusal, r.why, r.at = o.error, said.of(conn, o.error), list[i][1]
      r.of_row = r.at:find "^INSERT INTO " ~= nil and r.at:find(" ON CONFLICT DO NOTHING;$") ~= nil
      return r
    end
    if list[i][1] == one.planted and o.affected == 0 then r.there = true end
  end
  for _, at in ipairs(tells) do r.told[#r.told + 1] = told(out[at]) end
  return r
end

--- Does what the call raised, or a notice of it, say what the other tenant's row says? A value that is short stands in many words.
local function raised(conn, v, r)
  local words = {}
  local list = conn:notices()
  list[#list + 1] = r.refusal
  for _, one in ipairs(list) do
    for _, name in ipairs { "message", "detail", "hint" } do words[#words + 1] = one[name] end
  end
  local said_ = table.concat(words, "\n")
  for _, value in pairs(v and v.assignment and v.assignment.row or {}) do
    if type(value) == "string" and #value > 1 and said_:find(value, 1, true) then return true end
  end
  return false
end

local function run(conn, one, without)
  local list, tells = statements(one, without)
  conn:notices()
  return outcome(conn, one, list, tells, trials.undone(conn, list, LIMITS))
end

--- Does the text show it, by what its runs told? The second result is why not.
local function shows(one, with, without, again)
  if one.changes then
    if with.told[1] ~= with.told[2] then return true end
    return false, "it changes nothing"
  end
  local last = with.told[1]
  if last:find("seen=0 ", 1, true) == 1 or last == "" then return false, "it gives no row" end
  local function is_same(x, y, part) return (x.told[1] or ""):match(part) == (y.told[1] or ""):match(part) end
  -- Where the row itself is another each time, by a default, the number of rows tells.
  for _, part in ipairs { ".*", "^seen=%d+" } do
    if is_same(with, again, part) and not is_same(with, without, part) then return true end
  end
  return false, is_same(with, again, ".*") and "what it gives is the same without the other tenant's row"
    or "what it gives is another thing each time"
end

--- Why nothing can be seen of what is no base table: its rows are not made by a statement.
local UNMADE = "no statement makes a row of another tenant in what it reads"

--- Runs one text as often as it takes. Returns whether it shows what it claims, why not, and the refusal of a row of its own.
---@return boolean ok, string? why, table? refusal, boolean? there
local function try(conn, one, v, first)
  local with = first or run(conn, one)
  local is_call = not with.refusal or with.at == one.acts[#one.acts] or with.at == digest(one.acts[#one.acts])
  if not first and one.planted and is_call and raised(conn, v, with) then
    one.raises = true
    return true
  end
  if with.refusal then return false, with.why, with.of_row and with.refusal or nil end
  if with.there then return false, "a row with the key of its row is there already", nil, true end
  if one.changes then return shows(one, with) end
  if not one.planted then return false, UNMADE end
  return shows(one, with, run(conn, one, true), run(conn, one))
end

local SAID = { raises = "what it raises says another tenant's row", changes = "it changes another tenant's row",
  look = "what it copies is another tenant's", answer = "what it gives depends on another tenant's row" }

local function in_words(one, staged)
  if one.raises then return SAID.raises end
  if one.changes and not one.planted and not staged.verdict then return "it changes who may do what" end
  return one.changes and SAID.changes or one.look and SAID.look or SAID.answer
end

--- A counterexample with one value in the place of another, wherever it stands.
local function replaced(v, from, to)
  local a, out = v.assignment, {}
  local function of(value)
    if value == from or tostring(value) == tostring(from) and type(value) ~= "table" and type(value) ~= "boolean" then
      return type(value) == "string" and tostring(to) or to
    end
    return value
  end
  local function row_of(row)
    local copy = {}
    for name, value in pairs(row) do copy[name] = of(value) end
    return copy
  end
  local rows, kept = {}, {}
  local function once(row)
    if type(row) ~= "table" then return row end
    kept[row] = kept[row] or row_of(row)
    return kept[row]
  end
  for label, list in pairs(a.rows or {}) do
    rows[label] = {}
    for i, row in ipairs(list) do rows[label][i] = once(row) end
  end
  local settings = {}
  for name, value in pairs(a.settings or {}) do settings[name] = name:find "^\1argument%." and of(value) or value end
  local fired = a.fired and { new = once(a.fired.new), old = once(a.fired.old) } or nil
  for key, value in pairs(v) do out[key] = value end
  out.assignment = { row = once(a.row), rows = rows, own = a.own, settings = settings, fired = fired, free = a.free }
  return out
end

--- The counterexample with another key in the place of one that is taken; nil where none can be told.
local function moved(v, t)
  for _, key in ipairs(t.uniques) do
    for _, name in ipairs(key.columns) do
      local value = v.assignment.row[name]
      if name ~= t.tenant and math.type(value) == "integer" then return replaced(v, value, 2000000000 + values.random() % 100000000) end
      if name ~= t.tenant and type(value) == "string" and t.by_column[name].category == "S" then
        return replaced(v, value, ("canary-%d"):format(values.random()))
      end
    end
  end
  return nil
end

--- Values of domains that their constraints refuse, replaced by others wherever they stand.
local DOMAINS = [[
  select format_type(y.oid, null) as type, y.typcategory::text as category, array_agg(pg_get_constraintdef(c.oid)) as checks
    from pg_type y join pg_constraint c on c.contypid = y.oid where y.typtype = 'd' and c.conname = $1 group by 1, 2]]

local function of_domain(conn, v, t, refusal)
  local rows
  catalogue.qualified(conn, function() rows = conn:query(DOMAINS, refusal.constraint) end)
  for _, domain in ipairs(rows) do
    local literals, out = {}, nil
    for i, text in ipairs(values.candidates({ category = domain.category }, domain.checks)) do literals[i] = names.literal(text) end
    conn:transaction(function()
      local typed = values.valid(conn, domain.type, literals)[1]
      out = typed and conn:value(("select (%s)::text"):format(typed)) or nil
    end, { rollback = true })
    for _, c in ipairs(t.columns) do
      local value = v.assignment.row[c.name]
      local known = value ~= nil and value ~= json.null and value ~= functions.UNKNOWN
      if out and known and c.type == domain.type then return replaced(v, value, out) end
    end
  end
  return nil
end

--- Other counterexamples where the server refuses the row of this one.
local function others(conn, staged, v, s, refusal, there)
  local t = staged.table
  if not t or not v then return nil end
  if there then return moved(v, t) end
  if refusal and refusal.sqlstate == "23514" and refusal.constraint then
    local by_domain = of_domain(conn, v, t, refusal)
    if by_domain then return by_domain end
  end
  local found
  remade.try(conn, t, { row = v.assignment.row, own = v.assignment.own, remake = function(literals)
    local with = setmetatable({ literals = literals }, { __index = v })
    return with, {}
  end }, refusal, function(_, with)
    local one = staged.texts(s, with)[1]
    local r = one and run(conn, one)
    if r and not r.of_row then found = with end
    return found ~= nil, nil, r and r.of_row and r.refusal or nil
  end)
  return found
end

--- Tries the texts of one finding. first: what came of its first text already.
local function try_all(conn, job, deadline)
  local v, why, list = job.staged.verdict, nil, job.list
  for round = 1, 3 do
    local refusal, there
    for i, one in ipairs(list) do
      if i > MOST then break end
      if os.time() > deadline then return nil, ("%d seconds went by with others"):format(SECONDS) end
      local ok, reason
      ok, reason, refusal, there = try(conn, one, v, round == 1 and i == 1 and job.first or nil)
      if ok then return one end
      why = why or reason
      if refusal or there then break end
    end
    v = (refusal or there) and others(conn, job.staged, v, job.s, refusal, there)
    if not v then break end
    list = job.staged.texts(job.s, v)
  end
  return nil, why or "no statement is known that shows it"
end

--- The first texts of several findings, in one transaction; nothing where one of them is refused.
local function first_of(conn, jobs)
  local all, at = {}, {}
  for i, job in ipairs(jobs) do
    local list, tells = statements(job.list[1])
    all[#all + 1] = { "savepoint gate_staged" }
    at[i] = { from = #all, list = list, tells = tells }
    table.move(list, 1, #list, #all + 1, all)
    all[#all + 1] = { "rollback to savepoint gate_staged" }
  end
  local out = trials.undone(conn, all, LIMITS)
  for _, o in ipairs(out) do
    if not o.ok then return end
  end
  for i, job in ipairs(jobs) do
    local mine = at[i]
    job.first = outcome(conn, job.list[1], mine.list, mine.tells, table.move(out, mine.from + 1, mine.from + #mine.list, 1, {}))
  end
end

local function note(f, trial, text)
  f.reproduce = ("-- %s\n%s"):format(trial:gsub("%s+", " "), text or f.reproduce)
end

--- The findings that can be tried, with their texts; of the others it is said why not.
local function jobs_of(conn, found, options)
  local out, oids, within = {}, {}, nil
  for _, f in ipairs(found) do
    local staged, why = f.staged, nil
    if staged and not options.superuser then
      why = "database.admin is no superuser"
    elseif staged then
      within = within or confined.new(conn, options.settings)
      why = within:refused(staged.f)
    end
    if staged and staged.writes and staged.table and staged.table.estimate > options.max_rows then
      why = why or ("the table has more than %d rows (database.probe.max_rows)"):format(options.max_rows)
    end
    if why then
      note(f, "not tried: " .. why)
    elseif staged then
      out[#out + 1], oids[#oids + 1] = { f = f, staged = staged }, staged.f.oid
    end
  end
  local signatures = #out > 0 and arguments.read(conn, oids) or {}
  for _, job in ipairs(out) do
    job.s = signatures[job.staged.f.oid]
    job.list = job.s and job.staged.texts(job.s, job.staged.verdict) or {}
  end
  return out
end

--- Tries the texts of findings, and puts the one that shows it, or why none is known to, in the place of each finding's own.
---@param open fun(): table  a fresh connection of the admin
---@param found table[]      findings of rls.rules.definers, with `staged`
---@param options {superuser: boolean, max_rows: integer, settings: table}  settings: config.database
function staging.run(open, found, options)
  local some = false
  for _, f in ipairs(found) do some = some or f.staged ~= nil end
  if not some then return end
  local conn = open()
  local jobs, deadline = jobs_of(conn, found, options), os.time() + SECONDS
  for from = 1, #jobs, TOGETHER do
    local group, begun = table.move(jobs, from, math.min(from + TOGETHER - 1, #jobs), 1, {}), {}
    for _, job in ipairs(group) do
      -- Whose notice it was is not to be told of several.
      local speaks = (job.staged.f.body or ""):lower():find("raise", 1, true)
      begun[#begun + 1] = job.list[1] and not speaks and job or nil
    end
    if #begun > 1 then first_of(conn, begun) end
    for _, job in ipairs(group) do
      local one, why = try_all(conn, job, deadline)
      job.f.shown = one ~= nil
      note(job.f, one and "tried: " .. in_words(one, job.staged)
        or (why == UNMADE and "not tried: " or "tried, and not seen to show it: ") .. why, one and one.text)
    end
  end
  conn:close()
end

return staging
