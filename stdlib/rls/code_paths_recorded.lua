--- Code paths as an application's own statements show them: a recording, or the server's log, judged by the state machine.
local catalogue = require "rls.code_paths_catalogue"
local errors = require "errors"
local log = require "rls.code_paths_log"
local machine = require "rls.code_paths_machine"
local recording = require "rls.code_paths_recording"
local statement = require "engine.statement"

local recorded = {}

local BYTES_MAX = 100 << 20 -- in memory at once; about a million and a half statements
local SHOWN_MAX = 300

--- Kinds that speak of sessions and transactions, and of no table.
local WITHOUT_TABLES = { other = false, prepare = false, execute = false, ["do"] = false }

--- Classes that fail a run, and those that are told only.
local ADVISORY = { context_literal = true, context_needless = true }

local function read_tree(cat, shape)
  local ok, tree = pcall(statement.tree, shape.text)
  if not ok then
    shape.unread, shape.touches = "PostgreSQL 15's parser cannot read it", cat:guess(shape.text)
    return
  end
  local one = tree[1]
  if not one then return end
  if one.node == "ExecuteStmt" then shape.execute = one.name end
  if not (one.touches or one.node == "PrepareStmt") then return end
  for _, t in ipairs(one.tables) do
    for label, of_tenants in pairs(cat:tables(t.schema, t.name)) do shape.touches[label] = of_tenants end
  end
  for _, f in ipairs(one.functions) do
    local found = cat:find_function(f.schema, f.name)
    if found and (next(found.touches) or next(found.sets) or found.opaque) then shape.calls[#shape.calls + 1] = found end
  end
end

--- What the machine has to know of a statement that was scanned.
---@param cat code_paths.Catalogue
---@param scanned table  of statement.scan
---@return code_paths.Shape
function recorded.shape(cat, scanned)
  local shape = { text = scanned.text, kind = scanned.kind, name = scanned.name, chain = scanned.chain, is_local = scanned.is_local,
    touches = {}, calls = {} }
  if scanned.cut then
    shape.unread, shape.touches = "it is longer than what is kept of a statement", cat:guess(scanned.text)
  elseif scanned.kind == "do" then
    local body = scanned.text:match "%$_%$(.*)%$_%$"
    if body then shape.calls[1] = cat:read_block(body) else shape.unread = "the body of a DO block cannot be read" end
  elseif WITHOUT_TABLES[scanned.kind] == false then
    read_tree(cat, shape)
  end
  return shape
end

local function shape_maker(cat)
  local known = {}
  return function(scanned)
    local key = scanned.text .. (scanned.cut and "\0" or "")
    known[key] = known[key] or recorded.shape(cat, scanned)
    return known[key]
  end
end

local function target_of(cat)
  local of_scan = shape_maker(cat)
  local target = { machine = machine.new(cat), settings = cat.settings, shape_of_scan = of_scan }
  function target.shape_of(text, cut)
    local scanned = statement.scan(text, { settings = cat.settings })[1]
    if not scanned then
      return { text = text, kind = "other", touches = {}, calls = {}, unread = cut and "its text was not recorded" or nil }
    end
    scanned.cut = scanned.cut or cut
    return of_scan(scanned)
  end
  function target.shape_of_call(oid)
    local schema, name = cat:function_name(oid)
    local f = name and cat:find_function(schema, name)
    return { text = ("(a FunctionCall of %s)"):format(name or "a function of the system"), kind = "other", touches = {}, calls = { f } }
  end
  return target
end

--- Which database this is: its server's identifier (nil where the admin may not ask for it) and its name.
local function identity_of(conn)
  local ok, _, rows = conn:try "select system_identifier::text as id from pg_control_system()"
  return { system = ok and rows[1].id or nil, database = conn:value "select current_database()::text" }
end

--- A recording of another database says nothing of this one's tables.
local function check_header(header, identity, settings)
  if not identity.system then
    errors.raise { code = "recording_foreign", message = "whether the recording is of this server cannot be told",
      fix = "grant execute on function pg_control_system() to the role of database.admin" }
  end
  if header.system_identifier ~= identity.system or header.database ~= identity.database then
    errors.raise { code = "recording_foreign",
      message = ("the recording is of another database: %s on the server %s; this is %s on %s"):format(tostring(header.database),
        tostring(header.system_identifier), identity.database, identity.system),
      fix = "record against the database that this gate looks at" }
  end
  local have = {}
  for _, name in ipairs(type(header.settings) == "table" and header.settings or {}) do have[name] = true end
  for _, name in ipairs(settings) do
    if not have[name] then
      errors.raise { code = "recording_foreign", message = ("the recording did not look for the setting %s"):format(name),
        fix = "record again with this configuration" }
    end
  end
end

--- Reads a recording or a log into a machine.
---@param text string
---@param cat code_paths.Catalogue
---@param identity {system: string, database: string}
---@return table machine, string source, table state
function recorded.read(text, cat, identity)
  local target = target_of(cat)
  if recording.is(text) then
    function target.check_header(header) check_header(header, identity, cat.settings) end
    return target.machine, "recording", recording.read(text, target)
  end
  local kind = log.kind(text)
  if not kind then
    errors.raise { code = "recording_format", message = text:find "%S" and "the file is neither a recording, nor a csvlog, nor a jsonlog"
      or "the file is empty: nothing was recorded, and the server has logged nothing",
      fix = "record with --record, or let the server log: " .. log.SETTINGS }
  end
  target.database = identity.database
  return target.machine, kind, log.read(text, kind, target)
end

local function short(text)
  if #text <= SHOWN_MAX then return text end
  local cut = text:sub(1, SHOWN_MAX)
  return (cut:match "^(.*)%s%S*$" or cut) .. " …"
end

--- How a finding is told: object is the statement, detail says why, who and how often.
---@param f table
---@return string class, table fields, boolean advisory
function recorded.told(f)
  local detail = f.detail
  if f.class == "context_literal" and f.count > 1 then
    detail = ("%s; %d different value(s) in %d statements"):format(detail, f.distinct, f.count)
  end
  return f.class, { object = short(f.statement), reproduce = f.statement,
    detail = ("%s (application %s, %d time%s)"):format(detail, f.application ~= "" and f.application or "without a name", f.count,
      f.count == 1 and "" or "s") }, ADVISORY[f.class] or f.severity == "advisory"
end

--- What is no finding and yet keeps the check from a pass.
local function refuse(m, state, role)
  if state.lost and state.lost > 0 then
    errors.raise { code = "recording_lost",
      message = ("the recorder could not follow %d session(s): what they ran is not known"):format(state.lost),
      fix = "record those sessions again; if it stays, tell the recorder's owner which driver they use" }
  end
  local exit = state.last and state.last.exit
  if exit and exit ~= 0 then
    errors.raise { code = "recording_command_failed", message = ("the recorded command ended with exit %d"):format(exit),
      fix = "make the test suite pass first: what it did not come to was not watched" }
  end
  local unread = m.unread_order[1]
  if unread then
    errors.raise { code = "statement_unread", detail = short(unread.statement),
      message = ("%d statement(s) without a tenant could not be read, the first because %s"):format(#m.unread_order, unread.why),
      fix = "set the tenant before them, or split them; what they touch is not known" }
  end
  if m.facts.touches_bound == 0 then
    local roles = {}
    for name in pairs(m.roles) do roles[#roles + 1] = name end
    table.sort(roles)
    errors.raise { code = "nothing_probed",
      message = #roles == 0 and ("of %d recorded statements none touched a tenant's table"):format(m.facts.statements)
        or ("tenants' tables were touched only as %s, whom row-level security does not bind"):format(table.concat(roles, ", ")),
      fix = ("run the application's test suite as its own role (%s) while it is recorded"):format(role) }
  end
end

local function read_file(file)
  local ok, text = pcall(file.get, file, nil, { max = BYTES_MAX })
  if ok then return text end
  if errors.is(text, "store_too_large") then
    errors.raise { code = "recording_too_large", message = ("the recording is larger than %d MB"):format(BYTES_MAX >> 20),
      fix = "record parts of the test suite apart, each with a run of its own" }
  end
  error(text, 0)
end

--- Judges the recording or log that the option names. Nothing was given: false.
---@param ctx gate.Context
---@param seen {tables: table[], settings: table, app: {role: string}}
---@return boolean judged
function recorded.check(ctx, seen)
  if not ctx.options.recording then return false end
  local conn = ctx.db.admin
  local cat = catalogue.read(conn, seen.tables, seen.settings)
  local m, source, state = recorded.read(read_file(ctx.files.recording), cat, identity_of(conn))
  for _, f in ipairs(m.order) do
    local class, fields, advisory = recorded.told(f)
    if advisory then ctx:advise(class, fields) else ctx:fail(class, fields) end
  end
  ctx:fact("recorded_from", source)
  ctx:fact("recorded_statements", m.facts.statements)
  ctx:fact("recorded_sessions", m.facts.sessions)
  ctx:fact("recorded_transactions", m.facts.transactions)
  ctx:fact("recorded_touches", m.facts.touches)
  if state.own and state.own > 0 then ctx:fact("left_out_of_gate_engine", state.own) end
  if state.replication and state.replication > 0 then ctx:fact("recorded_replication_sessions", state.replication) end
  refuse(m, state, seen.app.role)
  return true
end

return recorded
