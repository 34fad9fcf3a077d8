--- What the prover decided, as findings: one for each table and reason.
--
-- The text to reproduce sets the session up as the counterexample has it, and asks for rows that are not the tenant's own; it runs in
-- psql as somebody who may SET ROLE to the application's role.
local decide = require "rls.decide"
local names = require "rls.names"
local prover = require "rls.prover"

local policies = {}

--- Rows that are not the own tenant's, as far as one column tells.
local function where_foreign(t, v)
  local parts = {}
  local own = v.assignment and v.assignment.own or {}
  if t.tenant then
    local literal = own[1] ~= nil and prover.literal(own[1]) or nil
    parts[1] = literal and ("%s::text IS DISTINCT FROM %s"):format(names.ident(t.tenant), names.literal(tostring(own[1]))) or nil
  end
  return #parts > 0 and " WHERE " .. parts[1] or ""
end

--- The row of the assignment as columns and values.
local function row_of(t, v)
  local columns, values = {}, {}
  for _, c in ipairs(t.columns) do
    local value = v.assignment and v.assignment.row[c.name]
    if value ~= nil then
      columns[#columns + 1] = names.ident(c.name)
      values[#values + 1] = prover.literal(value)
    end
  end
  return columns, values
end

local function settable(t)
  for _, c in ipairs(t.columns) do
    if c.may_update and not c.generated and c.identity ~= "a" then return names.ident(c.name) end
  end
  return nil
end

local STATEMENT = {
  SELECT = function(t, v) return ("SELECT * FROM %s%s LIMIT 5;"):format(t.sql, where_foreign(t, v)) end,
  DELETE = function(t, v) return ("DELETE FROM %s%s;"):format(t.sql, where_foreign(t, v)) end,
  INSERT = function(t, v)
    local columns, values = row_of(t, v)
    if #columns == 0 then return ("INSERT INTO %s DEFAULT VALUES;"):format(t.sql) end
    return ("INSERT INTO %s (%s) VALUES (%s); -- and what else its columns need"):format(t.sql, table.concat(columns, ", "),
      table.concat(values, ", "))
  end,
  UPDATE = function(t, v)
    local column = settable(t) or "…"
    if v.phase == "check" then
      local value = t.tenant and v.assignment and v.assignment.row[t.tenant]
      return ("UPDATE %s SET %s = %s;"):format(t.sql, t.tenant and names.ident(t.tenant) or column,
        value ~= nil and prover.literal(value) or column)
    end
    return ("UPDATE %s SET %s = %s%s;"):format(t.sql, column, column, where_foreign(t, v))
  end,
}

--- SQL that shows it.
---@param t rls.Table
---@param role rls.Role
---@param command string
---@param v prover.Verdict
---@return string
function policies.reproduce(t, role, command, v)
  local lines = { "BEGIN;", ("SET LOCAL ROLE %s;"):format(names.ident(role.name)) }
  for _, statement in ipairs(v.statements or {}) do lines[#lines + 1] = statement end
  lines[#lines + 1] = STATEMENT[command](t, v)
  lines[#lines + 1] = "ROLLBACK;"
  return table.concat(lines, "\n")
end

--- The phase that decided UPDATE.
local function with_phase(v)
  local out = {}
  for key, value in pairs(v) do out[key] = value end
  for phase, p in pairs(v.phases or {}) do
    if p.class == v.class and p.status == v.status and p.text == v.text then out.phase = phase end
  end
  return out
end

--- Findings of one table for one role, by class.
local function add(out, d, command, v)
  local key = d.table.oid .. "\0" .. v.class
  local f = out.by_key[key]
  if not f then
    v = with_phase(v)
    f = { class = v.class, object = d.table.label, oid = d.table.oid, commands = {}, text = v.text, role = d.role,
      reproduce = policies.reproduce(d.table, d.role, command, v) }
    out.by_key[key] = f
    out[#out + 1] = f
  end
  if f.role == d.role then table.insert(f.commands, command) end
end

local function detail(f)
  return ("%s%s: another tenant's row passes: %s"):format(table.concat(f.commands, ", "),
    f.role.via and (" after SET ROLE %s"):format(f.role.name) or "", f.text)
end

--- Counterexamples as findings, the undecided and the trusted as advisories. What is decided without a policy (no row-level security, an
--- owner who is not forced, BYPASSRLS) is for other rules to say.
---@param decisions rls.Decision[]
---@return {class: string, object: string, oid: string, detail: string, reproduce: string, commands: string[], advisory: boolean?}[]
function policies.findings(decisions)
  local out, notes = { by_key = {} }, {}
  for _, d in ipairs(decisions) do
    local reasons, order = {}, {}
    for _, command in ipairs(decide.COMMANDS) do
      local v = d.verdicts[command]
      if v.status == "counterexample" and v.decided_by == "policies" then
        add(out, d, command, v)
      elseif v.status == "unknown" or v.status == "trusted" then
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
  out.by_key = nil
  return out
end

return policies
