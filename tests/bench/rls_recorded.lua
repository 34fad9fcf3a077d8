--- The statements that a run of gate 1 sent while it probed, out of the server's log, as one DO block: what they cost the server alone.
local json = require "engine.json"

local recorded = {}

--- Statements that a block cannot run, or that speak of transactions, patience and blocks alone.
local LEFT_OUT = { "^begin", "^rollback", "^savepoint", "^release", "^set local lock_timeout", "^set local jit", "^set constraints",
  "^select current_setting%('gate_engine", "client_connection_check_interval", "^select pg_advisory", "^copy " }

--- What a session is from there on, and rows that stay: all else is undone at once.
local KEPT = { "^insert .* returning to_jsonb", "^set local ", "^reset ", "^select set_config" }

local function matches(sql, patterns)
  local lower = sql:sub(1, 400):lower()
  for _, pattern in ipairs(patterns) do
    if lower:find(pattern) then return true end
  end
  return false
end

--- Entries of a log whose lines begin with a time and [pid]; lines that go on begin with a tab.
local function entries(log)
  local out = {}
  for line in log:gmatch "[^\n]*" do
    local pid, kind, text = line:match "^%d+%-%d+%-%d+ [^%[]*%[(%d+)%] (%u+):  (.*)$"
    if pid then
      out[#out + 1] = { pid = pid, kind = kind, text = text }
    elseif #out > 0 and line:sub(1, 1) == "\t" then
      out[#out].text = out[#out].text .. "\n" .. line:sub(2)
    end
  end
  return out
end

--- Elements of a list of string literals and NULLs; false stands for NULL.
local function elements(text)
  local out, at = {}, 1
  while at <= #text do
    if text:sub(at, at + 3) == "null" then
      out[#out + 1], at = false, at + 5
    else
      local from, stop = at + 1, at + 1
      while text:sub(stop, stop + 1) == "''" or text:sub(stop, stop) ~= "'" do
        stop = stop + (text:sub(stop, stop + 1) == "''" and 2 or 1)
        assert(stop <= #text, "a literal has no end")
      end
      out[#out + 1], at = text:sub(from, stop - 1):gsub("''", "'"), stop + 2
    end
  end
  return out
end

local function literal(text) return "'" .. text:gsub("'", "''") .. "'" end

--- An attempt as one text: settings, the statement, and what the admin looks at afterwards.
local function attempt(job, back)
  local parts = {}
  local function set(pairs_)
    for _, p in ipairs(pairs_ or {}) do parts[#parts + 1] = ("select set_config(%s, %s, true)"):format(literal(p[1]), literal(p[2])) end
  end
  set(job.s)
  if job.r then parts[#parts + 1] = back end
  parts[#parts + 1] = job.q
  if job.l then
    if not job.r then parts[#parts + 1] = back end
    set(job.ls)
    parts[#parts + 1] = job.l
  end
  return table.concat(parts, "; ")
end

--- The statements within a block of the gate's (rls.attempts).
local function unfold(sql, add)
  local list = elements(assert(sql:match "in array array%[(.*)%]::pg_catalog.text%[%] loop", "not a block of the gate's"))
  local jobs = sql:match "jobs constant pg_catalog.jsonb := ('.-');\n"
  jobs = jobs and json.decode(elements(jobs)[1]) or {}
  local back, next_job = "set local session authorization default", 0
  for _, one in ipairs(list) do
    if not one then next_job = next_job + 1 end
    add("-", one or attempt(jobs[next_job], back))
  end
end

--- A statement with its parameters in their places.
local function bound(sql, detail)
  local values = {}
  for n, value in (detail or ""):gmatch "%$(%d+) = ('[^']*')" do values[n] = value end
  return (sql:gsub("%$(%d+)", function(n) return values[n] end))
end

--- What the gate sent on the connections that probe, in order: statements that stay ("+") and attempts, each undone ("-").
---@param log string  of a server with log_statement = all
---@return {how: string, sql: string}[]
function recorded.statements(log)
  local list, probes, by_pid, pids = entries(log), {}, {}, {}
  for _, e in ipairs(list) do
    if e.text:find(": do language plpgsql $gate", 1, true) then probes[e.pid] = true end
  end
  for i, e in ipairs(list) do
    local sql = e.kind == "LOG" and probes[e.pid] and (e.text:match "^statement: (.*)$" or e.text:match "^execute [^:]*: (.*)$")
    if sql and not by_pid[e.pid] then
      by_pid[e.pid] = {}
      pids[#pids + 1] = e.pid
    end
    local mine = by_pid[e.pid]
    local function add(how, text) mine[#mine + 1] = { how = how, sql = text } end
    if sql and sql:find "^do language plpgsql %$gate" then
      unfold(sql, add)
    elseif sql and not matches(sql, LEFT_OUT) then
      local detail = list[i + 1] and list[i + 1].pid == e.pid and list[i + 1].kind == "DETAIL" and list[i + 1].text or nil
      add(matches(sql, KEPT) and "+" or "-", bound(sql, detail))
    end
  end
  local out = {}
  for _, pid in ipairs(pids) do
    table.move(by_pid[pid], 1, #by_pid[pid], #out + 1, out)
    out[#out + 1] = { how = "+", sql = "set local session authorization default" }
  end
  return out
end

--- One DO block that runs them, each in a subtransaction.
---@param statements {how: string, sql: string}[]
---@return string sql
function recorded.block(statements)
  local texts = {}
  for i, s in ipairs(statements) do texts[i] = literal(s.how .. s.sql) end
  return ([[begin; set local jit = off;
do $gate_bench$ declare one text; n bigint; reached bigint := 0; refused bigint := 0; begin
  foreach one in array array[%s] loop
    begin
      execute substr(one, 2);
      get diagnostics n = row_count;
      if left(one, 1) = '-' then raise exception using errcode = 'P0999', message = n::text; end if;
    exception when sqlstate 'P0999' then reached := reached + sqlerrm::bigint; when others then
      if left(one, 1) = '+' then raise; end if;
      refused := refused + 1;
    end;
  end loop;
  raise notice 'reached %%, refused %%', reached, refused;
end $gate_bench$;
rollback;]]):format(table.concat(texts, ",\n"))
end

return recorded
