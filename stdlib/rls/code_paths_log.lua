--- Reads PostgreSQL's own logs, csvlog and jsonlog (manual, section "Error Reporting and Logging"), into the state machine.
--
-- A log says less than a recording: not how a transaction stands after each statement, so that is told from the virtual transaction's
-- number and from BEGIN and COMMIT; nothing of what went through FunctionCall; and nobody can tell whether lines were taken out.
local errors = require "errors"
local json = require "json"
local statement = require "engine.statement"

local log = {}

local SETTINGS = "log_statement = 'all' (or log_min_duration_statement = 0), log_parameter_max_length = -1, and "
  .. "log_destination = 'csvlog' or 'jsonlog' with logging_collector = on"

--- Columns of a csvlog line that are looked at, by number (PostgreSQL 14 to 17; 13 lacks the last).
local COLUMNS = { user = 2, dbname = 3, session_id = 6, vxid = 10, error_severity = 12, state_code = 13, message = 14, detail = 15,
  statement = 20, application_name = 23, backend_type = 24 }

--- "csvlog", "jsonlog", or nil where it is neither.
---@param text string
---@return string?
function log.kind(text)
  if text:find '^{"timestamp":"' then return "jsonlog" end
  if text:find "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d[%.%d]* [%w+-]+,[^\n]-,[^\n]-," then return "csvlog" end
  return nil
end

--- One line of CSV (RFC 4180) from `at`: its fields, and where the next begins.
local function csv_line(text, at)
  local fields = {}
  while true do
    if text:byte(at) == 34 then
      local parts, from = {}, at + 1
      while true do
        local quote = text:find('"', from, true)
        if not quote then return nil end
        parts[#parts + 1] = text:sub(from, quote - 1)
        at = quote + 1
        if text:byte(at) ~= 34 then break end
        parts[#parts + 1] = '"'
        from = at + 1
      end
      fields[#fields + 1] = table.concat(parts)
    else
      local stop = text:find("[,\n]", at) or #text + 1
      fields[#fields + 1] = text:sub(at, stop - 1)
      at = stop
    end
    local c = text:byte(at)
    at = at + 1
    if c ~= 44 then return fields, at end
  end
end

local function csv_entries(text)
  local at = 1
  return function()
    if at > #text then return nil end
    local fields, behind = csv_line(text, at)
    if not fields then return nil end -- a line that is still being written
    at = behind
    local entry = {}
    for name, column in pairs(COLUMNS) do
      if fields[column] ~= "" then entry[name] = fields[column] end
    end
    return entry
  end
end

local function json_entries(text)
  local at = 1
  return function()
    local stop = text:find("\n", at, true)
    if not stop then return nil end
    local ok, entry = pcall(json.decode, text:sub(at, stop - 1))
    at = stop + 1
    if not ok then errors.raise { code = "log_broken", message = "a line of the log is no JSON", fix = "name a whole jsonlog file" } end
    return entry
  end
end

--- The statement in a message, and whether the message came after it ended.
local function statement_in(message)
  local sql = message:match "^statement: (.*)$"
  if sql then return sql, false end
  local rest = message:match "^duration: [%d.]+ ms  (.*)$"
  local ended = rest ~= nil
  rest = rest or message
  sql = ended and rest:match "^statement: (.*)$"
  if sql then return sql, true end
  if rest:find "^execute fetch from " then return nil end
  return rest:match "^execute [^:]*: (.*)$", ended
end

--- Values of "parameters: $1 = 'a', $2 = NULL", by number (PostgreSQL 15, 16: "Parameters:").
local function parameters_in(detail)
  local out = {}
  local list = detail and detail:match "[pP]arameters: (.*)$"
  if not list then return out end
  local at = 1
  while true do
    local number, from = list:match("^%$(%d+) = ()", at)
    if not number then return out end
    if list:sub(from, from) == "'" then
      local value, stop = {}, from + 1
      while true do
        local quote = list:find("'", stop, true)
        if not quote then return out end
        value[#value + 1] = list:sub(stop, quote - 1)
        stop = quote + 1
        if list:sub(stop, stop) ~= "'" then break end
        value[#value + 1] = "'"
        stop = stop + 1
      end
      out[tonumber(number)] = table.concat(value)
      at = stop
    else
      at = list:find("[,%s]", from) or #list + 1
    end
    at = select(2, list:find("^,%s*", at)) or #list
    at = at + 1
  end
end

--- What stands for a value: 0 for the empty one, a number of its own for each other.
local function numbered(state, value)
  if value == nil then return nil end
  if value == "" then return 0 end
  if not state.values[value] then
    state.count = state.count + 1
    state.values[value] = state.count
  end
  return state.values[value]
end

local function boolean_of(text)
  if not text then return nil end
  return text:find "^[tTyY1]" ~= nil or text:lower() == "on"
end

--- The settings a statement sets, with the parameters it was given.
local function contexts_of(state, scanned, parameters)
  local out = {}
  for i, c in ipairs(scanned.contexts) do
    local setting = c.setting
    local named = c.setting_parameter and parameters[c.setting_parameter]
    for _, known in ipairs(named and state.settings or {}) do
      if known:lower() == named:lower() then setting = known end
    end
    local is_local = c["local"]
    if is_local == nil and c.local_parameter then is_local = boolean_of(parameters[c.local_parameter]) end
    out[i] = { setting = setting, is_local = is_local, from = c.from, value = numbered(state, c.value or (c.parameter
      and parameters[c.parameter])) }
  end
  return out
end

--- Tells what was held back of a session: its last statement, once it is known how it ended.
local function flush(state, s, ok)
  local held = s.held
  if not held then return end
  s.held = nil
  for i, one in ipairs(held.list) do
    local last = i == #held.list
    state.machine:statement(s.id, one.shape, one.contexts, not last or ok)
  end
  if held.ended and held.outside then state.machine:ready(s.id, "I", not ok) end
end

--- "3/17" → "17"; nil outside of a transaction.
local function transaction_of(vxid)
  local number = vxid and vxid:match "/(%d+)$"
  return number ~= "0" and number or nil
end

local function session_of(state, entry)
  local s = state.sessions[entry.session_id]
  if not s then
    s = { id = entry.session_id }
    state.sessions[entry.session_id] = s
    state.order[#state.order + 1] = s
  end
  state.machine:session(s.id, { user = entry.user or "", application = entry.application_name or "" })
  return s
end

local function take_statement(state, entry, sql, ended)
  local s = session_of(state, entry)
  flush(state, s, true)
  local now = transaction_of(entry.vxid)
  -- Written after its end, a COMMIT or ROLLBACK is outside of the transaction that it ends.
  if s.vxid and now ~= s.vxid and not (ended and not now) then state.machine:ready(s.id, "I") end
  s.vxid = now
  local parameters, list = parameters_in(entry.detail), {}
  for _, scanned in ipairs(statement.scan(sql, { settings = state.settings })) do
    list[#list + 1] = { shape = state.shape_of_scan(scanned), contexts = contexts_of(state, scanned, parameters) }
  end
  if #list > 0 then
    state.statements = state.statements + 1
    s.held = { list = list, sql = sql, ended = ended, outside = now == nil }
  end
end

--- Where only ended statements are logged, one that failed stands with its error alone.
local function take_failure(state, entry)
  local s = session_of(state, entry)
  if not (s.held and s.held.sql == entry.statement) then take_statement(state, entry, entry.statement, false) end
  flush(state, s, false)
end

local FAILED = { ERROR = true, FATAL = true, PANIC = true }

--- This engine's own sessions call themselves so: a gate's probes are no code paths of the application.
local OWN = "gate-engine"

local function take(state, entry)
  if entry.application_name == OWN then
    state.own = state.own + 1
    return
  end
  if entry.dbname ~= state.database then
    state.elsewhere = state.elsewhere + (entry.dbname and entry.message and statement_in(entry.message) and 1 or 0)
    return
  end
  local sql, ended
  if entry.error_severity == "LOG" and entry.message then sql, ended = statement_in(entry.message) end
  if sql then
    take_statement(state, entry, sql, ended)
  elseif FAILED[entry.error_severity] and entry.statement then
    take_failure(state, entry)
  end
end

--- Reads all statements of one database.
---@param text string
---@param kind "csvlog"|"jsonlog"
---@param target {machine: table, shape_of_scan: function, settings: string[], database: string}
---@return {statements: integer, own: integer}  own: entries of this engine's sessions, left out
function log.read(text, kind, target)
  local state = { machine = target.machine, shape_of_scan = target.shape_of_scan, settings = target.settings, database = target.database,
    sessions = {}, order = {}, values = {}, count = 0, statements = 0, elsewhere = 0, own = 0 }
  for entry in (kind == "csvlog" and csv_entries or json_entries)(text) do take(state, entry) end
  for _, s in ipairs(state.order) do flush(state, s, true) end
  if state.statements == 0 then
    errors.raise { code = "log_without_statements",
      message = state.elsewhere > 0 and ("the log holds statements of other databases than %s only"):format(target.database)
        or "the log holds no statement",
      fix = "the server must log them: " .. SETTINGS }
  end
  return state
end

log.SETTINGS = SETTINGS

return log
