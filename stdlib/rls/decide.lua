--- Decides every tenants' table for every command and role of the application with the prover: the access matrix.
--
-- The roles are the one that the application logs in as and each that it may become by SET ROLE. What the prover takes for granted is
-- looked up here: that the ids which stand for "no tenant" are no tenant's.
local documents = require "rls.prover.documents"
local errors = require "errors"
local json = require "json"
local mentions = require "rls.mentions"
local model = require "rls.model"
local names = require "rls.names"
local prover = require "rls.prover"
local sorts = require "rls.prover.sorts"
local writers = require "rls.writers"

local decide = {}

decide.COMMANDS = { "SELECT", "INSERT", "UPDATE", "DELETE" }

--- Ids that policies use for "no tenant".
local ABSENT = { "00000000-0000-0000-0000-000000000000", "0", "-1" }

--- Classes of what is open in any session of the application, whatever it has set.
decide.TO_ALL = { rls_missing = true, role_bypasses_rls = true, policy_always_true = true, policy_widens = true }

---@class rls.Decision
---@field table rls.Table
---@field role rls.Role
---@field verdicts table<string, prover.Verdict>  by command

--- An axis of the configuration as the prover needs it. `value` is what the application sets: "{id}", a text with it, a JSON object
--- that has it as one of its values.
---@param tenant table  an entry of config.database.tenant
---@return prover.Axis
function decide.axis(tenant)
  local axis = { column = tenant.column, setting = tenant.setting, context = tenant.context }
  local value = tenant.value or "{id}"
  if value == "{id}" then return axis end
  local ok, document = pcall(json.decode, value)
  if ok and type(document) == "table" then
    axis.json_key = documents.find(document, "{id}")
  end
  axis.template = value
  return axis
end

--- The axes of the configuration: database.tenant is one, or a list of them.
---@param settings table  config.database; axes: the list, where somebody has made it
---@return prover.Axis[]
function decide.axes(settings)
  local out = {}
  local list = settings.axes or settings.tenant
  if list.column then list = { list } end
  for i, tenant in ipairs(list) do out[i] = decide.axis(tenant) end
  return out
end

--- The axes for one table: the column of the tenants' own table is called otherwise.
---@param owner rls.Table?  the table that has the tenant's column
---@param axes prover.Axis[]
---@return prover.Axis[]
function decide.axes_for(owner, axes)
  local columns, same = owner and owner.by_column or {}, true
  for i, axis in ipairs(axes) do
    same = same and columns[axis.column] ~= nil and ((owner.axes or {})[i] or axis.column) == axis.column
  end
  if same or not owner then return axes end
  local out = {}
  for i, axis in ipairs(axes) do
    out[i] = {}
    for key, value in pairs(axis) do out[i][key] = value end
    out[i].column = (owner.axes or {})[i] or (i == 1 and owner.tenant) or axis.column
  end
  return out
end

--- Which of the ids that may stand for none are really no tenant's: the table of the tenants says, else every tenants' table.
---@param conn table
---@param base rls.Table[]
---@param by_oid table<string, rls.Table>
---@return string[]?  nil: the admin may not look
local function absent_ids(conn, base, by_oid)
  local parts = {}
  for _, t in pairs(by_oid) do
    if t.registry then parts[#parts + 1] = { t.sql, names.ident(t.registry) } end
  end
  for _, t in ipairs(base) do
    if t.tenant then parts[#parts + 1] = { t.sql, names.ident(t.tenant) } end
  end
  local used = {}
  for i, part in ipairs(parts) do
    parts[i] = ("exists (select from %s where %s::text = ids.of_none)"):format(part[1], part[2])
  end
  if #parts == 0 then return nil end
  local sql = ("select of_none as id from unnest(array['%s']) ids(of_none) where %s"):format(table.concat(ABSENT, "', '"),
    table.concat(parts, " or "))
  local ok, rows = pcall(conn.query, conn, sql)
  if not ok then
    if errors.is(rows) and rows.sqlstate then return nil end
    error(rows, 0)
  end
  for _, row in ipairs(rows) do used[row.id] = true end
  local out = {}
  for _, id in ipairs(ABSENT) do if not used[id] then out[#out + 1] = id end end
  return out
end

--- Does an undecided verdict ask whether such an id is a tenant's?
local function asks_for_ids(verdicts)
  for _, v in pairs(verdicts) do
    local assumed = v.status == "unknown" and v.otherwise == "proven" and (v.assumes or {})[1]
    if assumed and assumed:find "^no tenant has" then return true end
  end
  return false
end

--- Does an undecided verdict rest on a table that the session itself may put in place of the real one?
local function may_shadow(v)
  for _, text in ipairs(v.status == "unknown" and v.assumes or {}) do
    if text:find "^search_path: .* temporary table " or text:find "^search_path: .* finds table " then return true end
  end
  return false
end

--- Does what was decided rest on a function, operator or type for which the session may put its own? The function that looks it up, and
--- what it looks for. Types are looked for among the temporary ones first (manual, 20.11.1, search_path), functions and operators never.
---@param v prover.Verdict
---@return string? func, string? what
---@return boolean? temporary  a temporary one is enough
local function open_names(v)
  for _, text in ipairs(v.status == "unknown" and v.assumes or {}) do
    local func, what = text:match "^search_path: (%S+) finds (function .*) along the caller's search_path$"
    if not func then func, what = text:match "^search_path: (%S+) finds (operator .*) along the caller's search_path$" end
    if func then return func, what, false end
    func, what = text:match "^search_path: in (%S+) a temporary (type) can take the place of "
    if func then return func, what .. text:match " place of(.*)$", true end
  end
  return nil
end

--- Does a proof rest on such a name? What open_names says.
---@param v prover.Verdict
---@return string? func, string? what
---@return boolean? temporary
function decide.hijacked(v)
  if v.otherwise ~= "proven" then return nil end
  return open_names(v)
end

--- Words of a body that reads more than settings: tables, who the session is, what it may do, or text that it executes.
local READS = {}
for word in ([[from join user session_user current_user current_role pg_has_role has_table_privilege execute perform insert update delete
    table row_security inet_client_addr pg_backend_pid dblink]]):gmatch "%S+" do
  READS[word] = true
end

local function reads_more(text)
  for word in text:lower():gmatch "[%a_][%w_]*" do
    if READS[word] then return true end
  end
  return false
end

--- Does a function, with all that it calls, read custom settings and nothing else? `seen` gets `setting`, whether there is one.
local function reads_settings_alone(functions, name, seen)
  if seen[name] then return true end
  seen[name] = true
  local list = functions[name]
  local f = list and #list == 1 and list[1]
  local readable = f and not f.security_definer and f.body and (f.language == "sql" or f.language == "plpgsql")
  if not readable or reads_more(f.body) then return false end
  local text = f.body:lower()
  for setting in text:gmatch "current_setting%s*%(%s*([^,)]*)" do
    if not setting:find "^'[%w_]+%.[%w_.]+'" then return false end
    seen.setting = true
  end
  for other in pairs(functions) do
    local called = other ~= name and mentions.call(text, other:match "[^.]*$")
    if called and not reads_settings_alone(functions, other, seen) then return false end
  end
  return true
end

--- May the answer of such a function be had by settings as well? What is given to it comes from elsewhere: the policies say from where.
local function is_of_settings(functions, name, info)
  local seen = {}
  if not reads_settings_alone(functions, name, seen) or not seen.setting then return false end
  if #(functions[name][1].args or {}) == 0 then return true end
  for _, p in ipairs(info and info.policies or {}) do
    if reads_more((p.using or "") .. " " .. (p.check or "")) then return false end
  end
  return info ~= nil
end

--- Is nothing gained by the temporary types that a verdict rests on? Whoever makes one may as well set the settings, which are all that the
--- functions read whose answers it replaces.
---@param v prover.Verdict
---@param functions table<string, prover.Function[]>
---@param info prover.Table?  whose policies call them; nil: something else does
---@return boolean
function decide.in_vain(v, functions, info)
  for _, phase in pairs(v.phases or {}) do
    local decided = phase.status == "proven" or phase.status == "trusted"
    if not decided and not decide.in_vain(phase, functions, info) then return false end
  end
  if v.status ~= "unknown" or not (v.assumes or {})[1] then return false end
  for _, text in ipairs(v.assumes) do
    local func = text:match "^search_path: in (%S+) a temporary type can take the place of "
    if not func or not is_of_settings(functions, func, info) then return false end
  end
  return true
end

--- Would it be proven in all its phases, but for what it assumes?
local function is_otherwise_proven(v)
  for _, phase in pairs(v.phases or { v }) do
    local proven = phase.status == "proven" or phase.status == "trusted" or phase.otherwise == "proven"
    if not proven then return false end
  end
  return v.otherwise == "proven"
end

--- Decides again what rests on such names, as if each function with one answered what the attacker likes. Where that reaches no other
--- tenant's row, the policy holds whatever the function says.
local function with_hijacks(input, verdicts, cache)
  for command, v in pairs(verdicts) do
    local func, what, temporary = open_names(v)
    if func then
      local usual = input.cache
      input.hijacks, input.cache = true, cache
      local again = prover.command(input, command)
      input.hijacks, input.cache = nil, usual
      if again.status == "proven" or again.status == "trusted" then
        verdicts[command] = again
      elseif decide.in_vain(v, input.functions, input.tables[input.relation]) then
        local hijacked = { func = func, what = what, temporary = temporary, in_vain = true,
          again = again.status == "counterexample" and again or nil }
        if is_otherwise_proven(v) then
          verdicts[command] = { status = "proven", decided_by = "policies", hijacked = hijacked }
        else
          v.hijacked = hijacked
        end
      elseif again.status == "counterexample" or v.otherwise == "proven" then
        v.hijacked = { func = func, what = what, temporary = temporary, again = again.status == "counterexample" and again or nil }
      end
    end
  end
end

--- Decides again what rests on tables that functions name without a schema, as if the attacker had made them.
local function with_shadows(input, verdicts)
  for command, v in pairs(verdicts) do
    if may_shadow(v) then
      input.shadows, input.cache = true, nil
      local again = prover.command(input, command)
      input.shadows = nil
      if again.status == "counterexample" and again.class == "policy_lookup_writable" then
        again.class = "function_search_path"
        again.text = again.text:gsub("pg_temp%.", "the caller's own temporary table ")
      end
      if again.status ~= "unknown" then verdicts[command] = again end
    end
  end
end

--- What decide.table needs besides a table and a role.
---@param conn table
---@param seen table  of rls.harness.look
---@param base rls.Table[]
---@param read rls.Model
---@param today string  an ISO date
---@return table
function decide.state(conn, seen, base, read, today)
  return { conn = conn, model = read, by_oid = seen.by_oid, base = base, axes = decide.axes(seen.settings), trust = seen.trust,
    today = today, writers = seen.owners and writers.of(conn, seen, read), caches = {},
    hijacks = setmetatable({}, { __index = function(t, role)
      t[role] = {}
      return t[role]
    end }) }
end

--- Decides the four commands of one table for one role.
---@param state table  of decide.state, with a table in `caches` for the role
---@param t rls.Table
---@param role rls.Role
---@return table<string, prover.Verdict>  by command
function decide.table(state, t, role)
  local path, owner = model.path(t, state.by_oid)
  local input = { relation = t.label, tables = state.model.tables, functions = state.model.functions, types = state.model.types,
    axes = decide.axes_for(path and owner, state.axes), role = role, trust = state.trust, today = state.today,
    leads = state.model.leads,
      presets = state.model.presets, cache = state.caches[role.name], writers = state.writers }
  local info = input.tables[t.label]
  local own, keeps = info.may, info.keeps_tenant
  info.keeps_tenant = keeps and not role.via and #input.axes == 1
  info.may = role.via and (role.may[t.oid] or {}) or t.may
  local verdicts = prover.decide(input)
  if asks_for_ids(verdicts) then
    if state.absent == nil then state.absent = absent_ids(state.conn, state.base, state.by_oid) or false end
    if state.absent then
      input.absent, input.cache = state.absent, nil
      verdicts = prover.decide(input)
    end
  end
  with_hijacks(input, verdicts, state.hijacks[role.name])
  with_shadows(input, verdicts)
  info.may, info.keeps_tenant = own, keeps
  return verdicts
end

--- Does a policy, all by itself, let the application do no more than its tenant's rows?
---@param seen table  of rls.harness.look, with `model`
---@param t rls.Table
---@param policy rls.Policy
---@return boolean
function decide.binds(seen, t, policy)
  local path, owner = model.path(t, seen.by_oid)
  local tables = setmetatable({}, { __index = seen.model.tables, __pairs = function() return pairs(seen.model.tables) end })
  tables[t.label] = setmetatable({ policies = { policy }, rls = true, forced = true, may = nil }, { __index = seen.model.tables[t.label] })
  local input = { relation = t.label, tables = tables, functions = seen.model.functions, types = seen.model.types,
    axes = decide.axes_for(path and owner, decide.axes(seen.settings)), role = seen.model.roles[1], trust = seen.trust,
    leads = seen.model.leads,
      presets = seen.model.presets }
  for _, command in ipairs(policy.command == "ALL" and decide.COMMANDS or { policy.command }) do
    local v = prover.command(input, command)
    if v.decided_by ~= "no grant" and v.status ~= "proven" and v.status ~= "trusted" then return false end
  end
  return true
end

--- Notes what of the configuration's trust a verdict rests on.
---@param covers table<table, table<string, boolean>>  objects by entry
---@param verdict prover.Verdict
---@param label string
function decide.cover(covers, verdict, label)
  for entry in pairs(verdict.covers or {}) do
    covers[entry] = covers[entry] or {}
    covers[entry][label] = true
  end
end

--- What the configuration's trust covers. An entry that has expired, or that nothing rests on, is a finding.
---@param decisions rls.Decision[]
---@param trust table[]?
---@param today string
---@param covers table<table, table<string, boolean>>?  objects by entry: what rests on it besides policies (decide.cover)
---@param changed table<table, string>?  by entry: that the function it names is not the one that was trusted
---@return {class: string, object: string, detail: string}[] findings, table[] entries  for the report
function decide.trust(decisions, trust, today, covers, changed)
  local found, entries = {}, {}
  covers = covers or {}
  for _, d in ipairs(decisions) do
    for _, v in pairs(d.verdicts) do
      for _, phase in pairs(v.phases or { v }) do decide.cover(covers, phase, d.table.label) end
    end
  end
  for _, entry in ipairs(trust or {}) do
    local count, object = 0, entry.setting or entry.role or entry.routine
    for _ in pairs(covers[entry] or {}) do count = count + 1 end
    entries[#entries + 1] = { object = object, reason = entry.reason, approver = entry.approver, expires = entry.expires, tables = count }
    if entry.expires and entry.expires < today then
      found[#found + 1] = { class = "trust_expired", object = object, detail = ("it was trusted until %s: %s"):format(entry.expires,
        entry.reason) }
    elseif (changed or {})[entry] then
      found[#found + 1] = { class = "trust_changed", object = object, detail = changed[entry] }
    elseif count == 0 then
      found[#found + 1] = { class = "trust_unused", object = object,
        detail = "no policy of a tenants' table, function or view rests on it: " .. entry.reason }
    end
  end
  return found, entries
end

--- What a preset says: nil where it names nobody. Where there is no row to ask (a scratch copy, a database before its first tenant)
--- whatever a tenant's column could hold may be a tenant, but for the ids that mean none by custom.
local function named_by(conn, base, value)
  local mine, any, could_be = {}, {}, false
  for _, t in ipairs(base) do
    if t.tenant then
      mine[#mine + 1] = ("exists (select from %s where %s::text = $1)"):format(t.sql, names.ident(t.tenant))
      any[#any + 1] = ("exists (select from %s)"):format(t.sql)
      local sort = sorts.of(t.by_column[t.tenant].base)
      could_be = could_be or not sorts.known(sort) or sorts.parse(sort, value) ~= nil
    end
  end
  if #mine == 0 then return nil end
  if conn:value("select " .. table.concat(mine, " or "), value) then return "to a tenant" end
  for _, id in ipairs(ABSENT) do could_be = could_be and value ~= id end
  if not could_be or conn:value("select " .. table.concat(any, " or ")) then return nil end
  return "to what may be a tenant: no row says that it is none"
end

--- The settings that are trusted today, by their names in small letters.
---@param trust table[]?
---@param today string
---@return table<string, table> entries
function decide.trusted_settings(trust, today)
  local out = {}
  for _, entry in ipairs(trust or {}) do
    if entry.setting and not (entry.expires and entry.expires < today) then out[entry.setting:lower()] = entry end
  end
  return out
end

--- A setting that names a tenant before the application does: ALTER ROLE … SET, ALTER DATABASE … SET.
---@param conn table
---@param seen table
---@param base rls.Table[]
---@param read rls.Model
---@return {class: string, object: string, detail: string, reproduce: string}[]
function decide.presets(conn, seen, base, read)
  local out = {}
  for _, axis in ipairs(decide.axes(seen.settings)) do
    local value = read.presets[axis.setting:lower()]
    local whose = value and value ~= "" and named_by(conn, base, value)
    if whose then
      out[#out + 1] = { class = "policy_default_tenant", object = seen.app.role,
        detail = ("every session of %s starts with %s set %s"):format(seen.app.role, axis.setting, whose),
        reproduce = ("select setrole::regrole, setconfig from pg_db_role_setting where setconfig::text like %s;")
          :format(names.literal("%" .. axis.setting .. "=%")),
        repair = ("%s RESET %s;"):format(read.set_by[axis.setting:lower()], axis.setting) }
    end
  end
  return out
end

--- Decides the base tables.
---@param conn table  the admin's
---@param seen table  of rls.harness.look: settings, app, by_oid, trust
---@param base rls.Table[]
---@param today string  an ISO date
---@return rls.Decision[] decisions, rls.Model model
function decide.run(conn, seen, base, today)
  local read = model.read(conn, seen.app, base, seen.by_oid)
  local state, out = decide.state(conn, seen, base, read, today), {}
  for _, role in ipairs(read.roles) do
    state.caches[role.name] = {}
    for _, t in ipairs(base) do
      local verdicts = decide.table(state, t, role)
      out[#out + 1] = { table = t, role = role, verdicts = verdicts }
      if not role.via then
        t.decided, t.opened, t.reasons, t.named = {}, {}, {}, {}
        for command, v in pairs(verdicts) do
          t.decided[command], t.reasons[command] = v.status, v.reason
          t.named[command] = v.status == "counterexample" and v.decided_by == "policies"
          local using = (v.phases or {}).using or v
          t.opened[command] = using.status == "counterexample" and decide.TO_ALL[using.class] == true
        end
      end
    end
  end
  return out, read
end

return decide
