--- What the prover decided, as findings: one for each table and reason.
--
-- The text to reproduce sets the session up as the counterexample has it, and asks for rows that are not the tenant's own; it runs in
-- psql as somebody who may SET ROLE to the application's role.
local decide = require "rls.decide"
local impostors = require "rls.rules.impostors"
local json = require "json"
local names = require "rls.names"
local prover = require "rls.prover"
local reproduce = require "rls.reproduce"
local telling = require "rls.rules.telling"

local policies = {}

--- Rows that are not the own tenant's, as far as one column tells.
local function where_foreign(t, v)
  local parts, readable = {}, (t.columns_of or {}).select
  local own = v.assignment and v.assignment.own or {}
  if readable and not readable[t.tenant or ""] then
    -- By a key of what the application may read, as the other tenant's row has it.
    for _, key in ipairs(t.uniques) do
      local list = {}
      for i, name in ipairs(key.columns) do
        local value = readable[name] and v.assignment and v.assignment.row[name]
        list[i] = value and value ~= json.null and ("%s = %s"):format(names.ident(name), prover.literal(value)) or nil
      end
      if #list == #key.columns then parts = { table.concat(list, " AND ") } end
    end
  elseif t.tenant then
    local literal = own[1] ~= nil and prover.literal(own[1]) or nil
    parts[1] = literal and ("%s::text IS DISTINCT FROM %s"):format(names.ident(t.tenant), names.literal(tostring(own[1]))) or nil
  end
  return #parts > 0 and " WHERE " .. parts[1] or ""
end

--- The columns that the application may read.
local function columns(t)
  local list, readable = {}, (t.columns_of or {}).select
  for _, c in ipairs(readable and t.columns or {}) do list[#list + 1] = readable[c.name] and names.ident(c.name) or nil end
  return #list > 0 and table.concat(list, ", ") or "*"
end

--- A column that an UPDATE may set, and a value that reads nothing.
local function settable(t)
  for _, c in ipairs(t.columns) do
    local free = c.may_update and not c.generated and c.identity ~= "a" and c.name ~= t.tenant
    if free then return names.ident(c.name), reproduce.filler(c) end
  end
  local c = t.tenant and t.by_column[t.tenant]
  return c and names.ident(c.name) or "…", c and reproduce.filler(c) or "…"
end

-- Where the rows cannot be read the statements do not look at them: without WHERE the policies of SELECT are not asked.
local STATEMENT = {
  SELECT = function(t, v) return ("SELECT %s FROM %s%s LIMIT 5;"):format(columns(t), t.sql, where_foreign(t, v)) end,
  DELETE = function(t, v, readable) return ("DELETE FROM %s%s;"):format(t.sql, readable and where_foreign(t, v) or "") end,
  INSERT = function(t, v)
    return (reproduce.insert(t, v.assignment and v.assignment.row or {}, v.literals):gsub(" ON CONFLICT DO NOTHING;$", ";"))
  end,
  UPDATE = function(t, v, readable)
    local column, value = settable(t)
    if v.phase == "check" and v.sets then return ("UPDATE %s SET %s;"):format(t.sql, v.sets) end
    if v.phase == "check" then
      local tenant = t.tenant and v.assignment and v.assignment.row[t.tenant]
      if tenant ~= nil then column, value = names.ident(t.tenant), prover.literal(tenant) end
      return ("UPDATE %s SET %s = %s;"):format(t.sql, column, value)
    end
    -- What may be changed, and not left as another's, is taken over.
    local closed = (v.phases or {}).check and v.phases.check.status ~= "counterexample"
    local own = v.assignment and v.assignment.own[1]
    if closed and t.tenant and own ~= nil and t.by_column[t.tenant].may_update then
      column, value = names.ident(t.tenant), prover.literal(own)
    end
    return ("UPDATE %s SET %s = %s%s;"):format(t.sql, column, value, readable and where_foreign(t, v) or "")
  end,
}

--- SQL that shows it.
---@param world table  of rls.reproduce
---@param d rls.Decision
---@param command string
---@param v prover.Verdict  literals: the row as SQL by column, in place of its own; sets: what an UPDATE sets
---@return string text, string[] lines
function policies.reproduce(world, d, command, v)
  local readable = d.verdicts.SELECT.status == "counterexample"
  local moved = command == "UPDATE" and v.phase == "check"
  local text = STATEMENT[command](d.table, v, readable)
  if not moved then return reproduce.text(world, d.table, v, text, command == "INSERT") end
  -- A row of its own is what it gives away.
  local own, row = {}, {}
  for key, value in pairs(v) do own[key] = value end
  for key, value in pairs(v.assignment and v.assignment.row or {}) do row[key] = value end
  local mine = v.assignment and v.assignment.own[1]
  if d.table.tenant and mine ~= nil then row[d.table.tenant] = mine end
  own.given_to = v.assignment and v.assignment.row
  own.assignment = { row = row, rows = v.assignment and v.assignment.rows or {}, own = { mine } }
  return reproduce.text(world, d.table, own, text, false)
end

--- The phase that decided UPDATE.
local function with_phase(v)
  local out = {}
  for key, value in pairs(v) do out[key] = value end
  for phase, p in pairs(v.phases or {}) do
    for _, one in ipairs { p, table.unpack(p.also or {}) } do
      if p.status == v.status and one.class == v.class and one.text == v.text then out.phase = phase end
    end
  end
  return out
end

--- Findings of one table for one role, by class.
local function add(out, world, d, command, v)
  local key = d.table.oid .. "\0" .. v.class
  local f = out.by_key[key]
  if not f then
    v = with_phase(v)
    f = { class = v.class, object = d.table.label, oid = d.table.oid, commands = {}, text = v.text, role = d.role,
      row = v.assignment and v.assignment.row }
    f.reproduce, f.steps = policies.reproduce(world, d, command, v)
    f.own = v.assignment and v.assignment.own or {}
    f.moves = command == "UPDATE" and v.phase == "check"
    -- For rls.trials, where the server takes the row with other values only.
    function f.remake(literals, sets)
      local other = {}
      for name, value in pairs(v) do other[name] = value end
      other.literals, other.sets = literals, sets
      return policies.reproduce(world, d, command, other)
    end
    out.by_key[key] = f
    out[#out + 1] = f
  end
  if f.role == d.role and f.commands[#f.commands] ~= command then table.insert(f.commands, command) end
end

local function detail(f)
  return ("%s%s: another tenant's row passes: %s"):format(table.concat(f.commands, ", "),
    f.role.via and (" after SET ROLE %s"):format(f.role.name) or "", f.text)
end

--- SQL that shows the function, and where the role may put its own under the names in it.
local function hijack_sql(func, role, temporary)
  local body = ("select prosrc, proconfig from pg_proc where pronamespace::regnamespace || '.' || proname = %s;\n"):format(
    names.literal(func))
  if temporary then
    return body .. ("select has_database_privilege(%s, current_database(), 'TEMP') as makes_temporary_types;"):format(names.literal(role))
  end
  return body .. ("select nspname from pg_namespace where has_schema_privilege(%s, oid, 'CREATE') and nspname !~ '^pg_'\n"
    .. "  union all select current_database() where has_database_privilege(%s, current_database(), 'CREATE');"):format(
    names.literal(role), names.literal(role))
end

--- Pins the search path of a function whose text names nothing but what pg_catalog has, as far as was read.
local function pin(seen, func, v)
  for _, text in ipairs(v.assumes or {}) do
    if text:find(func, 1, true) and text:find " table " then return nil end
  end
  local named = seen.model.functions[func]
  return named and #named == 1 and ("ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp;"):format(named[1].signature) or nil
end

--- SQL by which the role gives a name in the helper another meaning, and reads another tenant's row; nil where it is not known how.
local function impostor_sql(seen, world, d, v)
  local func, again = v.hijacked.func, v.hijacked.again
  local helper = seen.model.functions[func]
  if not again or not again.assignment or not helper or #helper ~= 1 then return nil end
  local own = impostors.statements(helper[1], func, v.hijacked, again.assignment.settings, d.role.creates or {})
  if not own then return nil end
  return policies.reproduce(world, d, "SELECT", setmetatable({ impostors = own }, { __index = again }))
end

--- A function of the policies whose names the role may give another meaning.
local function hijack(seen, world, d, command, v)
  local func, what, temporary = v.hijacked.func, v.hijacked.what, v.hijacked.temporary
  local how = temporary and ("and where it says %s a temporary type of that name is found first: %s may make one, with casts of its own")
    or "and finds the %s along the caller's, and %s may make its own in a schema that it puts first"
  if v.hijacked.in_vain then
    how = how .. ". Nothing is gained by it: the function reads settings alone, which whoever does that may as well set"
  end
  local f = { class = "function_search_path", object = func, oid = d.table.oid, commands = decide.COMMANDS,
    detail = ("a policy of %s calls it; it has no search path of its own " .. how):format(d.table.label, what, d.role.name),
    reproduce = hijack_sql(func, d.role.name, temporary), repair = pin(seen, func, v), by_create = not temporary,
    advisory = v.hijacked.in_vain }
  local text, steps
  if command == "SELECT" then text, steps = impostor_sql(seen, world, d, v) end
  -- Where the trial does not show it, what the function is and what the role may is all that is shown.
  if text then f.otherwise, f.reproduce, f.steps, f.row = f.reproduce, text, steps, v.hijacked.again.assignment.row end
  return f
end

--- Counterexamples as findings, the undecided and the trusted as advisories. What is decided without a policy (no row-level security, an
--- owner who is not forced, BYPASSRLS) is for other rules to say.
---@param decisions rls.Decision[]
---@param seen table  of rls.harness.look, with `model`
---@return {class: string, object: string, oid: string, detail: string, reproduce: string, commands: string[], advisory: boolean?}[]
function policies.findings(decisions, seen)
  local out, notes, worlds, hijacks = { by_key = {} }, {}, {}, {}
  for _, d in ipairs(decisions) do
    local reasons, order = {}, {}
    for _, command in ipairs(decide.COMMANDS) do
      local v = d.verdicts[command]
      worlds[d.role] = worlds[d.role] or reproduce.world(seen, d.role.name)
      if v.status == "counterexample" and v.decided_by == "policies" then
        add(out, worlds[d.role], d, command, v)
        for _, other in ipairs(v.also or {}) do
          local more = { status = v.status, phases = v.phases }
          for key, value in pairs(other) do more[key] = value end
          add(out, worlds[d.role], d, command, more)
        end
      elseif v.hijacked then
        local func, known = v.hijacked.func, hijacks[v.hijacked.func]
        -- A leak says more than an advisory of the same function.
        if not known or (known.advisory and not v.hijacked.in_vain) then
          hijacks[func] = hijack(seen, worlds[d.role], d, command, v)
        end
      end
      local open = v.status == "unknown" and not (v.hijacked and not v.hijacked.in_vain)
      if open or (v.status == "trusted" and not v.hijacked) then
        local text = v.reason or (v.trust and v.trust[1] and v.trust[1].reason) or v.text or "?"
        local key = v.status .. "\0" .. text
        if not reasons[key] then
          reasons[key] = { status = v.status, text = text, commands = {} }
          order[#order + 1] = reasons[key]
        end
        table.insert(reasons[key].commands, command)
      end
    end
    for _, r in ipairs(order) do
      notes[#notes + 1] = { class = r.status == "trusted" and "policy_trusted" or "policy_unproven", object = d.table.label,
        oid = d.table.oid, advisory = true, commands = r.commands,
        detail = ("%s%s: %s"):format(table.concat(r.commands, ", "), d.role.via and (" after SET ROLE " .. d.role.name) or "", r.text) }
    end
  end
  for _, f in ipairs(out) do
    f.detail = detail(f)
    -- Rows without a tenant that may be read, and not written, are what the platform put there for all.
    f.advisory = f.class == "policy_null_tenant" and #f.commands == 1 and f.commands[1] == "SELECT" or nil
  end
  for _, n in ipairs(notes) do out[#out + 1] = n end
  for _, f in pairs(hijacks) do out[#out + 1] = f end
  for _, f in ipairs(telling.findings(decisions, seen)) do out[#out + 1] = f end
  out.by_key = nil
  return out
end

return policies
