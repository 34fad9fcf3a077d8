--- The migration that closes what gate 1 found.
local catalogue = require "rls.catalogue"
local names = require "rls.names"

local recovery = {}

local function policy(t, settings)
  local test = ("%s::text = current_setting(%s, true)"):format(names.ident(t.tenant), names.literal(settings.tenant.setting))
  return ("CREATE POLICY tenant_isolation ON %s\n    USING (%s)\n    WITH CHECK (%s);"):format(t.sql, test, test)
end

--- Does the policy let the application's role do no more than its tenant's rows?
local function is_strict(p, forms)
  local using_ok = p.using == nil or forms[p.using] == true
  local check_ok = p.check == nil or forms[p.check] == true
  return using_ok and check_ok and not (p.using == nil and p.check == nil)
end

--- Statements for one table, or nil where a person must decide.
---@param t rls.Table
---@param settings table
---@return string|nil sql
function recovery.table_sql(t, settings)
  if not t.tenant or (t.kind ~= "r" and t.kind ~= "p") then return nil end
  local lines, forms, covered = {}, catalogue.canonical(t, settings), false
  if not t.rls then lines[#lines + 1] = ("ALTER TABLE %s ENABLE ROW LEVEL SECURITY;"):format(t.sql) end
  if not t.forced then lines[#lines + 1] = ("ALTER TABLE %s FORCE ROW LEVEL SECURITY;"):format(t.sql) end
  local named = {}
  for _, p in ipairs(t.policies) do
    if p.permissive and p.applies and not is_strict(p, forms) then
      lines[#lines + 1] = ("DROP POLICY %s ON %s;"):format(names.ident(p.name), t.sql)
    else
      named[p.name] = true
      covered = covered or (p.permissive and p.applies and p.command == "ALL")
    end
  end
  for _, command in ipairs { "SELECT", "INSERT", "UPDATE", "DELETE" } do
    local has = false
    for _, p in ipairs(catalogue.permissive(t, command)) do has = has or named[p.name] end
    if t.may[command:lower()] and not has and not covered then
      lines[#lines + 1] = policy(t, settings)
      break
    end
  end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

return recovery
