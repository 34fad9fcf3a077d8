--- Decides from the policies alone whether another tenant's row can satisfy them, for a table, a command and a role.
--
--     local verdicts = prover.decide {
--       relation = "public.orders",
--       tables = { ["public.orders"] = {
--         columns = { tenant_id = { type = "uuid", notnull = true }, … }, rls = true, forced = true,
--         policies = { { name = "p", command = "ALL", roles = { "public" }, using = "(tenant_id = …)" } } } },
--       axes = { { column = "tenant_id", setting = "app.current_tenant_id" } },
--       role = { name = "app_user", login = "app_user", member_of = {}, may_create = false, may_temp = false },
--     }
--     verdicts.SELECT.status   → "proven", "counterexample", "trusted" or "unknown"
--
-- The threat model: a session with the tenant setting at A after a real login, whose user may run any SQL as its role: RESET the
-- setting, connect anew, set it to anything that does not denote B, and set every other custom setting to anything. The row is B's, or
-- nobody's.
--
-- How: the policies that bind the role's command are joined (rls.prover.combine), parsed by PostgreSQL's grammar and compiled
-- (rls.prover.compile); a tableau walks every way in which the result could be true (rls.prover.explore). No way left: proven. A way
-- left is filled with values and computed (rls.prover.witness, rls.prover.evaluate); if that is true it is a counterexample, reduced
-- and named (rls.prover.classify). Otherwise the policy is undecided, with the first thing that was not understood. Both steps are
-- independent: a mistake in one gives "unknown" rather than a wrong answer, except where a rule of the tableau were false;
-- tests/lua/prover_differential_spec.lua compares it with a real server.
--
-- Not handled, and therefore "unknown" where it matters: order and arithmetic of other types than integers, regular expressions, dates
-- and time, types whose input depends on a setting, collations other than deterministic ones, aggregates but array_agg, max, min and
-- bool_or, window functions, WITH, INTERSECT and EXCEPT, NOT EXISTS and NOT IN as reasons, composite values, functions in other
-- languages or with more than one statement, views in subqueries. Taken on trust from the caller: that keys are unique and not
-- deferrable, and that operators which the text does not show (IS DISTINCT FROM, NULLIF) are pg_catalog's unless `foreign_operators`
-- names others. Taken for granted: operators, casts and domains of other schemas do not change the session's settings.
local classify = require "rls.prover.classify"
local combine = require "rls.prover.combine"
local compile = require "rls.prover.compile"
local evaluate = require "rls.prover.evaluate"
local explore = require "rls.prover.explore"
local lookup = require "rls.prover.lookup"
local problems = require "rls.prover.problem"
local witness = require "rls.prover.witness"
local written = require "rls.prover.written"

local prover = {}

--- How the reason ends where a row of another tenant names the tenant in another column, as the row of a member of two tenants does.
prover.OWN_ID = "is the tenant's own id: whether that makes it the tenant's own is not for the policy to say"
prover.OWN_ROW = lookup.OWN_ROW

---@class prover.Column
---@field type string               format_type
---@field base string?              pg_type.typname of a domain's base type
---@field notnull boolean?
---@field deterministic boolean?    false for a collation under which different texts may be equal
---@field may_update boolean?       may the application's role set it?

---@class prover.Table
---@field columns table<string, prover.Column>
---@field policies prover.Policy[]?
---@field rls boolean
---@field forced boolean?
---@field owner string?
---@field kind string?              pg_class.relkind
---@field keys string[][]?          unique keys that are not deferrable; what foreign keys here refer to is known to be one
---@field foreign_keys {columns: string[], table: string, ref: string[]}[]?  those that are validated
---@field path {columns: string[], table: string, ref: string[]}[]?  foreign keys to the table that has the axes' columns
---@field keeps_tenant boolean?    the role may not update the columns that say whose a row is
---@field axes table<integer, string>? the columns of the axes, where they are called otherwise here
---@field may table<string, boolean>?  insert, update: what the application is granted; select, …, delete of the relation itself

---@class prover.Axis
---@field column string
---@field setting string
---@field list boolean?             the setting holds several ids
---@field plain boolean?            ids that are texts have no blanks around them and no separators in them, as the caller has seen to
---@field json_key string?          the setting holds a JSON object with the id under this key
---@field template string?          what the application writes, with {id}: "{{id}}" for an array literal
---@field context table<string, string>?  other settings that the application makes with it

---@class prover.Role
---@field name string
---@field login string?             session_user; nil: not known
---@field member_of table<string, boolean>?  direct and indirect memberships; nil: not known
---@field inherits table<string, boolean>?   those whose rights it has without SET ROLE; nil: all
---@field superuser boolean?
---@field bypassrls boolean?
---@field may_create boolean?       may it, or anybody it cannot trust, create objects in a schema? nil: yes
---@field may_temp boolean?         may it create temporary tables? nil: yes

---@class prover.Input
---@field relation string
---@field tables table<string, prover.Table>
---@field functions table<string, prover.Function|prover.Function[]>?  by schema.name
---@field types table<string, {kind: string, base: string?, labels: string[]?}>?  enums and domains by schema.name
---@field axes prover.Axis[]
---@field role prover.Role
---@field presets table<string, string>?  custom settings that every session of the role starts with (ALTER ROLE, ALTER DATABASE)
---@field absent string[]?          ids that no tenant has, as the caller has seen to
---@field trust {setting: string?, role: string?, reason: string, expires: string?}[]?
---@field today string?             an ISO date; trust that expired before it counts for nothing
---@field trust_search_path boolean? names in functions' texts are taken for what they seem
---@field hijacks boolean?          functions with names that the session may give another meaning answer what the attacker likes
---@field shadows boolean?          tables that a function's text names without a schema are the caller's, wherever they can be
---@field writers (fun(label: string): prover.Writer[])?  who else writes a table for the role
---@field budget integer?           most steps (100000)
---@field cache table?              kept by the caller between calls with the same tables, functions, axes, role and trust

---@class prover.Verdict
---@field status "proven"|"counterexample"|"trusted"|"unknown"
---@field decided_by string         "policies", "no policy", "no grant", "no row-level security", "bypass"
---@field class string?             of a counterexample
---@field text string?              the assignment in words
---@field assignment {settings: table<string, string>, row: table<string, any>, rows: table<string, table[]>, own: any[]}?  json.null is
---  NULL; absent settings are unset; own: the tenant's own value by axis
---@field statements string[]?      SQL that sets the session up
---@field chosen {row: table, column: string}?  a row of the tenant's own among assignment.rows which it has to UPDATE first
---@field written prover.Written[]?  rows among assignment.rows that others write for it
---@field undecided_writer {writer: prover.Writer, reason: string}?  of an unknown that rests on what one writes
---@field settings string[]?        other settings than the tenant's that it needs
---@field also {class: string, text: string, statements: string[], settings: string[], assignment: table}[]?  further reasons
---@field trust table[]?            entries that cover it
---@field covers table<table, boolean>?  entries that cover some of its reasons
---@field reason string?            of an unknown
---@field otherwise string?         what it would be but for the reason
---@field assumes string[]?         what would have to hold for that

local BUDGET = 100000 -- most steps of a search
local LEAVES = 48 -- most ways that are filled with values
local TRIES = 1500 -- most guesses for values, over all of them
local ENOUGH = 12 -- counterexamples
local ABSENT = { "00000000-0000-0000-0000-000000000000", "0", "-1" }

-- The proof, and the search for values.

--- Is the session one as the application makes it: its tenant stated, its context as configured, and nothing else set?
local function is_usual(p, m)
  local context, set = {}, {}
  for _, axis in ipairs(p.axes) do
    if (m.settings[axis.setting] or "") == "" then return false end
    for name, template in pairs(axis.context or {}) do
      name = name:lower()
      context[name] = true
      set[name] = set[name] or m.settings[name] == template
    end
  end
  for name in pairs(m.settings) do
    if not (context[name] or p.by_setting[name]) then return false end
  end
  for name in pairs(context) do
    if not (set[name] or p.by_setting[name]) then return false end
  end
  return true
end

--- Is the expression true of the model, and the model within the threat model?
local function checker(p, node)
  return function(m)
    for name in pairs(p.held or {}) do
      if m.settings[name] == nil then return false end
    end
    if p.usual and not is_usual(p, m) then return false end
    return problems.is_foreign(p, m) and evaluate.node(node, { [p.main] = m.row }, m) == true and not evaluate.plan_error(node, m)
  end
end

--- Reduces and names a model that shows the leak; nil where it rests on rows which the application cannot write.
local function finding(p, m, check)
  local need = classify.reduce(m, check, p)
  local class = classify.name(need, p.features, p)
  local rows, problem = lookup.decide(p, m, need, class, check)
  if not rows then return nil, problem end
  class = rows.class
  local named = classify.names_itself(p, m, need, class)
  if named then
    return nil, ("a row of another tenant would be shown whose %s " .. prover.OWN_ID):format(named)
  end
  local text, statements = classify.describe(m, need, p)
  for _, one in ipairs(rows.written or {}) do text = ("%s, which %s writes"):format(text, one.writer.name) end
  return { class = class, text = text, statements = statements, need = need, model = m, written = rows.written, chosen = rows.chosen }
end

--- Sets the settings that the expression reads and the way did not: an absent one may be an error before it matters.
local function with_all_settings(p, m, check)
  for _, value in ipairs { "true", "{}" } do
    local set = {}
    for name in pairs(p.features.settings) do
      if m.settings[name] == nil and not p.by_setting[name] and not p.restricted[name] then
        set[#set + 1] = name
        m.settings[name] = value
      end
    end
    if #set > 0 and check(m) then return true end
    for _, name in ipairs(set) do m.settings[name] = nil end
  end
  return false
end

--- Tries to fill the way that the explorer stands on with values.
local function try_leaf(x, p, check, out)
  local function attempt(pins)
    local m = witness.model(x, pins)
    classify.usual_session(m, x.states, p)
    if not check(m) and not with_all_settings(p, m, check) then return false end
    local found, problem = finding(p, m, check)
    out.problem = out.problem or problem
    if found then out.findings[#out.findings + 1] = found end
    return true
  end
  if attempt() then return true end
  local _, terms = witness.model(x)
  local hit = false
  witness.variants(terms, p.features.constants, p.input.types, function(pins)
    out.tried = out.tried + 1
    hit = hit or attempt(pins)
    return hit or out.tried > TRIES
  end)
  return hit
end

local function keys_of(set)
  local out = {}
  for key in pairs(set) do out[#out + 1] = key end
  table.sort(out)
  return out
end

--- What to say where nothing is opaque, and still no values were found.
local function undecided(p)
  local names = keys_of(p.features.functions)
  return "no values were found that show it, and no proof" .. (#names > 0 and ": it uses " .. table.concat(names, ", ") or "")
end

--- Walks the ways of an expression. Returns {findings, open = ways that came to their end, problem, too_many}.
local function search(p, node, budget, prove_only)
  local x = explore.new(p, budget)
  local check = checker(p, node)
  local out = { findings = {}, open = 0, tried = 0 }
  local ok, problem = pcall(x.run, x, node, function()
    out.open = out.open + 1
    if prove_only then error({ stop = true }, 0) end
    local note = x.notes[x.n.notes > 0 and 1 or 0]
    if not try_leaf(x, p, check, out) then
      out.problem = out.problem or (note and "it depends on " .. note) or undecided(p)
    end
    local last = out.findings[#out.findings]
    if out.open >= LEAVES or #out.findings >= ENOUGH or (last and last.class == classify.ORDER[1]) then error({ stop = true }, 0) end
  end)
  if not ok then
    if type(problem) ~= "table" or not (problem.stop or problem.too_many) then error(problem, 0) end
    out.too_many = problem.too_many
  end
  return out
end

local RANK = {}
for i, class in ipairs(classify.ORDER) do RANK[class] = i end

--- One finding for each reason, the most telling first.
local function ranked(findings)
  local out, seen = {}, {}
  for _, f in ipairs(findings) do
    local key = f.class .. "\0" .. table.concat(f.need.settings, ",")
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = f
    end
  end
  table.sort(out, function(a, b)
    if RANK[a.class] ~= RANK[b.class] then return RANK[a.class] < RANK[b.class] end
    return a.text < b.text
  end)
  return out
end

--- Does one permissive policy open what another closes?
local function widening(p, budget)
  return function()
    if p.widened == nil then
      local closed, count = 0, 0
      for _, part in ipairs(p.parts) do
        if part.policy.permissive ~= false then
          count = count + 1
          local out = count <= 6 and search(p, part.node, budget // 10, true)
          if out and out.open == 0 and not out.too_many then closed = closed + 1 end
        end
      end
      p.widened = count > 1 and closed > 0 and closed < count
    end
    return p.widened
  end
end

local function unknown(reason, more)
  local verdict = { status = "unknown", decided_by = "policies", reason = reason }
  for key, value in pairs(more or {}) do verdict[key] = value end
  return verdict
end

--- Is it true without a look at anything?
local function is_true(node)
  if node.k == "const" then return node.v == true end
  local all = node.k == "and" and node.args
  if node.k == "exists" and #node.sub.from == 0 and not node.sub.approx then all = node.sub.conds end
  if not all then return false end
  for _, part in ipairs(all) do
    if not is_true(part) then return false end
  end
  return true
end

--- Where nothing at all is asked of a row that is there, whatever types its values have: no values need to be found.
local function unconditional(p)
  if p.phase == "check" or not is_true(p.node) then return nil end
  return { class = "policy_always_true", text = "it holds for every row, whatever the session is", statements = {},
    need = { settings = {}, columns = {}, rows = {} }, model = { settings = {}, row = {}, rows = {}, own = {} } }
end

--- The verdict of one search: proven, counterexample with its findings, or unknown.
local function judge(p, out)
  if #out.findings == 0 and out.open > 0 then out.findings[1] = unconditional(p) end
  if #out.findings > 0 then
    return { status = "counterexample", decided_by = "policies", findings = ranked(out.findings) }
  elseif out.too_many then
    return unknown "too many cases"
  elseif out.open > 0 then
    return unknown(out.problem, { undecided_writer = p.undecided_writer })
  end
  return { status = "proven", decided_by = #p.parts == 0 and "no policy" or "policies" }
end

--- Where a setting of the application's context that is absent opens the rows: does a value of it, too?
local function with_context(p, verdict, budget)
  local absent = verdict.findings and verdict.findings[1].need.absent
  if not absent or not next(absent) then return end
  p.held, p.presets = absent, setmetatable({}, { __index = p.presets })
  for name in pairs(absent) do p.presets[name] = "" end
  for _, f in ipairs(judge(p, search(p, p.node, budget)).findings or {}) do
    if f.class == "policy_escape_setting" then table.insert(verdict.findings, f) end
  end
  p.held = nil
end

--- Where a session that is out of the ordinary opens the rows, the rows of other tables may open them to an ordinary one, too: what has to
--- be mended is not the one alone.
local function with_usual_session(p, verdict, budget)
  local first = verdict.findings and verdict.findings[1]
  if not first or not p.features.lookups or first.class == classify.ORDER[1] then return end
  for _, f in ipairs(verdict.findings) do
    if f.class == "policy_lookup_writable" then return end
  end
  p.usual = true
  for _, f in ipairs(judge(p, search(p, p.node, budget)).findings or {}) do
    if f.class == "policy_lookup_writable" then
      table.insert(verdict.findings, f)
      break
    end
  end
  p.usual = nil
end

--- Decides one phase under given trust.
local function decide_phase(input, info, command, phase, restricted, hidden, made)
  local p = problems.new(input, info, command, phase, restricted, hidden, made)
  if not p.path or not p.owned then return unknown "whose its rows are is not known: it has no tenant column, nor a path to one" end
  if p.cx.poison then return unknown(p.cx.poison) end
  local budget = input.budget or BUDGET
  p.features = classify.features(p.node)
  p.widens = widening(p, budget)
  local verdict = judge(p, search(p, p.node, budget))
  local first = verdict.findings and verdict.findings[1]
  if verdict.status == "counterexample" and first.class == "policy_default_tenant" and not input.absent then
    p.absent = ABSENT
    local again = judge(p, search(p, p.node, budget))
    if again.status == "proven" then
      verdict = unknown("it is closed only if no tenant has the id that stands for none: " .. first.text,
        { otherwise = "proven", assumes = { "no tenant has one of the ids " .. table.concat(ABSENT, ", ") } })
    end
  end
  with_context(p, verdict, budget)
  with_usual_session(p, verdict, budget)
  if verdict.status == "unknown" and not verdict.assumes and next(p.cx.assumes) then verdict.assumes = keys_of(p.cx.assumes) end
  if verdict.status == "proven" and next(p.cx.assumes) then
    local assumes = keys_of(p.cx.assumes)
    return unknown(assumes[1], { otherwise = "proven", assumes = assumes })
  end
  return verdict
end

-- Trust.

local function trusted_by(input)
  local settings, roles = {}, {}
  for _, entry in ipairs(input.trust or {}) do
    if not (entry.expires and input.today and entry.expires < input.today) then
      if entry.setting then settings[entry.setting:lower()] = entry end
      if entry.role then roles[entry.role] = entry end
    end
  end
  return settings, roles
end

--- The entries that cover a finding, or nil where it needs more than is trusted.
local function cover(f, settings, role_entry)
  local entries = {}
  for _, name in ipairs(f.need.settings) do
    if not settings[name] then return nil end
    entries[#entries + 1] = settings[name]
  end
  if #f.need.settings == 0 and f.need.user and role_entry then entries[#entries + 1] = role_entry end
  return #entries > 0 and entries or nil
end

local function publish(verdict)
  local first = verdict.findings and verdict.findings[1]
  if not first then return verdict end
  local function of(f, out)
    local m = f.model
    out.class, out.text, out.statements, out.settings = f.class, f.text, f.statements, f.need.settings
    out.chosen, out.written = f.chosen, f.written
    out.assignment = { settings = m.settings, row = m.row, rows = m.rows, own = m.own, fired = m.fired, free = m.free }
    return out
  end
  local also = {}
  for i = 2, #verdict.findings do also[#also + 1] = of(verdict.findings[i], {}) end
  return of(first, { status = verdict.status, decided_by = verdict.decided_by, trust = verdict.trust, covers = verdict.covers,
    also = also })
end

local function decide_with_trust(input, info, command, phase, made)
  local verdict = decide_phase(input, info, command, phase, {}, {}, made)
  local settings, roles = trusted_by(input)
  if verdict.status ~= "counterexample" or not (next(settings) or next(roles)) then return publish(verdict) end
  local _, role_entry = next(roles)
  local entries, all = {}, true
  for _, f in ipairs(verdict.findings) do
    local covered = cover(f, settings, role_entry)
    all = all and covered ~= nil
    for _, entry in ipairs(covered or {}) do entries[entry] = true end
  end
  verdict.covers = entries
  local rest = decide_phase(input, info, command, phase, settings, roles, made)
  rest.covers = entries
  if rest.status == "proven" and all then
    verdict.status, verdict.trust = "trusted", {}
    for _, entry in ipairs(input.trust) do if entries[entry] then table.insert(verdict.trust, entry) end end
    return publish(verdict)
  elseif rest.status == "unknown" and all then
    return rest
  end
  if rest.status == "counterexample" then return publish(rest) end
  return publish(verdict)
end

--- A value of an assignment as SQL: json.null as NULL, an array as ARRAY[…].
prover.literal = classify.literal

-- Commands.

local RANKS = { proven = 1, trusted = 2, unknown = 3, counterexample = 4 }

--- The columns as part of a key: asked for by each command and phase.
local columns_keys = setmetatable({}, { __mode = "k" })

local function columns_key(info)
  local key = columns_keys[info]
  if key then return key end
  local columns = {}
  for name, column in pairs(info.columns) do
    columns[#columns + 1] = name .. ":" .. (column.base or column.type) .. (column.notnull and "!" or "") .. tostring(column.deterministic)
  end
  table.sort(columns)
  key = table.concat(columns, ",")
  columns_keys[info] = key
  return key
end

--- What the result of a phase depends on, as a key; nil where that is not bounded.
local function cache_key(input, info, command, phase)
  local parts = { phase, input.role.name }
  local permissive, restrictive = combine.select(info, command, phase, input.role)
  local text = {}
  for _, list in ipairs { permissive, restrictive } do
    for _, item in ipairs(list) do
      text[#text + 1] = item.text .. "\1" .. tostring((item.policy.foreign_operators or {})[1])
    end
    text[#text + 1] = "\2"
  end
  local all = table.concat(text, "\1")
  parts[#parts + 1] = columns_key(info)
  parts[#parts + 1] = all
  return table.concat(parts, "\0")
end

--- Does what is decided depend on nothing of the table but its columns and policies?
local function alone(info)
  for _, fk in ipairs(info.foreign_keys or {}) do
    if #fk.columns > 1 then return false end
  end
  return #(info.path or {}) == 0
end

local function phase_verdict(input, info, command, phase)
  local cache = input.cache
  local key = cache and cache_key(input, info, command, phase)
  if not key then return decide_with_trust(input, info, command, phase) end
  local shared = alone(info)
  if shared and cache[key] then return cache[key] end
  local own = input.relation .. "\0" .. key
  if cache[own] then return cache[own] end
  local reads = { false }
  input.reads = reads
  local verdict = decide_with_trust(input, info, command, phase)
  input.reads = nil
  cache[shared and not reads[1] and key or own] = verdict
  return verdict
end

--- What is decided without an expression, or nil.
local function without_policies(input, info, command)
  if info.may and not info.may[command:lower()] then return { status = "proven", decided_by = "no grant" } end
  if not info.rls then
    return { status = "counterexample", decided_by = "no row-level security", class = "rls_missing", text = "row-level security is off" }
  end
  if combine.bypasses(info, input.role) then
    return { status = "counterexample", decided_by = "bypass", class = "role_bypasses_rls",
      text = ("%s is not bound by row-level security here"):format(input.role.name) }
  end
  return nil
end

--- A command's verdict is its worst phase's, with both. What many tables share is made once.
local function of_phases(input, verdict, phases)
  local first, second = phases.using or phases.check, phases.using and phases.check or false
  local kept = (input.cache or {})[first] or {}
  if kept[second] then return kept[second] end
  local out = {}
  for key, value in pairs(verdict) do out[key] = value end
  out.phases = phases
  kept[second] = out
  if input.cache then input.cache[first] = kept end
  return out
end

--- Decides one command. UPDATE has two phases: which rows it may change, and what it may make of them; the worse one counts.
---@param input prover.Input
---@param command "SELECT"|"INSERT"|"UPDATE"|"DELETE"
---@return prover.Verdict
---Errors: bad_argument.
function prover.command(input, command)
  local info = problems.check(input)
  local verdict = without_policies(input, info, command)
  if verdict then return verdict end
  -- Shared between tables (input.cache): a caller changes nothing in it.
  local phases = {}
  for _, phase in ipairs(command == "UPDATE" and info.keeps_tenant and { "using" } or combine.PHASES[command]) do
    phases[phase] = phase_verdict(input, info, command, phase)
    if not verdict or RANKS[phases[phase].status] > RANKS[verdict.status] then verdict = phases[phase] end
  end
  return of_phases(input, verdict, phases)
end

--- May a caller of a function with its owner's rights reach another tenant's row by it? One verdict for each row of a tenants' table that
--- its statements read or write; `whose` gives the columns that say whose a row of a table is, nil for a table that is no tenant's.
---@param input prover.Input  relation, axes: set here
---@param f prover.Function
---@param name string
---@param whose fun(label: string): table<string, boolean>?, prover.Axis[]?, string?  the last: why it cannot be decided
---@param fired {event: string, label: string}?  where it is a trigger's: what it is fired by, on which relation
---@return {label: string, write: boolean, flow: prover.Flow, touched: boolean?, secret: string?, mixed: string?,
---  verdict: prover.Verdict}[] verdicts
---@return string? unread      what in it was not understood
---@return string? injection   that it executes what the caller gives it, and how
---@return boolean changes     does it write?
function prover.calls(input, f, name, whose, fired)
  local cx = { input = input, depth = 0, assumes = {}, guarding = {} }
  local walk = compile.reaches(f, name, cx, whose, fired)
  local out = {}
  for _, reach in ipairs(walk.out) do
    local label = reach.main.label
    local columns, axes, why = whose(label)
    if why then
      out[#out + 1] = { label = label, write = reach.write == true, flow = reach.flow or {}, touched = reach.touched, secret = reach.secret,
        said = reach.said, oracle = reach.oracle, mixed = reach.mixed, verdict = unknown(why) }
    elseif columns then
      input.relation, input.axes = label, axes
      local info = input.tables[label]
      local verdict = decide_with_trust(input, info, "SELECT", reach.write and "check" or "using",
        { main = reach.main, node = reach.node, cx = cx })
      out[#out + 1] = { label = label, write = reach.write == true, flow = reach.flow or {}, touched = reach.touched,
        secret = reach.secret, said = reach.said, oracle = reach.oracle, mixed = reach.mixed, verdict = verdict }
    end
  end
  return out, walk.unread, walk.injection, walk.changes
end

--- May a row of which something is known be another tenant's?
---@return prover.Verdict
function prover.of_row(input, main, node, cx)
  return decide_with_trust(input, input.tables[input.relation], "SELECT", "using", { main = main, node = node, cx = cx })
end

--- May a row of another tenant be written through a view that writes with its owner's rights?
---@param input prover.Input  relation: the table beneath
---@param w prover.Writer     a view
---@return prover.Verdict
function prover.through(input, w)
  local walk = written.walk(input, w, input.relation)
  return decide_with_trust(input, input.tables[input.relation], "INSERT", "check",
    { main = walk.out[1].main, node = walk.out[1].node, cx = walk.cx })
end

--- Decides all four commands for one relation and one role.
---@param input prover.Input
---@return table<string, prover.Verdict>  by command
---Errors: bad_argument.
function prover.decide(input)
  local out = {}
  for command in pairs(combine.PHASES) do out[command] = prover.command(input, command) end
  return out
end

return prover
